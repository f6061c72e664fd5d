//! The contract of the tools that needs no workspace: sizes, shapes, examples.

use serde_json::Value;

use super::*;

fn walk(value: &Value, visit: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(map) => {
            for (key, item) in map {
                visit(key, item);
                walk(item, visit);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        _ => {}
    }
}

#[test]
fn every_alias_leads_to_an_argument() {
    for spec in ALL {
        let schema: &Value = &spec.input;
        for (from, to) in spec.aliases {
            let target = &schema["properties"][*to];
            assert!(to.is_empty() || !target.is_null(), "{}: {from} -> {to}", spec.name);
            assert!(schema["properties"][*from].is_null(), "{}: {from} is an argument", spec.name);
        }
    }
}

#[test]
fn schemas_are_flat_and_plain() {
    for spec in ALL {
        walk(&spec.input, &mut |key, value| {
            let forbidden = ["$ref", "$schema", "$defs", "oneOf", "anyOf", "allOf", "title", "format"];
            assert!(!forbidden.contains(&key) || value.is_object(), "{}: {key}", spec.name);
            assert!(key != "type" || value.is_string() || value.is_object(), "{}: {key}: {value}", spec.name);
        });
        assert_eq!(spec.input["additionalProperties"], false, "{}", spec.name);
    }
}

#[test]
fn the_surface_stays_small() {
    let sizes: Vec<(usize, &str)> =
        ALL.iter().map(|spec| (serde_json::to_string(&listed(spec)).unwrap().len(), spec.name)).collect();
    let total: usize = sizes.iter().map(|(size, _)| size).sum();
    assert!(total <= 8_000, "{total} bytes: {sizes:?}");
    assert!(sizes.iter().all(|(size, _)| *size <= 4_000), "{sizes:?}");
}
