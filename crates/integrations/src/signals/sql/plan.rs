//! What a database says about how it would answer a query: which tables it reads whole, and whether an index helps.
//!
//! **Invariant**: only `EXPLAIN`, never `ANALYZE`, which would run the query.

use super::dialect::Dialect;
use super::table::{Cell, Table};

/// The statement in front of a query that asks for its plan.
pub(super) fn explain(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres | Dialect::MySql | Dialect::ClickHouse | Dialect::BigQuery | Dialect::Snowflake => "EXPLAIN",
        Dialect::Sqlite => "EXPLAIN QUERY PLAN",
    }
}

/// How tables are read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Access {
    /// Tables, or their names in the query, that are read from end to end.
    pub(super) full_scans: Vec<String>,
    /// Some table is read through an index.
    pub(super) uses_index: bool,
}

impl Access {
    /// Of the answer to [`explain`].
    pub(super) fn of(dialect: Dialect, table: &Table) -> Self {
        match dialect {
            Dialect::Postgres => Self::in_postgres(&table.lines()),
            Dialect::MySql => Self::in_mysql(table),
            Dialect::Sqlite => Self::in_sqlite(&table.lines()),
            // These say it in their own ways: see `Engine::estimate`.
            Dialect::ClickHouse | Dialect::BigQuery | Dialect::Snowflake => Self::default(),
        }
    }

    /// <https://www.sqlite.org/eqp.html>: `SCAN orders`, `SEARCH e USING INDEX i (a=?)`, `CO-ROUTINE per_unit`.
    fn in_sqlite(lines: &[String]) -> Self {
        let mut found = Self::default();
        // A scan of what the query itself made is no scan of a table.
        let mut own = Vec::new();
        for line in lines {
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("CO-ROUTINE" | "MATERIALIZE"), Some(name)) => own.push(name.to_owned()),
                (Some("SEARCH"), Some(_)) => found.uses_index = true,
                (Some("SCAN"), Some(name)) if name != "CONSTANT" && !own.iter().any(|known| known == name) => {
                    found.note(name);
                }
                _ => {}
            }
        }
        found
    }

    /// <https://www.postgresql.org/docs/current/using-explain.html>: `Seq Scan on orders o  (cost=...)`, `Index Scan using i on e`.
    fn in_postgres(lines: &[String]) -> Self {
        let mut found = Self::default();
        for line in lines {
            if let Some((_, table)) = line.split_once("Seq Scan on ") {
                found.note(table.split_whitespace().next().unwrap_or(table));
            }
            found.uses_index |=
                ["Index Scan", "Index Only Scan", "Bitmap Index Scan"].iter().any(|scan| line.contains(scan));
        }
        found
    }

    /// <https://dev.mysql.com/doc/refman/8.4/en/explain-output.html>: a row a table, with `type` and `key`.
    fn in_mysql(table: &Table) -> Self {
        let mut found = Self::default();
        let [name, kind, key] = ["table", "type", "key"].map(|column| table.index(column));
        let text = |row: &[Cell], at: Option<usize>| match at.and_then(|at| row.get(at)) {
            Some(Cell::Text(text)) => Some(text.clone()),
            _ => None,
        };
        for row in &table.rows {
            // `<derived2>` is what the query itself made.
            let Some(name) = text(row, name).filter(|name| !name.starts_with('<')) else { continue };
            match text(row, kind).as_deref() {
                Some("ALL" | "index") => found.note(&name),
                _ => found.uses_index |= text(row, key).is_some(),
            }
        }
        found
    }

    pub(super) fn note(&mut self, table: &str) {
        if !self.full_scans.iter().any(|known| known == table) {
            self.full_scans.push(table.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(full_scans: &[&str], uses_index: bool) -> Access {
        Access { full_scans: full_scans.iter().map(|name| (*name).to_owned()).collect(), uses_index }
    }

    fn lines(text: &[&str]) -> Vec<String> {
        text.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn sqlite_names_the_tables_that_it_reads_whole() {
        let plan = lines(&[
            "CO-ROUTINE per_unit",
            "SCAN e",
            "SEARCH o USING INDEX orders_user (user_id=?) LEFT-JOIN",
            "SCAN per_unit",
            "USE TEMP B-TREE FOR GROUP BY",
        ]);
        assert_eq!(Access::in_sqlite(&plan), access(&["e"], true));
        assert_eq!(Access::in_sqlite(&lines(&["SCAN CONSTANT ROW"])), access(&[], false));
    }

    #[test]
    fn postgres_names_them_too() {
        let plan = lines(&[
            "HashAggregate  (cost=45.02..47.02 rows=200 width=48)",
            "  ->  Hash Right Join  (cost=20.00..40.00 rows=100 width=8)",
            "        ->  Parallel Seq Scan on orders o  (cost=0.00..18.00 rows=800 width=8)",
            "        ->  Index Only Scan using exposures_at on exposures e  (cost=0.29..8.30 rows=1 width=8)",
        ]);
        assert_eq!(Access::in_postgres(&plan), access(&["orders"], true));
    }

    #[test]
    fn mysql_says_it_in_columns() {
        let text = |word: &str| Cell::Text(word.to_owned());
        let row = |table: &str, kind: &str, key: Cell| vec![Cell::Int(1), text(table), text(kind), key];
        let table = Table {
            columns: ["id", "table", "type", "key"].map(str::to_owned).to_vec(),
            rows: vec![
                row("<derived2>", "ALL", Cell::Null),
                row("e", "range", text("exposures_at")),
                row("o", "ALL", Cell::Null),
                vec![Cell::Int(1), Cell::Null, Cell::Null, Cell::Null],
            ],
        };
        assert_eq!(Access::in_mysql(&table), access(&["o"], true));
    }
}
