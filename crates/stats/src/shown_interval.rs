//! The one interval that people are shown: what they see is what decides (METRICS.md 3.4).
//!
//! One end is the bound that decides on success, the other the bound that decides on harm, each at its own level. Together they
//! hold at all looks with a probability of at least one minus both error probabilities. The two-sided confidence sequence stays in
//! [`Assessment::ci`] as the interval of the estimate, and is shown only where there is no safety test beside it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::figures::{Scale, count, percent};
use super::ship_test::Measured;
use super::{Assessment, Direction, Estimate, Interval, ShipRecord, ShipTest, Variance, log_space};

/// The interval that is shown beside an effect. Levels are probabilities: 0.975 is 97.5 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schemars(inline)]
pub enum ShownInterval {
    /// The decision interval, treatment minus control, in metric units.
    Decision {
        /// Lower end; `None` when unbounded.
        lower: Option<f64>,
        /// Upper end; `None` when unbounded.
        upper: Option<f64>,
        /// Probability with which the lower end holds at all looks, at least.
        lower_level: f64,
        /// The same of the upper end.
        upper_level: f64,
        /// The same of both.
        together: f64,
    },
    /// Two bounds of the improvement that make no interval: they rest on different units, or contradict each other.
    Apart {
        /// What decides on success; `None` when unbounded.
        at_least: Option<f64>,
        /// What decides on harm; `None` when unbounded.
        at_most: Option<f64>,
        /// Level of `at_least`.
        at_least_level: f64,
        /// Level of `at_most`.
        at_most_level: f64,
        /// Units behind `at_least`.
        n_at_least: u64,
        /// Units behind `at_most`.
        n_at_most: u64,
    },
    /// The two-sided confidence sequence of the estimate: there is no safety test, as in results of earlier versions, without a
    /// control group, and at the beginning of a rollout step.
    ConfidenceSequence {
        /// Lower end; `None` when unbounded.
        lower: Option<f64>,
        /// Upper end; `None` when unbounded.
        upper: Option<f64>,
        /// Probability with which it holds at all looks; `None` where it was not kept.
        level: Option<f64>,
    },
}

impl ShownInterval {
    /// What is shown of these numbers; `None` without an interval. `ship_alpha`: error probability of the comparison.
    #[must_use]
    pub fn of(numbers: &Assessment, direction: Direction, ship_alpha: Option<f64>) -> Option<Self> {
        let (Some(harm), Some(ship_alpha)) = (numbers.harm, ship_alpha) else {
            let Interval { lower, upper } = numbers.ci?;
            return Some(Self::ConfidenceSequence { lower, upper, level: ship_alpha.map(|alpha| 1.0 - alpha) });
        };
        let harm_alpha = harm.alpha.get();
        if let Some(Interval { lower, upper }) = numbers.decision_ci {
            let (lower_alpha, upper_alpha) = match direction {
                Direction::Increase => (ship_alpha, harm_alpha),
                Direction::Decrease => (harm_alpha, ship_alpha),
            };
            return Some(Self::Decision {
                lower,
                upper,
                lower_level: 1.0 - lower_alpha,
                upper_level: 1.0 - upper_alpha,
                together: 1.0 - lower_alpha - upper_alpha,
            });
        }
        let at_least = match numbers.ship {
            Some(ship) => ship.lower,
            None => numbers.ci.and_then(|ci| direction.orient(ci).lower),
        };
        at_least.or(harm.bound)?;
        Some(Self::Apart {
            at_least,
            at_most: harm.bound,
            at_least_level: 1.0 - ship_alpha,
            at_most_level: 1.0 - harm_alpha,
            n_at_least: numbers.ship.map_or(numbers.n_control.saturating_add(numbers.n_treatment), |ship| ship.n_units),
            n_at_most: harm.n_control.saturating_add(harm.n_treatment),
        })
    }

    /// What it is, as the first words of a line.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Decision { .. } => "Decision interval",
            Self::Apart { .. } => "Decision bounds",
            Self::ConfidenceSequence { .. } => "Confidence sequence",
        }
    }

    /// Its ends without their levels: `[-0.2, +1.7] points`.
    #[must_use]
    pub fn ends(&self, scale: &Scale) -> String {
        match *self {
            Self::Decision { lower, upper, .. } | Self::ConfidenceSequence { lower, upper, .. } => {
                scale.interval(lower, upper)
            }
            Self::Apart { at_least, at_most, .. } => {
                let at_least = at_least.map(|x| format!("at least {}", scale.change(x)));
                let at_most = at_most.map(|x| format!("at most {}", scale.change(x)));
                at_least.into_iter().chain(at_most).collect::<Vec<_>>().join(", ")
            }
        }
    }

    /// How sure it is: `98.5 % at the lower end, 97.5 % at the upper end, 96 % together`.
    #[must_use]
    pub fn levels(&self) -> String {
        match *self {
            Self::Decision { lower_level, upper_level, together, .. } => {
                let (lower, upper, together) = (percent(lower_level), percent(upper_level), percent(together));
                if lower == upper {
                    format!("{lower} each side, {together} together")
                } else {
                    format!("{lower} at the lower end, {upper} at the upper end, {together} together")
                }
            }
            Self::Apart { at_least, at_most, at_least_level, at_most_level, n_at_least, n_at_most } => {
                let at_least = at_least.map(|_| bound_level(at_least_level, n_at_least));
                let at_most = at_most.map(|_| bound_level(at_most_level, n_at_most));
                let why = match (&at_least, &at_most) {
                    (Some(_), Some(_)) if n_at_least == n_at_most => {
                        "; they contradict each other, so there is no interval"
                    }
                    (Some(_), Some(_)) => "; they rest on different units, so there is no interval",
                    _ => "",
                };
                format!("{}{why}", at_least.into_iter().chain(at_most).collect::<Vec<_>>().join(" and "))
            }
            Self::ConfidenceSequence { level: Some(level), .. } => format!("{} confidence sequence", percent(level)),
            Self::ConfidenceSequence { level: None, .. } => "confidence sequence".to_owned(),
        }
    }

    /// Its ends with their levels.
    #[must_use]
    pub fn in_words(&self, scale: &Scale) -> String {
        format!("{} ({})", self.ends(scale), self.levels())
    }
}

fn bound_level(level: f64, n_units: u64) -> String {
    format!("{} of {} units", percent(level), count(n_units))
}

/// A p-value for each of the two decisions. At most the alpha of its side exactly where the shown bound is beyond its threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct SidedP {
    /// Against "the improvement is at most the success threshold".
    pub better: f64,
    /// Against "the improvement is at least the kill threshold".
    pub worse: f64,
}

impl SidedP {
    /// Of the current look; `None` where one of the two tests has no numbers. `success_threshold`: in the good direction. `ship`:
    /// absent in results of earlier versions, whose test was the two-sided mixture.
    ///
    /// Valid at any time, since each is the smallest alpha at which the bound of its side is beyond the threshold. With many claim
    /// looks it takes a millisecond.
    #[must_use]
    pub fn of(
        numbers: &Assessment,
        direction: Direction,
        success_threshold: f64,
        ship: Option<&ShipRecord>,
    ) -> Option<Self> {
        let (test, mde, looks) =
            ship.map_or((ShipTest::TwoSided, None, [].as_slice()), |ship| (ship.test, ship.mde, ship.looks.as_slice()));
        let measured = measured(numbers, direction, mde)?;
        let worse = log_space::p_from_ln(log_space::ln_p_from_ln_e(numbers.harm?.ln_e));
        Some(Self { better: test.p(&measured, looks, success_threshold), worse })
    }
}

fn measured(numbers: &Assessment, direction: Direction, mde: Option<f64>) -> Option<Measured> {
    let (effect, se) = (numbers.effect?, numbers.standard_error?);
    let delta = direction.orient(Interval::new(effect, effect)).lower?;
    let improvement = Estimate { delta, variance: Variance::try_new(se * se).ok()? };
    Some(Measured { improvement, mde, tau: numbers.tuning?.tau })
}
