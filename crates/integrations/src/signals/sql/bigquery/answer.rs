//! From pages of rows to a table.

use super::super::engine::{Ask, Class, EngineError, Said};
use super::super::table::{Cell, Table};
use super::wire_types::{Field, Page, Row, Schema};

/// The rows of an answer, page by page.
#[derive(Debug)]
pub(super) struct Collected {
    fields: Vec<Field>,
    rows: Vec<Row>,
    total: usize,
}

impl Collected {
    /// # Errors
    /// When the first page says no columns, or more rows than may be read.
    pub(super) fn begin(page: &Page, ask: Ask<'_>) -> Result<Self, EngineError> {
        let Some(Schema { fields }) = page.schema.clone() else {
            return Err(cut("it names no columns"));
        };
        let total = page.total_rows.as_deref().and_then(|total| total.parse().ok());
        let Some(total) = total else { return Err(cut("it does not say how many rows it has")) };
        if total > usize::try_from(ask.limits.rows).unwrap_or(usize::MAX) {
            return Err(EngineError::TooManyRows);
        }
        Ok(Self { fields, rows: Vec::new(), total })
    }

    pub(super) fn add(&mut self, rows: Vec<Row>) {
        self.rows.extend(rows);
    }

    /// # Errors
    /// When rows are missing, or have other columns than the answer.
    pub(super) fn table(self, ask: Ask<'_>) -> Result<Table, EngineError> {
        let Self { fields, rows, total } = self;
        if rows.len() != total || rows.iter().any(|row| row.f.len() != fields.len()) {
            return Err(cut(&format!("it has {} rows where it says {total}", rows.len())));
        }
        let row = |row: &Row| {
            let cells = fields.iter().zip(&row.f);
            cells
                .map(|(field, value)| if (ask.keep)(&field.name) { cell(&value.v, field) } else { Cell::Ignored })
                .collect()
        };
        let rows = rows.iter().map(row).collect();
        Ok(Table { columns: fields.iter().map(|field| field.name.clone()).collect(), rows })
    }
}

/// An answer of which something is missing.
pub(super) fn cut(problem: &str) -> EngineError {
    Said::new(Class::Value, format!("its answer is not whole: {problem}"))
        .hint("ask again: no part of a cut answer is used")
        .into()
}

/// All values are texts.
fn cell(value: &serde_json::Value, field: &Field) -> Cell {
    let kind = field.kind.as_str();
    let text = match value {
        serde_json::Value::Null => return Cell::Null,
        serde_json::Value::String(text) if !field.mode.eq_ignore_ascii_case("REPEATED") => text,
        _ => return Cell::Other(kind.to_owned()),
    };
    match kind {
        "INTEGER" | "INT64" | "FLOAT" | "FLOAT64" | "NUMERIC" | "BIGNUMERIC" => {
            text.parse().map_or_else(|_| Cell::Text(text.clone()), Cell::Int)
        }
        "STRING" => Cell::Text(text.clone()),
        "BOOLEAN" | "BOOL" => Cell::Bool(text.eq_ignore_ascii_case("true")),
        _ => Cell::Other(kind.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_read_by_their_type() {
        let field = |kind: &str| Field { name: "a".to_owned(), kind: kind.to_owned(), mode: String::new() };
        let of = |value: serde_json::Value, kind: &str| cell(&value, &field(kind));
        assert_eq!(of(json!("9007199254740993"), "INTEGER"), Cell::Int(9_007_199_254_740_993));
        assert_eq!(of(json!("12.340"), "BIGNUMERIC"), Cell::Text("12.340".to_owned()));
        assert_eq!(of(json!("NaN"), "FLOAT"), Cell::Text("NaN".to_owned()));
        assert_eq!(of(json!("12"), "STRING"), Cell::Text("12".to_owned()));
        assert_eq!(of(json!("true"), "BOOLEAN"), Cell::Bool(true));
        assert_eq!(of(json!(null), "INTEGER"), Cell::Null);
        assert_eq!(of(json!({"f": []}), "RECORD"), Cell::Other("RECORD".to_owned()));
        assert_eq!(of(json!("1767225600000000"), "TIMESTAMP"), Cell::Other("TIMESTAMP".to_owned()));
    }
}
