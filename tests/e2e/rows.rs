//! Every column that counts: whoever writes it past the runtime, removes its row, inserts one or brings an older one back, is found.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use outcome_core::audit::FoldedTable;
use outcome_core::domain::Verdict;
use outcome_core::store::{Class, Instant, StoredSecret, declared_columns};
use outcome_tests::lab::Lab;

use crate::journey::each_lab;

async fn problems(lab: &Lab) -> Result<Vec<String>> {
    Ok(lab.runtime.audit_log().verify(&[]).await?.problems)
}

/// A workspace with rows in every table: one experiment that was killed, one that runs and was paused and resumed.
async fn lived_in(lab: &Lab) -> Result<()> {
    let ended = lab.running("Louder level", "loud").await?;
    lab.arms("loud", (1200, 360, 6), (1200, 380, 7)).await?;
    lab.poll_after(6).await?;
    lab.act(&ended, Verdict::Kill).await?;
    let running = lab.running("Softer level", "soft").await?;
    lab.arms("soft", (1000, 300, 5), (1000, 310, 5)).await?;
    lab.poll_after(6).await?;
    lab.act(&running, Verdict::Pause).await?;
    lab.act(&running, Verdict::Resume).await?;
    lab.poll_after(6).await?;
    let mut tx = lab.runtime.db().write(lab.runtime.workspace().id).await?;
    tx.secret_put(&StoredSecret {
        name: "PG_URL".to_owned(),
        nonce: "bm9uY2U=".to_owned(),
        sealed: "c2VhbGVk".to_owned(),
        key_id: "0123456789abcdef".to_owned(),
        hint: Some("shop".to_owned()),
        set_at: Instant(lab.runtime.now()),
        set_by: "tests".to_owned(),
    })
    .await?;
    tx.commit().await?;
    lab.keep_cohort(&running).await?;
    ensure!(problems(lab).await?.is_empty(), "{:?}", problems(lab).await?);
    Ok(())
}

/// Values that a column can take instead of its own; which one fits its type, the engine says.
const OTHERS: [&str; 9] = [
    "NOT {c}",
    "{c} + 1",
    "{c} + interval '1 second'",
    "'{\"forged\": true}'",
    "'7d444840-9dc0-11d1-b245-5ffdce74fad2'",
    "x'7d4448409dc011d1b2455ffdce74fad2'",
    "'2020-01-01T00:00:00.000000Z'",
    "'forged'",
    "{c} || 'x'",
];

/// Statements that write this column of some row: at least one of them is taken where the schema does not refuse all.
async fn forged(lab: &Lab, table: &str, column: &str) -> Result<bool> {
    for other in OTHERS {
        let value = other.replace("{c}", column);
        let taken =
            lab.raw(&format!("UPDATE {table} SET {column} = {value} WHERE {column} IS DISTINCT FROM {value}")).await;
        if taken.is_ok_and(|n_rows| n_rows > 0) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A copy of a table beside it, from which it is put back.
async fn kept(lab: &Lab, table: &str) -> Result<()> {
    lab.raw(&format!("DROP TABLE IF EXISTS kept_{table}")).await?;
    lab.raw(&format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}")).await?;
    Ok(())
}

async fn put_back(lab: &Lab, table: &str, columns: &[&str], key: &[&str]) -> Result<()> {
    let same: Vec<String> = key.iter().map(|name| format!("kept_{table}.{name} = {table}.{name}")).collect();
    for column in columns.iter().filter(|column| !key.contains(column)) {
        let old = format!("(SELECT {column} FROM kept_{table} WHERE {})", same.join(" AND "));
        lab.raw(&format!("UPDATE {table} SET {column} = {old}")).await?;
    }
    Ok(())
}

fn key_of(table: FoldedTable) -> &'static [&'static str] {
    match table {
        FoldedTable::AllocationPhase => &["experiment_id", "phase"],
        FoldedTable::Decision => &["signature"],
        FoldedTable::Secret => &["name"],
        _ => &["id"],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_counts_cannot_be_written_unseen() -> Result<()> {
    each_lab(async |lab| {
        lived_in(&lab).await?;
        let mut unwritten = BTreeSet::new();
        for table in FoldedTable::ALL {
            let (name, key) = (table.as_str(), key_of(*table));
            let columns: Vec<&str> = declared_columns()
                .iter()
                .filter(|column| column.table == name && column.class == Class::Folded && column.only.is_none())
                .filter(|column| !matches!(column.name, "workspace_id" | "log_seq" | "log_head"))
                .map(|column| column.name)
                .collect();
            ensure!(!columns.is_empty(), "{name}");
            kept(&lab, name).await?;
            for column in &columns {
                if key.contains(column) {
                    continue;
                }
                if !forged(&lab, name, column).await? {
                    unwritten.insert(format!("{name}.{column}"));
                    continue;
                }
                let found = lab.runtime.audit_log().verify(&[]).await;
                let is_found = found.as_ref().map_or(true, |found| !found.is_intact);
                ensure!(is_found, "{name}.{column} was written unseen");
                put_back(&lab, name, &columns, key).await?;
                let after = problems(&lab).await.with_context(|| format!("{name}.{column} put back"))?;
                ensure!(after.is_empty(), "{name}.{column} put back: {after:?}");
            }
        }
        // Links hold rows together, and what nothing else fits into stays as it is.
        let others: Vec<_> = unwritten.iter().filter(|name| !name.ends_with("_id")).collect();
        ensure!(others.is_empty(), "nothing could be written into {others:?}: the test shows nothing of them");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_removed_inserted_or_older_is_found() -> Result<()> {
    each_lab(async |lab| {
        lived_in(&lab).await?;
        // Removed.
        for table in [FoldedTable::Learning, FoldedTable::Decision, FoldedTable::AllocationPhase, FoldedTable::Secret] {
            let name = table.as_str();
            kept(&lab, name).await?;
            ensure!(lab.raw(&format!("DELETE FROM {name}")).await? > 0, "{name} is empty");
            let found = problems(&lab).await?;
            ensure!(found.iter().any(|problem| problem.contains(&format!("of {name} is missing"))), "{name}: {found:?}");
            let columns: Vec<&str> = declared_columns()
                .iter()
                .filter(|column| column.table == name && column.only.is_none())
                .map(|column| column.name)
                .collect();
            let list = columns.join(", ");
            lab.raw(&format!("INSERT INTO {name} ({list}) SELECT {list} FROM kept_{name}")).await?;
            ensure!(problems(&lab).await?.is_empty(), "{name}: {:?}", problems(&lab).await?);
        }
        // Inserted: a message that says that a flag goes on, and a reading.
        let id = if lab.is_postgres() { "gen_random_uuid()" } else { "randomblob(16)" };
        lab.raw(&format!(
            "INSERT INTO outbox (workspace_id, id, kind, natural_key, subject_id, payload, created_at, attempts, next_attempt_at)
             SELECT workspace_id, {id}, kind, natural_key || '/forged', subject_id, payload, created_at, 0, created_at
             FROM outbox WHERE kind = 'flag' LIMIT 1"
        ))
        .await?;
        let found = problems(&lab).await?;
        ensure!(found.iter().any(|problem| problem.contains("of outbox is in no line")), "{found:?}");
        lab.raw("DELETE FROM outbox WHERE natural_key LIKE '%/forged'").await?;
        let later = if lab.is_postgres() { "measured_at + interval '1 hour'" } else { "'2026-10-01T23:11:11.000000Z'" };
        lab.raw(&format!(
            "INSERT INTO measurement (workspace_id, id, natural_key, outcome_id, experiment_id, signal, variant, phase, measured_at,
                 window_from, window_to, sums, source, query_hash, raw_hash, is_pushed, n, value)
             SELECT workspace_id, {id}, natural_key || '/forged', outcome_id, experiment_id, signal, variant, phase, {later},
                 window_from, window_to, sums, source, query_hash, raw_hash, is_pushed, n, value
             FROM measurement WHERE experiment_id IS NOT NULL LIMIT 1"
        ))
        .await?;
        let found = problems(&lab).await?;
        ensure!(found.iter().any(|problem| problem.contains("are in no line of the log")), "{found:?}");
        lab.raw("DELETE FROM measurement WHERE natural_key LIKE '%/forged'").await?;
        // A level of the outcome: removed, and inserted.
        let level = "FROM measurement WHERE experiment_id IS NULL";
        kept(&lab, "measurement").await?;
        ensure!(lab.raw(&format!("DELETE {level}")).await? > 0, "no level");
        let found = problems(&lab).await?;
        ensure!(found.iter().any(|problem| problem.contains("of measurement is missing")), "{found:?}");
        lab.raw("INSERT INTO measurement SELECT * FROM kept_measurement WHERE experiment_id IS NULL").await?;
        lab.raw(&format!(
            "INSERT INTO measurement (workspace_id, id, natural_key, outcome_id, signal, measured_at,
                 window_from, window_to, sums, source, query_hash, raw_hash, is_pushed)
             SELECT workspace_id, {id}, natural_key || '/forged', outcome_id, signal, measured_at,
                 window_from, window_to, sums, source, query_hash, raw_hash, is_pushed {level} LIMIT 1"
        ))
        .await?;
        let found = problems(&lab).await?;
        ensure!(found.iter().any(|problem| problem.contains("of measurement is in no line")), "{found:?}");
        lab.raw("DELETE FROM measurement WHERE natural_key LIKE '%/forged'").await?;
        ensure!(problems(&lab).await?.is_empty(), "{:?}", problems(&lab).await?);
        // Inserted: another workspace, which `init` did not make.
        let columns = "organisation, root, is_virtual_clock, created_at, log_seq, log_head";
        lab.raw(&format!("INSERT INTO workspace (id, slug, {columns}) SELECT {id}, 'forged', {columns} FROM workspace")).await?;
        let found = problems(&lab).await?;
        ensure!(found.iter().any(|problem| problem.contains("has no log")), "{found:?}");
        lab.raw("DELETE FROM workspace WHERE slug = 'forged'").await?;
        // Brought back: an experiment as it was before its last poll.
        kept(&lab, "experiment").await?;
        lab.arms("soft", (1400, 420, 6), (1400, 440, 7)).await?;
        lab.poll_after(6).await?;
        ensure!(problems(&lab).await?.is_empty());
        put_back(&lab, "experiment", &["running", "current_result", "updated_at"], &["id"]).await?;
        let found = problems(&lab).await?;
        ensure!(found.iter().any(|problem| problem.contains("of experiment was written past")), "{found:?}");
        // And it stays found when the runtime writes the row again.
        lab.poll_after(6).await?;
        let found = problems(&lab).await?;
        ensure!(found.iter().any(|problem| problem.contains("was written past the runtime before line")), "{found:?}");
        Ok(())
    })
    .await
}
