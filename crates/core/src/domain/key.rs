//! Keys of members, and what vouches for them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Assurance, text_enum};
use crate::ids::{KeyId, MemberId, WorkspaceId};

text_enum! {
    /// How a key is kept, hence how surely its use shows a human.
    pub enum KeyKind {
        /// Sealed by a passphrase: A3.
        Passphrase,
        /// Unsealed, in the folder of workspaces of before: A2. Nothing is signed with it any more.
        Local,
        /// Derived from a code that its owner wrote down: it decides nothing, and vouches for a new key of the same member.
        Recovery,
    }
}

impl KeyKind {
    /// The level of decisions signed with such a key; `None` for a key that decides nothing.
    #[must_use]
    pub fn assurance(self) -> Option<Assurance> {
        match self {
            Self::Passphrase => Some(Assurance::A3),
            Self::Local => Some(Assurance::A2),
            Self::Recovery => None,
        }
    }
}

/// The statement that a key belongs to a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// Format. Absent in workspaces of before, whose signatures have no prefix of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u8>,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The member.
    pub member: MemberId,
    /// The member's e-mail.
    pub email: String,
    /// The key's id.
    pub key: KeyId,
    /// How it is kept.
    pub kind: KeyKind,
    /// Ed25519 public key in hexadecimal.
    pub public_key: String,
    /// The key that vouches for it; itself for the root.
    pub enrolled_by: KeyId,
    /// When.
    #[schemars(with = "String")]
    pub enrolled_at: Timestamp,
}

/// An enrolment with the voucher's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignedEnrolment {
    /// What was signed.
    pub enrolment: Enrolment,
    /// Ed25519 over its canonical JSON, after the prefix of enrolments, in hexadecimal.
    pub signature: String,
}
