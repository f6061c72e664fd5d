//! Findings about the data of a poll. Unhealthy data give no verdict (STATS.md 2.8, first rule).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DataHealth, InvalidInput, Phase, Status};

/// Units in one arm from which an empty other arm is a finding.
const MIN_UNITS_BESIDE_EMPTY_ARM: u64 = 100;

/// What a finding does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Shown beside the result.
    Warn,
    /// No decision at this poll.
    Block,
}

/// Kind of a finding; stable, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthCode {
    /// The data cannot be true.
    Invalid,
    /// Units shrank within a phase; the evidence started anew.
    Restated,
    /// The reading is older than one already evaluated.
    OutOfOrder,
    /// The reading failed or is too old.
    Stale,
    /// The flag service does not split as declared.
    FlagDrift,
    /// The source sampled.
    Sampled,
    /// One arm gets no units.
    ArmWithoutExposure,
    /// The declared weights cannot be checked.
    WeightsInvalid,
    /// The intervals of this epoch contradict each other.
    EffectDrift,
    /// alpha or tau of the plan changed; the evidence started anew.
    PlanChanged,
    /// Nothing at all was recorded in either arm.
    ZeroEvents,
    /// The mismatch check is suspicious.
    SrmSuspected,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HealthFinding {
    /// Kind.
    pub code: HealthCode,
    /// What it does.
    pub severity: Severity,
    /// One sentence without its full stop, for people.
    pub message: String,
}

impl HealthFinding {
    pub(super) fn block(code: HealthCode, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Block, message: message.into() }
    }

    pub(super) fn warn(code: HealthCode, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Warn, message: message.into() }
    }
}

/// Findings that need no running state.
pub(super) fn of_poll(health: DataHealth, phases: &[Phase], status: Status) -> Vec<HealthFinding> {
    use HealthCode as Code;
    let mut found = Vec::new();
    match status {
        Status::Invalid { reason } => found.push(invalid(reason)),
        Status::Ok | Status::ZeroVariance | Status::ZeroDenominator | Status::InsufficientSample { .. } => {}
    }
    if health.is_stale {
        found.push(HealthFinding::block(Code::Stale, "the newest reading failed or is too old"));
    }
    if health.has_flag_drift {
        let message = "the flag service does not split traffic as declared";
        found.push(HealthFinding::block(Code::FlagDrift, message));
    }
    if health.is_sampled {
        let message = "the source sampled its data, so counts and sums are estimates";
        found.push(HealthFinding::block(Code::Sampled, message));
    }
    let total = |n: fn(&Phase) -> u64| phases.iter().map(n).fold(0, u64::saturating_add);
    let (control, treatment) = (total(|p| p.control.n()), total(|p| p.treatment.n()));
    if control.min(treatment) == 0 && control.max(treatment) >= MIN_UNITS_BESIDE_EMPTY_ARM {
        let arm = if control == 0 { "control" } else { "treatment" };
        let message = format!("the {arm} arm has no exposed units");
        found.push(HealthFinding::block(Code::ArmWithoutExposure, message));
    }
    let is_silent = phases.iter().all(|p| p.control.has_no_events() && p.treatment.has_no_events());
    if is_silent && control.saturating_add(treatment) >= 2 * MIN_UNITS_BESIDE_EMPTY_ARM {
        let message = "nothing was recorded in either arm; is the event still sent?";
        found.push(HealthFinding::warn(Code::ZeroEvents, message));
    }
    found
}

fn invalid(reason: InvalidInput) -> HealthFinding {
    HealthFinding::block(HealthCode::Invalid, format!("the reading cannot be true: {reason}"))
}
