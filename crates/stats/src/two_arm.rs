//! The default test of treatment against control at one look (STATS.md 2.1).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::arms::{Compared, compare};
use super::{
    ArmSums, Contrast, CupedAdjustment, Interval, InvalidInput, Settings, Status, fieller_lift, mixture_test,
    relative_lift,
};

/// One look. Without [`Status::Ok`] there is no evidence: p is 1 and everything else is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TwoArmResult {
    /// Whether there are numbers.
    pub status: Status,
    /// Treatment minus control, in metric units.
    pub effect: Option<f64>,
    /// Variance of the effect.
    pub variance: Option<f64>,
    /// Effect minus null, in standard errors.
    pub z: Option<f64>,
    /// Information ratio.
    pub r: Option<f64>,
    /// Evidence at this look.
    pub ln_e: Option<f64>,
    /// `-max(0, ln E)`, at most 0.
    pub ln_p: f64,
    /// In [0, 1]; may underflow to 0.
    pub p: f64,
    /// Half-width of the interval in standard errors.
    pub boundary: Option<f64>,
    /// Confidence sequence in metric units.
    pub ci: Option<Interval>,
    /// Relative to the absolute value of the control level (0.05 = 5 %).
    pub lift: Option<f64>,
    /// Fieller's interval with the same boundary.
    pub lift_ci: Option<Interval>,
    /// Raw and adjusted effect, when the arms carry a covariate.
    pub cuped: Option<CupedAdjustment>,
}

impl TwoArmResult {
    pub(super) fn without_numbers(status: Status) -> Self {
        Self {
            status,
            effect: None,
            variance: None,
            z: None,
            r: None,
            ln_e: None,
            ln_p: 0.0,
            p: 1.0,
            boundary: None,
            ci: None,
            lift: None,
            lift_ci: None,
            cuped: None,
        }
    }

    /// Tests a contrast that already passed the gate.
    pub(super) fn of_contrast(contrast: &Contrast, settings: &Settings) -> Self {
        let result = contrast.against(1.0).and_then(|estimate| {
            let test = mixture_test(&estimate, settings)?;
            Ok((estimate, test))
        });
        let (estimate, test) = match result {
            Ok(pair) => pair,
            Err(reason) => return Self::without_numbers(reason.into()),
        };
        let lift_ci = test.boundary.and_then(|b| fieller_lift(contrast, b, settings.alternative));
        Self {
            status: Status::Ok,
            effect: Some(estimate.delta),
            variance: Some(estimate.variance.get()),
            z: Some(test.z),
            r: Some(test.r),
            ln_e: Some(test.ln_e),
            ln_p: test.ln_p(),
            p: test.p(),
            boundary: test.boundary,
            ci: Some(test.ci),
            lift: relative_lift(contrast),
            lift_ci,
            cuped: None,
        }
    }
}

/// Tests treatment against control at one look of one phase.
///
/// `is_signed`: values may be negative, so the gate asks for 1000 units per arm instead of effective units.
///
/// Source: STATS.md 2.1 to 2.4.
#[must_use]
pub fn two_arm_test(control: &ArmSums, treatment: &ArmSums, is_signed: bool, settings: &Settings) -> TwoArmResult {
    if !settings.null.is_finite() {
        return TwoArmResult::without_numbers(InvalidInput::Parameter.into());
    }
    match compare(control, treatment, is_signed) {
        Ok(Compared { contrast, cuped }) => TwoArmResult { cuped, ..TwoArmResult::of_contrast(&contrast, settings) },
        Err(status) => TwoArmResult::without_numbers(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Alpha, Alternative, StartGate, Tau};

    fn settings() -> Settings {
        let tau = Tau::try_new(0.01).unwrap();
        Settings { alpha: Alpha::DEFAULT, tau, alternative: Alternative::TwoSided, null: 0.0 }
    }

    fn rate(n: u64, successes: u64) -> ArmSums {
        ArmSums::Proportion { n, successes }
    }

    fn test(control: ArmSums, treatment: ArmSums) -> TwoArmResult {
        two_arm_test(&control, &treatment, false, &settings())
    }

    #[test]
    fn a_dead_treatment_arm_is_found() {
        let result = test(rate(100_000, 51), rate(100_000, 0));
        assert_eq!(result.status, Status::Ok);
        assert!(result.ci.unwrap().upper.unwrap() < 0.0);
        assert_eq!(result.lift_ci, None);
        assert!((result.lift.unwrap() + 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_dead_arm_carries_the_evidence_the_page_quotes() {
        let mut settings = settings();
        settings.tau = Tau::try_new(0.000_51).unwrap();
        let result = two_arm_test(&rate(100_000, 51), &rate(100_000, 0), false, &settings);
        assert!((result.ln_e.unwrap() - 23.0).abs() < 1.0, "{:?}", result.ln_e);
    }

    #[test]
    fn two_constant_arms_have_no_interval_rather_than_an_empty_one() {
        let result = test(rate(1000, 0), rate(1000, 0));
        assert_eq!((result.status, result.ci, result.p), (Status::ZeroVariance, None, 1.0));
    }

    #[test]
    fn arms_of_different_kinds_are_not_compared() {
        let mean = ArmSums::Mean { n: 1000, sum: 10.0, sum_squares: 100.0 };
        let want = Status::Invalid { reason: InvalidInput::ArmsDiffer };
        assert_eq!(test(rate(1000, 50), mean).status, want);
    }

    #[test]
    fn the_gate_counts_what_the_smaller_arm_can_expect() {
        let result = test(rate(9_000, 200), rate(1_000, 0));
        let Status::InsufficientSample { gate, have, need } = result.status else { panic!("{:?}", result.status) };
        assert_eq!(gate, StartGate::EffectiveUnits);
        assert!((have - 20.0).abs() < 1e-9 && need > 24.9);
    }

    #[test]
    fn a_ratio_with_denominator_one_is_the_proportion() {
        let as_ratio = |n: u64, x: f64| ArmSums::Ratio {
            n,
            numerator_sum: x,
            numerator_sum_squares: x,
            denominator_sum: n as f64,
            denominator_sum_squares: n as f64,
            cross_sum: x,
        };
        let want = test(rate(10_000, 500), rate(9_000, 540));
        let got = test(as_ratio(10_000, 500.0), as_ratio(9_000, 540.0));
        assert!((want.ln_e.unwrap() - got.ln_e.unwrap()).abs() < 1e-12);
        assert!((want.effect.unwrap() - got.effect.unwrap()).abs() < 1e-15);
    }
}
