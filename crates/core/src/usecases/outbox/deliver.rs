//! Delivering what was decided: the flag's position now, notices in the log. Each message once, retried until it is there.

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Serialize;

use super::Outbox;
use crate::audit::EventKind;
use crate::error::{Error, Result, error_chain};
use crate::ports::flags;
use crate::principal::Principal;
use crate::store::{Message, Tx};
use crate::usecases::Runtime;
use crate::usecases::kernel::event::new_event;
use crate::usecases::kernel::flag::flag_position;
use crate::usecases::kernel::workspace_file::flag_service;

/// What happened to one message.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Delivered {
    /// Its kind.
    pub kind: String,
    /// What was done, or why not yet.
    pub outcome: String,
    /// True when it is done.
    pub is_done: bool,
}

impl Outbox<'_> {
    /// Delivers due messages. A message is marked done only after its effect was read back; putting a flag where it is
    /// already is harmless, so that an interruption in between repeats nothing that matters.
    ///
    /// # Errors
    /// When the database fails; a failing third party is noted at its message.
    pub async fn deliver(self) -> Result<Vec<Delivered>> {
        let now = self.0.now();
        let mut tx = self.0.read().await?;
        let due = tx.outbox_due(now, 100).await?;
        drop(tx);
        let mut done = Vec::new();
        for message in due {
            let result = match message.kind.as_str() {
                "flag" => deliver_flag(self.0, &message).await,
                // Channels are for later: the gates themselves are in `status`, on the page, and in the log.
                _ => Ok("noted".to_owned()),
            };
            let mut tx = self.0.write().await?;
            match result {
                Ok(mut outcome) => {
                    let is_ours = tx.outbox_done(message.id, now).await?;
                    if message.kind == "flag" && !is_ours {
                        outcome = catch_up(self.0, &mut tx, &message).await?;
                    } else if message.kind == "flag" {
                        let by = Principal::system("flags");
                        let event = new_event(EventKind::FlagSet, self.0.workspace.id.into(), &by, &message.payload.0)?;
                        tx.event_append(event, now).await?;
                    }
                    done.push(Delivered { kind: message.kind, outcome, is_done: true });
                }
                Err(error) => {
                    let text = error_chain(&error);
                    let wait = SignedDuration::from_secs(30 << message.attempts.clamp(0, 7));
                    let next = now.checked_add(wait).unwrap_or(now);
                    tx.outbox_failed(message.id, next, &text).await?;
                    tracing::error!(message.kind = %message.kind, "A message could not be delivered: {text}");
                    done.push(Delivered { kind: message.kind, outcome: format!("not yet: {text}"), is_done: false });
                }
            }
            tx.commit().await?;
        }
        Ok(done)
    }
}

/// Tries what is due, best effort, right after a decision; what fails is tried again by the next poll.
pub(in crate::usecases) async fn deliver_now(runtime: &Runtime) -> Vec<String> {
    match runtime.outbox().deliver().await {
        Ok(done) => done.into_iter().filter(|done| done.kind == "flag").map(|done| done.outcome).collect(),
        Err(error) => vec![format!("not delivered yet: {error}")],
    }
}

/// A later position was decided while ours was being written, and may have been overwritten by it: the latest one is
/// written again.
async fn catch_up(runtime: &Runtime, tx: &mut Tx, message: &Message) -> Result<String> {
    let prefix = message.natural_key.rsplit_once('/').map_or("", |(prefix, _)| prefix);
    match tx.outbox_latest("flag", &format!("{prefix}/")).await? {
        Some(latest) => deliver_flag(runtime, &latest).await,
        None => Ok("overtaken".to_owned()),
    }
}

async fn deliver_flag(runtime: &Runtime, message: &Message) -> Result<String> {
    let payload = &message.payload.0;
    let key = payload["key"].as_str().unwrap_or_default();
    let pct = payload["treatment_pct"].as_u64().and_then(|pct| u8::try_from(pct).ok()).unwrap_or(0);
    let Some(service) = flag_service(runtime)? else {
        return Ok(format!("flag `{key}`: no flag service is configured, so set it to {pct} % by hand"));
    };
    let description = payload["description"].as_str().unwrap_or_default();
    service.ensure(key, description).await.map_err(Error::from)?;
    let state = flags::write_and_read_back(service.as_ref(), &flag_position(key, pct)).await.map_err(Error::from)?;
    Ok(format!("flag `{key}` is {state} ({})", service.name()))
}
