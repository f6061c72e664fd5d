//! The tree that the text is read into; each node knows where it stands.

use super::redact::redact_line;
use super::span::Span;

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub span: Span,
    /// The key it stands under.
    pub key: Option<Span>,
    pub value: Value,
}

/// What YAML knows.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    pub text: String,
    pub span: Span,
}

impl Node {
    /// Where to point when the node as a whole is meant: its key, else its first line.
    #[must_use]
    pub fn anchor(&self) -> Span {
        self.key.unwrap_or_else(|| self.head())
    }

    /// The first thing that is written in it.
    pub fn head(&self) -> Span {
        match &self.value {
            Value::List(items) => items.first().map_or(self.span, Node::head),
            Value::Map(entries) => entries.first().map_or(self.span, |(key, _)| key.span),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => self.span,
        }
    }

    /// What it is, in the words of the messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map of keys",
        }
    }

    /// The same without places.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::from(*value),
            Value::Number(value) => Json::from(*value),
            Value::Text(text) => Json::from(text.as_str()),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => entries.iter().map(|(key, node)| (key.text.clone(), node.to_json())).collect(),
        }
    }

    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }
}

/// At most 60 characters of a text from the file, for a message.
pub fn shown(text: &str) -> String {
    let text: String = text.chars().take(200).collect();
    let clean = redact_line(&text, "");
    if clean.chars().count() > 60 { clean.chars().take(57).chain("...".chars()).collect() } else { clean }
}
