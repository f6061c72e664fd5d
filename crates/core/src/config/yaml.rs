//! YAML text as a tree that knows where each node stands. Syntax only; what the keys mean is decided later, so that one
//! run can report everything that is wrong.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::{DuplicateKeyPolicy, Location, NonFiniteFloatPolicy, Spanned};

use super::diagnostic::Problem;
use super::node::{Key, Node, Value, shown};
use super::redact::{has_url_password, is_reference, is_secret_key};
use super::reporter::Reporter;
use super::span::Span;

/// Reads the text; `None` after a syntax error, which is then in the report.
pub fn read(source: &str, reporter: &mut Reporter<'_>) -> Option<Node> {
    match tree(source, DuplicateKeyPolicy::Error) {
        Ok(node) => {
            hide_secrets(&node, reporter);
            Some(node)
        }
        Err(error) if matches!(error.without_snippet(), serde_yaml::Error::DuplicateMappingKey { .. }) => {
            report_duplicates(source, &error, reporter)
        }
        Err(error) => {
            super::syntax::report(source, &error, reporter);
            None
        }
    }
}

/// Reads the text twice, once with the first and once with the last of equal keys: where the two differ, a key stands
/// twice. Returns the tree with the first ones, so that the rest of the file is checked too.
fn report_duplicates(source: &str, error: &serde_yaml::Error, reporter: &mut Reporter<'_>) -> Option<Node> {
    let (Ok(first), Ok(last)) =
        (tree(source, DuplicateKeyPolicy::FirstWins), tree(source, DuplicateKeyPolicy::LastWins))
    else {
        super::syntax::report(source, error, reporter);
        return None;
    };
    hide_secrets(&first, reporter);
    hide_secrets(&last, reporter);
    compare(&first, &last, reporter);
    Some(first)
}

/// Tells the report which places hold secrets, before anything is reported.
fn hide_secrets(node: &Node, reporter: &mut Reporter<'_>) {
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| hide_secrets(item, reporter)),
        Value::Map(entries) => {
            for (key, value) in entries {
                let holds_one = match &value.value {
                    Value::Text(text) if is_secret_key(&key.text) => !is_reference(text),
                    // An address on one line is blanked in part, where the line is shown.
                    Value::Text(text) => has_url_password(text) && reporter.text(value.span).trim().contains('\n'),
                    Value::Number(_) => is_secret_key(&key.text),
                    Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => false,
                };
                if holds_one {
                    reporter.hide(value.span);
                } else {
                    hide_secrets(value, reporter);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
    }
}

fn compare(first: &Node, last: &Node, reporter: &mut Reporter<'_>) {
    match (&first.value, &last.value) {
        (Value::Map(one), Value::Map(other)) => {
            let others: std::collections::HashMap<&str, &(Key, Node)> =
                other.iter().map(|entry| (entry.0.text.as_str(), entry)).collect();
            for (key, node) in one {
                let Some((twin, twin_node)) = others.get(key.text.as_str()) else { continue };
                if twin.span == key.span {
                    compare(node, twin_node, reporter);
                    continue;
                }
                reporter.push(
                    Problem::error(
                        "config.duplicate_key",
                        twin.span,
                        format!("the key `{}` occurs twice", shown(&key.text)),
                    )
                    .here("again here")
                    .also(key.span, "first here")
                    .valid("each key only once in its map")
                    .help("remove one of the two, or merge their values"),
                );
            }
        }
        (Value::List(one), Value::List(other)) => {
            for (a, b) in one.iter().zip(other) {
                compare(a, b, reporter);
            }
        }
        _ => {}
    }
}

fn tree(source: &str, duplicates: DuplicateKeyPolicy) -> Result<Node, serde_yaml::Error> {
    let options = serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_depth: 32,
            max_nodes: 250_000,
            max_events: 600_000,
            max_aliases: 2_000,
            max_anchors: 1_000,
        },
        duplicate_keys: duplicates,
        strict_booleans: true,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        with_snippet: false,
        emit_comments: false,
    };
    let root: Spanned<Raw> = serde_yaml::from_str_with_options(source, options)?;
    Ok(node(root, None))
}

fn node(raw: Spanned<Raw>, key: Option<Span>) -> Node {
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Bool(value) => Value::Bool(value),
        Raw::Number(value) => Value::Number(value),
        Raw::Text(value) => Value::Text(value),
        Raw::List(items) => Value::List(items.into_iter().map(|item| node(item, None)).collect()),
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let span = span(key.defined);
                    (Key { text: key.value, span }, node(value, Some(span)))
                })
                .collect(),
        ),
    };
    Node { span: span(raw.defined), key, value }
}

fn span(location: Location) -> Span {
    let span = location.span();
    let start = span.byte_offset().and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
    let length = span.byte_len().and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
    Span { start, end: start.saturating_add(length.max(1)) }
}

/// As the parser hands it over.
enum Raw {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

#[expect(clippy::cast_precision_loss, reason = "no number of the file needs more than 53 bits")]
impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a YAML value")
    }
    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }
    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Number(value as f64))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Number(value as f64))
    }
    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Number(value as f64))
    }
    fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
        Ok(Raw::Number(value as f64))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Number(value))
    }
    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }
    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}
