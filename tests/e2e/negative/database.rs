//! A database that is locked, newer, damaged, read-only or full.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Result, ensure};
use outcome_core::Code;
use outcome_tests::lab::PASSPHRASE;
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};

use outcome_tests::postgres;

use super::place::{Place, each_place, is_refused, on_sqlite};

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_database_is_waited_for_and_then_named() -> Result<()> {
    each_place(async |place| {
        let waiting = place.waiting().await?;
        let ask = ["gate", "open", &waiting.experiment, "--question", "May I?"];
        let locked = match place.lab.database() {
            Some(url) => {
                let mut other = postgres::ours(url).await?;
                sqlx::raw_sql("BEGIN; SELECT * FROM workspace FOR UPDATE").execute(&mut other).await?;
                let refused = place.cli.refused(&ask)?;
                sqlx::raw_sql("ROLLBACK").execute(&mut other).await?;
                refused
            }
            None => {
                let options = SqliteConnectOptions::new().filename(place.database_file());
                let mut other = SqliteConnection::connect_with(&options).await?;
                sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await?;
                place.cli.json(&["status"])?;
                let refused = place.cli.refused(&ask)?;
                sqlx::raw_sql("ROLLBACK").execute(&mut other).await?;
                refused
            }
        };
        is_refused(&locked, Code::DatabaseLocked)?;
        place.is_untouched(&waiting)?;
        place.cli.json(&ask)?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_newer_schema_is_not_touched() -> Result<()> {
    each_place(async |place| {
        let waiting = place.waiting().await?;
        let (success, checksum) = if place.lab.is_postgres() { ("TRUE", "'\\x00'") } else { ("1", "x'00'") };
        place
            .lab
            .raw(&format!(
                "INSERT INTO runtime_migration (version, description, installed_on, success, checksum, execution_time)
                 VALUES (9999, 'of tomorrow', CURRENT_TIMESTAMP, {success}, {checksum}, 0)"
            ))
            .await?;
        is_refused(&place.cli.refused(&["status"])?, Code::DatabaseNewer)?;
        let decide = ["gate", "decide", &waiting.gate, "--verdict", "approve"];
        is_refused(&place.cli.refused_with(&decide, PASSPHRASE)?, Code::DatabaseNewer)?;
        let agent = place.cli.agent().await?;
        let error = agent.call("get_active_outcomes", json!({})).await.unwrap_err().to_string();
        ensure!(error.contains("database_newer"), "{error}");
        agent.stop().await?;
        let (exit, stderr) = place.cli.failing_daemon(&["--listen", "127.0.0.1:0"])?;
        ensure!(exit == Some(8) && stderr.contains("error[database_newer]"), "{exit:?} {stderr}");
        place.lab.raw("DELETE FROM runtime_migration WHERE version = 9999").await?;
        place.is_untouched(&waiting)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_called_damaged_and_its_copy_still_works() -> Result<()> {
    let place = on_sqlite().await?;
    let waiting = place.waiting().await?;
    place.lab.raw("PRAGMA wal_checkpoint(TRUNCATE)").await?;
    place.lab.runtime.db().close().await;
    let path = place.database_file();
    let good = std::fs::read(&path)?;
    let mut header = good.clone();
    header[..100].fill(b'x');
    let mut middle = good.clone();
    let half = good.len() / 2;
    middle[4096..half].fill(0xa5);
    let cut = good[..good.len() / 3].to_vec();
    for (what, bytes) in [("header", header), ("middle", middle), ("cut", cut)] {
        std::fs::write(&path, &bytes)?;
        for args in [&["status"][..], &["audit", "verify"], &["gate", "open", &waiting.experiment, "--question", "x"]] {
            let refused = place.cli.refused(args)?;
            ensure!(refused.code == "database_corrupt" && refused.exit == Some(8), "{what} {args:?}: {refused:?}");
        }
        ensure!(std::fs::read(&path)? == bytes, "{what}: the damaged file was written to");
    }
    for beside in ["outcome.db-wal", "outcome.db-shm"] {
        let _ = std::fs::remove_file(path.with_file_name(beside));
    }
    std::fs::write(&path, good)?;
    place.is_untouched(&waiting)
}

/// A user who may read here and not write: ourselves, or `nobody` where the tests run as root.
fn may_only_read(place: &Place, folder: &Path, is_on: bool) -> Result<&'static str> {
    let (file_mode, dir_mode) = if is_on { (0o444, 0o555) } else { (0o644, 0o755) };
    for entry in std::fs::read_dir(folder)? {
        std::fs::set_permissions(entry?.path(), std::fs::Permissions::from_mode(file_mode))?;
    }
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(dir_mode))?;
    for dir in [place.lab.root().as_path(), place.home.path()] {
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755))?;
    }
    let is_root = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self")?) == 0;
    Ok(if is_root {
        r#"exec setpriv --reuid=65534 --regid=65534 --clear-groups setsid --wait "$0" "$@""#
    } else {
        r#"exec setsid --wait "$0" "$@""#
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_may_only_be_read_says_so() -> Result<()> {
    let place = on_sqlite().await?;
    let waiting = place.waiting().await?;
    place.lab.runtime.db().close().await;
    let folder = place.lab.root().join(".outcome");
    let script = may_only_read(&place, &folder, true)?;
    let refused = place.cli.refusal(script, &["gate", "open", &waiting.experiment, "--question", "x"], &[]);
    may_only_read(&place, &folder, false)?;
    is_refused(&refused?, Code::DatabaseReadOnly)?;
    place.is_untouched(&waiting)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_named_and_nothing_is_half_written() -> Result<()> {
    let place = on_sqlite().await?;
    let waiting = place.waiting().await?;
    place.lab.raw("PRAGMA wal_checkpoint(TRUNCATE)").await?;
    place.lab.runtime.db().close().await;
    // A limit on the size of files: writing fails as it does beyond a quota.
    let ask = ["gate", "open", &waiting.experiment, "--question", "x"];
    let limited = r#"trap '' XFSZ; ulimit -f 1; exec setsid --wait "$0" "$@""#;
    is_refused(&place.cli.refusal(limited, &ask, &[])?, Code::Io)?;
    place.is_untouched(&waiting)?;

    // A file system of its own that is full, where this machine lets us make one.
    let full = r#"exec unshare --user --map-root-user --mount sh -c '
        mount -t tmpfs -o size=4m none "$DISK" || exit 99
        cp .outcome/outcome.db "$DISK/outcome.db"
        head -c 36864 /dev/zero >"$DISK/room"
        dd if=/dev/zero of="$DISK/rest" bs=4096 2>/dev/null
        rm "$DISK/room"
        OUTCOME_RUNTIME_HOME="$DISK" exec setsid --wait "$0" "$@"' "$0" "$@""#;
    let disk = place.home.path().join("disk");
    std::fs::create_dir(&disk)?;
    let disk = disk.display().to_string();
    match place.cli.refusal(full, &ask, &[("DISK", &disk)]) {
        Ok(refused) => is_refused(&refused, Code::DatabaseFull)?,
        Err(error) => eprintln!("SKIPPED: no file system of our own can be mounted here: {error:#}"),
    }
    place.is_untouched(&waiting)
}
