//! Secrets that are sealed in the store: a source is opened with one, with the next one, and with none that was tampered with.

mod daemon;
mod keyed;
mod keyring;
mod rotation;

use anyhow::{Result, ensure};
use outcome_core::Code;
use outcome_core::ports::push::{Headers, sign};
use outcome_core::usecases::{RemoveSecret, Runtime, SecretHome, SecretState};
use outcome_tests::lab::{INGEST_SECRET, Lab, OUTCOME, agent, local, pushed_level, unlock};
use secrecy::SecretString;
use tracing_subscriber::util::SubscriberInitExt as _;

use self::keyed::{declare, each_keyed, keyed};

/// Applies the file with this in the place of that.
async fn applied(lab: &Lab, from: &str, to: &str) -> Result<()> {
    declare(lab, from, to)?;
    outcome_tests::lab::commit(&lab.root(), "Refer to a secret")?;
    lab.runtime.outcomes().apply(&local(), Some(&unlock())).await?;
    Ok(())
}

async fn set(runtime: &Runtime, name: &str, value: &str) -> outcome_core::Result<()> {
    runtime.secrets().set(name, &SecretString::from(value), &local()).await.map(drop)
}

async fn push(lab: &Lab, id: &str, secret: &str) -> outcome_core::Result<()> {
    let now = lab.runtime.now();
    let body = pushed_level(now, "orders", 100, 10).to_string();
    let (at, secret) = (now.as_second(), SecretString::from(secret));
    let signature = sign(id, at, body.as_bytes(), &secret).map_err(outcome_core::Error::from)?;
    let headers = Headers { id, timestamp: &at.to_string(), signature: &signature };
    lab.runtime.signals().ingest(headers, body.as_bytes()).await.map(drop)
}

async fn is_intact(lab: &Lab) -> Result<()> {
    let problems = lab.runtime.audit_log().verify(&[]).await?.problems;
    ensure!(problems.is_empty(), "{problems:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_set_after_its_file_was_applied_leads_nowhere_before_a_member_signs() -> Result<()> {
    each_keyed(async |lab| {
        applied(&lab, "sqlite:game.db", "${secret:LATER}").await?;
        set(&lab.runtime, "LATER", "sqlite:game.db").await?;
        let polled = lab.poll_after(24).await?;
        let is_said = |said: &String| said.contains("no member signed where `game` leads");
        ensure!(polled.failures.iter().any(is_said), "{polled:?}");
        lab.runtime.outcomes().apply(&local(), Some(&unlock())).await?;
        let polled = lab.poll_after(24).await?;
        ensure!(polled.failures.is_empty(), "{polled:?}");
        is_intact(&lab).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_opened_with_a_sealed_secret_and_again_when_that_is_another() -> Result<()> {
    each_keyed(async |lab| {
        set(&lab.runtime, "GAME", "sqlite:game.db").await?;
        set(&lab.runtime, "PUSH", INGEST_SECRET).await?;
        declare(&lab, "${file:push.secret}", "${secret:PUSH}")?;
        applied(&lab, "sqlite:game.db", "${secret:GAME}").await?;
        lab.running("Softer level", "soft").await?;
        lab.arms("soft", (1000, 300, 10), (1000, 300, 10)).await?;
        ensure!(lab.poll_after(1).await?.failures.is_empty());
        push(&lab, "one", INGEST_SECRET).await?;

        // A secret cannot lead elsewhere than a member signed.
        std::fs::copy(lab.root().join("game.db"), lab.root().join("other.db"))?;
        set(&lab.runtime, "GAME", "sqlite:other.db").await?;
        let polled = lab.poll_after(1).await?;
        let names_both = |said: &String| said.contains("other.db") && said.contains("game.db");
        ensure!(polled.failures.iter().any(names_both), "{polled:?}");
        let refused = lab.runtime.signals().connector_test_applied("game").await?.problem.map(|problem| problem.code);
        ensure!(refused == Some("source_elsewhere"), "{refused:?}");
        set(&lab.runtime, "GAME", "sqlite:game.db").await?;
        ensure!(lab.poll_after(1).await?.failures.is_empty());

        // What is replaced counts for what comes next.
        let next = "another secret of at least sixteen bytes";
        set(&lab.runtime, "PUSH", next).await?;
        ensure!(push(&lab, "two", INGEST_SECRET).await.is_err_and(|e| e.code() == Code::IngestSignature));
        push(&lab, "three", next).await?;

        // Who uses it is said before it is removed.
        let game = |even_if_used| RemoveSecret { name: "GAME".to_owned(), home: SecretHome::Store, even_if_used };
        let used = lab.runtime.secrets().remove(&game(false), &local()).await.unwrap_err();
        ensure!(used.code() == Code::Conflict && used.message().contains("connector `game`"), "{used}");
        let removed = lab.runtime.secrets().remove(&game(true), &local()).await?;
        ensure!(removed.used_by == ["connector `game`"], "{removed:?}");
        let polled = lab.poll_after(1).await?;
        ensure!(polled.failures.iter().any(|said| said.contains("no secret `GAME` is sealed")), "{polled:?}");
        let list = lab.runtime.secrets().list().await?;
        let states: Vec<_> = list.secrets.iter().map(|line| (line.name.as_str(), line.state)).collect();
        ensure!(states == [("GAME", SecretState::NotSet), ("PUSH", SecretState::Opens)], "{states:?}");
        let remedy = list.secrets[0].remedy.clone().unwrap_or_default();
        ensure!(remedy.contains("outcome-runtime secrets set GAME"), "{remedy}");
        let gone =
            lab.runtime.secrets().remove(&RemoveSecret { name: "OTHER".to_owned(), ..game(true) }, &local()).await;
        ensure!(gone.is_err_and(|error| error.code() == Code::NotFound));
        set(&lab.runtime, "GAME", "sqlite:game.db").await?;
        ensure!(lab.poll_after(1).await?.failures.is_empty());
        is_intact(&lab).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_changed_or_put_in_the_place_of_another_does_not_open_and_is_found() -> Result<()> {
    each_keyed(async |lab| {
        let states = async || -> Result<Vec<SecretState>> {
            Ok(lab.runtime.secrets().list().await?.secrets.iter().map(|line| line.state).collect())
        };
        for (name, value) in [("ONE", "the first of two secrets"), ("TWO", "the second of two secrets")] {
            set(&lab.runtime, name, value).await?;
        }
        lab.raw("CREATE TABLE kept_secret AS SELECT * FROM secret").await?;
        let other = |column: &str| format!("{column} = (SELECT k.{column} FROM kept_secret k WHERE k.name = 'TWO')");
        let same = |column: &str| format!("{column} = (SELECT k.{column} FROM kept_secret k WHERE k.name = 'ONE')");
        for changed in [
            format!("{}, {}", other("nonce"), other("sealed")),
            other("nonce"),
            other("sealed"),
            "sealed = 'AAAA'".to_owned(),
        ] {
            lab.raw(&format!("UPDATE secret SET {changed} WHERE name = 'ONE'")).await?;
            ensure!(states().await? == [SecretState::Changed, SecretState::Opens], "{changed}");
            let problems = lab.runtime.audit_log().verify(&[]).await?.problems;
            let row = "row ONE of secret was written past the runtime";
            ensure!(problems.iter().any(|problem| problem.contains(row)), "{changed}: {problems:?}");
            lab.raw(&format!("UPDATE secret SET {}, {} WHERE name = 'ONE'", same("nonce"), same("sealed"))).await?;
            is_intact(&lab).await?;
        }
        // An older value opens, since it was sealed here; the log knows that it is not the one that counts.
        set(&lab.runtime, "ONE", "the secret that follows the first").await?;
        lab.raw(&format!("UPDATE secret SET {}, {} WHERE name = 'ONE'", same("nonce"), same("sealed"))).await?;
        ensure!(states().await? == [SecretState::Opens, SecretState::Opens]);
        let problems = lab.runtime.audit_log().verify(&[]).await?.problems;
        ensure!(problems.iter().any(|problem| problem.contains("row ONE of secret")), "{problems:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_sets_and_removes_nothing_and_names_and_values_are_checked() -> Result<()> {
    let lab = keyed(Lab::sqlite().await?).await?;
    let secrets = lab.runtime.secrets();
    let value = SecretString::from("a value of some length");
    let remove = RemoveSecret { name: "ONE".to_owned(), home: SecretHome::Store, even_if_used: true };
    for refused in [
        secrets.set("ONE", &value, &agent()).await.map(drop),
        secrets.set_in_keyring("ONE", &value, &agent()).await.map(drop),
        secrets.remove(&remove, &agent()).await.map(drop),
        secrets.rotate_key(&agent()).await.map(drop),
    ] {
        ensure!(refused.is_err_and(|error| error.code() == Code::Forbidden));
    }
    for name in ["", "1A", "A-B", "postgres://app:hunter2@db/shop"] {
        let error = secrets.set(name, &value, &local()).await.unwrap_err();
        // Somebody may have given the value in the place of the name.
        ensure!(error.code() == Code::InvalidInput && !error.to_string().contains("hunter2"), "{error}");
    }
    let long = "x".repeat(64 * 1024 + 1);
    for value in ["", "a\0b", &long] {
        let error = secrets.set("ONE", &SecretString::from(value), &local()).await.unwrap_err();
        ensure!(error.code() == Code::InvalidInput, "{error}");
    }
    ensure!(secrets.list().await?.secrets.is_empty());
    ensure!(lab.log().await?.iter().all(|line| !line.kind.as_str().starts_with("secret.")));
    Ok(())
}

#[tokio::test]
async fn no_value_and_no_key_is_in_the_store_the_log_a_line_of_output_or_a_debug_text() -> Result<()> {
    const VALUE: &str = "sqlite:game.db?nothing=hunter2-and-more-of-it";
    let lab = keyed(Lab::sqlite().await?).await?;
    let key = std::fs::read_to_string(lab.root().join(keyed::KEY_FILE))?;
    let lines = keyed::Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::NEW)
        .with_writer(move || writer.clone())
        .finish();
    let beside = tracing_subscriber::registry().set_default();
    let guard = subscriber.set_default();
    let done = lab.runtime.secrets().set("GAME", &SecretString::from(VALUE), &local()).await?;
    applied(&lab, "sqlite:game.db", "${secret:GAME}").await?;
    let polled = lab.poll_after(1).await?;
    let report = lab.runtime.signals().connector_test_applied("game").await?;
    let list = lab.runtime.secrets().list().await?;
    let env = lab.runtime.secrets().env("${secret:GAME}").await?;
    drop((guard, beside));
    ensure!(done.hint.as_deref() == Some("f-it") && list.secrets[0].hint == done.hint, "{done:?}");
    let status = lab.runtime.workspaces().status(true).await?;
    let mut said = vec![
        lines.text()?,
        format!("{done:?} {report:?} {list:?} {env:?} {polled:?} {:?}", lab.runtime.settings()),
        serde_json::to_string(&(&done, &report, &list, &status, lab.log().await?, lab.runtime.settings()))?,
    ];
    for file in ["outcome.db", "outcome.db-wal"] {
        let bytes = std::fs::read(lab.root().join(".outcome").join(file)).unwrap_or_default();
        said.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    ensure!(said.iter().any(|text| text.contains("secrets.set")), "the spans were not seen");
    for text in said {
        for secret in ["hunter2", key.trim()] {
            let found = text.find(secret).map(|at| text.get(at.saturating_sub(200)..at).unwrap_or_default().to_owned());
            ensure!(found.is_none(), "behind {found:?}");
        }
    }
    ensure!(status.outcomes.iter().any(|line| line.outcome == OUTCOME));
    Ok(())
}
