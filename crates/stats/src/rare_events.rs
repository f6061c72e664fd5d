//! Guardrails on rare events, before there are enough of them for the mixture: the counts themselves are compared.
//!
//! A crash or a refund that one arm has and the other has not is found by its twelfth event, long before the start gate. Counts accuse and
//! never acquit: few events prove no safety.
//!
//! Source: STATS.md 2.1, 2.5b.

use super::counts::border;
use super::log_space::ln_gamma;
use super::{Alpha, ArmSums, Counted, Phase, RARE_RATE, count_test_over};

/// What the counts of both arms say of harm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RareHarm {
    /// Harm-signed difference of the rates: positive is worse.
    pub(super) harm: f64,
    /// Its lower bound.
    pub(super) lower: Option<f64>,
    /// The tolerated harm, absolute.
    pub(super) margin: f64,
    /// Evidence against equal rates, where harm is above zero.
    pub(super) ln_e: f64,
}

/// Compares the counts; `None` where the events are not rare, or not counted in units. `is_more_harm`: whether more of them is worse.
/// `margin_at`: the tolerated harm, for the rate of both arms together. `alpha`: of the guardrail, of which the mixture that follows
/// has all and the counts have half.
pub(super) fn rare_harm(
    phases: &[Phase],
    is_more_harm: bool,
    margin_at: impl Fn(f64) -> f64,
    alpha: Alpha,
) -> Option<RareHarm> {
    let mut counted = Vec::with_capacity(phases.len());
    let (mut n, mut events) = ([0_u64; 2], [0_u64; 2]);
    for phase in phases {
        let (
            ArmSums::Proportion { n: n_control, successes: control },
            ArmSums::Proportion { n: n_treatment, successes: treatment },
        ) = (phase.control, phase.treatment)
        else {
            return None;
        };
        let (weight_control, weight_treatment) = (phase.control_weight, phase.treatment_weight);
        counted.push(Counted { control, treatment, weight_control, weight_treatment });
        n = [n[0].saturating_add(n_control), n[1].saturating_add(n_treatment)];
        events = [events[0].saturating_add(control), events[1].saturating_add(treatment)];
    }
    let [n_control, n_treatment] = n.map(|n| n as f64);
    let (units, total) = (n_control + n_treatment, (events[0] + events[1]) as f64);
    if n.contains(&0) || total > RARE_RATE * units {
        return None;
    }
    let sign = if is_more_harm { 1.0 } else { -1.0 };
    let margin = margin_at(total / units);
    // Where the ratio alone does not decide, one half is for it, the other for how many events there are to expect.
    let half = alpha.halved(1);
    let (of_ratio, expected) = match margin > 0.0 {
        true => (half.halved(1), fewest_expected(total, half.halved(1))),
        false => (half, total),
    };
    let found = count_test_over(&counted, of_ratio).ok()?;
    let end = if is_more_harm { found.rate_ratio_ci.lower } else { found.rate_ratio_ci.upper };
    let lower = end.map(|ratio| sign * (ratio - 1.0) * expected / (n_control + ratio * n_treatment));
    let harm = sign * (events[1] as f64 / n_treatment - events[0] as f64 / n_control);
    Some(RareHarm { harm, lower, margin, ln_e: if lower.is_some_and(|x| x > 0.0) { found.ln_e } else { 0.0 } })
}

/// The fewest events that can be expected where there were so many, at any time: a Poisson count mixed over Gamma(1, 1) multiples of its
/// mean, ln E(mu) = ln Gamma(1 + T) + mu - (1 + T) ln(1 + mu).
fn fewest_expected(total: f64, alpha: Alpha) -> f64 {
    let ln_e = |mu: f64| ln_gamma(1.0 + total) + mu - (1.0 + total) * mu.ln_1p();
    border(0.0, total, |mu| alpha.rejects(ln_e(mu))).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(control: (u64, u64), treatment: (u64, u64), margin: f64) -> Option<RareHarm> {
        let sums = |(successes, n)| ArmSums::Proportion { n, successes };
        let phases = [Phase {
            number: 0,
            control_weight: 1.0,
            treatment_weight: 1.0,
            control: sums(control),
            treatment: sums(treatment),
        }];
        rare_harm(&phases, true, |_| margin, Alpha::DEFAULT)
    }

    fn is_beyond(found: RareHarm, limit: f64) -> bool {
        found.lower.is_some_and(|lower| lower > limit)
    }

    #[test]
    fn crashes_that_only_the_treatment_has_are_found() {
        assert!(is_beyond(test((0, 2000), (12, 2000), 0.0).unwrap(), 0.0));
        for safe in [((0, 2000), (3, 2000)), ((12, 2000), (12, 2000)), ((1, 101), (0, 101)), ((0, 5000), (0, 5000))] {
            assert!(!is_beyond(test(safe.0, safe.1, 0.0).unwrap(), 0.0), "{safe:?}");
        }
        let allowed = test((0, 2000), (12, 2000), 0.01).unwrap();
        assert!(!is_beyond(allowed, 0.01) && is_beyond(allowed, 0.0), "{allowed:?}");
        assert!(is_beyond(test((0, 2000), (60, 2000), 0.01).unwrap(), 0.01));
    }

    #[test]
    fn what_is_not_rare_is_not_counted() {
        assert!(test((300, 2000), (310, 2000), 0.0).is_none());
        assert!(test((200, 2000), (200, 2000), 0.0).is_some() && test((200, 2000), (201, 2000), 0.0).is_none());
    }

    #[test]
    fn a_rare_good_that_the_treatment_takes_away_is_harm() {
        let sums = |(successes, n)| ArmSums::Proportion { n, successes };
        let (few, many) = (sums((1, 2000)), sums((40, 2000)));
        let found = |control, treatment, is_more_harm| {
            let phases = [Phase { number: 0, control_weight: 1.0, treatment_weight: 1.0, control, treatment }];
            // A tenth of the rate of both arms together.
            let margin_at = |rate: f64| {
                assert!((rate - 41.0 / 4000.0).abs() < 1e-12, "{rate}");
                0.1 * rate
            };
            rare_harm(&phases, is_more_harm, margin_at, Alpha::DEFAULT).unwrap()
        };
        let (less, more) = (found(many, few, false), found(few, many, true));
        assert!((less.harm - 39.0 / 2000.0).abs() < 1e-12 && is_beyond(less, 0.0), "{less:?}");
        assert!((less.lower.unwrap() - more.lower.unwrap()).abs() < 1e-9, "{less:?} {more:?}");
    }

    #[test]
    fn the_bound_is_of_rates_that_give_these_events_and_have_the_least_ratio() {
        let (control, treatment) = ((4, 3000), (40, 1500));
        let found = test(control, treatment, 0.0).unwrap();
        let counted = Counted { control: 4, treatment: 40, weight_control: 1.0, weight_treatment: 1.0 };
        let ratio = count_test_over(&[counted], Alpha::DEFAULT.halved(1)).unwrap().rate_ratio_ci.lower.unwrap();
        let lower = found.lower.unwrap();
        // If the treatment has `ratio` times the rate of control and `lower` more.
        let rate = lower / (ratio - 1.0);
        assert!((3000.0 * rate + 1500.0 * ratio * rate - 44.0).abs() < 1e-9, "{found:?} {ratio}");
        assert!((found.harm - (40.0 / 1500.0 - 4.0 / 3000.0)).abs() < 1e-12 && found.ln_e > 0.0, "{found:?}");
        // A part of the error goes to how many events there are to expect, where that matters.
        let tolerant = test(control, treatment, 1e-9).unwrap();
        assert!(0.0 < tolerant.lower.unwrap() && tolerant.lower < found.lower, "{tolerant:?}");
        let saved = test((40, 1500), (4, 3000), 0.0).unwrap();
        assert!(saved.lower.unwrap() < 0.0 && saved.ln_e <= 0.0, "{saved:?}");
    }

    /// Its definition: the mean of the likelihood ratios of multiples of the expected number, by a sum over a fine grid.
    #[test]
    fn as_many_events_speak_against_fewer_than_the_fewest_expected() {
        let alpha = Alpha::DEFAULT;
        for total in [12.0, 60.0] {
            let mu = fewest_expected(total, alpha);
            let weight = |step: u32| {
                let multiple = f64::from(step) * 1e-3;
                (total * multiple.ln() - mu * (multiple - 1.0) - multiple).exp() * 1e-3
            };
            let ratio: f64 = (1..200_000).map(weight).sum();
            assert!(mu < total && (ratio * alpha.get() - 1.0).abs() < 1e-3, "{total}: {mu} {ratio}");
        }
    }
}
