//! What is applied counts: the file is a proposal, and mostly a member signs it.

use anyhow::{Context as _, Result, ensure};
use outcome_core::Code;
use outcome_core::domain::{GateStatus, Verdict};
use outcome_core::usecases::Applied;
use outcome_tests::lab::{Lab, commit, decision, hypothesis, local, unlock};

use crate::journey::each_lab;

fn declare(lab: &Lab, from: &str, to: &str) -> Result<()> {
    let path = lab.root().join("outcome.yaml");
    let text = std::fs::read_to_string(&path)?;
    ensure!(text.contains(from), "the file has no {from}");
    Ok(std::fs::write(&path, text.replace(from, to))?)
}

async fn apply(lab: &Lab) -> outcome_core::Result<Applied> {
    lab.runtime.outcomes().apply(&local(), None).await
}

async fn is_intact(lab: &Lab) -> Result<()> {
    let problems = lab.runtime.audit_log().verify(&[]).await?.problems;
    ensure!(problems.is_empty(), "{problems:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_protects_more_is_applied_at_once_and_everything_else_waits() -> Result<()> {
    each_lab(async |lab| {
        for (from, to) in [
            ("More players come back", "More players return"),
            ("forbidden_paths: [\"game/payments/\"]", "forbidden_paths: [\"game/payments/\", \"game/keys/\"]"),
            ("    horizon: 8w\n", "    horizon: 8w # eight weeks\n    staleness: 12h\n"),
            ("    horizon: 8w", "    gates: { ship_approval: { assurance: A4 } }\n    horizon: 8w"),
        ] {
            declare(&lab, from, to)?;
            let done = apply(&lab).await?;
            ensure!(done.is_applied && !done.plan.needs_signature && done.plan.is_change(), "{to}: {done:?}");
            let again = apply(&lab).await?;
            ensure!(again.is_applied && !again.plan.is_change(), "{to}: {again:?}");
        }
        let kept = std::fs::read_to_string(lab.root().join("outcome.yaml"))?;
        for (from, to) in [
            ("staleness: 12h", "staleness: 48h"),
            ("assurance: A4", "assurance: A3"),
            ("forbidden_paths: [\"game/payments/\", \"game/keys/\"]", "forbidden_paths: []"),
            ("allowed_paths: [\"game/\"]", "allowed_paths: []"),
            ("to: 0.35", "to: 0.34"),
            ("margin: 0.005", "margin: 0.05"),
            ("AS successes WHERE :from < :to", "AS successes WHERE :from <= :to"),
            ("sqlite:game.db", "sqlite:other.db"),
            ("path: flags.json", "path: elsewhere.json"),
            ("- id: retention", "- id: another"),
        ] {
            std::fs::write(lab.root().join("outcome.yaml"), &kept)?;
            declare(&lab, from, to)?;
            let waits = apply(&lab).await?;
            ensure!(!waits.is_applied && waits.plan.needs_signature && waits.gate.is_some(), "{to}: {waits:?}");
        }
        // One file, one gate: what was proposed before is closed.
        let gates = lab.runtime.gates().list().await?;
        ensure!(gates.len() == 1, "{gates:?}");
        is_intact(&lab).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_approves_a_change_or_rejects_it_and_an_older_difference_cannot_be_signed() -> Result<()> {
    each_lab(async |lab| {
        let target = async |lab: &Lab| -> Result<f64> {
            Ok(lab.runtime.workspaces().status(false).await?.outcomes.remove(0).target)
        };
        declare(&lab, "to: 0.35", "to: 0.36")?;
        let first = apply(&lab).await?.gate.unwrap_or_default();
        ensure!(target(&lab).await? == 0.35);
        lab.runtime.gates().decide(decision(&first, Verdict::Reject)).await?;
        ensure!(target(&lab).await? == 0.35);

        let second = apply(&lab).await?.gate.unwrap_or_default();
        ensure!(second != first, "a rejected gate decides nothing more");
        let shown = lab.runtime.gates().show(&second).await?;
        let change = shown.context.facts.read()?.change.clone().unwrap();
        let key = change.differences.iter().find(|key| key.field == "outcomes.retention.target.to").unwrap();
        ensure!((key.from.as_f64(), key.to.as_f64(), key.is_signed) == (Some(0.35), Some(0.36), true), "{key:?}");
        // Something else is applied meanwhile: the difference is another one now.
        let waiting = std::fs::read_to_string(lab.root().join("outcome.yaml"))?;
        declare(&lab, "to: 0.36", "to: 0.35")?;
        declare(&lab, "More players come back", "More of them")?;
        ensure!(apply(&lab).await?.is_applied);
        let refused = lab.runtime.gates().decide(decision(&second, Verdict::Approve)).await.unwrap_err();
        ensure!(refused.code() == Code::ContextChanged, "{refused}");

        std::fs::write(lab.root().join("outcome.yaml"), waiting)?;
        let third = apply(&lab).await?.gate.unwrap_or_default();
        let done = lab.runtime.gates().decide(decision(&third, Verdict::Approve)).await?;
        ensure!(done.gate_status == Some(GateStatus::Approved) && target(&lab).await? == 0.36, "{done:?}");
        is_intact(&lab).await?;
        // With the passphrase at hand it is one step.
        declare(&lab, "to: 0.36", "to: 0.37")?;
        let done = lab.runtime.outcomes().apply(&local(), Some(&unlock())).await?;
        ensure!(done.is_applied && target(&lab).await? == 0.37, "{done:?}");
        is_intact(&lab).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_horizon_moves_the_deadline_and_nothing_else_does() -> Result<()> {
    each_lab(async |lab| {
        let deadline = async || -> Result<_> {
            let line = lab.runtime.workspaces().status(false).await?.outcomes.remove(0);
            line.deadline.context("no deadline")
        };
        let first = deadline().await?;
        for (from, to, weeks) in
            [("to: 0.35", "to: 0.36", 0), ("horizon: 8w", "horizon: 10w", 2), ("horizon: 10w", "horizon: 6w", -2)]
        {
            declare(&lab, from, to)?;
            let done = lab.runtime.outcomes().apply(&local(), Some(&unlock())).await?;
            ensure!(done.is_applied, "{to}: {done:?}");
            let moved = deadline().await?.duration_since(first);
            ensure!(moved == jiff::SignedDuration::from_hours(weeks * 7 * 24), "{to}: {moved}");
            is_intact(&lab).await?;
        }
        // What no longer fits into the horizon is no plan.
        let mut long = hypothesis("Longer", "longer");
        long.measurement.duration_days = 50;
        let refused = lab.submit(long).await.map(|_| ()).unwrap_err();
        ensure!(format!("{refused:#}").contains("longer than the outcome's horizon of 6w"), "{refused:#}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_or_a_line_that_somebody_wrote_into_the_database_applies_nothing() -> Result<()> {
    each_lab(async |lab| {
        lab.raw("UPDATE configuration SET content = replace(content, 'sqlite:game.db', 'sqlite:evil.db')").await?;
        let refused = lab.runtime.signals().connector_names().await.unwrap_err();
        ensure!(refused.code() == Code::StateTampered, "{refused}");
        ensure!(!lab.runtime.audit_log().verify(&[]).await?.is_intact);
        lab.raw("UPDATE configuration SET content = replace(content, 'sqlite:evil.db', 'sqlite:game.db')").await?;
        is_intact(&lab).await?;

        // A line that calls an active outcome a draft, so that its target needs no signature.
        let path = lab.root().join("outcome.yaml");
        let text = std::fs::read_to_string(&path)?.replace("to: 0.35", "to: 0.31");
        let workspace = lab.runtime.workspace().id;
        let lines = lab.runtime.audit_log().page(0, 1000).await?;
        let before = lines.iter().rfind(|line| line.kind == "configuration.applied").unwrap();
        let mut tx = lab.runtime.db().write(workspace).await?;
        let hash = tx.configuration_insert(&text, lab.runtime.now()).await?;
        tx.commit().await?;
        let payload = serde_json::json!({
            "hash": hash,
            "previous": before.payload["hash"],
            "origin": { "commit": null, "is_committed": false },
            "because": { "kind": "free", "drafts": ["retention"] },
        });
        crate::tamper::append_forged(&lab, "configuration.applied", workspace.into(), local(), payload).await?;
        let refused = lab.runtime.signals().connector_names().await.unwrap_err();
        ensure!(refused.code() == Code::StateTampered, "{refused}");
        let found = lab.runtime.audit_log().verify(&[]).await?.problems;
        ensure!(found.iter().any(|problem| problem.contains("as if it were a draft")), "{found:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_about_a_change_counts_once_and_nothing_is_adopted_later() -> Result<()> {
    each_lab(async |lab| {
        let workspace = lab.runtime.workspace().id;
        let applied = async |lab: &Lab| -> Result<Vec<serde_json::Value>> {
            let lines = lab.runtime.audit_log().page(0, 1000).await?.into_iter();
            Ok(lines.filter(|line| line.kind == "configuration.applied").map(|line| line.payload).collect())
        };
        declare(&lab, "to: 0.35", "to: 0.36")?;
        lab.runtime.outcomes().apply(&local(), Some(&unlock())).await?;
        let lines = applied(&lab).await?;
        let [first, second] = lines.as_slice() else { anyhow::bail!("{lines:?}") };

        // The first text again, with the decision that was right then.
        let mut replayed = first.clone();
        replayed["previous"] = second["hash"].clone();
        // Or as if it had always been in use.
        let mut adopted = replayed.clone();
        adopted["because"] = serde_json::json!({ "kind": "adopted" });
        for payload in [replayed, adopted] {
            crate::tamper::append_forged(&lab, "configuration.applied", workspace.into(), local(), payload).await?;
            // In a process that has checked what was applied before, and in one that has not.
            for runtime in [lab.runtime.clone(), lab.reopened().await?] {
                let refused = runtime.signals().connector_names().await.unwrap_err();
                ensure!(refused.code() == Code::StateTampered, "{refused}");
            }
            ensure!(!lab.runtime.audit_log().verify(&[]).await?.is_intact);
            lab.raw("DELETE FROM event WHERE seq = (SELECT MAX(seq) FROM event)").await?;
            lab.raw(
                "UPDATE workspace SET log_seq = (SELECT MAX(seq) FROM event),
                 log_head = (SELECT hash FROM event ORDER BY seq DESC LIMIT 1)",
            )
            .await?;
            ensure!(lab.runtime.signals().connector_names().await?.len() == 2);
            is_intact(&lab).await?;
        }
        Ok(())
    })
    .await
}

/// A source that leads where a reference says: the file says the same, whatever is behind it.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_leads_elsewhere_than_a_member_signed_is_not_read() -> Result<()> {
    each_lab(async |lab| {
        let root = lab.root();
        let leads_to = |path: &str| std::fs::write(root.join("where.txt"), path);
        leads_to("game.db")?;
        declare(&lab, "sqlite:game.db", "sqlite:${file:where.txt}")?;
        outcome_tests::lab::commit(&root, "Name the place elsewhere")?;
        lab.runtime.outcomes().apply(&local(), Some(&unlock())).await?;
        let experiment = lab.running("Softer level", "soft").await?;
        lab.arms("soft", (1000, 300, 10), (1000, 300, 10)).await?;
        ensure!(lab.poll_after(1).await?.failures.is_empty());
        let read = async || Ok::<_, anyhow::Error>(lab.runtime.experiments().history(&experiment).await?.len());
        let n_polls = read().await?;

        // Another database with other numbers, and everything else as it was.
        std::fs::copy(root.join("game.db"), root.join("other.db"))?;
        leads_to("other.db")?;
        let polled = lab.poll_after(24).await?;
        let names_both = |said: &String| said.contains("other.db") && said.contains("game.db");
        ensure!(polled.failures.iter().any(names_both), "{polled:?}");
        ensure!(read().await? == n_polls, "it was read");
        let refused = lab.runtime.signals().connector_test_applied("game").await?.problem.map(|problem| problem.code);
        ensure!(refused == Some("source_elsewhere"), "{refused:?}");

        // Who applies the file there asks a member, who sees both.
        let waits = apply(&lab).await?;
        let place = waits.plan.settings.iter().find(|change| change.field.contains("where it leads"));
        ensure!(!waits.is_applied && place.is_some_and(|place| place.to == "sqlite:other.db"), "{waits:?}");
        let gate = waits.gate.expect("a gate");
        let shown = lab.runtime.gates().show(&gate).await?.context.facts.read()?.change.clone().expect("a change");
        ensure!(
            shown.places.iter().any(|place| place.of == "game" && place.leads_to == "sqlite:other.db"),
            "{shown:?}"
        );
        leads_to("game.db")?;
        let elsewhere = lab.runtime.gates().decide(decision(&gate, Verdict::Approve)).await.unwrap_err();
        ensure!(elsewhere.code() == Code::ContextChanged, "{elsewhere}");
        leads_to("other.db")?;
        lab.runtime.gates().decide(decision(&gate, Verdict::Approve)).await?;
        ensure!(lab.poll_after(1).await?.failures.is_empty());
        leads_to("game.db")?;
        ensure!(!lab.poll_after(1).await?.failures.is_empty());
        is_intact(&lab).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_launch_gate_shows_what_was_changed_since_the_build_was_approved() -> Result<()> {
    each_lab(async |lab| {
        let slug = lab.submit(hypothesis("Softer level", "soft")).await?;
        lab.decide(&slug, Verdict::Approve).await?;
        lab.build(&slug).await?;
        let gate = lab.runtime.experiments().show(&slug).await?.gates.remove(0);
        let shown = lab.runtime.gates().show(&gate).await?;
        ensure!(shown.context.facts.read()?.changed_since_approval.is_empty());
        // A wider scope, signed by a member, and a title, which needs no signature.
        declare(&lab, "allowed_paths: [\"game/\"]", "allowed_paths: [\"game/\", \"shop/\"]")?;
        declare(&lab, "More players come back", "More players return")?;
        ensure!(lab.runtime.outcomes().apply(&local(), Some(&unlock())).await?.is_applied);
        commit(&lab.root(), "A wider scope")?;
        let refused = lab.runtime.gates().decide(decision(&gate, Verdict::Approve)).await.unwrap_err();
        ensure!(refused.to_string().contains("changed in the outcome file since the build was approved"), "{refused}");

        lab.build(&slug).await?;
        let gate = lab.runtime.experiments().show(&slug).await?.gates.remove(0);
        let shown = lab.runtime.gates().show(&gate).await?;
        let facts = shown.context.facts.read()?.clone();
        let fields: Vec<&str> = facts.changed_since_approval.iter().map(|key| key.field.as_str()).collect();
        ensure!(fields == ["outcomes.retention.scope.allowed_paths"], "{fields:?}");
        let sections = outcome_core::present::sections(&shown.context);
        let section = sections.iter().find(|section| section.title.contains("since the build was approved"));
        ensure!(section.is_some_and(|section| section.table.is_some()), "{section:?}");
        lab.runtime.gates().decide(decision(&gate, Verdict::Approve)).await?;
        is_intact(&lab).await
    })
    .await
}
