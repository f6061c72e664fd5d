//! A PostgreSQL source whose whole address is sealed, read by the built daemon.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use outcome_tests::lab::{Lab, PASSPHRASE};
use outcome_tests::postgres;
use outcome_tests::programs::Cli;
use sqlx::{Connection as _, PgConnection};

use super::keyed::{KEY_FILE, declare, keyed};
use super::{applied, is_intact, set};

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_reads_a_server_whose_address_is_sealed() -> Result<()> {
    let server = match postgres::server() {
        Ok(server) => server,
        Err(skip) => {
            eprintln!("SKIPPED on PostgreSQL: {skip}");
            return Ok(());
        }
    };
    let url = server.database().await;
    let mut source = PgConnection::connect(&url).await?;
    sqlx::raw_sql(
        "CREATE TABLE arms (flag TEXT, variant TEXT, n BIGINT, successes BIGINT, crashes BIGINT);
         INSERT INTO arms VALUES ('soft', 'control', 1000, 300, 10), ('soft', 'treatment', 1000, 310, 10);
         CREATE ROLE secret_reader LOGIN; GRANT SELECT ON arms TO secret_reader",
    )
    .execute(&mut source)
    .await?;
    // With a password that nobody checks, so that there is something to keep.
    let mut reader = reqwest::Url::parse(&url)?;
    let named = reader.set_username("secret_reader").is_ok() && reader.set_password(Some("hunter2")).is_ok();
    ensure!(named, "{url}");

    let lab = keyed(Lab::sqlite().await?).await?;
    set(&lab.runtime, "PG_URL", reader.as_str()).await?;
    declare(&lab, "allowed_paths: [\"game/\"]", "allowed_paths: [\"game/\", \"shop/\"]")?;
    applied(&lab, "sqlite:game.db", "${secret:PG_URL}").await?;
    let experiment = lab.running("Softer level", "soft").await?;
    let n_polls = async || Ok::<_, anyhow::Error>(lab.runtime.experiments().history(&experiment).await?.len());
    let before = n_polls().await?;

    let (home, clock) = (tempfile::tempdir()?, lab.root().join(".clock"));
    lab.clock.advance(jiff::SignedDuration::from_hours(12));
    std::fs::write(&clock, lab.runtime.now().to_string())?;
    let (clock, key) = (clock.display().to_string(), lab.root().join(KEY_FILE).display().to_string());
    let clock = ("OUTCOME_RUNTIME_CLOCK_FILE", clock.as_str());
    let with_key = Cli::new(
        &lab.root(),
        home.path(),
        PASSPHRASE,
        &[clock, ("OUTCOME_RUNTIME_ENCRYPTION_KEY_FILE", key.as_str())],
    )?;
    let daemon = with_key.daemon().await?;
    let deadline = Instant::now() + Duration::from_secs(60);
    while n_polls().await? == before {
        ensure!(Instant::now() < deadline, "the daemon read nothing");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(daemon);
    let test = with_key.json(&["connectors", "test", "game"])?;
    ensure!(
        test["problem"].is_null() && test["source"]["server"].as_str().is_some_and(|s| s.contains("PostgreSQL")),
        "{test}"
    );
    ensure!(!test.to_string().contains("hunter2"), "{test}");

    // A program that was not given the key says what it lacks.
    let without = Cli::new(&lab.root(), home.path(), PASSPHRASE, &[clock])?;
    let refused = without.refused(&["connectors", "test", "game"])?;
    ensure!(refused.json["problem"]["code"] == "encryption_key_missing" && refused.exit == Some(2), "{refused:?}");
    is_intact(&lab).await
}
