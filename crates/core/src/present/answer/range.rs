//! The range of the difference that a sentence shows, and how its figures are rounded.

use jiff::{SignedDuration, Timestamp};

use super::asked::Asked;
use super::opening::Figures;
use crate::domain::{Direction, Evaluation};
use crate::stats::figures::Rounded;
use crate::stats::{Interval, Scale};

/// A bound of success is only computed while the plan's information still comes; an older one stands beside younger numbers.
const YOUNG: SignedDuration = SignedDuration::from_hours(24);

/// A difference, treatment minus control, with its ends.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Range {
    pub(super) effect: Option<f64>,
    pub(super) lower: Option<f64>,
    pub(super) upper: Option<f64>,
    /// Whether it is about the same units as the levels of the arms.
    pub(super) is_of_the_levels: bool,
    /// Of 100 ranges, how many hold the true difference at every look, at least; `None` where that is not known.
    pub(super) level: Option<u32>,
}

/// The ends of the improvement, in the good direction.
#[derive(Debug, Clone, Copy, Default)]
struct Improvement {
    at_least: Option<f64>,
    at_most: Option<f64>,
}

impl Range {
    pub(super) fn of(asked: &Asked<'_>, result: &Evaluation, figures: Figures) -> Self {
        let is_mature_at_once = asked.values.matures_after.is_zero();
        let decision = result.decision_ci.filter(|_| is_mature_at_once).map(|ci| good(asked.direction, ci));
        let (effect, found, is_of_the_levels) = match (figures, result.harm) {
            // Harm is found on the units so far, or on the latest rollout step: others than those of the levels.
            (Figures::Harm, Some(harm)) if decision.is_none() => {
                (Some(harm.effect), Improvement { at_least: None, at_most: harm.bound }, false)
            }
            _ => (result.effect, both_ends(asked, result, figures, decision), true),
        };
        let own = effect.map(|effect| oriented(asked.direction, effect));
        // An end on the wrong side of the estimate is of another time or other units: the other end is said alone.
        let is_beside = |end: f64, is_lower: bool| own.is_none_or(|own| if is_lower { end <= own } else { end >= own });
        let at_least = found.at_least.filter(|end| is_beside(*end, true));
        let at_most = found.at_most.filter(|end| is_beside(*end, false));
        let (lower, upper) = match asked.direction {
            Direction::Increase => (at_least, at_most),
            Direction::Decrease => (at_most.map(|end| -end), at_least.map(|end| -end)),
        };
        Self { effect, lower, upper, is_of_the_levels, level: level(result, decision.is_some()) }
    }

    /// How wide it is; where it is open, twice as far as its end is from the effect.
    pub(super) fn width(&self) -> f64 {
        let effect = self.effect.unwrap_or_default();
        match (self.lower, self.upper) {
            (Some(lower), Some(upper)) => upper - lower,
            (Some(end), None) | (None, Some(end)) => 2.0 * (effect - end).abs(),
            (None, None) => effect.abs(),
        }
    }

    /// How its figures are written: so that the levels differ by what is called their difference, where they do.
    pub(super) fn rounded<'s>(&self, scale: &'s Scale, levels: Option<(f64, f64)>) -> Rounded<'s> {
        let rounded = scale.rounded(self.width());
        let Some(((with, without), effect)) = levels.zip(self.effect) else { return rounded };
        let is_plain = (with - without - effect).abs() <= self.width() / 20.0;
        if is_plain && !rounded.is_difference(with, without, effect) { rounded.finer() } else { rounded }
    }
}

/// The ends that belong to the levels of the arms.
fn both_ends(asked: &Asked<'_>, result: &Evaluation, figures: Figures, decision: Option<Improvement>) -> Improvement {
    let estimate = result.ci.map(|ci| good(asked.direction, ci)).unwrap_or_default();
    let at_least = match result.ship {
        Some(ship) if figures == Figures::Success || is_young(ship.as_of, result.polled_at) => ship.lower,
        Some(_) => estimate.at_least,
        None => decision.unwrap_or(estimate).at_least,
    };
    let at_most = match figures {
        Figures::Futility => result.futility_upper.or(estimate.at_most),
        Figures::Success | Figures::Harm | Figures::Other => decision.unwrap_or(estimate).at_most,
    };
    Improvement { at_least, at_most }
}

fn is_young(as_of: i64, polled_at: Option<Timestamp>) -> bool {
    match (Timestamp::from_second(as_of), polled_at) {
        (Ok(as_of), Some(polled_at)) => polled_at.duration_since(as_of) <= YOUNG,
        _ => true,
    }
}

/// Of 100 ranges, how many hold: one minus the errors of both ends, rounded down. Not known after a correction by hand, which begins
/// claims anew.
fn level(result: &Evaluation, is_decision: bool) -> Option<u32> {
    let alpha = result.alpha?;
    if result.error_budget.is_some_and(|budget| budget.corrections > 0) {
        return None;
    }
    let other = match (is_decision, result.harm) {
        (true, Some(harm)) => harm.alpha.get().max(0.025),
        _ => alpha / 2.0,
    };
    let share = ((1.0 - alpha - other) * 100.0).floor().clamp(0.0, 99.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 99")]
    Some(share as u32)
}

fn good(direction: Direction, ci: Interval) -> Improvement {
    match direction {
        Direction::Increase => Improvement { at_least: ci.lower, at_most: ci.upper },
        Direction::Decrease => Improvement { at_least: ci.upper.map(|end| -end), at_most: ci.lower.map(|end| -end) },
    }
}

fn oriented(direction: Direction, effect: f64) -> f64 {
    match direction {
        Direction::Increase => effect,
        Direction::Decrease => -effect,
    }
}
