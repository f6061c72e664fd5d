//! What an experiment came to, in one sentence. Every front end shows this sentence first and takes it from here, so that a terminal,
//! a page, an agent and a learning say the same.
//!
//! The sentence rests on the engine's recommendation and never on a point estimate. It is about the evidence: what a human decided
//! stands beside it.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::facts::bound;
use crate::domain::{
    ConstraintBound, ContextPackage, Contract, Direction, Evaluation, Nullable, Pause, PauseCause, Quantity, SignalSpec,
};
use crate::stats::Severity;
use crate::stats::figures::{about, percent};
use crate::stats::{BeforeAfter, Recommendation, Scale, ShownInterval};

/// The four things that an experiment can come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum AnswerState {
    /// The improvement is proven.
    Worked,
    /// It harms, breaks a limit, brings too little, or showed nothing in the time of its plan.
    DidNot,
    /// Nothing can be said yet.
    TooEarly,
    /// The numbers cannot be trusted, or there are none although there should be.
    Broken,
}

impl AnswerState {
    /// As the first words of a line.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Worked => "worked",
            Self::DidNot => "did not work",
            Self::TooEarly => "too early",
            Self::Broken => "broken",
        }
    }
}

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

/// What an experiment is asked about.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// Name of the deciding signal.
    pub metric: &'a str,
    /// How its values are written.
    pub scale: &'a Scale,
    /// Which way is better.
    pub direction: Direction,
    /// What is randomised, in the singular: `user`.
    pub unit: &'a str,
    /// The latest evaluation; `None` before the first.
    pub result: Option<&'a Evaluation>,
    /// Why it is paused.
    pub pause: Option<&'a Pause>,
    /// Whether it has ended.
    pub is_over: bool,
    /// The effect that it was planned to find.
    pub mde: f64,
    /// How long its plan lasts.
    pub duration_days: u32,
    /// How fast units come.
    pub pace: Pace,
    /// How the values of a constraint's result are written, and what they must hold.
    pub limit: &'a dyn Fn(&str) -> Option<(Scale, ConstraintBound)>,
}

/// From when on units come, and when they count.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    launched_at: Option<Timestamp>,
    matures_after: SignedDuration,
    /// Whether a difference times the number of units is an amount, as for sums and counts of each unit.
    is_amount: bool,
}

impl Pace {
    /// Of an experiment on this signal, launched then.
    #[must_use]
    pub fn of(signal: &SignalSpec, launched_at: Option<Timestamp>) -> Self {
        let contract = signal.contract.as_deref();
        Self {
            launched_at,
            matures_after: SignedDuration::from_secs(contract.map_or(0, Contract::matures_after)),
            is_amount: contract.is_some_and(|it| matches!(it.quantity, Quantity::Count(_) | Quantity::Mean(_))),
        }
    }
}

impl Answer {
    /// The answer; `None` before the launch.
    #[must_use]
    pub fn to(asked: &Asked<'_>) -> Option<Self> {
        asked.pace.launched_at?;
        let pause = asked.pause.filter(|_| !asked.is_over);
        if let Some(pause) = pause.filter(|pause| is_broken(pause.cause)) {
            return Some(Self::without_claim(AnswerState::Broken, format!("It cannot be measured: {}", pause.detail)));
        }
        let Some(result) = asked.result else {
            let says = format!("{}: there are no numbers yet", early(asked, pause));
            return Some(Self::without_claim(AnswerState::TooEarly, says));
        };
        let figures = figures(asked, result);
        let (state, opening) = opening(asked, result, pause);
        if state == AnswerState::Broken {
            return Some(Self::without_claim(state, opening));
        }
        let people = people(asked, result).map(|people| format!(": {people}")).unwrap_or_default();
        let says = format!("{opening}: {figures}{people}.");
        Some(Self { state, says, sure: sure(asked, result, state) })
    }

    /// The answer that a gate is about, from what is signed at it; `None` where it shows no result.
    #[must_use]
    pub fn at_gate(context: &ContextPackage, pace: Pace) -> Option<Self> {
        let facts = context.facts.shown().ok()?;
        let (outcome, plan) = facts.outcome.as_ref().zip(facts.plan.as_ref())?;
        let result = facts.evaluation()?.ok()?;
        let limit = |name: &str| {
            let declared = facts.constraint_of(name)?;
            Some((declared.scale.clone().unwrap_or_default(), declared.bound.clone()))
        };
        Self::to(&Asked {
            metric: &outcome.signal,
            scale: &outcome.scale.clone().unwrap_or_default(),
            direction: outcome.direction,
            unit: &plan.randomisation_unit,
            result: Some(result),
            pause: Nullable::of(facts.pause.as_ref()),
            is_over: false,
            mde: plan.measurement.minimum_detectable_effect,
            duration_days: plan.measurement.duration_days,
            pace,
            limit: &limit,
        })
    }

    fn without_claim(state: AnswerState, says: String) -> Self {
        let says = says.trim_end_matches('.');
        Self { state, says: format!("{says}."), sure: None }
    }
}

/// Whether a pause for this cause means that nothing is known.
fn is_broken(cause: PauseCause) -> bool {
    match cause {
        PauseCause::SampleRatio
        | PauseCause::ArmWithoutExposure
        | PauseCause::NobodyExposed
        | PauseCause::QueryFailing
        | PauseCause::StaleSignal
        | PauseCause::FlagDrift
        | PauseCause::DataHealth => true,
        PauseCause::KillThreshold | PauseCause::Constraint | PauseCause::Manual => false,
    }
}

/// The state, and how the sentence begins.
fn opening(asked: &Asked<'_>, result: &Evaluation, pause: Option<&Pause>) -> (AnswerState, String) {
    let did_not = |text: &str| (AnswerState::DidNot, text.to_owned());
    match result.advice.recommendation {
        Recommendation::Ship => (AnswerState::Worked, "It works".to_owned()),
        Recommendation::KillHarm => did_not("It does harm"),
        Recommendation::KillGuardrail => (AnswerState::DidNot, broken_limit(asked, result)),
        Recommendation::KillFutility => {
            let mde = asked.scale.size(asked.mde);
            (AnswerState::DidNot, format!("It does not bring the {mde} that it was planned for"))
        }
        Recommendation::IterateGuardrailUnproven => {
            did_not("It is better, but was not proven to be safe in the time of its plan")
        }
        Recommendation::IterateInconclusive => did_not("It was not shown to work in the time of its plan"),
        Recommendation::HoldDataQuality | Recommendation::HoldSrm | Recommendation::HoldAlert => {
            let worst = result.health.iter().find(|finding| finding.severity == Severity::Block);
            let why = worst.map_or(result.advice.reason.as_str(), |finding| finding.message.as_str());
            (AnswerState::Broken, format!("It cannot be judged: {why}"))
        }
        Recommendation::Continue => match pause {
            Some(Pause { cause: PauseCause::KillThreshold, .. }) => did_not("It was paused because it does harm"),
            Some(Pause { cause: PauseCause::Constraint, detail, .. }) => {
                did_not(&format!("It was paused because of a limit ({})", detail.trim_end_matches('.')))
            }
            Some(_) | None => (AnswerState::TooEarly, early(asked, pause)),
        },
    }
}

/// That nothing can be said yet, and when it can.
fn early(asked: &Asked<'_>, pause: Option<&Pause>) -> String {
    if asked.is_over {
        return "It was ended before anything could be said".to_owned();
    }
    if pause.is_some() {
        return "It is too early to say, and a member has paused it".to_owned();
    }
    let days = SignedDuration::from_hours(24) * i32::try_from(asked.duration_days).unwrap_or(i32::MAX);
    let end = asked.pace.launched_at.and_then(|launched| launched.checked_add(days).ok());
    let by = end.map(|end| format!(" (answer by {})", end.strftime("%-d %b %Y"))).unwrap_or_default();
    format!("It is too early to say{by}")
}

/// The constraint that is crossed, with its value and its limit.
fn broken_limit(asked: &Asked<'_>, result: &Evaluation) -> String {
    let Some(guard) = result.guardrails.iter().find(|guard| guard.breached) else {
        return "It breaks a limit".to_owned();
    };
    let name = &guard.name;
    let Some(((scale, limit), value)) = (asked.limit)(name).zip(guard.value) else {
        return format!("It breaks the limit of `{name}`");
    };
    let allowed = bound(&limit, &scale);
    match limit {
        ConstraintBound::NotWorse { margin, .. } => format!(
            "It breaks a limit, `{name}` is {} worse where {} is allowed",
            scale.rounded(margin).change(value).trim_start_matches('+'),
            scale.size(margin)
        ),
        ConstraintBound::Limits { .. } => {
            format!(
                "It breaks a limit, `{name}` is {} where {allowed} is allowed",
                scale.rounded(value / 10.0).level(value)
            )
        }
    }
}

/// The numbers with and without the change, and the range of the difference.
fn figures(asked: &Asked<'_>, result: &Evaluation) -> String {
    let metric = asked.metric;
    if let Some((series, levels)) = result.series.as_ref().zip(result.before_and_after()) {
        return weeks(asked, series, levels);
    }
    let Some(effect) = result.effect else { return format!("`{metric}` has no numbers that can be compared yet") };
    let shown = result.shown_interval(asked.direction);
    let range = shown.map(|shown| range(shown, asked.direction)).unwrap_or_default();
    let rounded = asked.scale.rounded(width(&range, effect));
    let between = match range {
        _ if result.has_drifted() => ", and it changed over time".to_owned(),
        Range { lower: Some(lower), upper: Some(upper) } => {
            format!(", between {} and {}", rounded.end(lower), rounded.end(upper))
        }
        Range { lower: Some(lower), upper: None } => format!(", at least {}", rounded.end(lower)),
        Range { lower: None, upper: Some(upper) } => format!(", at most {}", rounded.end(upper)),
        Range { lower: None, upper: None } => ", with no range yet".to_owned(),
    };
    let difference = format!("{}{between}", rounded.change(effect));
    match result.treatment_level.zip(result.control_level) {
        Some((with, without)) => {
            format!("`{metric}` is {} with it, {} without ({difference})", rounded.level(with), rounded.level(without))
        }
        None => format!("`{metric}` differs by {difference}"),
    }
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

/// The ends of what is shown, treatment minus control.
#[derive(Debug, Clone, Copy, Default)]
struct Range {
    lower: Option<f64>,
    upper: Option<f64>,
}

fn range(shown: ShownInterval, direction: Direction) -> Range {
    match shown {
        ShownInterval::Decision { lower, upper, .. } | ShownInterval::ConfidenceSequence { lower, upper, .. } => {
            Range { lower, upper }
        }
        // Bounds of the improvement that make no interval: the one that claims is the one that is said.
        ShownInterval::Apart { at_least, at_most, .. } => match (at_least, at_most, direction) {
            (Some(better), _, Direction::Increase) => Range { lower: Some(better), upper: None },
            (Some(better), _, Direction::Decrease) => Range { lower: None, upper: Some(-better) },
            (None, at_most, Direction::Increase) => Range { lower: None, upper: at_most },
            (None, at_most, Direction::Decrease) => Range { lower: at_most.map(|most| -most), upper: None },
        },
    }
}

/// How wide the range is; of an open one, twice as far as its end is from the effect.
fn width(range: &Range, effect: f64) -> f64 {
    match range {
        Range { lower: Some(lower), upper: Some(upper) } => upper - lower,
        Range { lower: Some(end), upper: None } | Range { lower: None, upper: Some(end) } => 2.0 * (effect - end),
        Range { lower: None, upper: None } => effect,
    }
}

/// What the range is in a week, if everybody who meets the change had it. `None` where that is nothing one can count, or where
/// even the sign is open.
fn people(asked: &Asked<'_>, result: &Evaluation) -> Option<String> {
    let per_week = per_week(asked, result)?;
    let what = match (asked.scale.is_share(), asked.scale.unit()) {
        (true, _) => plural(asked.unit),
        (false, Some(unit)) if asked.pace.is_amount && unit != "%" => unit.to_owned(),
        (false, _) => return None,
    };
    if result.has_drifted() || result.series.is_some() {
        return None;
    }
    let Range { lower, upper } = range(result.shown_interval(asked.direction)?, asked.direction);
    let (nearer, farther, is_more) = match (lower, upper) {
        (Some(lower), upper) if lower > 0.0 => (lower, upper, true),
        (lower, Some(upper)) if upper < 0.0 => (-upper, lower.map(|lower| -lower), false),
        _ => return None,
    };
    let nearer = about(nearer * per_week);
    let amount = match farther {
        Some(farther) => format!("about {nearer} to {}", about(farther * per_week)),
        None => format!("at least about {nearer}"),
    };
    Some(match (asked.scale.is_share(), is_more) {
        (true, true) => format!("{amount} more {what} a week"),
        (true, false) => format!("{amount} fewer {what} a week"),
        (false, true) => format!("{amount} {what} more a week"),
        (false, false) => format!("{amount} {what} less a week"),
    })
}

/// Units that meet the change in a week: those that count, over the days in which they came.
#[expect(clippy::cast_precision_loss, reason = "counts of units stay far below 2^52")]
fn per_week(asked: &Asked<'_>, result: &Evaluation) -> Option<f64> {
    let came_until = result.polled_at?.checked_sub(asked.pace.matures_after).ok()?;
    let days = came_until.duration_since(asked.pace.launched_at?).as_secs_f64() / 86_400.0;
    let units = result.n_control.saturating_add(result.n_treatment) as f64;
    (days >= 1.0 && units > 0.0).then(|| units / days * 7.0)
}

fn plural(unit: &str) -> String {
    match unit.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{stem}ies"),
        _ => format!("{unit}s"),
    }
}

/// How sure that is, and why one may look every day.
fn sure(asked: &Asked<'_>, result: &Evaluation, state: AnswerState) -> Option<String> {
    let grade = result.grade.map(|grade| format!(" Evidence: grade {grade}.")).unwrap_or_default();
    if result.series.is_some() {
        return Some(format!("There is no control group, so this is an observation and proves no cause.{grade}"));
    }
    let alpha = result.alpha.filter(|_| state == AnswerState::Worked);
    let says = match (alpha, result.shown_interval(asked.direction)?) {
        (Some(alpha), _) => {
            format!("Of changes that do nothing, at most {} end like this, however often one looks.", percent(alpha))
        }
        (None, ShownInterval::Decision { together, .. }) => {
            format!(
                "The range holds at every look with a probability of {}, so you may look as often as you like.",
                percent(together)
            )
        }
        (None, ShownInterval::ConfidenceSequence { level: Some(level), .. }) => {
            format!(
                "The range holds at every look with a probability of {}, so you may look as often as you like.",
                percent(level)
            )
        }
        (None, ShownInterval::Apart { .. } | ShownInterval::ConfidenceSequence { level: None, .. }) => {
            "The bound holds at every look, so you may look as often as you like.".to_owned()
        }
    };
    Some(format!("{says}{grade}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::ExperimentStatus;

    /// What a poll found: this recommendation, these levels and bounds of the difference.
    fn found(recommendation: &str, [control, treatment]: [f64; 2], [lower, upper]: [Option<f64>; 2]) -> Value {
        json!({
            "verdict": { "decision": recommendation, "reason": "The reason." },
            "status": { "code": "ok" }, "effect": treatment - control, "effect_shrunken": null, "standard_error": 0.01,
            "ci": null, "ci_running": null, "lift": null, "lift_ci": null,
            "control_level": control, "treatment_level": treatment, "ln_e": null, "ln_p_running": 0.0, "p_running": 1.0,
            "is_significant": false, "is_success_threshold_met": false, "is_kill_threshold_exceeded": false,
            "futility_upper": null, "n_control": 4000, "n_treatment": 4000, "is_min_sample_reached": true,
            "is_min_runtime_met": true, "min_runtime_days": 7,
            "srm": { "status": "ok", "ln_e": 0.0, "ln_p": 0.0, "p": 1.0, "level": "clean" },
            "tuning": null, "epoch": 1,
            "harm": { "as_of": 0, "from_phase": 0, "alpha": 0.025, "n_control": 4000, "n_treatment": 4000, "effect": 0.0, "bound": upper,
                "ln_e": 0.0 },
            "decision_ci": { "lower": lower, "upper": upper },
            "guardrails": [], "health": [], "alpha": 0.0225, "grade": "A", "polled_at": "2026-11-29T00:00:00Z",
        })
    }

    /// The answer fourteen days after the launch.
    fn answer(scale: &Scale, direction: Direction, result: Option<Value>, pause: Option<&Pause>) -> Answer {
        let result: Option<Evaluation> = result.map(|value| serde_json::from_value(value).unwrap());
        let launched_at = "2026-11-15T00:00:00Z".parse().ok();
        let pace = Pace { launched_at, matures_after: SignedDuration::ZERO, is_amount: true };
        let asked = Asked {
            metric: "activation",
            scale,
            direction,
            unit: "user",
            result: result.as_ref(),
            pause,
            is_over: false,
            mde: 0.02,
            duration_days: 28,
            pace,
            limit: &|_| {
                Some((Scale::share(), ConstraintBound::NotWorse { direction, margin: 0.002, must_prove: false }))
            },
        };
        Answer::to(&asked).unwrap()
    }

    fn of_share(recommendation: &str, levels: [f64; 2], bounds: [Option<f64>; 2]) -> Answer {
        answer(&Scale::share(), Direction::Increase, Some(found(recommendation, levels, bounds)), None)
    }

    #[test]
    fn it_is_one_sentence_in_percent_and_people() {
        let worked = of_share("ship", [0.262, 0.294], [Some(0.009), Some(0.055)]);
        assert_eq!(
            worked.says,
            "It works: `activation` is 29.4 % with it, 26.2 % without (+3.2 points, between +0.9 and +5.5): about 36 to 220 more users a week."
        );
        assert_eq!(
            worked.sure.as_deref(),
            Some(
                "Of changes that do nothing, at most 2.25 % end like this, however often one looks. Evidence: grade A."
            )
        );
        let early = of_share("continue", [0.262, 0.264], [Some(-0.03), Some(0.034)]);
        assert_eq!(early.state, AnswerState::TooEarly);
        assert_eq!(
            early.says,
            "It is too early to say (answer by 13 Dec 2026): `activation` is 26.4 % with it, 26.2 % without (+0.2 points, between -3 and +3.4)."
        );
        let harm = of_share("kill_harm", [0.262, 0.20], [Some(-0.11), Some(-0.02)]);
        assert_eq!(
            (harm.state, harm.says.contains("about 80 to 440 fewer users a week")),
            (AnswerState::DidNot, true),
            "{harm:?}"
        );
        let none = answer(&Scale::share(), Direction::Increase, None, None);
        assert_eq!(none.says, "It is too early to say (answer by 13 Dec 2026): there are no numbers yet.");
    }

    #[test]
    fn less_of_something_bad_is_an_improvement() {
        let money = Scale::new(Some("EUR"), 400.0);
        let result = found("ship", [412.0, 391.0], [Some(-38.0), Some(-4.0)]);
        let worked = answer(&money, Direction::Decrease, Some(result), None);
        assert_eq!(
            worked.says,
            "It works: `activation` is 391 EUR with it, 412 EUR without (-21 EUR, between -38 and -4): about 16,000 to 150,000 EUR less a week."
        );
        let plain = answer(
            &Scale::default(),
            Direction::Decrease,
            Some(found("ship", [2.0, 1.0], [Some(-1.5), Some(-0.5)])),
            None,
        );
        assert!(!plain.says.contains("a week"), "what has no unit cannot be counted: {}", plain.says);
    }

    #[test]
    fn a_crossed_limit_comes_with_its_value_and_what_is_allowed() {
        let mut result = found("kill_guardrail", [0.33, 0.328], [Some(-0.055), Some(0.039)]);
        result["guardrails"] = json!([{ "name": "failures", "status": { "code": "ok" }, "value": 0.0145, "lower": 0.01, "upper": null, "bound": 0.002,
            "ln_e_breached": 3.0, "deteriorated": true, "breached": true, "non_inferior": false, "must_prove": false, "is_alerting": false,
            "n_consecutive": 0 }]);
        let broken = answer(&Scale::share(), Direction::Increase, Some(result), None);
        assert_eq!(broken.state, AnswerState::DidNot);
        assert!(
            broken.says.starts_with("It breaks a limit, `failures` is 1.45 points worse where 0.2 points is allowed: "),
            "{broken:?}"
        );
    }

    #[test]
    fn what_cannot_be_measured_claims_nothing() {
        let pause =
            |cause| Pause { cause, detail: "The source is silent.".to_owned(), from: ExperimentStatus::Running };
        let silent = pause(PauseCause::StaleSignal);
        let result = || Some(found("ship", [0.262, 0.294], [Some(0.009), Some(0.055)]));
        let broken = answer(&Scale::share(), Direction::Increase, result(), Some(&silent));
        assert_eq!(
            (broken.state, broken.says.as_str()),
            (AnswerState::Broken, "It cannot be measured: The source is silent.")
        );
        assert_eq!(broken.sure, None);
        let by_hand = pause(PauseCause::Manual);
        let paused = answer(&Scale::share(), Direction::Increase, result(), Some(&by_hand));
        assert_eq!(paused.state, AnswerState::Worked, "what is proven stays proven while a member has paused it");
        let mut unequal = found("hold_srm", [0.262, 0.294], [Some(0.009), Some(0.055)]);
        unequal["health"] = json!([{ "code": "srm_proven", "severity": "block", "message": "units do not arrive in the declared shares" }]);
        let broken = answer(&Scale::share(), Direction::Increase, Some(unequal), None);
        assert_eq!((broken.state, broken.says.contains("29.4 %")), (AnswerState::Broken, false), "{broken:?}");
    }

    proptest! {
        /// Only the engine's recommendation says that something worked; no number of people contradicts the range.
        #[test]
        fn only_a_proven_improvement_works(control in 0.01..0.9_f64, change in -0.3..0.3_f64, half in 0.001..0.3_f64, which in 0..9_usize) {
            const ALL: [&str; 9] = ["hold_data_quality", "hold_srm", "kill_guardrail", "kill_harm", "hold_alert", "ship", "kill_futility",
                "iterate_inconclusive", "continue"];
            let (lower, upper) = (change - half, change + half);
            let answer = of_share(ALL[which], [control, control + change], [Some(lower), Some(upper)]);
            prop_assert_eq!(answer.state == AnswerState::Worked, ALL[which] == "ship");
            prop_assert_eq!(answer.says.matches('\n').count(), 0);
            prop_assert!(answer.says.ends_with('.') && !answer.says.contains(".."), "{}", answer.says);
            prop_assert!(!answer.says.contains("more users") || lower > 0.0, "{}", answer.says);
            prop_assert!(!answer.says.contains("fewer users") || upper < 0.0, "{}", answer.says);
        }
    }
}
