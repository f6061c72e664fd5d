//! The part of a frozen plan that the statistics need.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Alpha, Direction, ShipTest, Step, Tau};

/// The frozen plan of an experiment. Thresholds are effects in metric units, signed in the direction of improvement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TestPlan {
    /// Error probability over all polls and all treatments together; default 0.05.
    pub alpha: Alpha,
    /// Mixture width in metric units; default is the minimum detectable effect.
    pub tau: Option<Tau>,
    /// Minimum detectable effect in metric units; the sign is ignored.
    pub mde_abs: Option<f64>,
    /// Minimum detectable effect relative to |baseline|, used when `mde_abs` is not given.
    pub mde_relative: Option<f64>,
    /// Level frozen at registration. Without it `mde_relative` uses the control level of the first gated poll.
    pub baseline: Option<f64>,
    /// Which way is good.
    pub direction: Direction,
    /// Smallest effect worth having; default 0. Not the minimum detectable effect.
    pub success_threshold: f64,
    /// Stop when even the optimistic end is below this; default 0.
    pub kill_threshold: f64,
    /// Units of both arms before a success or futility can be called; default 0.
    pub min_sample_size: u64,
    /// Units of both arms at which the plan ends.
    pub max_sample_size: Option<u64>,
    /// Days before a success or futility can be called, rounded up to whole weeks; default 7.
    pub min_runtime_days: u32,
    /// Days at which the plan ends.
    pub max_days: Option<u32>,
    /// Whether values may be negative (profit); the gate then asks for 1000 units per arm.
    pub is_signed: bool,
    /// Treatments compared with the same control; alpha is split over them. Default 1.
    pub n_treatments: u32,
    /// Error probability over all guardrails together; default 0.05.
    pub guardrail_alpha: Alpha,
    /// Probability of a false finding of harm, one-sided; default 0.025. It is not divided over planned experiments: a false
    /// pause can be taken back.
    pub harm_alpha: Alpha,
    /// Whether the budgets of harm and of guardrails hold for all rollout steps together: a fifth of them is kept for the steps, each of
    /// which is also watched by itself. Without it each step has a budget of its own.
    pub shares_with_steps: bool,
    /// The test behind `ship`; without it that of earlier versions.
    pub ship: ShipTest,
}

impl Default for TestPlan {
    fn default() -> Self {
        Self {
            alpha: Alpha::DEFAULT,
            tau: None,
            mde_abs: None,
            mde_relative: None,
            baseline: None,
            direction: Direction::Increase,
            success_threshold: 0.0,
            kill_threshold: 0.0,
            min_sample_size: 0,
            max_sample_size: None,
            min_runtime_days: 7,
            max_days: None,
            is_signed: false,
            n_treatments: 1,
            guardrail_alpha: Alpha::DEFAULT,
            harm_alpha: Alpha::HARM,
            shares_with_steps: false,
            ship: ShipTest::TwoSided,
        }
    }
}

/// Part of a safety budget that is kept for rollout steps.
const OF_STEPS: f64 = 0.2;

impl TestPlan {
    /// The part of a safety budget that the process over all phases has.
    pub(super) fn part_of_all(&self, budget: Alpha) -> Alpha {
        if self.shares_with_steps { budget.part(1.0 - OF_STEPS) } else { budget }
    }

    /// The part that a rollout step has for itself: half of what the step before had, so that all of them never have more than is kept.
    pub(super) fn part_of_step(budget: Alpha, step: Step) -> Alpha {
        budget.part(OF_STEPS).halved(step.number)
    }

    /// Minimum detectable effect in metric units, > 0, as far as the plan itself fixes it.
    #[must_use]
    pub fn fixed_mde(&self) -> Option<f64> {
        match (self.mde_abs, self.mde_relative, self.baseline) {
            (Some(mde), _, _) => usable(mde),
            (None, Some(relative), Some(baseline)) => usable(relative * baseline),
            (None, _, _) => None,
        }
    }

    /// The same, once the control level is known.
    pub(super) fn mde_at(&self, control_level: f64) -> Option<f64> {
        self.fixed_mde().or_else(|| match (self.mde_abs, self.baseline) {
            (None, None) => usable(self.mde_relative? * control_level),
            _ => None,
        })
    }

    /// The alpha of this comparison.
    pub(super) fn comparison_alpha(&self) -> Alpha {
        self.alpha.split(self.n_treatments as usize)
    }
}

fn usable(mde: f64) -> Option<f64> {
    let size = mde.abs();
    (size > 0.0 && size.is_finite()).then_some(size)
}
