//! Which effect a test can find in a given time: the planner's question the other way round.

use super::sample_size::{FeasibilityInput, feasibility};

/// Largest and smallest effect that is looked for, relative to the baseline.
const RANGE: (f64, f64) = (1e-6, 100.0);

/// The smallest effect, relative to |baseline| and > 0, that is found within `days` with the power that is asked for; `None` where no
/// possible effect is. `input.mde_relative` gives only its sign.
///
/// Source: STATS.md 2.10.
#[must_use]
pub fn detectable_effect(input: &FeasibilityInput, days: u32) -> Option<f64> {
    let sign = input.mde_relative.signum();
    let is_found = |size: f64| {
        let found = feasibility(&FeasibilityInput { mde_relative: sign * size, ..*input });
        found.map(|found| found.days <= u64::from(days))
    };
    // An effect that would move a rate out of (0, 1) is an error: look below it.
    let (mut low, mut high) = (RANGE.0.ln(), RANGE.1.ln());
    let mut best = None;
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        match is_found(middle.exp()) {
            Ok(true) => (best, high) = (Some(middle.exp()), middle),
            Ok(false) => low = middle,
            Err(_) => high = middle,
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Alpha, Baseline, PlannedTest};

    fn rate(rate: f64) -> FeasibilityInput {
        FeasibilityInput {
            baseline: Baseline::Rate { rate },
            daily_units: 600.0,
            mde_relative: 1.0,
            alpha: Alpha::DEFAULT,
            test: PlannedTest::KnownEnd,
            power: 0.8,
            treatment_share: 0.5,
        }
    }

    #[test]
    fn it_is_the_effect_whose_plan_takes_so_long() {
        for days in [7, 14, 28, 56] {
            let effect = detectable_effect(&rate(0.32), days).unwrap();
            let days_of = |size: f64| feasibility(&FeasibilityInput { mde_relative: size, ..rate(0.32) }).unwrap().days;
            assert!(days_of(effect * 1.001) <= u64::from(days) && days_of(effect * 0.98) > u64::from(days), "{days}");
        }
    }

    #[test]
    fn where_no_possible_effect_is_found_there_is_none() {
        let few = FeasibilityInput { daily_units: 1.0, ..rate(0.9) };
        assert_eq!(detectable_effect(&few, 7), None);
        let less = FeasibilityInput { mde_relative: -1.0, ..rate(0.32) };
        assert!(detectable_effect(&less, 14).is_some_and(|effect| effect > 0.0));
    }
}
