//! From the tree to typed files. Unlike serde's own way, reading goes on after a mistake: what cannot be used is
//! reported and left out, so that one run shows all of them.

use std::collections::BTreeMap;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value as Json;

use super::diagnostic::Problem;
use super::field::Field;
use super::node::{Node, Value, shown};
use super::reporter::Reporter;
use super::span::Span;
use crate::domain::{Period, Slug};

/// A type that can be read from a node.
pub trait Decode: Sized + JsonSchema {
    /// What it is, for messages: "a number".
    const WHAT: &'static str;
    /// A value to show where one is missing.
    const EXAMPLE: &'static str;
    /// The keys of a map, or of the maps in a list; none for anything else.
    const KEYS: &'static [Field] = &[];
    /// `None` after a mistake, which is then in the report.
    fn decode(node: &Node, reporter: &mut Reporter<'_>) -> Option<Self>;
    /// The value in one fixed form, by which two files are compared.
    fn to_json(&self) -> Json;
}

/// A value with its place.
#[derive(Debug, Clone)]
pub struct At<T> {
    pub value: T,
    pub span: Span,
}

impl<T> std::ops::Deref for At<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: Decode> Decode for At<T> {
    const WHAT: &'static str = T::WHAT;
    const EXAMPLE: &'static str = T::EXAMPLE;
    const KEYS: &'static [Field] = T::KEYS;
    fn decode(node: &Node, reporter: &mut Reporter<'_>) -> Option<Self> {
        let is_long = reporter.text(node.span).trim_end().contains('\n');
        let span = if is_long { node.anchor() } else { place(node) };
        T::decode(node, reporter).map(|value| Self { value, span })
    }
    fn to_json(&self) -> Json {
        self.value.to_json()
    }
}

/// The value where it fits on a line, else its key.
pub fn place(node: &Node) -> Span {
    match node.value {
        Value::List(_) | Value::Map(_) => node.anchor(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => node.span,
    }
}

/// Says that something else was expected.
pub fn wrong_type(node: &Node, wanted: &str, example: &str, reporter: &mut Reporter<'_>) {
    let problem = Problem::error("config.wrong_type", place(node), format!("expected {wanted}, found {}", node.kind()));
    reporter.push(problem.valid(wanted).help(format!("write it as in `{example}`")));
}

impl Decode for String {
    const WHAT: &'static str = "text";
    const EXAMPLE: &'static str = "...";
    fn decode(node: &Node, reporter: &mut Reporter<'_>) -> Option<Self> {
        match &node.value {
            Value::Text(text) if text.trim().is_empty() => {
                let problem = Problem::error("config.empty", node.anchor(), "this text is empty");
                reporter.push(problem.valid("at least one character").help("write a value, or remove the key"));
                None
            }
            Value::Text(text) => Some(text.clone()),
            Value::Number(_) | Value::Bool(_) => {
                let written =
                    if reporter.is_hidden(node.span) { "...".to_owned() } else { shown(reporter.text(node.span)) };
                let found = format!("expected text, found {}", node.kind());
                let problem = Problem::error("config.wrong_type", node.span, found).valid("text");
                reporter.push(problem.help(format!("put it in quotes: `\"{written}\"`")));
                None
            }
            Value::Null | Value::List(_) | Value::Map(_) => {
                wrong_type(node, Self::WHAT, "\"some text\"", reporter);
                None
            }
        }
    }
    fn to_json(&self) -> Json {
        Json::from(self.as_str())
    }
}

impl Decode for f64 {
    const WHAT: &'static str = "a number";
    const EXAMPLE: &'static str = "0.45";
    fn decode(node: &Node, reporter: &mut Reporter<'_>) -> Option<Self> {
        let problem = match &node.value {
            Value::Number(number) if number.is_finite() => return Some(*number),
            Value::Number(_) => Problem::error("config.not_finite", node.span, "this is not a finite number")
                .help("write a plain number"),
            Value::Text(text) if text.trim().trim_end_matches('%').trim().parse::<Self>().is_ok() => {
                let help = if text.contains('%') {
                    "write a share instead of a percentage: `0.45` is 45 %"
                } else {
                    "remove the quotes"
                };
                Problem::error("config.wrong_type", node.span, "expected a number, found text").help(help)
            }
            Value::Text(text) if text.contains(',') => {
                Problem::error("config.wrong_type", node.span, "expected a number, found text")
                    .help("write decimals with a point: `0.45`")
            }
            Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => {
                wrong_type(node, Self::WHAT, Self::EXAMPLE, reporter);
                return None;
            }
        };
        reporter.push(problem.valid("a finite number, as in `0.45` or `800`"));
        None
    }
    fn to_json(&self) -> Json {
        Json::from(*self)
    }
}

impl Decode for u32 {
    const WHAT: &'static str = "a whole number";
    const EXAMPLE: &'static str = "3";
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
    fn decode(node: &Node, reporter: &mut Reporter<'_>) -> Option<Self> {
        match node.value {
            Value::Number(n) if n.fract() == 0.0 && (0.0..=f64::from(Self::MAX)).contains(&n) => Some(n as Self),
            Value::Number(_) => {
                let problem = Problem::error("config.out_of_range", node.span, "expected a whole number of 0 or more");
                reporter.push(problem.valid("a whole number, 0 or more").help("write a whole number, as in `3`"));
                None
            }
            _ => {
                wrong_type(node, Self::WHAT, Self::EXAMPLE, reporter);
                None
            }
        }
    }
    fn to_json(&self) -> Json {
        Json::from(*self)
    }
}

impl Decode for bool {
    const WHAT: &'static str = "true or false";
    const EXAMPLE: &'static str = "true";
    fn decode(node: &Node, reporter: &mut Reporter<'_>) -> Option<Self> {
        if let Value::Bool(value) = node.value {
            return Some(value);
        }
        wrong_type(node, Self::WHAT, Self::EXAMPLE, reporter);
        None
    }
    fn to_json(&self) -> Json {
        Json::from(*self)
    }
}

/// The text of a node that holds one; else says so.
fn text<'n>(node: &'n Node, what: &str, example: &str, reporter: &mut Reporter<'_>) -> Option<&'n str> {
    if let Value::Text(text) = &node.value {
        return Some(text);
    }
    wrong_type(node, what, example, reporter);
    None
}

impl Decode for Slug {
    const WHAT: &'static str = "a slug";
    const EXAMPLE: &'static str = "checkout-mobile";
    fn decode(node: &Node, reporter: &mut Reporter<'_>) -> Option<Self> {
        let text = text(node, Self::WHAT, Self::EXAMPLE, reporter)?;
        text.parse().map_err(|_| invalid_slug(node.span, text, reporter)).ok()
    }
    fn to_json(&self) -> Json {
        Json::from(self.as_str())
    }
}

fn invalid_slug(span: Span, text: &str, reporter: &mut Reporter<'_>) {
    let problem = Problem::error("config.invalid_slug", span, format!("`{}` is not a slug", shown(text)))
        .valid("1 to 64 lower-case letters, digits and single hyphens");
    reporter.push(problem.help(format!("write `{}`", Slug::from_title(text))));
}

impl Decode for Period {
    const WHAT: &'static str = "a duration";
    const EXAMPLE: &'static str = "6w";
    fn decode(node: &Node, reporter: &mut Reporter<'_>) -> Option<Self> {
        const VALID: &str =
            "a number with a unit (`30m`, `24h`, `7d`, `6w`), or ISO 8601 (`PT4H`, `P6W`), up to 10 years";
        if let Value::Number(_) = node.value {
            let written = shown(reporter.text(node.span));
            let problem = Problem::error("config.invalid_duration", node.span, "this duration has no unit");
            reporter.push(
                problem
                    .valid(VALID)
                    .help(format!("write the unit: `{written}s`, `{written}m`, `{written}h` or `{written}d`")),
            );
            return None;
        }
        let text = text(node, Self::WHAT, Self::EXAMPLE, reporter)?;
        match Self::from_str(text) {
            Ok(period) => Some(period),
            Err(message) => {
                let message = message.split(": ").next().unwrap_or("this is not a duration").to_owned();
                let help = match text.to_ascii_lowercase() {
                    text if text.contains("mo") || text.starts_with('p') && text.contains('m') => {
                        "write weeks: `4w` for a month"
                    }
                    text if text.contains('y') => "write weeks: `52w` for a year",
                    text if text.starts_with('-') => "remove the minus sign",
                    _ => "write it as in `6w`",
                };
                reporter.push(Problem::error("config.invalid_duration", node.span, message).valid(VALID).help(help));
                None
            }
        }
    }
    fn to_json(&self) -> Json {
        Json::from(self.to_string())
    }
}

impl<T: Decode> Decode for Vec<T> {
    const WHAT: &'static str = "a list";
    const EXAMPLE: &'static str = "";
    const KEYS: &'static [Field] = T::KEYS;
    fn decode(node: &Node, reporter: &mut Reporter<'_>) -> Option<Self> {
        let Value::List(items) = &node.value else {
            let wanted = format!("a list of {}", plural(T::WHAT));
            let example = if T::EXAMPLE.is_empty() { "- ..." } else { T::EXAMPLE };
            let problem =
                Problem::error("config.wrong_type", node.anchor(), format!("expected {wanted}, found {}", node.kind()));
            let help = match &node.value {
                Value::Text(text) => format!("write it as a list: `[{}]`", shown(text)),
                _ => format!("write each on its own line after a hyphen: `- {}`", example.trim_start_matches("- ")),
            };
            reporter.push(problem.valid(wanted).help(help));
            return None;
        };
        // An item that cannot be used is left out here; its error keeps the file from being used at all.
        Some(items.iter().filter_map(|item| T::decode(item, reporter)).collect())
    }
    fn to_json(&self) -> Json {
        self.iter().map(Decode::to_json).collect()
    }
}

fn plural(what: &str) -> String {
    let noun = what.strip_prefix("an ").or_else(|| what.strip_prefix("a ")).unwrap_or(what);
    if noun.ends_with('s') { noun.to_owned() } else { format!("{noun}s") }
}

/// Names with short texts, where numbers and `true` are taken as they are written.
#[derive(Debug, Clone, Default)]
pub struct TextMap(pub BTreeMap<String, String>);

impl JsonSchema for TextMap {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TextMap".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "object", "additionalProperties": { "type": ["string", "number", "boolean"] },
        })
    }
}

impl Decode for TextMap {
    const WHAT: &'static str = "a map of names and values";
    const EXAMPLE: &'static str = "platform: mobile";
    fn decode(node: &Node, reporter: &mut Reporter<'_>) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            wrong_type(node, Self::WHAT, Self::EXAMPLE, reporter);
            return None;
        };
        let mut out = BTreeMap::new();
        for (key, value) in entries {
            let text = match &value.value {
                Value::Text(text) => text.clone(),
                Value::Number(_) | Value::Bool(_) => reporter.text(value.span).to_owned(),
                Value::Null | Value::List(_) | Value::Map(_) => {
                    wrong_type(value, "a single value", "platform: mobile", reporter);
                    continue;
                }
            };
            out.insert(key.text.clone(), text);
        }
        Some(Self(out))
    }
    fn to_json(&self) -> Json {
        self.0.iter().map(|(name, value)| (name.clone(), Json::from(value.as_str()))).collect()
    }
}

/// Anything, looked at later.
#[derive(Debug, Clone)]
pub struct Raw(pub Node);

impl JsonSchema for Raw {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Raw".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "object" })
    }
}

impl Decode for Raw {
    const WHAT: &'static str = "a map of keys";
    const EXAMPLE: &'static str = "";
    fn decode(node: &Node, reporter: &mut Reporter<'_>) -> Option<Self> {
        let _ = reporter;
        Some(Self(node.clone()))
    }
    fn to_json(&self) -> Json {
        self.0.to_json()
    }
}
