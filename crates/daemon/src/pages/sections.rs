//! The parts of a gate's page: titled lists of facts and tables.

/// How a value is shown.
pub(super) enum Value {
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
pub(super) struct Row {
    pub(super) label: &'static str,
    pub(super) value: Value,
}

/// A table with one line of heads.
pub(super) struct Table {
    pub(super) heads: Vec<&'static str>,
    pub(super) lines: Vec<Vec<String>>,
}

/// A titled part.
pub(super) struct Section {
    pub(super) title: &'static str,
    /// One sentence beneath the title.
    pub(super) intro: Option<String>,
    /// Sentences that must not be overlooked.
    pub(super) warnings: Vec<String>,
    pub(super) rows: Vec<Row>,
    pub(super) table: Option<Table>,
}

impl Section {
    pub(super) fn new(title: &'static str) -> Self {
        Self { title, intro: None, warnings: Vec::new(), rows: Vec::new(), table: None }
    }

    pub(super) fn text(&mut self, label: &'static str, value: Option<String>) {
        self.push(label, value.map(Value::Text));
    }

    pub(super) fn quote(&mut self, label: &'static str, value: Option<&str>) {
        self.push(label, value.map(|text| Value::Quote(text.to_owned())));
    }

    pub(super) fn code(&mut self, label: &'static str, value: Option<&str>) {
        self.push(label, value.map(|text| Value::Code(text.to_owned())));
    }

    pub(super) fn codes(&mut self, label: &'static str, values: Vec<String>) {
        self.push(label, (!values.is_empty()).then_some(Value::Codes(values)));
    }

    fn push(&mut self, label: &'static str, value: Option<Value>) {
        self.rows.extend(value.map(|value| Row { label, value }));
    }

    /// The section, unless it says nothing.
    pub(super) fn unless_empty(self) -> Option<Self> {
        let is_empty = self.rows.is_empty() && self.table.is_none() && self.warnings.is_empty();
        (!is_empty).then_some(self)
    }
}
