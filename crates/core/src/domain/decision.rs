//! What a human decided: a signed object over what was shown. It becomes valid only through `identity::Keyring`.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DefaultBranch, text_enum};
use crate::ids::{ExperimentId, GateId, KeyId, MemberId, OutcomeId, WorkspaceId};

/// How surely a decision came from a human (DESIGN section 6). Ordered: A1 < A2 < A3 < A4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Assurance {
    /// An answer to an elicitation: decides nothing.
    A1,
    /// A local terminal or page without a secret: "local, unverified".
    A2,
    /// A passphrase unlocked the member's signing key.
    A3,
    /// A key that needs a human touch.
    A4,
}

impl Assurance {
    /// For people: what the level means.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::A1 => "elicitation answer, cannot decide",
            Self::A2 => "local, unverified",
            Self::A3 => "passphrase-signed",
            Self::A4 => "hardware key, touched by a human",
        }
    }
}

impl std::fmt::Display for Assurance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::str::FromStr for Assurance {
    type Err = String;
    /// # Errors
    /// A sentence that lists the valid values.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "A1" => Ok(Self::A1),
            "A2" => Ok(Self::A2),
            "A3" => Ok(Self::A3),
            "A4" => Ok(Self::A4),
            _ => Err(format!("`{}` is not one of A1, A2, A3, A4", text.chars().take(60).collect::<String>())),
        }
    }
}

text_enum! {
    /// What was decided. Which ones a gate takes depends on its type.
    pub enum Verdict {
        Approve, ApproveWithConditions, Reject, Rework, Extend, Scale, Ship, Iterate, Kill, Pause, Resume,
        /// Accept a policy that lowers a gate's assurance.
        AcceptPolicy,
        /// Confirm that an outcome is achieved.
        ConfirmAchieved,
        Activate,
        Abandon,
        /// Read a signal of a running experiment with another query.
        CorrectQuery,
        /// Leave out a reading of an experiment.
        ForgetReading,
    }
}

impl Verdict {
    /// True for decisions that make things safer: they may come from [`Assurance::A2`].
    #[must_use]
    pub fn is_negative(self) -> bool {
        matches!(self, Self::Reject | Self::Rework | Self::Kill | Self::Pause | Self::Iterate | Self::Abandon)
    }
}

text_enum! {
    /// Where the human was.
    pub enum Surface { Terminal, Page }
}

/// What a decision is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
#[schemars(inline)]
pub enum DecisionSubject {
    /// A pending gate.
    Gate(GateId),
    /// An experiment, outside of a gate: pause, resume, kill.
    Experiment(ExperimentId),
    /// An outcome: activate, abandon, confirm, accept a policy.
    Outcome(OutcomeId),
}

/// A decision before it is signed. Its canonical JSON (RFC 8785) is what the signature covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Format, 1.
    pub version: u8,
    /// The workspace it counts in.
    pub workspace: WorkspaceId,
    /// What it is about.
    pub subject: DecisionSubject,
    /// SHA-256 of the context package that was shown, in hexadecimal.
    pub context_hash: String,
    /// Number of the last line of the audit log when it was signed.
    pub log_seq: i64,
    /// Hash of that line: every decision anchors the log up to it.
    pub log_head: String,
    /// What was decided.
    pub verdict: Verdict,
    /// Conditions, for `approve_with_conditions`.
    pub conditions: Vec<String>,
    /// The human's words.
    pub note: Option<String>,
    /// Who.
    pub member: MemberId,
    /// With which key.
    pub key: KeyId,
    /// How surely.
    pub assurance: Assurance,
    /// Where.
    pub surface: Surface,
    /// The default branch with which the build is compared, for an approval to build or to launch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<DefaultBranch>,
    /// When.
    #[schemars(with = "String")]
    pub decided_at: Timestamp,
}

/// A decision with its signature; a claim until a keyring has verified it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignedDecision {
    /// What was signed.
    pub decision: Decision,
    /// Ed25519 over the canonical JSON of `decision`, in hexadecimal.
    pub signature: String,
}
