//! One sentence per verdict. Deterministic; no language model is involved.

use super::{
    BeforeAfter, Blocks, Evaluated, Interval, Placebo, Recommendation, SeriesVerdict, Severity, StartGate, Status,
    TestPlan,
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

fn end(x: Option<f64>) -> String {
    x.map_or_else(|| "unbounded".to_owned(), number)
}

fn confidence(plan: &TestPlan) -> String {
    number(100.0 * (1.0 - plan.comparison_alpha().get()))
}

fn interval(ci: Option<Interval>) -> String {
    let ci = ci.unwrap_or(Interval::UNBOUNDED);
    format!("[{}, {}]", end(ci.lower), end(ci.upper))
}

/// Why the verdict is what it is.
pub(super) fn reason(result: &Evaluated, plan: &TestPlan, is_end_by_days: bool) -> String {
    let oriented = result.ci.map(|ci| plan.direction.orient(ci));
    let upper = end(oriented.and_then(|ci| ci.upper));
    let lower = end(oriented.and_then(|ci| ci.lower));
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
            let guardrail = result.guardrails.iter().find(|g| g.breached);
            let (name, bound) = guardrail.map_or(("?", None), |g| (g.name.as_str(), g.bound));
            format!("Guardrail `{name}` is beyond its bound of {}.", end(bound))
        }
        Recommendation::KillHarm => format!(
            "Even the optimistic end of the {} % confidence sequence ({upper}, improvement positive) is below the kill \
             threshold of {}.",
            confidence(plan),
            number(plan.kill_threshold)
        ),
        Recommendation::HoldAlert => {
            let guardrail = result.guardrails.iter().find(|g| g.is_alerting);
            let (name, polls) = guardrail.map_or(("?", 0), |g| (g.name.as_str(), g.n_consecutive));
            format!(
                "Held: `{name}` has been beyond its limit for {polls} polls in a row (operational alert, no \
                 statistical claim)."
            )
        }
        Recommendation::Ship => format!(
            "Even the pessimistic end of the {} % confidence sequence ({lower}, improvement positive) is above the \
             success threshold of {}.",
            confidence(plan),
            number(plan.success_threshold)
        ),
        Recommendation::KillFutility => format!(
            "The declared effect of {} is excluded: the one-sided 90 % upper bound is {}.",
            end(result.running.mde_abs),
            end(result.futility_upper)
        ),
        Recommendation::IterateGuardrailUnproven => {
            "The effect is proven, but the plan ended without the required proof that a guardrail is safe.".to_owned()
        }
        Recommendation::IterateInconclusive => {
            let which = if is_end_by_days { "days" } else { "sample size" };
            format!(
                "The plan reached its maximum {which} without an answer: the effect is within {}.",
                interval(result.ci)
            )
        }
        Recommendation::Continue => going_on(result, plan),
    }
}

/// What a comparison without a control says, and what it cannot say.
pub(super) fn before_after(found: &BeforeAfter, blocks: &Blocks<'_>) -> String {
    let Placebo { n_tried, n_moved } = found.placebo;
    let (n_pre, n_post) = (blocks.pre.len(), blocks.post.len());
    let ends = interval(found.test.ci);
    let text = match (found.test.status, found.verdict) {
        (Status::Ok, SeriesVerdict::Moved) => format!(
            "the level moved by {} {ends} over {n_post} weeks against {n_pre} before, and at none of {n_tried} earlier \
             dates",
            end(found.test.difference)
        ),
        (Status::Ok, _) if n_moved > 0 => format!(
            "the level moved at {n_moved} of {n_tried} earlier dates on which nothing happened, so the change of {} \
             {ends} proves nothing",
            end(found.test.difference)
        ),
        (Status::Ok, _) => format!("no change can be told from chance yet: it is within {ends}"),
        _ => format!("too little to compare: {n_pre} weeks before (4 are needed) and {n_post} after (2 are needed)"),
    };
    format!("Observational: {text}. A trend, a season or a launch looks the same; a holdout would tell.")
}

fn going_on(result: &Evaluated, plan: &TestPlan) -> String {
    match result.status {
        Status::InsufficientSample { gate, have, need } => {
            let what = match gate {
                StartGate::UnitsPerArm => "units in the smaller arm",
                StartGate::EffectiveUnits => "effective units expected in the smaller arm",
                StartGate::Failures => "units without success expected in the smaller arm",
            };
            format!("Too early to test: {} of {} {what}.", number(have.floor()), number(need))
        }
        Status::ZeroVariance => "Nothing to test yet: no unit differs from another.".to_owned(),
        Status::ZeroDenominator => "Nothing to test yet: the denominator is zero.".to_owned(),
        Status::Invalid { reason } => format!("Nothing to test: {reason}."),
        Status::Ok if result.is_success_threshold_met && !result.is_min_runtime_met => format!(
            "The effect is above the success threshold; waiting for the minimum of {} days.",
            result.min_runtime_days
        ),
        Status::Ok if result.is_success_threshold_met && !result.is_min_sample_reached => format!(
            "The effect is above the success threshold; waiting for the minimum sample of {} units.",
            plan.min_sample_size
        ),
        Status::Ok if result.is_success_threshold_met => {
            "The effect is above the success threshold; waiting for the proof that every required guardrail is safe."
                .to_owned()
        }
        Status::Ok => format!(
            "Not settled yet: the effect is within {} ({} % confidence sequence).",
            interval(result.ci),
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
