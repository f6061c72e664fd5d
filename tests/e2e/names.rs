//! What members are called: in one table and nowhere else, removed from it, and believed only where it opens what the log commits to.

use anyhow::{Context as _, Result, ensure};
use outcome_core::Code;
use outcome_core::audit::EventKind;
use outcome_core::domain::Verdict;
use outcome_core::store::declared_columns;
use outcome_core::usecases::{DecideRequest, ForgetRequest, Forgotten, UnsignedAct};
use outcome_tests::lab::{Lab, MEMBER, PASSPHRASE, decision, hypothesis, local, unlock};
use outcome_tests::programs::Cli;
use secrecy::SecretString;
use serde_json::Value;
use sqlx::Connection as _;

use crate::journey::each_lab;

/// What the member of the laboratory is called, and the part of their address that is theirs, in small letters.
const CALLED: &str = "dana";

async fn column(lab: &Lab, sql: &str) -> Result<Vec<String>> {
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    Ok(match lab.database() {
        Some(url) => sqlx::query_scalar(sql).fetch_all(&mut outcome_tests::postgres::ours(url).await?).await?,
        None => {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(lab.root().join(".outcome/outcome.db"));
            sqlx::query_scalar(sql).fetch_all(&mut sqlx::SqliteConnection::connect_with(&options).await?).await?
        }
    })
}

/// The columns of the whole database in which the name stands somewhere.
async fn columns_that_name(lab: &Lab) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for table in declared_columns().iter().filter(|column| column.only.is_none()) {
        let (table, column_name) = (table.table, table.name);
        let sql = format!(
            "SELECT CAST({column_name} AS TEXT) FROM {table} WHERE lower(CAST({column_name} AS TEXT)) LIKE '%{CALLED}%'"
        );
        if !column(lab, &sql).await?.is_empty() {
            found.push(format!("{table}.{column_name}"));
        }
    }
    Ok(found)
}

async fn problems(lab: &Lab) -> Result<Vec<String>> {
    Ok(lab.runtime.audit_log().verify(&[]).await?.problems)
}

fn cli(lab: &Lab, home: &tempfile::TempDir) -> Result<Cli> {
    let clock = lab.root().join(".clock");
    std::fs::write(&clock, lab.runtime.now().to_string())?;
    let clock = clock.display().to_string();
    let mut envs = vec![("OUTCOME_RUNTIME_CLOCK_FILE", clock.as_str())];
    envs.extend(lab.database().map(|url| ("OUTCOME_RUNTIME_DATABASE_URL", url)));
    Cli::new(&lab.root(), home.path(), PASSPHRASE, &envs)
}

fn forget(member: &str, even_the_last: bool) -> ForgetRequest {
    ForgetRequest { forget: member.to_owned(), even_the_last, member: None, unlock: unlock() }
}

async fn removed(lab: &Lab) -> Result<Forgotten> {
    Ok(lab.runtime.members().forget(forget(MEMBER, true)).await?)
}

/// Signed, unsigned, refused, signed in, asked of, exchanged: whatever leaves a line.
async fn lived_in(lab: &Lab) -> Result<String> {
    let experiment = lab.running("Softer level", "soft").await?;
    lab.arms("soft", (1000, 300, 5), (1000, 310, 5)).await?;
    lab.poll_after(6).await?;
    lab.act(&experiment, Verdict::Pause).await?;
    lab.act(&experiment, Verdict::Resume).await?;
    let sessions = lab.runtime.sessions();
    sessions.sign_in(Some(MEMBER), SecretString::from(PASSPHRASE)).await?;
    ensure!(sessions.sign_in(Some(MEMBER), SecretString::from("no passphrase of theirs")).await.is_err());
    let waiting = lab.submit(hypothesis("Waiting level", "wait")).await?;
    let gate = lab.runtime.experiments().show(&waiting).await?.gates.remove(0);
    for member in [MEMBER, "dana.of.before@example.com"] {
        let unlock = outcome_core::usecases::Unlock::Passphrase(SecretString::from("no passphrase of theirs"));
        let request = DecideRequest { member: Some(member.to_owned()), unlock, ..decision(&gate, Verdict::Approve) };
        ensure!(lab.runtime.gates().decide(request).await.is_err(), "decided without the passphrase");
    }
    let UnsignedAct { is_done, .. } =
        lab.runtime.gates().ask(&gate, Verdict::Rework, Some("once more"), &local()).await?;
    ensure!(!is_done);
    lab.runtime.keys().rotate(None, &unlock(), SecretString::from(PASSPHRASE)).await?;
    ensure!(problems(lab).await?.is_empty(), "{:?}", problems(lab).await?);
    Ok(experiment)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_member_is_called_stands_in_one_table_only() -> Result<()> {
    each_lab(async |lab| {
        let experiment = lived_in(&lab).await?;
        let named = columns_that_name(&lab).await?;
        ensure!(named == ["member_opening.email", "member_opening.name"], "{named:?}");
        let proof = serde_json::to_string(&lab.runtime.audit_log().proof(&experiment).await?)?;
        ensure!(!proof.to_lowercase().contains(CALLED), "the proof pack names the member");
        let decisions = serde_json::to_string(&lab.runtime.audit_log().decisions(&experiment).await?)?;
        ensure!(!decisions.to_lowercase().contains(CALLED) && !decisions.is_empty());

        // People see the name all the same, and the programs that print the log print it only if they are told to.
        let home = tempfile::tempdir()?;
        let cli = cli(&lab, &home)?;
        let gates = cli.json(&["gate", "list"])?;
        ensure!(gates[0]["holder"] == MEMBER, "{gates}");
        ensure!(cli.json(&["key", "list"])?[0]["member"] == MEMBER);
        let exported = cli.run(&["audit", "export"])?;
        ensure!(!exported.to_lowercase().contains(CALLED), "the export names the member");
        let with_names = cli.run(&["audit", "export", "--with-names"])?;
        let last: Value = serde_json::from_str(with_names.lines().last().context("nothing")?)?;
        ensure!(last["opening"]["email"] == MEMBER && with_names.starts_with(&exported), "{last}");

        // What the team writes themselves is theirs, and stays.
        let path = lab.root().join("outcome.yaml");
        let text = std::fs::read_to_string(&path)?;
        std::fs::write(
            &path,
            text.replacen("  - id: retention", &format!("  - id: retention\n    owner: {MEMBER}"), 1),
        )?;
        lab.runtime.outcomes().apply(&local(), Some(&unlock())).await?;
        let named = columns_that_name(&lab).await?;
        ensure!(named.iter().any(|name| name == "configuration.content" || name.starts_with("outcome.")), "{named:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_member_leaves_their_decisions_and_no_name() -> Result<()> {
    each_lab(async |lab| {
        let experiment = lived_in(&lab).await?;
        let id = lab.runtime.keys().list().await?.remove(0).member_id;
        let refused = lab.runtime.members().forget(forget(MEMBER, false)).await.unwrap_err();
        ensure!(refused.code() == Code::Conflict && refused.message().contains("last member"), "{refused}");
        let refused = lab.runtime.members().forget(forget("somebody@example.com", true)).await.unwrap_err();
        ensure!(refused.code() == Code::NotFound, "{refused}");

        let home = tempfile::tempdir()?;
        let cli = cli(&lab, &home)?;
        let said = cli.signed(&["member", "forget", MEMBER, "--even-the-last"])?;
        ensure!(said.contains("holds the id only") && !said.contains("older lines"), "{said}");

        ensure!(columns_that_name(&lab).await?.is_empty(), "{:?}", columns_that_name(&lab).await?);
        for file in ["outcome.db", "outcome.db-wal"].map(|name| lab.root().join(".outcome").join(name)) {
            let bytes = std::fs::read(&file).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes).to_lowercase();
            ensure!(!text.contains(CALLED), "{} still holds the name", file.display());
        }
        let lines = lab.runtime.audit_log().page(0, 1000).await?;
        let line = lines.iter().find(|line| line.is(EventKind::MemberForgotten)).context("no line")?;
        ensure!(line.payload["act"] == serde_json::json!({ "forget_member": id }), "{}", line.payload);

        let found = cli.json(&["audit", "verify"])?;
        ensure!(found["is_intact"] == true && found["n_removed_members"] == 1, "{found}");
        let shown = format!("a removed member ({id})");
        ensure!(lab.runtime.keys().list().await?.iter().all(|key| key.member == shown));
        ensure!(cli.json(&["gate", "list"])?[0]["holder"] == shown.as_str());
        ensure!(!lab.runtime.audit_log().decisions(&experiment).await?.is_empty());

        // Their key goes on counting, by id or as the first member, and nobody is found by the e-mail.
        let refused = lab.runtime.members().forget(forget(&id.to_string(), true)).await.unwrap_err();
        ensure!(refused.code() == Code::Conflict && refused.message().contains("removed before"), "{refused}");
        let refused = lab.runtime.sessions().sign_in(Some(MEMBER), SecretString::from(PASSPHRASE)).await;
        ensure!(refused.is_err_and(|error| error.code() == Code::PassphraseWrong));
        lab.act(&experiment, Verdict::Pause).await?;
        lab.runtime.keys().rotate(Some(&id.to_string()), &unlock(), SecretString::from(PASSPHRASE)).await?;
        lab.act(&experiment, Verdict::Kill).await?;
        ensure!(problems(&lab).await?.is_empty(), "{:?}", problems(&lab).await?);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_somebody_wrote_is_shown_to_nobody_and_stops_whoever_signs() -> Result<()> {
    each_lab(async |lab| {
        let experiment = lab.running("Softer level", "soft").await?;
        let id = lab.runtime.keys().list().await?.remove(0).member_id;
        lab.raw("CREATE TABLE kept_opening AS SELECT * FROM member_opening").await?;
        let columns = "workspace_id, member_id, email, email_salt, name, name_salt";
        let put_back = format!("INSERT INTO member_opening ({columns}) SELECT {columns} FROM kept_opening");
        for (what, sql) in [
            ("written past", "UPDATE member_opening SET email = 'mallory@example.com'"),
            ("written past", "UPDATE member_opening SET name = 'Mallory'"),
            ("written past", "UPDATE member_opening SET email_salt = name_salt"),
            ("written past", "UPDATE member_opening SET email = name, name = email"),
            ("is gone", "DELETE FROM member_opening"),
            ("written past", "UPDATE member SET email = 'mallory@example.com', name = 'Mallory'"),
        ] {
            ensure!(lab.raw(sql).await? == 1, "{sql}");
            let found = problems(&lab).await?;
            ensure!(found.iter().any(|problem| problem.contains(what) && problem.contains(&id.to_string())), "{sql}: {found:?}");
            let shown = lab.runtime.keys().list().await?.remove(0).member;
            ensure!(shown == format!("member {id}, whose name was written past the runtime"), "{sql}: {shown}");
            let refused = lab.act(&experiment, Verdict::Pause).await.unwrap_err();
            ensure!(refused.code() == Code::StateTampered, "{sql}: {refused}");
            lab.raw("DELETE FROM member_opening").await?;
            lab.raw(&put_back).await?;
            lab.raw("UPDATE member SET email = NULL, name = NULL").await?;
            ensure!(problems(&lab).await?.is_empty(), "{sql}: {:?}", problems(&lab).await?);
        }
        // A name for somebody who is none, and the one of a removed member brought back.
        let other = if lab.is_postgres() { "gen_random_uuid()" } else { "randomblob(16)" };
        lab.raw(&format!(
            "INSERT INTO member_opening ({columns}) SELECT workspace_id, {other}, 'x' || email, email_salt, name, name_salt FROM kept_opening"
        ))
        .await?;
        let found = problems(&lab).await?;
        ensure!(found.iter().any(|problem| problem.contains("who is none")), "{found:?}");
        lab.raw("DELETE FROM member_opening WHERE email LIKE 'x%'").await?;
        removed(&lab).await?;
        ensure!(problems(&lab).await?.is_empty(), "{:?}", problems(&lab).await?);
        lab.raw(&put_back).await?;
        let found = problems(&lab).await?;
        ensure!(found.iter().any(|problem| problem.contains("stored again")), "{found:?}");
        let refused = lab.act(&experiment, Verdict::Pause).await.unwrap_err();
        ensure!(refused.code() == Code::StateTampered, "{refused}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_somebody_wrote_can_be_removed_where_there_is_no_backup() -> Result<()> {
    each_lab(async |lab| {
        let experiment = lab.running("Softer level", "soft").await?;
        let id = lab.runtime.keys().list().await?.remove(0).member_id;
        lab.raw("UPDATE member_opening SET email = 'mallory@example.com'").await?;
        lab.runtime.members().forget(forget(&id.to_string(), true)).await?;
        ensure!(problems(&lab).await?.is_empty(), "{:?}", problems(&lab).await?);
        lab.act(&experiment, Verdict::Pause).await?;
        Ok(())
    })
    .await
}
