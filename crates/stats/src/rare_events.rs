//! Guardrails on rare events, before there are enough of them for the mixture: the counts themselves are compared.
//!
//! A crash or a refund that one arm has and the other has not is found by its twelfth event, long before the start gate. Counts accuse and
//! never acquit: few events prove no safety.
//!
//! Source: STATS.md 2.1, 2.5b.

use super::guardrail::Alphas;
use super::log_space::ln_gamma;
use super::{Alpha, ArmSums, Counted, GuardrailTest, HarmDirection, Margin, Phase, count_test_over};

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
        let (is_more, sign) = match self.harm_direction {
            HarmDirection::Increase => (true, 1.0),
            HarmDirection::Decrease => (false, -1.0),
        };
        let margin = match self.margin {
            Margin::Absolute(margin) => margin,
            Margin::RelativeToControl(share) => share * total / (n[0] + n[1]) as f64,
        };
        // The mixture that follows has the alpha of the guardrail; the counts have half of it. Where the ratio alone does not decide, one half
        // of that is for it, the other for how many events there are to expect.
        let whole = alphas.breach.halved(1);
        let (of_ratio, expected) = match margin > 0.0 {
            true => (whole.halved(1), fewest_expected(total, whole.halved(1))),
            false => (whole, total),
        };
        let found = count_test_over(&counted, of_ratio).ok()?;
        let end = if is_more { found.rate_ratio_ci.lower } else { found.rate_ratio_ci.upper };
        let lower = end.map(|ratio| {
            let control = expected / (n[0] as f64 + ratio * n[1] as f64);
            sign * (ratio - 1.0) * control
        });
        let harm = sign * (rate(1) - rate(0));
        let ln_e = if lower.is_some_and(|x| x > 0.0) { found.ln_e } else { 0.0 };
        Some((GuardrailTest::of_lower_bound(harm, lower, margin, ln_e), margin))
    }
}

/// The fewest events that can be expected where there were so many, at any time: a Poisson count mixed over Gamma(1, 1) multiples of its
/// mean, ln E(mu) = ln Gamma(1 + T) + mu - (1 + T) ln(1 + mu).
fn fewest_expected(total: f64, alpha: Alpha) -> f64 {
    let ln_e = |mu: f64| ln_gamma(1.0 + total) + mu - (1.0 + total) * mu.ln_1p();
    if ln_e(0.0) < alpha.ln_inverse() {
        return 0.0;
    }
    let (mut out, mut inside) = (0.0, total);
    for _ in 0..200 {
        let middle = 0.5 * (out + inside);
        if ln_e(middle) >= alpha.ln_inverse() { out = middle } else { inside = middle }
    }
    0.5 * (out + inside)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for safe in
            [test((12, 2000), (12, 2000), 0.0), test((1, 101), (0, 101), 0.02), test((0, 5000), (0, 5000), 0.01)]
        {
            let safe = safe.unwrap();
            assert!(!safe.breached && !safe.non_inferior && safe.harm_upper.is_none(), "{safe:?}");
        }
        let allowed = test((0, 2000), (12, 2000), 0.01).unwrap();
        assert!(!allowed.breached && allowed.deteriorated, "{allowed:?}");
        assert!(test((0, 2000), (60, 2000), 0.01).unwrap().breached);
    }

    #[test]
    fn what_is_not_rare_is_not_counted() {
        assert!(test((300, 2000), (310, 2000), 0.0).is_none());
    }
}
