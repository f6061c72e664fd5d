//! Guardrails on rare events, before there are enough of them for the mixture: the counts themselves are compared.
//!
//! A crash or a refund that one arm has and the other has not is found by its twelfth event, long before the start gate. Nothing is
//! approximated but the rate at which a margin in units of the metric is held against the ratio of the rates.
//!
//! Source: STATS.md 2.1, 2.5b.

use super::guardrail::Alphas;
use super::{ArmSums, Counted, GuardrailTest, HarmDirection, Interval, Margin, Phase, count_test_over};

/// Above this rate the counts lose too much: a factor of 1 less the rate.
const RARE: f64 = 0.1;

/// Both arms of a guardrail whose events may be rare.
pub(super) struct RareEvents<'a> {
    pub(super) phases: &'a [Phase],
    pub(super) harm_direction: HarmDirection,
    pub(super) margin: Margin,
}

impl RareEvents<'_> {
    /// The test and the absolute margin; `None` where the events are not rare, or not counted in units.
    pub(super) fn test(&self, alphas: Alphas) -> Option<(GuardrailTest, f64)> {
        let mut counted = Vec::with_capacity(self.phases.len());
        let (mut n, mut events) = ([0_u64; 2], [0_u64; 2]);
        for phase in self.phases {
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
        let rate = |arm: usize| events[arm] as f64 / n[arm] as f64;
        let total = (events[0] + events[1]) as f64;
        if n.contains(&0) || total > RARE * (n[0] + n[1]) as f64 {
            return None;
        }
        let found = count_test_over(&counted, alphas.breach).ok()?;
        let safe = count_test_over(&counted, alphas.safe).ok()?;
        let sign = match self.harm_direction {
            HarmDirection::Increase => 1.0,
            HarmDirection::Decrease => -1.0,
        };
        // The rate of control that all events together come to, if the treatment's is this many times as large.
        let control_at = |ratio: f64| total / (n[0] as f64 + ratio * n[1] as f64);
        let harm_at = |ratio: f64| sign * (ratio - 1.0) * control_at(ratio);
        let ends = |ci: Interval| {
            // Without an upper end all events may be the treatment's.
            let highest = ci.upper.map(harm_at);
            let lowest = ci.lower.map(harm_at);
            if sign > 0.0 { (lowest, highest) } else { (highest, lowest) }
        };
        let (lower, _) = ends(found.rate_ratio_ci);
        let (_, upper) = ends(safe.rate_ratio_ci);
        let margin = match self.margin {
            Margin::Absolute(margin) => margin,
            Margin::RelativeToControl(share) => share * control_at(1.0),
        };
        let harm = sign * (rate(1) - rate(0));
        let ln_e = if lower.is_some_and(|x| x > 0.0) { found.ln_e } else { 0.0 };
        Some((GuardrailTest::of_bounds(harm, lower, upper, margin, ln_e), margin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Alpha;

    fn test(control: (u64, u64), treatment: (u64, u64), margin: f64) -> Option<GuardrailTest> {
        let sums = |(successes, n)| ArmSums::Proportion { n, successes };
        let phases = [Phase {
            number: 0,
            control_weight: 1.0,
            treatment_weight: 1.0,
            control: sums(control),
            treatment: sums(treatment),
        }];
        let (harm_direction, margin) = (HarmDirection::Increase, Margin::Absolute(margin));
        let alphas = Alphas { breach: Alpha::DEFAULT, safe: Alpha::DEFAULT };
        RareEvents { phases: &phases, harm_direction, margin }.test(alphas).map(|(test, _)| test)
    }

    #[test]
    fn crashes_that_only_the_treatment_has_are_found() {
        let found = test((0, 2000), (12, 2000), 0.0).unwrap();
        assert!(found.breached && found.deteriorated, "{found:?}");
        let few = test((0, 2000), (3, 2000), 0.0).unwrap();
        assert!(!few.breached, "{few:?}");
        let alike = test((12, 2000), (12, 2000), 0.0).unwrap();
        assert!(!alike.breached && !alike.non_inferior, "{alike:?}");
        let allowed = test((0, 2000), (12, 2000), 0.01).unwrap();
        assert!(!allowed.breached && allowed.deteriorated, "{allowed:?}");
    }

    #[test]
    fn what_is_not_rare_is_not_counted() {
        assert!(test((300, 2000), (310, 2000), 0.0).is_none());
    }
}
