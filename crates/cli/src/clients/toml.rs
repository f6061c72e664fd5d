//! Putting the server into a TOML file of the user's: comments, order and layout survive.

use serde_json::Value;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, value};

use super::SERVER;
use super::server::{in_order, merged};
use super::trouble::Trouble;

/// The file as a value.
pub(super) fn read(text: &str) -> Result<Value, Trouble> {
    let document = parse(text)?;
    Ok(document.as_table().iter().map(|(key, item)| (key.to_owned(), json(item))).collect())
}

/// The text with our server as a table beneath the key `at`.
pub(super) fn with_server(text: &str, at: &str, ours: &Value) -> Result<String, Trouble> {
    let mut document = parse(text)?;
    let mut implicit = Table::new();
    implicit.set_implicit(true);
    let servers = document.entry(at).or_insert(Item::Table(implicit));
    let servers = servers.as_table_like_mut().ok_or_else(|| Trouble::new(format!("`{at}` is not a table")))?;
    let known = servers.get(SERVER).map(json);
    let wanted = merged(known.as_ref(), ours);
    if known.as_ref() == Some(&wanted) {
        return Ok(text.to_owned());
    }
    let Value::Object(wanted) = &wanted else { return Ok(text.to_owned()) };
    let entry = servers.entry(SERVER).or_insert(Item::Table(Table::new()));
    let entry = entry.as_table_like_mut().ok_or_else(|| Trouble::new(format!("`{at}.{SERVER}` is not a table")))?;
    update(entry, in_order(wanted));
    Ok(document.to_string())
}

/// The text without our server.
pub(super) fn without_server(text: &str, at: &str) -> Result<String, Trouble> {
    let mut document = parse(text)?;
    let Some(servers) = document.get_mut(at).and_then(Item::as_table_like_mut) else { return Ok(text.to_owned()) };
    if servers.remove(SERVER).is_none() {
        return Ok(text.to_owned());
    }
    if servers.is_empty() {
        document.remove(at);
    }
    Ok(document.to_string())
}

fn update(entry: &mut dyn TableLike, wanted: Vec<(&String, &Value)>) {
    for (key, wanted) in wanted {
        if entry.get(key).map(json).as_ref() != Some(wanted) {
            entry.insert(key, item(wanted));
        }
    }
}

fn parse(text: &str) -> Result<DocumentMut, Trouble> {
    text.parse().map_err(|error: toml_edit::TomlError| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let problem = format!("it is not TOML: {}", error.message());
        match before {
            Some(before) => Trouble::at(before.matches('\n').count() + 1, problem),
            None => Trouble::new(problem),
        }
    })
}

fn item(from: &Value) -> Item {
    match from {
        Value::Object(object) => {
            let table: InlineTable = object
                .iter()
                .filter_map(|(key, value)| item(value).into_value().ok().map(|value| (key.as_str(), value)))
                .collect();
            value(table)
        }
        Value::Array(list) => {
            let list: Array = list.iter().filter_map(|value| item(value).into_value().ok()).collect();
            value(list)
        }
        Value::String(text) => value(text.as_str()),
        Value::Bool(is) => value(*is),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => value(whole),
            None => value(number.as_f64().unwrap_or_default()),
        },
        Value::Null => Item::None,
    }
}

fn json(item: &Item) -> Value {
    if let Some(table) = item.as_table_like() {
        return table.iter().map(|(key, item)| (key.to_owned(), json(item))).collect();
    }
    if let Some(tables) = item.as_array_of_tables() {
        let table = |table: &Table| -> Value { table.iter().map(|(key, item)| (key.to_owned(), json(item))).collect() };
        return tables.iter().map(table).collect();
    }
    item.as_value().map(json_value).unwrap_or_default()
}

fn json_value(value: &toml_edit::Value) -> Value {
    match value {
        toml_edit::Value::String(text) => Value::from(text.value().as_str()),
        toml_edit::Value::Integer(number) => Value::from(*number.value()),
        toml_edit::Value::Float(number) => Value::from(*number.value()),
        toml_edit::Value::Boolean(is) => Value::from(*is.value()),
        toml_edit::Value::Datetime(at) => Value::from(at.value().to_string()),
        toml_edit::Value::Array(list) => list.iter().map(json_value).collect(),
        toml_edit::Value::InlineTable(table) => {
            table.iter().map(|(key, value)| (key.to_owned(), json_value(value))).collect()
        }
    }
}
