//! Keys as they are listed.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::Keys;
use crate::domain::{Enrolment, KeyKind};
use crate::error::Result;
use crate::identity::{NEW, fingerprint};
use crate::ids::{KeyId, MemberId};
use crate::usecases::kernel::keyring::keyring;
use crate::usecases::kernel::people::People;

crate::text_enum::text_enum! {
    /// Whether a key counts.
    pub enum KeyState {
        /// It does.
        Counts,
        /// It did, and what it signed then still does.
        Revoked,
        /// It is stored, and nobody whose key counts has vouched for it.
        Unknown,
    }
}

/// A key as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct KeyLine {
    /// Its id.
    pub key: KeyId,
    /// E-mail of its member or, where it is not known, their id with a word that says why.
    pub member: String,
    /// Id of its member.
    pub member_id: MemberId,
    /// How it is kept.
    pub kind: KeyKind,
    /// SHA-256 of its public key's hexadecimal form, or of the line of a key that is touched.
    pub fingerprint: String,
    /// Whether all others chain to it.
    pub is_root: bool,
    /// Whether it counts.
    pub state: KeyState,
    /// Since which line of the log somebody else had it, as a member said.
    pub compromised_since: Option<i64>,
    /// When it was enrolled.
    #[schemars(with = "String")]
    pub enrolled_at: Timestamp,
}

impl Keys<'_> {
    /// Every stored key, the first one first.
    ///
    /// # Errors
    /// When the database fails.
    #[tracing::instrument(level = "debug", name = "keys.list", skip_all)]
    pub async fn list(self) -> Result<Vec<KeyLine>> {
        let mut tx = self.0.read().await?;
        let ring = keyring(self.0, &mut tx).await?;
        let people = People::of(&mut tx, &ring).await?;
        let lines = tx.key_list().await?.into_iter().map(|stored| {
            let known = ring.get(stored.id);
            let Enrolment { key, kind, public_key, member, enrolled_by, enrolled_at, .. } =
                known.map_or(stored.certificate.enrolment, |known| known.certificate.enrolment.clone());
            KeyLine {
                key,
                member: people.shown(member),
                member_id: member,
                kind,
                fingerprint: fingerprint(&public_key),
                is_root: known.is_some() && enrolled_by == key,
                state: match known {
                    None => KeyState::Unknown,
                    Some(known) if known.counts_in(NEW) => KeyState::Counts,
                    Some(_) => KeyState::Revoked,
                },
                compromised_since: known.and_then(|known| known.compromised_since),
                enrolled_at,
            }
        });
        Ok(lines.collect())
    }
}
