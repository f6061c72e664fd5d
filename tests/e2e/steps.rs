//! A rollout in steps: one budget for a false finding over all of them, and a step that breaks is found by itself. The proof script says
//! the same.

use anyhow::{Context as _, Result, ensure};
use outcome_core::domain::{ExperimentStatus, Hypothesis, RolloutPlan, Verdict};
use outcome_tests::lab::{Lab, VISITS, file_of_visits, hypothesis};
use serde_json::Value;

use crate::proof::agrees;

const FLAG: &str = "soft";

/// 3,000 units of a day come, of whom `pct` see the treatment: these shares of control and treatment come back and crash.
async fn day(lab: &Lab, pct: f64, came_back: [f64; 2], crashed: [f64; 2]) -> Result<()> {
    lab.clock.advance(jiff::SignedDuration::from_hours(1));
    let at = lab.runtime.now().strftime("%Y-%m-%d %H:%M:%S").to_string();
    let units = [3000.0 * (100.0 - pct) / 100.0, 3000.0 * pct / 100.0];
    for (i, variant) in ["control", "treatment"].into_iter().enumerate() {
        let (successes, crashes) = ((units[i] * came_back[i]).round(), (units[i] * crashed[i]).round());
        let values = format!("'{FLAG}', '{variant}', '{at}', {}, {successes}, {crashes}", units[i]);
        lab.tell_source(&format!("INSERT INTO visits VALUES ({values})")).await?;
    }
    let failures = lab.poll_after(23).await?.failures;
    ensure!(failures.is_empty(), "{failures:?}");
    Ok(())
}

/// A rollout that is better until its first step, and then is as these shares say. Returns its pack, and where it stands.
async fn broken(came_back: [f64; 2], crashed: [f64; 2]) -> Result<(Value, ExperimentStatus)> {
    let lab = Lab::declaring_on(None, &file_of_visits(), VISITS).await?;
    let rollout = RolloutPlan { initial_pct: 20, steps: vec![50, 90] };
    let experiment = lab.launched(Hypothesis { rollout, ..hypothesis("Softer level", FLAG) }).await?;
    let status = async || anyhow::Ok(lab.runtime.experiments().show(&experiment).await?.experiment.state.status);
    for _ in 0..12 {
        if status().await? == ExperimentStatus::AwaitingAnalysisGate {
            break;
        }
        day(&lab, 20.0, [0.30, 0.38], [0.004, 0.004]).await?;
    }
    lab.decide(&experiment, Verdict::Scale).await?;
    day(&lab, 50.0, came_back, crashed).await?;
    let pack = serde_json::to_value(lab.runtime.audit_log().proof(&experiment).await?)?;
    ensure!(pack["plan"]["shares_with_steps"] == true, "{}", pack["plan"]);
    agrees(&lab, &pack).await?;
    Ok((pack, status().await?))
}

fn last(pack: &Value) -> Result<&Value> {
    Ok(&pack["path"].as_array().and_then(|path| path.last()).context("no poll")?["result"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_breaks_is_paused_by_its_own_data() -> Result<()> {
    let (pack, status) = broken([0.30, 0.20], [0.004, 0.004]).await?;
    assert_eq!(status, ExperimentStatus::Paused, "{}", pack["verdict"]);
    let result = last(&pack)?;
    assert_eq!((&pack["verdict"]["decision"], &result["harm"]["from_phase"]), (&"kill_harm".into(), &1.into()));
    let is_about = |number: &Value, wanted: f64| number.as_f64().is_some_and(|found| (found - wanted).abs() < 1e-12);
    assert!(is_about(&result["harm"]["alpha"], 0.0025), "half of a fifth of 0.025: {result}");
    // All units together are better still: the phases before would have outweighed the step.
    assert!(result["effect"].as_f64().context("no effect")? > 0.0, "{result}");
    let launch = &pack["path"][3]["result"]["harm"];
    assert!(launch["from_phase"] == 0 && is_about(&launch["alpha"], 0.02), "a fifth is kept for the steps: {launch}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guardrail_that_breaks_on_a_step_is_paused_by_its_own_data() -> Result<()> {
    let (pack, status) = broken([0.30, 0.38], [0.004, 0.03]).await?;
    assert_eq!(status, ExperimentStatus::Paused, "{}", pack["verdict"]);
    assert_eq!(pack["verdict"]["decision"], "kill_guardrail");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_without_a_change_goes_on_with_what_was_known() -> Result<()> {
    let (pack, status) = broken([0.30, 0.37], [0.004, 0.004]).await?;
    assert_eq!(status, ExperimentStatus::Scaling, "{}", pack["verdict"]);
    let result = last(&pack)?;
    assert_eq!(result["harm"]["from_phase"], 0, "the process over the phases knows more than the step: {result}");
    Ok(())
}
