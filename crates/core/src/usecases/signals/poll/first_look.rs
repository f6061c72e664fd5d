//! What the first poll would find about an experiment that is not stored yet: nobody signs a guard that stops what it guards at once,
//! or that sees nothing.

use std::sync::Arc;

use jiff::Timestamp;

use super::source_clocks::SourceClocks;
use super::sources::{Job, gather};
use crate::config::Config;
use crate::domain::{ArmSums, ConstraintBound, Experiment, Outcome, PhaseStart, Plan, Variant};
use crate::error::{Error, Result};
use crate::evaluation::evaluate_poll;
use crate::lifecycle::statistical_finding;
use crate::stats::Severity;
use crate::store::{AllocationPhase, Instant};
use crate::usecases::Runtime;

/// What it found.
#[derive(Debug, Default)]
pub(in crate::usecases) struct FirstLook {
    /// Units in the control.
    pub(in crate::usecases) n_control: u64,
    /// Units in the treatment.
    pub(in crate::usecases) n_treatment: u64,
    /// Signals that could not be read, by name.
    pub(in crate::usecases) failures: Vec<(String, Error)>,
    /// Why it would be turned off, or nothing could be judged, as a sentence.
    pub(in crate::usecases) finding: Option<String>,
}

/// Looks once. Nothing is stored.
///
/// # Errors
/// When nothing could be asked at all.
pub(in crate::usecases) async fn first_look(
    runtime: &Runtime,
    config: &Arc<Config>,
    outcome: &Outcome,
    experiment: &Experiment,
    plan: &Plan,
    since: Timestamp,
) -> Result<FirstLook> {
    let phase = AllocationPhase {
        phase: 0,
        treatment_pct: i32::from(experiment.hypothesis.rollout.initial_pct),
        started_at: Instant(since),
        ended_at: None,
        begins: PhaseStart::Launch,
    };
    let now = runtime.now();
    let job = Arc::new(Job {
        outcome: outcome.clone(),
        experiment: experiment.clone(),
        plan: plan.clone(),
        phases: vec![phase],
        clocks: SourceClocks::default(),
    });
    let gathered = gather(runtime, config, &job, now).await?;
    let count = |wanted: Variant| {
        let arms = gathered.by_variant().iter().flat_map(|(_, reading)| &reading.data);
        let n = arms.filter(|arm| arm.variant == wanted).filter_map(|arm| arm.sums.n()).sum::<i64>();
        u64::try_from(n).unwrap_or(0)
    };
    let mut found = FirstLook {
        n_control: count(Variant::Control),
        n_treatment: count(Variant::Treatment),
        finding: gathered.drift().map(ToOwned::to_owned),
        ..FirstLook::default()
    };
    let crossed = plan.guardrails.iter().enumerate().find_map(|(index, guard)| {
        let level = gathered.guards.get(&index)?.level.as_ref()?;
        let value = crossed_value(&guard.bound, &level.data)?;
        Some(format!("`{}` is beyond its limit already: it is {value}", guard.signal.name))
    });
    if let (None, Some(poll)) = (&found.finding, gathered.poll(plan, since, now)) {
        let judged = evaluate_poll(plan, &poll, None)?;
        found.finding = judged.and_then(|judged| {
            let advice = &judged.evaluated.advice;
            let health = &judged.evaluated.health;
            let blocks = health.iter().find(|finding| finding.severity == Severity::Block);
            let speaks = statistical_finding(advice, health).map(|_| advice.reason.clone());
            speaks.or_else(|| blocks.map(|finding| finding.message.clone()))
        });
    }
    found.finding = found.finding.or(crossed);
    found.failures = gathered.failures;
    Ok(found)
}

/// A value of everybody that is outside of its fixed limits.
fn crossed_value(bound: &ConstraintBound, level: &ArmSums) -> Option<f64> {
    let ConstraintBound::Limits { min, max } = bound else { return None };
    let value = level.value()?;
    let is_within = min.is_none_or(|min| value >= min) && max.is_none_or(|max| value <= max);
    (!is_within).then_some(value)
}
