//! What was applied of outcome files: the only thing that the runtime uses. The file in the work tree is a proposal.
//!
//! A line of the log names the text that counts from then on, by its hash, and rests on a member's decision, or on changes that may
//! be applied without one. Both are looked at again before the text is used.

use std::sync::{Arc, PoisonError};

use serde_json::Value as Json;

use super::keyring::keyring;
use super::shown_change::change_of;
use super::tampered::{payload, tampered};
use crate::audit::{AppliedBecause, ConfigurationApplied, EventKind, LogEntry};
use crate::config::{Config, differences};
use crate::digest::sha256_hex;
use crate::domain::{DecisionSubject, Place, Verdict};
use crate::error::{Code, Error, Result};
use crate::identity::VerifiedDecision;
use crate::lifecycle::OutcomeEventKind;
use crate::store::Tx;
use crate::usecases::Runtime;

/// What counts now.
#[derive(Debug, Clone)]
pub(in crate::usecases) struct Applied {
    /// SHA-256 of the text.
    pub(in crate::usecases) hash: String,
    /// What it says.
    pub(in crate::usecases) config: Arc<Config>,
    /// Where its sources and its flag service led when a member last signed.
    pub(in crate::usecases) places: Vec<Place>,
}

/// What was applied last; `None` where nothing ever was.
///
/// # Errors
/// [`Code::StateTampered`] for a text or a line that another program wrote.
pub(in crate::usecases) async fn applied(runtime: &Runtime, tx: &mut Tx) -> Result<Option<Applied>> {
    let Some((line, applied)) = last(runtime, tx, i64::MAX).await? else { return Ok(None) };
    let config = read(runtime, tx, &applied.hash).await?;
    check(runtime, tx, line, applied.clone()).await?;
    Ok(Some(Applied { hash: applied.hash, config, places: applied.places }))
}

/// SHA-256 of what was applied last, as the log says it. The text is not read: a decision can be signed while it cannot be used.
pub(in crate::usecases) async fn applied_hash(runtime: &Runtime, tx: &mut Tx) -> Result<Option<String>> {
    Ok(last(runtime, tx, i64::MAX).await?.map(|(_, applied)| applied.hash))
}

async fn last(runtime: &Runtime, tx: &mut Tx, before: i64) -> Result<Option<(LogEntry, ConfigurationApplied)>> {
    let kind = EventKind::ConfigurationApplied;
    let Some(line) = tx.event_last_of_kind(runtime.workspace.id.0, kind, before).await? else { return Ok(None) };
    let said = payload(&line)?;
    Ok(Some((line, said)))
}

/// The text with this hash, read.
pub(in crate::usecases) async fn read(runtime: &Runtime, tx: &mut Tx, hash: &str) -> Result<Arc<Config>> {
    let text =
        tx.configuration_get(hash).await?.ok_or_else(|| tampered("the applied configuration differs from the log"))?;
    runtime.configs.of_text(&text, runtime.settings.vendors).await.map_err(|first| {
        Error::new(Code::ConfigInvalid, format!("what is applied cannot be read by this program: {first}"))
            .hint("correct the outcome file, then run `outcome-runtime apply`")
    })
}

/// Checks a line, and those before it that it rests on, back to one that a member signed, or that was checked before.
async fn check(runtime: &Runtime, tx: &mut Tx, line: LogEntry, applied: ConfigurationApplied) -> Result<()> {
    let newest = (line.seq, applied.clone());
    let checked = runtime.checked.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (mut line, mut applied) = (line, applied);
    while checked.as_ref().is_none_or(|(seq, known)| (*seq, known) != (line.seq, &applied)) {
        let before = last(runtime, tx, line.seq).await?;
        let previous = before.as_ref().map(|(_, before)| before.hash.as_str());
        if previous != applied.previous.as_deref() {
            return Err(tampered("the applied configuration does not follow from the one before"));
        }
        if let AppliedBecause::Signed { decision } = &applied.because {
            let verified = keyring(runtime, tx).await?.verify(decision, line.seq)?;
            check_signed(tx, &verified, &applied).await?;
            break;
        }
        check_text(runtime, tx, line.seq, previous, &applied).await?;
        match before {
            Some(before) => (line, applied) = before,
            None => break,
        }
    }
    *runtime.checked.lock().unwrap_or_else(PoisonError::into_inner) = Some(newest);
    Ok(())
}

/// Checks that the text of a line is there, and that it could be applied without a signature where it was.
///
/// # Errors
/// [`Code::StateTampered`] where not; [`Code::ConfigInvalid`] when this program cannot read the text.
pub(in crate::usecases) async fn check_text(
    runtime: &Runtime,
    tx: &mut Tx,
    seq: i64,
    previous: Option<&str>,
    applied: &ConfigurationApplied,
) -> Result<()> {
    let to = read(runtime, tx, &applied.hash).await?;
    let drafts = match &applied.because {
        AppliedBecause::Free { drafts } => drafts,
        AppliedBecause::Signed { .. } => return Ok(()),
        AppliedBecause::Adopted if previous.is_none() => return Ok(()),
        AppliedBecause::Adopted => return Err(tampered("a configuration was adopted after another one was applied")),
    };
    for slug in drafts {
        must_have_been_a_draft(tx, slug, seq).await?;
    }
    let from = match previous {
        Some(previous) => read(runtime, tx, previous).await?.declared.clone(),
        None => Json::Null,
    };
    let is_draft = |slug: &str| drafts.iter().any(|draft| draft == slug);
    if differences(&from, &to.declared, &is_draft).iter().any(|found| found.is_signed) {
        return Err(tampered("a change that needs a signature was applied without one"));
    }
    Ok(())
}

/// A line may call an outcome a draft only if no line before it activated it.
async fn must_have_been_a_draft(tx: &mut Tx, slug: &str, seq: i64) -> Result<()> {
    let Some(outcome) = tx.outcome_by_slug(slug).await? else { return Ok(()) };
    let activated = EventKind::Outcome(OutcomeEventKind::Activated);
    match tx.event_last_of_kind(outcome.id.0, activated, seq).await? {
        None => Ok(()),
        Some(_) => Err(tampered(&format!("outcome `{slug}` was changed without a signature, as if it were a draft"))),
    }
}

/// The decision must be about exactly this text, after exactly the one before it: it counts in no other place of the log.
async fn check_signed(tx: &mut Tx, decision: &VerifiedDecision, applied: &ConfigurationApplied) -> Result<()> {
    let wrong = || tampered("the applied configuration is not the one that was approved");
    let DecisionSubject::Gate(id) = decision.get().subject else { return Err(wrong()) };
    let (gate, _) = tx.gate_get(id).await?.ok_or_else(wrong)?;
    let change = change_of(&gate).map_err(|_| wrong())?;
    let fits = decision.get().verdict == Verdict::Approve
        && sha256_hex(&gate.context) == decision.get().context_hash
        && (&change.hash, &change.applied) == (&applied.hash, &applied.previous)
        && change.places == applied.places;
    if fits { Ok(()) } else { Err(wrong()) }
}
