//! The storage through its public door, on both engines.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests; a skipped server is said loudly")]

mod columns;
mod migrations;
mod missing;
mod readings;

use outcome_core::address::Address;
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

/// Runs a test with the address of an empty SQLite file, then with that of an empty PostgreSQL database.
pub async fn each_url(test: impl AsyncFn(String)) {
    let dir = tempfile::tempdir().unwrap();
    test(format!("sqlite:{}", dir.path().join("outcome.db").display())).await;
    match postgres::server() {
        Ok(server) => test(server.database().await).await,
        Err(skip) => eprintln!("SKIPPED on PostgreSQL: {skip}"),
    }
}

/// The same with the schema of this program.
pub async fn each_db(test: impl AsyncFn(TestDb)) {
    each_url(async |url| {
        test(TestDb { db: Db::open_migrated(&Address::parse(&url).unwrap()).await.unwrap(), url }).await;
    })
    .await;
}

/// Runs a test in a workspace of its own on SQLite and on PostgreSQL.
pub async fn each_lab(test: impl AsyncFn(Lab)) {
    test(Lab::sqlite().await.unwrap()).await;
    match postgres::server() {
        Ok(server) => test(Lab::on(Some(server.database().await)).await.unwrap()).await,
        Err(skip) => eprintln!("SKIPPED on PostgreSQL: {skip}"),
    }
}
