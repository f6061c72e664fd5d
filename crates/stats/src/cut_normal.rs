//! The one-sided mixture that is centred on the effect a plan expects: a normal distribution cut at the null.
//!
//! Source: STATS.md 2.8, METRICS.md 4.1.

use super::confidence_sequence::one_sided_root;
use super::params::LN_TWO;
use super::{Alpha, Estimate, normal};

/// Standard deviation of the mixture, in minimum detectable effects.
const SPREAD: f64 = 0.35;

/// A normal distribution of effects above the null, cut there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct CutNormal {
    /// Before the cut, in effect units, >= 0.
    mean: f64,
    /// Before the cut, in effect units, > 0.
    sd: f64,
}

impl CutNormal {
    /// Around the effect that is to be found, `mde` > 0.
    pub(super) fn around(mde: f64) -> Self {
        Self { mean: mde, sd: SPREAD * mde }
    }

    /// The half-normal, for a plan that expects nothing in particular.
    pub(super) fn half(tau: f64) -> Self {
        Self { mean: 0.0, sd: tau }
    }

    /// The lower bound of the effect that holds at all looks together with probability `1 - alpha`; `None` when it cannot be
    /// represented. The estimate is signed in the good direction.
    ///
    /// `ln E = h(m / s) - h(mean / sd) - ln(1 + r) / 2` with `h(y) = y^2 / 2 + ln Phi(y)`, `m = (mean + sd^2 S) / (1 + r)`,
    /// `s = sd / sqrt(1 + r)`, `S = (d - d0) / V`, `r = sd^2 / V`; the bound is the `d0` at which `ln E = ln(1 / alpha)`.
    pub(super) fn lower_bound(self, estimate: &Estimate, alpha: Alpha) -> Option<f64> {
        let variance = estimate.variance.get();
        let one_plus_r = 1.0 + self.sd * self.sd / variance;
        let expected = self.mean / self.sd;
        let level = alpha.ln_inverse() + normal::half_square_plus_ln_cdf(expected) + 0.5 * one_plus_r.ln();
        // The root solves h(y) = level - ln 2.
        let y = one_sided_root(level + LN_TWO);
        let score = (y * one_plus_r.sqrt() - expected) / self.sd;
        let bound = estimate.delta - score * variance;
        bound.is_finite().then_some(bound)
    }

    /// Evidence against "at most `null`".
    pub(super) fn ln_e(self, estimate: &Estimate, null: f64) -> f64 {
        let variance = estimate.variance.get();
        let (score, r) = ((estimate.delta - null) / variance, self.sd * self.sd / variance);
        let y = (self.mean + self.sd * self.sd * score) / (self.sd * (1.0 + r).sqrt());
        normal::half_square_plus_ln_cdf(y) - normal::half_square_plus_ln_cdf(self.mean / self.sd) - 0.5 * r.ln_1p()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Alternative, Variance, boundary};

    fn estimate(delta: f64, variance: f64) -> Estimate {
        Estimate { delta, variance: Variance::try_new(variance).unwrap() }
    }

    #[test]
    fn the_bound_is_where_the_evidence_is_one_over_alpha() {
        let alpha = Alpha::try_new(0.015).unwrap();
        for mixture in [CutNormal::around(0.02), CutNormal::half(0.02), CutNormal::around(3.0)] {
            for variance in [1e-8, 1e-5, 1e-4, 1e-2, 10.0] {
                let estimate = estimate(0.013, variance);
                let bound = mixture.lower_bound(&estimate, alpha).unwrap();
                let found = mixture.ln_e(&estimate, bound);
                assert!((found - alpha.ln_inverse()).abs() < 1e-6, "{mixture:?} {variance} {found}");
            }
        }
    }

    #[test]
    fn without_an_expected_effect_it_is_the_half_normal() {
        let estimate = estimate(0.013, 1e-5);
        let r = 0.02 * 0.02 / 1e-5;
        let half_width = estimate.variance.standard_error() * boundary(r, Alpha::DEFAULT, Alternative::Greater);
        let bound = CutNormal::half(0.02).lower_bound(&estimate, Alpha::DEFAULT).unwrap();
        assert!((bound - (0.013 - half_width)).abs() < 1e-12);
    }

    /// Its definition: the mean of the likelihood ratios over the effects above the null, by a sum over a fine grid.
    #[test]
    fn the_evidence_is_the_mean_of_the_likelihood_ratios() {
        let (mde, variance, delta) = (0.02, 4e-5, 0.018);
        let mixture = CutNormal::around(mde);
        let (mut weighted, mut weights) = (0.0, 0.0);
        for step in 1..200_000 {
            let theta = f64::from(step) * 1e-6;
            let weight = normal::pdf((theta - mde) / (SPREAD * mde));
            weighted += weight * (theta * delta / variance - 0.5 * theta * theta / variance).exp();
            weights += weight;
        }
        let found = mixture.ln_e(&estimate(delta, variance), 0.0);
        assert!((found - (weighted / weights).ln()).abs() < 1e-4, "{found}");
    }
}
