//! The normal-mixture sequential test and its exact dual, the confidence sequence.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::params::LN_TWO;
use super::{Alpha, Alternative, Estimate, Interval, InvalidInput, Tau, boundary, log_space, normal};

/// How to test; immutable for the run of an experiment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Error probability over all polls together.
    pub alpha: Alpha,
    /// Mixture standard deviation in effect units.
    pub tau: Tau,
    /// Which side.
    pub alternative: Alternative,
    /// Effect under the null hypothesis, in effect units.
    pub null: f64,
}

/// One look at the data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MixtureTest {
    /// Information ratio `tau^2 / V`.
    pub r: f64,
    /// `(delta - null) / se`.
    pub z: f64,
    /// Evidence against the null at this look.
    pub ln_e: f64,
    /// Half-width in standard errors; `None` when it cannot be represented (there is nearly no information).
    pub boundary: Option<f64>,
    /// Confidence sequence at this look, in effect units.
    pub ci: Interval,
}

impl MixtureTest {
    /// `ln p` of this look alone: `-max(0, ln E)`.
    #[must_use]
    pub fn ln_p(&self) -> f64 {
        log_space::ln_p_from_ln_e(self.ln_e)
    }

    /// p of this look alone, in [0, 1]; may underflow to 0.
    #[must_use]
    pub fn p(&self) -> f64 {
        log_space::p_from_ln(self.ln_p())
    }
}

/// `r / (1 + r)`, also for an `r` that overflowed.
fn shrink(r: f64) -> f64 {
    if r > 1.0 { 1.0 / (1.0 + 1.0 / r) } else { r / (1.0 + r) }
}

/// `ln E = (z^2 r/(1+r) - ln(1+r)) / 2`.
///
/// Source: STATS.md 2.1.
#[must_use]
pub fn ln_e_two_sided(z: f64, r: f64) -> f64 {
    0.5 * (z * z * shrink(r) - r.ln_1p())
}

/// `ln E = ln 2 - ln(1+r)/2 + y^2/2 + ln Phi(y)` with `y = z sqrt(r/(1+r))`, for effects above the null.
///
/// Valid for the composite null "at most".
///
/// Source: STATS.md 2.1.
#[must_use]
pub fn ln_e_one_sided(z: f64, r: f64) -> f64 {
    let y = z * shrink(r).sqrt();
    LN_TWO - 0.5 * r.ln_1p() + normal::half_square_plus_ln_cdf(y)
}

/// Where an estimate stands against a null, without an interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Evidence {
    pub(super) r: f64,
    pub(super) z: f64,
    pub(super) ln_e: f64,
}

/// The evidence of [`mixture_test`] alone.
///
/// # Errors
/// As there.
pub(super) fn evidence(estimate: &Estimate, settings: &Settings) -> Result<Evidence, InvalidInput> {
    let r = settings.tau.information_ratio(estimate.variance);
    let z = (estimate.delta - settings.null) / estimate.variance.standard_error();
    let ln_e = match settings.alternative {
        Alternative::TwoSided => ln_e_two_sided(z, r),
        Alternative::Greater => ln_e_one_sided(z, r),
        Alternative::Less => ln_e_one_sided(-z, r),
    };
    if ln_e.is_finite() && z.is_finite() && r.is_finite() {
        Ok(Evidence { r, z, ln_e })
    } else {
        Err(InvalidInput::OutOfRange)
    }
}

/// The one-sided evidence against "at most the null" and against "at least the null", in this order.
///
/// # Errors
/// As [`mixture_test`].
pub(super) fn evidence_both_ways(estimate: &Estimate, tau: Tau, null: f64) -> Result<(f64, f64), InvalidInput> {
    let r = tau.information_ratio(estimate.variance);
    let z = (estimate.delta - null) / estimate.variance.standard_error();
    let (above, below) = normal::half_square_plus_ln_cdf_both(z * shrink(r).sqrt());
    let shared = LN_TWO - 0.5 * r.ln_1p();
    let (above, below) = (shared + above, shared + below);
    if above.is_finite() && below.is_finite() && z.is_finite() {
        Ok((above, below))
    } else {
        Err(InvalidInput::OutOfRange)
    }
}

/// Tests one estimate.
///
/// # Errors
/// [`InvalidInput::OutOfRange`] when the evidence cannot be represented (z beyond about 1e154, or r overflows).
///
/// Source: STATS.md 2.1.
pub fn mixture_test(estimate: &Estimate, settings: &Settings) -> Result<MixtureTest, InvalidInput> {
    let Evidence { r, z, ln_e } = evidence(estimate, settings)?;
    let boundary = boundary(r, settings.alpha, settings.alternative);
    let half_width = estimate.variance.standard_error() * boundary;
    let (lower, upper) = (estimate.delta - half_width, estimate.delta + half_width);
    let ci = match settings.alternative {
        Alternative::TwoSided => Interval::new(lower, upper),
        Alternative::Greater => Interval::above(lower),
        Alternative::Less => Interval::below(upper),
    };
    Ok(MixtureTest { r, z, ln_e, boundary: super::interval::finite(boundary), ci })
}

/// `delta r / (1 + r)`: the estimate less its upward bias after stopping (STATS.md 2.8).
pub(super) fn shrunken(delta: f64, r: f64) -> f64 {
    delta * shrink(r)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Variance;

    fn settings(alternative: Alternative) -> Settings {
        let tau = Tau::try_new(0.01).unwrap();
        Settings { alpha: Alpha::DEFAULT, tau, alternative, null: 0.0 }
    }

    #[test]
    fn shrinking_works_from_the_smallest_to_an_infinite_ratio() {
        assert!((shrink(f64::INFINITY) - 1.0).abs() < 1e-15 && (shrink(1.0) - 0.5).abs() < 1e-15);
        assert!((shrink(1e-310) / 1e-310 - 1.0).abs() < 1e-9);
    }

    #[test]
    fn evidence_of_exactly_twenty_rejects_at_five_percent() {
        assert!(Alpha::DEFAULT.rejects(20.0_f64.ln()));
        assert!(!Alpha::DEFAULT.rejects(20.0_f64.ln() - 1e-12));
    }

    #[test]
    fn an_effect_at_the_boundary_carries_exactly_the_evidence_to_reject() {
        for alternative in [Alternative::TwoSided, Alternative::Greater] {
            for r in [0.01, 1.0, 8.212, 1e4] {
                let z = boundary(r, Alpha::DEFAULT, alternative);
                let ln_e = match alternative {
                    Alternative::TwoSided => ln_e_two_sided(z, r),
                    _ => ln_e_one_sided(z, r),
                };
                assert!((ln_e - 20.0_f64.ln()).abs() < 1e-11, "{alternative:?} {r}: {ln_e}");
            }
        }
    }

    #[test]
    fn less_is_greater_seen_in_the_mirror() {
        let variance = Variance::try_new(1e-5).unwrap();
        let up = Estimate { delta: 0.012, variance };
        let down = Estimate { delta: -0.012, variance };
        let greater = mixture_test(&up, &settings(Alternative::Greater)).unwrap();
        let less = mixture_test(&down, &settings(Alternative::Less)).unwrap();
        assert_eq!(greater.ln_e.to_bits(), less.ln_e.to_bits());
        assert_eq!(greater.ci, less.ci.negated());
    }

    #[test]
    fn numbers_beyond_double_precision_are_invalid_and_never_infinite() {
        let huge = Estimate { delta: 1e300, variance: Variance::try_new(1e-300).unwrap() };
        let result = mixture_test(&huge, &settings(Alternative::TwoSided));
        assert_eq!(result, Err(InvalidInput::OutOfRange));
    }

    #[test]
    fn nearly_no_information_gives_an_unbounded_interval() {
        let vague = Estimate { delta: 1.0, variance: Variance::try_new(1e308).unwrap() };
        let mut settings = settings(Alternative::TwoSided);
        settings.tau = Tau::try_new(1e-200).unwrap();
        let result = mixture_test(&vague, &settings).unwrap();
        assert_eq!((result.boundary, result.ci), (None, Interval::UNBOUNDED));
    }
}
