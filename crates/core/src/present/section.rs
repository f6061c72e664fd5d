//! What people are shown before they decide, as titled lists of facts and tables: data and words, no markup. A front end only
//! lays them out, so that a page and a terminal say the same.
//!
//! **Invariant**: the texts are as they were written, by us or by others. A front end escapes all of them.

use serde_json::Value as Json;

/// How a value is shown.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Our own words and figures.
    Text(String),
    /// Words of an agent or author: quoted and marked.
    Quote(String),
    /// Paths, keys, hashes.
    Code(String),
    /// Several of them.
    Codes(Vec<String>),
}

/// A fact.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What it is.
    pub label: &'static str,
    /// What it says.
    pub value: Value,
}

/// A table with one line of heads.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The names of the columns.
    pub heads: Vec<&'static str>,
    /// The lines, each with a cell for every head.
    pub lines: Vec<Vec<String>>,
}

/// A titled part.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// What it is about.
    pub title: &'static str,
    /// One sentence beneath the title.
    pub intro: Option<String>,
    /// Sentences that must not be overlooked.
    pub warnings: Vec<String>,
    /// The facts, in the order in which they help.
    pub rows: Vec<Row>,
    /// What is best compared side by side.
    pub table: Option<Table>,
    /// What is stored and cannot be shown in parts. A front end that does not show the whole package elsewhere shows it here.
    pub unread: Option<Json>,
}

impl Section {
    /// A section without facts.
    #[must_use]
    pub fn new(title: &'static str) -> Self {
        Self { title, intro: None, warnings: Vec::new(), rows: Vec::new(), table: None, unread: None }
    }

    /// Adds our own words or figures, where there are some.
    pub fn text(&mut self, label: &'static str, value: Option<String>) {
        self.push(label, value.map(Value::Text));
    }

    /// Adds words of others, where there are some.
    pub fn quote(&mut self, label: &'static str, value: Option<&str>) {
        self.push(label, value.map(|text| Value::Quote(text.to_owned())));
    }

    /// Adds a path, a key or a hash, where there is one.
    pub fn code(&mut self, label: &'static str, value: Option<&str>) {
        self.push(label, value.map(|text| Value::Code(text.to_owned())));
    }

    /// Adds several of them, where there are some.
    pub fn codes(&mut self, label: &'static str, values: Vec<String>) {
        self.push(label, (!values.is_empty()).then_some(Value::Codes(values)));
    }

    fn push(&mut self, label: &'static str, value: Option<Value>) {
        self.rows.extend(value.map(|value| Row { label, value }));
    }

    /// The section, unless it says nothing.
    #[must_use]
    pub fn unless_empty(self) -> Option<Self> {
        let is_empty = self.rows.is_empty() && self.table.is_none() && self.warnings.is_empty();
        (!is_empty).then_some(self)
    }
}
