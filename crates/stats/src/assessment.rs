//! The numbers of one poll.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HarmTest, Interval, ShipBound, Srm, Status, Tuning};

/// The numbers of one poll. Effects are treatment minus control in metric units.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Assessment {
    /// Whether the primary metric has numbers at this poll.
    pub status: Status,
    /// Estimated effect.
    pub effect: Option<f64>,
    /// The effect shrunk towards zero, to show beside it after a stop: stopping early overstates.
    pub effect_shrunken: Option<f64>,
    /// Standard error of the effect.
    pub standard_error: Option<f64>,
    /// Confidence sequence at this poll.
    pub ci: Option<Interval>,
    /// Intersection of all confidence sequences of this epoch; `None` before the first, and where they contradict each other: then
    /// `effect_drift` is among the findings.
    pub ci_running: Option<Interval>,
    /// Relative to the absolute value of the control level (0.05 = 5 %).
    pub lift: Option<f64>,
    /// Its interval; `None` when the baseline is not separated from zero or an arm is constant.
    pub lift_ci: Option<Interval>,
    /// Level of control, weighted over phases; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_level: Option<f64>,
    /// Level of treatment, weighted over phases; absent where there is no control.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub treatment_level: Option<f64>,
    /// Evidence at this poll.
    pub ln_e: Option<f64>,
    /// `ln p` of the smallest p so far in this epoch, at most 0, never rising.
    pub ln_p_running: f64,
    /// The same as p in [0, 1]; may underflow to 0.
    pub p_running: f64,
    /// The evidence crossed `1 / alpha` in this epoch and the current interval still excludes 0.
    pub is_significant: bool,
    /// The lower bound of the improvement is above the success threshold.
    pub is_success_threshold_met: bool,
    /// The upper bound of the safety test is below the kill threshold.
    pub is_kill_threshold_exceeded: bool,
    /// One-sided upper bound in the good direction at the futility alpha of 0.10.
    pub futility_upper: Option<f64>,
    /// Units of control over all phases.
    pub n_control: u64,
    /// Units of treatment over all phases.
    pub n_treatment: u64,
    /// Whether the plan's minimum sample is reached.
    pub is_min_sample_reached: bool,
    /// Whether the plan's minimum runtime is over.
    pub is_min_runtime_met: bool,
    /// The minimum runtime in whole weeks.
    pub min_runtime_days: u64,
    /// Sample-ratio mismatch: evidence of this poll, p and level over all polls of this epoch.
    pub srm: Srm,
    /// Mixture width in use and how it was chosen; `None` until it is frozen.
    pub tuning: Option<Tuning>,
    /// Counts restarts of the evidence, from 1.
    pub epoch: u32,
    /// The latest look of the safety test; `None` while there is too little to test.
    #[serde(default)]
    pub harm: Option<HarmTest>,
    /// The lower bound of the improvement, which decides on success; absent without numbers, and in results of earlier versions, where
    /// the lower end of `ci` decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ship: Option<ShipBound>,
    /// One end decides on success, at the alpha of the comparison, the other on harm, at the alpha of the safety test; as
    /// measured. `None` where the two rest on different phases, as on a rollout step.
    #[serde(default)]
    pub decision_ci: Option<Interval>,
}
