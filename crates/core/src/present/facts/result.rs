//! What was measured: effect, the interval that decides, p-values, units, health, constraints.

use super::super::section::{Section, Table};
use super::super::time::instant;
use super::super::words::words;
use super::values::{scale, text, unreadable, yes};
use crate::domain::{ConstraintBound, Evaluation, Facts, GuardrailResult, HealthFinding, Nullable, Severity, SrmLevel};
use crate::stats::figures::{count, p_value, percent, signed_percent};
use crate::stats::{BeforeAfter, ComparedWith, Scale};

/// What is compared without a control group.
const BEFORE_AFTER: &str = "After the launch minus what the weeks before let expect: there is no control group, so this is an observation \
                            and no proof of a cause.";
/// In the place of an interval that would describe the effect with one number.
const CHANGED: &str = "none: the effect changed over time";

pub(super) fn section(facts: &Facts) -> Section {
    let mut section = Section::new("Result so far");
    let Some(result) = Nullable::of(facts.result.as_ref()) else { return section };
    let result = match result.shown() {
        Ok(shown) => shown,
        Err(problem) => return unreadable("Result so far", &problem, result.json()),
    };
    let scale = scale(facts);
    let weekly = result.before_and_after();
    let compared = if weekly.is_some() { BEFORE_AFTER } else { "Treatment minus control." };
    section.intro = Some(format!(
        "{compared} The result is always valid: looking often does not make an error more likely. The runtime \
         computed all figures from the readings."
    ));
    section.warnings.extend(health(&result.health));
    let reason = text(&result.advice.reason).map(|reason| format!(": {reason}")).unwrap_or_default();
    section.text("Recommendation", Some(words(result.advice.recommendation.as_str()) + &reason));
    effect(&mut section, facts, result, &scale);
    let is_claimed = facts.attached.is_none();
    section.text("Alpha of the success test", result.alpha.filter(|_| is_claimed).map(percent));
    section.text("Evidence grade", result.grade.map(|grade| grade.to_string()));
    section.text("Needed for a decision", result.advice.next.as_deref().and_then(text).map(ToOwned::to_owned));
    let level = |level: Option<f64>| level.map_or_else(|| "unknown".to_owned(), |level| scale.level(level));
    if let Some((series, levels)) = result.series.as_ref().zip(weekly) {
        section.table = Some(weeks(series, levels, level));
        section.text("Read at", result.polled_at.map(instant));
        return section;
    }
    let arms = [
        ("Control", result.n_control, result.control_level),
        ("Treatment", result.n_treatment, result.treatment_level),
    ];
    section.table = Some(Table {
        heads: vec!["Arm", "Units", "Level"],
        lines: arms.iter().map(|(arm, n, found)| vec![(*arm).to_owned(), count(*n), level(*found)]).collect(),
    });
    section.text("Minimum sample reached", Some(yes(result.is_min_sample_reached)));
    section.text("Traffic split as declared", Some(split(result.srm.level)));
    section.text("Rollout step", facts.rollout_step.map(|step| (step + 1).to_string()));
    section.text("Read at", result.polled_at.map(instant));
    section
}

/// The levels by week, before and after the launch.
fn weeks(series: &BeforeAfter, [before, after]: [Option<f64>; 2], level: impl Fn(Option<f64>) -> String) -> Table {
    let line = |what: &str, n: u32, found: Option<f64>| {
        let n = if n == 0 { "unknown".to_owned() } else { count(u64::from(n)) };
        vec![what.to_owned(), n, level(found)]
    };
    let mut lines = vec![line("Before", series.n_before, before), line("After", series.n_after, after)];
    if series.level_expected.is_some() {
        let expected = match series.compared_with {
            Some(ComparedWith::Season) => "After, as a year before lets expect",
            Some(ComparedWith::Trend | ComparedWith::Mean) | None => "After, as the trend lets expect",
        };
        lines.push(line(expected, series.n_after, series.level_expected));
    }
    Table { heads: vec!["", "Weeks", "Level"], lines }
}

/// The effect with the one interval that decides, and a p-value for each decision.
fn effect(section: &mut Section, facts: &Facts, result: &Evaluation, scale: &Scale) {
    let Some(direction) = facts.outcome.as_ref().map(|outcome| outcome.direction) else { return };
    let said = result.effect.map(|effect| scale.change(effect));
    if result.has_drifted() {
        section.text("Average effect so far", said);
        section.text("Decision interval", Some(CHANGED.to_owned()));
    } else {
        section.text("Effect", said);
        if let Some(shown) = result.shown_interval(direction) {
            section.text(shown.label(), Some(shown.in_words(scale)));
        }
        section.text("Relative lift", result.lift.map(signed_percent));
    }
    for (label, said) in capped(result, scale) {
        section.text(label, Some(said));
    }
    let threshold = facts.plan.as_ref().map(|plan| plan.measurement.success_threshold);
    match threshold.and_then(|threshold| result.sided_p(direction, threshold)) {
        Some(p) => {
            section.text("p of success", facts.attached.is_none().then(|| p_value(p.better)));
            section.text("p of harm", Some(p_value(p.worse)));
        }
        None => section.text("p-value (two-sided, smallest so far)", Some(p_value(result.p_running))),
    }
}

/// What the cap of the metric did, as rows: how much it cut, and the effect without it.
#[must_use]
pub fn capped(result: &Evaluation, scale: &Scale) -> Vec<(&'static str, String)> {
    let Some(capped) = &result.capped else { return Vec::new() };
    let shares = format!(
        "{} of the units of control, {} of the treatment",
        percent(capped.control_share),
        percent(capped.treatment_share)
    );
    let turned = if capped.is_turned { ": it has the other sign, so the cap decides which arm is better" } else { "" };
    let without = capped.effect.map(|effect| ("Effect without the cap", scale.change(effect) + turned));
    std::iter::once(("Cut to the cap", shares)).chain(without).collect()
}

/// What is wrong with the data, as sentences.
#[must_use]
pub fn health(findings: &[HealthFinding]) -> Vec<String> {
    let say = |finding: &HealthFinding| {
        let weight = if finding.severity == Severity::Block { "Blocks a claim" } else { "Warning" };
        format!("{weight}: {}", finding.message)
    };
    findings.iter().map(say).collect()
}

fn split(level: SrmLevel) -> String {
    match level {
        SrmLevel::Clean => "yes",
        SrmLevel::Warn => "doubtful: units may not arrive in the declared shares",
        SrmLevel::Block => "no: units do not arrive in the declared shares, so nothing can be concluded",
    }
    .to_owned()
}

pub(super) fn guardrails(facts: &Facts) -> Section {
    let found = match facts.evaluation() {
        Some(Ok(result)) => result.guardrails.as_slice(),
        _ => &[],
    };
    measured_constraints(found, |name| {
        facts.constraint_of(name).map(|declared| (declared.scale.clone().unwrap_or_default(), declared.bound.clone()))
    })
}

/// The state of every constraint. `declared`: how the values of a result of this name are written, and what they must hold.
#[must_use]
pub fn measured_constraints(
    found: &[GuardrailResult],
    declared: impl Fn(&str) -> Option<(Scale, ConstraintBound)>,
) -> Section {
    let mut section = Section::new("Measured constraints");
    if !found.is_empty() {
        section.table = Some(Table {
            heads: vec!["Constraint", "Value", "Bound", "State"],
            lines: found.iter().map(|guard| line(guard, declared(&guard.name))).collect(),
        });
    }
    section
}

fn line(guard: &GuardrailResult, declared: Option<(Scale, ConstraintBound)>) -> Vec<String> {
    let is_difference = matches!(declared, Some((_, ConstraintBound::NotWorse { .. })));
    let scale = declared.map(|(scale, _)| scale).unwrap_or_default();
    let say = |x: f64| if is_difference { scale.size(x) } else { scale.level(x) };
    let figure = |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), say);
    vec![guard.name.clone(), figure(guard.value), figure(guard.bound), state(guard).to_owned()]
}

/// How a constraint stands.
pub(super) fn state(guard: &GuardrailResult) -> &'static str {
    if guard.breached {
        "crossed"
    } else if guard.is_alerting {
        "beyond its limit for several days"
    } else if guard.is_incident {
        "beyond its limit for everybody: an incident"
    } else if guard.non_inferior {
        "proven to be met"
    } else if guard.must_prove {
        "not crossed, not proven yet"
    } else if guard.value.is_none() {
        "no reading"
    } else {
        "not crossed"
    }
}
