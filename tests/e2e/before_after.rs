//! An experiment without a control group: weekly levels before and after, with placebos, and never a claim of cause.

use anyhow::{Context as _, Result};
use outcome_core::domain::{ExperimentStatus, Verdict};
use outcome_tests::lab::{Lab, commit, hypothesis, write};
use serde_json::Value;

use crate::journey::each_lab;

const N_PER_WEEK: i64 = 10_000;

/// Turns the laboratory's outcome into one that is judged before against after, with these weekly rates around the launch
/// (weeks from -12 on). Returns the running experiment.
async fn begin(lab: &Lab, rates: &[f64]) -> Result<String> {
    let file = std::fs::read_to_string(lab.root().join("outcome.yaml"))?;
    let level = "SELECT 14000 AS n, 4200 AS successes WHERE :from < :to";
    anyhow::ensure!(file.contains(level), "the laboratory's outcome file changed");
    let file = file
        .replace(level, "SELECT sum(n) AS n, sum(successes) AS successes FROM weeks WHERE at >= :from AND at < :to")
        .replace("    mde: 0.02\n", "    mde: 0.02\n    design: before_after\n");
    write(&lab.root(), "outcome.yaml", &file)?;
    commit(&lab.root(), "Judge before against after")?;
    lab.tell_source("CREATE TABLE weeks (at TEXT, n INTEGER, successes INTEGER)").await?;
    let launch = lab.runtime.now();
    for (number, rate) in (-12_i64..).zip(rates) {
        let at = launch + jiff::SignedDuration::from_hours((number * 7 + 3) * 24);
        #[expect(clippy::cast_possible_truncation, reason = "a count below the number of units")]
        let successes = (rate * N_PER_WEEK as f64) as i64;
        let at = at.strftime("%Y-%m-%d %H:%M:%S");
        lab.tell_source(&format!("INSERT INTO weeks VALUES ('{at}', {N_PER_WEEK}, {successes})")).await?;
    }
    let human = outcome_tests::lab::local();
    lab.runtime.outcomes().apply(&human, Some(&outcome_tests::lab::unlock())).await?;
    lab.launched(hypothesis("Softer level", "soft")).await
}

async fn result(lab: &Lab, experiment: &str) -> Result<Value> {
    let shown = lab.runtime.experiments().show(experiment).await?;
    Ok(shown.experiment.current_result.context("no result")?.json().clone())
}

/// 30 % with a little noise before; what `after` says from the launch on.
fn rates(after: impl Fn(usize) -> f64) -> Vec<f64> {
    let noise = |week: usize| [0.002, -0.001, 0.001, -0.002, 0.0][week % 5];
    (0..12).map(|week| 0.30 + noise(week)).chain((0..5).map(|week| after(week) + noise(week))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_is_reported_as_an_observation_and_never_ships_by_itself() -> Result<()> {
    each_lab(async |lab| {
        let experiment = begin(&lab, &rates(|_| 0.36)).await?;
        for day in 1..28 {
            let polled = lab.poll_after(24).await?;
            assert_eq!(polled.failures, Vec::<String>::new(), "day {day}");
            let status = lab.runtime.experiments().show(&experiment).await?.experiment.state.status;
            assert_eq!(status, ExperimentStatus::Running, "nothing is concluded before the plan ends");
        }
        lab.poll_after(24).await?;
        let shown = lab.runtime.experiments().show(&experiment).await?;
        assert_eq!(shown.experiment.state.status, ExperimentStatus::AwaitingAnalysisGate);
        let result = result(&lab, &experiment).await?;
        assert_eq!(result["series"]["verdict"], "moved", "{result}");
        assert_eq!(
            (&result["series"]["placebo"]["n_tried"], &result["series"]["placebo"]["n_moved"]),
            (&7.into(), &0.into())
        );
        assert!((result["effect"].as_f64().context("effect")? - 0.06).abs() < 0.002, "{result}");
        let reason = result["verdict"]["reason"].as_str().context("reason")?;
        assert!(reason.starts_with("Observational:") && reason.contains("holdout"), "{reason}");
        assert_eq!(result["verdict"]["decision"], "iterate_inconclusive");
        lab.decide(&experiment, Verdict::Kill).await?;
        let learnings = lab.runtime.learnings().search("softer", None, 5, 0).await?;
        assert_eq!(learnings[0].grade.to_string(), "C");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_that_moves_anyway_proves_nothing() -> Result<()> {
    each_lab(async |lab| {
        let mut rates = rates(|_| 0.36);
        rates.iter_mut().take(6).for_each(|rate| *rate -= 0.05);
        let experiment = begin(&lab, &rates).await?;
        lab.poll_after(24 * 21).await?;
        let result = result(&lab, &experiment).await?;
        assert_eq!(result["series"]["verdict"], "not_distinguishable", "{result}");
        assert!(result["series"]["placebo"]["n_moved"].as_u64() > Some(0), "{result}");
        assert_eq!(result["is_significant"], false);
        let reason = result["verdict"]["reason"].as_str().context("reason")?;
        assert!(reason.contains("on which nothing happened"), "{reason}");
        Ok(())
    })
    .await
}
