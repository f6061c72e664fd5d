//! Going on from a backup: a member says that lines are gone, and that this is right.

use schemars::JsonSchema;
use serde::Serialize;

use super::AuditLog;
use super::reach::anchored_ends;
use crate::audit::{EventKind, Restored, shown_restore};
use crate::domain::{DecisionSubject, Verdict};
use crate::error::{Code, Error, Result};
use crate::seen::SeenHead;
use crate::usecases::kernel::anchoring::anchor_quietly;
use crate::usecases::kernel::basis::About;
use crate::usecases::kernel::decision::{ToSign, check_words, sign};
use crate::usecases::kernel::event::new_event;
use crate::usecases::kernel::keyring::keyring;
use crate::usecases::kernel::unlock::{Unlock, keep_last, signer_after_loss};

/// What was said.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RestoredLog {
    /// Number of the log's line that says so.
    pub line: i64,
    /// Number of the last line that was seen before, here or by the member's key.
    pub lost_line: i64,
}

impl AuditLog<'_> {
    /// Signs that the log goes on from a backup. From then on this account and the member's key go on from here.
    ///
    /// # Errors
    /// [`Code::PassphraseWrong`]; [`Code::RootChanged`] where this is no backup of the member's workspace; [`Code::Conflict`] where
    /// nothing is missing.
    #[tracing::instrument(level = "debug", name = "audit_log.restore", skip_all)]
    pub async fn restore(self, backup: &str, member: Option<&str>, unlock: &Unlock) -> Result<RestoredLog> {
        let runtime = self.0;
        check_words(&[], Some(backup), Verdict::Restore)?;
        if backup.trim().is_empty() {
            return Err(Error::new(Code::InvalidInput, "the backup is not named").hint("say which one it was (--from)"));
        }
        let (signer, unsealed) = signer_after_loss(runtime, member, unlock).await?;
        let ring = keyring(runtime, &mut runtime.read().await?).await?;
        let anchored = anchored_ends(runtime, &ring).await?;
        let mut tx = runtime.write().await?;
        let seen = runtime.settings.seen().and_then(|seen| seen.head(runtime.workspace.id));
        let seen = seen.map(|SeenHead { seq, head }| (seq, head));
        let signed = unsealed.belongs.as_ref().and_then(|belongs| belongs.last.clone());
        let mut lost: Option<(i64, String)> = None;
        for (seq, head) in seen.into_iter().chain(signed).chain(anchored) {
            if !tx.event_is(seq, &head).await? && lost.as_ref().is_none_or(|(known, _)| *known < seq) {
                lost = Some((seq, head));
            }
        }
        let Some(lost) = lost else {
            return Err(Error::new(Code::Conflict, "nothing is missing: the log goes on from what was seen here")
                .hint("nothing has to be done after a restore that lost no line"));
        };
        let written = |e| Error::new(Code::Internal, "a line about a backup cannot be written").because(e);
        let shown = shown_restore(backup, &lost).map_err(written)?;
        let workspace = runtime.workspace.id;
        let subject = DecisionSubject::Workspace(workspace);
        let what = ToSign { subject, shown: &shown, verdict: Verdict::Restore, about: About::default() };
        let decision =
            sign(runtime, &mut tx, &signer, what, |decision| decision.note = Some(backup.to_owned())).await?;
        tx.decision_insert(&decision).await?;
        let by = signer.principal();
        let decision = Box::new(decision.signed().clone());
        let lost_line = lost.0;
        let restored = Restored { backup: backup.to_owned(), lost, decision };
        let event = new_event(EventKind::AuditRestored, workspace.into(), &by, &restored)?;
        let line = tx.event_append(event, runtime.now()).await?;
        tx.commit().await?;
        if let Some(seen) = runtime.settings.seen() {
            seen.keep_head(workspace, line.seq, &line.hash);
        }
        keep_last(runtime, &signer, &unsealed).await?;
        anchor_quietly(runtime, &signer).await;
        Ok(RestoredLog { line: line.seq, lost_line })
    }
}
