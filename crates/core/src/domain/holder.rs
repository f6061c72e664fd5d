//! Who holds a gate.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::MemberId;

/// Who holds a gate, as its rules and its messages say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Holder {
    /// A member.
    Member {
        /// Which.
        member: MemberId,
    },
    /// The e-mail of a member, in gates of before.
    Email(String),
}

impl Holder {
    /// Whether a member is meant: by their id or, in gates of before, by the e-mail of their certificate of before.
    #[must_use]
    pub fn is(&self, member: MemberId, email_of_before: Option<&str>) -> bool {
        match self {
            Self::Member { member: held_by } => *held_by == member,
            Self::Email(email) => email_of_before.is_some_and(|own| own.eq_ignore_ascii_case(email)),
        }
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Member { member } => write!(f, "member {member}"),
            Self::Email(email) => f.write_str(email),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json, to_value};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_holder_is_read_as_it_was_written_now_and_before() {
        let member = MemberId(Uuid::from_u128(2));
        let written = json!([{ "member": member }, "Dana@example.com"]);
        let holders: Vec<Holder> = from_value(written.clone()).unwrap();
        assert_eq!(holders, [Holder::Member { member }, Holder::Email("Dana@example.com".to_owned())]);
        assert_eq!(to_value(&holders).unwrap(), written);
        let is = |other, email| holders.iter().map(|holder| holder.is(other, email)).collect::<Vec<_>>();
        assert_eq!(is(member, None), [true, false]);
        assert_eq!(is(MemberId(Uuid::from_u128(3)), Some("dana@example.com")), [false, true]);
    }
}
