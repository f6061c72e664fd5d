//! Keys of members, and what vouches for them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Assurance, MemberCommitments, text_enum};
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
        /// In hardware that a person touches for each signature (`sk-ssh`): A4.
        Touch,
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
            Self::Touch => Some(Assurance::A4),
        }
    }
}

/// The statement that a key belongs to a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// Format, 3. Before: 2, with the e-mail instead of commitments; and absent, where the signature had no prefix of its own either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u8>,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The member.
    pub member: MemberId,
    /// The member's e-mail, in the formats of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// What the member is called, committed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commitments: Option<MemberCommitments>,
    /// The key's id.
    pub key: KeyId,
    /// How it is kept.
    pub kind: KeyKind,
    /// Ed25519 public key in hexadecimal; of a key that is touched, the line of its `.pub` file without a comment.
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
    /// Over its canonical JSON, after the prefix of enrolments, in hexadecimal: Ed25519, or a whole signature of ssh where the voucher is
    /// a key that is touched.
    pub signature: String,
}
