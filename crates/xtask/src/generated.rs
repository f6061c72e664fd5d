//! Files that are made from the code.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use outcome_core::Code;

use crate::root;

/// A generated file.
pub struct Generated {
    /// Path from the root.
    pub path: &'static str,
    /// Content.
    pub text: String,
}

/// Writes files where they belong.
pub fn write(files: &[Generated]) -> Result<()> {
    for file in files {
        let path = root().join(file.path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&path, &file.text).with_context(|| file.path.to_owned())?;
    }
    Ok(())
}

/// Names the files that are not what they would be written as.
pub fn check(files: &[Generated], command: &str) -> Result<()> {
    let is_stale =
        |file: &&Generated| std::fs::read_to_string(root().join(file.path)).ok().as_ref() != Some(&file.text);
    let stale: Vec<&str> = files.iter().filter(is_stale).map(|file| file.path).collect();
    ensure!(stale.is_empty(), "out of date: {}; run `cargo xtask {command}`", stale.join(", "));
    Ok(())
}

/// Every file that is made from the core.
pub fn files() -> Result<Vec<Generated>> {
    Ok(vec![
        Generated { path: "docs/lifecycle.md", text: outcome_core::lifecycle::lifecycle_markdown() },
        Generated { path: "docs/acts.md", text: outcome_core::lifecycle::acts_markdown() },
        Generated { path: "docs/errors.md", text: errors() },
        Generated {
            path: "docs/outcome.schema.json",
            text: format!(
                "{}\n",
                serde_json::to_string_pretty(&outcome_core::config::schema(&outcome_integrations::VENDORS))?
            ),
        },
    ])
}

fn errors() -> String {
    let mut out = String::from(
        "# Error codes\n\nGenerated from the table in `crates/core/src/error.rs` by `cargo xtask docs`; do not edit.\n\n\
         The same code leaves through MCP (in the error of a tool), REST (`code` of the problem document, with this status) \
         and the command line (with this exit code).\n\n| code | HTTP | exit | meaning |\n|---|---|---|---|\n",
    );
    for code in Code::ALL {
        let _ = writeln!(out, "| `{code}` | {} | {} | {} |", code.http_status(), code.exit_code(), code.meaning());
    }
    out
}
