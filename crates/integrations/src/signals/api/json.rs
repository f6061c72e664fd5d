//! Reading a JSON answer into a vendor's wire types. What does not fit is told by its path and by the kind of value, never by the value.

use std::fmt;

use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Reads the whole answer.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    if body.trim_ascii().is_empty() {
        return Err("it is empty".to_owned());
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let found = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        problem(&path, error.inner(), body.len())
    })?;
    deserializer.end().map_err(|_| "there is more after its end".to_owned())?;
    Ok(found)
}

/// A value of the answer that was kept as it is, read as `T`.
pub(crate) fn part<T: DeserializeOwned>(path: &str, value: &serde_json::Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let below = error.path().to_string();
        let path = match below.as_str() {
            "." => path.to_owned(),
            below if below.starts_with('[') => format!("{path}{below}"),
            below => format!("{path}.{below}"),
        };
        problem(&path, error.inner(), 0)
    })
}

fn problem(path: &str, error: &serde_json::Error, bytes: usize) -> String {
    if error.is_eof() {
        return format!("it ends in the middle, after {bytes} bytes");
    }
    if error.is_syntax() {
        return format!("it is not JSON at line {}, column {}", error.line(), error.column());
    }
    let text = error.to_string();
    if let Some(field) = text.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
        return format!("`{}` is missing", if path == "." { field.to_owned() } else { format!("{path}.{field}") });
    }
    let place = if path == "." { "it".to_owned() } else { format!("`{path}`") };
    // `invalid type: string "...", expected a number at line 1`: the value stays here.
    let kind = text
        .strip_prefix("invalid type: ")
        .map(|rest| rest.split(['"', '`', ',']).next().unwrap_or_default().trim())
        .filter(|kind| !kind.is_empty());
    let expected = text.rsplit_once(", expected ").map(|(_, expected)| match expected.rfind(" at line ") {
        Some(end) => expected.get(..end).unwrap_or_default(),
        None => expected,
    });
    match (kind, expected) {
        (Some(kind), Some(expected)) => format!("{place} is {kind}, where {expected} is expected"),
        (None, Some(expected)) => format!("{place} is not {expected}"),
        _ => format!("{place} cannot be used"),
    }
}

/// A number as sources write it: a JSON number, or the same in quotes. Null, `NaN` and infinities are no number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Default)]
#[serde(transparent)]
pub(crate) struct Number(pub(crate) Option<f64>);

impl Number {
    /// The whole part of a number within the exact range.
    #[expect(clippy::cast_possible_truncation, reason = "within the exact range")]
    pub(crate) fn whole(self) -> Option<i64> {
        self.0.filter(|value| value.abs() < EXACT).map(|value| value as i64)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OfNumber)
    }
}

struct OfNumber;

impl Visitor<'_> for OfNumber {
    type Value = Number;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a number")
    }
    fn visit_f64<E>(self, value: f64) -> Result<Number, E> {
        Ok(Number(Some(value).filter(|value| value.is_finite())))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Number, E> {
        Ok(Number(Some(value as f64)))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
        Ok(Number(Some(value as f64)))
    }
    fn visit_unit<E>(self) -> Result<Number, E> {
        Ok(Number(None))
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Number, E> {
        let value: f64 = text.trim().parse().map_err(|_| E::custom("a text, expected a number"))?;
        self.visit_f64(value)
    }
}

/// A count: a whole number, or the same in quotes. A fraction is refused, and null is no count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(transparent)]
pub(crate) struct Count(pub(crate) Option<i64>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OfCount)
    }
}

struct OfCount;

/// Beyond this a float does not hold every whole number.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl Visitor<'_> for OfCount {
    type Value = Count;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a count")
    }
    #[expect(clippy::cast_possible_truncation, reason = "a whole number within the exact range")]
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Count, E> {
        match value {
            _ if !value.is_finite() => Ok(Count(None)),
            _ if value.fract() == 0.0 && value.abs() < EXACT => Ok(Count(Some(value as i64))),
            _ => Err(E::custom("a fraction, expected a count")),
        }
    }
    fn visit_i64<E>(self, value: i64) -> Result<Count, E> {
        Ok(Count(Some(value)))
    }
    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Count, E> {
        i64::try_from(value).map(|count| Count(Some(count))).map_err(|_| E::custom("too large, expected a count"))
    }
    fn visit_unit<E>(self) -> Result<Count, E> {
        Ok(Count(None))
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Count, E> {
        let text = text.trim();
        match text.parse::<i64>() {
            Ok(count) => Ok(Count(Some(count))),
            Err(_) => self.visit_f64(text.parse().map_err(|_| E::custom("a text, expected a count"))?),
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Row {
        n: Count,
        value: Number,
    }

    #[derive(Debug, Deserialize)]
    struct Body {
        rows: Vec<Row>,
    }

    #[test]
    fn what_does_not_fit_is_told_by_its_path_and_never_by_its_value() {
        for (text, expected) in [
            ("", "it is empty"),
            ("{\"rows\": [{\"n\": 1", "it ends in the middle, after 17 bytes"),
            ("{\"rows\": nope}", "it is not JSON at line 1, column 11"),
            ("{\"rows\": [{\"n\": NaN, \"value\": 1}]}", "it is not JSON at line 1, column 17"),
            ("{}", "`rows` is missing"),
            ("{\"rows\": [{\"n\": 1}]}", "`rows[0].value` is missing"),
            ("{\"rows\": \"s3cret, expected x\"}", "`rows` is string, where a sequence is expected"),
            ("{\"rows\": [{\"n\": \"s3cret\", \"value\": 1}]}", "`rows[0].n` is not a count"),
            ("{\"rows\": [{\"n\": 1.5, \"value\": 1}]}", "`rows[0].n` is not a count"),
            (
                "{\"rows\": [{\"n\": 1, \"value\": {\"s3cret\": 1}}]}",
                "`rows[0].value` is map, where a number is expected",
            ),
            ("{\"rows\": []} trailing", "there is more after its end"),
        ] {
            let found = read::<Body>(text.as_bytes()).expect_err(text);
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn numbers_are_read_bare_and_quoted_and_what_is_none_is_none() {
        let body = r#"{"rows": [
            {"n": "9007199254740993", "value": "1.5"}, {"n": 9007199254740993, "value": 2}, {"n": 3.0, "value": "NaN"},
            {"n": null, "value": "+Inf"}, {"n": "1e3", "value": null}
        ]}"#;
        let rows = read::<Body>(body.as_bytes()).unwrap().rows;
        let found: Vec<_> = rows.iter().map(|row| (row.n.0, row.value.0)).collect();
        assert_eq!(
            found,
            [
                (Some(9_007_199_254_740_993), Some(1.5)),
                (Some(9_007_199_254_740_993), Some(2.0)),
                (Some(3), None),
                (None, None),
                (Some(1000), None)
            ]
        );
    }
}
