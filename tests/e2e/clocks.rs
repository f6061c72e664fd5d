//! A clock that is wrong: only danger is looked for, nothing is scheduled, kept, expired or decided by it, and it is said.

use anyhow::{Result, ensure};
use jiff::SignedDuration;
use outcome_core::domain::{ExperimentStatus, OutcomeStatus};
use outcome_core::usecases::{PollRequest, Polled};
use outcome_tests::lab::Lab;
use outcome_tests::postgres;
use pretty_assertions::assert_eq;

const FLAG: &str = "soft";

async fn each_lab(test: impl AsyncFn(&Lab, &str) -> Result<()>) -> Result<()> {
    let on = async |database: Option<String>| -> Result<()> {
        let lab = Lab::on(database).await?;
        let experiment = lab.running("Softer level", FLAG).await?;
        lab.arms(FLAG, (3000, 900, 12), (3000, 905, 12)).await?;
        ensure!(lab.poll_after(24).await?.clock_problem.is_none(), "a day passed");
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

async fn poll(lab: &Lab) -> Result<Polled> {
    Ok(lab.runtime.signals().poll(&PollRequest::default()).await?)
}

async fn status(lab: &Lab, experiment: &str) -> Result<ExperimentStatus> {
    Ok(lab.runtime.experiments().show(experiment).await?.experiment.state.status)
}

async fn n_readings(lab: &Lab) -> Result<u64> {
    lab.raw("UPDATE measurement SET sums = sums").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_year_ahead_expires_nothing_keeps_nothing_and_is_over_when_the_clock_is_right_again() -> Result<()> {
    each_lab(async |lab, experiment| {
        let year = SignedDuration::from_hours(365 * 24);
        let n_before = n_readings(lab).await?;
        lab.clock.jump(year);
        for _ in 0..2 {
            let done = poll(lab).await?;
            let problem = done.clock_problem.unwrap_or_default();
            ensure!(problem.contains("365 days ahead of"), "{problem}");
            ensure!(done.expired.is_empty() && done.n_levels == 0, "{:?}", done.expired);
        }
        assert_eq!(n_readings(lab).await?, n_before, "readings of a wrong clock were kept");
        let n_told = "UPDATE outbox SET attempts = attempts WHERE natural_key LIKE 'clock/%'";
        assert_eq!(lab.raw(n_told).await?, 1, "people are told once");
        lab.clock.jump(-year);
        let seen = lab.runtime.workspaces().status(false).await?;
        assert_eq!(seen.clocks.len(), 1, "status says it");
        lab.clock.advance(SignedDuration::from_hours(24));
        let done = poll(lab).await?;
        ensure!(done.clock_problem.is_none() && done.experiments.len() == 1, "{done:?}");
        ensure!(n_readings(lab).await? > n_before, "what is due is read again");
        let seen = lab.runtime.workspaces().status(false).await?;
        ensure!(seen.clocks.is_empty(), "{:?}", seen.clocks);
        assert_eq!(seen.outcomes.first().map(|line| line.status), Some(OutcomeStatus::Active));
        assert_eq!(status(lab, experiment).await?, ExperimentStatus::Measuring);
        let check = lab.runtime.audit_log().verify(&[]).await?;
        assert_eq!(check.problems, Vec::<String>::new());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn harm_turns_the_flag_off_whatever_the_clock_says() -> Result<()> {
    for hours in [48, -48] {
        each_lab(async |lab, experiment| {
            lab.arms(FLAG, (6000, 1800, 24), (6000, 900, 24)).await?;
            lab.clock.advance(SignedDuration::from_hours(2));
            let right = lab.runtime.now();
            lab.clock.jump(SignedDuration::from_hours(hours));
            let done = poll(lab).await?;
            ensure!(done.clock_problem.is_some(), "{done:?}");
            assert_eq!(status(lab, experiment).await?, ExperimentStatus::Paused);
            ensure!(!lab.is_on(FLAG)?);
            lab.clock.jump(-SignedDuration::from_hours(hours));
            let page = lab.runtime.audit_log().page(0, 1000).await?;
            let last = page.last().map(|line| line.at);
            assert_eq!(last, Some(right), "what was written has the right time");
            let check = lab.runtime.audit_log().verify(&[]).await?;
            assert_eq!(check.problems, Vec::<String>::new());
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_can_say_that_the_clock_is_right() -> Result<()> {
    each_lab(async |lab, _| {
        lab.clock.jump(SignedDuration::from_hours(24));
        ensure!(poll(lab).await?.clock_problem.is_some());
        let request = PollRequest { is_clock_right: true, ..PollRequest::default() };
        let done = lab.runtime.signals().poll(&request).await?;
        ensure!(done.clock_problem.is_none() && done.experiments.len() == 1, "{done:?}");
        lab.clock.advance(SignedDuration::from_hours(24));
        ensure!(poll(lab).await?.clock_problem.is_none(), "and from now on it is believed");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_wrong_clock_left_behind_makes_nobody_blind() -> Result<()> {
    each_lab(async |lab, _| {
        lab.raw("UPDATE signal_health SET due_at = '2027-10-01T00:00:00.000000Z'").await?;
        lab.raw(&format!(
            "INSERT INTO lease (name, holder, expires_at) VALUES ('{}/recompute', 'gone', '2027-10-01T00:00:00.000000Z')",
            lab.runtime.workspace().id
        ))
        .await?;
        lab.raw("UPDATE job SET holder = 'gone', due_at = '2027-10-01T00:00:00.000000Z'").await?;
        let mut tx = lab.runtime.db().write(lab.runtime.workspace().id).await?;
        tx.worker_put("gone", "2027-10-01T00:00:00Z".parse()?).await?;
        tx.commit().await?;
        lab.clock.advance(SignedDuration::from_mins(1));
        let done = poll(lab).await?;
        ensure!(!done.is_skipped && done.experiments.len() == 1, "{done:?}");
        Ok(())
    })
    .await
}
