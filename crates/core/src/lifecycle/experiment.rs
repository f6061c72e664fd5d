//! The experiment's lifecycle: what happens, and where it leads.

use serde::{Deserialize, Serialize};

use super::TransitionError;
use super::assurance::{must_be_sure, needed};
use super::basis::check_experiment_basis;
use super::correction::must_be_shown;
use super::experiment_table::{EXPERIMENT_TABLE, Effect, ExperimentEventKind, To, decided_kind};
use crate::domain::{
    Correction, ExperimentState, ExperimentStatus, GateType, Pause, PauseCause, SignalCaps, SignedDecision, Verdict,
    text_enum,
};
use crate::identity::{Keyring, SignatureError, VerifiedDecision};
use crate::principal::Principal;

use ExperimentEventKind as E;
use ExperimentStatus as S;

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
    /// Somebody asks that it is guarded where it runs already.
    Attached {
        /// Hash of the plan that goes with it.
        plan_hash: String,
        /// What the quantiles of its metrics came to; they are a part of that plan.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        caps: Vec<SignalCaps>,
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
        /// What the quantiles of its metrics came to; they are a part of that plan.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        caps: Vec<SignalCaps>,
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
    /// The same event with its decision verified, for the line of the log that it is in.
    ///
    /// # Errors
    /// [`SignatureError`] when the decision does not count.
    pub fn verify(self, keyring: &Keyring, line: i64) -> Result<ExperimentEvent, SignatureError> {
        use ExperimentEvent as V;
        Ok(match self {
            V::Proposed => V::Proposed,
            V::PortfolioSuperseded { reason } => V::PortfolioSuperseded { reason },
            V::Attached { plan_hash, caps } => V::Attached { plan_hash, caps },
            V::ReportedBuilt { commit, plan_hash, budget_part, caps } => {
                V::ReportedBuilt { commit, plan_hash, budget_part, caps }
            }
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
            V::Decided { gate, decision } => V::Decided { gate, decision: keyring.verify(&decision, line)? },
            V::Corrected { correction, plan_hash, decision } => {
                V::Corrected { correction, plan_hash, decision: keyring.verify(&decision, line)? }
            }
        })
    }
}

impl<D> ExperimentEvent<D> {
    /// The decision that it rests on, and the type of the gate that was decided, if it was one.
    #[must_use]
    pub fn decision(&self) -> Option<(Option<GateType>, &D)> {
        match self {
            Self::Decided { gate, decision } => Some((*gate, decision)),
            Self::Corrected { decision, .. } => Some((None, decision)),
            _ => None,
        }
    }

    /// Why, where the event itself says it.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::PortfolioSuperseded { reason }
            | Self::ReportedFailed { reason }
            | Self::LaunchVoided { reason }
            | Self::AutoPaused { detail: reason, .. }
            | Self::KilledByRule { detail: reason }
            | Self::AnalysisDue { reason, .. }
            | Self::Concluded { reason, .. }
            | Self::Rejudged { reason }
            | Self::PausedLocally { reason } => Some(reason),
            Self::Proposed
            | Self::Attached { .. }
            | Self::ReportedBuilt { .. }
            | Self::Retried
            | Self::SampleReached
            | Self::StepMeasured
            | Self::Decided { .. }
            | Self::Corrected { .. } => None,
        }
    }

    /// The row it belongs to, in `state`.
    fn kind_with(&self, state: &ExperimentState, verdict: impl Fn(&D) -> Verdict) -> Option<E> {
        let is_attached = state.is_attached();
        let kind = match self {
            Self::Attached { .. } => E::Attached,
            Self::Proposed => E::Proposed,
            Self::PortfolioSuperseded { .. } => E::PortfolioSuperseded,
            Self::ReportedBuilt { .. } => E::ReportedBuilt,
            Self::ReportedFailed { .. } => E::ReportedFailed,
            Self::Retried => E::Retried,
            Self::LaunchVoided { .. } if is_attached => E::AttachVoided,
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
            Self::Decided { gate, decision } => decided_kind(*gate, verdict(decision), is_attached)?,
            Self::Corrected { correction, decision, .. } => match (correction, verdict(decision)) {
                (Correction::Query { .. }, Verdict::CorrectQuery)
                | (Correction::Reading { .. }, Verdict::ForgetReading) => E::Corrected,
                _ => return None,
            },
        };
        kind.is_for(is_attached).then_some(kind)
    }
}

impl ExperimentEvent {
    /// The row it belongs to, in `state`; `None` for a verdict that its gate does not take.
    #[must_use]
    pub fn kind(&self, state: &ExperimentState) -> Option<E> {
        self.kind_with(state, |decision| decision.get().verdict)
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
    let kind = event.kind(state).ok_or_else(|| {
        TransitionError::WrongDecision("an experiment of this kind does not take this step".to_owned())
    })?;
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
        must_be_sure(decision, gate, needed(gate, decision.get().verdict, decision.may_be_touched()))?;
        check_experiment_basis(state, row.effects, decision.get())?;
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
        ExperimentEvent::ReportedBuilt { commit, plan_hash, budget_part, caps } => {
            next.commit = Some(commit.clone());
            next.plan_hash = Some(plan_hash.clone());
            next.budget_part = *budget_part;
            next.caps.clone_from(caps);
        }
        ExperimentEvent::Attached { plan_hash, caps } => {
            next.plan_hash = Some(plan_hash.clone());
            next.caps.clone_from(caps);
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
    if kind.is_next_step() {
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
    let allowed: Vec<_> = EXPERIMENT_TABLE
        .iter()
        .filter(|row| row.from.contains(&state.status) && row.event.is_for(state.is_attached()))
        .map(|row| row.event.as_str())
        .collect();
    TransitionError::NotAllowed {
        subject: "experiment",
        state: state.status.to_string(),
        event: kind.to_string(),
        allowed: if allowed.is_empty() { "nothing: it has ended".to_owned() } else { allowed.join(", ") },
    }
}
