//! What a poll found and where the experiment stands: what the policy is told.

use jiff::{SignedDuration, Timestamp};

use super::silence::Silence;
use crate::domain::{ExperimentStatus, text_enum};
use crate::lifecycle::AnalysisCause;
use crate::stats::{Evaluated, HealthFinding, Severity};

/// What one poll found.
#[derive(Debug, Clone, Copy, Default)]
pub struct PollFindings<'a> {
    /// How the flag is not where it was put.
    pub flag_drift: Option<&'a str>,
    /// The signal whose query has been failing for the longest time.
    pub failing: Option<Failing<'a>>,
    /// How long a finding about the data has to last before it turns the flag off; see [`super::least_time`].
    pub lasts_for: SignedDuration,
    /// Which signal has been silent for too long.
    pub stale_signal: Option<&'a str>,
    /// Nobody was exposed since the launch.
    pub silence: Option<Silence<'a>>,
    /// What the engine made of it; absent where nothing could be judged.
    pub evaluated: Option<&'a Evaluated>,
    /// Whether a crossed constraint's own entry says `on_violation: kill`.
    pub is_kill_by_rule: bool,
}

text_enum! {
    /// What a gate about a result recommends.
    pub enum GateAdvice { Ship, Kill, Iterate, Extend, Resume }
}

/// Where the experiment stands.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// Its status.
    pub status: ExperimentStatus,
    /// Since when units get the treatment with the present split; `None` while the flag is off.
    pub on_since: Option<Timestamp>,
    /// Now.
    pub now: Timestamp,
    /// When it went live.
    pub launched_at: Option<Timestamp>,
    /// Days that the plan has.
    pub duration_days: u32,
    /// Units of both arms that a rollout step needs.
    pub min_sample_size: u64,
    /// The smallest improvement worth having.
    pub success_threshold: f64,
    /// Whether the flag stays on after futility and the end of the plan (`on_conclusion: hold`).
    pub keeps_flag: bool,
    /// Whether it runs elsewhere and is only guarded: nothing is claimed, and its end asks a human.
    pub is_guarded: bool,
    /// When the running rollout step began.
    pub step_began_at: Option<Timestamp>,
    /// Whether no rollout step follows.
    pub is_last_step: bool,
    /// Analyses that were due before, newest first: why, and when. Only read where
    /// [`super::asks_for_analysis`] holds.
    pub analyses: &'a [(AnalysisCause, Timestamp)],
    /// What the open gate about the result recommends, and since when.
    pub gate: Option<(GateAdvice, Timestamp)>,
    /// Whether that gate shows no figures, so that it is replaced as soon as there are some.
    pub is_gate_empty: bool,
}

/// A signal that cannot be read.
#[derive(Debug, Clone, Copy)]
pub struct Failing<'a> {
    /// Which, and why.
    pub detail: &'a str,
    /// Attempts in a row.
    pub n_attempts: u32,
    /// When the first of them was made.
    pub since: Timestamp,
}

/// Whether nothing about the data forbids a claim.
pub(super) fn is_healthy(health: &[HealthFinding]) -> bool {
    health.iter().all(|finding| finding.severity < Severity::Block)
}

impl Standing<'_> {
    /// Whether units get the treatment.
    pub(super) fn is_on(&self) -> bool {
        self.on_since.is_some()
    }

    pub(super) fn has_passed(&self, since: Timestamp, time: SignedDuration) -> bool {
        self.now.duration_since(since) >= time
    }

    pub(super) fn is_over(&self) -> bool {
        let days = SignedDuration::from_hours(i64::from(self.duration_days) * 24);
        self.launched_at.is_some_and(|at| self.has_passed(at, days))
    }

    pub(super) fn last(&self, cause: AnalysisCause) -> Option<Timestamp> {
        self.analyses.iter().find(|(earlier, _)| *earlier == cause).map(|(_, at)| *at)
    }
}
