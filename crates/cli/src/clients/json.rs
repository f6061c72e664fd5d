//! Putting something into a JSON file of the user's: comments, order, unknown keys and layout survive.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstObject, CstRootNode};
use serde_json::{Map, Value};

use super::SERVER;
use super::server::{in_order, merged};
use super::table::{EARLIER_MATCHERS, GUARD};
use super::trouble::Trouble;

/// What clients that allow comments read; nothing looser, since no client would read that.
const OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// The file as a value.
pub(super) fn read(text: &str) -> Result<Value, Trouble> {
    let root = CstRootNode::parse(text, &OPTIONS).map_err(|error| broken(&error))?;
    Ok(root.to_serde_value().unwrap_or_default())
}

/// The text with our server beneath the keys `at`.
pub(super) fn with_server(text: &str, at: &[&str], ours: &Value) -> Result<String, Trouble> {
    let root = parse(text)?;
    let parent = descend(&root, at)?;
    let theirs = parent.get(SERVER);
    let known = theirs.as_ref().and_then(|prop| prop.value()).and_then(|value| value.to_serde_value());
    let wanted = merged(known.as_ref(), ours);
    match theirs {
        Some(_) if known.as_ref() == Some(&wanted) => {}
        Some(prop) => match (prop.object_value(), &wanted) {
            (Some(object), Value::Object(wanted)) => update(&object, wanted),
            _ => prop.set_value(input(&wanted)),
        },
        None => {
            parent.append(SERVER, input(&wanted));
        }
    }
    let new = finished(&root, text);
    let read = read(&new)?;
    let found = at.iter().try_fold(&read, |value, key| value.get(key)).and_then(|servers| servers.get(SERVER));
    if found == Some(&wanted) { Ok(new) } else { Err(twice(at)) }
}

/// The text with our hook in the list beneath the keys `at`, unless the guard is in it already.
pub(super) fn with_hook(text: &str, at: &[&str], ours: &Value, top: &Map<String, Value>) -> Result<String, Trouble> {
    let root = parse(text)?;
    let Some((last, above)) = at.split_last() else { return Ok(text.to_owned()) };
    let object = descend(&root, &[])?;
    for (key, value) in top {
        if object.get(key).is_none() {
            object.insert(0, key, input(value));
        }
    }
    let parent = descend(&root, above)?;
    let list = parent.array_value_or_create(last).ok_or_else(|| misfit(at, "a list"))?;
    let of_guard: Vec<_> = list
        .elements()
        .into_iter()
        .filter(|item| item.to_serde_value().is_some_and(|item| mentions_guard(&item)))
        .collect();
    for matcher in of_guard.iter().filter_map(|item| item.as_object()?.get("matcher")) {
        let known = matcher.value().and_then(|value| value.to_serde_value());
        let is_earlier = known.as_ref().and_then(Value::as_str).is_some_and(|text| EARLIER_MATCHERS.contains(&text));
        if let Some(wanted) = ours.get("matcher").filter(|_| is_earlier) {
            matcher.set_value(input(wanted));
        }
    }
    if of_guard.is_empty() {
        list.ensure_multiline();
        list.append(input(ours));
    }
    let new = finished(&root, text);
    let read = read(&new)?;
    let is_there = at.iter().try_fold(&read, |value, key| value.get(key)).is_some_and(mentions_guard);
    if is_there { Ok(new) } else { Err(twice(at)) }
}

/// Whether nothing is said in it.
pub(super) fn is_hollow(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.iter().all(is_hollow),
        Value::Object(object) => object.values().all(is_hollow),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// The text without our server.
pub(super) fn without_server(text: &str, at: &[&str]) -> Result<String, Trouble> {
    let root = parse(text)?;
    let parent = at.iter().try_fold(root.object_value(), |object, key| Some(object?.object_value(key)));
    if let Some(server) = parent.flatten().and_then(|parent| parent.get(SERVER)) {
        server.remove();
    }
    let new = finished(&root, text);
    let is_left =
        at.iter().try_fold(&read(&new)?, |value, key| value.get(key)).is_some_and(|all| all.get(SERVER).is_some());
    if is_left { Err(twice(at)) } else { Ok(new) }
}

/// The text without our hooks in the list beneath the keys `at`.
pub(super) fn without_hook(text: &str, at: &[&str]) -> Result<String, Trouble> {
    let root = parse(text)?;
    let Some((last, above)) = at.split_last() else { return Ok(text.to_owned()) };
    let parent = above.iter().try_fold(root.object_value(), |object, key| Some(object?.object_value(key)));
    if let Some(list) = parent.flatten().and_then(|parent| parent.array_value(last)) {
        for item in list.elements() {
            if item.to_serde_value().is_some_and(|item| mentions_guard(&item)) {
                item.remove();
            }
        }
    }
    Ok(finished(&root, text))
}

/// A command that starts the guard, somewhere in a hook.
fn mentions_guard(hook: &Value) -> bool {
    match hook {
        Value::Object(object) => object.iter().any(|(key, value)| {
            mentions_guard(value) || (key == "command" && value.as_str().is_some_and(|text| text.contains(GUARD)))
        }),
        Value::Array(list) => list.iter().any(mentions_guard),
        _ => false,
    }
}

fn parse(text: &str) -> Result<CstRootNode, Trouble> {
    CstRootNode::parse(text, &OPTIONS).map_err(|error| broken(&error))
}

fn broken(error: &jsonc_parser::errors::ParseError) -> Trouble {
    Trouble::at(error.line_display(), format!("it is not JSON: {}", error.kind()))
}

/// The object beneath the keys, made where it is missing.
fn descend(root: &CstRootNode, at: &[&str]) -> Result<CstObject, Trouble> {
    let mut object = root.object_value_or_create().ok_or_else(|| misfit(&[], "an object"))?;
    for (depth, key) in at.iter().enumerate() {
        let here = at.get(..=depth).unwrap_or(at);
        object = object.object_value_or_create(key).ok_or_else(|| misfit(here, "an object"))?;
    }
    Ok(object)
}

/// Where a key stands twice, clients read the last one, and we would have changed the first.
fn twice(at: &[&str]) -> Trouble {
    Trouble::new(format!("it contains `{}` twice", at.join(".")))
}

fn misfit(at: &[&str], what: &str) -> Trouble {
    let place = if at.is_empty() { "the file".to_owned() } else { format!("`{}`", at.join(".")) };
    Trouble::new(format!("{place} is not {what}"))
}

/// Changes what differs, and leaves the rest of the object as it stands.
fn update(object: &CstObject, wanted: &Map<String, Value>) {
    for (key, value) in in_order(wanted) {
        match object.get(key) {
            None => {
                object.append(key, input(value));
            }
            Some(prop) => {
                let known = prop.value().and_then(|value| value.to_serde_value());
                if known.as_ref() != Some(value) {
                    match (prop.object_value(), value) {
                        (Some(inner), Value::Object(wanted)) => update(&inner, wanted),
                        _ => prop.set_value(input(value)),
                    }
                }
            }
        }
    }
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(value) => CstInputValue::Bool(*value),
        Value::Number(value) => CstInputValue::Number(value.to_string()),
        Value::String(value) => CstInputValue::String(value.clone()),
        Value::Array(list) => CstInputValue::Array(list.iter().map(input).collect()),
        Value::Object(object) => CstInputValue::Object(
            in_order(object).into_iter().map(|(key, value)| (key.clone(), input(value))).collect(),
        ),
    }
}

fn finished(root: &CstRootNode, old: &str) -> String {
    let mut text = root.to_string();
    if old.trim().is_empty() {
        text = text.trim().to_owned();
    }
    if !text.ends_with('\n') && (old.is_empty() || old.ends_with('\n')) {
        text.push('\n');
    }
    text
}
