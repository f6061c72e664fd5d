//! The outcome's lifecycle.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::TransitionError;
use crate::domain::{Assurance, Baseline, OutcomeState, OutcomeStatus, SignedDecision, Verdict, text_enum};
use crate::identity::{Keyring, SignatureError, VerifiedDecision};
use crate::principal::{Principal, PrincipalKind};

use OutcomeEventKind as E;
use OutcomeStatus as S;

text_enum! {
    /// What can happen to an outcome, as the table names it.
    pub enum OutcomeEventKind { Applied, Activated, Achieved, Expired, Abandoned }
}

impl E {
    /// What a member decides with it; `None` for what no decision leads to.
    pub(super) fn verdict(self) -> Option<Verdict> {
        match self {
            Self::Applied => Some(Verdict::AcceptPolicy),
            Self::Activated => Some(Verdict::Activate),
            Self::Achieved => Some(Verdict::ConfirmAchieved),
            Self::Abandoned => Some(Verdict::Abandon),
            Self::Expired => None,
        }
    }

    /// The least assurance of that decision. The use cases ask for A3; logs of before have A2.
    pub(super) fn needed(verdict: Verdict) -> Assurance {
        match verdict {
            Verdict::Activate | Verdict::Abandon => Assurance::A2,
            _ => Assurance::A3,
        }
    }
}

/// What happened, with its data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum OutcomeEvent<D = VerifiedDecision> {
    /// A changed declaration was stored.
    Applied {
        /// SHA-256 of the canonical spec.
        spec_hash: String,
        /// Signed consent, where the change lowers a gate's assurance.
        consent: Option<D>,
        /// Until when, where the horizon of an active outcome changed. Lines of earlier versions never moved it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Timestamp>,
    },
    /// It became the unit of work.
    Activated {
        /// What was measured.
        baseline: Baseline,
        /// Until when.
        deadline: Timestamp,
        /// The human's decision.
        decision: D,
    },
    /// The metric is where it should be, and a human confirmed it.
    Achieved {
        /// The human's decision.
        decision: D,
    },
    /// The deadline passed.
    Expired,
    /// A human gave it up.
    Abandoned {
        /// The human's decision.
        decision: D,
    },
}

impl OutcomeEvent<SignedDecision> {
    /// The same event with its decision verified, for the line of the log that it is in.
    ///
    /// # Errors
    /// [`SignatureError`] when the decision does not count.
    pub fn verify(self, keyring: &Keyring, line: i64) -> Result<OutcomeEvent, SignatureError> {
        Ok(match self {
            Self::Applied { spec_hash, consent, deadline } => OutcomeEvent::Applied {
                spec_hash,
                deadline,
                consent: consent.map(|decision| keyring.verify(&decision, line)).transpose()?,
            },
            Self::Activated { baseline, deadline, decision } => {
                OutcomeEvent::Activated { baseline, deadline, decision: keyring.verify(&decision, line)? }
            }
            Self::Achieved { decision } => OutcomeEvent::Achieved { decision: keyring.verify(&decision, line)? },
            Self::Expired => OutcomeEvent::Expired,
            Self::Abandoned { decision } => OutcomeEvent::Abandoned { decision: keyring.verify(&decision, line)? },
        })
    }
}

impl<D> OutcomeEvent<D> {
    /// The row it belongs to.
    #[must_use]
    pub fn kind(&self) -> E {
        match self {
            Self::Applied { .. } => E::Applied,
            Self::Activated { .. } => E::Activated,
            Self::Achieved { .. } => E::Achieved,
            Self::Expired => E::Expired,
            Self::Abandoned { .. } => E::Abandoned,
        }
    }

    /// The human's decision in it.
    #[must_use]
    pub fn decision(&self) -> Option<&D> {
        match self {
            Self::Applied { consent, .. } => consent.as_ref(),
            Self::Activated { decision, .. } | Self::Achieved { decision } | Self::Abandoned { decision } => {
                Some(decision)
            }
            Self::Expired => None,
        }
    }
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct OutcomeRow {
    /// Where it can be taken.
    pub from: &'static [OutcomeStatus],
    /// What happens.
    pub event: OutcomeEventKind,
    /// Who may.
    pub by: &'static [PrincipalKind],
    /// Where it leads; `None` stays.
    pub to: Option<OutcomeStatus>,
}

/// The lifecycle of an outcome, one row a step.
#[rustfmt::skip]
pub const OUTCOME_TABLE: &[OutcomeRow] = &[
    OutcomeRow { from: &[S::Draft, S::Active], event: E::Applied, by: &[PrincipalKind::Human, PrincipalKind::System], to: None },
    OutcomeRow { from: &[S::Draft], event: E::Activated, by: &[PrincipalKind::Human], to: Some(S::Active) },
    OutcomeRow { from: &[S::Active], event: E::Achieved, by: &[PrincipalKind::Human], to: Some(S::Achieved) },
    OutcomeRow { from: &[S::Active], event: E::Expired, by: &[PrincipalKind::System], to: Some(S::Expired) },
    OutcomeRow { from: &[S::Draft, S::Active], event: E::Abandoned, by: &[PrincipalKind::Human], to: Some(S::Abandoned) },
];

/// The next state.
///
/// # Errors
/// [`TransitionError`] that names the state, the event and what is allowed.
pub fn transition_outcome(
    state: &OutcomeState,
    event: &OutcomeEvent,
    by: &Principal,
) -> Result<OutcomeState, TransitionError> {
    let kind = event.kind();
    let row =
        OUTCOME_TABLE.iter().find(|row| row.event == kind && row.from.contains(&state.status)).ok_or_else(|| {
            let allowed: Vec<_> = OUTCOME_TABLE
                .iter()
                .filter(|row| row.from.contains(&state.status))
                .map(|row| row.event.as_str())
                .collect();
            TransitionError::NotAllowed {
                subject: "outcome",
                state: state.status.to_string(),
                event: kind.to_string(),
                allowed: if allowed.is_empty() { "nothing: it has ended".to_owned() } else { allowed.join(", ") },
            }
        })?;
    if !row.by.contains(&by.kind()) {
        return Err(TransitionError::WrongPrincipal {
            event: kind.to_string(),
            principal: by.kind().to_string(),
            allowed: row.by.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", "),
        });
    }
    if let (Some(decision), Some(wanted)) = (event.decision(), kind.verdict()) {
        let decision = decision.get();
        if decision.verdict != wanted {
            return Err(TransitionError::WrongDecision(format!("it says `{}`, not `{wanted}`", decision.verdict)));
        }
        if !matches!(by, Principal::Human { member, .. } if *member == decision.member) {
            return Err(TransitionError::WrongDecision(
                "it was signed by a different member than the one who acts".to_owned(),
            ));
        }
        let needed = E::needed(wanted);
        if decision.assurance < needed {
            return Err(TransitionError::AssuranceTooLow { needed, got: decision.assurance });
        }
        if let OutcomeEvent::Applied { spec_hash, .. } = event
            && decision.context_hash != *spec_hash
        {
            return Err(TransitionError::WrongDecision("it accepts a different declaration".to_owned()));
        }
    }
    let mut next = state.clone();
    if let Some(status) = row.to {
        next.status = status;
    }
    if let OutcomeEvent::Activated { baseline, deadline, .. } = event {
        next.baseline = Some(baseline.clone());
        next.deadline = Some(*deadline);
    }
    if let OutcomeEvent::Applied { deadline: Some(deadline), .. } = event
        && next.deadline.is_some()
    {
        next.deadline = Some(*deadline);
    }
    Ok(next)
}
