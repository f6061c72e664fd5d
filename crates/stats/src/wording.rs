//! One sentence per recommendation. Deterministic; no language model is involved.

use super::{
    ArmSums, BeforeAfter, Blocks, Evaluated, Evaluation, GuardrailReading, Interval, Phase, Placebo, Recommendation,
    SeriesVerdict, Severity, StartGate, Status, TestPlan,
};

/// Four significant digits, in exponent form when very small or large.
pub(super) fn number(x: f64) -> String {
    let size = x.abs();
    if size <= 0.0 {
        "0".to_owned()
    } else if (1e-4..1e6).contains(&size) {
        let decimals = (3.0 - size.log10().floor()).clamp(0.0, 8.0) as usize;
        let text = format!("{x:.decimals$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    } else {
        format!("{x:.3e}")
    }
}

/// A count with its thousands: `12,345`.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// How figures of a metric are written: those of a proportion in percent, and their differences in points.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figures {
    is_share: bool,
}

impl Figures {
    /// Those of a metric with these phases.
    pub(super) fn of(phases: &[Phase]) -> Self {
        Self { is_share: phases.first().is_some_and(|phase| matches!(phase.control, ArmSums::Proportion { .. })) }
    }

    /// A size without a direction: `2 points`, `0.02`.
    pub(super) fn size(self, x: f64) -> String {
        if !self.is_share {
            return number(x);
        }
        let text = number(x * 100.0);
        let unit = if matches!(text.as_str(), "1" | "-1") { "point" } else { "points" };
        format!("{text} {unit}")
    }

    /// An effect or a threshold, with its sign: `+1.73 points`.
    fn change(self, x: Option<f64>) -> String {
        let sign = if x.is_some_and(|x| x > 0.0) { "+" } else { "" };
        x.map_or_else(|| "unbounded".to_owned(), |x| format!("{sign}{}", self.size(x)))
    }

    /// An interval of effects: `[-0.23, +1.73] points`.
    fn interval(self, ci: Option<Interval>) -> String {
        let ci = ci.unwrap_or(Interval::UNBOUNDED);
        let end = |x: Option<f64>| {
            let sign = if x.is_some_and(|x| x > 0.0) { "+" } else { "" };
            let scaled = |x: f64| if self.is_share { x * 100.0 } else { x };
            x.map_or_else(|| "unbounded".to_owned(), |x| format!("{sign}{}", number(scaled(x))))
        };
        let unit = if self.is_share { " points" } else { "" };
        format!("[{}, {}]{unit}", end(ci.lower), end(ci.upper))
    }
}

/// The bound of a guardrail: `2 points`, `1 %`, `0.02`.
fn bound(reading: &GuardrailReading<'_>, bound: Option<f64>) -> String {
    let Some(bound) = bound else { return "unknown".to_owned() };
    match reading {
        GuardrailReading::RelativeToControl { phases, .. } => Figures::of(phases).size(bound),
        GuardrailReading::RateLimit { .. } => format!("{} %", number(bound * 100.0)),
        GuardrailReading::ValueLimit { .. } => number(bound),
    }
}

fn confidence(plan: &TestPlan) -> String {
    number(100.0 * (1.0 - plan.comparison_alpha().get()))
}

/// Why the recommendation is what it is.
pub(super) fn reason(result: &Evaluated, input: &Evaluation<'_>, is_end_by_days: bool) -> String {
    let plan = input.plan;
    let figures = Figures::of(input.phases);
    let oriented = result.ci.map(|ci| plan.direction.orient(ci));
    match result.advice.recommendation {
        Recommendation::HoldDataQuality => {
            let finding = result.health.iter().find(|f| f.severity == Severity::Block);
            let message = finding.map_or("the data cannot be trusted", |f| f.message.as_str());
            format!("Held: {message}.")
        }
        Recommendation::HoldSrm => {
            format!("Held: units do not arrive in the declared proportions (sequential p = {}).", number(result.srm.p))
        }
        Recommendation::KillGuardrail => {
            let mut found = input.guardrails.iter().zip(&result.guardrails);
            let crossed = found.find(|(_, numbers)| numbers.breached);
            let (name, bound) = crossed
                .map_or(("?", String::new()), |(given, numbers)| (given.name, bound(&given.reading, numbers.bound)));
            format!("Guardrail `{name}` is beyond its bound of {bound}.")
        }
        Recommendation::KillHarm => format!(
            "Even the optimistic end of the {} % confidence sequence ({}, improvement positive) is below the kill \
             threshold of {}.",
            confidence(plan),
            figures.change(oriented.and_then(|ci| ci.upper)),
            figures.change(Some(plan.kill_threshold))
        ),
        Recommendation::HoldAlert => {
            let guardrail = result.guardrails.iter().find(|g| g.is_alerting);
            let (name, n) = guardrail.map_or(("?", 0), |g| (g.name.as_str(), g.n_consecutive));
            let polls = if n == 1 { "1 poll".to_owned() } else { format!("{n} polls in a row") };
            format!("Held: `{name}` has been beyond its limit for {polls} (operational alert, no statistical claim).")
        }
        Recommendation::Ship => format!(
            "Even the pessimistic end of the {} % confidence sequence ({}, improvement positive) is above the \
             success threshold of {}.",
            confidence(plan),
            figures.change(oriented.and_then(|ci| ci.lower)),
            figures.change(Some(plan.success_threshold))
        ),
        Recommendation::KillFutility => format!(
            "The declared effect of {} is excluded: the one-sided 90 % upper bound is {}.",
            figures.change(result.running.mde_abs),
            figures.change(result.futility_upper)
        ),
        Recommendation::IterateGuardrailUnproven => {
            "The effect is proven, but the plan ended without the required proof that a guardrail is met.".to_owned()
        }
        Recommendation::IterateInconclusive => {
            let which = if is_end_by_days { "number of days" } else { "sample size" };
            match result.ci {
                Some(ci) => format!(
                    "The plan reached its maximum {which} without an answer: the effect is within {}.",
                    figures.interval(Some(ci))
                ),
                None => format!("The plan reached its maximum {which} with too little data for an answer."),
            }
        }
        Recommendation::Continue => going_on(result, plan, figures),
    }
}

/// What a comparison without a control says, and what it cannot say.
pub(super) fn before_after(found: &BeforeAfter, blocks: &Blocks<'_>) -> String {
    let Placebo { n_tried, n_moved } = found.placebo;
    let (n_pre, n_post) = (blocks.pre.len(), blocks.post.len());
    let figures = Figures::of(&[]);
    let ends = figures.interval(found.test.ci);
    let change = figures.change(found.test.difference);
    let text = match (found.test.status, found.verdict) {
        (Status::Ok, SeriesVerdict::Moved) => format!(
            "the level moved by {change} {ends} in {n_post} weeks after the change compared with {n_pre} weeks before, \
             and did not move at any of {n_tried} earlier dates"
        ),
        (Status::Ok, _) if n_moved > 0 => format!(
            "the level also moved at {n_moved} of {n_tried} earlier dates on which nothing happened, so the change of \
             {change} {ends} proves nothing"
        ),
        (Status::Ok, _) => format!("the change cannot be distinguished from chance yet: it is within {ends}"),
        _ => {
            format!("too little data to compare: {n_pre} weeks before (4 are needed) and {n_post} after (2 are needed)")
        }
    };
    format!(
        "Observational: {text}. A trend, a season or another launch would look the same; only a holdout group can tell."
    )
}

fn going_on(result: &Evaluated, plan: &TestPlan, figures: Figures) -> String {
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
        Status::Ok => format!(
            "Not settled yet: the effect is within {} ({} % confidence sequence).",
            figures.interval(result.ci),
            confidence(plan)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let cases = [
            (0.0, "0"),
            (95.0, "95"),
            (0.0123456, "0.01235"),
            (-0.5, "-0.5"),
            (1234.56, "1235"),
            (123_456.0, "123456"),
            (1e-9, "1.000e-9"),
        ];
        for (x, want) in cases {
            assert_eq!(number(x), want);
        }
    }
}
