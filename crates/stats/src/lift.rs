//! Relative effects. Fieller's interval agrees with the absolute test by construction; the delta method does not.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::interval::finite;
use super::{Alternative, Contrast, Interval};

/// Relative lift `(P - Q) / |Q|` (0.05 = 5 %); `None` for a zero baseline.
#[must_use]
pub fn relative_lift(contrast: &Contrast) -> Option<f64> {
    let lift = (contrast.treatment / contrast.control - 1.0) * contrast.control.signum();
    finite(lift)
}

/// Fieller's confidence set for the relative lift, with the boundary of the absolute test.
///
/// `boundary`: in standard errors, > 0. `None` when the baseline is not separated from zero or an arm is constant; the
/// absolute interval then stands alone. Excludes 0 exactly when the absolute interval does, to the last bit.
///
/// Source: STATS.md 2.2.
#[must_use]
pub fn fieller_lift(contrast: &Contrast, boundary: f64, alternative: Alternative) -> Option<Interval> {
    if contrast.has_constant_arm() {
        return None;
    }
    let (p, q) = (contrast.treatment, contrast.control);
    let b2 = boundary * boundary;
    let a = q * q - b2 * contrast.var_control;
    let b = p * q - b2 * contrast.covariance;
    let c = p * p - b2 * contrast.var_treatment;
    if !(a > 0.0 && b.is_finite()) {
        return None;
    }
    let root = discriminant(contrast, b2, [a, b, c])?.sqrt();
    let (low, high) = ((b - root) / a - 1.0, (b + root) / a - 1.0);
    let ci = Interval { lower: Some(finite(low)?), upper: Some(finite(high)?) };
    let ci = agreeing(if q < 0.0 { ci.negated() } else { ci }, contrast, boundary);
    Some(match alternative {
        Alternative::TwoSided => ci,
        Alternative::Greater => Interval { upper: None, ..ci },
        Alternative::Less => Interval { lower: None, ..ci },
    })
}

/// `B^2 - AC`, >= 0: as the page writes it, so that another implementation finds the same digits. Where that leaves
/// fewer than three of them (standard errors near a ten-millionth of the level), with `P^2 Q^2` cancelled by hand.
fn discriminant(contrast: &Contrast, b2: f64, [a, b, c]: [f64; 3]) -> Option<f64> {
    let written = b * b - a * c;
    if written * 1e-3 > f64::EPSILON * b * b {
        return finite(written);
    }
    let Contrast { treatment: p, control: q, var_treatment: vp, var_control: vq, covariance } = *contrast;
    let cross = p * p * vq - 2.0 * p * q * covariance + q * q * vp;
    // In exact arithmetic never negative, since k = P/Q always belongs to the set.
    finite((b2 * cross - b2 * b2 * (vp * vq - covariance * covariance)).max(0.0))
}

/// The interval with its ends on the side of zero where those of the absolute interval are: within rounding of zero
/// the two would otherwise part.
fn agreeing(ci: Interval, contrast: &Contrast, boundary: f64) -> Interval {
    let effect = contrast.treatment - contrast.control;
    let half_width = contrast.variance_against(1.0).sqrt() * boundary;
    let both = |place: fn(f64) -> f64| Interval { lower: ci.lower.map(place), upper: ci.upper.map(place) };
    if effect > half_width {
        both(|end| end.max(f64::MIN_POSITIVE))
    } else if effect < -half_width {
        both(|end| end.min(-f64::MIN_POSITIVE))
    } else {
        Interval { lower: ci.lower.map(|end| end.min(0.0)), upper: ci.upper.map(|end| end.max(0.0)) }
    }
}

/// Lift with a delta-method interval, for comparison with other tools only: it may contradict the absolute test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeltaMethodLift {
    /// `(P - Q) / |Q|`: it points the way the effect does.
    pub lift: f64,
    /// Its variance.
    pub variance: f64,
    /// `lift` plus and minus `boundary` standard errors.
    pub ci: Interval,
}

/// Relative lift by the delta method; `None` for a zero baseline. Decisions use [`fieller_lift`].
///
/// Source: STATS.md 1.1.
#[must_use]
pub fn delta_method_lift(contrast: &Contrast, boundary: f64) -> Option<DeltaMethodLift> {
    let (p, q) = (contrast.treatment, contrast.control);
    let ratio = p / q;
    let lift = finite((p - q) / q.abs())?;
    let variance = finite((contrast.var_treatment + contrast.var_control * ratio * ratio) / q / q)?;
    let half_width = boundary * variance.sqrt();
    Some(DeltaMethodLift { lift, variance, ci: Interval::new(lift - half_width, lift + half_width) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contrast(treatment: f64, control: f64) -> Contrast {
        let (var_treatment, var_control) = (0.01, 0.02);
        Contrast { treatment, control, var_treatment, var_control, covariance: 0.0 }
    }

    #[test]
    fn lift_of_a_negative_baseline_points_the_way_the_effect_does() {
        let up = contrast(-4.0, -5.0);
        assert!((relative_lift(&up).unwrap() - 0.2).abs() < 1e-12);
        let ci = fieller_lift(&up, 3.0, Alternative::TwoSided).unwrap();
        assert!(ci.lower.unwrap() < 0.2 && ci.upper.unwrap() > 0.2);
    }

    #[test]
    fn the_delta_method_points_the_way_the_effect_does_too() {
        let of = |treatment, control| delta_method_lift(&contrast(treatment, control), 2.0).unwrap();
        let (up, down) = (of(-4.0, -5.0), of(4.0, 5.0));
        assert!((up.lift - 0.2).abs() < 1e-12 && (down.lift + 0.2).abs() < 1e-12);
        assert!((up.variance - down.variance).abs() < 1e-15, "mirrored levels are as sure");
        assert!((up.ci.lower.unwrap() + down.ci.upper.unwrap()).abs() < 1e-12);
    }

    #[test]
    fn a_zero_baseline_has_no_lift() {
        let nothing = contrast(1.0, 0.0);
        assert_eq!(relative_lift(&nothing), None);
        assert_eq!(fieller_lift(&nothing, 3.0, Alternative::TwoSided), None);
    }

    #[test]
    fn a_tiny_relative_interval_keeps_its_digits() {
        // As written, B^2 - AC would give [0, 0] for the first and an interval around 0 for the second.
        let (var_treatment, var_control) = (1e-6, 1e-6);
        let at = |treatment| {
            let contrast = Contrast { treatment, var_treatment, var_control, ..contrast(0.0, 1e6) };
            let ci = fieller_lift(&contrast, 3.035, Alternative::TwoSided).unwrap();
            (ci.lower.unwrap(), ci.upper.unwrap())
        };
        let (lower, upper) = at(1e6);
        assert!((lower + 4.292_138e-9).abs() < 1e-14 && (upper - 4.292_138e-9).abs() < 1e-14);
        let (lower, upper) = at(1e6 + 0.007);
        assert!((lower - 2.707_862e-9).abs() < 1e-14 && (upper - 1.129_214e-8).abs() < 1e-14);
    }
}
