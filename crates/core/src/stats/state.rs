//! What is stored between two polls of one comparison.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::guardrail::Memory;
use super::{Alpha, Phase, Plan, RunningTest, Tuning, TuningSource};

/// Units counted in a phase; they can only grow, unless the source restated them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseCounts {
    /// Number of the phase.
    pub phase: u32,
    /// Units of control.
    pub n_control: u64,
    /// Units of treatment.
    pub n_treatment: u64,
}

impl PhaseCounts {
    fn of(phase: &Phase) -> Self {
        Self { phase: phase.number, n_control: phase.control.n(), n_treatment: phase.treatment.n() }
    }
}

/// When the evidence first crossed `1 / alpha`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Crossing {
    /// Of the poll, in Unix seconds.
    pub as_of: i64,
    /// Units of both arms then.
    pub n_units: u64,
}

/// Why the evidence starts anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EpochReason {
    /// Units within a phase shrank: the source corrected its past.
    Restatement,
    /// alpha or tau of the plan changed.
    PlanChanged,
}

/// Start of the current epoch, unless it is the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EpochStart {
    /// Of the poll, in Unix seconds.
    pub as_of: i64,
    /// Why.
    pub reason: EpochReason,
}

/// What a guardrail remembers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GuardrailState {
    /// Name of the guardrail.
    pub name: String,
    /// Frozen mixture width.
    pub tuning: Option<Tuning>,
    /// Consecutive polls of a bare value beyond its limit.
    pub n_consecutive: u32,
}

/// Persisted between polls; pass it to the next [`evaluate`](super::evaluate()).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunningState {
    /// Counts restarts of the evidence, from 1.
    pub epoch: u32,
    /// Why and when this epoch started; `None` in the first.
    pub epoch_start: Option<EpochStart>,
    /// Newest poll, in Unix seconds; `None` before the first.
    pub as_of: Option<i64>,
    /// The alpha in use, split over treatments.
    pub alpha: Option<Alpha>,
    /// Frozen mixture width.
    pub tuning: Option<Tuning>,
    /// Frozen minimum detectable effect in metric units.
    pub mde_abs: Option<f64>,
    /// Strongest evidence and intersection of intervals in this epoch.
    pub test: RunningTest,
    /// First crossing in this epoch.
    pub first_crossing: Option<Crossing>,
    /// Strongest evidence for a sample-ratio mismatch in this epoch, >= 0.
    pub srm_max_ln_e: f64,
    /// Units by phase.
    pub phases: Vec<PhaseCounts>,
    /// By guardrail.
    pub guardrails: Vec<GuardrailState>,
}

impl Default for RunningState {
    fn default() -> Self {
        Self {
            epoch: 1,
            epoch_start: None,
            as_of: None,
            alpha: None,
            tuning: None,
            mde_abs: None,
            test: RunningTest::default(),
            first_crossing: None,
            srm_max_ln_e: 0.0,
            phases: Vec::new(),
            guardrails: Vec::new(),
        }
    }
}

impl RunningState {
    /// Whether units of a known phase shrank, or the phase is gone.
    pub(super) fn is_restated_by(&self, phases: &[Phase]) -> bool {
        self.phases.iter().any(|known| {
            !phases.iter().map(PhaseCounts::of).any(|now| {
                now.phase == known.phase && now.n_control >= known.n_control && now.n_treatment >= known.n_treatment
            })
        })
    }

    /// Whether the plan asks for another test than the one that is running.
    pub(super) fn is_changed_by(&self, plan: &Plan, from_plan: Option<Tuning>) -> bool {
        let Some(alpha) = self.alpha else {
            return false;
        };
        // Not bit by bit: a number may lose its last digit on its way through JSON.
        let is_same = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs();
        let is_tuning_changed = match (from_plan, self.tuning) {
            (Some(want), Some(have)) => !is_same(want.tau.get(), have.tau.get()),
            (_, None) => false,
            // Frozen at the first gated poll; a plan that no longer states what it stated has changed.
            (None, Some(have)) => match have.source {
                TuningSource::Explicit | TuningSource::SuccessThreshold => true,
                TuningSource::MinimumDetectableEffect => plan.mde_relative.is_none(),
                TuningSource::PlannedSampleSize | TuningSource::Fallback => false,
            },
        };
        is_tuning_changed || !is_same(alpha.get(), plan.comparison_alpha().get())
    }

    /// Starts the evidence anew. A restatement keeps the tuning; a changed plan chooses it again.
    pub(super) fn start_epoch(&mut self, start: EpochStart) {
        self.epoch = self.epoch.saturating_add(1);
        self.epoch_start = Some(start);
        self.test = RunningTest::default();
        self.first_crossing = None;
        self.srm_max_ln_e = 0.0;
        match start.reason {
            EpochReason::Restatement => {}
            EpochReason::PlanChanged => (self.tuning, self.mde_abs) = (None, None),
        }
    }

    pub(super) fn count(&mut self, phases: &[Phase]) {
        self.phases.clear();
        self.phases.extend(phases.iter().map(PhaseCounts::of));
    }

    pub(super) fn guardrail_memory(&self, name: &str) -> Memory {
        let known = self.guardrails.iter().find(|g| g.name == name);
        known.map_or_else(Memory::default, |g| Memory { tuning: g.tuning, n_consecutive: g.n_consecutive })
    }

    pub(super) fn remember_guardrail(&mut self, name: &str, memory: Memory) {
        let Memory { tuning, n_consecutive } = memory;
        match self.guardrails.iter_mut().find(|g| g.name == name) {
            Some(known) => (known.tuning, known.n_consecutive) = (tuning, n_consecutive),
            None => {
                let name = name.to_owned();
                self.guardrails.push(GuardrailState { name, tuning, n_consecutive });
            }
        }
    }
}
