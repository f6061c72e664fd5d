//! Signing a human's decision, and recording a refused one.

use serde_json::json;

use super::basis::{About, basis};
use super::clock_look::must_be_believed;
use super::digest::digest;
use super::event::record_refusal;
use super::keyring::keyring;
use super::unlock::{Pen, Signer, Unlock, must_go_on_from_what_was_seen, signer, signer_whatever_names};
use crate::audit::EventKind;
use crate::domain::{Assurance, Decision, DecisionSubject, Outcome, Surface, Verdict};
use crate::error::{Code, Error, Result};
use crate::identity::{Keyring, NEW, VerifiedDecision, sign_decision};
use crate::principal::Principal;
use crate::store::Tx;
use crate::usecases::Runtime;

/// The member who decides, with their unlocked key. What turns something on needs a clock that is believed. Beside a name that somebody
/// else wrote nobody signs but whoever removes one.
///
/// # Errors
/// [`Code::ClockDoubtful`]; why the key cannot be unlocked.
pub(in crate::usecases) async fn decider(
    runtime: &Runtime,
    member: Option<&str>,
    unlock: &Unlock,
    verdict: Verdict,
) -> Result<Signer> {
    must_be_believed(runtime, verdict).await?;
    must_go_on_from_what_was_seen(runtime).await?;
    match verdict {
        Verdict::ForgetMember => signer_whatever_names(runtime, member, unlock).await,
        _ => signer(runtime, member, unlock).await,
    }
}

/// What is to be signed.
#[derive(Clone, Copy)]
pub(in crate::usecases) struct ToSign<'a> {
    pub(in crate::usecases) subject: DecisionSubject,
    /// SHA-256 of what was shown.
    pub(in crate::usecases) shown: &'a str,
    pub(in crate::usecases) verdict: Verdict,
    pub(in crate::usecases) about: About<'a>,
}

/// Signs a decision over the present head of the log and verifies it like anybody else's.
///
/// A key that is touched signs when no transaction is open: see [`super::touch`].
pub(in crate::usecases) async fn sign(
    runtime: &Runtime,
    tx: &mut Tx,
    signer: &Signer,
    what: ToSign<'_>,
    fill: impl FnOnce(&mut Decision),
) -> Result<VerifiedDecision> {
    let keyring: Keyring = keyring(runtime, tx).await?;
    let basis = basis(runtime, tx, &keyring, signer, what.verdict, what.about).await?;
    let assurance = signer.stored.kind.assurance().ok_or_else(|| {
        Error::new(Code::Unauthenticated, "this key decides nothing").hint("decide with the member's passphrase")
    })?;
    let (log_seq, log_head) = tx.log_head().await?;
    let mut decision = Decision {
        version: 2,
        workspace: runtime.workspace.id,
        subject: what.subject,
        context_hash: what.shown.to_owned(),
        log_seq,
        log_head,
        verdict: what.verdict,
        conditions: Vec::new(),
        note: None,
        member: signer.member.id,
        key: signer.stored.id,
        assurance,
        surface: Surface::Terminal,
        base: None,
        decided_at: runtime.now(),
        basis: Some(basis),
    };
    fill(&mut decision);
    let signed = match &signer.pen {
        Pen::Secret(key) => sign_decision(decision, key)?,
        Pen::Touch(touching) => touching.signed(tx, decision).await?,
    };
    Ok(keyring.verify(&signed, NEW)?)
}

/// Signs a decision about an outcome.
pub(in crate::usecases) async fn sign_for_outcome(
    runtime: &Runtime,
    outcome: &Outcome,
    verdict: Verdict,
    member: Option<&str>,
    unlock: &Unlock,
    needed: Assurance,
) -> Result<(VerifiedDecision, Signer)> {
    let signer = match decider(runtime, member, unlock, verdict).await {
        Ok(signer) => signer,
        Err(error) => {
            note_refused_decision(
                runtime,
                runtime.workspace.id.into(),
                EventKind::MemberRefused,
                Some(verdict),
                &error,
            )
            .await;
            return Err(error);
        }
    };
    let mut tx = runtime.read().await?;
    let shown = digest(&outcome.spec)?;
    let subject = DecisionSubject::Outcome(outcome.id);
    let what = ToSign { subject, shown: &shown, verdict, about: About::default() };
    let decision = sign(runtime, &mut tx, &signer, what, |_| ()).await?;
    require(&decision, needed)?;
    Ok((decision, signer))
}

/// Records a refused decision. A failure to record it is only logged: the refusal itself is the answer.
pub(in crate::usecases) async fn note_refused_decision(
    runtime: &Runtime,
    subject: crate::audit::Subject,
    kind: EventKind,
    verdict: Option<Verdict>,
    error: &Error,
) {
    let detail = json!({ "verdict": verdict, "code": error.code().as_str(), "reason": error.message() });
    let by = Principal::system("decide");
    if let Err(failed) = record_refusal(runtime, subject, kind, &by, &detail).await {
        tracing::warn!(code = %failed.code(), "A refused decision could not be recorded: {failed}");
    }
}

/// Refuses a decision whose assurance is below the needed one.
pub(in crate::usecases) fn require(decision: &VerifiedDecision, needed: Assurance) -> Result<()> {
    let got = decision.get().assurance;
    if got >= needed {
        return Ok(());
    }
    Err(crate::lifecycle::TransitionError::AssuranceTooLow { needed, got }.into())
}

/// Words of a human are kept in the log for ever: bounded, without NUL.
pub(in crate::usecases) fn check_words(conditions: &[String], note: Option<&str>, verdict: Verdict) -> Result<()> {
    let bad = |text: &str| text.contains('\0') || text.chars().count() > 4000;
    if conditions.len() > 20 || conditions.iter().any(|text| bad(text)) || note.is_some_and(bad) {
        return Err(Error::new(Code::InvalidInput, "a note or condition is too long or contains a NUL character")
            .hint("at most 20 conditions and 4,000 characters each"));
    }
    if verdict == Verdict::ApproveWithConditions && conditions.is_empty() {
        return Err(Error::new(Code::InvalidInput, "an approval with conditions needs at least one condition")
            .hint("add --condition, or approve without conditions"));
    }
    Ok(())
}
