//! A JSON value as an indented outline for people.

use outcome_core::present::{count, significant};
use serde_json::{Map, Value};

use super::{Page, safe};

/// The most characters of a value that stands beside its name.
const MAX_INLINE: usize = 110;

/// How the figure at a path of names (and positions in lists) is written; `None` for one that stays as it is.
pub type Written<'w> = &'w dyn Fn(&[&str], f64) -> Option<String>;

/// Figures stay as they are.
pub fn as_they_are(_path: &[&str], _figure: f64) -> Option<String> {
    None
}

impl Page {
    /// The value under its name; what others say (`*_says`) and long texts are quoted.
    pub fn outline(&mut self, indent: usize, name: &str, value: &Value, written: Written<'_>) {
        self.outline_at(indent, name, &[name], value, written);
    }

    fn outline_at(&mut self, indent: usize, name: &str, path: &[&str], value: &Value, written: Written<'_>) {
        let label = self.dim(&safe(name));
        match (value, inline(path, value, written)) {
            (Value::Null, _) => {}
            (Value::String(text), _) if name.ends_with("_says") => {
                let label = self.dim(&format!("{} (quoted)", safe(name.trim_end_matches("_says"))));
                self.line(&format!("{:indent$}{label}", ""));
                self.quote(indent + 2, text);
            }
            (Value::Array(items), _) if items.is_empty() => self.line(&format!("{:indent$}{label}: none", "")),
            (_, Some(text)) => self.line(&format!("{:indent$}{label}: {text}", "")),
            (_, None) => {
                self.line(&format!("{:indent$}{label}", ""));
                self.outline_inner(indent + 2, name, path, value, written);
            }
        }
    }

    fn outline_inner(&mut self, indent: usize, name: &str, path: &[&str], value: &Value, written: Written<'_>) {
        match value {
            Value::Object(fields) => {
                for (key, value) in ordered(fields) {
                    self.outline_at(indent, key, &[path, &[key]].concat(), value, written);
                }
            }
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    let position = i.to_string();
                    let path = [path, &[&position]].concat();
                    match (item, inline(&path, item, written)) {
                        (Value::String(text), inline) if name.ends_with("_say") || inline.is_none() => {
                            self.quote(indent, text);
                        }
                        (_, Some(text)) => self.line(&format!("{:indent$}- {text}", "")),
                        (_, None) => self.outline_at(indent, &format!("{}", i + 1), &path, item, written),
                    }
                }
            }
            Value::String(text) => self.quote(indent, text),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// What a reader wants to know first stands first; JSON itself has no order.
const FIRST: &[&str] = &[
    "pause",
    "result",
    "verdict",
    "effect",
    "ci",
    "p_running",
    "conflicts",
    "build",
    "hypothesis",
    "title_says",
    "summary_says",
    "statement_says",
    "mechanism_says",
    "intervention",
    "intervention_says",
    "finding",
    "commit",
    "base",
    "scope",
    "is_clean",
    "counts",
    "plan",
    "score",
];

/// The fields in the order in which they are shown.
pub fn ordered(fields: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut fields: Vec<_> = fields.iter().collect();
    fields.sort_by_key(|(key, _)| FIRST.iter().position(|first| first == key).unwrap_or(FIRST.len()));
    fields
}

/// A value that fits on a line.
fn inline(path: &[&str], value: &Value, written: Written<'_>) -> Option<String> {
    let scalar = |path: &[&str], value: &Value| match value {
        // Many spaces in a row could push what follows to the beginning of a line.
        Value::String(text) => (!text.contains('\n') && !text.contains("   ")).then(|| safe(text)),
        Value::Array(_) | Value::Object(_) => None,
        Value::Number(number) => Some(match (number.as_f64(), number.as_u64()) {
            // Digits beyond the eighth are noise of floating point; `--json` has them all.
            (Some(value), _) if number.is_f64() => written(path, value).unwrap_or_else(|| significant(value, 8)),
            (_, Some(n)) if path.last().is_some_and(|name| name.starts_with("n_")) => count(n),
            _ => number.to_string(),
        }),
        other => Some(other.to_string()),
    };
    let joined = match value {
        Value::Array(items) => items.iter().map(|item| scalar(path, item)).collect::<Option<Vec<_>>>()?.join(", "),
        Value::Object(fields) if fields.keys().any(|key| key.ends_with("_says")) => return None,
        Value::Object(fields) if fields.contains_key("is_symlink") => return change(fields),
        Value::Object(fields) => ordered(fields)
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| scalar(&[path, &[key]].concat(), value).map(|text| format!("{} {text}", safe(key))))
            .collect::<Option<Vec<_>>>()?
            .join(", "),
        other => scalar(path, other)?,
    };
    (joined.chars().count() <= MAX_INLINE).then_some(joined)
}

/// An entry of the difference between two commits: `renamed src/b from src/a`, `added link (link to ../c)`.
fn change(fields: &Map<String, Value>) -> Option<String> {
    let text = |key: &str| fields.get(key).and_then(Value::as_str).map(safe);
    let is = |key: &str| fields.get(key).and_then(Value::as_bool).unwrap_or(false);
    let mut out = format!("{} {}", text("kind")?, text("path")?);
    if let Some(old) = text("old_path") {
        out.push_str(&format!(" from {old}"));
    }
    if is("is_symlink") {
        out.push_str(&format!(" (link to {})", text("symlink_target").unwrap_or_else(|| "?".to_owned())));
    }
    if is("is_submodule") {
        out.push_str(" (submodule: its content was not checked)");
    }
    if let (Some(old), Some(new)) = (text("old_mode"), text("new_mode"))
        && old != new
    {
        out.push_str(&format!(" (mode {old} -> {new})"));
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_of_a_value_is_lost() {
        let long = "word ".repeat(40);
        let mut page = Page::new(false, false, None);
        let value = json!({ "verdict": { "reason": long, "n": 3, "p": 0.1 + 0.2 }, "list": [long, "short"],
            "title_says": "quoted", "nothing": [], "deep": { "list": [{ "a": [1, 2], "b": { "c": "d   e" } }] } });
        page.outline(2, "facts", &value, &as_they_are);
        let text = page.finish();
        assert_eq!(text.matches("word").count(), 80, "{text}");
        for part in ["- short", "│ quoted", "nothing: none", "p: 0.3\n", "n: 3", "a: 1, 2", "│ d   e"] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
    }

    #[test]
    fn a_figure_knows_where_it_stands() {
        let written =
            |path: &[&str], x: f64| (path == ["facts", "list", "1", "share"]).then(|| format!("{} %", x * 100.0));
        let mut page = Page::new(false, false, None);
        let value = json!({ "list": [{ "share": 0.25 }, { "share": 0.5, "n_units": 12_345 }], "share": 0.75 });
        page.outline(2, "facts", &value, &written);
        let text = page.finish();
        for part in ["- share 0.25\n", "share 50 %", "n_units 12,345", "share: 0.75"] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
    }
}
