//! When a test may start. The estimated variance is only trustworthy with enough effective units in the smaller arm.

use super::{Moments, StartGate, Status};

const MIN_UNITS: f64 = 100.0;
const MIN_UNITS_SIGNED: f64 = 1000.0;
const MIN_EFFECTIVE: f64 = 25.0;
/// Share of the smaller arm from which on two arms count as equally large.
const MIN_EVEN_SHARE: f64 = 0.4;

/// What the gate looks at, by arm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StartGateInput {
    /// The outcome (numerator of a ratio) of the control arm.
    pub control: Moments,
    /// The outcome of the treatment arm.
    pub treatment: Moments,
    /// Whether the values are 0 or 1, so that failures count too.
    pub is_proportion: bool,
    /// Whether values may be negative; then only the number of units can be judged, where the arms are about equally large.
    pub is_signed: bool,
}

impl StartGateInput {
    /// `Ok` when the test may start.
    ///
    /// Judged on the count *expected in the smaller arm under pooling*, so a treatment arm without a single conversion
    /// still passes and is found. Without the gate, unequal splits give a type I error up to 0.63.
    ///
    /// # Errors
    /// [`Status::InsufficientSample`] with the first unmet condition.
    ///
    /// Source: STATS.md 2.1.
    pub fn check(&self) -> Result<(), Status> {
        let (a, b) = (&self.control, &self.treatment);
        let smaller = a.n.min(b.n);
        let need_units = if self.is_signed { MIN_UNITS_SIGNED } else { MIN_UNITS };
        require(StartGate::UnitsPerArm, smaller, need_units)?;
        let total = a.n + b.n;
        // In arms of very different size a few large values make the smaller one look certain: a false finding in up to 0.155 of a stated
        // 0.025 where units alone were counted. Sums of absolute values are not read, so there it waits like other values.
        if self.is_signed && smaller >= MIN_EVEN_SHARE * total {
            return Ok(());
        }
        let (sum, squares) = (a.sum + b.sum, a.sum_squares + b.sum_squares);
        // The order of the operations keeps whole numbers exact, so that exactly 25 passes, and cannot overflow.
        let effective = if squares > 0.0 { sum * (sum / squares) } else { 0.0 };
        require(StartGate::EffectiveUnits, effective * smaller / total, MIN_EFFECTIVE)?;
        if self.is_proportion {
            let failures = (a.n - a.sum) + (b.n - b.sum);
            require(StartGate::Failures, failures * smaller / total, MIN_EFFECTIVE)?;
        }
        Ok(())
    }
}

fn require(gate: StartGate, have: f64, need: f64) -> Result<(), Status> {
    if have >= need { Ok(()) } else { Err(Status::InsufficientSample { gate, have, need }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(n_control: u64, n_treatment: u64, successes: f64) -> Result<(), Status> {
        let control = Moments::try_new(n_control, successes, successes).unwrap();
        let treatment = Moments::try_new(n_treatment, 0.0, 0.0).unwrap();
        StartGateInput { control, treatment, is_proportion: true, is_signed: false }.check()
    }

    #[test]
    fn exactly_twenty_five_expected_successes_pass() {
        assert_eq!(gate(1000, 1000, 50.0), Ok(()));
        assert_eq!(gate(2000, 1000, 75.0), Ok(()));
        assert!(gate(1000, 1000, 49.0).is_err());
    }

    #[test]
    fn a_nearly_perfect_rate_needs_failures_as_well() {
        let almost = |failures: f64| {
            let m = Moments::try_new(1000, 1000.0 - failures, 1000.0 - failures).unwrap();
            StartGateInput { control: m, treatment: m, is_proportion: true, is_signed: false }.check()
        };
        assert!(matches!(almost(24.0), Err(Status::InsufficientSample { gate: StartGate::Failures, .. })));
        assert_eq!(almost(25.0), Ok(()));
    }

    #[test]
    fn a_metric_that_may_be_negative_needs_a_thousand_units_per_arm() {
        let m = |n| Moments::try_new(n, -5.0, 1e6).unwrap();
        let gate = |n| {
            let (control, treatment) = (m(n), m(1000));
            StartGateInput { control, treatment, is_proportion: false, is_signed: true }.check()
        };
        assert!(gate(999).is_err());
        assert_eq!(gate(1000), Ok(()));
        // Less than two fifths in the smaller arm wait like other values.
        assert_eq!(gate(1500), Ok(()));
        assert!(gate(1501).is_err());
    }
}
