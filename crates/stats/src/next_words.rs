//! What is missing for a decision, in a sentence. Deterministic.

use super::figures::{count, number};
use super::wording::scale_of;
use super::{
    Evaluated, Evaluation, Finding, Outlook, OutlookInput, Recommendation, Status, is_drift_alone, outlook as foretell,
    until_testable,
};

/// What is missing; `None` if a human can decide now.
pub(super) fn next(result: &Evaluated, input: &Evaluation<'_>) -> Option<String> {
    match result.advice.recommendation {
        Recommendation::Continue => Some(going_on(result, input)),
        Recommendation::HoldDataQuality if is_drift_alone(&result.health) => {
            Some("A new experiment. This one is still watched for harm, and ends with its plan.".to_owned())
        }
        Recommendation::HoldDataQuality => {
            Some("A poll with data that can be trusted; `health` says what is wrong.".to_owned())
        }
        Recommendation::HoldSrm => Some(
            "Find out why units do not arrive as declared. Until then the arms may contain different people, and what was \
             measured proves nothing."
                .to_owned(),
        ),
        Recommendation::KillGuardrail
        | Recommendation::KillHarm
        | Recommendation::HoldAlert
        | Recommendation::Ship
        | Recommendation::KillFutility
        | Recommendation::IterateGuardrailUnproven
        | Recommendation::IterateInconclusive => None,
    }
}

fn going_on(result: &Evaluated, input: &Evaluation<'_>) -> String {
    let plan = input.plan;
    let n_units = result.n_control.saturating_add(result.n_treatment);
    if result.is_success_threshold_met && !result.is_min_runtime_met {
        let days_left = (result.min_runtime_days as f64 - input.elapsed_days).ceil().max(0.0);
        return format!("{} more days, so that the data cover whole weeks.", number(days_left));
    }
    if result.is_success_threshold_met && !result.is_min_sample_reached {
        let missing = plan.min_sample_size.saturating_sub(n_units);
        return format!("{} more units, to reach the plan's minimum sample.", count(missing));
    }
    if result.is_success_threshold_met {
        return "Proof that every required guardrail is met.".to_owned();
    }
    let found = match (result.status, result.effect, result.standard_error, result.tuning) {
        (Status::Ok, Some(effect), Some(standard_error), Some(tuning)) => foretell(&OutlookInput {
            n_units,
            effect,
            standard_error,
            r: (tuning.tau.get() / standard_error).powi(2),
            alpha: plan.comparison_alpha(),
            ship: plan.ship,
            direction: plan.direction,
            success_threshold: plan.success_threshold,
            kill_threshold: plan.kill_threshold,
            mde: result.running.mde_abs,
        }),
        _ => until_testable(result.status, n_units),
    };
    let end = plan.max_days.map_or_else(String::new, |days| format!(" The plan ends after {days} days."));
    let Some(Outlook { more_units, finding }) = found else {
        return format!("More units; at the current effect, the number cannot be estimated.{end}");
    };
    let what = match finding {
        Finding::Better => "show that the treatment is better".to_owned(),
        Finding::Worse => "show that the treatment is worse".to_owned(),
        Finding::SmallerThanMde => {
            let scale = scale_of(input.phases);
            let mde = result.running.mde_abs.map_or_else(String::new, |mde| format!(" of {}", scale.size(mde)));
            format!("exclude an improvement{mde}")
        }
        Finding::Testable => "let the test begin".to_owned(),
    };
    let days = (more_units as f64 * input.elapsed_days / n_units as f64).ceil();
    let time = if days.is_finite() && days > 0.0 {
        format!(" (about {} days at the current rate)", number(days))
    } else {
        String::new()
    };
    format!("If nothing changes, about {} more units{time} would {what}.{end}", count(rounded(more_units)))
}

/// Two significant digits: the effect will not stay exactly as it is.
fn rounded(n: u64) -> u64 {
    let mut unit = 1;
    while n / unit >= 100 {
        unit *= 10;
    }
    n.div_ceil(unit) * unit
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn a_forecast_has_two_digits() {
        assert_eq!([0, 7, 99, 101, 54_321].map(rounded), [0, 7, 99, 110, 55_000]);
    }
}
