//! Members' keys: exchanged, recovered, revoked, marked; and what lies under the passphrase, which nobody else can move.

use anyhow::{Result, ensure};
use outcome_core::Code;
use outcome_core::domain::{Enrolment, ExperimentStatus, KeyKind, Verdict};
use outcome_core::identity::enrol;
use outcome_core::store::MemberKey;
use outcome_core::usecases::{DecideRequest, KeyActRequest, KeyLine, KeyState, Unlock};
use outcome_tests::lab::{Lab, PASSPHRASE, decision, hypothesis, unlock};
use secrecy::SecretString;

use crate::journey::each_lab;

const NEW: &str = "four other unrelated words here";

fn with(passphrase: &str) -> Unlock {
    Unlock::Passphrase(SecretString::from(passphrase))
}

async fn is_intact(lab: &Lab) -> Result<()> {
    let found = lab.runtime.audit_log().verify(&[]).await?;
    ensure!(found.is_intact, "{:?}", found.problems);
    Ok(())
}

async fn keys(lab: &Lab, state: KeyState) -> Result<Vec<KeyLine>> {
    Ok(lab.runtime.keys().list().await?.into_iter().filter(|key| key.state == state).collect())
}

fn act(key: &str, compromised_since: Option<i64>, unlock: Unlock) -> KeyActRequest {
    let reason = "the laptop was sold".to_owned();
    KeyActRequest { key: key.to_owned(), compromised_since, reason, member: None, unlock }
}

/// An experiment that waits for its portfolio decision, and the gate.
async fn waiting(lab: &Lab, flag: &str) -> Result<String> {
    let experiment = lab.submit(hypothesis(&format!("The {flag} one"), flag)).await?;
    Ok(lab.runtime.experiments().show(&experiment).await?.gates.remove(0))
}

async fn decide(lab: &Lab, gate: &str, passphrase: &str) -> outcome_core::Result<()> {
    let request = DecideRequest { unlock: with(passphrase), ..decision(gate, Verdict::Approve) };
    lab.runtime.gates().decide(request).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_exchanged_and_what_the_old_one_signed_still_counts() -> Result<()> {
    each_lab(async |lab| {
        let running = lab.running("Softer level", "soft").await?;
        let weak = lab.runtime.keys().rotate(None, &unlock(), SecretString::from("password12")).await.unwrap_err();
        ensure!(weak.code() == Code::PassphraseWeak, "{weak}");
        let done = lab.runtime.keys().rotate(None, &unlock(), SecretString::from(NEW)).await?;
        let counting = keys(&lab, KeyState::Counts).await?;
        ensure!(counting.iter().any(|key| key.key == done.key && key.kind == KeyKind::Passphrase), "{counting:?}");
        ensure!(keys(&lab, KeyState::Revoked).await?.iter().any(|key| key.key == done.revoked && key.is_root));

        let gate = waiting(&lab, "second").await?;
        let refused = decide(&lab, &gate, PASSPHRASE).await.unwrap_err();
        ensure!(refused.code() == Code::PassphraseWrong, "{refused}");
        decide(&lab, &gate, NEW).await?;
        // What was approved with the old key goes on.
        lab.arms("soft", (1000, 300, 10), (1000, 300, 10)).await?;
        lab.poll_after(1).await?;
        let status = lab.runtime.experiments().show(&running).await?.experiment.state.status;
        ensure!(status == ExperimentStatus::Measuring, "{status}");
        is_intact(&lab).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_passphrase_is_replaced_with_the_code_which_works_once() -> Result<()> {
    each_lab(async |lab| {
        let code = SecretString::from(lab.recovery_code.reveal().to_lowercase().replace('-', " "));
        let wrong = SecretString::from("AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA");
        let refused = lab.runtime.keys().recover(&wrong, SecretString::from(NEW)).await.unwrap_err();
        ensure!(refused.code() == Code::PassphraseWrong && refused.message().contains("recovery code"), "{refused}");
        let done = lab.runtime.keys().recover(&code, SecretString::from(NEW)).await?;
        ensure!(done.revoked.len() == 2, "the key of before, and that of the code: {done:?}");
        ensure!(done.recovery_code.reveal() != lab.recovery_code.reveal());

        let gate = waiting(&lab, "first").await?;
        ensure!(decide(&lab, &gate, PASSPHRASE).await.is_err());
        decide(&lab, &gate, NEW).await?;
        let again =
            lab.runtime.keys().recover(&code, SecretString::from("yet other unrelated words")).await.unwrap_err();
        ensure!(again.code() == Code::PassphraseWrong, "{again}");
        let next = SecretString::from(done.recovery_code.reveal());
        lab.runtime.keys().recover(&next, SecretString::from("yet other unrelated words")).await?;
        is_intact(&lab).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_revoked_or_marked_and_the_last_one_stays() -> Result<()> {
    each_lab(async |lab| {
        let root = keys(&lab, KeyState::Counts).await?.into_iter().find(|key| key.is_root).expect("a root");
        let last = lab.runtime.keys().act(act(&root.fingerprint[..12], None, unlock())).await.unwrap_err();
        ensure!(last.code() == Code::Conflict && last.message().contains("last key"), "{last}");
        let unknown = lab.runtime.keys().act(act("ffffffff0000", None, unlock())).await.unwrap_err();
        ensure!(unknown.code() == Code::NotFound, "{unknown}");

        let before = lab.runtime.audit_log().page(0, 1000).await?.len() as i64;
        lab.running("Softer level", "soft").await?;
        // A member who says it of the only key they have goes on deciding with it, and it is named.
        lab.runtime.keys().act(act(&root.fingerprint, Some(before + 1), unlock())).await?;
        let found = lab.runtime.audit_log().verify(&[]).await?.problems;
        ensure!(found.len() == 5 && found.iter().all(|problem| problem.contains("somebody else had")), "{found:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_signed_with_a_stolen_key_is_named() -> Result<()> {
    each_lab(async |lab| {
        let root = keys(&lab, KeyState::Counts).await?.into_iter().find(|key| key.is_root).expect("a root");
        let before = lab.runtime.audit_log().page(0, 1000).await?.len() as i64;
        let running = lab.running("Softer level", "soft").await?;
        lab.runtime.keys().rotate(None, &unlock(), SecretString::from("a key of the thief's own")).await?;
        let thief = with("a key of the thief's own");
        // Marking it would take away the key that says so: only the code leads to one that the thief cannot have.
        let refused = lab.runtime.keys().act(act(&root.fingerprint, Some(before + 1), thief)).await.unwrap_err();
        ensure!(refused.code() == Code::Conflict && refused.to_string().contains("vouched for"), "{refused}");
        let code = SecretString::from(lab.recovery_code.reveal());
        lab.runtime.keys().recover(&code, SecretString::from(NEW)).await?;
        is_intact(&lab).await?;
        let future = lab.runtime.keys().act(act(&root.fingerprint, Some(1_000_000), with(NEW))).await.unwrap_err();
        ensure!(future.code() == Code::InvalidInput, "{future}");
        lab.runtime.keys().act(act(&root.fingerprint, Some(before + 1), with(NEW))).await?;
        // What was signed since is named, and it can still be stopped.
        let found = lab.runtime.audit_log().verify(&[]).await?.problems;
        let n_doubtful = found.iter().filter(|problem| problem.contains("somebody else had")).count();
        ensure!(n_doubtful >= 4, "{found:?}");
        let stop = outcome_core::usecases::ActRequest {
            unlock: with(NEW),
            ..outcome_tests::lab::act(&running, Verdict::Kill)
        };
        lab.runtime.experiments().act(stop).await?;
        ensure!(lab.runtime.experiments().show(&running).await?.experiment.state.status == ExperimentStatus::Killed);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_is_in_the_log_and_not_in_a_row() -> Result<()> {
    each_lab(async |lab| {
        lab.runtime.keys().rotate(None, &unlock(), SecretString::from(NEW)).await?;
        // The old key's row says again that it counts, and the new one's that it does not.
        lab.raw("UPDATE member_key SET revoked_at = created_at WHERE revoked_at IS NULL").await?;
        let gate = waiting(&lab, "first").await?;
        decide(&lab, &gate, NEW).await?;
        lab.raw("UPDATE member_key SET revoked_at = NULL").await?;
        let gate = waiting(&lab, "second").await?;
        ensure!(decide(&lab, &gate, PASSPHRASE).await.is_err());
        ensure!(!lab.runtime.audit_log().verify(&[]).await?.is_intact);
        // A key that is there alone is no key without those that vouch for it.
        lab.raw(
            "DELETE FROM member_key WHERE sealed IS NOT NULL AND created_at = (SELECT MIN(created_at) FROM member_key)",
        )
        .await?;
        ensure!(decide(&lab, &gate, NEW).await.is_err());
        Ok(())
    })
    .await
}

/// `text` as the engine writes it in a statement.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_enrolled_in_another_workspace_says_so_before_it_signs() -> Result<()> {
    each_lab(async |theirs| {
        // Somebody made a workspace of their own, enrolled the member's public key in it, and put the member's sealed key there.
        let gate = waiting(&theirs, "first").await?;
        let own = Lab::sqlite().await?;
        let stored = passphrase_key(&own).await?;
        let thief = passphrase_key(&theirs).await?;
        let secret = thief.sealed.as_ref().expect("a sealed key").open(thief.id, &SecretString::from(PASSPHRASE))?.key;
        let by = outcome_tests::lab::member(&theirs.runtime).await?;
        let enrolment = Enrolment {
            workspace: theirs.runtime.workspace().id,
            member: thief.member,
            commitments: thief.certificate.enrolment.commitments.clone(),
            enrolled_by: thief.id,
            enrolled_at: theirs.runtime.now().checked_add(jiff::SignedDuration::from_secs(1))?,
            ..stored.certificate.enrolment.clone()
        };
        let certificate = enrol(enrolment, &secret)?;
        let payload = serde_json::to_value(&certificate)?;
        crate::tamper::append_forged(&theirs, "member.enrolled", stored.id.into(), by, payload).await?;
        let id = |id: uuid::Uuid| if theirs.is_postgres() { format!("'{id}'") } else { format!("x'{}'", id.simple()) };
        theirs
            .raw(&format!(
                "INSERT INTO member_key (id, workspace_id, member_id, kind, certificate, sealed, created_at)
                 SELECT {}, workspace_id, member_id, kind, {}, {}, created_at FROM member_key WHERE kind = 'passphrase'",
                id(stored.id.0),
                quoted(&serde_json::to_string(&certificate)?),
                quoted(&serde_json::to_string(&stored.sealed)?)
            ))
            .await?;
        let refused = decide(&theirs, &gate, PASSPHRASE).await.unwrap_err();
        ensure!(refused.code() == Code::RootChanged, "{refused}");
        ensure!(refused.message().contains(&own.runtime.workspace().id.to_string()), "{refused}");
        Ok(())
    })
    .await
}

async fn passphrase_key(lab: &Lab) -> Result<MemberKey> {
    let mut tx = lab.runtime.db().read(lab.runtime.workspace().id).await?;
    Ok(tx.key_list().await?.into_iter().find(|key| key.kind == KeyKind::Passphrase).expect("a key"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_put_back_is_found_under_the_passphrase_and_a_backup_is_said() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let backup = lab.root().join("backup.db");
    lab.raw(&format!("VACUUM INTO {}", quoted(&backup.display().to_string()))).await?;
    let n_lines = lab.runtime.audit_log().page(0, 1000).await?.len() as i64;
    for flag in ["first", "second"] {
        let gate = waiting(&lab, flag).await?;
        decide(&lab, &gate, PASSPHRASE).await?;
    }
    let nothing = lab.runtime.audit_log().restore("Monday", None, &unlock()).await.unwrap_err();
    ensure!(nothing.code() == Code::Conflict, "{nothing}");
    // Put back to what it was, all but the sealed key, which its owner knows to open.
    let sealed = serde_json::to_string(&passphrase_key(&lab).await?.sealed)?;
    let database = lab.root().join(".outcome/outcome.db");
    lab.runtime.db().clone().close().await;
    std::fs::copy(&backup, &database)?;
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", database.display()));
    }
    let mut lab = lab;
    lab.runtime = lab.reopened().await?;
    lab.raw(&format!("UPDATE member_key SET sealed = {} WHERE kind = 'passphrase'", quoted(&sealed))).await?;

    let gate = waiting(&lab, "third").await?;
    let refused = decide(&lab, &gate, PASSPHRASE).await.unwrap_err();
    ensure!(refused.code() == Code::StateTampered && refused.message().contains("is gone"), "{refused}");
    ensure!(lab.runtime.audit_log().restore(" ", None, &unlock()).await.is_err());
    let done = lab.runtime.audit_log().restore("the backup of Monday", None, &unlock()).await?;
    ensure!(done.lost_line > n_lines, "{done:?}");
    let lines = lab.runtime.audit_log().page(n_lines, 1000).await?;
    ensure!(lines.iter().any(|line| line.kind == "audit.restored"), "{lines:?}");
    decide(&lab, &gate, PASSPHRASE).await?;
    is_intact(&lab).await
}
