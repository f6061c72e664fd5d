//! What is counted: events, conditions on their properties, and the segment of users.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use crate::signals::api::Count;

/// An event, as the parameter `e` has it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Event {
    pub(super) event_type: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) filters: Vec<Condition>,
}

impl Event {
    pub(super) fn named(name: &str) -> Self {
        Self { event_type: name.to_owned(), filters: Vec::new() }
    }
}

/// A condition on a property of an event.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Condition {
    #[serde(rename = "subprop_type")]
    of: &'static str,
    #[serde(rename = "subprop_key")]
    key: String,
    #[serde(rename = "subprop_op")]
    op: &'static str,
    #[serde(rename = "subprop_value")]
    values: Vec<String>,
}

impl Condition {
    /// The property is one of these values.
    pub(super) fn event(key: &str, values: &[&str]) -> Self {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Self { of: "event", key: key.to_owned(), op: "is", values }
    }
}

/// Users in a funnel.
pub(super) struct Found {
    pub(super) begun: i64,
    pub(super) done: i64,
    pub(super) raw: Vec<Count>,
}

impl Found {
    pub(super) fn counts(&self) -> (i64, i64) {
        (self.begun, self.done)
    }
}

/// The parameter `s`, where a segment is asked for.
pub(super) fn segment(segment: &BTreeMap<String, String>) -> Option<String> {
    let conditions: Vec<_> =
        segment.iter().map(|(key, value)| json!({ "prop": key, "op": "is", "values": [value] })).collect();
    (!conditions.is_empty()).then(|| json!(conditions).to_string())
}
