//! What is declared is what the tables have.

use std::collections::BTreeSet;

use outcome_core::store::{Class, Engine, declared_columns};
use sqlx::{Connection as _, SqliteConnection};

use crate::each_db;

const OF_SQLITE: &str = "
    SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c
    WHERE t.type = 'table' AND t.name <> 'runtime_migration' AND t.name NOT LIKE 'learning_text%'";
const OF_POSTGRES: &str = "
    SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT) FROM information_schema.columns
    WHERE table_schema = current_schema() AND table_name <> 'runtime_migration'";

#[tokio::test]
async fn every_column_of_both_engines_is_declared_and_no_other() {
    each_db(async |test| {
        let engine = test.db.engine();
        let found: Vec<(String, String)> = match engine {
            Engine::Sqlite => {
                let mut conn = SqliteConnection::connect(&test.url).await.unwrap();
                sqlx::query_as(OF_SQLITE).fetch_all(&mut conn).await.unwrap()
            }
            Engine::Postgres => {
                let mut conn = outcome_tests::postgres::ours(&test.url).await.unwrap();
                sqlx::query_as(OF_POSTGRES).fetch_all(&mut conn).await.unwrap()
            }
        };
        let found: BTreeSet<(String, String)> = found.into_iter().collect();
        let declared: BTreeSet<(String, String)> = declared_columns()
            .into_iter()
            .filter(|column| column.only.is_none_or(|only| only == engine))
            .map(|column| (column.table.to_owned(), column.name.to_owned()))
            .collect();
        pretty_assertions::assert_eq!(declared, found);
    })
    .await;
}

#[test]
fn no_column_is_declared_twice_and_every_volatile_one_has_a_reason() {
    let columns = declared_columns();
    let names: BTreeSet<(&str, &str)> = columns.iter().map(|column| (column.table, column.name)).collect();
    assert_eq!(names.len(), columns.len());
    for column in columns {
        if let Class::Volatile(reason) = column.class {
            assert!(reason.len() > 4, "{column:?}");
        }
    }
}
