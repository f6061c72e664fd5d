//! Answers of status 200 that are not what they should be: absent is not zero, and what is new is ignored.

use outcome_core::Code;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use super::Subject;

pub(super) async fn all(subject: &Subject) {
    takes_what_is_new_or_quoted(subject).await;
    reads_nothing_from_what_is_no_number(subject).await;
    refuses_what_is_no_answer(subject).await;
}

/// A field beside every other.
fn with_new_fields(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut out: serde_json::Map<_, _> =
                map.iter().map(|(key, value)| (key.clone(), with_new_fields(value))).collect();
            // A map of names or days to values, as of labels, has texts or numbers only, or begins its keys with a digit: a new key
            // would mean something there.
            let is_open = map.values().all(|value| value.is_string() || value.is_number())
                || map.keys().all(|key| key.starts_with(|c: char| c.is_ascii_digit()));
            if !is_open || map.is_empty() {
                out.insert("brand_new".to_owned(), json!({ "kind": "SOMETHING_ELSE", "of": [1, null] }));
            }
            Value::Object(out)
        }
        Value::Array(items) => items.iter().map(with_new_fields).collect(),
        other => other.clone(),
    }
}

/// The answer with another number in it.
pub(crate) fn with(value: &Value, pointer: &str, number: Value) -> Value {
    let mut out = value.clone();
    if let Some(place) = out.pointer_mut(pointer) {
        *place = number;
    }
    out
}

/// The answer without the number.
pub(crate) fn without(value: &Value, pointer: &str) -> Value {
    let mut out = value.clone();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match out.pointer_mut(parent) {
        Some(Value::Object(map)) => {
            map.remove(key);
        }
        Some(Value::Array(items)) => {
            let index: usize = key.parse().unwrap();
            if index < items.len() {
                items.remove(index);
            }
        }
        _ => {}
    }
    out
}

async fn takes_what_is_new_or_quoted(subject: &Subject) {
    let server = subject.stand_in_that(with_new_fields).await;
    assert_eq!(subject.level_at(&server.uri()).await, Ok(subject.level), "{}: fields that are new", subject.kind);

    let pointer = subject.number;
    let quoted = move |value: &Value| match value.pointer(pointer) {
        Some(Value::Number(number)) => with(value, pointer, Value::from(number.to_string())),
        Some(Value::String(text)) => with(value, pointer, serde_json::from_str(text).unwrap()),
        _ => value.clone(),
    };
    let server = subject.stand_in_that(quoted).await;
    assert_eq!(subject.level_at(&server.uri()).await, Ok(subject.level), "{}: in quotes or without", subject.kind);
}

async fn reads_nothing_from_what_is_no_number(subject: &Subject) {
    let pointer = subject.number;
    for wrong in [Value::Null, json!("NaN"), json!("+Inf"), json!("s3cret row"), json!(["s3cret row"]), json!(true)] {
        let replaced = wrong.clone();
        let server = subject.stand_in_that(move |value| with(value, pointer, replaced.clone())).await;
        let error = subject.error_at(&server.uri()).await;
        assert_eq!(error.code(), Code::SignalShape, "{}: {wrong}: {error}", subject.kind);
        assert!(!format!("{error:?}").contains("s3cret row"), "{error:?}");
    }
    let server = subject.stand_in_that(move |value| without(value, pointer)).await;
    let error = subject.error_at(&server.uri()).await;
    assert_eq!(error.code(), Code::SignalShape, "{}: {error}", subject.kind);
    assert!(error.to_string().contains(subject.missing), "{}: {error}", subject.kind);

    let empty = subject.empty.clone();
    let server = subject.stand_in_that(move |_| empty.clone()).await;
    let error = subject.error_at(&server.uri()).await;
    assert_eq!(error.code(), Code::SignalShape, "{}: nothing is not zero: {error}", subject.kind);
}

/// What is answered instead of a good answer.
type Spoiled = fn(Value) -> ResponseTemplate;

async fn refuses_what_is_no_answer(subject: &Subject) {
    let cases: [(&str, Spoiled, &str); 8] = [
        ("a page", |_| ResponseTemplate::new(200).set_body_raw("<html>Sign in</html>", "text/html"), "a web page"),
        ("a page as JSON", |_| ResponseTemplate::new(200).set_body_raw("<html>", "application/json"), "a web page"),
        ("no object", |_| ResponseTemplate::new(200).set_body_json(json!({})), "is missing"),
        ("null", |_| ResponseTemplate::new(200).set_body_json(Value::Null), ""),
        ("a list", |_| ResponseTemplate::new(200).set_body_json(json!([])), ""),
        ("nothing", |_| ResponseTemplate::new(200), "it is empty"),
        (
            "the first half",
            |value| {
                let text = value.to_string();
                let half: String = text.chars().take(text.len() / 2).collect();
                ResponseTemplate::new(200).set_body_raw(half, "application/json")
            },
            "it ends in the middle",
        ),
        (
            "too much",
            |_| ResponseTemplate::new(200).set_body_raw(vec![b' '; 2 * 1024 * 1024], "application/json"),
            "it is larger than 1048576 bytes",
        ),
    ];
    for (name, answer, expected) in cases {
        let server = subject.stand_in_with(answer).await;
        let error = subject.error_at(&server.uri()).await;
        assert_eq!(error.code(), Code::SignalShape, "{}: {name}: {error}", subject.kind);
        assert!(error.to_string().contains(expected), "{}: {name}: {error}", subject.kind);
        assert!(!error.to_string().contains("Sign in"), "{error}");
        assert_eq!(subject.n_asked(&server).await, 1, "{}: {name}: asked again", subject.kind);
    }
}
