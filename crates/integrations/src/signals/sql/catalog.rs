//! What could be measured in a database: its tables with their columns, from the catalog. Bounded.

use outcome_core::ports::MetricInfo;

use super::dialect::Dialect;
use super::engine::EngineError;
use super::table::Cell;
use super::{MAX_COLUMNS, MAX_TABLES, SqlSource};

impl SqlSource {
    /// As [`outcome_core::ports::SignalSource::list`].
    pub(super) async fn list_of_columns(&self) -> Result<Vec<MetricInfo>, EngineError> {
        let own = self.engine.columns();
        let columns = own.as_deref().unwrap_or(tables_and_columns(self.engine.dialect()));
        let table = self.ask(columns, &[]).await?;
        let mut out: Vec<MetricInfo> = Vec::new();
        for row in &table.rows {
            let [Cell::Text(table), Cell::Text(column)] = row.as_slice() else {
                continue;
            };
            let (table, column) = (self.redactor.clean(table), self.redactor.clean(column));
            if let Some(last) = out.last_mut()
                && last.name == table
            {
                if last.fields.len() < MAX_COLUMNS {
                    last.fields.push(column);
                }
                continue;
            }
            if out.len() >= MAX_TABLES {
                break;
            }
            out.push(MetricInfo { name: table, fields: vec![column] });
        }
        Ok(out)
    }
}

/// The statement that lists tables and their columns, in this order.
fn tables_and_columns(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => {
            "SELECT CAST(table_schema AS text) || '.' || CAST(table_name AS text) AS t,
                    CAST(column_name AS text) || ' ' || CAST(data_type AS text) AS c
             FROM information_schema.columns WHERE table_schema NOT IN ('pg_catalog', 'information_schema')
             ORDER BY table_schema, table_name, ordinal_position LIMIT 12000"
        }
        Dialect::MySql => {
            "SELECT CONCAT(table_schema, '.', table_name) AS t, CONCAT(column_name, ' ', column_type) AS c
             FROM information_schema.columns WHERE table_schema = DATABASE()
             ORDER BY table_name, ordinal_position LIMIT 12000"
        }
        Dialect::ClickHouse => {
            "SELECT concat(database, '.', table) AS t, concat(name, ' ', type) AS c
             FROM system.columns WHERE database = currentDatabase() ORDER BY database, table, position LIMIT 12000"
        }
        // It names the dataset: see `Engine::columns`.
        Dialect::BigQuery => "SELECT '' AS t, '' AS c LIMIT 0",
        Dialect::Snowflake => {
            "SELECT table_schema || '.' || table_name AS t, column_name || ' ' || data_type AS c
             FROM information_schema.columns WHERE table_schema = CURRENT_SCHEMA()
             ORDER BY table_name, ordinal_position LIMIT 12000"
        }
        Dialect::Sqlite => {
            "SELECT m.name AS t, trim(p.name || ' ' || p.type) AS c
             FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS p
             WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
             ORDER BY m.name, p.cid LIMIT 12000"
        }
    }
}
