//! Choosing tau, once, before it can depend on the effect.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Alpha, Tau, Variance, r_star};

/// The sample at which the fallback is narrowest, in units.
const FALLBACK_UNITS: f64 = 10_000.0;

/// How tau was chosen; in order of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TuningSource {
    /// Given in the plan.
    Explicit,
    /// The minimum detectable effect, or the margin of a guardrail: within 1 % of the optimum.
    MinimumDetectableEffect,
    /// The absolute value of the success threshold.
    SuccessThreshold,
    /// Narrowest at the planned sample size.
    PlannedSampleSize,
    /// Narrowest at 10 000 units, from the variance of the first gated poll.
    Fallback,
}

/// The mixture width of one test, frozen for its run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tuning {
    /// In effect units.
    pub tau: Tau,
    /// Where it came from.
    pub source: TuningSource,
}

impl Tuning {
    /// What the plan itself fixes; `None` when it has to wait for a first gated poll.
    pub(super) fn from_plan(explicit: Option<Tau>, mde_abs: Option<f64>, success_threshold: f64) -> Option<Self> {
        let candidates = [
            (explicit.map(Tau::get), TuningSource::Explicit),
            (mde_abs, TuningSource::MinimumDetectableEffect),
            (Some(success_threshold), TuningSource::SuccessThreshold),
        ];
        candidates.into_iter().find_map(|(value, source)| {
            let tau = Tau::try_new(value?.abs()).ok()?;
            Some(Self { tau, source })
        })
    }

    /// Frozen at the first gated poll from its variance and units: `tau^2 = r* V N / N*`. Never from the effect.
    ///
    /// `planned`: the sample at which the interval should be narrowest, else 10 000 units.
    ///
    /// Source: STATS.md 2.1.
    pub(super) fn from_first_poll(alpha: Alpha, variance: Variance, units: u64, planned: Option<u64>) -> Option<Self> {
        let planned = planned.filter(|n| *n > 0);
        let (target, source) = match planned {
            Some(n) => (n as f64, TuningSource::PlannedSampleSize),
            None => (FALLBACK_UNITS, TuningSource::Fallback),
        };
        let scale = (r_star(alpha).r_star * (units as f64 / target)).sqrt();
        let tau = Tau::try_new(variance.standard_error() * scale).ok()?;
        Some(Self { tau, source })
    }
}
