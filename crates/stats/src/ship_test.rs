//! The test behind `ship`: which one a plan froze, and the lower bound of the improvement that it gives at a poll.
//!
//! **Invariant**: looking at the same poll again, with the looks that it left, gives the same bound and leaves the same looks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cut_normal::CutNormal;
use super::group_sequential::{Bound, LEAST_GROWTH, OF_LOOKS, next_bound, smallest_alpha, spent_at};

/// Most looks that are put in for days without one.
const MAX_MISSED: u32 = 60;
use super::ship_constant::planned_critical_value;
use super::{Alpha, Alternative, Estimate, Information, Interval, Tau, boundary, ln_e_two_sided, log_space};

/// Which test a plan froze.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "rule", rename_all = "snake_case")]
#[schemars(inline)]
pub enum ShipTest {
    /// The lower end of the two-sided mixture, at the whole alpha: plans of earlier versions.
    #[default]
    TwoSided,
    /// The one-sided mixture around the minimum detectable effect, which needs no end.
    CutNormal,
    /// One claim look a day until a known end, with an always-valid reserve beside it.
    KnownEnd {
        /// Information, in 1 / (metric units)^2, at which the looks have spent their error.
        max_information: Information,
        /// Days after the launch at which they have, whatever the information; an extension does not move it.
        days: u32,
    },
}

/// One claim look of a plan with a known end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimLook {
    /// Of the poll, in Unix seconds.
    pub as_of: i64,
    /// Whole days since the launch.
    pub day: u32,
    /// Units of both arms.
    pub n_units: u64,
    /// Information that there was, as a share of the planned; above 1 where the plan was over-run.
    pub fraction: f64,
    /// Error spent until then, this look included.
    pub spent: f64,
    /// Critical value, in standard errors.
    pub boundary: f64,
    /// Estimated improvement, in the good direction.
    pub improvement: f64,
    /// Lower bound of the improvement, in the good direction; `None` for a day on which nobody looked, and for data that the source
    /// corrected since.
    pub bound: Option<f64>,
    /// No look follows: everything is spent.
    pub is_last: bool,
}

/// What the lower bound of the improvement rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ShipBasis {
    /// The two-sided mixture of this poll.
    TwoSided,
    /// The mixture around the minimum detectable effect, of this poll.
    CutNormal,
    /// The latest claim look.
    Look,
    /// The always-valid reserve, of this poll.
    Reserve,
}

/// The lower bound of the improvement, at all looks together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct ShipBound {
    /// In the good direction, in metric units; `None` when it is unbounded.
    pub lower: Option<f64>,
    /// Error probability of the test, over all looks.
    pub alpha: Alpha,
    /// What it rests on.
    pub basis: ShipBasis,
    /// The poll that it is of, in Unix seconds.
    pub as_of: i64,
    /// Units of both arms then.
    pub n_units: u64,
}

/// What was measured, and what its plan expects.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    /// Signed in the good direction.
    pub(super) improvement: Estimate,
    /// Minimum detectable effect, > 0.
    pub(super) mde: Option<f64>,
    /// Width of the two-sided mixture.
    pub(super) tau: Tau,
}

impl Measured {
    fn mixture(&self) -> CutNormal {
        self.mde.map_or(CutNormal::half(self.tau.get()), CutNormal::around)
    }
}

/// What the test needs to know of a poll.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShipPoll {
    pub(super) measured: Measured,
    /// The two-sided mixture's interval, signed in the good direction.
    pub(super) two_sided: Option<Interval>,
    /// Of this comparison.
    pub(super) alpha: Alpha,
    pub(super) elapsed_days: f64,
    /// The first day on which anything may be claimed.
    pub(super) first_day: u32,
    /// Of both arms.
    pub(super) n_units: u64,
    pub(super) as_of: i64,
    /// The data can be trusted, and the minimum runtime and sample are reached.
    pub(super) may_claim: bool,
}

impl ShipTest {
    /// The bound at a poll; adds to `looks` when the poll is the claim look of its day.
    ///
    /// Source: STATS.md 2.8, METRICS.md 5.
    pub(super) fn bound(self, poll: &ShipPoll, looks: &mut Vec<ClaimLook>) -> ShipBound {
        let of = |lower, basis| {
            let (alpha, as_of, n_units) = (poll.alpha, poll.as_of, poll.n_units);
            ShipBound { lower, alpha, basis, as_of, n_units }
        };
        let Measured { improvement, .. } = poll.measured;
        let mixture = poll.measured.mixture();
        match self {
            Self::TwoSided => of(poll.two_sided.and_then(|interval| interval.lower), ShipBasis::TwoSided),
            Self::CutNormal => of(mixture.lower_bound(&improvement, poll.alpha), ShipBasis::CutNormal),
            Self::KnownEnd { max_information, days } => {
                let [of_looks, of_reserve] = poll.alpha.with_reserve(OF_LOOKS);
                KnownEnd { poll, alpha: of_looks.get(), max_information, days }.look(looks);
                let reserve = mixture.lower_bound(&improvement, of_reserve);
                match looks.last() {
                    Some(look) if look.bound >= reserve => ShipBound {
                        lower: look.bound,
                        alpha: poll.alpha,
                        basis: ShipBasis::Look,
                        as_of: look.as_of,
                        n_units: look.n_units,
                    },
                    _ => of(reserve, ShipBasis::Reserve),
                }
            }
        }
    }
}

impl ShipTest {
    /// The bound that a plan foresees for such an estimate, whatever looks were made: for reckoning what more units would show.
    /// `tau`: width of the two-sided mixture.
    pub(super) fn planned_bound(self, improvement: &Estimate, alpha: Alpha, mde: Option<f64>, tau: f64) -> Option<f64> {
        let half_width = match self {
            Self::TwoSided => {
                let r = Tau::try_new(tau).ok()?.information_ratio(improvement.variance);
                boundary(r, alpha, Alternative::TwoSided)
            }
            Self::CutNormal => {
                return mde.map_or(CutNormal::half(tau), CutNormal::around).lower_bound(improvement, alpha);
            }
            Self::KnownEnd { max_information, .. } => {
                let share = max_information.share_of(improvement.variance);
                if share > 1.0 {
                    // Only the reserve looks beyond the plan.
                    let [_, of_reserve] = alpha.with_reserve(OF_LOOKS);
                    return mde.map_or(CutNormal::half(tau), CutNormal::around).lower_bound(improvement, of_reserve);
                }
                planned_critical_value(alpha, share)?
            }
        };
        Some(improvement.delta - half_width * improvement.variance.standard_error())
    }
}

impl ShipTest {
    /// The smallest alpha at which the bound would be above `threshold`, in [0, 1].
    pub(super) fn p(self, measured: &Measured, looks: &[ClaimLook], threshold: f64) -> f64 {
        let p_of = |ln_e| log_space::p_from_ln(log_space::ln_p_from_ln_e(ln_e));
        let Estimate { delta, variance } = measured.improvement;
        let at_any_time = || p_of(measured.mixture().ln_e(&measured.improvement, threshold));
        match self {
            Self::TwoSided => {
                let z = (delta - threshold) / variance.standard_error();
                let ln_e = ln_e_two_sided(z, measured.tau.information_ratio(variance));
                if z > 0.0 && !ln_e.is_nan() { p_of(ln_e) } else { 1.0 }
            }
            Self::CutNormal => at_any_time(),
            Self::KnownEnd { .. } => {
                let of_looks = looks.last().and_then(|last| last.p(looks, threshold)).unwrap_or(1.0);
                (of_looks / OF_LOOKS).min(at_any_time() / (1.0 - OF_LOOKS)).min(1.0)
            }
        }
    }
}

impl ClaimLook {
    /// The smallest error of the looks at which this one, the last of `looks`, would be above `threshold`.
    fn p(&self, looks: &[Self], threshold: f64) -> Option<f64> {
        let standard_error = (self.improvement - self.bound?) / self.boundary;
        let z = (self.improvement - threshold) / standard_error;
        let fractions: Vec<f64> = looks.iter().map(|look| look.fraction).collect();
        (z > 0.0).then(|| smallest_alpha(&fractions, self.is_last, z))
    }
}

/// A plan with a known end at one poll.
struct KnownEnd<'p> {
    poll: &'p ShipPoll,
    /// Of the looks.
    alpha: f64,
    max_information: Information,
    days: u32,
}

impl KnownEnd<'_> {
    /// Adds the claim look of this poll, if it is one: the first poll of a day since the launch that may claim, until everything is spent.
    /// A day on which nobody looked is counted as a look that found nothing: otherwise whoever polls could look on the days that suit.
    fn look(&self, looks: &mut Vec<ClaimLook>) {
        let last = looks.last().copied();
        let day = whole_days(self.poll.elapsed_days);
        let is_due = last.is_none_or(|last| !last.is_last && day > last.day && self.poll.as_of > last.as_of);
        if !(self.poll.may_claim && is_due) {
            return;
        }
        let fraction = self.max_information.share_of(self.poll.measured.improvement.variance);
        let is_last = fraction >= 1.0 || self.poll.elapsed_days >= f64::from(self.days);
        let growth = fraction - last.map_or(0.0, |last| last.fraction);
        if growth < LEAST_GROWTH {
            if is_last {
                self.spend_the_rest(looks);
            }
            return;
        }
        let missed = self.missed(last.as_ref(), day, fraction);
        let n_before = looks.len();
        for (day, fraction) in missed {
            looks.extend(self.made(looks, day, fraction, false).map(|look| ClaimLook { bound: None, ..look }));
        }
        match self.made(looks, day, fraction, is_last) {
            Some(look) => looks.push(look),
            None => looks.truncate(n_before),
        }
    }

    /// The days without a look since the last one, or since the first that may claim, and the shares of the information that they had.
    fn missed(&self, last: Option<&ClaimLook>, day: u32, fraction: f64) -> Vec<(u32, f64)> {
        let (from_day, from) = last.map_or((0, 0.0), |last| (last.day, last.fraction));
        let first = last.map_or(self.poll.first_day, |last| last.day + 1);
        let slope = (fraction - from) / f64::from(day.saturating_sub(from_day).max(1));
        let at = |missed: u32| (missed, from + slope * f64::from(missed - from_day));
        // The nearest to the last of what they may have had are closer together than a look is.
        let step = ((day.saturating_sub(first)) / MAX_MISSED).max(1);
        (first..day).step_by(step as usize).map(at).filter(|(_, share)| *share < 1.0).collect()
    }

    /// A look at this share of the information, after those that were made; `None` where it adds nothing.
    fn made(&self, looks: &[ClaimLook], day: u32, fraction: f64, is_last: bool) -> Option<ClaimLook> {
        let Estimate { delta: improvement, variance } = self.poll.measured.improvement;
        let spent = if is_last { self.alpha } else { spent_at(self.alpha, fraction) };
        let boundary = next_bound(&bounds(looks), fraction, spent - looks.last().map_or(0.0, |last| last.spent))?;
        let bound = improvement - boundary * variance.standard_error();
        Some(ClaimLook {
            as_of: self.poll.as_of,
            day,
            n_units: self.poll.n_units,
            fraction,
            spent,
            boundary,
            improvement,
            bound: bound.is_finite().then_some(bound),
            is_last,
        })
    }

    /// The end came and nothing was added since the last look: it is judged again with all of the error. Its score is what it was.
    fn spend_the_rest(&self, looks: &mut Vec<ClaimLook>) {
        let Some(last) = looks.pop() else { return };
        let spent_before = looks.last().map_or(0.0, |before| before.spent);
        let found = last.bound.and_then(|bound| {
            let standard_error = (last.improvement - bound) / last.boundary;
            let boundary = next_bound(&bounds(looks), last.fraction, self.alpha - spent_before)?;
            Some((boundary, last.improvement - boundary * standard_error))
        });
        looks.push(match found {
            Some((boundary, bound)) => {
                ClaimLook { boundary, bound: Some(bound), spent: self.alpha, is_last: true, ..last }
            }
            None => last,
        });
    }
}

fn bounds(looks: &[ClaimLook]) -> Vec<Bound> {
    looks.iter().map(|look| Bound { fraction: look.fraction, z: look.boundary }).collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what the type holds")]
fn whole_days(elapsed: f64) -> u32 {
    // An instant of the day's hour itself may be a rounding below it.
    (elapsed + 1e-9).floor().clamp(0.0, f64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Variance;

    /// A plan whose information is complete after four weeks, of 1 a day.
    fn plan() -> ShipTest {
        ShipTest::KnownEnd { max_information: Information::try_new(28.0).unwrap(), days: 28 }
    }

    fn alpha() -> Alpha {
        Alpha::try_new(0.015).unwrap()
    }

    fn measured(delta: f64, information: f64) -> Measured {
        let improvement = Estimate { delta, variance: Variance::try_new(1.0 / information).unwrap() };
        Measured { improvement, mde: Some(0.7), tau: Tau::try_new(0.7).unwrap() }
    }

    /// What the plan says on a day on which there is so much information.
    fn on_day(day: u32, information: f64, looks: &mut Vec<ClaimLook>) -> ShipBound {
        let poll = ShipPoll {
            measured: measured(0.5, information),
            two_sided: None,
            alpha: alpha(),
            elapsed_days: f64::from(day),
            first_day: 7,
            n_units: 1000,
            as_of: 86_400 * i64::from(day),
            may_claim: true,
        };
        plan().bound(&poll, looks)
    }

    #[test]
    fn what_a_plan_foresees_is_what_daily_looks_find_and_beyond_its_end_what_the_reserve_does() {
        let foreseen = |information: f64| {
            let Measured { improvement, mde, tau } = measured(0.5, information);
            plan().planned_bound(&improvement, alpha(), mde, tau.get()).unwrap()
        };
        let critical = |information: f64| (0.5 - foreseen(information)) * information.sqrt();
        let mut looks = Vec::new();
        for day in 1..=28 {
            on_day(day, f64::from(day), &mut looks);
            // Half a day before a look it is the next one that is foreseen.
            let (found, foreseen) = (looks.last().unwrap().boundary, critical(f64::from(day) - 0.5));
            assert!((found - foreseen).abs() < 1e-9, "{day}: {found} {foreseen}");
        }
        let last = *looks.last().unwrap();
        assert!(last.is_last && (last.boundary - critical(28.0)).abs() < 1e-9, "{last:?}");
        // Nothing is left for a look, so that a poll of new units has the reserve alone.
        let later = on_day(90, 90.0, &mut vec![ClaimLook { bound: None, ..last }]);
        assert_eq!((later.basis, later.lower), (ShipBasis::Reserve, Some(foreseen(90.0))));
    }

    #[test]
    fn a_look_needs_a_thousandth_of_the_information() {
        let n_looks = |share: f64| {
            let mut looks = Vec::new();
            on_day(0, 28.0 * share, &mut looks);
            looks.len()
        };
        assert_eq!((n_looks(0.000_999), n_looks(0.001)), (0, 1));
    }

    #[test]
    fn a_first_look_with_more_than_the_plan_needs_is_made() {
        let mut looks = Vec::new();
        // A week before, by what they enrolled since the launch, they had just as much as the plan needs.
        on_day(14, 56.0, &mut looks);
        let last = looks.last().unwrap();
        assert!(last.is_last && last.day == 14 && looks.iter().all(|look| look.day > 7), "{looks:?}");
    }

    #[test]
    fn a_long_absence_puts_in_at_most_sixty_looks_from_its_first_day_on() {
        let mut looks = Vec::new();
        on_day(7, 0.5, &mut looks);
        on_day(7 + 130, 27.0, &mut looks);
        let missed: Vec<u32> = looks.iter().filter(|look| look.bound.is_none()).map(|look| look.day).collect();
        assert_eq!((missed.first(), missed.len() <= 65), (Some(&8), true), "{missed:?}");
    }

    #[test]
    fn an_estimate_at_the_threshold_is_no_evidence() {
        let mut looks = Vec::new();
        on_day(7, 28.0, &mut looks);
        let p = |threshold| plan().p(&measured(0.5, 28.0), &looks, threshold);
        assert!(p(0.5) >= 1.0 && p(0.499) < 0.6, "{} {}", p(0.5), p(0.499));
    }
}
