//! What an experiment came to, in one sentence. Every front end shows this sentence first and takes it from here, so that a terminal,
//! a page, an agent and a learning say the same.
//!
//! The sentence rests on the engine's recommendation and never on a point estimate. It is about the evidence: what a human decided
//! stands beside it.

mod asked;
mod opening;
mod range;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::Serialize;

use self::asked::blocking;
use self::opening::{Opening, early, is_broken, opening};
use self::range::Range;
use super::words::plural;
use crate::domain::{ContextPackage, Evaluation, Nullable};
use crate::stats::figures::{about, percent};
use crate::stats::{BeforeAfter, Recommendation, ShipTest};

pub use self::asked::{AnswerState, Asked, Values};

/// The error of a finding that the planned effect is excluded.
const FUTILITY_ALPHA: f64 = 0.10;

/// What an experiment came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Answer {
    /// Which of the four.
    pub state: AnswerState,
    /// One sentence: the numbers with and without the change, the range of the difference, and what that is in people.
    pub says: String,
    /// How sure that is, and why one may look at any time; absent where nothing is claimed.
    pub sure: Option<String>,
}

impl Answer {
    /// The answer; `None` before the launch.
    #[must_use]
    pub fn to(asked: &Asked<'_>) -> Option<Self> {
        asked.values.launched_at?;
        let pause = asked.pause.filter(|_| !asked.is_over);
        let is_danger = asked.result.is_some_and(|result| {
            matches!(result.advice.recommendation, Recommendation::KillHarm | Recommendation::KillGuardrail)
        });
        // Danger outranks doubt: what is proven to harm is said although a source is silent now.
        if let Some(pause) = pause.filter(|pause| is_broken(pause.cause) && !is_danger) {
            return Some(Self::without_claim(AnswerState::Broken, format!("It cannot be measured: {}", pause.detail)));
        }
        let Some(result) = asked.result else {
            let says = format!("{}: there are no numbers yet", early(asked, pause));
            return Some(Self::without_claim(AnswerState::TooEarly, says));
        };
        let Opening { state, says, figures } = opening(asked, result, pause);
        if state == AnswerState::Broken {
            return Some(Self::without_claim(state, says));
        }
        let range = Range::of(asked, result, figures);
        let numbers = numbers(asked, result, &range);
        let doubt = blocking(result);
        let more = match doubt {
            Some(finding) => format!("; but {}", finding.message),
            None => people(asked, result, &range, state).unwrap_or_default(),
        };
        let turned = match result.capped {
            Some(capped) if capped.is_turned => "; without its cap the difference has the other sign",
            Some(_) | None => "",
        };
        let sure = if doubt.is_some() { None } else { sure(asked, result, &range, state) };
        Some(Self { state, says: format!("{says}: {numbers}{more}{turned}."), sure })
    }

    /// The answer that a gate is about, from what is signed at it; `None` where it shows no result.
    #[must_use]
    pub fn at_gate(context: &ContextPackage, values: Values) -> Option<Self> {
        let facts = context.facts.shown().ok()?;
        let (outcome, plan) = facts.outcome.as_ref().zip(facts.plan.as_ref())?;
        let result = facts.evaluation()?.ok()?;
        let crossed = result.crossed().and_then(|guard| facts.constraint_of(&guard.name));
        let crossed = crossed.map(|declared| (declared.scale.clone().unwrap_or_default(), declared.bound.clone()));
        Self::to(&Asked {
            metric: &outcome.signal,
            scale: &outcome.scale.clone().unwrap_or_default(),
            direction: outcome.direction,
            unit: &plan.randomisation_unit,
            result: Some(result),
            pause: Nullable::of(facts.pause.as_ref()),
            is_over: false,
            is_going_on: false,
            measurement: &plan.measurement,
            is_guarded: facts.attached.is_some(),
            is_planned: true,
            answer_by: None,
            values,
            crossed: crossed.as_ref(),
        })
    }

    fn without_claim(state: AnswerState, says: String) -> Self {
        let says = says.trim_end_matches('.');
        Self { state, says: format!("{says}."), sure: None }
    }
}

/// The numbers with and without the change, and the range of the difference.
fn numbers(asked: &Asked<'_>, result: &Evaluation, range: &Range) -> String {
    let metric = asked.metric;
    if let Some((series, levels)) = result.series.as_ref().zip(result.before_and_after()) {
        return weeks(asked, series, levels);
    }
    let Some(effect) = range.effect else { return format!("`{metric}` has no numbers that can be compared yet") };
    let levels = result.treatment_level.zip(result.control_level).filter(|_| range.is_of_the_levels);
    let rounded = range.rounded(asked.scale, levels);
    let between = match (range.lower, range.upper) {
        _ if result.has_drifted() => ", and it changed over time".to_owned(),
        (Some(lower), Some(upper)) => format!(", between {} and {}", rounded.low(lower), rounded.high(upper)),
        (Some(lower), None) => format!(", at least {}", rounded.low(lower)),
        (None, Some(upper)) => format!(", at most {}", rounded.high(upper)),
        (None, None) => ", with no range yet".to_owned(),
    };
    let Some((with, without)) = levels else {
        return format!("`{metric}` changed by {}{between}", rounded.change(effect));
    };
    // With a covariate, or over several splits of the traffic, the estimate is not the difference of the plain levels.
    let plain = with - without;
    let adjusted = if (plain - effect).abs() > range.width() / 20.0 { " after adjustment" } else { "" };
    format!(
        "`{metric}` is {} with it, {} without ({}{adjusted}{between})",
        rounded.level(with),
        rounded.level(without),
        rounded.change(effect)
    )
}

/// Levels before and after a change that is on for everybody.
fn weeks(asked: &Asked<'_>, series: &BeforeAfter, [before, after]: [Option<f64>; 2]) -> String {
    let metric = asked.metric;
    let Some((before, after)) = before.zip(after) else { return format!("`{metric}` has no week to compare yet") };
    let rounded = asked.scale.rounded((after - before).abs());
    let expected = match series.level_expected {
        Some(expected) => format!(", where {} was to be expected", rounded.level(expected)),
        None => String::new(),
    };
    format!(
        "`{metric}` was {} before and is {} after the launch{expected}",
        rounded.level(before),
        rounded.level(after)
    )
}

/// What the range is in people, or in an amount of a thousand people. Not in a week: how many come differs from week to week, and is not
/// what was measured. `None` where even the sign is open, and for what is nothing one can count.
fn people(asked: &Asked<'_>, result: &Evaluation, range: &Range, state: AnswerState) -> Option<String> {
    let is_found = match state {
        AnswerState::Worked => true,
        AnswerState::DidNot => result.advice.recommendation == Recommendation::KillHarm,
        AnswerState::TooEarly | AnswerState::Broken => false,
    };
    if !is_found
        || !range.is_of_the_levels
        || result.has_drifted()
        || result.series.is_some()
        || result.capped.is_some()
    {
        return None;
    }
    let (nearer, farther, is_more) = match (range.lower, range.upper) {
        (Some(lower), upper) if lower > 0.0 => (lower, upper, true),
        (lower, Some(upper)) if upper < 0.0 => (-upper, lower.map(|lower| -lower), false),
        _ => return None,
    };
    let say = |per_unit: f64| about(per_unit * 1000.0);
    let amount = match farther {
        Some(farther) => format!("{} to {}", say(nearer), say(farther)),
        None => format!("at least {}", say(nearer)),
    };
    let units = several(asked.unit);
    match (asked.scale.is_share(), asked.scale.unit()) {
        (true, _) => {
            Some(format!(", which is {amount} {} of every 1,000 {units}", if is_more { "more" } else { "fewer" }))
        }
        (false, Some(unit)) if asked.values.is_amount && unit != "%" => Some(format!(
            ", which is {amount} {unit} {} from every 1,000 {units}",
            if is_more { "more" } else { "less" }
        )),
        (false, _) => None,
    }
}

/// What the file calls a unit, of several of them; it may be the name of a column, and stand in the plural already.
fn several(unit: &str) -> String {
    let unit = unit.strip_suffix("_id").unwrap_or(unit).replace('_', " ");
    if unit.ends_with('s') { unit } else { plural(&unit) }
}

/// How sure that is, and why one may look every day.
fn sure(asked: &Asked<'_>, result: &Evaluation, range: &Range, state: AnswerState) -> Option<String> {
    let grade = result.grade.map(|grade| format!(" Evidence: grade {grade} (A is best, D worst).")).unwrap_or_default();
    if result.series.is_some() {
        return Some(format!("There is no control group, so this is an observation and proves no cause.{grade}"));
    }
    let says = match (state, result.advice.recommendation) {
        (AnswerState::Worked, _) => {
            let alpha = all_claims(result)?;
            let whom = match asked.measurement.success_threshold {
                0.0 => "do nothing".to_owned(),
                threshold => format!("bring no more than {}", asked.scale.change(threshold)),
            };
            let test = result.ship_test.as_ref().map(|record| record.test);
            let is_known_end = matches!(test, Some(ShipTest::KnownEnd { .. }));
            let given = match is_known_end && !asked.values.is_known_final {
                true => " (if the query's values are final when they are read)",
                false => "",
            };
            format!("Of changes that {whom}, at most {} end like this, however often one looks{given}.", percent(alpha))
        }
        (AnswerState::DidNot, Recommendation::KillFutility) => format!(
            "Of changes that bring {}, at most {} end like this, however often one looks.",
            asked.scale.size(asked.measurement.minimum_detectable_effect),
            percent(FUTILITY_ALPHA)
        ),
        (AnswerState::TooEarly, _) if !asked.is_over => {
            let level = range.level.filter(|_| range.lower.is_some() && range.upper.is_some())?;
            format!(
                "At every look, such a range holds the true difference in at least {level} of 100 experiments: look as often as you like."
            )
        }
        _ => return (!grade.is_empty()).then(|| grade.trim_start().to_owned()),
    };
    Some(format!("{says}{grade}"))
}

/// The error of success of this experiment, with what it could claim before its corrections: each halved what is left.
fn all_claims(result: &Evaluation) -> Option<f64> {
    let corrections = result.error_budget.map_or(0, |budget| budget.corrections);
    let halves = i32::try_from(corrections).unwrap_or(i32::MAX).saturating_add(1);
    result.alpha.map(|alpha| (alpha * (2.0_f64.powi(halves) - 1.0)).min(1.0))
}
