//! A member vouches for the log as it stands, without deciding anything else.

use schemars::JsonSchema;
use serde::Serialize;

use super::AuditLog;
use crate::audit::{EventKind, Vouched, shown_vouch};
use crate::domain::{DecisionSubject, Verdict};
use crate::error::{Code, Error, Result};
use crate::usecases::Runtime;
use crate::usecases::kernel::anchoring::anchor_quietly;
use crate::usecases::kernel::basis::About;
use crate::usecases::kernel::decision::{ToSign, decider, note_refused_decision, sign};
use crate::usecases::kernel::event::new_event;
use crate::usecases::kernel::unlock::Unlock;

/// What was said.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct VouchedLog {
    /// Number of the log's line that says so.
    pub line: i64,
    /// The lines up to this one are vouched for.
    pub upto_line: i64,
}

impl AuditLog<'_> {
    /// Signs the log as it stands. Older programs wrote lines without a signature, and `migrate` takes rows into the log as they lie
    /// there: from then on whoever changes one of them contradicts a member.
    ///
    /// # Errors
    /// [`Code::PassphraseWrong`]; [`Code::AuditBroken`] for a log that does not hold, which nobody can vouch for.
    #[tracing::instrument(level = "debug", name = "audit_log.vouch", skip_all)]
    pub async fn vouch(self, member: Option<&str>, unlock: &Unlock) -> Result<VouchedLog> {
        let verification = self.verify(&[]).await?;
        if let Some(problem) = verification.problems.first() {
            return Err(Error::new(Code::AuditBroken, format!("nobody can vouch for a broken log: {problem}"))
                .hint("`outcome-runtime audit verify` shows everything that is wrong"));
        }
        let done = unlock.signing(|| try_vouch(self.0, member, unlock)).await;
        if let Err(error) = &done {
            let workspace = self.0.workspace.id.into();
            note_refused_decision(self.0, workspace, EventKind::MemberRefused, Some(Verdict::Vouch), error).await;
        }
        done
    }

    /// The last line up to which rows were taken into the log as they lay there, where no member has signed since. That is so after
    /// `migrate` of a workspace that an older program made.
    ///
    /// # Errors
    /// When the database fails.
    #[tracing::instrument(level = "debug", name = "audit_log.unvouched_beginning", skip_all)]
    pub async fn unvouched_beginning(self) -> Result<Option<i64>> {
        let mut tx = self.0.read().await?;
        let Some(line) = tx.rows_begin_at().await? else { return Ok(None) };
        Ok((!tx.event_is_signed_after(line).await?).then_some(line))
    }
}

async fn try_vouch(runtime: &Runtime, member: Option<&str>, unlock: &Unlock) -> Result<VouchedLog> {
    let signer = decider(runtime, member, unlock, Verdict::Vouch).await?;
    let mut tx = runtime.write().await?;
    let upto = tx.log_head().await?;
    let upto_line = upto.0;
    let shown = shown_vouch(&upto)
        .map_err(|e| Error::new(Code::Internal, "a line about the log cannot be written").because(e))?;
    let workspace = runtime.workspace.id;
    let subject = DecisionSubject::Workspace(workspace);
    let what = ToSign { subject, shown: &shown, verdict: Verdict::Vouch, about: About::default() };
    let decision = sign(runtime, &mut tx, &signer, what, |_| ()).await?;
    tx.decision_insert(&decision).await?;
    let vouched = Vouched { upto, decision: Box::new(decision.signed().clone()) };
    let event = new_event(EventKind::AuditVouched, workspace.into(), &signer.principal(), &vouched)?;
    let line = tx.event_append(event, runtime.now()).await?;
    tx.commit().await?;
    anchor_quietly(runtime, &signer).await;
    Ok(VouchedLog { line: line.seq, upto_line })
}
