//! Requests of the JSON interface that can be answered, one of each function and of each of its kinds, and the places where
//! they can be damaged. The property tests and the fuzz targets share them.

use serde_json::Value;

pub fn requests() -> Vec<Value> {
    include_str!("requests.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Every place of a value, as JSON pointers.
pub fn places(value: &Value, path: &str, found: &mut Vec<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, v)| (name.clone(), v)).collect(),
        Value::Array(list) => list.iter().enumerate().map(|(i, v)| (i.to_string(), v)).collect(),
        _ => Vec::new(),
    };
    for (name, value) in inner {
        let path = format!("{path}/{name}");
        places(value, &path, found);
        found.push(path);
    }
}
