//! `experiment propose`: a kept hypothesis goes to its gate, or a human hands in their own.

use std::io::Read as _;
use std::path::Path;

use outcome_core::domain::{Author, Hypothesis};
use outcome_core::hypotheses::{Problem, read_hypothesis};
use outcome_core::usecases::{Submission, Submitted};
use outcome_core::{Code, Error, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::args;
use crate::cx::Cx;
use crate::output::{Page, safe};

/// The largest file of hypotheses, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// A hypothesis to begin with.
const TEMPLATE: &str = include_str!("hypothesis_template.yaml");

/// What a file of hypotheses holds; the hypotheses are checked one by one.
#[derive(Deserialize)]
#[serde(untagged)]
enum File {
    List(Vec<Value>),
    Named { hypotheses: Named },
    One(Map<String, Value>),
}

/// What stands under `hypotheses`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Named {
    List(Vec<Value>),
    One(Value),
}

/// Runs it.
pub async fn run(cx: &Cx, args: args::Propose) -> Result<()> {
    if args.template {
        return cx.out.write(TEMPLATE).map(|_| ());
    }
    if let (Some(outcome), Some(path)) = (args.outcome, &args.file) {
        let hypotheses = read(path)?;
        let runtime = cx.open().await?;
        let by = Cx::by();
        let done = runtime.hypotheses().submit(Submission { outcome, hypotheses, author: Author::Human }, &by).await?;
        return cx.out.result(&done, |page| show(page, &done));
    }
    let runtime = cx.open().await?;
    let by = Cx::by();
    let slug = runtime.experiments().propose(&args.experiment.unwrap_or_default(), &by).await?;
    cx.out.result(&json!({ "experiment": slug }), |page| {
        page.line(&format!("Experiment `{slug}` is waiting at its portfolio gate"));
        page.hint("next: `outcome-runtime gate list`");
    })
}

fn show(page: &mut Page, done: &Submitted) {
    for slug in &done.proposed {
        let word = page.green("proposed");
        page.line(&format!("{word}  {}", safe(slug)));
    }
    for kept in &done.kept {
        let word = page.yellow("kept    ");
        page.line(&format!("{word}  {}", safe(kept)));
    }
    for candidate in &done.rejected {
        let word = page.red("returned");
        page.line(&format!("{word}  {}", safe(&candidate.title)));
        for problem in &candidate.problems {
            page.line(&format!("            `{}` {}", safe(&problem.field), safe(&problem.message)));
        }
    }
    for gate in &done.gates {
        page.hint(&format!("next: `outcome-runtime gate decide {gate}`"));
    }
}

/// The hypotheses of a file: one, a list, or a list under `hypotheses`.
fn read(path: &Path) -> Result<Vec<Hypothesis>> {
    let shown = path.display().to_string();
    let failed = |e| {
        let hint =
            "give the path of a file, or `-` for stdin; `experiment propose --template` prints one as a starting point";
        Error::new(Code::Io, format!("{shown} cannot be read")).because(e).hint(hint)
    };
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().take(MAX_BYTES).read_to_string(&mut text).map_err(failed)?;
    } else {
        std::fs::File::open(path).map_err(failed)?.take(MAX_BYTES).read_to_string(&mut text).map_err(failed)?;
    }
    let wrong = |message: String| {
        Error::new(Code::HypothesisIncomplete, message)
            .hint("`outcome-runtime experiment propose --template` prints a complete one as a starting point")
    };
    let value: Value = match serde_json::from_str(&text) {
        Ok(value) => value,
        // JSON is YAML too, but the JSON reader says better what is wrong with JSON.
        Err(e) if text.trim_start().starts_with(['{', '[']) => {
            return Err(wrong(format!("{shown} is not valid JSON: {e}")));
        }
        Err(_) => serde_yaml::from_str(&text).map_err(|e| wrong(format!("{shown} is not valid YAML: {e}")))?,
    };
    let items = match serde_json::from_value(value) {
        Ok(File::List(items) | File::Named { hypotheses: Named::List(items) }) => items,
        Ok(File::Named { hypotheses: Named::One(item) }) => vec![item],
        Ok(File::One(fields)) => vec![Value::Object(fields)],
        Err(_) => return Err(wrong(format!("{shown} contains no hypothesis"))),
    };
    let n = items.len();
    let parse = |(i, item): (usize, Value)| {
        let place = if n == 1 { shown.clone() } else { format!("{shown}, hypothesis {}", i + 1) };
        read_hypothesis(&item).map_err(|problems| {
            let all: Vec<String> = problems.iter().map(sentence).collect();
            wrong(format!("{place}: {}", all.join("; ")))
        })
    };
    items.into_iter().enumerate().map(parse).collect()
}

fn sentence(problem: &Problem) -> String {
    match problem.message.as_str() {
        "is missing" => format!("missing field `{}`", problem.field),
        message => format!("`{}` {message}", problem.field),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_a_complete_hypothesis() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("h.yaml");
        std::fs::write(&path, TEMPLATE).unwrap();
        assert_eq!(read(&path).unwrap().len(), 1);
        std::fs::write(&path, format!("{{\"hypotheses\": [{0}, {0}]}}", json!(read(&path).unwrap()[0]))).unwrap();
        assert_eq!(read(&path).unwrap().len(), 2);
    }

    #[test]
    fn what_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("h.yaml");
        std::fs::write(&path, "title: Shorter form\n").unwrap();
        let error = read(&path).unwrap_err();
        assert_eq!(error.code(), Code::HypothesisIncomplete);
        assert!(error.message().contains("missing field `statement`"), "{}", error.message());
        assert!(error.message().contains("missing field `risk`"), "one run names all: {}", error.message());
    }
}
