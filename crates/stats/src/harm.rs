//! The safety test of the primary metric: is the treatment worse than the kill threshold? One-sided, with a budget of its own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mixture::evidence;
use super::phases::Gated;
use super::{Alpha, Alternative, Estimate, Evaluation, Interval, Phase, Settings, Tuning, boundary, combine_phases};

/// Least time between two looks, in seconds. Values that can fall have no guarantee at more frequent looks (METRICS.md 3.1).
const LOOK_SECONDS: i64 = 3600;

/// One look of the safety test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HarmTest {
    /// Of the look, in Unix seconds.
    pub as_of: i64,
    /// Number of the first phase that counts.
    pub from_phase: u32,
    /// Probability of a false finding of this process, over all its looks.
    pub alpha: Alpha,
    /// Units of control in its phases.
    pub n_control: u64,
    /// Units of treatment in its phases.
    pub n_treatment: u64,
    /// Treatment minus control in its phases, in metric units as measured.
    pub effect: f64,
    /// One-sided upper bound of the improvement, in the good direction; `None` when it cannot be represented.
    pub bound: Option<f64>,
    /// Evidence against "no worse than the kill threshold".
    pub ln_e: f64,
}

impl HarmTest {
    /// Looks at the phases of the safety process; `None` while there is too little to test. Within an hour of the last look its
    /// result stays, while the treatment is on.
    ///
    /// Source: STATS.md 2.1 (one-sided), 2.8.
    pub(super) fn look(input: &Evaluation<'_>, last: Option<Self>, tuning: Option<Tuning>) -> Option<Self> {
        let since = |last: &Self| input.as_of.saturating_sub(last.as_of);
        if let Some(last) = last.filter(|last| !input.scope.is_off && (1..LOOK_SECONDS).contains(&since(last))) {
            return Some(last);
        }
        let plan = input.plan;
        let phases = input.scope.safety(input.phases);
        let gated = Gated::of(phases, plan.is_signed).ok()?;
        let estimate = combine_phases(&gated.contrasts, 1.0).ok()?.against(1.0).ok()?;
        let effect = estimate.delta;
        let both = plan.direction.orient(Interval::new(effect, effect));
        let improvement = Estimate { delta: both.upper?, ..estimate };
        let alpha = plan.harm_alpha.halved(input.scope.n_restarts);
        let tau = tuning?.tau;
        let settings = Settings { alpha, tau, alternative: Alternative::Less, null: plan.kill_threshold };
        let found = evidence(&improvement, &settings).ok()?;
        let half_width = improvement.variance.standard_error() * boundary(found.r, alpha, Alternative::Greater);
        Some(Self {
            as_of: input.as_of,
            from_phase: phases.first().map_or(input.scope.safety_from, |phase| phase.number),
            alpha,
            n_control: total(phases, |phase| phase.control.n()),
            n_treatment: total(phases, |phase| phase.treatment.n()),
            effect,
            bound: Interval::below(improvement.delta + half_width).upper,
            ln_e: found.ln_e,
        })
    }
}

pub(super) fn total(phases: &[Phase], n: impl Fn(&Phase) -> u64) -> u64 {
    phases.iter().map(n).fold(0, u64::saturating_add)
}
