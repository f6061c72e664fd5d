//! Putting the server into a YAML file of the user's. No YAML editor keeps comments and layout, so the entry is inserted as
//! text and the result read again: if it does not mean what it should, the user gets told what to paste.

use serde_json::Value;

use super::SERVER;
use super::server::{in_order, merged};
use super::trouble::Trouble;

/// The file as a value.
pub(super) fn read(text: &str) -> Result<Value, Trouble> {
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_yaml::from_str(text).map_err(|error: serde_yaml::Error| {
        let problem = error.to_string();
        let problem = format!("it is not YAML: {}", problem.lines().next().unwrap_or_default());
        match error.location() {
            Some(place) => Trouble::at(usize::try_from(place.line()).unwrap_or_default(), problem),
            None => Trouble::new(problem),
        }
    })
}

/// The text with our server beneath the top-level key `at`.
pub(super) fn with_server(text: &str, at: &str, ours: &Value) -> Result<String, Trouble> {
    let old = read(text)?;
    if !matches!(old, Value::Null | Value::Object(_)) {
        return Err(Trouble::new("the file is not a map".to_owned()));
    }
    let known = old.get(at).and_then(|servers| servers.get(SERVER));
    let wanted = merged(known, ours);
    if known == Some(&wanted) {
        return Ok(text.to_owned());
    }
    if known.is_some() {
        return Err(Trouble::new(format!("`{at}.{SERVER}` exists, but with other values")));
    }
    let new = inserted(text, at, ours);
    let mut meant = if old.is_null() { Value::Object(serde_json::Map::new()) } else { old };
    if let Some(all) = meant.as_object_mut() {
        let servers = all.entry(at).or_insert(Value::Null);
        if servers.is_null() {
            *servers = Value::Object(serde_json::Map::new());
        }
        if let Some(servers) = servers.as_object_mut() {
            servers.insert(SERVER.to_owned(), wanted);
        }
    }
    match read(&new) {
        Ok(read) if read == meant => Ok(new),
        _ => Err(Trouble::new("the entry cannot be inserted without changing the rest".to_owned())),
    }
}

/// The text without our server.
pub(super) fn without_server(text: &str, at: &str) -> Result<String, Trouble> {
    let old = read(text)?;
    if old.get(at).and_then(|servers| servers.get(SERVER)).is_none() {
        return Ok(text.to_owned());
    }
    let mut meant = old;
    if let Some(servers) = meant.get_mut(at).and_then(Value::as_object_mut) {
        servers.remove(SERVER);
    }
    let new = cut(text);
    // A map whose last entry went is read as nothing.
    let is_empty = |value: &Value| value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
    let as_meant = |read: &Value| {
        let (found, wanted) = (read.get(at).unwrap_or(&Value::Null), meant.get(at).unwrap_or(&Value::Null));
        let others = |value: &Value| value.as_object().map(|all| all.iter().filter(|(key, _)| *key != at).count());
        (found == wanted || (is_empty(found) && is_empty(wanted))) && others(read) == others(&meant)
    };
    match read(&new) {
        Ok(read) if as_meant(&read) => Ok(new),
        _ => Err(Trouble::new(format!("`{at}.{SERVER}` cannot be removed without changing the rest"))),
    }
}

/// Without the lines of our entry: its key, and what is indented more.
fn cut(text: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut kept = Vec::new();
    let mut inside = None;
    for line in text.lines() {
        if let Some(depth) = inside {
            if line.trim().is_empty() || indent(line) > depth {
                continue;
            }
            inside = None;
        }
        if line.trim_end().trim_start() == format!("{SERVER}:") {
            inside = Some(indent(line));
            continue;
        }
        kept.push(line);
    }
    kept.join("\n") + "\n"
}

fn inserted(text: &str, at: &str, ours: &Value) -> String {
    let key = format!("{at}:");
    let mut lines: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
    let bare = |line: &str| line.split(" #").next().unwrap_or_default().trim_end() == key;
    let (place, indent) = match lines.iter().position(|line| bare(line)) {
        Some(place) => {
            let is_text = |line: &&String| !line.trim().is_empty() && !line.trim_start().starts_with('#');
            let next = lines.iter().skip(place + 1).find(is_text);
            let indent = next.map_or(0, |line| line.len() - line.trim_start().len());
            (place + 1, if indent == 0 { 2 } else { indent })
        }
        None => {
            lines.push(key);
            (lines.len(), 2)
        }
    };
    let pad = " ".repeat(indent);
    let mut entry = vec![format!("{pad}{SERVER}:")];
    if let Value::Object(ours) = ours {
        // JSON is YAML: lists, maps and texts are written in its flow style.
        entry.extend(in_order(ours).into_iter().map(|(key, value)| format!("{pad}{pad}{key}: {}", scalar(value))));
    }
    lines.splice(place..place, entry);
    lines.join("\n") + "\n"
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) if text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') => text.clone(),
        other => other.to_string(),
    }
}
