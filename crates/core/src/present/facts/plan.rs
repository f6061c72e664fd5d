//! How it will be judged: plan, thresholds, constraints, and the outcome it serves.

use super::super::section::{Section, Table};
use super::super::time::instant;
use super::super::words::words;
use super::values::{scale, text};
use crate::domain::{Caps, ConstraintBound, Design, Direction, Facts, MeasurementPlan, Positive, SignalCaps};
use crate::stats::Scale;
use crate::stats::figures::{count, number as show, percent};

pub(super) fn section(facts: &Facts) -> Section {
    let mut section = Section::new("Plan and thresholds");
    let Some(plan) = &facts.plan else { return section };
    let has_control = plan.design.has_control();
    let compared = if has_control { "the control" } else { "what the weeks before let expect" };
    section.intro = Some(format!(
        "Thresholds are absolute differences from {compared}; positive means better. The plan is frozen at launch; only a signed correction changes it."
    ));
    section.text("Design", Some(words(plan.design.as_str())));
    let is_claimed = plan.design != Design::Attached;
    section.text("Confidence of success", is_claimed.then(|| percent(1.0 - plan.alpha)));
    let corrections = plan.error_budget.map_or(0, |budget| budget.corrections);
    let halved =
        (corrections > 0).then(|| format!("{corrections} after the launch; each halved the error rate of claims"));
    section.text("Corrections by hand", halved);
    let unit = text(&plan.randomisation_unit).filter(|_| has_control);
    section.text("Randomisation unit", unit.map(words));
    section.rows.extend(thresholds(&plan.measurement, plan.design, &scale(facts)).rows);
    let caps: Vec<String> = plan.caps.iter().map(|found| cap(found, facts)).collect();
    section.text("Values cut at", (!caps.is_empty()).then(|| caps.join("; ")));
    let rollout = &plan.rollout;
    let steps = std::iter::once(&rollout.initial_pct).chain(&rollout.steps).map(|pct| format!("{pct} %"));
    let steps = steps.collect::<Vec<_>>().join(" → ");
    let is_for_all = !has_control && rollout.initial_pct == 100;
    let said = if is_for_all { format!("{steps}: on for everybody, there is no control group") } else { steps };
    section.text("Rollout", Some(said));
    section.code("Plan hash", text(&plan.hash));
    section
}

/// The numbers that a quantile of before the launch came to.
fn cap(found: &SignalCaps, facts: &Facts) -> String {
    let SignalCaps { signal, caps: Caps { value, denominator, covariate } } = found;
    let is_primary = facts.outcome.as_ref().is_some_and(|outcome| outcome.signal == *signal);
    let say = |number: &Positive| {
        if is_primary && denominator.is_none() { scale(facts).level(number.get()) } else { show(number.get()) }
    };
    let mut said = format!("{} for `{signal}`", say(value));
    if let Some(denominator) = denominator {
        said += &format!(", {} for its denominator", say(denominator));
    }
    if let Some(covariate) = covariate {
        said += &format!(", {} for its value before the exposure", say(covariate));
    }
    said
}

/// Duration, sample and thresholds. `scale`: of the outcome's signal.
#[must_use]
pub fn thresholds(measurement: &MeasurementPlan, design: Design, scale: &Scale) -> Section {
    let mut section = Section::new("Thresholds");
    section.text("Duration", Some(format!("{} days", show(f64::from(measurement.duration_days)))));
    if design.has_control() {
        let units = count(u64::from(measurement.min_sample_size));
        section.text("Minimum sample", Some(format!("{units} units in all arms")));
    }
    let is_claimed = design != Design::Attached;
    section.text("Success threshold", is_claimed.then(|| scale.change(measurement.success_threshold)));
    section.text("Kill threshold", Some(scale.change(measurement.kill_threshold)));
    section.text("Minimum detectable effect", Some(scale.size(measurement.minimum_detectable_effect)));
    section
}

pub(super) fn guardrails(facts: &Facts) -> Section {
    let mut section = Section::new("Constraints");
    let found = facts.plan.as_ref().map(|plan| plan.guardrails.as_slice()).unwrap_or_default();
    if !found.is_empty() {
        section.table = Some(Table {
            heads: vec!["Signal", "Limit", "If crossed"],
            lines: found
                .iter()
                .map(|guard| {
                    let scale = guard.scale.clone().unwrap_or_default();
                    vec![guard.signal.clone(), bound(&guard.bound, &scale), words(guard.on_violation.as_str())]
                })
                .collect(),
        });
    }
    section
}

/// What a constraint must hold. `scale`: of its signal.
#[must_use]
pub fn bound(bound: &ConstraintBound, scale: &Scale) -> String {
    match *bound {
        ConstraintBound::NotWorse { margin, must_prove, .. } => {
            let proof = if must_prove { ", must be proven before shipping" } else { "" };
            format!("at most {} worse than the control{proof}", scale.size(margin))
        }
        ConstraintBound::Limits { min: Some(min), max: Some(max) } => {
            format!("{} to {}", scale.level(min), scale.level(max))
        }
        ConstraintBound::Limits { min: Some(min), max: None } => format!("at least {}", scale.level(min)),
        ConstraintBound::Limits { min: None, max: Some(max) } => format!("at most {}", scale.level(max)),
        ConstraintBound::Limits { min: None, max: None } => "see the JSON".to_owned(),
    }
}

pub(super) fn outcome(facts: &Facts) -> Section {
    let mut section = Section::new("Outcome");
    let Some(outcome) = &facts.outcome else { return section };
    let scale = scale(facts);
    section.quote("Title", text(&outcome.title_says));
    section.code("Signal", text(&outcome.signal));
    let better = match outcome.direction {
        Direction::Increase => "more",
        Direction::Decrease => "less",
    };
    section.text("Better is", Some(better.to_owned()));
    section.text("Target", Some(format!("from {} to {}", scale.level(outcome.from), scale.level(outcome.to))));
    section.text("Measured baseline", outcome.measured_baseline.as_ref().map(|baseline| scale.level(baseline.value)));
    section.text("Deadline", outcome.deadline.map(instant));
    section
}
