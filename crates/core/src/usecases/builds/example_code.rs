//! Ten lines that ask for the arm and record it, in the language of the repository: those of `docs/wire-your-app`, with the names of this
//! outcome.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::{Exposures, Relation};

/// Code to begin with.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct BriefCode {
    /// Its language.
    pub language: &'static str,
    /// It asks the flag and records the exposure.
    pub code: String,
}

/// A page about a language.
struct Page {
    language: &'static str,
    /// Files at the root of a repository in this language.
    signs: &'static [&'static str],
    /// The language as the fence of a block of code names it.
    fence: &'static str,
    text: &'static str,
}

/// The first whose sign is there counts: many repositories have a `package.json` beside their own language's file.
const PAGES: [Page; 4] = [
    Page {
        language: "python",
        signs: &["pyproject.toml", "requirements.txt", "setup.py", "manage.py", "Pipfile"],
        fence: "python",
        text: include_str!("../../../../../docs/wire-your-app/python.md"),
    },
    Page {
        language: "ruby",
        signs: &["Gemfile"],
        fence: "ruby",
        text: include_str!("../../../../../docs/wire-your-app/ruby.md"),
    },
    Page {
        language: "go",
        signs: &["go.mod"],
        fence: "go",
        text: include_str!("../../../../../docs/wire-your-app/go.md"),
    },
    Page {
        language: "typescript",
        signs: &["package.json", "deno.json"],
        fence: "ts",
        text: include_str!("../../../../../docs/wire-your-app/typescript.md"),
    },
];

/// The code for the repository at `root`. `flags`: where the flags are. None for a repository in another language.
pub(super) fn example_code(root: &Path, flags: Option<&str>, exposures: Option<&Exposures>) -> Option<BriefCode> {
    let page = PAGES.iter().find(|page| page.signs.iter().any(|sign| root.join(sign).is_file()))?;
    let mut code = page.block()?.trim_end().to_owned();
    if let Some(place) = flags {
        code = code.replace("flags.json", place);
    }
    if let Some(exposures) = exposures
        && let Relation::Table(table) = &exposures.rows
    {
        let Exposures { unit, experiment, variant, at, .. } = exposures;
        let columns = format!("{table} ({unit}, {experiment}, {variant}, {at})");
        code = code.replace("exposures (user_id, flag, variant, exposed_at)", &columns);
    }
    Some(BriefCode { language: page.language, code })
}

impl Page {
    /// The first block of code.
    fn block(&self) -> Option<&'static str> {
        self.text.split(&format!("```{}\n", self.fence)).nth(1)?.split("```").next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_page_asks_and_records_and_has_the_columns_that_are_replaced() {
        for page in &PAGES {
            let block = page.block().unwrap();
            assert!(block.contains("exposures (user_id, flag, variant, exposed_at)"), "{}", page.language);
            assert!(block.lines().count() < 25, "{}", page.language);
        }
    }

    #[test]
    fn a_repository_shows_its_language_and_another_one_gets_none() {
        let root = tempfile::tempdir().unwrap();
        assert!(example_code(root.path(), None, None).is_none());
        std::fs::write(root.path().join("package.json"), "{}").unwrap();
        assert_eq!(example_code(root.path(), Some("f.json"), None).unwrap().language, "typescript");
        std::fs::write(root.path().join("Gemfile"), "").unwrap();
        assert_eq!(example_code(root.path(), None, None).unwrap().language, "ruby");
    }
}
