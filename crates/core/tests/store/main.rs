//! The storage through its public door, on both engines.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests; a skipped server is said loudly")]

mod columns;
mod missing;
mod readings;

use outcome_core::store::Db;
use outcome_tests::lab::Lab;
use outcome_tests::postgres;

/// An empty database with the schema of this program.
pub struct TestDb {
    /// What is tested.
    pub db: Db,
    /// Its address, for a connection of the test's own.
    pub url: String,
}

/// Runs a test on SQLite and on PostgreSQL.
pub async fn each_db(test: impl AsyncFn(TestDb)) {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("outcome.db").display());
    test(TestDb { db: Db::open(&url).await.unwrap(), url }).await;
    match postgres::server() {
        Ok(server) => {
            let url = server.database().await;
            test(TestDb { db: Db::open(&url).await.unwrap(), url }).await;
        }
        Err(skip) => eprintln!("SKIPPED on PostgreSQL: {skip}"),
    }
}

/// Runs a test in a workspace of its own on SQLite and on PostgreSQL.
pub async fn each_lab(test: impl AsyncFn(Lab)) {
    test(Lab::sqlite().await.unwrap()).await;
    match postgres::server() {
        Ok(server) => test(Lab::on(Some(server.database().await)).await.unwrap()).await,
        Err(skip) => eprintln!("SKIPPED on PostgreSQL: {skip}"),
    }
}
