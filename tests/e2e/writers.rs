//! Who wrote a line: an account on a machine, whose key the database does not hold.

use anyhow::{Context as _, Result, ensure};
use outcome_core::Code;
use outcome_core::audit::{EventKind, LogEntry, NewEvent, Writer};
use outcome_core::domain::Verdict;
use outcome_core::identity::SigningKey;
use outcome_core::principal::Principal;
use outcome_tests::forger::{following, writer_of};
use outcome_tests::lab::{Lab, decision, hypothesis};
use serde_json::{Value, json};

use crate::journey::each_lab;
use crate::tamper::insert_of;

async fn lines(lab: &Lab) -> Result<Vec<LogEntry>> {
    lab.log().await
}

async fn append(lab: &Lab, writer: Option<&Writer>, event: NewEvent) -> Result<()> {
    let before = lines(lab).await?;
    let at = before.last().context("no line")?.at;
    let entry = following(&before, writer, at, event)?;
    lab.raw(&insert_of(&entry, lab.is_postgres())?).await?;
    lab.raw(&format!("UPDATE workspace SET log_seq = {}, log_head = '{}'", entry.seq, entry.hash)).await?;
    Ok(())
}

/// A report that nobody made.
fn report_of(experiment: &LogEntry) -> NewEvent {
    NewEvent {
        kind: EventKind::Experiment(outcome_core::lifecycle::ExperimentEventKind::ReportedFailed),
        subject: experiment.subject,
        principal: Principal::local("dana"),
        payload: json!({ "event": "reported_failed", "reason": "forged" }),
    }
}

/// A lab with an experiment that waits, its name, its gate and its first line.
async fn waiting(lab: &Lab) -> Result<(String, String, LogEntry)> {
    let experiment = lab.submit(hypothesis("Tempting", "tempt")).await?;
    let gate = lab.runtime.experiments().show(&experiment).await?.gates.remove(0);
    let first = lines(lab).await?.into_iter().rfind(|line| line.is(EventKind::ExperimentCreated));
    Ok((experiment, gate, first.context("no line")?))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_can_only_write_the_database_adds_no_line() -> Result<()> {
    for forger in [None, Some(Writer::new(SigningKey::from_bytes(&[9; 32]), "dana", "laptop"))] {
        each_lab(async |lab| {
            let (_, gate, first) = waiting(&lab).await?;
            append(&lab, forger.as_ref(), report_of(&first)).await?;
            let found = lab.runtime.audit_log().verify(&[]).await?.problems;
            let expected = if forger.is_none() { "no writer signed it" } else { "its writer is not enrolled" };
            ensure!(found.iter().any(|problem| problem.contains(expected)), "{found:?}");
            let refused = lab.runtime.gates().decide(decision(&gate, Verdict::Approve)).await.unwrap_err();
            ensure!(refused.code() == Code::StateTampered && refused.to_string().contains(expected), "{refused}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_in_the_middle_cannot_be_changed_or_taken_out() -> Result<()> {
    each_lab(async |lab| {
        let (experiment, ..) = waiting(&lab).await?;
        lab.decide(&experiment, Verdict::Approve).await?;
        let steps = lines(&lab).await?;
        let about = steps.iter().rfind(|line| line.is(EventKind::ExperimentCreated)).context("no line")?.subject.id;
        let of_experiment: Vec<_> = steps
            .iter()
            .filter(|line| line.subject.id == about && line.event_kind().is_ok_and(EventKind::is_step))
            .collect();
        ensure!(of_experiment.len() >= 3, "{of_experiment:?}");
        let middle = of_experiment.get(1).context("no step")?;
        // Hidden from whoever reads the steps back, and not from the chain.
        let (yes, no) = if lab.is_postgres() { ("true", "false") } else { ("1", "0") };
        lab.raw(&format!("UPDATE event SET is_step = {no} WHERE seq = {}", middle.seq)).await?;
        let refused = lab.build(&experiment).await.unwrap_err();
        ensure!(refused.to_string().contains("does not follow the step before"), "{refused}");
        let found = lab.runtime.audit_log().verify(&[]).await?.problems;
        ensure!(found.iter().any(|problem| problem.contains("marked as no step")), "{found:?}");
        lab.raw(&format!("UPDATE event SET is_step = {yes} WHERE seq = {}", middle.seq)).await?;
        // Changed.
        let mut payload = middle.payload.clone();
        payload["note"] = Value::from("reviewed");
        let text = payload.to_string().replace('\'', "''");
        lab.raw(&format!("UPDATE event SET payload = '{text}' WHERE seq = {}", middle.seq)).await?;
        let refused = lab.build(&experiment).await.unwrap_err();
        ensure!(refused.to_string().contains("its content does not match its hash"), "{refused}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_account_is_named_until_a_member_signs_on_top_of_it() -> Result<()> {
    each_lab(async |lab| {
        let (_, gate, first) = waiting(&lab).await?;
        let before = lab.runtime.audit_log().verify(&[]).await?;
        ensure!(before.writers.len() == 1 && before.writers.iter().all(|writer| writer.is_vouched), "{before:?}");
        let own = writer_of(lab.runtime.settings())?;
        ensure!(before.writers.iter().any(|writer| writer.writer == own.enrolled().public_key));
        // The daemon of another machine writes its first lines.
        let other = Writer::new(SigningKey::from_bytes(&[5; 32]), "runtime", "server");
        let enrolled = NewEvent {
            kind: EventKind::WriterEnrolled,
            subject: other.enrolled().into(),
            principal: Principal::system("store"),
            payload: serde_json::to_value(other.enrolled())?,
        };
        append(&lab, Some(&other), enrolled).await?;
        let note = NewEvent {
            kind: EventKind::ExperimentAsked,
            subject: first.subject,
            principal: Principal::local("runtime"),
            payload: json!({}),
        };
        append(&lab, Some(&other), note).await?;
        let after = lab.runtime.audit_log().verify(&[]).await?;
        ensure!(after.is_intact, "{after:?}");
        let seen = after.writers.iter().find(|writer| !writer.is_vouched).context("vouched for")?;
        ensure!((seen.place.as_str(), seen.n_lines) == ("runtime@server", 2), "{seen:?}");
        let view = lab.runtime.gates().show(&gate).await?;
        ensure!(view.new_writers.iter().map(|writer| writer.place.as_str()).eq(["runtime@server"]), "{view:?}");
        // Whoever decides has seen it.
        lab.runtime.gates().decide(decision(&gate, Verdict::Approve)).await?;
        let after = lab.runtime.audit_log().verify(&[]).await?;
        ensure!(after.is_intact && after.writers.iter().all(|writer| writer.is_vouched), "{after:?}");
        ensure!(lab.runtime.gates().show(&gate).await?.new_writers.is_empty());
        Ok(())
    })
    .await
}
