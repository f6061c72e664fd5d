//! What a database holds, for a proposal of metrics: its tables from the catalog, and a bounded look at rows. Names go into statements in
//! quotes that they cannot close; nothing is cast in a way that a table of the catalog does not allow.

use outcome_core::ports::{ColumnInfo, ColumnKind, CommonValue, SqlEngine, TableInfo, Tables};

use super::dialect::Dialect;
use super::engine::EngineError;
use super::table::{Cell, Table};
use super::{MAX_COLUMNS, MAX_TABLES, SqlSource};

/// Rows whose values are looked at.
const ROWS: u32 = 20_000;
/// Different values that are told.
const VALUES: u32 = 40;

impl SqlSource {
    /// As [`outcome_core::ports::SignalSource::tables`].
    pub(super) async fn tables_of_database(&self) -> Result<Option<Tables>, EngineError> {
        let dialect = self.engine.dialect();
        let Some((engine, columns)) = columns_of_all(dialect) else { return Ok(None) };
        let found = self.ask(columns, &[]).await?;
        Ok(Some(Tables { engine, tables: tables_in(&found, dialect) }))
    }

    /// As [`outcome_core::ports::SignalSource::count_rows`].
    pub(super) async fn rows_of(&self, table: &TableInfo, most: u32) -> Result<i64, EngineError> {
        let from = relation(table, self.engine.dialect());
        let counted =
            self.ask(&format!("SELECT count(*) FROM (SELECT 1 AS one FROM {from} LIMIT {most}) s"), &[]).await?;
        Ok(match counted.rows.first().and_then(|row| row.first()) {
            Some(Cell::Int(n)) => *n,
            _ => 0,
        })
    }

    /// As [`outcome_core::ports::SignalSource::common_values`].
    pub(super) async fn values_of(
        &self,
        table: &TableInfo,
        column: &ColumnInfo,
    ) -> Result<Vec<CommonValue>, EngineError> {
        let dialect = self.engine.dialect();
        let (from, column) = (relation(table, dialect), quoted(&column.name, dialect));
        let text = dialect.text();
        let sql = format!(
            "SELECT v, count(*) AS n FROM (SELECT substr(CAST({column} AS {text}), 1, 100) AS v FROM {from} LIMIT {ROWS}) s \
             WHERE v IS NOT NULL GROUP BY v ORDER BY n DESC, v LIMIT {VALUES}"
        );
        let found = self.ask(&sql, &[]).await?;
        let value = |row: &Vec<Cell>| match row.as_slice() {
            [Cell::Text(text), Cell::Int(n)] => Some(CommonValue { text: self.redactor.clean(text), n: *n }),
            _ => None,
        };
        Ok(found.rows.iter().filter_map(value).collect())
    }
}

/// The statement for schema (empty where a query need not name it), table, column and type of each column; `None` for a warehouse, of
/// which no first file is proposed.
fn columns_of_all(dialect: Dialect) -> Option<(SqlEngine, &'static str)> {
    Some(match dialect {
        Dialect::ClickHouse | Dialect::BigQuery | Dialect::Snowflake => return None,
        Dialect::Postgres => (
            SqlEngine::Postgres,
            "SELECT CASE WHEN table_schema = current_schema() THEN '' ELSE CAST(table_schema AS text) END AS s,
                    CAST(table_name AS text) AS t, CAST(column_name AS text) AS c, CAST(data_type AS text) AS d
             FROM information_schema.columns
             WHERE table_schema NOT IN ('pg_catalog', 'information_schema', 'outcome_runtime')
             ORDER BY table_schema <> current_schema(), table_schema, table_name, ordinal_position LIMIT 12000",
        ),
        Dialect::MySql => (
            SqlEngine::MySql,
            "SELECT '' AS s, CAST(table_name AS CHAR) AS t, CAST(column_name AS CHAR) AS c, CAST(column_type AS CHAR) AS d
             FROM information_schema.columns WHERE table_schema = DATABASE()
             ORDER BY table_name, ordinal_position LIMIT 12000",
        ),
        Dialect::Sqlite => (
            SqlEngine::Sqlite,
            "SELECT '' AS s, m.name AS t, p.name AS c, p.type AS d
             FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS p
             WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
             ORDER BY m.name, p.cid LIMIT 12000",
        ),
    })
}

fn tables_in(found: &Table, dialect: Dialect) -> Vec<TableInfo> {
    let mut out: Vec<TableInfo> = Vec::new();
    for row in &found.rows {
        let [Cell::Text(schema), Cell::Text(name), Cell::Text(column), Cell::Text(kind)] = row.as_slice() else {
            continue;
        };
        let schema = Some(schema.clone()).filter(|schema| !schema.is_empty());
        let column = ColumnInfo { name: column.clone(), kind: kind_of(kind, dialect) };
        if let Some(last) = out.last_mut()
            && last.name == *name
            && last.schema == schema
        {
            if last.columns.len() < MAX_COLUMNS {
                last.columns.push(column);
            }
            continue;
        }
        if out.len() >= MAX_TABLES {
            break;
        }
        out.push(TableInfo { schema, name: name.clone(), columns: vec![column] });
    }
    out
}

/// What a declared type holds. SQLite's are free texts, of which it reads the parts itself: <https://www.sqlite.org/datatype3.html>.
fn kind_of(declared: &str, dialect: Dialect) -> ColumnKind {
    let declared = declared.to_ascii_lowercase();
    let is = |parts: &[&str]| parts.iter().any(|part| declared.contains(part));
    if declared == "tinyint(1)" || is(&["bool"]) {
        ColumnKind::Boolean
    } else if is(&["timestamp", "datetime"]) {
        ColumnKind::Instant
    } else if declared.starts_with("date") {
        ColumnKind::Day
    } else if is(&["uuid"]) {
        ColumnKind::Uuid
    } else if is(&["interval", "point"]) {
        ColumnKind::Other
    } else if is(&["int", "serial"]) {
        ColumnKind::Whole
    } else if is(&["numeric", "decimal", "double", "float", "real", "money"]) {
        ColumnKind::Number
    } else if is(&["char", "text", "clob", "enum", "citext"])
        || (dialect == Dialect::Postgres && declared == "user-defined")
    {
        ColumnKind::Text
    } else {
        ColumnKind::Other
    }
}

fn relation(table: &TableInfo, dialect: Dialect) -> String {
    let name = quoted(&table.name, dialect);
    table.schema.as_ref().map_or_else(|| name.clone(), |schema| format!("{}.{name}", quoted(schema, dialect)))
}

/// The name in quotes, which it cannot close.
fn quoted(name: &str, dialect: Dialect) -> String {
    let quote = dialect.quote();
    let name = name.replace('\0', "").replace(quote, &format!("{quote}{quote}"));
    format!("{quote}{name}{quote}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_types_are_read_for_each_engine() {
        for (declared, dialect, kind) in [
            ("timestamp with time zone", Dialect::Postgres, ColumnKind::Instant),
            ("USER-DEFINED", Dialect::Postgres, ColumnKind::Text),
            ("character varying", Dialect::Postgres, ColumnKind::Text),
            ("uuid", Dialect::Postgres, ColumnKind::Uuid),
            ("interval", Dialect::Postgres, ColumnKind::Other),
            ("bigint unsigned", Dialect::MySql, ColumnKind::Whole),
            ("tinyint(1)", Dialect::MySql, ColumnKind::Boolean),
            ("datetime(6)", Dialect::MySql, ColumnKind::Instant),
            ("date", Dialect::MySql, ColumnKind::Day),
            ("decimal(10,2)", Dialect::MySql, ColumnKind::Number),
            ("INTEGER", Dialect::Sqlite, ColumnKind::Whole),
            ("DATETIME", Dialect::Sqlite, ColumnKind::Instant),
            ("", Dialect::Sqlite, ColumnKind::Other),
        ] {
            assert_eq!(kind_of(declared, dialect), kind, "{declared}");
        }
    }

    #[test]
    fn a_name_cannot_close_its_quotes() {
        assert_eq!(quoted("a\"; DROP TABLE b; --", Dialect::Sqlite), "\"a\"\"; DROP TABLE b; --\"");
        assert_eq!(quoted("a`b", Dialect::MySql), "`a``b`");
    }
}
