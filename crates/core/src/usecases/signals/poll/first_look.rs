//! What the first poll would find about an experiment that is not stored yet: nobody signs a guard that stops what it guards at once,
//! or that sees nothing.

use std::sync::Arc;

use jiff::Timestamp;

use super::source_clocks::SourceClocks;
use super::sources::{Job, gather};
use crate::config::Config;
use crate::domain::{ArmSums, ConstraintBound, Experiment, Outcome, PhaseStart, Plan, Variant};
use crate::error::{Error, Result};
use crate::evaluation::{evaluate_guards, evaluate_poll};
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
    /// Why the first poll would turn it off, as a sentence.
    pub(in crate::usecases) danger: Option<String>,
    /// Why nothing could be judged, as a sentence.
    pub(in crate::usecases) doubt: Option<String>,
    /// A constraint by which nobody would be guarded: nothing of it was read.
    pub(in crate::usecases) blind: Option<String>,
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
        // Sources are asked for who was exposed since then.
        experiment: Experiment { launched_at: Some(since), ..experiment.clone() },
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
        danger: gathered.flag_problem(),
        ..FirstLook::default()
    };
    for (index, guard) in plan.guardrails.iter().enumerate() {
        let read = gathered.guards.get(&index);
        let arms =
            || read.into_iter().flat_map(|read| &read.by_variant.by_phase).flat_map(|(_, reading)| &reading.data);
        let treated = arms().find(|arm| arm.variant == Variant::Treatment);
        let level = read.and_then(|read| read.level.as_ref()).map(|level| &level.data);
        let Some(value) = treated.map(|arm| &arm.sums).or(level) else {
            found.blind.get_or_insert_with(|| guard.signal.name.clone());
            continue;
        };
        if let Some(value) = crossed_value(&guard.bound, value) {
            let name = &guard.signal.name;
            found.danger.get_or_insert_with(|| format!("`{name}` is beyond its limit already: it is {value}"));
        }
    }
    let judged = match gathered.poll(plan, since, now) {
        Some(poll) => evaluate_poll(plan, &poll, None)?,
        None => None,
    };
    let judged = match judged {
        Some(judged) => judged,
        None => evaluate_guards(plan, &gathered.guards_alone(plan, since, now), None)?,
    };
    let (advice, health) = (&judged.evaluated.advice, &judged.evaluated.health);
    if statistical_finding(advice, health).is_some() {
        found.danger.get_or_insert_with(|| advice.reason.clone());
    }
    let blocks = health.iter().find(|finding| finding.severity == Severity::Block);
    found.doubt = blocks.map(|finding| finding.message.clone());
    found.failures = gathered.failures;
    Ok(found)
}

/// A value that is outside of its fixed limits.
fn crossed_value(bound: &ConstraintBound, level: &ArmSums) -> Option<f64> {
    let ConstraintBound::Limits { min, max } = bound else { return None };
    let value = level.value()?;
    let is_within = min.is_none_or(|min| value >= min) && max.is_none_or(|max| value <= max);
    (!is_within).then_some(value)
}
