//! A stop that only a human ends.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Facts, GatePolicy, GateType, Slug, Stored, Verdict, text_enum};
use crate::ids::{ExperimentId, GateId, OutcomeId};

text_enum! {
    /// How it ended, if it did.
    pub enum GateStatus { Pending, Approved, ApprovedWithConditions, Rejected, Delegated, TimedOut, Superseded }
}

impl GateStatus {
    /// Decided by a human.
    #[must_use]
    pub fn is_decided(self) -> bool {
        matches!(self, Self::Approved | Self::ApprovedWithConditions | Self::Rejected)
    }

    /// Where a verdict leads.
    #[must_use]
    pub fn after(verdict: Verdict) -> Self {
        match verdict {
            Verdict::ApproveWithConditions => Self::ApprovedWithConditions,
            Verdict::Reject
            | Verdict::Rework
            | Verdict::Kill
            | Verdict::Pause
            | Verdict::Iterate
            | Verdict::Abandon => Self::Rejected,
            Verdict::Approve
            | Verdict::Extend
            | Verdict::Scale
            | Verdict::Ship
            | Verdict::Resume
            | Verdict::Detach
            | Verdict::AcceptPolicy
            | Verdict::ConfirmAchieved
            | Verdict::Activate
            | Verdict::CorrectQuery
            | Verdict::ForgetReading
            | Verdict::RevokeKey
            | Verdict::MarkCompromised
            | Verdict::ForgetMember
            | Verdict::Restore
            | Verdict::Vouch => Self::Approved,
        }
    }
}

/// What the human is shown. Immutable; its canonical JSON is hashed, and the hash is part of the signed decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContextPackage {
    /// Format, 1.
    pub version: u8,
    /// The gate.
    pub gate: GateId,
    /// Its type.
    pub gate_type: GateType,
    /// The question in our words.
    pub question: String,
    /// An agent's words, where an agent asked. Untrusted: shown as a quotation.
    pub agent_says: Option<String>,
    /// Slug of the outcome; none for a change of the outcome file.
    pub outcome: Option<Slug>,
    /// Slug of the experiment.
    pub experiment: Option<Slug>,
    /// The verdicts that can be given.
    pub verdicts: Vec<Verdict>,
    /// A deterministic recommendation, with its reason.
    pub recommendation: Option<String>,
    /// What to look at: plan, diff, result, score, learnings. Texts by others stand in fields named `*_says`.
    pub facts: Stored<Facts>,
    /// Sentences to tick.
    pub checklist: Vec<String>,
    /// Conditions of earlier gates, to be checked here.
    pub open_conditions: Vec<String>,
    /// When it was put together.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
}

/// What the transition function decides about a gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateState {
    /// Where it stands.
    pub status: GateStatus,
    /// Index into `[assigned_to] + escalation` of who holds it.
    pub holder: usize,
    /// Until when the holder should decide.
    #[schemars(with = "String")]
    pub due_at: Timestamp,
    /// True once the reminder went out.
    pub reminded: bool,
    /// Agreeing decisions so far, by member, where the quorum is more than one.
    #[serde(default)]
    pub votes: Vec<crate::ids::MemberId>,
}

/// A gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gate {
    /// Its id.
    pub id: GateId,
    /// Its name for people.
    pub slug: Slug,
    /// Its type.
    pub gate_type: GateType,
    /// The outcome it belongs to; none for a change of the outcome file.
    pub outcome: Option<OutcomeId>,
    /// The experiment it is about.
    pub experiment: Option<ExperimentId>,
    /// Who decides, until when, how surely.
    pub policy: GatePolicy,
    /// Where it stands.
    pub state: GateState,
    /// Canonical JSON of the [`ContextPackage`].
    pub context: String,
    /// SHA-256 of `context`, in hexadecimal.
    pub context_hash: String,
    /// When it was opened.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// When it was decided.
    #[schemars(with = "Option<String>")]
    pub responded_at: Option<Timestamp>,
}
