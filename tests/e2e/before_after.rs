//! An experiment without a control group: weekly levels before and after, with placebos, and never a claim of cause.

use anyhow::{Context as _, Result};
use outcome_core::domain::{ExperimentStatus, Verdict};
use outcome_core::present::sections;
use outcome_tests::lab::{Lab, commit, hypothesis, write};
use serde_json::{Value, json};

use crate::journey::each_lab;

const N_PER_WEEK: i64 = 10_000;

/// Weeks before the launch for which there are data: enough for twenty placebos.
const HISTORY: usize = 26;

/// Turns the laboratory's outcome into one that is judged before against after, with these weekly rates around the launch
/// (`n_before` of them before it). Returns the running experiment.
async fn begin(lab: &Lab, n_before: usize, rates: &[f64]) -> Result<String> {
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
    for (number, rate) in (-i64::try_from(n_before)?..).zip(rates) {
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

/// What the human sees speaks of weeks before and after, and of no arms; a proof of a comparison of arms is refused.
async fn has_own_words(lab: &Lab, experiment: &str) -> Result<()> {
    let gates = lab.runtime.gates().list().await?;
    let gate = &gates.first().context("no gate")?.gate;
    let shown = lab.runtime.gates().show(gate).await?;
    let seen = format!("{:?}", sections(&shown.context));
    for word in ["Before", "After, as the trend lets expect", "on for everybody, there is no control group"] {
        assert!(seen.contains(word), "{word}: {seen}");
    }
    for word in ["\"Control\"", "\"Treatment\"", "Treatment minus control", "Traffic split", "unbounded", "all arms"] {
        assert!(!seen.contains(word), "{word}: {seen}");
    }
    let status = lab.runtime.workspaces().status(true).await?;
    let line = status.outcomes.iter().flat_map(|line| &line.experiments).find(|line| line.experiment == experiment);
    let line = line.context("no line")?;
    assert_eq!((line.n_control, line.n_treatment), (None, None));
    assert!(line.level_before < line.level_after && line.level_before.is_some());
    let refused = lab.runtime.audit_log().proof(experiment).await.unwrap_err();
    assert!(refused.to_string().contains("has no control group"), "{refused}");
    Ok(())
}

async fn result(lab: &Lab, experiment: &str) -> Result<Value> {
    let shown = lab.runtime.experiments().show(experiment).await?;
    Ok(shown.experiment.current_result.context("no result")?.json().clone())
}

/// 30 % with a little noise before; what `after` says from the launch on.
fn rates(n_before: usize, after: impl Fn(usize) -> f64) -> Vec<f64> {
    let noise = |week: usize| [0.002, -0.001, 0.001, -0.002, 0.0][week % 5];
    (0..n_before).map(|week| 0.30 + noise(week)).chain((0..5).map(|week| after(week) + noise(week))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_is_reported_as_an_observation_and_never_ships_by_itself() -> Result<()> {
    each_lab(async |lab| {
        let experiment = begin(&lab, HISTORY, &rates(HISTORY, |_| 0.36)).await?;
        let flags: Value = serde_json::from_str(&std::fs::read_to_string(lab.root().join("flags.json"))?)?;
        let shares = &flags["flags"]["soft"]["targeting"]["fractional"];
        assert_eq!((&shares[1], &shares[2]), (&json!(["treatment", 100]), &json!(["control", 0])), "{flags}");
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
            (&21.into(), &0.into())
        );
        assert!((result["effect"].as_f64().context("effect")? - 0.06).abs() < 0.003, "{result}");
        let levels = ["level_before", "level_after"].map(|key| (result[key].as_f64().unwrap_or(0.0) * 100.0).round());
        assert_eq!(levels, [30.0, 36.0], "{result}");
        assert_eq!(result["control_level"], Value::Null, "weeks are no arms: {result}");
        assert_eq!((&result["grade"], &result["health"]), (&"C".into(), &json!([])), "{result}");
        let reason = result["verdict"]["reason"].as_str().context("reason")?;
        assert!(reason.starts_with("Observational:") && reason.contains("holdout"), "{reason}");
        assert_eq!(result["verdict"]["decision"], "iterate_inconclusive");
        has_own_words(&lab, &experiment).await?;
        lab.decide(&experiment, Verdict::Kill).await?;
        let learnings = lab.runtime.learnings().search("softer", None, 5, 0).await?;
        assert_eq!(learnings[0].grade.to_string(), "C");
        assert!(
            learnings[0].finding.contains("Measured with 4 weeks after and 26 weeks before"),
            "{}",
            learnings[0].finding
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_that_moves_anyway_proves_nothing() -> Result<()> {
    each_lab(async |lab| {
        let mut rates = rates(HISTORY, |_| 0.36);
        rates.iter_mut().take(12).for_each(|rate| *rate -= 0.05);
        let experiment = begin(&lab, HISTORY, &rates).await?;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_trend_that_was_there_before_is_no_change() -> Result<()> {
    each_lab(async |lab| {
        let mut rates = rates(HISTORY, |_| 0.30);
        (0..).zip(&mut rates).for_each(|(week, rate)| *rate += 0.004 * f64::from(week));
        let experiment = begin(&lab, HISTORY, &rates).await?;
        lab.poll_after(24 * 28).await?;
        let result = result(&lab, &experiment).await?;
        assert_eq!(result["series"]["compared_with"], "trend", "{result}");
        assert_eq!(result["series"]["verdict"], "not_distinguishable", "{result}");
        assert!(result["effect"].as_f64().context("effect")?.abs() < 0.004, "the line goes on: {result}");
        assert!(result["level_after"].as_f64() > Some(0.39), "{result}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_history_has_no_power_and_is_an_anecdote() -> Result<()> {
    each_lab(async |lab| {
        // Before the twelve weeks the source has no rows, and the sum over them is NULL.
        let experiment = begin(&lab, 12, &rates(12, |_| 0.36)).await?;
        let polled = lab.poll_after(24 * 28).await?;
        assert_eq!(polled.failures, Vec::<String>::new());
        let result = result(&lab, &experiment).await?;
        assert_eq!(result["series"]["n_before"], 12, "{result}");
        assert_eq!(result["series"]["verdict"], "not_distinguishable", "{result}");
        assert_eq!(result["health"][0]["code"], "placebo_without_power", "{result}");
        assert_eq!((&result["grade"], &result["is_significant"]), (&"D".into(), &false.into()), "{result}");
        lab.decide(&experiment, Verdict::Kill).await?;
        let learnings = lab.runtime.learnings().search("softer", None, 5, 0).await?;
        assert_eq!(learnings[0].grade.to_string(), "D");
        assert!(learnings[0].finding.contains("4 weeks after and 12 weeks before"), "{}", learnings[0].finding);
        Ok(())
    })
    .await
}
