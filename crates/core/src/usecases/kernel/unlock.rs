//! How a human proves to be one: the member and their unlocked key.

use jiff::Timestamp;
use secrecy::SecretString;

use super::keyring::keyring;
use super::people::{People, Person};
use super::tampered::tampered;
use super::touch::{Touching, passphrase_needed};
use super::tries;
use crate::domain::{Assurance, KeyKind};
use crate::error::{Code, Error, Result};
use crate::identity::{Belongs, Keyring, NEW, SigningKey, Unsealed};
use crate::principal::Principal;
use crate::store::{MemberKey, Tx};
use crate::usecases::Runtime;

/// How the human proves to be one.
#[derive(Clone)]
pub enum Unlock {
    /// The passphrase that unlocks the member's signing key: assurance A3.
    Passphrase(SecretString),
    /// A key that the member touches for this one signature: assurance A4. Only decisions of gates, acts on experiments, and acts on keys
    /// are signed like this.
    Touch(Touching),
}

impl Unlock {
    /// Lets the person touch the key if a decision waits for it. True when what was tried is to be tried again.
    async fn touch_if_asked(&self) -> Result<bool> {
        match self {
            Self::Passphrase(_) => Ok(false),
            Self::Touch(touching) => touching.touch_if_asked().await,
        }
    }

    /// Does what needs a signature: the second time with that of a key that was touched meanwhile.
    ///
    /// # Errors
    /// Those of `attempt`; why there is no signature.
    pub(in crate::usecases) async fn signing<T, F>(&self, attempt: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        loop {
            // On the heap: it is large, and callers have futures of their own around it.
            let done = Box::pin(attempt()).await;
            match self.touch_if_asked().await {
                Ok(true) => {}
                Ok(false) => return done,
                Err(error) => return Err(error),
            }
        }
    }
}

/// What signs.
pub(in crate::usecases) enum Pen {
    /// The member's unlocked key.
    Secret(Box<SigningKey>),
    /// A key that is touched, outside of every transaction.
    Touch(Touching),
}

/// A member with the key that signs.
pub(in crate::usecases) struct Signer {
    pub(in crate::usecases) member: Person,
    pub(in crate::usecases) pen: Pen,
    pub(in crate::usecases) stored: MemberKey,
    /// When the key was enrolled, as it lies under the passphrase: no other program can write it.
    pub(in crate::usecases) enrolled_at: Timestamp,
}

impl Signer {
    /// The unlocked key.
    ///
    /// # Errors
    /// [`Code::PassphraseNeeded`] for a key that is touched: nobody touches it for this.
    pub(in crate::usecases) fn secret(&self) -> Result<&SigningKey> {
        match &self.pen {
            Pen::Secret(key) => Ok(key),
            Pen::Touch(_) => Err(passphrase_needed()),
        }
    }

    /// The member, as the log names who acts.
    pub(in crate::usecases) fn principal(&self) -> Principal {
        self.member.principal()
    }
}

/// The member who acts and their unlocked key, for a log that goes on from what this key signed. Wrong passphrases make the next try
/// wait.
///
/// # Errors
/// [`Code::PassphraseWrong`]; [`Code::RootChanged`] for a key of another workspace or root; [`Code::StateTampered`] for a log without
/// the line on which its owner last signed.
pub(in crate::usecases) async fn signer(runtime: &Runtime, named: Option<&str>, unlock: &Unlock) -> Result<Signer> {
    signer_beside(runtime, named, unlock, Names::MustBeUntouched).await
}

/// The same, whatever became of the members' names: for whoever removes one that somebody else wrote.
pub(in crate::usecases) async fn signer_whatever_names(
    runtime: &Runtime,
    named: Option<&str>,
    unlock: &Unlock,
) -> Result<Signer> {
    signer_beside(runtime, named, unlock, Names::MayBeWritten).await
}

async fn signer_beside(runtime: &Runtime, named: Option<&str>, unlock: &Unlock, names: Names) -> Result<Signer> {
    let passphrase = match unlock {
        Unlock::Passphrase(passphrase) => passphrase,
        Unlock::Touch(touching) => return touching_signer(runtime, named, touching, names).await,
    };
    let (signer, unsealed) = opened(runtime, named, passphrase, names).await?;
    let last = unsealed.belongs.as_ref().and_then(|belongs| belongs.last.clone());
    if let Some((seq, head)) = last {
        must_have_line(runtime, seq, &head, "its owner signed on").await?;
    }
    keep_last(runtime, &signer, &unsealed).await?;
    Ok(signer)
}

/// The same, whatever became of the log: for whoever says that it goes on from a backup.
pub(in crate::usecases) async fn signer_after_loss(
    runtime: &Runtime,
    named: Option<&str>,
    unlock: &Unlock,
) -> Result<(Signer, Unsealed)> {
    match unlock {
        Unlock::Passphrase(passphrase) => opened(runtime, named, passphrase, Names::MayBeWritten).await,
        Unlock::Touch(_) => Err(passphrase_needed()),
    }
}

/// Nothing of where it belongs lies in such a key: what this account saw of the log is compared instead.
async fn touching_signer(runtime: &Runtime, named: Option<&str>, touching: &Touching, names: Names) -> Result<Signer> {
    must_go_on_from_what_was_seen(runtime).await?;
    let mut tx = runtime.read().await?;
    let ring = keyring(runtime, &mut tx).await?;
    let member = names.of(&mut tx, &ring).await?.named(named)?;
    let is_meant = |key: &MemberKey| {
        key.member == member.id
            && key.kind.assurance() == Some(Assurance::A4)
            && ring.get(key.id).is_some_and(|known| {
                known.counts_in(NEW) && known.certificate.enrolment.public_key == touching.public_key()
            })
    };
    let stored = tx.key_list().await?.into_iter().find(is_meant).ok_or_else(|| {
        Error::new(Code::Unauthenticated, "the member has not enrolled this key, or it counts no longer")
            .hint("`outcome-runtime key list` shows the keys that count; enrol it with `outcome-runtime key add --ssh FILE.pub`")
    })?;
    let enrolled_at = stored.certificate.enrolment.enrolled_at;
    Ok(Signer { member, pen: Pen::Touch(touching.clone()), stored, enrolled_at })
}

/// Nobody signs on top of a log that is not the one that this account saw.
pub(super) async fn must_go_on_from_what_was_seen(runtime: &Runtime) -> Result<()> {
    let last = runtime.settings.seen().and_then(|seen| seen.head(runtime.workspace.id));
    let Some(last) = last else { return Ok(()) };
    must_have_line(runtime, last.seq, &last.head, "this account saw").await
}

/// What is asked of the members' names before anybody signs.
#[derive(Debug, Clone, Copy)]
enum Names {
    /// They are what the certificates commit to, or were removed by a member.
    MustBeUntouched,
    /// Whatever became of them: for whoever goes on from a backup, or removes what somebody else wrote.
    MayBeWritten,
}

impl Names {
    async fn of(self, tx: &mut Tx, ring: &Keyring) -> Result<People> {
        let people = People::of(tx, ring).await?;
        match self {
            Self::MustBeUntouched => people.must_be_untouched()?,
            Self::MayBeWritten => {}
        }
        Ok(people)
    }
}

async fn opened(
    runtime: &Runtime,
    named: Option<&str>,
    passphrase: &SecretString,
    names: Names,
) -> Result<(Signer, Unsealed)> {
    tries::wait(runtime).await;
    let done = unlocked(runtime, named, passphrase, names).await;
    match &done {
        Ok(_) => tries::was_right(runtime),
        Err(error) if matches!(error.code(), Code::PassphraseWrong | Code::NotFound) => tries::was_wrong(runtime),
        Err(_) => {}
    }
    done
}

async fn unlocked(
    runtime: &Runtime,
    named: Option<&str>,
    passphrase: &SecretString,
    names: Names,
) -> Result<(Signer, Unsealed)> {
    let mut tx = runtime.read().await?;
    let keys = tx.key_list().await?;
    let ring = keyring(runtime, &mut tx).await?;
    let people = names.of(&mut tx, &ring).await?;
    drop(tx);
    let member = people.named(named)?;
    let kind = KeyKind::Passphrase;
    // The newest that counts; one that does not count is tried too, so that a key of another workspace says so.
    let stored = keys
        .into_iter()
        .filter(|key| key.member == member.id && key.kind == kind)
        .max_by_key(|key| {
            (ring.get(key.id).is_some_and(|known| known.counts_in(NEW)), key.certificate.enrolment.enrolled_at)
        })
        .ok_or_else(|| Error::new(Code::Unauthenticated, format!("the member has no {kind} key")))?;
    let (sealed, id, passphrase) = (stored.sealed.clone(), stored.id, passphrase.clone());
    let sealed = sealed.ok_or_else(|| Error::new(Code::DatabaseCorrupt, "the sealed key is missing"))?;
    let unsealed = tokio::task::spawn_blocking(move || sealed.open(id, &passphrase))
        .await
        .map_err(|e| Error::new(Code::Internal, "unlocking the key was interrupted").because(e))??;
    must_belong_here(runtime, &ring, unsealed.belongs.as_ref())?;
    let enrolled_at =
        unsealed.belongs.as_ref().map_or(stored.certificate.enrolment.enrolled_at, |belongs| belongs.enrolled_at);
    Ok((Signer { member, pen: Pen::Secret(Box::new(unsealed.key.clone())), stored, enrolled_at }, unsealed))
}

/// What lies under the passphrase cannot be moved to another workspace, or under another root, by whoever does not know it.
fn must_belong_here(runtime: &Runtime, ring: &Keyring, belongs: Option<&Belongs>) -> Result<()> {
    let Some(belongs) = belongs else { return Ok(()) };
    if (belongs.workspace, belongs.root.as_str()) == (runtime.workspace.id, ring.root()) {
        return Ok(());
    }
    let message = format!(
        "this key was enrolled at {} in workspace {} with root {}, and this is workspace {} with root {}",
        belongs.enrolled_at,
        belongs.workspace,
        short(&belongs.root),
        runtime.workspace.id,
        short(ring.root())
    );
    Err(Error::new(Code::RootChanged, message).hint(
        "nothing was signed: this workspace was made anew around your key. Put the store of before back, and find out who did this",
    ))
}

fn short(fingerprint: &str) -> &str {
    fingerprint.get(..12).unwrap_or(fingerprint)
}

/// A line that was there once must be there still.
pub(super) async fn must_have_line(runtime: &Runtime, seq: i64, head: &str, whose: &str) -> Result<()> {
    if runtime.read().await?.event_is(seq, head).await? {
        return Ok(());
    }
    Err(tampered(&format!("line {seq} of the log, which {whose}, is gone")).hint(
        "nothing was signed: the store was put back to an older state, or rewritten. If you restored a backup yourself, say so with \
         `outcome-runtime audit restore`; otherwise `outcome-runtime audit verify` shows what differs",
    ))
}

/// Puts the present end of the log under the passphrase: what comes later must go on from it.
pub(in crate::usecases) async fn keep_last(runtime: &Runtime, signer: &Signer, unsealed: &Unsealed) -> Result<()> {
    let mut tx = runtime.write().await?;
    let root = keyring(runtime, &mut tx).await?.root().to_owned();
    let last = Some(tx.log_head().await?);
    let belongs = Belongs { workspace: runtime.workspace.id, root, enrolled_at: signer.enrolled_at, last };
    let sealed = unsealed.seal_again(signer.stored.id, &belongs, &runtime.ids)?;
    tx.key_seal(signer.stored.id, &sealed).await?;
    tx.commit().await
}

/// A member and their unlocked key.
pub(in crate::usecases) async fn member_key(
    runtime: &Runtime,
    named: Option<&str>,
    unlock: &Unlock,
) -> Result<(Person, SigningKey)> {
    let signer = signer(runtime, named, unlock).await?;
    let key = signer.secret()?.clone();
    Ok((signer.member, key))
}
