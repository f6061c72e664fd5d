//! How a human proves to be one: the member and their unlocked key.

use secrecy::SecretString;

use super::tries;
use crate::error::{Code, Error, Result};
use crate::identity::{KeyKind, SigningKey};
use crate::store::{Member, MemberKey};
use crate::usecases::Runtime;

/// How the human proves to be one.
#[derive(Clone)]
pub enum Unlock {
    /// The passphrase that unlocks the member's signing key: assurance A3.
    Passphrase(SecretString),
}

/// A member with their unlocked key.
pub(in crate::usecases) struct Signer {
    pub(in crate::usecases) member: Member,
    pub(super) key: SigningKey,
    pub(super) stored: MemberKey,
}

/// The member who acts and their unlocked key. Wrong passphrases make the next try wait.
pub(super) async fn signer(runtime: &Runtime, email: Option<&str>, unlock: &Unlock) -> Result<Signer> {
    tries::wait(runtime).await;
    let done = unlocked(runtime, email, unlock).await;
    match &done {
        Ok(_) => tries::was_right(runtime),
        Err(error) if matches!(error.code(), Code::PassphraseWrong | Code::NotFound) => tries::was_wrong(runtime),
        Err(_) => {}
    }
    done
}

async fn unlocked(runtime: &Runtime, email: Option<&str>, unlock: &Unlock) -> Result<Signer> {
    let mut tx = runtime.read().await?;
    let members = tx.member_list().await?;
    let keys = tx.key_list().await?;
    drop(tx);
    let member = match email {
        None => members.into_iter().next(),
        Some(email) => members.into_iter().find(|member| member.email.eq_ignore_ascii_case(email)),
    }
    .ok_or_else(|| Error::not_found("member", email.unwrap_or("(none)")))?;
    let kind = match unlock {
        Unlock::Passphrase(_) => KeyKind::Passphrase,
    };
    let stored = keys
        .into_iter()
        .find(|key| key.member == member.id && key.kind == kind && key.revoked_at.is_none())
        .ok_or_else(|| Error::new(Code::Unauthenticated, format!("{} has no {kind} key", member.email)))?;
    let key = match unlock {
        Unlock::Passphrase(passphrase) => {
            let (sealed, id, passphrase) = (stored.sealed.clone(), stored.id, passphrase.clone());
            let sealed = sealed.ok_or_else(|| Error::new(Code::DatabaseCorrupt, "the sealed key is missing"))?;
            tokio::task::spawn_blocking(move || sealed.open(id, &passphrase))
                .await
                .map_err(|e| Error::new(Code::Internal, "unlocking the key was interrupted").because(e))??
        }
    };
    Ok(Signer { member, key, stored })
}

/// A member and their unlocked key.
pub(in crate::usecases) async fn member_key(
    runtime: &Runtime,
    email: Option<&str>,
    unlock: &Unlock,
) -> Result<(Member, SigningKey)> {
    let signer = signer(runtime, email, unlock).await?;
    Ok((signer.member, signer.key))
}
