//! Somebody writes into the database. It decides nothing, and it is found.

use anyhow::Result;
use outcome_core::Code;
use outcome_core::audit::{LogEntry, NewEvent, Subject, SubjectKind};
use outcome_core::digest::canonical_json;
use outcome_core::domain::{
    Assurance, Basis, Decision, DecisionSubject, Enrolment, ExperimentStatus, KeyKind, SignedDecision, Surface, Verdict,
};
use outcome_core::identity::{SigningKey, enrol, sign_decision};
use outcome_core::ids::{KeyId, MemberId};
use outcome_core::principal::Principal;
use outcome_core::store::all_statements;
use outcome_core::usecases::{AnchorPlace, GateView, Unlock};
use outcome_tests::forger::{chained_again, following, writer_of};
use outcome_tests::lab::{Lab, PASSPHRASE, decision, hypothesis};
use secrecy::SecretString;
use serde_json::json;

use crate::journey::each_lab;

async fn problems(lab: &Lab) -> Result<Vec<String>> {
    Ok(lab.runtime.audit_log().verify(&[]).await?.problems)
}

async fn waiting(lab: &Lab) -> Result<(String, String)> {
    let experiment = lab.submit(hypothesis("Tempting", "tempt")).await?;
    let gate = lab.runtime.experiments().show(&experiment).await?.gates.remove(0);
    Ok((experiment, gate))
}

/// An approval of a gate as `member` would sign it, over the log up to `last`, with a key of the forger's choice.
pub fn forged_approval(
    gate: &GateView,
    last: &LogEntry,
    member: MemberId,
    key: KeyId,
    assurance: Assurance,
) -> Decision {
    Decision {
        version: 2,
        workspace: last.workspace,
        subject: DecisionSubject::Gate(gate.id),
        context_hash: gate.context_hash.clone(),
        log_seq: last.seq,
        log_head: last.hash.clone(),
        verdict: Verdict::Approve,
        conditions: vec![],
        note: None,
        member,
        key,
        assurance,
        surface: Surface::Terminal,
        base: None,
        decided_at: last.at,
        basis: Some(Basis {
            root: "a root of the forger's own".to_owned(),
            certificates: vec![],
            requester: None,
            policy: None,
            recommendation: None,
            commit: None,
            diff: None,
            plan: None,
            scope: None,
            applied: None,
            flag: None,
            evidence: None,
        }),
    }
}

/// Appends a line that holds, as a program in the same account can.
pub async fn append_forged(
    lab: &Lab,
    kind: &str,
    subject: Subject,
    principal: Principal,
    payload: serde_json::Value,
) -> Result<()> {
    let lines = lab.runtime.audit_log().page(0, 1000).await?;
    let last = lines.last().unwrap();
    let event = NewEvent { kind: kind.parse()?, subject, principal, payload };
    let entry = following(&lines, Some(&writer_of(lab.runtime.settings())?), last.at, event)?;
    insert_line(lab, &entry).await?;
    lab.raw(&format!("UPDATE workspace SET log_seq = {}, log_head = '{}'", entry.seq, entry.hash)).await?;
    Ok(())
}

async fn insert_line(lab: &Lab, entry: &LogEntry) -> Result<()> {
    lab.raw(&insert_of(entry, lab.is_postgres())?).await?;
    Ok(())
}

/// The statement with which another program writes a line into the log.
pub fn insert_of(entry: &LogEntry, is_postgres: bool) -> Result<String> {
    let id = |uuid: uuid::Uuid| if is_postgres { format!("'{uuid}'") } else { format!("x'{}'", uuid.simple()) };
    let text = |value: &str| value.replace('\'', "''");
    let maybe = |value: Option<&String>| value.map_or("NULL".to_owned(), |value| format!("'{value}'"));
    Ok(format!(
        "INSERT INTO event (workspace_id, seq, at, kind, is_step, subject_kind, subject_id, principal, payload, prev, previous_step,
             writer, hash, writer_signature)
         VALUES ({}, {}, '{:.6}', '{}', {}, '{}', {}, '{}', '{}', '{}', {}, {}, '{}', {})",
        id(entry.workspace.0),
        entry.seq,
        entry.at,
        entry.kind,
        entry.event_kind()?.is_step(),
        entry.subject.kind,
        id(entry.subject.id),
        text(&canonical_json(&entry.principal)?),
        text(&canonical_json(&entry.payload)?),
        entry.prev,
        maybe(entry.previous_step.as_ref()),
        maybe(entry.writer.as_ref()),
        entry.hash,
        maybe(entry.writer_signature.as_ref())
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_written_into_a_row_moves_nothing_and_is_found() -> Result<()> {
    each_lab(async |lab| {
        let (experiment, gate) = waiting(&lab).await?;
        let set = if lab.is_postgres() {
            "jsonb_set(state, '{status}', '\"building\"')"
        } else {
            "json_set(state, '$.status', 'building')"
        };
        assert_eq!(lab.raw(&format!("UPDATE experiment SET status = 'building', state = {set}")).await?, 1);
        let brief = lab.runtime.builds().brief(&experiment).await.unwrap_err();
        assert_eq!(brief.code(), Code::StateTampered, "{brief}");
        let build = lab.build(&experiment).await.unwrap_err();
        assert!(build.to_string().contains("differs from the log"), "{build}");
        let found = problems(&lab).await?;
        assert!(found.iter().any(|problem| problem.contains(&experiment)), "{found:?}");
        let refused = lab.runtime.gates().decide(decision(&gate, Verdict::Approve)).await.unwrap_err();
        assert_eq!(refused.code(), Code::StateTampered);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_written_as_approved_is_no_approval() -> Result<()> {
    each_lab(async |lab| {
        let (experiment, gate) = waiting(&lab).await?;
        let set = if lab.is_postgres() {
            "jsonb_set(state, '{status}', '\"approved\"')"
        } else {
            "json_set(state, '$.status', 'approved')"
        };
        lab.raw(&format!("UPDATE gate SET status = 'approved', state = {set}")).await?;
        assert!(problems(&lab).await?.iter().any(|problem| problem.contains("gate")));
        let refused = lab.runtime.gates().decide(decision(&gate, Verdict::Approve)).await.unwrap_err();
        assert_eq!(refused.code(), Code::StateTampered);
        assert_eq!(
            lab.runtime.experiments().show(&experiment).await?.experiment.state.status,
            ExperimentStatus::AwaitingPortfolioGate
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_decision_with_right_hashes_is_found_by_its_signature() -> Result<()> {
    each_lab(async |lab| {
        let (experiment, gate) = waiting(&lab).await?;
        let view = lab.runtime.experiments().show(&experiment).await?;
        let shown = lab.runtime.gates().show(&gate).await?;
        let Principal::Human { member, name } = outcome_tests::lab::member(&lab.runtime).await? else {
            panic!("no member")
        };
        let lines = lab.runtime.audit_log().page(0, 1000).await?;
        let last = lines.last().unwrap();
        let forged = forged_approval(&shown, last, member, KeyId(uuid::Uuid::nil()), Assurance::A3);
        // A key of the forger's own, and rows that enrol it for the member.
        let key = SigningKey::from_bytes(&[7; 32]);
        let signed = sign_decision(forged, &key)?;
        let by = Principal::Human { member, name };
        let payload = json!({ "event": "decided", "gate": "portfolio_review", "decision": signed });
        append_forged(&lab, "experiment.portfolio_approved", view.experiment.id.into(), by, payload).await?;
        let set = if lab.is_postgres() {
            "jsonb_set(state, '{status}', '\"building\"')"
        } else {
            "json_set(state, '$.status', 'building')"
        };
        lab.raw(&format!("UPDATE experiment SET status = 'building', state = {set}")).await?;
        let found = problems(&lab).await?;
        assert!(found.iter().any(|problem| problem.contains("not enrolled")), "{found:?}");
        let brief = lab.runtime.builds().brief(&experiment).await.unwrap_err();
        assert_eq!(brief.code(), Code::SignatureInvalid, "{brief}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_nobody_vouched_for_is_no_key() -> Result<()> {
    each_lab(async |lab| {
        let Principal::Human { member, .. } = outcome_tests::lab::member(&lab.runtime).await? else {
            panic!("no member")
        };
        let key = SigningKey::from_bytes(&[9; 32]);
        let id = KeyId(uuid::Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0001));
        let enrolment = Enrolment {
            version: Some(2),
            workspace: lab.runtime.workspace().id,
            member,
            email: Some("dana@example.com".to_owned()),
            commitments: None,
            key: id,
            kind: KeyKind::Passphrase,
            public_key: hex::encode(key.verifying_key().to_bytes()),
            enrolled_by: id,
            enrolled_at: lab.runtime.now(),
        };
        let certificate = serde_json::to_string(&enrol(enrolment, &key)?)?;
        let uuid = |id: uuid::Uuid| if lab.is_postgres() { format!("'{id}'") } else { format!("x'{}'", id.simple()) };
        lab.raw(&format!(
            "INSERT INTO member_key (workspace_id, id, member_id, kind, certificate, created_at)
             VALUES ({}, {}, {}, 'passphrase', '{certificate}', '{:.6}')",
            uuid(lab.runtime.workspace().id.0),
            uuid(id.0),
            uuid(member.0),
            lab.runtime.now()
        ))
        .await?;
        assert!(problems(&lab).await?.iter().any(|problem| problem.contains("not enrolled in the log")));
        let subject = Subject { kind: SubjectKind::Member, id: id.0 };
        let payload = serde_json::from_str(&certificate)?;
        append_forged(&lab, "member.enrolled", subject, Principal::system("x"), payload).await?;
        assert!(problems(&lab).await?.iter().any(|problem| problem.contains("no enrolled key has certified")));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_cut_or_rewritten_is_found_by_its_anchor() -> Result<()> {
    each_lab(async |lab| {
        let file = lab.root().join("anchors.txt");
        let unlock = Unlock::Passphrase(SecretString::from(PASSPHRASE));
        lab.submit(hypothesis("One", "one")).await?;
        lab.runtime.audit_log().anchor(&AnchorPlace::File(file.clone()), &unlock).await?;
        lab.runtime.audit_log().anchor(&AnchorPlace::GitNote, &unlock).await?;
        let check = lab.runtime.audit_log().verify(std::slice::from_ref(&file)).await?;
        // These two, and those that the decisions of the beginning left.
        assert!(check.problems.is_empty() && check.n_anchors == 4, "{check:?}");

        // Cut the end off, and make the workspace's row agree.
        let lines = lab.runtime.audit_log().page(0, 1000).await?;
        let keep = &lines[lines.len() - 4];
        lab.raw(&format!("DELETE FROM event WHERE seq > {}", keep.seq)).await?;
        lab.raw(&format!("UPDATE workspace SET log_seq = {}, log_head = '{}'", keep.seq, keep.hash)).await?;
        let check = lab.runtime.audit_log().verify(std::slice::from_ref(&file)).await?;
        assert!(
            check.problems.iter().any(|problem| problem.contains("rewritten or truncated")),
            "{:?}",
            check.problems
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn rewriting_the_whole_chain_breaks_the_decisions_that_were_signed_over_it() -> Result<()> {
    each_lab(async |lab| {
        let experiment = lab.submit(hypothesis("One", "one")).await?;
        lab.decide(&experiment, Verdict::Approve).await?;
        let lines = lab.runtime.audit_log().page(0, 1000).await?;
        lab.raw("DELETE FROM event").await?;
        let principal = |line: &LogEntry| match &line.principal {
            // The agent that proposed is written out of history.
            Principal::Agent { .. } => Principal::agent("somebody else"),
            principal => principal.clone(),
        };
        let lines = lines.into_iter().map(|line| LogEntry { principal: principal(&line), ..line }).collect();
        let lines = chained_again(lines, Some(&writer_of(lab.runtime.settings())?))?;
        for entry in &lines {
            insert_line(&lab, entry).await?;
        }
        let head = lines.last().map(|last| last.hash.as_str()).unwrap_or_default();
        lab.raw(&format!("UPDATE workspace SET log_head = '{head}'")).await?;
        let found = problems(&lab).await?;
        assert!(found.iter().any(|problem| problem.contains("signed over a different line")), "{found:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_genuine_decision_cannot_be_used_twice_or_elsewhere() -> Result<()> {
    each_lab(async |lab| {
        let first = lab.submit(hypothesis("One", "one")).await?;
        lab.decide(&first, Verdict::Approve).await?;
        let lines = lab.runtime.audit_log().page(0, 1000).await?;
        let genuine = lines.iter().find(|line| line.kind == "experiment.portfolio_approved").unwrap();
        let second = lab.submit(hypothesis("Two", "two")).await?;
        let id = lab.runtime.experiments().show(&second).await?.experiment.id;
        let signed: SignedDecision = serde_json::from_value(genuine.payload["decision"].clone())?;
        assert_eq!(signed.decision().verdict, Verdict::Approve);
        append_forged(
            &lab,
            "experiment.portfolio_approved",
            id.into(),
            genuine.principal.clone(),
            genuine.payload.clone(),
        )
        .await?;
        let found = problems(&lab).await?;
        assert!(found.iter().any(|problem| problem.contains("another gate")), "{found:?}");
        assert!(lab.runtime.builds().brief(&second).await.is_err());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_prepares_on_both_engines() -> Result<()> {
    each_lab(async |lab| {
        let engine = lab.runtime.db().engine();
        for (sql, engines) in all_statements() {
            if engines.contains(&engine) {
                lab.runtime.db().prepare(sql).await.map_err(|e| anyhow::anyhow!("{engine:?}: {e}\n{sql}"))?;
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_workspace_never_sees_another_in_the_same_database() -> Result<()> {
    let Ok(server) = outcome_tests::postgres::server() else {
        eprintln!("SKIPPED: two workspaces in one database need PostgreSQL");
        return Ok(());
    };
    let url = server.database().await;
    let (ours, theirs) = (Lab::on(Some(url.clone())).await?, Lab::on(Some(url)).await?);
    let experiment = ours.submit(hypothesis("Ours alone", "ours")).await?;
    let gate = ours.runtime.experiments().show(&experiment).await?.gates.remove(0);
    assert!(theirs.runtime.experiments().list(None, 100).await?.is_empty());
    assert!(theirs.runtime.gates().list().await?.is_empty());
    assert_eq!(theirs.runtime.experiments().show(&experiment).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(theirs.runtime.gates().show(&gate).await.unwrap_err().code(), Code::NotFound);
    let refused = theirs.runtime.gates().decide(decision(&gate, Verdict::Approve)).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(theirs.runtime.workspaces().status(false).await?.outcomes.len(), 1);
    assert!(problems(&ours).await?.is_empty() && problems(&theirs).await?.is_empty());
    Ok(())
}
