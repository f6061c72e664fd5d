//! Answers in the format `JSONCompact`: numbers are read from their text, whether they are quoted or not, so that wide ones stay exact.
//! <https://clickhouse.com/docs/interfaces/formats/JSONCompact>

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::engine::{Ask, Class, EngineError, Said};
use super::super::table::{Cell, Table};
use super::super::wire::Answer;
use super::codes;

/// Set by the server when an answer is an error, whatever its status.
const EXCEPTION: &str = "x-clickhouse-exception-code";
/// Around the text of an error that came after the first rows.
const IN_BAND: &str = "__exception__";

#[derive(Debug, Deserialize)]
struct Body {
    meta: Vec<Column>,
    data: Vec<Vec<Box<RawValue>>>,
    rows: usize,
}

#[derive(Debug, Deserialize)]
struct Column {
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

/// The table of an answer.
///
/// # Errors
/// What the server said, in its headers, trailers, status or at the end of the body; or that the answer is cut.
pub(super) fn table(answer: &Answer, ask: Ask<'_>) -> Result<Table, EngineError> {
    if let Some(error) = failure(answer) {
        return Err(error);
    }
    if answer.body.is_empty() {
        let said = Said::new(Class::Value, "its answer is empty: not even the names of the columns came");
        return Err(said
            .hint("ask again; where it stays so, look into the log of the server and of proxies before it")
            .into());
    }
    let body: Body = answer.json()?;
    if body.rows != body.data.len() || body.data.iter().any(|row| row.len() != body.meta.len()) {
        let problem = format!("its answer has {} rows where it says {}", body.data.len(), body.rows);
        return Err(Said::new(Class::Value, problem).hint("ask again: the answer was cut").into());
    }
    if body.data.len() > usize::try_from(ask.limits.rows).unwrap_or(usize::MAX) {
        return Err(EngineError::TooManyRows);
    }
    let row = |row: &Vec<Box<RawValue>>| {
        let cells = body.meta.iter().zip(row);
        cells
            .map(|(Column { name, kind }, raw)| if (ask.keep)(name) { cell(raw.get(), kind) } else { Cell::Ignored })
            .collect()
    };
    let rows = body.data.iter().map(row).collect();
    Ok(Table { columns: body.meta.iter().map(|column| column.name.clone()).collect(), rows })
}

/// What went wrong, where something did.
pub(super) fn failure(answer: &Answer) -> Option<EngineError> {
    let code = answer.header(EXCEPTION).and_then(|code| code.trim().parse().ok());
    let tail = String::from_utf8_lossy(answer.body.get(answer.body.len().saturating_sub(4096)..).unwrap_or_default());
    let text = match tail.split_once(IN_BAND) {
        Some((_, text)) => text.to_owned(),
        None if code.is_some() || !answer.is_success() => answer.text(),
        None => return None,
    };
    let code = code.or_else(|| codes::code_in(&text));
    Some(match (code, answer.status) {
        (Some(code), _) => codes::error(code, &text),
        (None, 401 | 403) => Said::new(Class::Unauthorized, format!("status {}", answer.status)).into(),
        (None, status @ 500..) => Said::new(Class::Unreachable, format!("status {status}")).into(),
        (None, status) => {
            Said::new(Class::Value, format!("it answers with status {status}, and not as ClickHouse does"))
                .hint("check that `url` is the HTTP interface of ClickHouse, usually at port 8123 or 8443")
                .into()
        }
    })
}

/// A value by its text in the answer and its type.
fn cell(raw: &str, kind: &str) -> Cell {
    let kind = inner(kind);
    let is = |names: &[&str]| names.iter().any(|name| kind.starts_with(name));
    let text = if raw.starts_with('"') { serde_json::from_str::<String>(raw).ok() } else { None };
    match (raw, text) {
        ("null", _) => Cell::Null,
        ("true", _) => Cell::Bool(true),
        ("false", _) => Cell::Bool(false),
        (_, Some(text)) if is(&["String", "FixedString", "Enum"]) => Cell::Text(text),
        (_, Some(text)) if is(&["Int", "UInt", "Decimal", "Float", "BFloat"]) => number(&text),
        (_, None) if is(&["Int", "UInt", "Decimal", "Float", "BFloat"]) => number(raw),
        _ => Cell::Other(kind.to_owned()),
    }
}

/// A number from its digits: whole where it fits, and else the text, which loses none of them.
fn number(digits: &str) -> Cell {
    digits.parse().map_or_else(|_| Cell::Text(digits.to_owned()), Cell::Int)
}

/// The type without what says that it may be NULL or how it is stored.
fn inner(kind: &str) -> &str {
    let wrapped = ["Nullable(", "LowCardinality("].iter().find_map(|name| kind.strip_prefix(name)?.strip_suffix(')'));
    wrapped.map_or(kind, inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_numbers_are_exact_in_both_shapes() {
        for kind in ["Int64", "UInt64", "Nullable(Int64)"] {
            assert_eq!(cell("9007199254740993", kind), Cell::Int(9_007_199_254_740_993), "{kind}");
            assert_eq!(cell("\"9007199254740993\"", kind), Cell::Int(9_007_199_254_740_993), "{kind}");
        }
        let wide = "170141183460469231731687303715884105727";
        assert_eq!(cell(wide, "Int128"), Cell::Text(wide.to_owned()));
        assert_eq!(cell(&format!("\"{wide}\""), "Int128"), Cell::Text(wide.to_owned()));
        assert_eq!(cell("12.340", "Decimal(76, 12)"), Cell::Text("12.340".to_owned()));
    }

    #[test]
    fn values_are_read_by_their_type() {
        assert_eq!(cell("null", "Nullable(Nothing)"), Cell::Null);
        assert_eq!(cell("\"a\\u00e9\"", "LowCardinality(Nullable(String))"), Cell::Text("aé".to_owned()));
        assert_eq!(cell("\"nan\"", "Float64"), Cell::Text("nan".to_owned()));
        assert_eq!(cell("true", "Bool"), Cell::Bool(true));
        assert_eq!(cell("\"2026-01-01\"", "Date"), Cell::Other("Date".to_owned()));
        assert_eq!(cell("[1]", "Array(UInt8)"), Cell::Other("Array(UInt8)".to_owned()));
    }
}
