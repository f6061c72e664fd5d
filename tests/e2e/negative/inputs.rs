//! Files, sources, repositories and ports that are not what they should be.

use anyhow::{Result, ensure};
use outcome_core::Code;
use outcome_core::domain::Verdict;
use outcome_tests::lab::{MEMBER, PASSPHRASE, commit, git, write};
use outcome_tests::programs::Cli;
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

use super::place::{is_refused, on_sqlite};

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_file_is_named_and_changes_nothing() -> Result<()> {
    let place = on_sqlite().await?;
    let waiting = place.waiting().await?;
    let path = place.lab.root().join("outcome.yaml");
    let file = std::fs::read(&path)?;
    let deep = "a: ".to_owned() + &"[".repeat(50_000);
    let bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned()
        + &('b'..='k')
            .map(|c| format!("{c}: &{c} [{}]\n", vec![format!("*{}", (c as u8 - 1) as char); 9].join(", ")))
            .collect::<String>();
    for bad in [
        &b"outcomes: [\n"[..],
        b"",
        b"\xff\xfe\x00",
        b"- just\n- a list\n",
        b"version: 1\noutcomes: {}\n\tx: 1\n",
        deep.as_bytes(),
        bomb.as_bytes(),
    ] {
        std::fs::write(&path, bad)?;
        let checked = place.cli.refused(&["validate"])?;
        ensure!(checked.exit == Some(2), "{checked:?}");
        let is_told = checked.json["is_valid"] == false || checked.code == "config_invalid";
        ensure!(is_told, "{checked:?}");
        is_refused(&place.cli.refused(&["plan"])?, Code::ConfigInvalid)?;
        is_refused(&place.cli.refused(&["apply"])?, Code::ConfigInvalid)?;
    }
    std::fs::write(&path, file)?;
    place.is_untouched(&waiting)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_or_talks_nonsense_is_reported_and_decides_nothing() -> Result<()> {
    let place = on_sqlite().await?;
    let experiment = place.lab.running("Softer level", "soft").await?;
    place.lab.arms("soft", (500, 150, 2), (500, 170, 2)).await?;
    place.lab.poll_after(6).await?;
    place.set_clock_to_now()?;
    let before = place.cli.json(&["experiment", "show", &experiment])?;
    let n_readings = place.lab.runtime.experiments().series(&experiment, 100).await?.len();
    let options = SqliteConnectOptions::new().filename(place.lab.root().join("game.db"));
    let mut game = SqliteConnection::connect_with(&options).await?;
    sqlx::query("ALTER TABLE arms RENAME TO kept").execute(&mut game).await?;
    for view in [
        "SELECT 1 AS something",
        "SELECT flag, variant, n, 'many' AS successes, crashes FROM kept",
        "SELECT flag, variant, n, NULL AS successes, crashes FROM kept",
        "SELECT flag, variant, n, 9e999 AS successes, crashes FROM kept",
        "SELECT flag, variant, -n AS n, successes, crashes FROM kept",
        "SELECT flag, variant, n, -5 AS successes, crashes FROM kept",
        "SELECT flag, variant, n, n + 1 AS successes, crashes FROM kept",
        "SELECT flag, 'someone' AS variant, n, successes, crashes FROM kept",
        "SELECT flag, variant, n, successes, crashes FROM kept UNION ALL SELECT flag, variant, 1, 1, 1 FROM kept",
        "SELECT flag, variant, n, successes, crashes FROM kept WHERE 0",
    ] {
        sqlx::query("DROP VIEW IF EXISTS arms").execute(&mut game).await?;
        sqlx::query(AssertSqlSafe(format!("CREATE VIEW arms AS {view}"))).execute(&mut game).await?;
        place.lab.clock.advance(jiff::SignedDuration::from_mins(10));
        place.set_clock_to_now()?;
        let polled = place.cli.refused(&["poll", "--all"])?;
        let after = place.cli.json(&["experiment", "show", &experiment])?;
        ensure!(after["state"] == before["state"], "{view}: {after}");
        let is_reported = polled.json["failures"].as_array().is_some_and(|failures| !failures.is_empty());
        // No row at all is what a source says before the first unit is exposed: no failure, and no verdict.
        let is_silent = view.ends_with("WHERE 0");
        let verdict = &polled.json["experiments"][0]["verdict"];
        let is_as_expected = if is_silent { verdict.is_null() } else { polled.exit == Some(8) && is_reported };
        ensure!(is_as_expected, "{view}: {polled:?}");
    }
    let n_after = place.lab.runtime.experiments().series(&experiment, 100).await?.len();
    ensure!(n_after == n_readings, "nonsense was stored: {n_readings} became {n_after}");
    sqlx::query("DROP VIEW arms").execute(&mut game).await?;
    // Failing for longer than the outcome allows stops the experiment; it does not judge it.
    place.lab.clock.advance(jiff::SignedDuration::from_hours(24 * 3));
    place.set_clock_to_now()?;
    let polled = place.cli.refused(&["poll", "--all"])?;
    ensure!(polled.exit == Some(8), "{polled:?}");
    let after = place.cli.json(&["experiment", "show", &experiment])?;
    ensure!(after["state"]["status"] == "paused" && after["state"]["pause"]["cause"] == "stale_signal", "{after}");
    place.is_intact()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_without_commits_and_a_head_that_is_not_there_are_named() -> Result<()> {
    let (empty, home) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let root = empty.path().canonicalize()?;
    git(&root, &["init", "-q", "-b", "main"])?;
    let cli = Cli::new(&root, home.path(), PASSPHRASE, &[])?;
    cli.signed(&["init", "--email", MEMBER, "--name", "Dana", "--source", "sqlite:app.db"])?;
    cli.signed(&["apply"])?;
    is_refused(&cli.refused(&["scope", "check", "--base", "HEAD"])?, Code::RepoEmpty)?;
    ensure!(cli.json(&["audit", "verify"])?["is_intact"] == true);

    let place = on_sqlite().await?;
    let waiting = place.waiting_with("Built", "built").await?;
    place.lab.decide(&waiting.experiment, Verdict::Approve).await?;
    let agent = place.cli.agent().await?;
    write(&place.lab.root(), "game/level.txt", "two\n")?;
    commit(&place.lab.root(), "A change")?;
    for head in
        ["nowhere", "0123456789abcdef0123456789abcdef01234567", "--output=x", "HEAD~99", "main:game/level.txt", "\n"]
    {
        let arguments = json!({ "experiment_id": waiting.experiment, "implementation_summary": "built", "head": head });
        if !head.trim().is_empty() {
            let error = agent.call("report_experiment_built", arguments).await.unwrap_err().to_string();
            ensure!(error.contains("revision_not_found"), "{head}: {error}");
            let head = format!("--head={head}");
            let report = ["report", &waiting.experiment, "--summary", "built", &head];
            is_refused(&place.cli.refused(&report)?, Code::RevisionNotFound)?;
        }
    }
    agent.stop().await?;
    let shown = place.cli.json(&["experiment", "show", &waiting.experiment])?;
    ensure!(shown["state"]["status"] == "building", "{shown}");
    place.is_intact()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_whose_port_is_taken_says_so_and_ends() -> Result<()> {
    let place = on_sqlite().await?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let (exit, stderr) = place.cli.failing_daemon(&["--listen", &address])?;
    ensure!(
        exit == Some(8) && stderr.contains("error[port_taken]") && stderr.contains("--listen"),
        "{exit:?} {stderr}"
    );
    place.is_intact()
}
