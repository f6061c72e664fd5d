//! What it would take to settle a test that goes on, if the effect stayed exactly as it is. A reckoning, no promise.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Alpha, Alternative, Direction, Estimate, ShipTest, Status, Variance, boundary};

/// Beyond so many times the units of today nothing is foretold.
pub const MAX_FACTOR: f64 = 100.0;

/// What would be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// The interval is above the success threshold.
    Better,
    /// The interval is below the kill threshold.
    Worse,
    /// The minimum detectable effect is excluded.
    SmallerThanMde,
    /// The test can begin.
    Testable,
}

/// The next thing that would be found, if the effect stayed as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outlook {
    /// Units of both arms together, on top of those that are there.
    pub more_units: u64,
    /// What would be found then.
    pub finding: Finding,
}

/// A test that goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OutlookInput {
    /// Units of both arms.
    pub n_units: u64,
    /// Estimated effect, in metric units as measured.
    pub effect: f64,
    /// Its standard error, > 0.
    pub standard_error: f64,
    /// Information ratio `tau^2 / V`.
    pub r: f64,
    /// Of this comparison.
    pub alpha: Alpha,
    /// Which test decides on success.
    pub ship: ShipTest,
    /// Which way is good.
    pub direction: Direction,
    /// In the good direction.
    pub success_threshold: f64,
    /// In the good direction.
    pub kill_threshold: f64,
    /// Declared effect, > 0; without it nothing is futile.
    pub mde: Option<f64>,
}

impl OutlookInput {
    fn oriented(&self) -> f64 {
        match self.direction {
            Direction::Increase => self.effect,
            Direction::Decrease => -self.effect,
        }
    }
}

/// One-sided upper bound in the good direction at the futility alpha, with the units that are there.
///
/// Source: STATS.md 2.8.
#[must_use]
pub fn futility_upper(input: &OutlookInput) -> f64 {
    futility_upper_at(input, 1.0)
}

fn futility_upper_at(input: &OutlookInput, f: f64) -> f64 {
    let width = boundary(input.r * f, Alpha::FUTILITY, Alternative::Greater);
    input.oriented() + input.standard_error / f.sqrt() * width
}

/// The first thing that more units of the same kind would show; `None` when even 100 times as many would not.
///
/// With f times the units the standard error is `se / sqrt(f)` and the information ratio `r f`; the effect stays.
#[must_use]
pub fn outlook(input: &OutlookInput) -> Option<Outlook> {
    let OutlookInput { standard_error: se, r, alpha, .. } = *input;
    let effect = input.oriented();
    let half_width = |f: f64| se / f.sqrt() * boundary(r * f, alpha, Alternative::TwoSided);
    let lower = |f: f64| {
        let variance = Variance::try_new(se * se / f).ok()?;
        let improvement = Estimate { delta: effect, variance };
        input.ship.planned_bound(&improvement, alpha, input.mde, se * r.sqrt())
    };
    let candidates = [
        (factor(|f| lower(f).is_some_and(|lower| lower > input.success_threshold)), Finding::Better),
        (factor(|f| effect + half_width(f) < input.kill_threshold), Finding::Worse),
        (input.mde.and_then(|mde| factor(|f| futility_upper_at(input, f) < mde)), Finding::SmallerThanMde),
    ];
    candidates
        .into_iter()
        .filter_map(|(factor, finding)| Some((factor?, finding)))
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(factor, finding)| Outlook { more_units: more(input.n_units, factor), finding })
}

/// The units that let a test begin which is still below the start gate; `None` for any other status.
#[must_use]
pub fn until_testable(status: Status, n_units: u64) -> Option<Outlook> {
    match status {
        Status::InsufficientSample { have, need, .. } if have > 0.0 && need / have <= MAX_FACTOR => {
            Some(Outlook { more_units: more(n_units, need / have), finding: Finding::Testable })
        }
        _ => None,
    }
}

/// Units on top of those that are there.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded by the largest factor")]
fn more(n_units: u64, factor: f64) -> u64 {
    (n_units as f64 * (factor - 1.0).max(0.0)).ceil() as u64
}

/// How many times the units of today it takes until `holds`; `None` beyond [`MAX_FACTOR`]. Intervals only get narrower.
fn factor(holds: impl Fn(f64) -> bool) -> Option<f64> {
    if !holds(MAX_FACTOR) {
        return None;
    }
    let (mut low, mut high) = (1.0, MAX_FACTOR);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if holds(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StartGate;

    fn input(effect: f64) -> OutlookInput {
        OutlookInput {
            n_units: 10_000,
            effect,
            standard_error: 0.005,
            r: 1.0,
            alpha: Alpha::DEFAULT,
            ship: ShipTest::TwoSided,
            direction: Direction::Increase,
            success_threshold: 0.0,
            kill_threshold: 0.0,
            mde: Some(0.02),
        }
    }

    #[test]
    fn the_foretold_units_are_just_enough() {
        let found = outlook(&input(0.012)).unwrap();
        assert_eq!(found.finding, Finding::Better);
        let width = |units: f64| {
            let f = units / 10_000.0;
            0.005 / f.sqrt() * boundary(f, Alpha::DEFAULT, Alternative::TwoSided)
        };
        let then = 10_000.0 + found.more_units as f64;
        assert!(width(then) <= 0.012 && width(then - 10.0) > 0.012, "{found:?}");
    }

    #[test]
    fn harm_and_futility_are_foretold_in_the_good_direction() {
        let decrease = |effect| OutlookInput { direction: Direction::Decrease, ..input(effect) };
        assert_eq!(outlook(&decrease(0.015)).unwrap().finding, Finding::SmallerThanMde);
        let worse = outlook(&OutlookInput { mde: None, ..decrease(0.015) }).unwrap();
        assert_eq!(worse.finding, Finding::Worse);
        // Of the two-sided test as many are needed as for the same gain.
        assert_eq!(worse.more_units, outlook(&decrease(-0.015)).unwrap().more_units);
        assert_eq!(outlook(&decrease(-0.03)).unwrap().finding, Finding::Better);
        assert_eq!(outlook(&input(0.001)).unwrap().finding, Finding::SmallerThanMde);
    }

    #[test]
    fn what_a_hundred_times_the_units_would_not_show_is_not_foretold() {
        assert_eq!(outlook(&OutlookInput { mde: None, ..input(1e-6) }), None);
    }

    #[test]
    fn a_test_below_its_gate_says_how_much_is_missing() {
        let status = Status::InsufficientSample { gate: StartGate::EffectiveUnits, have: 10.0, need: 25.0 };
        let found = until_testable(status, 400);
        assert_eq!(found, Some(Outlook { more_units: 600, finding: Finding::Testable }));
        assert_eq!(until_testable(Status::Ok, 400), None);
        let never = Status::InsufficientSample { gate: StartGate::EffectiveUnits, have: 0.0, need: 25.0 };
        assert_eq!(until_testable(never, 400), None);
    }
}
