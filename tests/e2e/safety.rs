//! Danger outranks doubt: the flag goes off in every state, and what was decided before is not signed after.

use anyhow::{Context as _, Result, ensure};
use jiff::SignedDuration;
use outcome_core::domain::{ContextPackage, Experiment, ExperimentStatus, GateType, PauseCause, PhaseStart, Verdict};
use outcome_core::stats::Recommendation;
use outcome_tests::lab::{Lab, VISITS, decision, file_of_visits, with_reason};
use outcome_tests::postgres;
use pretty_assertions::assert_eq;

const FLAG: &str = "soft";

async fn each_lab(test: impl AsyncFn(&Lab, &str) -> Result<()>) -> Result<()> {
    let on = async |database: Option<String>| -> Result<()> {
        let lab = Lab::declaring_on(database, &file_of_visits(), VISITS).await?;
        let experiment = lab.running("Softer level", FLAG).await?;
        test(&lab, &experiment).await
    };
    on(None).await?;
    match postgres::server() {
        Ok(server) => on(Some(server.database().await)).await,
        Err(skip) => {
            eprintln!("SKIPPED on PostgreSQL: {skip}");
            Ok(())
        }
    }
}

/// A day in which `n` units come to each arm, and the poll at its end.
async fn day(lab: &Lab, n: u32, came_back: [u32; 2], crashed: [u32; 2]) -> Result<Vec<String>> {
    lab.clock.advance(SignedDuration::from_hours(1));
    let at = lab.runtime.now().strftime("%Y-%m-%d %H:%M:%S");
    for (variant, (successes, crashes)) in ["control", "treatment"].iter().zip(came_back.into_iter().zip(crashed)) {
        let values = format!("'{FLAG}', '{variant}', '{at}', {n}, {successes}, {crashes}");
        lab.tell_source(&format!("INSERT INTO visits VALUES ({values})")).await?;
    }
    Ok(lab.poll_after(23).await?.failures)
}

async fn shown(lab: &Lab, experiment: &str) -> Result<(Experiment, Vec<String>)> {
    let view = lab.runtime.experiments().show(experiment).await?;
    Ok((view.experiment, view.gates))
}

/// The analysis gate that waits, and what it shows.
async fn gate(lab: &Lab, experiment: &str) -> Result<(String, ContextPackage)> {
    let (_, gates) = shown(lab, experiment).await?;
    let [slug] = gates.as_slice() else { anyhow::bail!("one gate is expected: {gates:?}") };
    let view = lab.runtime.gates().show(slug).await?;
    Ok((slug.clone(), view.context))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_treatment_that_breaks_while_its_gate_waits_goes_off_and_cannot_ship() -> Result<()> {
    each_lab(async |lab, experiment| {
        for _ in 0..8 {
            day(lab, 1500, [450, 570], [6, 6]).await?;
        }
        let (waiting, _) = shown(lab, experiment).await?;
        assert_eq!(waiting.state.status, ExperimentStatus::AwaitingAnalysisGate);
        ensure!(lab.is_on(FLAG)?, "a success keeps the flag on");
        let (ship_gate, _) = gate(lab, experiment).await?;
        let mut n_days = 0;
        while lab.is_on(FLAG)? {
            day(lab, 4500, [1350, 300], [18, 18]).await?;
            n_days += 1;
            ensure!(n_days < 5, "the flag is still on");
        }
        let (slug, package) = gate(lab, experiment).await?;
        ensure!(slug != ship_gate && package.gate_type == GateType::AnalysisReview, "{slug}");
        ensure!(!package.verdicts.contains(&Verdict::Ship), "{:?}", package.verdicts);
        for gate in [&ship_gate, &slug] {
            let refused = lab.runtime.gates().decide(decision(gate, Verdict::Ship)).await;
            ensure!(refused.is_err(), "{gate} shipped it");
        }
        ensure!(!lab.is_on(FLAG)?);
        let check = lab.runtime.audit_log().verify(&[]).await?;
        assert_eq!(check.problems, Vec::<String>::new());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_a_decision_opened_says_what_the_latest_poll_recommends() -> Result<()> {
    each_lab(async |lab, experiment| {
        for _ in 0..8 {
            day(lab, 1500, [450, 570], [6, 6]).await?;
        }
        let said = async || -> Result<(GateType, String)> {
            let (_, package) = gate(lab, experiment).await?;
            Ok((package.gate_type, package.recommendation.unwrap_or_default()))
        };
        let (experiment_now, _) = shown(lab, experiment).await?;
        let result = experiment_now.last_result().context("no result")?.map_err(anyhow::Error::msg)?;
        let latest = format!("ship: {}", result.advice.reason);
        ensure!(latest.starts_with("ship: Even the lower bound of the improvement (+"), "{latest}");
        lab.decide(experiment, Verdict::Ship).await?;
        assert_eq!(said().await?, (GateType::ShipApproval, latest.clone()));
        lab.decide(experiment, Verdict::Reject).await?;
        assert_eq!(said().await?, (GateType::AnalysisReview, latest));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resume_after_harm_begins_anew_and_a_second_harm_is_found_again() -> Result<()> {
    each_lab(async |lab, experiment| {
        day(lab, 1500, [450, 300], [6, 6]).await?;
        let (paused, _) = shown(lab, experiment).await?;
        assert_eq!(paused.state.pause.context("it is not paused")?.cause, PauseCause::KillThreshold);
        let (slug, package) = gate(lab, experiment).await?;
        ensure!(package.recommendation.as_deref().is_some_and(|said| said.starts_with("kill: ")), "{package:?}");
        lab.runtime.gates().decide(with_reason(decision(&slug, Verdict::Resume))).await?;
        ensure!(lab.is_on(FLAG)?);
        day(lab, 1500, [450, 450], [6, 6]).await?;
        let (resumed, _) = shown(lab, experiment).await?;
        assert_eq!(resumed.state.status, ExperimentStatus::Measuring, "what paused it does not pause it again");
        let mut tx = lab.runtime.db().read(lab.runtime.workspace().id).await?;
        let begins: Vec<_> = tx.phase_list(resumed.id).await?.into_iter().map(|phase| phase.begins).collect();
        drop(tx);
        assert_eq!(begins, [PhaseStart::Launch, PhaseStart::ResumedAfterFinding]);
        let harm = resumed.current_result.context("no result")?.read()?.harm.context("no safety test")?;
        assert_eq!((harm.from_phase, harm.n_control, harm.alpha.get()), (1, 1500, 0.0125));
        day(lab, 3000, [900, 500], [12, 12]).await?;
        ensure!(!lab.is_on(FLAG)?, "the second harm");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_constraint_pauses_although_the_primary_signal_cannot_be_read() -> Result<()> {
    each_lab(async |lab, experiment| {
        lab.tell_source("ALTER TABLE visits RENAME COLUMN successes TO won").await?;
        let failures = day(lab, 4000, [1200, 1240], [8, 200]).await?;
        ensure!(failures.iter().any(|failure| failure.contains("came_back")), "{failures:?}");
        let (paused, _) = shown(lab, experiment).await?;
        let pause = paused.state.pause.context("it is not paused")?;
        ensure!(pause.cause == PauseCause::Constraint && pause.detail.contains("crashes"), "{pause:?}");
        ensure!(!lab.is_on(FLAG)? && paused.current_result.is_none());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn exposures_that_stop_later_are_told_and_stop_nothing() -> Result<()> {
    each_lab(async |lab, experiment| {
        for _ in 0..2 {
            day(lab, 1500, [450, 455], [6, 6]).await?;
        }
        let health = async || -> Result<Vec<String>> {
            let status = lab.runtime.workspaces().status(false).await?;
            Ok(status.outcomes[0].experiments[0].health.clone())
        };
        assert_eq!(health().await?, Vec::<String>::new());
        lab.poll_after(12).await?;
        assert_eq!(health().await?, Vec::<String>::new(), "not before a day without anybody new");
        let n_told = lab.runtime.workspaces().status(false).await?.without_channel.n;
        for _ in 0..3 {
            lab.poll_after(13).await?;
        }
        let said = health().await?;
        ensure!(said.iter().any(|said| said.contains("nobody new has been exposed")), "{said:?}");
        assert_eq!(lab.runtime.workspaces().status(false).await?.without_channel.n, n_told + 1, "once");
        ensure!(lab.is_on(FLAG)?);
        assert_eq!(shown(lab, experiment).await?.0.state.status, ExperimentStatus::Measuring);
        day(lab, 1500, [450, 455], [6, 6]).await?;
        assert_eq!(health().await?, Vec::<String>::new(), "somebody came");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_that_somebody_turns_on_again_goes_off_at_the_next_poll() -> Result<()> {
    each_lab(async |lab, experiment| {
        day(lab, 1500, [450, 450], [6, 6]).await?;
        lab.act(experiment, Verdict::Pause).await?;
        ensure!(!lab.is_on(FLAG)?);
        let path = lab.root().join("flags.json");
        std::fs::write(&path, std::fs::read_to_string(&path)?.replace("DISABLED", "ENABLED"))?;
        let failures = lab.poll_after(1).await?.failures;
        ensure!(failures.iter().any(|failure| failure.contains("turned off again")), "{failures:?}");
        ensure!(!lab.is_on(FLAG)?);
        lab.act(experiment, Verdict::Kill).await?;
        std::fs::write(&path, std::fs::read_to_string(&path)?.replace("DISABLED", "ENABLED"))?;
        lab.poll_after(1).await?;
        ensure!(!lab.is_on(FLAG)?, "of an experiment that was killed");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_experiment_that_nobody_sees_is_said_and_stopped_and_so_is_a_futile_one() -> Result<()> {
    each_lab(async |lab, experiment| {
        let failures = lab.poll_after(25).await?.failures;
        ensure!(failures.iter().any(|failure| failure.contains("nobody has been exposed")), "{failures:?}");
        let (paused, _) = shown(lab, experiment).await?;
        assert_eq!(paused.state.pause.context("it is not paused")?.cause, PauseCause::NobodyExposed);
        ensure!(!lab.is_on(FLAG)?);
        let (slug, _) = gate(lab, experiment).await?;
        lab.runtime.gates().decide(with_reason(decision(&slug, Verdict::Resume))).await?;
        // The silence before the resume does not stop it again.
        for _ in 0..9 {
            day(lab, 9000, [2700, 2700], [36, 36]).await?;
        }
        let (futile, _) = shown(lab, experiment).await?;
        assert_eq!(futile.state.status, ExperimentStatus::AwaitingAnalysisGate);
        let result = futile.current_result.context("no result")?;
        assert_eq!(result.read()?.advice.recommendation, Recommendation::KillFutility);
        ensure!(!lab.is_on(FLAG)?, "the flag goes off while the gate waits");
        Ok(())
    })
    .await
}
