//! A member says that a key counts no longer, or that somebody else had it.

use schemars::JsonSchema;
use serde::Serialize;

use super::Keys;
use crate::audit::{EventKind, KeyAct, SignedKeyAct};
use crate::domain::{DecisionSubject, KeyKind, Verdict};
use crate::error::{Code, Error, Result};
use crate::identity::{Keyring, NEW};
use crate::ids::KeyId;
use crate::store::Tx;
use crate::usecases::Runtime;
use crate::usecases::kernel::anchoring::anchor_quietly;
use crate::usecases::kernel::basis::About;
use crate::usecases::kernel::decision::{ToSign, check_words, decider, note_refused_decision, sign};
use crate::usecases::kernel::event::new_event;
use crate::usecases::kernel::keyring::keyring;
use crate::usecases::kernel::unlock::{Signer, Unlock};

/// What is said of a key.
pub struct KeyActRequest {
    /// Its id, or the beginning of its fingerprint (at least 8 characters).
    pub key: String,
    /// Since which line of the log somebody else had it; absent to revoke it.
    pub compromised_since: Option<i64>,
    /// Why.
    pub reason: String,
    /// E-mail of the member who says so; the first one when absent.
    pub member: Option<String>,
    /// Proof.
    pub unlock: Unlock,
}

/// What was said.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct KeyActed {
    /// The key.
    pub key: KeyId,
    /// Number of the log's line.
    pub line: i64,
    /// Since which line of the log somebody else had it; absent for a revocation.
    pub compromised_since: Option<i64>,
}

impl Keys<'_> {
    /// Revokes a key, or marks it as one that somebody else had, with a signed decision. A member acts on their own keys; the member of
    /// the root key on everybody's.
    ///
    /// # Errors
    /// [`Code::PassphraseWrong`]; [`Code::NotFound`]; [`Code::Forbidden`] for somebody else's key; [`Code::Conflict`] when nobody could
    /// decide any more.
    #[tracing::instrument(level = "debug", name = "keys.act", skip_all)]
    pub async fn act(self, request: KeyActRequest) -> Result<KeyActed> {
        let verdict = KeyAct::verdict_for(request.compromised_since);
        let done = request.unlock.signing(|| try_act(self.0, &request, verdict)).await;
        match done {
            Ok(done) => Ok(done),
            Err(error) => {
                let workspace = self.0.workspace.id.into();
                note_refused_decision(self.0, workspace, EventKind::MemberRefused, Some(verdict), &error).await;
                Err(error)
            }
        }
    }
}

async fn try_act(runtime: &Runtime, request: &KeyActRequest, verdict: Verdict) -> Result<KeyActed> {
    check_words(&[], Some(&request.reason), verdict)?;
    if request.reason.trim().is_empty() {
        return Err(Error::new(Code::InvalidInput, "the reason is empty").hint("say in a few words why (--because)"));
    }
    let key = named(runtime, &request.key).await?;
    let act = KeyAct { key, compromised_since: request.compromised_since, reason: request.reason.clone() };
    if act.compromised_since.is_none() {
        must_leave_one(runtime, key).await?;
    }
    let signer = decider(runtime, request.member.as_deref(), &request.unlock, verdict).await?;
    let mut tx = runtime.write().await?;
    let line = write_act(runtime, &mut tx, &signer, act).await?;
    tx.commit().await?;
    anchor_quietly(runtime, &signer).await;
    Ok(KeyActed { key, line, compromised_since: request.compromised_since })
}

/// The key with this id, or the only one whose fingerprint begins like this.
async fn named(runtime: &Runtime, name: &str) -> Result<KeyId> {
    let keys = runtime.keys().list().await?;
    let is_meant =
        |line: &super::KeyLine| line.key.to_string() == name || (name.len() >= 8 && line.fingerprint.starts_with(name));
    let mut found = keys.iter().filter(|line| is_meant(line));
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only.key),
        (Some(_), Some(_)) => Err(Error::new(Code::InvalidInput, format!("several fingerprints begin with `{name}`"))
            .hint("give more of it; `outcome-runtime key list` shows them")),
        (None, _) => Err(Error::not_found("key", name).hint("`outcome-runtime key list` shows them")),
    }
}

/// Somebody must be left who can decide.
async fn must_leave_one(runtime: &Runtime, revoked: KeyId) -> Result<()> {
    let mut tx = runtime.read().await?;
    let ring = keyring(runtime, &mut tx).await?;
    // A key that is touched does not sign everything.
    let decides = |id: KeyId| {
        ring.get(id)
            .is_some_and(|known| known.counts_in(NEW) && known.certificate.enrolment.kind == KeyKind::Passphrase)
    };
    let is_left = tx.key_list().await?.iter().any(|key| key.id != revoked && decides(key.id));
    if is_left || !decides(revoked) {
        return Ok(());
    }
    Err(Error::new(Code::Conflict, "this is the last key with a passphrase, and much is decided with one")
        .hint("exchange it for a new one instead: `outcome-runtime key rotate`"))
}

/// Writes the line about a key, with the decision behind it. Returns its number.
pub(super) async fn write_act(runtime: &Runtime, tx: &mut Tx, signer: &Signer, act: KeyAct) -> Result<i64> {
    let (verdict, kind) = (act.verdict(), act.kind());
    let ring = keyring(runtime, tx).await?;
    let about = ring.get(act.key).ok_or_else(|| Error::not_found("key", &act.key.to_string()))?;
    if about.certificate.enrolment.member != signer.member.id && ring.root_member() != Some(signer.member.id) {
        return Err(Error::new(Code::Forbidden, "this key belongs to another member")
            .hint("its owner acts on it, or the member of the root key"));
    }
    if act.compromised_since.is_none() && !about.counts_in(NEW) {
        return Err(Error::new(Code::Conflict, "this key was revoked before").hint("nothing is left to do"));
    }
    let (last, _) = tx.log_head().await?;
    if act.compromised_since.is_some_and(|since| !(1..=last).contains(&since)) {
        return Err(Error::new(Code::InvalidInput, format!("the log has the lines 1 to {last}")).hint(
            "give the number of the first line that you do not trust: `outcome-runtime audit export` shows them",
        ));
    }
    let shown =
        act.shown().map_err(|e| Error::new(Code::Internal, "a line about a key cannot be written").because(e))?;
    let subject = DecisionSubject::Key(act.key);
    let note = act.reason.clone();
    let what = ToSign { subject, shown: &shown, verdict, about: About::default() };
    let decision = sign(runtime, tx, signer, what, |decision| decision.note = Some(note)).await?;
    tx.decision_insert(&decision).await?;
    let by = signer.principal();
    let (key, now) = (act.key, runtime.now());
    let since = act.compromised_since;
    let is_revoked = since.is_none();
    let signed = SignedKeyAct { act, decision: Box::new(decision.signed().clone()) };
    let line = tx.event_append(new_event(kind, key.into(), &by, &signed)?, now).await?;
    let ring = keyring(runtime, tx).await?;
    if !has_taken(&ring, key, since) {
        return Err(not_taken(&ring, signer));
    }
    if is_revoked {
        tx.key_revoke(key, now).await?;
    }
    Ok(line.seq)
}

/// Whether the log says it now. A line that takes away what it may not take away counts for nothing.
fn has_taken(ring: &Keyring, key: KeyId, since: Option<i64>) -> bool {
    ring.get(key).is_some_and(|known| match since {
        None => !known.counts_in(NEW),
        Some(since) => known.compromised_since.is_some_and(|marked| marked <= since),
    })
}

fn not_taken(ring: &Keyring, signer: &Signer) -> Error {
    if ring.guarded_in(NEW).any(|guarded| !ring.may_take_away(signer.stored.id, guarded)) {
        let message = "a key that is touched, or a recovery code, would count no longer, and whoever learnt the passphrase could say so, too";
        return Error::new(Code::AssuranceTooLow, message).hint(
            "touch the key, or another one of yours: `--key`; if you have it no longer: `outcome-runtime key recover` with your recovery code",
        );
    }
    let message = "the key that says so was vouched for by the marked one since then, so it would not count either";
    Error::new(Code::Conflict, message).hint(
        "get a key that nobody else can have: `outcome-runtime key recover` with your recovery code, then mark again",
    )
}
