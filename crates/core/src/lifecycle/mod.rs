//! The one place where a status changes: `(state, event, principal) -> state + effects`, as tables.
//!
//! **Invariant**: pure. No I/O, no clock, no randomness. Nothing else in the product writes a status, and the stored
//! state always equals the fold of these functions over the audit log (`audit::replay`).

mod acts;
mod assurance;
mod basis;
mod correction;
mod diagram;
mod experiment;
mod experiment_table;
mod gate;
mod outcome;
mod policy;

pub use acts::acts_markdown;
pub use assurance::least_at;
pub use basis::flag_after;
pub use correction::shown_correction;
pub use diagram::lifecycle_markdown;
pub use experiment::{AnalysisCause, ExperimentEvent, transition_experiment};
pub use experiment_table::{EXPERIMENT_TABLE, Effect, ExperimentEventKind, Row, To};
pub use gate::{GateEvent, GateEventKind, GateRules, policy_basis, transition_gate};
pub use outcome::{OUTCOME_TABLE, OutcomeEvent, OutcomeEventKind, OutcomeRow, transition_outcome};
pub use policy::{
    Failing, GateAdvice, PollFindings, Silence, Standing, asks_for_analysis, event_after_poll, is_danger, least_time,
    may_go_on, statistical_finding,
};

use crate::domain::Assurance;
use crate::error::{Code, Error};

/// Why a step is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransitionError {
    /// The table has no such row.
    #[error("{subject} is `{state}`; `{event}` is not allowed in this state (allowed now: {allowed})")]
    NotAllowed {
        /// `experiment`, `outcome` or `gate`.
        subject: &'static str,
        /// Where it stands.
        state: String,
        /// What was tried.
        event: String,
        /// What could be done, and by whom.
        allowed: String,
    },
    /// The table has the row, but not for this kind of principal.
    #[error("`{event}` is not allowed for principals of kind {principal}: only for {allowed}")]
    WrongPrincipal {
        /// What was tried.
        event: String,
        /// The kind of principal that tried.
        principal: String,
        /// The kinds that may.
        allowed: String,
    },
    /// The verdict belongs to another type of gate, or the decision is about something else.
    #[error("the decision does not fit: {0}")]
    WrongDecision(String),
    /// The assurance of the decision is too low.
    #[error("this needs assurance {needed} ({}), but the decision has {got} ({})", needed.label(), got.label())]
    AssuranceTooLow {
        /// What the gate asks for.
        needed: Assurance,
        /// What the decision has.
        got: Assurance,
    },
    /// The key was touched by somebody whom it does not know.
    #[error("to ship, the key must know who touches it, by a PIN or a finger; this signature says that it did not")]
    NotVerified,
    /// Another member holds the gate.
    #[error("{holder} holds this gate")]
    NotHolder {
        /// Who does.
        holder: String,
    },
}

impl From<TransitionError> for Error {
    fn from(error: TransitionError) -> Self {
        use TransitionError as E;
        let (code, hint) = match &error {
            E::NotAllowed { subject: "gate", .. } => (Code::GateNotPending, "a gate accepts only one decision"),
            E::NotAllowed { .. } => (Code::Conflict, "`outcome-runtime status` shows the current state"),
            E::WrongPrincipal { .. } => (Code::Forbidden, "agents propose and build; only humans decide"),
            E::WrongDecision(_) => (Code::Conflict, "review the gate again and decide on what it shows now"),
            E::AssuranceTooLow { needed: Assurance::A4, .. } => (
                Code::AssuranceTooLow,
                "decide in a terminal with the key that you touch: `outcome-runtime gate decide GATE --key`",
            ),
            E::NotVerified => (
                Code::AssuranceTooLow,
                "decide with a key that was made with `-O verify-required`: it asks for its PIN each time",
            ),
            E::AssuranceTooLow { .. } => (
                Code::AssuranceTooLow,
                "decide with your passphrase: on the gate's page or with `outcome-runtime gate decide`",
            ),
            E::NotHolder { .. } => {
                (Code::NotGateHolder, "the holder decides, or the next person in the escalation once the time is over")
            }
        };
        Self::new(code, error.to_string()).hint(hint)
    }
}
