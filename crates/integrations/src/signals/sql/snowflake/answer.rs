//! From partitions of rows to a table. All values are texts, described by the types of the first partition.
//! <https://docs.snowflake.com/en/developer-guide/sql-api/handling-responses>

use serde::Deserialize;

use super::super::engine::{Ask, Class, EngineError, Said};
use super::super::table::{Cell, Table};

/// A row.
pub(super) type Row = Vec<Option<String>>;

/// The answer to a statement that has run.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResultSet {
    pub(super) statement_handle: Option<String>,
    #[serde(rename = "resultSetMetaData")]
    pub(super) meta: MetaData,
    #[serde(default)]
    pub(super) data: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MetaData {
    num_rows: usize,
    #[serde(default)]
    partition_info: Vec<PartitionInfo>,
    row_type: Vec<Column>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PartitionInfo {
    row_count: usize,
}

#[derive(Debug, Deserialize)]
struct Column {
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

/// A later partition.
#[derive(Debug, Deserialize)]
pub(super) struct Partition {
    pub(super) data: Vec<Row>,
}

impl MetaData {
    /// How many partitions there are.
    ///
    /// # Errors
    /// When it says more rows than may be read.
    pub(super) fn n_partitions(&self, ask: Ask<'_>) -> Result<usize, EngineError> {
        if self.num_rows > usize::try_from(ask.limits.rows).unwrap_or(usize::MAX) {
            return Err(EngineError::TooManyRows);
        }
        Ok(self.partition_info.len().max(1))
    }

    /// # Errors
    /// When a partition, or all of them together, have other rows than they should.
    pub(super) fn table(&self, partitions: &[Vec<Row>], ask: Ask<'_>) -> Result<Table, EngineError> {
        for (number, (partition, info)) in partitions.iter().zip(&self.partition_info).enumerate() {
            if partition.len() != info.row_count {
                let problem =
                    format!("partition {number} has {} rows where it says {}", partition.len(), info.row_count);
                return Err(cut(&problem));
            }
        }
        let rows: Vec<&Row> = partitions.iter().flatten().collect();
        if rows.len() != self.num_rows || rows.iter().any(|row| row.len() != self.row_type.len()) {
            return Err(cut(&format!("it has {} rows where it says {}", rows.len(), self.num_rows)));
        }
        let row = |row: &&Row| {
            let cells = self.row_type.iter().zip(row.iter());
            cells
                .map(
                    |(column, value)| {
                        if (ask.keep)(&column.name) { cell(value.as_deref(), &column.kind) } else { Cell::Ignored }
                    },
                )
                .collect()
        };
        let rows = rows.iter().map(row).collect();
        Ok(Table { columns: self.row_type.iter().map(|column| column.name.clone()).collect(), rows })
    }
}

/// An answer of which something is missing.
pub(super) fn cut(problem: &str) -> EngineError {
    Said::new(Class::Value, format!("its answer is not whole: {problem}"))
        .hint("ask again: no part of a cut answer is used")
        .into()
}

fn cell(value: Option<&str>, kind: &str) -> Cell {
    let Some(text) = value else { return Cell::Null };
    match kind.to_ascii_lowercase().as_str() {
        "fixed" => text.parse().map_or_else(|_| Cell::Text(text.to_owned()), Cell::Int),
        // The sum of squares of floating-point numbers depends on their order in its last digits.
        "real" | "float" | "double" => {
            text.parse().map_or_else(|_| Cell::Text(text.to_owned()), |number: f64| Cell::Float(rounded(number)))
        }
        "text" => Cell::Text(text.to_owned()),
        "boolean" => Cell::Bool(text.eq_ignore_ascii_case("true") || text == "1"),
        other => Cell::Other(other.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect()),
    }
}

/// To 15 significant digits.
fn rounded(number: f64) -> f64 {
    format!("{number:.14e}").parse().unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_by_their_type() {
        assert_eq!(cell(Some("9007199254740993"), "FIXED"), Cell::Int(9_007_199_254_740_993));
        assert_eq!(cell(Some("12.340"), "fixed"), Cell::Text("12.340".to_owned()));
        assert_eq!(cell(Some("0.30000000000000004"), "real"), Cell::Float(0.3));
        assert!(matches!(cell(Some("NaN"), "real"), Cell::Float(number) if number.is_nan()));
        assert_eq!(cell(Some("12"), "text"), Cell::Text("12".to_owned()));
        assert_eq!(cell(Some("true"), "boolean"), Cell::Bool(true));
        assert_eq!(cell(None, "text"), Cell::Null);
        assert_eq!(cell(Some("18262"), "date"), Cell::Other("date".to_owned()));
    }
}
