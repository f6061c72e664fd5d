//! The schema of a tool's arguments, from their type: what is published and what is read cannot differ.
//!
//! Clients want it flat and plain (no references, no unions with null), and every byte of it is paid for in each session:
//! what says nothing to a model is left out.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value};

/// The plain schema of `T`, an object whose fields are the arguments.
pub(super) fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    plain(&mut schema);
    schema
}

/// Of an argument whose name says it all: the doc comment of its type is for programmers.
pub(super) fn undescribed(schema: &mut Schema) {
    schema.remove("description");
}

/// Drops what a model gains nothing from, at every depth.
fn plain(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    without_null(map);
    without_width(map);
    for key in ["title", "default", "format"] {
        map.remove(key);
    }
    if map.get("type").is_some_and(|kind| kind == "object") {
        // The doc comment of the type: what it is for is said by the tool.
        map.remove("description");
    }
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        properties.values_mut().for_each(plain);
    }
    if let Some(items) = map.get_mut("items") {
        plain(items);
    }
}

/// An argument that may be absent is left out, not null.
fn without_null(map: &mut Map<String, Value>) {
    if let Some(Value::Array(choices)) = map.remove("anyOf") {
        let chosen = choices.into_iter().find(|choice| choice.get("type").is_none_or(|kind| kind != "null"));
        if let Some(Value::Object(chosen)) = chosen {
            // What the field says of itself goes before what its type says.
            for (key, value) in chosen {
                map.entry(key).or_insert(value);
            }
        }
    }
    if let Some(Value::Array(kinds)) = map.get("type") {
        let kind = kinds.iter().find(|kind| *kind != "null").cloned().unwrap_or_default();
        map.insert("type".to_owned(), kind);
    }
    if let Some(Value::Array(values)) = map.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
}

/// The bounds of a machine's integer say nothing about the argument.
fn without_width(map: &mut Map<String, Value>) {
    let is_unsigned = map.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint"));
    if is_unsigned {
        map.retain(|key, value| !(key == "minimum" && *value == 0 || key == "maximum" && *value == u8::MAX));
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    enum Size {
        Small,
        Large,
    }

    /// Never shown.
    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Args {
        /// Which one
        name: String,
        size: Option<Size>,
        #[schemars(range(min = 1, max = 20))]
        limit: Option<usize>,
        pct: u8,
        #[serde(default)]
        tags: Vec<String>,
    }

    #[test]
    fn a_type_is_a_flat_schema() {
        let expected = json!({
            "type": "object",
            "properties": {
                "name": { "type": "string", "description": "Which one" },
                "size": { "type": "string", "enum": ["small", "large"] },
                "limit": { "type": "integer", "minimum": 1, "maximum": 20 },
                "pct": { "type": "integer" },
                "tags": { "type": "array", "items": { "type": "string" } },
            },
            "required": ["name", "pct"],
            "additionalProperties": false,
        });
        assert_eq!(schema_of::<Args>(), expected);
    }
}
