//! The gate's lifecycle: one decision, by its holder, sure enough, about what was shown. Silence never approves.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::TransitionError;
use super::assurance::{least_at, must_be_sure};
use crate::domain::{
    Assurance, Decision, DecisionSubject, GatePolicy, GateState, GateStatus, GateType, Holder, PolicyBasis,
    SignedDecision, text_enum,
};
use crate::identity::{Keyring, SignatureError, VerifiedDecision};
use crate::ids::GateId;
use crate::principal::{Principal, PrincipalKind};

text_enum! {
    /// What can happen to an open gate.
    pub enum GateEventKind { Decided, Reminded, Escalated, TimedOut, Superseded }
}

/// What happened to a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum GateEvent<D = VerifiedDecision> {
    /// A human decided.
    Decided {
        /// The signed decision.
        decision: D,
    },
    /// Half of the time is over and the holder was reminded.
    Reminded,
    /// The time is over: the next in the chain holds it.
    Escalated {
        /// New limit.
        due_at: Timestamp,
    },
    /// The chain is at its end.
    TimedOut,
    /// What it was about has changed.
    Superseded {
        /// Why.
        reason: String,
    },
}

impl GateEvent<SignedDecision> {
    /// The same event with its decision verified, for the line of the log that it is in.
    ///
    /// # Errors
    /// [`SignatureError`] when the decision does not count.
    pub fn verify(self, keyring: &Keyring, line: i64) -> Result<GateEvent, SignatureError> {
        Ok(match self {
            Self::Decided { decision } => GateEvent::Decided { decision: keyring.verify(&decision, line)? },
            Self::Reminded => GateEvent::Reminded,
            Self::Escalated { due_at } => GateEvent::Escalated { due_at },
            Self::TimedOut => GateEvent::TimedOut,
            Self::Superseded { reason } => GateEvent::Superseded { reason },
        })
    }
}

impl<D> GateEvent<D> {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> GateEventKind {
        match self {
            Self::Decided { .. } => GateEventKind::Decided,
            Self::Reminded => GateEventKind::Reminded,
            Self::Escalated { .. } => GateEventKind::Escalated,
            Self::TimedOut => GateEventKind::TimedOut,
            Self::Superseded { .. } => GateEventKind::Superseded,
        }
    }
}

/// What a gate was opened with; fixed for its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateRules {
    /// The gate.
    pub id: GateId,
    /// Its type.
    pub gate_type: GateType,
    /// SHA-256 of what is shown.
    pub context_hash: String,
    /// Who decides, until when, how surely.
    pub policy: GatePolicy,
    /// Who holds it, in the order of escalation; empty means any member.
    pub holders: Vec<Holder>,
}

/// The next state. For [`GateEvent::Decided`] the gate stays pending until its quorum is reached.
///
/// `email_of_before`: of the human who acts, where a certificate of before says it. Gates of before name their holders by it.
///
/// # Errors
/// [`TransitionError`].
pub fn transition_gate(
    rules: &GateRules,
    state: &GateState,
    event: &GateEvent,
    by: &Principal,
    email_of_before: Option<&str>,
) -> Result<GateState, TransitionError> {
    // A gate that timed out still takes a decision: late is better than never, and only silence is worth nothing.
    let is_open = matches!(state.status, GateStatus::Pending | GateStatus::TimedOut);
    let wanted = if matches!(event, GateEvent::Decided { .. }) { PrincipalKind::Human } else { PrincipalKind::System };
    let closes = matches!(event, GateEvent::Decided { .. } | GateEvent::Superseded { .. });
    if !(is_open && (closes || state.status == GateStatus::Pending)) {
        return Err(TransitionError::NotAllowed {
            subject: "gate",
            state: state.status.to_string(),
            event: event.kind().to_string(),
            allowed: if is_open { "decided, superseded" } else { "nothing: it has ended" }.to_owned(),
        });
    }
    let superseding_human = matches!(event, GateEvent::Superseded { .. }) && by.kind() == PrincipalKind::Human;
    if by.kind() != wanted && !superseding_human {
        return Err(TransitionError::WrongPrincipal {
            event: event.kind().to_string(),
            principal: by.kind().to_string(),
            allowed: wanted.to_string(),
        });
    }
    let mut next = state.clone();
    match event {
        GateEvent::Decided { decision } => {
            check_decision(rules, state, decision, by, email_of_before)?;
            let decision = decision.get();
            if !next.votes.contains(&decision.member) {
                next.votes.push(decision.member);
            }
            let enough = u32::try_from(next.votes.len()).unwrap_or(u32::MAX) >= rules.policy.quorum;
            if enough || decision.verdict.is_negative() {
                next.status = GateStatus::after(decision.verdict);
            }
        }
        GateEvent::Reminded => next.reminded = true,
        GateEvent::Escalated { due_at } => {
            next.holder = state.holder + 1;
            next.due_at = *due_at;
            next.reminded = false;
        }
        GateEvent::TimedOut => next.status = GateStatus::TimedOut,
        GateEvent::Superseded { .. } => next.status = GateStatus::Superseded,
    }
    Ok(next)
}

fn check_decision(
    rules: &GateRules,
    state: &GateState,
    verified: &VerifiedDecision,
    by: &Principal,
    email_of_before: Option<&str>,
) -> Result<(), TransitionError> {
    let decision = verified.get();
    let wrong = |what: String| Err(TransitionError::WrongDecision(what));
    if decision.subject != DecisionSubject::Gate(rules.id) {
        return wrong("it is about something else".to_owned());
    }
    if decision.context_hash != rules.context_hash {
        return wrong("the signed hash is not the hash of this gate's context".to_owned());
    }
    if !matches!(by, Principal::Human { member, .. } if *member == decision.member) {
        return wrong("it was signed by a different member than the one who acts".to_owned());
    }
    check_gate_basis(rules, state, decision)?;
    if !rules.gate_type.verdicts().contains(&decision.verdict) {
        let valid: Vec<_> = rules.gate_type.verdicts().iter().map(|verdict| verdict.as_str()).collect();
        return wrong(format!(
            "a {} gate does not accept `{}` (it accepts {})",
            rules.gate_type,
            decision.verdict,
            valid.join(", ")
        ));
    }
    let needed = if decision.verdict.is_negative() {
        rules.policy.assurance.min(Assurance::A2)
    } else {
        rules.policy.assurance.max(least_at(rules.gate_type, verified.may_be_touched()))
    };
    must_be_sure(verified, Some(rules.gate_type), needed)?;
    // Everybody up to the present holder may decide: an escalation adds a holder, it takes nobody's right away.
    let may = rules.holders.is_empty()
        || rules.holders.iter().take(state.holder + 1).any(|holder| holder.is(decision.member, email_of_before));
    if !may {
        let holder = rules.holders.get(state.holder).map(ToString::to_string).unwrap_or_default();
        return Err(TransitionError::NotHolder { holder });
    }
    Ok(())
}

/// The policy that was signed must be the gate's, and nobody may have decided in between.
fn check_gate_basis(rules: &GateRules, state: &GateState, decision: &Decision) -> Result<(), TransitionError> {
    let Some(basis) = &decision.basis else { return Ok(()) };
    if basis.policy.as_ref() == Some(&policy_basis(rules, state)) {
        return Ok(());
    }
    Err(TransitionError::WrongDecision("it was signed for a gate with another policy or other decisions".to_owned()))
}

/// What a decision about a gate rests on.
#[must_use]
pub fn policy_basis(rules: &GateRules, state: &GateState) -> PolicyBasis {
    PolicyBasis {
        gate_type: rules.gate_type,
        assurance: rules.policy.assurance,
        quorum: rules.policy.quorum,
        decided_before: state.votes.clone(),
    }
}
