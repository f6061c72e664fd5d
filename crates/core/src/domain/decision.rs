//! What a human decided: a signed object over what was shown. It becomes valid only through `identity::Keyring`.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Assurance, Basis, DefaultBranch, Verdict, text_enum};
use crate::ids::{ExperimentId, GateId, KeyId, MemberId, OutcomeId, WorkspaceId};

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
    /// A member's key: revoke it, or say that somebody else had it.
    Key(KeyId),
    /// A member: remove their name.
    Member(MemberId),
    /// The workspace: go on from a backup.
    Workspace(WorkspaceId),
}

/// A decision before it is signed. What the signature covers: see [`super::SignedDecision`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Format, 2. In workspaces of before there are decisions of format 1, without a basis.
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
    /// What it rests on; absent in format 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<Basis>,
}
