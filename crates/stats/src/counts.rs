//! Exact conditional test of event counts, for rare events and before the start gate (STATS.md 2.5b).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::interval::finite;
use super::log_space::{ln_beta, ln_mean_exp2, ln_p_from_ln_e, p_from_ln};
use super::{Alpha, Interval, InvalidInput};

/// Above this rate the counts lose too much of what they say: a factor of 1 less the rate.
pub const RARE_RATE: f64 = 0.1;
/// Concentrations of the two mixtures, smaller than those of the mismatch check because the events are few.
const CONCENTRATIONS: [f64; 2] = [2.0, 100.0];
/// The logit range in which an end of an interval is sought; beyond it is 0 or unbounded.
const LOGIT_RANGE: f64 = 700.0;

/// Result of [`count_test`]. Valid only while there is no sample-ratio mismatch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CountTest {
    /// Evidence against equal rates.
    pub ln_e: f64,
    /// `-max(0, ln E)`.
    pub ln_p: f64,
    /// In [0, 1].
    pub p: f64,
    /// Event rate of treatment over that of control; `None` without control events.
    pub rate_ratio: Option<f64>,
    /// Confidence sequence of the rate ratio; `None` above is unbounded. Lift is the ratio minus 1.
    pub rate_ratio_ci: Interval,
}

/// Compares event counts of two arms, given how traffic is allocated.
///
/// `events_*`: events per arm. `weight_*`: expected allocation, > 0, any scale. Needs no variance and no gate, at the
/// price of a factor 1 - p of information, so only for rates below about 0.1 or for counts.
///
/// # Errors
/// [`InvalidInput::Parameter`] for a weight that is not positive and finite.
///
/// Source: STATS.md 2.5b.
pub fn count_test(
    events_control: u64,
    events_treatment: u64,
    weight_control: f64,
    weight_treatment: f64,
    alpha: Alpha,
) -> Result<CountTest, InvalidInput> {
    let counted = Counted { control: events_control, treatment: events_treatment, weight_control, weight_treatment };
    count_test_over(&[counted], alpha)
}

/// Events of a phase, with how traffic was allocated in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counted {
    /// Events of control.
    pub control: u64,
    /// Events of treatment.
    pub treatment: u64,
    /// Expected allocation to control, > 0, any scale.
    pub weight_control: f64,
    /// Expected allocation to treatment, same scale.
    pub weight_treatment: f64,
}

/// The same over phases: each against its own allocation, with one rate ratio in all of them. Evidence multiplies.
///
/// # Errors
/// [`InvalidInput::Parameter`] as [`count_test`], and without a phase.
///
/// Source: STATS.md 2.5b.
pub fn count_test_over(phases: &[Counted], alpha: Alpha) -> Result<CountTest, InvalidInput> {
    let is_weight = |w: f64| w > 0.0 && w.is_finite();
    let allocation = |phase: &Counted| phase.weight_control / phase.weight_treatment;
    let is_valid = |phase: &Counted| {
        is_weight(phase.weight_control) && is_weight(phase.weight_treatment) && is_weight(allocation(phase))
    };
    if phases.is_empty() || !phases.iter().all(is_valid) {
        return Err(InvalidInput::Parameter);
    }
    let marginal: f64 = phases
        .iter()
        .map(|phase| {
            let (xa, xb, theta) = (phase.control as f64, phase.treatment as f64, 1.0 / (1.0 + allocation(phase)));
            let [low, high] = CONCENTRATIONS.map(|k| {
                let (prior_a, prior_b) = (k * (1.0 - theta), k * theta);
                ln_beta(prior_a + xa, prior_b + xb) - ln_beta(prior_a, prior_b)
            });
            ln_mean_exp2(low, high)
        })
        .sum();
    // Likelihood in the logit t = ln(theta / (1 - theta)) of each phase, which is u, the logarithm of the rate ratio, less that of the
    // allocation; ln theta = -ln(1 + e^-t).
    let ln_e_at = |u: f64| {
        let of = |phase: &Counted| {
            let t = u - allocation(phase).ln();
            phase.control as f64 * softplus(t) + phase.treatment as f64 * softplus(-t)
        };
        marginal + phases.iter().map(of).sum::<f64>()
    };
    let ln_e = finite(ln_e_at(0.0)).ok_or(InvalidInput::OutOfRange)?;
    let ln_p = ln_p_from_ln_e(ln_e);
    let rejected = |u: f64| ln_e_at(u) >= alpha.ln_inverse();
    let total = |of: fn(&Counted) -> u64| phases.iter().map(|phase| of(phase) as f64).sum::<f64>();
    let (xa, xb) = (total(|phase| phase.control), total(|phase| phase.treatment));
    let middle = likeliest(phases, xb, |phase| allocation(phase).ln());
    let lower = border(-LOGIT_RANGE, middle, rejected).map_or(0.0, f64::exp);
    let upper = border(LOGIT_RANGE, middle, rejected).and_then(|u| finite(u.exp()));
    let rate_ratio = match phases {
        [only] => finite(xb / xa * allocation(only)),
        _ => finite(middle.exp()),
    };
    Ok(CountTest {
        ln_e,
        ln_p,
        p: p_from_ln(ln_p),
        rate_ratio: if xa > 0.0 { rate_ratio } else { None },
        rate_ratio_ci: Interval { lower: finite(lower), upper },
    })
}

/// The logarithm of the rate ratio at which the counts are most likely: there, as many events of treatment are expected as there were. An
/// arm without any is taken to have had half of one.
fn likeliest(phases: &[Counted], events_treatment: f64, ln_allocation: impl Fn(&Counted) -> f64) -> f64 {
    if let [only] = phases {
        let (xa, xb) = (only.control as f64, only.treatment as f64);
        return ((xb + 0.5) / (xa + 0.5)).ln() + ln_allocation(only);
    }
    let all: f64 = phases.iter().map(|phase| phase.control as f64 + phase.treatment as f64).sum();
    let wanted = events_treatment.clamp(0.5, (all - 0.5).max(0.5));
    let expected = |u: f64| {
        let of = |phase: &Counted| {
            let n = phase.control as f64 + phase.treatment as f64;
            n / (1.0 + (ln_allocation(phase) - u).exp())
        };
        phases.iter().map(of).sum::<f64>()
    };
    let (mut low, mut high) = (-LOGIT_RANGE, LOGIT_RANGE);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if expected(middle) < wanted { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// `ln(1 + e^x)` without overflow.
pub(super) fn softplus(x: f64) -> f64 {
    if x > 0.0 { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() }
}

/// Where `rejected` starts to hold on the way from `inside` to `outside`; `None` when it does not even hold there.
pub(super) fn border(outside: f64, inside: f64, rejected: impl Fn(f64) -> bool) -> Option<f64> {
    if !rejected(outside) {
        return None;
    }
    let (mut out, mut inn) = (outside, inside);
    for _ in 0..200 {
        let middle = 0.5 * (out + inn);
        if rejected(middle) {
            out = middle;
        } else {
            inn = middle;
        }
        if (out - inn).abs() <= 1e-14 * (1.0 + out.abs()) {
            break;
        }
    }
    Some(0.5 * (out + inn))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softplus_neither_overflows_nor_cancels() {
        assert!((softplus(800.0) - 800.0).abs() < 1e-12);
        let tail = (-40.0_f64).exp();
        assert!((softplus(-40.0) / tail - 1.0).abs() < 1e-12);
        assert!((softplus(0.0) - std::f64::consts::LN_2).abs() < 1e-15);
    }

    #[test]
    fn twelve_crashes_against_none_are_found_without_a_gate() {
        let result = count_test(0, 12, 1.0, 1.0, Alpha::DEFAULT).unwrap();
        assert!((result.p - 0.006).abs() < 0.001, "{}", result.p);
        assert_eq!(result.rate_ratio, None);
        assert!(result.rate_ratio_ci.lower.unwrap() > 1.0);
        assert_eq!(result.rate_ratio_ci.upper, None);
    }

    #[test]
    fn over_phases_the_rate_ratio_is_the_one_that_all_of_them_have() {
        let phase = |control, treatment, weight_control, weight_treatment| Counted {
            control,
            treatment,
            weight_control,
            weight_treatment,
        };
        let of = |phases: &[Counted]| count_test_over(phases, Alpha::DEFAULT).unwrap();
        // Twice the rate: of as many units, and of a ninth of them.
        let both = of(&[phase(100, 200, 1.0, 1.0), phase(900, 200, 0.9, 0.1)]);
        assert!((both.rate_ratio.unwrap() - 2.0).abs() < 1e-9, "{both:?}");
        // Half an event is expected of an arm without any.
        let saved = of(&[phase(6, 0, 1.0, 1.0), phase(6, 0, 1.0, 1.0)]);
        assert!((saved.rate_ratio.unwrap() - 0.5 / 11.5).abs() < 1e-9, "{saved:?}");
        let harmed = of(&[phase(0, 6, 1.0, 1.0), phase(0, 6, 1.0, 1.0)]);
        assert!(harmed.rate_ratio.is_none() && harmed.rate_ratio_ci.upper.is_none(), "{harmed:?}");
        // The ends are where the evidence is, on both sides of one.
        let (up, down) = (harmed.rate_ratio_ci.lower.unwrap(), saved.rate_ratio_ci.upper.unwrap());
        assert!((up * down - 1.0).abs() < 1e-9 && up > 1.0, "{up} {down}");
    }
}
