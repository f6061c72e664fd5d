//! A change as a reviewer sees it.

use serde_json::Value;

/// How the descriptions of our reviews begin.
pub(super) const OURS: &str = "Outcome Runtime: ";

/// A change that a person may have to look at.
pub(super) struct Change {
    /// What it is called in Statsig; it says where the gate is put.
    pub(super) title: String,
    /// As the API takes it.
    pub(super) change: Value,
}

impl Change {
    pub(super) fn new(title: &str, change: Value) -> Self {
        Self { title: format!("{OURS}{title}"), change }
    }
}
