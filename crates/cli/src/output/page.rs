//! A page of text for people, put together line by line and written at once.
//!
//! Callers pass text of others through [`super::safe`]; what the helpers here take as a value, they make safe themselves.

use comfy_table::{Attribute, Cell, ContentArrangement, presets};
use serde_json::Value;

use super::{safe, safe_lines};

/// Text for people.
#[derive(Debug)]
pub struct Page {
    text: String,
    is_coloured: bool,
    is_quiet: bool,
    width: Option<u16>,
}

/// Rows under a head.
#[derive(Debug)]
pub struct Table(comfy_table::Table);

impl Table {
    /// A table with this head.
    pub fn new(head: &[&str]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(head.iter().map(|name| Cell::new(name).add_attribute(Attribute::Bold)));
        Self(table)
    }

    /// Adds a row; every cell is made safe.
    pub fn row(&mut self, cells: &[&str]) {
        self.0.add_row(cells.iter().map(|cell| safe(cell)));
    }
}

impl Page {
    pub(super) fn new(is_coloured: bool, is_quiet: bool, width: Option<u16>) -> Self {
        Self { text: String::new(), is_coloured, is_quiet, width }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.is_coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Bold text.
    pub fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }
    /// Faint text.
    pub fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }
    /// For what is well.
    pub fn green(&self, text: &str) -> String {
        self.paint("32", text)
    }
    /// For what should be looked at.
    pub fn yellow(&self, text: &str) -> String {
        self.paint("33", text)
    }
    /// For what is wrong.
    pub fn red(&self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// A line as it is.
    pub fn line(&mut self, text: &str) {
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    /// An empty line.
    pub fn blank(&mut self) {
        self.text.push('\n');
    }

    /// A heading, with an empty line above.
    pub fn head(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.blank();
        }
        let head = self.bold(&safe(text));
        self.line(&head);
    }

    /// `  name   value`.
    pub fn field(&mut self, name: &str, value: &str) {
        let name = self.dim(&format!("{name:<14}"));
        self.line(&format!("  {name} {}", safe(value)));
    }

    /// What somebody else says: never our words, always quoted.
    pub fn quote(&mut self, indent: usize, text: &str) {
        let bar = self.dim("│");
        for line in safe_lines(text, 60) {
            self.line(&format!("{:indent$}{bar} {line}", ""));
        }
    }

    /// A list entry.
    pub fn item(&mut self, text: &str) {
        self.line(&format!("  - {}", safe(text)));
    }

    /// What to do next; left out with `--quiet`.
    pub fn hint(&mut self, text: &str) {
        if !self.is_quiet {
            let line = self.dim(text);
            self.line(&line);
        }
    }

    /// A table, two columns in from the left.
    pub fn table(&mut self, table: Table) {
        let mut table = table.0;
        if self.is_coloured {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        if let Some(width) = self.width {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width.saturating_sub(2).max(60));
        }
        for row in table.to_string().lines() {
            self.line(&format!(" {row}"));
        }
    }

    /// A JSON value as an indented outline; what others say (`*_says`) is quoted.
    pub fn outline(&mut self, indent: usize, name: &str, value: &Value) {
        let label = self.dim(&safe(name));
        match value {
            Value::Null => {}
            Value::String(text) if name.ends_with("_says") || text.contains('\n') => {
                let what = safe(name.strip_suffix("_says").unwrap_or(name));
                let label = self.dim(&format!("{what} (quoted)"));
                self.line(&format!("{:indent$}{label}", ""));
                self.quote(indent + 2, text);
            }
            Value::Array(items) if items.is_empty() => self.line(&format!("{:indent$}{label}: none", "")),
            _ => match inline(value) {
                Some(text) => self.line(&format!("{:indent$}{label}: {text}", "")),
                None => {
                    self.line(&format!("{:indent$}{label}", ""));
                    self.outline_inner(indent + 2, name, value);
                }
            },
        }
    }

    fn outline_inner(&mut self, indent: usize, name: &str, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    self.outline(indent, key, value);
                }
            }
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    match (item, inline(item)) {
                        (Value::String(text), _) if name.ends_with("_say") => self.quote(indent, text),
                        (_, Some(text)) => self.line(&format!("{:indent$}- {text}", "")),
                        (_, None) => self.outline(indent, &format!("{}", i + 1), item),
                    }
                }
            }
            _ => {}
        }
    }
}

/// A value that fits on a line.
fn inline(value: &Value) -> Option<String> {
    let scalar = |value: &Value| match value {
        Value::String(text) => (!text.contains('\n') && text.chars().count() <= 120).then(|| safe(text)),
        Value::Array(_) | Value::Object(_) => None,
        other => Some(other.to_string()),
    };
    let joined = match value {
        Value::Array(items) => items.iter().map(scalar).collect::<Option<Vec<_>>>()?.join(", "),
        Value::Object(fields) if fields.keys().any(|key| key.ends_with("_says")) => return None,
        Value::Object(fields) => fields
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| scalar(value).map(|text| format!("{} {text}", safe(key))))
            .collect::<Option<Vec<_>>>()?
            .join(", "),
        other => return scalar(other),
    };
    (joined.chars().count() <= 110).then_some(joined)
}
