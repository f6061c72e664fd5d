//! Sample-ratio mismatch: does traffic arrive in the declared proportions? Sequential, so every poll may look.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::interval::finite;
use super::log_space::{ln_gamma, ln_mean_exp2, ln_p_from_ln_e, p_from_ln};

/// Concentrations of the two Dirichlet mixtures; the best sample size of each is about r* times it (STATS.md 2.5).
const CONCENTRATIONS: [f64; 2] = [100.0, 10_000.0];
/// Evidence from which a reader is warned.
const WARN_AT: f64 = 100.0;
/// Evidence from which no decision is made (alpha 0.001).
const BLOCK_AT: f64 = 1000.0;

/// Whether the check could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SrmStatus {
    /// The numbers are there.
    Ok,
    /// An arm that should get nothing got traffic: certain mismatch.
    TrafficOnZeroWeightArm,
    /// Weights that are negative, not finite or all zero, or counts without weights.
    Invalid,
}

/// What follows from a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SrmLevel {
    /// Nothing to see.
    Clean,
    /// Show it.
    Warn,
    /// Decide nothing.
    Block,
}

impl SrmLevel {
    /// Probability that a split as declared is ever blocked.
    pub const FALSE_BLOCKS: f64 = 1.0 / BLOCK_AT;

    /// Warns from E = 100 and blocks from E = 1000.
    #[must_use]
    pub fn from_ln_e(ln_e: f64) -> Self {
        if ln_e >= BLOCK_AT.ln() {
            Self::Block
        } else if ln_e >= WARN_AT.ln() {
            Self::Warn
        } else {
            Self::Clean
        }
    }
}

/// One check, or the running result over polls.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Srm {
    /// Whether there are numbers.
    pub status: SrmStatus,
    /// Evidence against the declared weights; `None` unless `status` is ok.
    pub ln_e: Option<f64>,
    /// `-max(0, ln E)`; `None` unless `status` is ok.
    pub ln_p: Option<f64>,
    /// In [0, 1]; 0 for traffic on an arm of weight 0, 1 for an invalid check.
    pub p: f64,
    /// What follows.
    pub level: SrmLevel,
}

impl Srm {
    pub(super) fn from_ln_e(ln_e: f64) -> Self {
        let ln_p = ln_p_from_ln_e(ln_e);
        Self {
            status: SrmStatus::Ok,
            ln_e: Some(ln_e),
            ln_p: Some(ln_p),
            p: p_from_ln(ln_p),
            level: SrmLevel::from_ln_e(ln_e),
        }
    }

    fn without_numbers(status: SrmStatus, p: f64, level: SrmLevel) -> Self {
        Self { status, ln_e: None, ln_p: None, p, level }
    }
}

/// Tests counts of unique exposed units against the declared weights of the same phase.
///
/// `arms`: pairs of count and weight; weights >= 0, in any scale. Evidence of several phases multiplies.
/// `E = mean over k of B(k theta + n) / B(k theta) / prod theta_i^n_i`.
///
/// Source: STATS.md 2.5.
#[must_use]
pub fn sample_ratio_mismatch(arms: &[(u64, f64)]) -> Srm {
    let total_weight: f64 = arms.iter().map(|(_, w)| *w).sum();
    let is_possible = arms.iter().all(|(_, w)| *w >= 0.0 && w.is_finite());
    if !(is_possible && total_weight > 0.0 && total_weight.is_finite()) {
        return Srm::without_numbers(SrmStatus::Invalid, 1.0, SrmLevel::Clean);
    }
    if arms.iter().any(|(n, w)| *w <= 0.0 && *n > 0) {
        let status = SrmStatus::TrafficOnZeroWeightArm;
        return Srm::without_numbers(status, 0.0, SrmLevel::Block);
    }
    let total: f64 = arms.iter().map(|(n, _)| *n as f64).sum();
    let used = || arms.iter().filter(|(_, w)| *w > 0.0).map(|(n, weight)| (*n as f64, weight / total_weight));
    let ln_likelihood: f64 = used().map(|(n, theta)| n * theta.ln()).sum();
    let [low, high] = CONCENTRATIONS.map(|k| {
        let ln_beta_ratio: f64 = used().map(|(n, theta)| ln_gamma(k * theta + n) - ln_gamma(k * theta)).sum();
        ln_gamma(k) - ln_gamma(k + total) + ln_beta_ratio - ln_likelihood
    });
    // A weight so small that it underflows has no logarithm.
    match finite(ln_mean_exp2(low, high)) {
        Some(ln_e) => Srm::from_ln_e(ln_e),
        None => Srm::without_numbers(SrmStatus::Invalid, 1.0, SrmLevel::Clean),
    }
}
