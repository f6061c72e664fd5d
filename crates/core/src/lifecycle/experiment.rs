//! The experiment's lifecycle: DESIGN section 4 as a table.

use serde::{Deserialize, Serialize};

use super::TransitionError;
use super::correction::must_be_shown;
use crate::domain::{
    Assurance, Correction, ExperimentState, ExperimentStatus, GateType, Pause, PauseCause, SignedDecision, Verdict,
    text_enum,
};
use crate::identity::{Keyring, SignatureError, VerifiedDecision};
use crate::principal::{Principal, PrincipalKind};

use ExperimentEventKind as E;
use ExperimentStatus as S;
use PrincipalKind::{Agent, Human, Local, System};

text_enum! {
    /// What can happen to an experiment, as the table names it.
    pub enum ExperimentEventKind {
        Proposed, PortfolioApproved, PortfolioRejected, PortfolioSuperseded, ReportedBuilt, ReportedFailed, Retried,
        LaunchApproved, LaunchReworked, LaunchRejected, LaunchVoided, SampleReached, AutoPaused, PausedByHand, Resumed,
        AnalysisDue, Concluded, Rejudged, Extended, Scaled, ShipProposed, Iterated, Killed, StepMeasured, LastStepMeasured, ScaleApproved,
        ScaleRejected, ShipApproved, ShipRejected, KilledByHand, KilledByRule, Corrected,
    }
}

/// What happened, with its data. `D` is a decision: verified where it changes state, a claim where it is read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum ExperimentEvent<D = VerifiedDecision> {
    /// It passed the checks and waits for a human.
    Proposed,
    /// A new portfolio took its place.
    PortfolioSuperseded {
        /// Why.
        reason: String,
    },
    /// An agent or human says that it is built, and the scope is clean.
    ReportedBuilt {
        /// Full commit id.
        commit: String,
        /// Hash of the plan that goes with it.
        plan_hash: String,
        /// Its part of the outcome's error budget, from 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        budget_part: Option<u32>,
    },
    /// It could not be built.
    ReportedFailed {
        /// Why.
        reason: String,
    },
    /// Another try.
    Retried,
    /// What would be approved is no longer what was shown.
    LaunchVoided {
        /// Why.
        reason: String,
    },
    /// Enough units, and healthy.
    SampleReached,
    /// A limit was crossed.
    AutoPaused {
        /// Which kind.
        cause: PauseCause,
        /// The rule and the value.
        detail: String,
    },
    /// A constraint was crossed whose file entry says `on_violation: kill`.
    KilledByRule {
        /// The rule and the value.
        detail: String,
    },
    /// A human should look, and the flag stays where it is.
    AnalysisDue {
        /// Which.
        #[serde(rename = "verdict")]
        cause: AnalysisCause,
        /// Why, as a sentence.
        reason: String,
    },
    /// Futility or the end of the plan: the flag goes off while the gate waits.
    Concluded {
        /// Which.
        cause: AnalysisCause,
        /// Why, as a sentence.
        reason: String,
    },
    /// What the open gate recommends does not hold any more.
    Rejudged {
        /// What changed, as a sentence.
        reason: String,
    },
    /// The rollout step has been measured.
    StepMeasured,
    /// Somebody in this account stopped it, without a signature.
    PausedLocally {
        /// Their words.
        reason: String,
    },
    /// A human decided.
    Decided {
        /// The gate's type; none for pause, resume and kill by hand.
        gate: Option<GateType>,
        /// The signed decision.
        decision: D,
    },
    /// A human corrected the data.
    Corrected {
        /// What was wrong.
        correction: Correction,
        /// Hash of the plan that counts from now on.
        plan_hash: String,
        /// The signed decision.
        decision: D,
    },
}

text_enum! {
    /// Why an analysis is due.
    pub enum AnalysisCause {
        /// The engine recommends to ship.
        Ship,
        /// The declared effect is excluded.
        KillFutility,
        /// The effect is proven, a required guardrail is not.
        IterateGuardrailUnproven,
        /// The plan ended without an answer.
        IterateInconclusive,
        /// The plan ended, and the declared effect is excluded.
        EndOfPlan,
        /// On a rollout step the effect is below the smallest one worth having.
        StepTooSmall,
    }
}

impl ExperimentEvent<SignedDecision> {
    /// The same event with its decision verified.
    ///
    /// # Errors
    /// [`SignatureError`] when the decision does not count.
    pub fn verify(self, keyring: &Keyring) -> Result<ExperimentEvent, SignatureError> {
        use ExperimentEvent as V;
        Ok(match self {
            V::Proposed => V::Proposed,
            V::PortfolioSuperseded { reason } => V::PortfolioSuperseded { reason },
            V::ReportedBuilt { commit, plan_hash, budget_part } => V::ReportedBuilt { commit, plan_hash, budget_part },
            V::ReportedFailed { reason } => V::ReportedFailed { reason },
            V::Retried => V::Retried,
            V::LaunchVoided { reason } => V::LaunchVoided { reason },
            V::SampleReached => V::SampleReached,
            V::AutoPaused { cause, detail } => V::AutoPaused { cause, detail },
            V::KilledByRule { detail } => V::KilledByRule { detail },
            V::AnalysisDue { cause, reason } => V::AnalysisDue { cause, reason },
            V::Concluded { cause, reason } => V::Concluded { cause, reason },
            V::Rejudged { reason } => V::Rejudged { reason },
            V::StepMeasured => V::StepMeasured,
            V::PausedLocally { reason } => V::PausedLocally { reason },
            V::Decided { gate, decision } => V::Decided { gate, decision: keyring.verify(&decision)? },
            V::Corrected { correction, plan_hash, decision } => {
                V::Corrected { correction, plan_hash, decision: keyring.verify(&decision)? }
            }
        })
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
    DraftSuccessor, FlagOff, FreezePlan, FreezeResult, Notify, OpenGate, PublishBrief, SetFlag, SetFlagFull,
    StoreLearning, SupersedeGates,
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
];

/// The row of the table that a decision stands for; `None` when this type of gate takes no such verdict.
fn decided_kind(gate: Option<GateType>, verdict: Verdict) -> Option<E> {
    use GateType::{AnalysisReview, LaunchApproval, PortfolioReview, ScaleApproval, ShipApproval};
    use Verdict as V;
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

impl<D> ExperimentEvent<D> {
    /// The row it belongs to, in `state`.
    fn kind_with(&self, state: &ExperimentState, verdict: impl Fn(&D) -> Verdict) -> Option<E> {
        Some(match self {
            Self::Proposed => E::Proposed,
            Self::PortfolioSuperseded { .. } => E::PortfolioSuperseded,
            Self::ReportedBuilt { .. } => E::ReportedBuilt,
            Self::ReportedFailed { .. } => E::ReportedFailed,
            Self::Retried => E::Retried,
            Self::LaunchVoided { .. } => E::LaunchVoided,
            Self::SampleReached => E::SampleReached,
            Self::AutoPaused { .. } => E::AutoPaused,
            Self::KilledByRule { .. } => E::KilledByRule,
            Self::AnalysisDue { .. } => E::AnalysisDue,
            Self::Concluded { .. } => E::Concluded,
            Self::Rejudged { .. } => E::Rejudged,
            Self::StepMeasured if state.step + 1 < state.n_steps => E::StepMeasured,
            Self::StepMeasured => E::LastStepMeasured,
            Self::PausedLocally { .. } => E::PausedByHand,
            Self::Decided { gate, decision } => decided_kind(*gate, verdict(decision))?,
            Self::Corrected { correction, decision, .. } => match (correction, verdict(decision)) {
                (Correction::Query { .. }, Verdict::CorrectQuery)
                | (Correction::Reading { .. }, Verdict::ForgetReading) => E::Corrected,
                _ => return None,
            },
        })
    }
}

impl ExperimentEvent {
    /// The row it belongs to, in `state`; `None` for a verdict that its gate does not take.
    #[must_use]
    pub fn kind(&self, state: &ExperimentState) -> Option<E> {
        self.kind_with(state, |decision| decision.get().verdict)
    }

    /// The decision that it rests on, and the type of the gate that was decided, if it was one.
    #[must_use]
    pub fn decision(&self) -> Option<(Option<GateType>, &VerifiedDecision)> {
        match self {
            Self::Decided { gate, decision } => Some((*gate, decision)),
            Self::Corrected { decision, .. } => Some((None, decision)),
            _ => None,
        }
    }
}

/// The next state and what follows from it.
///
/// # Errors
/// [`TransitionError`] that names the state, the event and what is allowed.
pub fn transition_experiment(
    state: &ExperimentState,
    event: &ExperimentEvent,
    by: &Principal,
) -> Result<(ExperimentState, Vec<Effect>), TransitionError> {
    let kind = event
        .kind(state)
        .ok_or_else(|| TransitionError::WrongDecision("this type of gate does not accept this verdict".to_owned()))?;
    let row = EXPERIMENT_TABLE
        .iter()
        .find(|row| row.event == kind && row.from.contains(&state.status))
        .ok_or_else(|| not_allowed(state, kind))?;
    if !row.by.contains(&by.kind()) {
        return Err(TransitionError::WrongPrincipal {
            event: kind.to_string(),
            principal: by.kind().to_string(),
            allowed: row.by.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", "),
        });
    }
    if let Some((_, decision)) = event.decision()
        && !matches!(by, Principal::Human { member, .. } if *member == decision.get().member)
    {
        return Err(TransitionError::WrongDecision(
            "it was signed by a different member than the one who acts".to_owned(),
        ));
    }
    if let Some((gate, decision)) = event.decision() {
        let got = decision.get().assurance;
        let needed = match gate {
            _ if decision.get().verdict.is_negative() => Assurance::A2,
            _ if decision.get().verdict == Verdict::Resume => Assurance::A3,
            Some(gate_type) => gate_type.floor(),
            None => Assurance::A3,
        };
        if got < needed {
            return Err(TransitionError::AssuranceTooLow { needed, got });
        }
    }
    if let ExperimentEvent::Corrected { correction, plan_hash, decision } = event {
        must_be_shown(state, correction, plan_hash, decision)?;
    }
    let mut next = state.clone();
    next.status = match row.to {
        To::Status(status) => status,
        To::BeforePause => after_pause(state),
        To::Unchanged => state.status,
    };
    // A paused experiment that is judged again stays paused for the same reason.
    if next.status != S::Paused {
        next.pause = None;
    }
    match event {
        ExperimentEvent::ReportedBuilt { commit, plan_hash, budget_part } => {
            next.commit = Some(commit.clone());
            next.plan_hash = Some(plan_hash.clone());
            next.budget_part = *budget_part;
        }
        ExperimentEvent::Corrected { plan_hash, .. } => next.plan_hash = Some(plan_hash.clone()),
        ExperimentEvent::AutoPaused { cause, detail } => {
            next.pause = Some(Pause { cause: *cause, detail: detail.clone(), from: state.status });
        }
        ExperimentEvent::PausedLocally { reason } => {
            next.pause = Some(Pause { cause: PauseCause::Manual, detail: reason.clone(), from: state.status });
        }
        ExperimentEvent::Decided { decision, .. } if kind == E::PausedByHand => {
            let detail = decision.get().note.clone().unwrap_or_else(|| "paused by hand".to_owned());
            next.pause = Some(Pause { cause: PauseCause::Manual, detail, from: state.status });
        }
        _ => {}
    }
    if matches!(kind, E::LaunchVoided | E::LaunchReworked) {
        (next.commit, next.plan_hash) = (None, None);
    }
    if matches!(kind, E::Scaled | E::ScaleApproved) {
        if state.step + 1 >= state.n_steps {
            return Err(TransitionError::WrongDecision(
                "the rollout plan has no further step: choose `ship` instead".to_owned(),
            ));
        }
        next.step = state.step + 1;
    }
    Ok((next, row.effects.to_vec()))
}

/// Where a resume leads: a gate that waited before the pause was superseded by it.
pub(super) fn after_pause(state: &ExperimentState) -> ExperimentStatus {
    match state.pause.as_ref().map_or(S::Measuring, |pause| pause.from) {
        from if !from.is_waiting() => from,
        _ if state.step > 0 => S::Scaling,
        _ => S::Measuring,
    }
}

fn not_allowed(state: &ExperimentState, kind: E) -> TransitionError {
    let allowed: Vec<_> =
        EXPERIMENT_TABLE.iter().filter(|row| row.from.contains(&state.status)).map(|row| row.event.as_str()).collect();
    TransitionError::NotAllowed {
        subject: "experiment",
        state: state.status.to_string(),
        event: kind.to_string(),
        allowed: if allowed.is_empty() { "nothing: it has ended".to_owned() } else { allowed.join(", ") },
    }
}
