//! Arguments: models spell them in many ways. The published schema stays flat and strict; what arrives is brought into its
//! shape first (aliases, camelCase, numbers in quotes, a list as text), then checked against that same schema.

use rmcp::model::{CallToolRequestParams, JsonObject};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use outcome_core::config::did_you_mean;

use crate::answer::Failure;
use crate::budget;
use crate::tools::ToolSpec;

/// Largest arguments of a call, in bytes.
const MAX_BYTES: usize = 200_000;

/// The arguments of a call in the tool's own type.
///
/// # Errors
/// A failure that names what is wrong, what is valid, and shows a call that works.
pub(crate) fn parse<T: DeserializeOwned>(spec: &ToolSpec, raw: Option<JsonObject>) -> Result<T, Failure> {
    let raw = raw.unwrap_or_default();
    let schema: &Value = &spec.input;
    let again = |known: &JsonObject| open_call(schema, known);
    if raw.iter().map(|(key, value)| key.len() + budget::size(value)).sum::<usize>() > MAX_BYTES {
        return Err(Failure::invalid(format!("the arguments are larger than {MAX_BYTES} bytes"))
            .hint("shorten the texts; long texts are cut before a human reads them")
            .next(spec.name, again(&Map::new())));
    }
    let Shaped { given, problems, .. } = shape(&raw, schema, spec.aliases);
    if let Some(first) = problems.first() {
        let mut failure = Failure::invalid(first.text.clone()).hint(format!("valid arguments: {}", signature(schema)));
        if problems.len() > 1 {
            let more: Vec<Value> =
                problems.iter().skip(1).take(8).map(|problem| Value::from(problem.text.as_str())).collect();
            failure = failure.with("more_problems", more);
        }
        return Err(failure.next(spec.name, again(&given)));
    }
    serde_json::from_value(Value::Object(given.clone())).map_err(|error| {
        Failure::invalid(format!("the arguments cannot be read: {error}"))
            .hint(format!("valid arguments: {}", signature(schema)))
            .next(spec.name, again(&Map::new()))
    })
}

/// A call with what is known, and a placeholder for each argument that is needed and missing: nothing in it is invented.
fn open_call(schema: &Value, known: &JsonObject) -> Value {
    let mut call: JsonObject = known
        .iter()
        .filter(|(_, value)| budget::size(value) <= 200)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    for name in required(schema) {
        if !call.contains_key(name) {
            let property = schema.get("properties").and_then(|known| known.get(name)).unwrap_or(&Value::Null);
            call.insert(name.to_owned(), placeholder(name, property));
        }
    }
    Value::Object(call)
}

/// What stands for a value that only the caller knows.
fn placeholder(name: &str, property: &Value) -> Value {
    let open = match property.get("enum") {
        Some(valid) => format!("<{}>", one_of(valid).replace(", ", " | ")),
        None => format!("<{}>", name.replace('_', " ")),
    };
    match property.get("type").and_then(Value::as_str) {
        Some("array") => Value::from(vec![open]),
        _ => Value::from(open),
    }
}

/// Whether a text is a placeholder that was sent back.
fn is_placeholder(text: &str) -> bool {
    let inner = text.trim().strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    inner.is_some_and(|inner| !inner.is_empty() && inner.len() <= 120 && !inner.contains(['<', '>', '/', '=']))
}

/// A call whose arguments some clients write in a shape of their own: an empty list for none, or the object as a text.
pub(crate) fn mended(params: &Value) -> Option<CallToolRequestParams> {
    let mut params = params.clone();
    let arguments = params.get_mut("arguments")?;
    let object = match &*arguments {
        Value::Array(items) if items.is_empty() => Map::new(),
        Value::String(text) if text.trim().is_empty() => Map::new(),
        Value::String(text) => serde_json::from_str(text).ok()?,
        _ => return None,
    };
    *arguments = Value::Object(object);
    serde_json::from_value(params).ok()
}

/// The arguments that no tool has and that were dropped: clients add some of their own.
pub(crate) fn ignored(spec: &ToolSpec, raw: Option<&JsonObject>) -> Vec<String> {
    raw.map(|raw| shape(raw, &spec.input, spec.aliases).ignored).unwrap_or_default()
}

/// Words of arguments with which agents try to end a gate.
const DECIDING: [&str; 7] = ["verdict", "approve", "approved", "decision", "decide", "signature", "passphrase"];

/// The first argument that would decide something, if the tool had it.
pub(crate) fn deciding(spec: &ToolSpec, raw: Option<&JsonObject>) -> Option<&'static str> {
    let keys: Vec<String> = raw?.keys().map(|key| snake_case(key)).collect();
    let schema: &Value = &spec.input;
    let is_known = |word: &str| schema.get("properties").is_some_and(|known| known.get(word).is_some());
    DECIDING.into_iter().find(|word| keys.iter().any(|key| key == word) && !is_known(word))
}

/// What is wrong with one argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArgProblem {
    /// The argument's name in the schema, or as it was given where the schema has none.
    pub(crate) argument: String,
    /// The sentence.
    pub(crate) text: String,
}

/// Arguments in the shape of a schema.
#[derive(Debug, Default)]
pub(crate) struct Shaped {
    /// The given values under the schema's names and types.
    pub(crate) given: JsonObject,
    /// Every problem.
    pub(crate) problems: Vec<ArgProblem>,
    /// Names that the schema does not have, nor one that is near.
    pub(crate) ignored: Vec<String>,
}

/// Brings arguments into the shape of a schema.
pub(crate) fn shape(raw: &JsonObject, schema: &Value, aliases: &[(&str, &str)]) -> Shaped {
    let problem = |argument: &str, text: String| ArgProblem { argument: argument.to_owned(), text };
    let empty = Map::new();
    let known = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    let (mut given, mut problems, mut ignored) = (Map::new(), Vec::new(), Vec::new());
    for (key, value) in raw {
        if is_absent(value) {
            continue;
        }
        let snake = snake_case(key);
        let alias = aliases.iter().find(|(from, _)| *from == snake).map(|(_, to)| *to);
        let name = if known.contains_key(&snake) { snake.as_str() } else { alias.unwrap_or(snake.as_str()) };
        if name.is_empty() {
            continue;
        }
        let Some(property) = known.get(name) else {
            match did_you_mean(&snake, known.keys().map(String::as_str)) {
                Some(near) => {
                    let text = format!("there is no argument `{}`: did you mean `{near}`?", shown(key));
                    problems.push(problem(&shown(key), text));
                }
                None if DECIDING.contains(&snake.as_str()) => {
                    problems.push(problem(&shown(key), format!("there is no argument `{}`", shown(key))));
                }
                None => ignored.push(shown(key)),
            }
            continue;
        };
        let is_exact = key == name;
        if given.contains_key(name) && !is_exact {
            continue;
        }
        match coerce(value, property) {
            Ok(value) => {
                given.insert(name.to_owned(), value);
            }
            Err(wanted) => problems.push(problem(name, format!("`{name}` must be {wanted}"))),
        }
    }
    for name in required(schema) {
        if !given.contains_key(name) && !problems.iter().any(|problem| problem.argument == name) {
            problems.push(problem(name, format!("`{name}` is missing")));
        }
    }
    Shaped { given, problems, ignored }
}

/// What clients put where a model gave nothing.
fn is_absent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => matches!(text.trim(), "" | "null" | "undefined"),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// `experimentId` and `experiment-id` are `experiment_id`.
fn snake_case(key: &str) -> String {
    let mut out = String::new();
    for c in key.trim().chars().take(80) {
        if c.is_ascii_uppercase() {
            if !out.is_empty() && !out.ends_with('_') {
                out.push('_');
            }
            out.push(c.to_ascii_lowercase());
        } else if c == '-' || c == ' ' {
            out.push('_');
        } else {
            out.push(c);
        }
    }
    out
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && *c != '`').take(40).collect()
}

/// The value in the type of its property, or what it must be.
fn coerce(value: &Value, property: &Value) -> Result<Value, String> {
    let wanted = property.get("type").and_then(Value::as_str).unwrap_or_default();
    match (wanted, value) {
        (_, Value::String(text)) if is_placeholder(text) && wanted != "array" => {
            Err(format!("a real value: `{}` is a placeholder", shown(text)))
        }
        ("string", Value::String(text)) => text_value(text, property),
        ("string", Value::Number(_) | Value::Bool(_)) => text_value(&value.to_string(), property),
        // Some agents hand in a context object where words are asked for: the human reads it as it is.
        ("string", Value::Object(_)) if property.get("enum").is_none() => Ok(Value::from(value.to_string())),
        ("string", _) => Err(match property.get("enum") {
            Some(valid) => format!("one of {}", one_of(valid)),
            None => "a text".to_owned(),
        }),
        ("integer", _) => integer(value, property),
        ("number", Value::Number(_)) => Ok(value.clone()),
        ("number", Value::String(text)) => text
            .trim()
            .parse::<f64>()
            .ok()
            .and_then(|number| serde_json::Number::from_f64(number).map(Value::Number))
            .ok_or_else(|| "a number".to_owned()),
        ("boolean", Value::Bool(_)) => Ok(value.clone()),
        ("boolean", Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true.into()),
        ("boolean", Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(false.into()),
        ("boolean", _) => Err("true or false".to_owned()),
        ("array", Value::Array(items)) => list(items, property),
        ("array", Value::String(text)) => match serde_json::from_str::<Value>(text) {
            Ok(Value::Array(items)) => list(&items, property),
            Ok(item @ Value::Object(_)) => list(&[item], property),
            _ => list(std::slice::from_ref(value), property),
        },
        ("array", single @ (Value::Object(_) | Value::Number(_))) => list(std::slice::from_ref(single), property),
        ("object", Value::Object(_)) => Ok(value.clone()),
        ("number" | "array" | "object", _) => Err(format!("a{} {wanted}", if wanted == "number" { "" } else { "n" })),
        _ => Ok(value.clone()),
    }
}

fn text_value(text: &str, property: &Value) -> Result<Value, String> {
    let Some(valid) = property.get("enum") else { return Ok(Value::from(text)) };
    let wanted = snake_case(text);
    valid
        .as_array()
        .into_iter()
        .flatten()
        .find(|item| {
            item.as_str().is_some_and(|item| item.eq_ignore_ascii_case(text.trim()) || item == wanted.as_str())
        })
        .cloned()
        .ok_or_else(|| format!("one of {}, not `{}`", one_of(valid), shown(text)))
}

fn integer(value: &Value, property: &Value) -> Result<Value, String> {
    let found = match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(whole)),
        Value::String(text) => text.trim().parse::<i64>().ok(),
        _ => None,
    };
    let number = found.ok_or_else(|| "a whole number".to_owned())?;
    let bound = |key: &str| property.get(key).and_then(Value::as_i64);
    Ok(number.clamp(bound("minimum").unwrap_or(i64::MIN), bound("maximum").unwrap_or(i64::MAX)).into())
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn whole(number: f64) -> Option<i64> {
    (number.fract().abs() < f64::EPSILON && number.abs() < 9e15).then_some(number as i64)
}

fn list(items: &[Value], property: &Value) -> Result<Value, String> {
    let item_type = property.get("items").unwrap_or(&Value::Null);
    // Objects are taken apart by their tool, which names each problem in each of them.
    items
        .iter()
        .filter(|item| !item.is_null())
        .map(|item| if item_type.get("properties").is_some() { Ok(item.clone()) } else { coerce(item, item_type) })
        .collect::<Result<Vec<_>, _>>()
        .map(Value::Array)
        .map_err(|wanted| format!("a list, each item {wanted}"))
}

fn one_of(valid: &Value) -> String {
    valid.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

/// `experiment_id (string, required), detail (concise | full)`.
fn signature(schema: &Value) -> String {
    let must: Vec<&str> = required(schema).collect();
    let properties = schema.get("properties").and_then(Value::as_object);
    let named = properties.into_iter().flatten().map(|(name, property)| {
        let kind = match property.get("enum") {
            Some(valid) => one_of(valid).replace(", ", " | "),
            None => property.get("type").and_then(Value::as_str).unwrap_or("any").to_owned(),
        };
        let needed = if must.contains(&name.as_str()) { ", required" } else { "" };
        format!("{name} ({kind}{needed})")
    });
    let shown = named.collect::<Vec<_>>().join(", ");
    if shown.is_empty() { "none".to_owned() } else { shown }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shaped(raw: Value) -> (JsonObject, Vec<String>) {
        let Shaped { given, problems, .. } = shaped_of(raw);
        (given, problems.into_iter().map(|problem| problem.text).collect())
    }

    fn shaped_of(raw: Value) -> Shaped {
        let schema = json!({
            "properties": {
                "experiment_id": { "type": "string" },
                "detail": { "type": "string", "enum": ["concise", "full"] },
                "limit": { "type": "integer", "minimum": 1, "maximum": 20 },
                "paths": { "type": "array", "items": { "type": "string" } },
                "is_on": { "type": "boolean" },
            },
            "required": ["experiment_id"],
        });
        let aliases = [("id", "experiment_id"), ("experiment", "experiment_id"), ("workspace_id", "")];
        shape(raw.as_object().unwrap(), &schema, &aliases)
    }

    #[test]
    fn the_usual_spellings_of_an_argument_are_understood() {
        for key in ["id", "experiment", "experimentId", "experiment-id", "ExperimentId", "experiment_id"] {
            let (given, problems) = shaped(json!({ key: "a" }));
            assert_eq!((given["experiment_id"].clone(), problems), (json!("a"), vec![]), "{key}");
        }
    }

    #[test]
    fn values_come_in_their_type() {
        let (given, problems) = shaped(json!({
            "id": 7, "detail": "FULL", "limit": "500", "paths": "[\"a\", \"b\"]", "is_on": "True", "workspace_id": "x",
        }));
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(
            Value::Object(given),
            json!({ "experiment_id": "7", "detail": "full", "limit": 20, "paths": ["a", "b"], "is_on": true })
        );
    }

    #[test]
    fn what_a_client_adds_is_dropped_and_named_and_what_it_leaves_empty_is_absent() {
        let found = shaped_of(json!({
            "id": "a", "task_progress": "- [ ] x", "sessionId": "7", "limit": "", "paths": [], "detail": "null", "is_on": "undefined",
        }));
        assert_eq!(found.problems, []);
        assert_eq!(Value::Object(found.given), json!({ "experiment_id": "a" }));
        assert_eq!(found.ignored, ["sessionId", "task_progress"]);
        let (_, problems) = shaped(json!({ "experiment_id": " " }));
        assert_eq!(problems, ["`experiment_id` is missing"]);
    }

    #[test]
    fn a_placeholder_is_refused_and_a_text_with_signs_is_not() {
        let (_, problems) =
            shaped(json!({ "experiment_id": "<experiment id>", "limit": "<limit>", "paths": ["<paths>"] }));
        assert_eq!(
            problems,
            [
                "`experiment_id` must be a real value: `<experiment id>` is a placeholder",
                "`limit` must be a real value: `<limit>` is a placeholder",
                "`paths` must be a list, each item a real value: `<paths>` is a placeholder",
            ]
        );
        for text in ["a < b > c", "<b>bold</b>", "<a href=x>", "<>"] {
            assert_eq!(shaped(json!({ "experiment_id": text })).1, Vec::<String>::new(), "{text}");
        }
        let schema = json!({
            "properties": {
                "experiment_id": { "type": "string" },
                "outcome": { "type": "string", "enum": ["built", "failed"] },
                "paths": { "type": "array", "items": { "type": "string" } },
            },
            "required": ["experiment_id", "outcome", "paths"],
        });
        let known = json!({ "experiment_id": "short-form" });
        assert_eq!(
            open_call(&schema, known.as_object().unwrap()),
            json!({ "experiment_id": "short-form", "outcome": "<built | failed>", "paths": ["<paths>"] })
        );
    }

    #[test]
    fn problems_name_the_argument_and_what_is_valid() {
        let (_, problems) =
            shaped(json!({ "detail": "most", "limit": {}, "paths": [[1]], "path": 1, "verdict": "ship" }));
        assert_eq!(
            problems,
            [
                "`detail` must be one of concise, full, not `most`",
                "`limit` must be a whole number",
                "there is no argument `path`: did you mean `paths`?",
                "`paths` must be a list, each item a text",
                "there is no argument `verdict`",
                "`experiment_id` is missing",
            ]
        );
    }
}
