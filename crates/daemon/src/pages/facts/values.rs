//! Reading a value of the package by its place.

use serde_json::Value;

pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
}

pub(super) fn number(value: &Value, pointer: &str) -> Option<f64> {
    value.pointer(pointer).and_then(Value::as_f64)
}

pub(super) fn is(value: &Value, pointer: &str) -> Option<bool> {
    value.pointer(pointer).and_then(Value::as_bool)
}

pub(super) fn yes(flag: Option<bool>) -> Option<String> {
    flag.map(|flag| if flag { "yes" } else { "no" }.to_owned())
}

pub(super) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

pub(super) fn strings(value: &Value, pointer: &str) -> Vec<String> {
    list(value, pointer).iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
}

/// An interval with its open sides said.
pub(super) fn interval(value: &Value, pointer: &str, show: fn(f64) -> String) -> Option<String> {
    let found = value.pointer(pointer).filter(|found| found.is_object())?;
    let side = |name: &str, open: &str| number(found, name).map_or_else(|| open.to_owned(), show);
    Some(format!("{} to {}", side("/lower", "no lower end"), side("/upper", "no upper end")))
}
