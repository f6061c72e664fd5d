//! What a member is called is removed, with a signature. Their id, their keys and what they decided stay.

use schemars::JsonSchema;
use serde::Serialize;

use super::Members;
use crate::audit::{EventKind, ForgetMember, MemberForgotten};
use crate::domain::{DecisionSubject, KeyKind, Verdict};
use crate::error::{Code, Error, Result};
use crate::identity::{Keyring, NEW};
use crate::ids::MemberId;
use crate::usecases::Runtime;
use crate::usecases::kernel::anchoring::anchor_quietly;
use crate::usecases::kernel::basis::About;
use crate::usecases::kernel::decision::{ToSign, decider, note_refused_decision, sign};
use crate::usecases::kernel::event::new_event;
use crate::usecases::kernel::keyring::keyring;
use crate::usecases::kernel::people::{Called, People};
use crate::usecases::kernel::unlock::Unlock;

/// Whose name is to be removed.
pub struct ForgetRequest {
    /// E-mail or id of the member.
    pub forget: String,
    /// Also the last member who can decide.
    pub even_the_last: bool,
    /// E-mail or id of the member who says so; the first one when absent.
    pub member: Option<String>,
    /// Proof.
    pub unlock: Unlock,
}

/// What was removed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Forgotten {
    /// The member's id, which stays.
    pub member: MemberId,
    /// Number of the log's line.
    pub line: i64,
    /// Whether lines, certificates and decisions of before hold the e-mail: they stay as they are.
    pub older_lines_hold_it: bool,
    /// Number of their keys that count; they go on counting.
    pub n_keys: usize,
}

impl Members<'_> {
    /// Removes what a member is called, with a signed decision. A member does it for themselves; the member of the root key for
    /// everybody.
    ///
    /// # Errors
    /// [`Code::PassphraseWrong`]; [`Code::NotFound`]; [`Code::Forbidden`] for another member; [`Code::Conflict`] for the last member who
    /// can decide, and where it was done before.
    #[tracing::instrument(level = "debug", name = "members.forget", skip_all)]
    pub async fn forget(self, request: ForgetRequest) -> Result<Forgotten> {
        let done = request.unlock.signing(|| try_forget(self.0, &request)).await;
        if let Err(error) = &done {
            let workspace = self.0.workspace.id.into();
            note_refused_decision(self.0, workspace, EventKind::MemberRefused, Some(Verdict::ForgetMember), error)
                .await;
        }
        done
    }
}

async fn try_forget(runtime: &Runtime, request: &ForgetRequest) -> Result<Forgotten> {
    let mut tx = runtime.read().await?;
    let ring = keyring(runtime, &mut tx).await?;
    let member = People::of(&mut tx, &ring).await?.named(Some(&request.forget))?;
    drop(tx);
    if member.called == Called::Removed {
        return Err(
            Error::new(Code::Conflict, "what this member is called was removed before").hint("nothing is left to do")
        );
    }
    must_not_be_last(&ring, member.id, request.even_the_last)?;
    let signer = decider(runtime, request.member.as_deref(), &request.unlock, Verdict::ForgetMember).await?;
    if signer.member.id != member.id && ring.root_member() != Some(signer.member.id) {
        return Err(Error::new(Code::Forbidden, "this is another member")
            .hint("they remove their name themselves, or the member of the root key does"));
    }
    let act = ForgetMember { forget_member: member.id };
    let shown =
        act.shown().map_err(|e| Error::new(Code::Internal, "a line about a member cannot be written").because(e))?;
    let mut tx = runtime.write().await?;
    let subject = DecisionSubject::Member(member.id);
    let what = ToSign { subject, shown: &shown, verdict: Verdict::ForgetMember, about: About::default() };
    let decision = sign(runtime, &mut tx, &signer, what, |_| ()).await?;
    tx.decision_insert(&decision).await?;
    let forgotten = MemberForgotten { act, decision: Box::new(decision.signed().clone()) };
    let event = new_event(EventKind::MemberForgotten, member.id.into(), &signer.principal(), &forgotten)?;
    let line = tx.event_append(event, runtime.now()).await?;
    tx.member_opening_delete(member.id).await?;
    tx.member_clear(member.id).await?;
    tx.commit().await?;
    if let Err(error) = runtime.db.empty_write_ahead_log().await {
        tracing::warn!("what was removed may stand in the database's write-ahead log for a while: {error}");
    }
    anchor_quietly(runtime, &signer).await;
    let counts = |key| ring.get(key).is_some_and(|known| known.counts_in(NEW));
    Ok(Forgotten {
        member: member.id,
        line: line.seq,
        older_lines_hold_it: ring.email_of_before(member.id).is_some(),
        n_keys: ring.enrolments().filter(|enrolment| enrolment.member == member.id && counts(enrolment.key)).count(),
    })
}

/// Of the last member who can decide, nobody would know who it is.
fn must_not_be_last(ring: &Keyring, member: MemberId, even_the_last: bool) -> Result<()> {
    let decides = |other: bool| {
        ring.enrolments().any(|enrolment| {
            (enrolment.member != member) == other
                && enrolment.kind == KeyKind::Passphrase
                && ring.get(enrolment.key).is_some_and(|known| known.counts_in(NEW))
        })
    };
    if even_the_last || !decides(false) || decides(true) {
        return Ok(());
    }
    Err(Error::new(
        Code::Conflict,
        "this is the last member whose key counts, and nobody would know any more whose it is",
    )
    .hint("say that you mean it: `--even-the-last`. You can go on deciding"))
}
