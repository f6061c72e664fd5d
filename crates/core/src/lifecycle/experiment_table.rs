//! The experiment's table: DESIGN section 4, one row a step.

use serde::Serialize;

use crate::domain::{ExperimentStatus, GateType, Verdict, text_enum};
use crate::principal::PrincipalKind;

use ExperimentEventKind as E;
use ExperimentStatus as S;
use PrincipalKind::{Agent, Human, Local, System};

text_enum! {
    /// What can happen to an experiment, as the table names it.
    pub enum ExperimentEventKind {
        Proposed, PortfolioApproved, PortfolioRejected, PortfolioSuperseded, ReportedBuilt, ReportedFailed, Retried,
        LaunchApproved, LaunchReworked, LaunchRejected, LaunchVoided, SampleReached, AutoPaused, PausedByHand, Resumed,
        AnalysisDue, Concluded, Rejudged, Extended, Scaled, ShipProposed, Iterated, Killed, StepMeasured, LastStepMeasured, ScaleApproved,
        ScaleRejected, ShipApproved, ShipRejected, KilledByHand, KilledByRule, Corrected, Attached, AttachApproved, AttachVoided, GuardExtended, Detached,
    }
}

/// What must be done because the state changed. The use case does it in the same transaction, or puts it in the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Open a gate of this type.
    OpenGate(GateType),
    /// Close pending gates as superseded.
    SupersedeGates,
    /// The brief can be read from now on.
    PublishBrief,
    /// Put the flag to the share of the present rollout step.
    SetFlag,
    /// Put the flag to 100 %.
    SetFlagFull,
    /// Turn the flag off and read it back.
    FlagOff,
    /// Count units of a flag that somebody else has turned on; it is not touched.
    WatchFlag,
    /// Leave the flag as it is from now on.
    LeaveFlag,
    /// Read the baseline and fix the plan.
    FreezePlan,
    /// Fix the final result.
    FreezeResult,
    /// Keep what was learnt.
    StoreLearning,
    /// Draft a successor.
    DraftSuccessor,
    /// Tell the people concerned.
    Notify,
}

/// Where a row leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// A status.
    Status(ExperimentStatus),
    /// The status before the pause.
    BeforePause,
    /// The same status.
    Unchanged,
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Where it can be taken.
    pub from: &'static [ExperimentStatus],
    /// What happens.
    pub event: ExperimentEventKind,
    /// Who may.
    pub by: &'static [PrincipalKind],
    /// Where it leads.
    pub to: To,
    /// What follows.
    pub effects: &'static [Effect],
}

const fn row(
    from: &'static [ExperimentStatus],
    event: ExperimentEventKind,
    by: &'static [PrincipalKind],
    to: ExperimentStatus,
    effects: &'static [Effect],
) -> Row {
    Row { from, event, by, to: To::Status(to), effects }
}

use Effect::{
    DraftSuccessor, FlagOff, FreezePlan, FreezeResult, LeaveFlag, Notify, OpenGate, PublishBrief, SetFlag, SetFlagFull,
    StoreLearning, SupersedeGates, WatchFlag,
};

const LIVE: &[S] = &[S::Running, S::Measuring, S::Scaling];
const WAITING: &[S] = &[S::AwaitingAnalysisGate, S::AwaitingScaleGate, S::AwaitingShipGate];
const ANALYSIS: &[S] = &[S::AwaitingAnalysisGate, S::Paused];

/// The lifecycle of an experiment, one row a step.
#[rustfmt::skip]
pub const EXPERIMENT_TABLE: &[Row] = &[
    row(&[S::Hypothesis], E::Proposed, &[Agent, Local, Human, System], S::AwaitingPortfolioGate, &[OpenGate(GateType::PortfolioReview), Notify]),
    row(&[S::AwaitingPortfolioGate], E::PortfolioApproved, &[Human], S::Building, &[PublishBrief]),
    row(&[S::AwaitingPortfolioGate], E::PortfolioRejected, &[Human], S::Killed, &[FreezeResult, StoreLearning]),
    row(&[S::Hypothesis, S::AwaitingPortfolioGate], E::PortfolioSuperseded, &[Human, System], S::Killed, &[SupersedeGates, FreezeResult, StoreLearning]),
    row(&[S::Building], E::ReportedBuilt, &[Agent, Local, Human], S::AwaitingLaunchGate, &[OpenGate(GateType::LaunchApproval), Notify]),
    row(&[S::Building], E::ReportedFailed, &[Agent, Local, Human], S::FailedBuild, &[Notify]),
    row(&[S::FailedBuild], E::Retried, &[Local, Human], S::Building, &[PublishBrief]),
    row(&[S::AwaitingLaunchGate], E::LaunchApproved, &[Human], S::Running, &[FreezePlan, SetFlag]),
    row(&[S::AwaitingLaunchGate], E::LaunchReworked, &[Human], S::Building, &[PublishBrief]),
    row(&[S::AwaitingLaunchGate], E::LaunchRejected, &[Human], S::Killed, &[FreezeResult, StoreLearning]),
    row(&[S::AwaitingLaunchGate], E::LaunchVoided, &[System], S::Building, &[SupersedeGates, Notify]),
    row(&[S::Running], E::SampleReached, &[System], S::Measuring, &[]),
    row(LIVE, E::AutoPaused, &[System], S::Paused, &[FlagOff, OpenGate(GateType::AnalysisReview), Notify]),
    row(WAITING, E::AutoPaused, &[System], S::Paused, &[FlagOff, SupersedeGates, OpenGate(GateType::AnalysisReview), Notify]),
    row(LIVE, E::KilledByRule, &[System], S::Killed, &[FlagOff, FreezeResult, StoreLearning, Notify]),
    row(WAITING, E::KilledByRule, &[System], S::Killed, &[FlagOff, SupersedeGates, FreezeResult, StoreLearning, Notify]),
    row(LIVE, E::PausedByHand, &[Local, Human], S::Paused, &[FlagOff]),
    row(WAITING, E::PausedByHand, &[Local, Human], S::Paused, &[FlagOff, SupersedeGates]),
    Row { from: &[S::Paused], event: E::Resumed, by: &[Human], to: To::BeforePause, effects: &[SupersedeGates, SetFlag] },
    row(LIVE, E::AnalysisDue, &[System], S::AwaitingAnalysisGate, &[OpenGate(GateType::AnalysisReview), Notify]),
    row(LIVE, E::Concluded, &[System], S::AwaitingAnalysisGate, &[FlagOff, OpenGate(GateType::AnalysisReview), Notify]),
    row(WAITING, E::Concluded, &[System], S::AwaitingAnalysisGate, &[FlagOff, SupersedeGates, OpenGate(GateType::AnalysisReview), Notify]),
    row(WAITING, E::Rejudged, &[System], S::AwaitingAnalysisGate, &[SupersedeGates, OpenGate(GateType::AnalysisReview), Notify]),
    row(&[S::Paused], E::Rejudged, &[System], S::Paused, &[SupersedeGates, OpenGate(GateType::AnalysisReview), Notify]),
    Row { from: LIVE, event: E::Corrected, by: &[Human], to: To::Unchanged, effects: &[] },
    Row { from: &[S::Paused], event: E::Corrected, by: &[Human], to: To::Unchanged, effects: &[SupersedeGates, OpenGate(GateType::AnalysisReview)] },
    row(WAITING, E::Corrected, &[Human], S::AwaitingAnalysisGate, &[SupersedeGates, OpenGate(GateType::AnalysisReview), Notify]),
    row(ANALYSIS, E::Extended, &[Human], S::Measuring, &[SetFlag]),
    row(ANALYSIS, E::Scaled, &[Human], S::Scaling, &[SetFlag]),
    row(ANALYSIS, E::ShipProposed, &[Human], S::AwaitingShipGate, &[OpenGate(GateType::ShipApproval), Notify]),
    row(ANALYSIS, E::Iterated, &[Human], S::Killed, &[FlagOff, FreezeResult, StoreLearning, DraftSuccessor]),
    row(ANALYSIS, E::Killed, &[Human], S::Killed, &[FlagOff, FreezeResult, StoreLearning]),
    row(&[S::Scaling], E::StepMeasured, &[System], S::AwaitingScaleGate, &[OpenGate(GateType::ScaleApproval), Notify]),
    row(&[S::Scaling], E::LastStepMeasured, &[System], S::AwaitingShipGate, &[OpenGate(GateType::ShipApproval), Notify]),
    row(&[S::AwaitingScaleGate], E::ScaleApproved, &[Human], S::Scaling, &[SetFlag]),
    row(&[S::AwaitingScaleGate], E::ScaleRejected, &[Human], S::AwaitingAnalysisGate, &[OpenGate(GateType::AnalysisReview), Notify]),
    row(&[S::AwaitingShipGate], E::ShipApproved, &[Human], S::Shipped, &[SetFlagFull, FreezeResult, StoreLearning]),
    row(&[S::AwaitingShipGate], E::ShipRejected, &[Human], S::AwaitingAnalysisGate, &[OpenGate(GateType::AnalysisReview), Notify]),
    row(&[S::Hypothesis, S::AwaitingPortfolioGate, S::Building, S::FailedBuild, S::AwaitingLaunchGate],
        E::KilledByHand, &[Human], S::Killed, &[SupersedeGates, FreezeResult, StoreLearning]),
    row(&[S::Running, S::Measuring, S::Paused, S::AwaitingAnalysisGate, S::Scaling, S::AwaitingScaleGate, S::AwaitingShipGate],
        E::KilledByHand, &[Human], S::Killed, &[SupersedeGates, FlagOff, FreezeResult, StoreLearning]),
    // What runs elsewhere: it is guarded from the approval on, and nothing but off (and on again, after a pause) is ever written there.
    row(&[S::Hypothesis], E::Attached, &[Local, Human], S::AwaitingLaunchGate, &[OpenGate(GateType::LaunchApproval), Notify]),
    row(&[S::AwaitingLaunchGate], E::AttachApproved, &[Human], S::Running, &[FreezePlan, WatchFlag]),
    row(&[S::AwaitingLaunchGate], E::AttachVoided, &[System], S::Killed, &[SupersedeGates, FreezeResult, StoreLearning, Notify]),
    row(&[S::AwaitingAnalysisGate], E::GuardExtended, &[Human], S::Measuring, &[WatchFlag]),
    row(&[S::Running, S::Measuring, S::Paused, S::AwaitingAnalysisGate],
        E::Detached, &[Human], S::Detached, &[SupersedeGates, LeaveFlag, FreezeResult, StoreLearning]),
];

/// The row of the table that a decision stands for; `None` when this type of gate takes no such verdict. What runs elsewhere
/// (`is_attached`) is not reworked, scaled, shipped or followed by another one, and nothing else can be let go.
pub(super) fn decided_kind(gate: Option<GateType>, verdict: Verdict, is_attached: bool) -> Option<E> {
    use GateType::{AnalysisReview, LaunchApproval, PortfolioReview, ScaleApproval, ShipApproval};
    use Verdict as V;
    if is_attached {
        match (gate, verdict) {
            (Some(LaunchApproval), V::Approve | V::ApproveWithConditions) => return Some(E::AttachApproved),
            (Some(AnalysisReview), V::Extend) => return Some(E::GuardExtended),
            (Some(AnalysisReview) | None, V::Detach) => return Some(E::Detached),
            _ => {}
        }
    }
    Some(match (gate, verdict) {
        (Some(PortfolioReview), V::Approve | V::ApproveWithConditions) => E::PortfolioApproved,
        (Some(PortfolioReview), V::Reject) => E::PortfolioRejected,
        (Some(LaunchApproval), V::Approve | V::ApproveWithConditions) => E::LaunchApproved,
        (Some(LaunchApproval), V::Rework) => E::LaunchReworked,
        (Some(LaunchApproval), V::Reject) => E::LaunchRejected,
        (Some(AnalysisReview), V::Extend) => E::Extended,
        (Some(AnalysisReview), V::Scale) => E::Scaled,
        (Some(AnalysisReview), V::Ship) => E::ShipProposed,
        (Some(AnalysisReview), V::Iterate) => E::Iterated,
        (Some(AnalysisReview), V::Kill) => E::Killed,
        (Some(AnalysisReview), V::Resume) => E::Resumed,
        (Some(ScaleApproval), V::Approve) => E::ScaleApproved,
        (Some(ScaleApproval), V::Reject) => E::ScaleRejected,
        (Some(ShipApproval), V::Approve) => E::ShipApproved,
        (Some(ShipApproval), V::Reject) => E::ShipRejected,
        (None, V::Pause) => E::PausedByHand,
        (None, V::Resume) => E::Resumed,
        (None, V::Kill) => E::KilledByHand,
        _ => return None,
    })
}

impl E {
    /// Whether it can happen to an experiment that runs elsewhere, or to one that the runtime launches. What both can meet is for both.
    #[must_use]
    pub fn is_for(self, is_attached: bool) -> bool {
        match self {
            Self::Attached | Self::AttachApproved | Self::AttachVoided | Self::GuardExtended | Self::Detached => {
                is_attached
            }
            Self::Proposed
            | Self::PortfolioApproved
            | Self::PortfolioRejected
            | Self::PortfolioSuperseded
            | Self::ReportedBuilt
            | Self::ReportedFailed
            | Self::Retried
            | Self::LaunchApproved
            | Self::LaunchReworked
            | Self::LaunchVoided
            | Self::Scaled
            | Self::ShipProposed
            | Self::Iterated
            | Self::Extended
            | Self::StepMeasured
            | Self::LastStepMeasured
            | Self::ScaleApproved
            | Self::ScaleRejected
            | Self::ShipApproved
            | Self::ShipRejected => !is_attached,
            Self::LaunchRejected
            | Self::SampleReached
            | Self::AutoPaused
            | Self::PausedByHand
            | Self::Resumed
            | Self::AnalysisDue
            | Self::Concluded
            | Self::Rejudged
            | Self::Killed
            | Self::KilledByHand
            | Self::KilledByRule
            | Self::Corrected => true,
        }
    }

    /// Whether it leads to the next step of the rollout.
    pub(super) fn is_next_step(self) -> bool {
        matches!(self, Self::Scaled | Self::ScaleApproved)
    }
}
