//! The safety test of the primary metric: is the treatment worse than the kill threshold? One-sided, with a budget of its own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mixture::evidence;
use super::phases::Gated;
use super::scope::since;
use super::{
    Alpha, Alternative, Estimate, Evaluation, Interval, Phase, Settings, Step, TestPlan, Tuning, boundary,
    combine_phases,
};

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

/// The latest looks of the safety test: at the values so far, and at those of mature units.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Looks {
    /// Of the process that goes on over the phases.
    pub(super) of_all: [Option<HarmTest>; 2],
    /// Of the running rollout step by itself.
    pub(super) of_step: [Option<HarmTest>; 2],
}

/// From which phase on harm is looked for, and with which error.
#[derive(Debug, Clone, Copy)]
struct Process {
    from: u32,
    alpha: Alpha,
}

/// Share of the budget for the values so far, where mature ones are judged as well.
const SO_FAR: f64 = 0.8;

impl HarmTest {
    /// Looks at the phases of the safety process, and at those of a rollout step that is watched by itself. `last`: what the looks of
    /// before found.
    ///
    /// Source: STATS.md 2.8, METRICS.md 3.2, 3.3.
    pub(super) fn look_at_all(input: &Evaluation<'_>, last: &Looks, tuning: Option<Tuning>) -> Looks {
        let Evaluation { plan, scope, .. } = input;
        let all = Process { from: scope.safety_from, alpha: plan.part_of_all(plan.harm_alpha) };
        let of_step = |step: Step| Process { from: step.from, alpha: TestPlan::part_of_step(plan.harm_alpha, step) };
        Looks {
            of_all: Self::look_twice(input, all, last.of_all, tuning),
            of_step: scope.step.map_or([None; 2], |step| Self::look_twice(input, of_step(step), last.of_step, tuning)),
        }
    }

    /// Looks at the values so far, if they can only grow, and at those of mature units. Where nobody knows which units are mature, the
    /// first look has the whole budget and there is no second one.
    ///
    /// Source: METRICS.md 3.1.
    fn look_twice(
        input: &Evaluation<'_>,
        Process { from, alpha: whole }: Process,
        [so_far, mature]: [Option<Self>; 2],
        tuning: Option<Tuning>,
    ) -> [Option<Self>; 2] {
        let Some(cohorts) = input.cohorts else {
            return [Self::look(input, since(input.phases, from), whole, so_far, tuning), None];
        };
        let (early, late) = if cohorts.judges_so_far {
            (Alpha::try_new(whole.get() * SO_FAR).ok(), Alpha::try_new(whole.get() * (1.0 - SO_FAR)).ok())
        } else {
            (None, Some(whole))
        };
        [
            early.and_then(|alpha| Self::look(input, since(input.phases, from), alpha, so_far, tuning)),
            late.and_then(|alpha| Self::look(input, since(cohorts.claimed, from), alpha, mature, tuning)),
        ]
    }

    /// The one that says worse of the treatment.
    pub(super) fn worse(Looks { of_all, of_step }: &Looks) -> Option<Self> {
        let bound = |harm: &Self| harm.bound.unwrap_or(f64::INFINITY);
        of_all.iter().chain(of_step).flatten().copied().min_by(|one, other| bound(one).total_cmp(&bound(other)))
    }

    /// One look; `None` while there is too little to test. Within an hour of the last look its result stays, while the treatment is on.
    ///
    /// Source: STATS.md 2.1 (one-sided), 2.8.
    fn look(
        input: &Evaluation<'_>,
        phases: &[Phase],
        alpha: Alpha,
        last: Option<Self>,
        tuning: Option<Tuning>,
    ) -> Option<Self> {
        let since = |last: &Self| input.as_of.saturating_sub(last.as_of);
        if let Some(last) = last.filter(|last| !input.scope.is_off && (1..LOOK_SECONDS).contains(&since(last))) {
            return Some(last);
        }
        let plan = input.plan;
        let gated = Gated::of(phases, plan.is_signed).ok()?;
        let estimate = combine_phases(&gated.contrasts, 1.0).ok()?.against(1.0).ok()?;
        let effect = estimate.delta;
        let both = plan.direction.orient(Interval::new(effect, effect));
        let improvement = Estimate { delta: both.upper?, ..estimate };
        let alpha = alpha.halved(input.scope.n_restarts);
        let tau = tuning?.tau;
        let settings = Settings { alpha, tau, alternative: Alternative::Less, null: plan.kill_threshold };
        let found = evidence(&improvement, &settings).ok()?;
        let half_width = improvement.variance.standard_error() * boundary(found.r, alpha, Alternative::Greater);
        Some(Self {
            as_of: input.as_of,
            from_phase: phases.first().map_or(0, |phase| phase.number),
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
