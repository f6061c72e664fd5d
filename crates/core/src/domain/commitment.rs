//! Commitments to what a member is called: the log holds them in the place of names and e-mails, and cannot be asked for the texts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text_enum;
use crate::digest::sha256_hex;
use crate::ids::MemberId;

/// Keeps a commitment apart from everything else that is hashed.
const PREFIX: &str = "outcome-runtime member commitment v1";

text_enum! {
    /// What of a member is committed to.
    pub enum MemberField { Email, Name }
}

/// A random value of 256 bits, in hexadecimal. Without it nobody can try texts on a commitment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Salt(String);

impl Salt {
    /// From random bytes.
    #[must_use]
    pub fn of(bytes: [u8; 32]) -> Self {
        Self(hex::encode(bytes))
    }

    /// As it was stored; what is no salt opens nothing.
    #[must_use]
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// In hexadecimal.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// SHA-256, in hexadecimal, of five lines: the prefix, the field, the member's id, the salt in hexadecimal, and the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Commitment(String);

impl Commitment {
    /// Commits to a text.
    #[must_use]
    pub fn to(field: MemberField, member: MemberId, salt: &Salt, text: &str) -> Self {
        // The text is the last line, so that nothing in it can be taken for another part.
        Self(sha256_hex(format!("{PREFIX}\n{field}\n{member}\n{}\n{text}", salt.0)))
    }

    /// Whether this is the text.
    #[must_use]
    pub fn is_opened_by(&self, field: MemberField, member: MemberId, salt: &Salt, text: &str) -> bool {
        *self == Self::to(field, member, salt, text)
    }
}

/// What a certificate says of its member: commitments, never the texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct MemberCommitments {
    /// To the e-mail.
    pub email: Commitment,
    /// To the name.
    pub name: Commitment,
}

/// What opens a member's commitments. It stands in one table, and is no part of a line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberOpening {
    /// Whose.
    pub member: MemberId,
    /// The e-mail.
    pub email: String,
    /// Its salt.
    pub email_salt: Salt,
    /// The name.
    pub name: String,
    /// Its salt.
    pub name_salt: Salt,
}

impl MemberOpening {
    /// The commitments that it opens.
    #[must_use]
    pub fn commitments(&self) -> MemberCommitments {
        let to = |field, salt, text| Commitment::to(field, self.member, salt, text);
        MemberCommitments {
            email: to(MemberField::Email, &self.email_salt, &self.email),
            name: to(MemberField::Name, &self.name_salt, &self.name),
        }
    }

    /// Whether it opens these.
    #[must_use]
    pub fn opens(&self, commitments: &MemberCommitments) -> bool {
        let MemberCommitments { email, name } = commitments;
        email.is_opened_by(MemberField::Email, self.member, &self.email_salt, &self.email)
            && name.is_opened_by(MemberField::Name, self.member, &self.name_salt, &self.name)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn opening() -> MemberOpening {
        MemberOpening {
            member: MemberId(Uuid::from_u128(2)),
            email: "dana@example.com".to_owned(),
            email_salt: Salt::of([1; 32]),
            name: "Dana".to_owned(),
            name_salt: Salt::of([2; 32]),
        }
    }

    #[test]
    fn only_the_whole_opening_opens() {
        let commitments = opening().commitments();
        assert!(opening().opens(&commitments));
        let others = [
            MemberOpening { email: "mallory@example.com".to_owned(), ..opening() },
            MemberOpening { name: "Mallory".to_owned(), ..opening() },
            MemberOpening { email_salt: Salt::of([3; 32]), ..opening() },
            MemberOpening { name_salt: Salt::of([3; 32]), ..opening() },
            MemberOpening { member: MemberId(Uuid::from_u128(3)), ..opening() },
            // The fields cannot change places.
            MemberOpening {
                email: opening().name,
                email_salt: opening().name_salt,
                name: opening().email,
                name_salt: opening().email_salt,
                ..opening()
            },
        ];
        for other in others {
            assert!(!other.opens(&commitments), "{other:?}");
        }
    }

    /// What a program in another language computes, too (`docs/verify_decision.py`).
    #[test]
    fn a_commitment_is_the_hash_of_five_lines() {
        let text = "outcome-runtime member commitment v1\nemail\n00000000-0000-0000-0000-000000000002\n\
                    0101010101010101010101010101010101010101010101010101010101010101\ndana@example.com";
        assert_eq!(opening().commitments().email, Commitment(sha256_hex(text)));
    }
}
