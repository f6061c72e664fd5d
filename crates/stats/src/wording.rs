//! One sentence per recommendation. Deterministic; no language model is involved.

use super::assess::PlanEnd;
use super::figures::{Scale, count, number, p_value, percent};
use super::harm::total;
use super::{
    ArmSums, BeforeAfter, Blocks, ComparedWith, Comparison, Evaluated, Evaluation, GuardrailReading, HealthCode,
    MIN_PLACEBOS, Phase, Placebo, Recommendation, SeriesVerdict, Severity, ShownInterval, StartGate, Status, TestPlan,
};

/// What a run whose effect changed can still be good for. Cumulative sums cannot tell the units first exposed after the change from
/// others (docs/statistics/method.md, "Effects that change").
const AFTER_DRIFT: &str =
    "To ship, start a new experiment: here, units first exposed after the change cannot be told from others";

/// How values of a metric with these phases are written.
pub(super) fn scale_of(phases: &[Phase]) -> Scale {
    match phases.first() {
        Some(Phase { control: ArmSums::Proportion { .. }, .. }) => Scale::share(),
        _ => Scale::default(),
    }
}

/// An effect or a threshold, with its sign: `+1.73 points`.
fn change(scale: &Scale, x: Option<f64>) -> String {
    x.map_or_else(|| "unbounded".to_owned(), |x| scale.change(x))
}

/// The bound of a guardrail: `2 points`, `1 %`, `0.02`.
fn bound(reading: &GuardrailReading<'_>, bound: Option<f64>) -> String {
    let Some(bound) = bound else { return "unknown".to_owned() };
    match reading {
        GuardrailReading::RelativeToControl(Comparison { phases, .. }) => scale_of(phases).size(bound),
        GuardrailReading::RateLimit { .. } => percent(bound),
        GuardrailReading::ValueLimit(_) => number(bound),
    }
}

fn confidence(plan: &TestPlan) -> String {
    percent(1.0 - plan.comparison_alpha().get())
}

/// The interval that decides, for a sentence: `the effect is within [-0.23, +1.73] points (97.5 % each side, 95 % together)`.
fn within(result: &Evaluated, plan: &TestPlan, scale: &Scale) -> Option<String> {
    let shown = ShownInterval::of(result, plan.direction, Some(plan.comparison_alpha().get()))?;
    let what = match shown {
        ShownInterval::Decision { .. } | ShownInterval::ConfidenceSequence { .. } => "the effect is within",
        ShownInterval::Apart { .. } => "the improvement is",
    };
    Some(format!("{what} {}", shown.in_words(scale)))
}

fn has_drifted(result: &Evaluated) -> bool {
    result.health.iter().any(|finding| finding.code == HealthCode::EffectDrift)
}

/// Why the recommendation is what it is.
pub(super) fn reason(result: &Evaluated, input: &Evaluation<'_>, end: Option<PlanEnd>) -> String {
    let plan = input.plan;
    let scale = scale_of(input.phases);
    match result.advice.recommendation {
        Recommendation::HoldDataQuality => {
            let finding = result.health.iter().find(|f| f.severity == Severity::Block);
            let message = finding.map_or("the data cannot be trusted", |f| f.message.as_str());
            let is_drift = finding.is_some_and(|f| f.code == HealthCode::EffectDrift);
            match (has_drifted(result), is_drift) {
                (false, _) => format!("No claim: {message}."),
                (true, true) => format!("No claim: {message}. {AFTER_DRIFT}."),
                (true, false) => format!("No claim: {message}. The effect has also changed over time. {AFTER_DRIFT}."),
            }
        }
        Recommendation::HoldSrm => {
            format!(
                "Units do not arrive in the declared proportions (sequential p-value {}), so the arms cannot be compared.",
                p_value(result.srm.p)
            )
        }
        Recommendation::KillGuardrail => {
            let mut found = input.guardrails.iter().zip(&result.guardrails);
            let crossed = found.find(|(_, numbers)| numbers.breached);
            let (name, bound) = crossed
                .map_or(("?", String::new()), |(given, numbers)| (given.name, bound(&given.reading, numbers.bound)));
            format!("Guardrail `{name}` is beyond its bound of {bound}.")
        }
        Recommendation::KillHarm => format!(
            "Even the upper bound of the improvement ({} at {}) is below the kill threshold of {}.",
            change(&scale, result.harm.and_then(|harm| harm.bound)),
            percent(1.0 - result.harm.map_or(plan.harm_alpha, |harm| harm.alpha).get()),
            change(&scale, Some(plan.kill_threshold))
        ),
        Recommendation::HoldAlert => {
            let guardrail = result.guardrails.iter().find(|g| g.is_alerting);
            let (name, n) = guardrail.map_or(("?", 0), |g| (g.name.as_str(), g.n_consecutive));
            let readings = if n == 1 { "1 reading".to_owned() } else { format!("{n} readings in a row") };
            format!("`{name}` has been beyond its limit for {readings} (operational alert, no statistical claim).")
        }
        Recommendation::Ship => format!(
            "Even the lower bound of the improvement ({} at {}) is above the success threshold of {}.",
            change(&scale, result.ship.and_then(|ship| ship.lower)),
            confidence(plan),
            change(&scale, Some(plan.success_threshold))
        ),
        Recommendation::KillFutility => format!(
            "The declared effect of {} is excluded: the one-sided 90 % upper bound is {}.",
            change(&scale, result.running.mde_abs),
            change(&scale, result.futility_upper)
        ),
        Recommendation::IterateGuardrailUnproven => {
            "The effect is proven, but the plan ended without the required proof that a guardrail is met.".to_owned()
        }
        Recommendation::IterateInconclusive => {
            let which = match end {
                Some(PlanEnd::Days) => "number of days",
                Some(PlanEnd::Information) => "information",
                Some(PlanEnd::Sample) | None => "sample size",
            };
            if has_drifted(result) {
                return format!(
                    "The plan reached its maximum {which}, and the effect changed over time, so no one number describes it. \
                     {AFTER_DRIFT}."
                );
            }
            match within(result, plan, &scale) {
                Some(within) => format!("The plan reached its maximum {which} without an answer: {within}."),
                None => format!("The plan reached its maximum {which} with too little data for an answer."),
            }
        }
        Recommendation::Continue => format!("{}{}", going_on(result, plan, &scale), maturing(result, input)),
    }
}

/// How many units claims rest on, where not all of them do yet.
fn maturing(result: &Evaluated, input: &Evaluation<'_>) -> String {
    let n_seen = total(input.phases, Phase::n_units);
    let n_claimed = result.n_control.saturating_add(result.n_treatment);
    if input.cohorts.is_none() || n_claimed >= n_seen {
        return String::new();
    }
    format!(
        " Of {} units so far, {} count for a claim: their window is over, and the flag was not changed during it.",
        count(n_seen),
        count(n_claimed)
    )
}

/// What a comparison without a control says, and what it cannot say.
pub(super) fn before_after(found: &BeforeAfter, blocks: &Blocks<'_>) -> String {
    let Placebo { n_tried, n_moved } = found.placebo;
    let (n_pre, n_post) = (blocks.pre.len(), blocks.post.len());
    let scale = blocks.scale;
    let level = |level: Option<f64>| level.map_or_else(|| "unknown".to_owned(), |level| scale.level(level));
    let levels = format!(
        "by week, before {} ({n_pre} weeks), after {} ({n_post} weeks)",
        level(found.level_before),
        level(found.level_after)
    );
    let against = match found.compared_with {
        Some(ComparedWith::Trend) => " against the trend before",
        Some(ComparedWith::Season) => " against the same weeks a year before",
        Some(ComparedWith::Mean) | None => "",
    };
    let ends = found.test.ci.map(|ci| format!(" {}", scale.interval(ci.lower, ci.upper))).unwrap_or_default();
    let change = format!("{}{against}{ends}", change(scale, found.test.difference));
    let text = match (found.test.status, found.verdict) {
        (Status::Ok, SeriesVerdict::Moved) => {
            format!("{levels}; the level moved by {change}, and did not move at any of {n_tried} earlier dates")
        }
        (Status::Ok, _) if n_moved > 0 => format!(
            "{levels}; the level also moved at {n_moved} of {n_tried} earlier dates on which nothing happened, so the change of \
             {change} proves nothing"
        ),
        (Status::Ok, _) if found.lacks_placebos(blocks.rules) => format!(
            "{levels}; the placebo has no power: {n_tried} earlier dates could be tried and {MIN_PLACEBOS} are needed, so the change \
             of {change} proves nothing"
        ),
        (Status::Ok, _) => format!("{levels}; the change of {change} cannot be distinguished from chance yet"),
        (Status::ZeroVariance, _) => {
            format!("{levels}; the weeks do not vary, so a change cannot be compared with chance")
        }
        _ => {
            format!("too little data to compare: {n_pre} weeks before (4 are needed) and {n_post} after (2 are needed)")
        }
    };
    format!(
        "Observational: {text}. A trend, a season or another launch would look the same; only a holdout group can tell."
    )
}

fn going_on(result: &Evaluated, plan: &TestPlan, scale: &Scale) -> String {
    match result.status {
        Status::InsufficientSample { gate, have, need } => {
            let what = match gate {
                StartGate::UnitsPerArm => "units in the smaller arm",
                StartGate::EffectiveUnits => "effective units expected in the smaller arm",
                StartGate::Failures => "units without success expected in the smaller arm",
            };
            format!("Too early to test: {} of {} {what}.", number(have.floor()), number(need))
        }
        Status::ZeroVariance => "Nothing to test yet: all units have the same value.".to_owned(),
        Status::ZeroDenominator => "Nothing to test yet: the denominator is zero.".to_owned(),
        Status::Invalid { reason } => format!("Nothing to test: {reason}."),
        Status::Ok if result.is_success_threshold_met && !result.is_min_runtime_met => format!(
            "The effect is above the success threshold; waiting for the minimum of {} days.",
            result.min_runtime_days
        ),
        Status::Ok if result.is_success_threshold_met && !result.is_min_sample_reached => format!(
            "The effect is above the success threshold; waiting for the minimum sample of {} units.",
            count(plan.min_sample_size)
        ),
        Status::Ok if result.is_success_threshold_met => {
            "The effect is above the success threshold; waiting for the proof that every required guardrail is met."
                .to_owned()
        }
        Status::Ok => {
            let within = within(result, plan, scale).unwrap_or_else(|| "the effect is unbounded".to_owned());
            format!("Not settled yet: {within}.")
        }
    }
}
