//! The version of the format.

use super::diagnostic::Problem;
use super::node::{Node, Value, shown};

/// The version of the format that this program reads.
pub const VERSION: u32 = 1;

/// A file of another version is refused before its keys are looked at: they may mean something else there.
pub(super) fn unsupported_version(root: &Node) -> Option<Problem> {
    let Value::Map(entries) = &root.value else { return None };
    let (_, node) = entries.iter().find(|(key, _)| key.text == "version")?;
    let found = match &node.value {
        Value::Number(number) if (*number - f64::from(VERSION)).abs() > f64::EPSILON => number.to_string(),
        Value::Text(text) => {
            let problem = Problem::error("config.wrong_type", node.span, "the version is a number without quotes");
            return (text.trim() == VERSION.to_string())
                .then(|| problem.valid("1").help("write `version: 1`"))
                .or_else(|| {
                    let message = format!("`{}` is not a version of this format", shown(text));
                    Some(Problem::error("config.version", node.span, message).valid("1").help("write `version: 1`"))
                });
        }
        _ => return None,
    };
    let is_newer = found.parse::<f64>().is_ok_and(|found| found > f64::from(VERSION));
    let help = if is_newer {
        "install a newer outcome-runtime, or write the file in version 1 (docs/outcome-yaml.md)"
    } else {
        "write `version: 1`; docs/outcome-yaml.md has the keys of this version"
    };
    let message = format!("this program does not read version {} of the file", shown(&found));
    Some(Problem::error("config.version", node.span, message).valid(VERSION.to_string()).help(help))
}
