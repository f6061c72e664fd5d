//! Delivering what was decided: the flag's position now, notices to the channels of the file. Each message once, retried
//! until it is there.

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Serialize;

use super::Outbox;
use super::channels::{Channels, Told};
use crate::audit::EventKind;
use crate::domain::{Closing, FlagPosition, Message, MessageKind};
use crate::error::{Error, Result, error_chain};
use crate::ports::flags;
use crate::principal::Principal;
use crate::store::{QueuedMessage, Tx};
use crate::usecases::Runtime;
use crate::usecases::kernel::event::new_event;
use crate::usecases::kernel::flag::flag_position;
use crate::usecases::kernel::workspace_file::{config, flag_service};

/// What happened to one message.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Delivered {
    /// Its kind.
    pub kind: MessageKind,
    /// What was done, or why not yet.
    pub outcome: String,
    /// True when it is done.
    pub is_done: bool,
}

/// What an attempt led to: how the message is closed, and a sentence about it.
type Attempt = std::result::Result<(Closing, String), String>;

impl Outbox<'_> {
    /// Delivers due messages. A message is marked done only after its effect was read back; putting a flag where it is
    /// already is harmless, so that an interruption in between repeats nothing that matters. A notice may reach a channel
    /// again after an interruption, with the same key.
    ///
    /// # Errors
    /// When the database fails; a failing third party is noted at its message.
    #[tracing::instrument(level = "debug", name = "outbox.deliver", skip_all)]
    pub async fn deliver(self) -> Result<Vec<Delivered>> {
        let mut done = self.deliver_flags().await?;
        done.extend(self.deliver_kind(MessageKind::Notify).await?);
        Ok(done)
    }

    /// Delivers the flags that are due: they do not wait for channels to people.
    ///
    /// # Errors
    /// As [`Outbox::deliver`].
    #[tracing::instrument(level = "debug", name = "outbox.deliver_flags", skip_all)]
    pub async fn deliver_flags(self) -> Result<Vec<Delivered>> {
        self.deliver_kind(MessageKind::Flag).await
    }

    async fn deliver_kind(self, wanted: MessageKind) -> Result<Vec<Delivered>> {
        let now = self.0.now();
        let mut tx = self.0.read().await?;
        let due = tx.outbox_due(wanted == MessageKind::Flag, now, 100).await?;
        drop(tx);
        let channels = Channels::default();
        let mut done = Vec::new();
        for queued in due {
            let attempt = attempt(self.0, &channels, &queued).await;
            let mut tx = self.0.write().await?;
            let (outcome, is_done) = match attempt {
                Ok((closing, outcome)) => (close(self.0, &mut tx, &queued, closing, outcome).await?, true),
                Err(text) => {
                    let wait = SignedDuration::from_secs(30 << queued.attempts.clamp(0, 7));
                    let next = now.checked_add(wait).unwrap_or(now);
                    tx.outbox_failed(queued.id, next, &text).await?;
                    tracing::error!(message.kind = %queued.kind, "A message could not be delivered: {text}");
                    (format!("not yet: {text}"), false)
                }
            };
            tx.commit().await?;
            // What a newer program queued is in `status`, with its own word for its kind.
            if let Ok(kind) = queued.kind.parse() {
                done.push(Delivered { kind, outcome, is_done });
            }
        }
        Ok(done)
    }
}

/// Tries what is due, best effort, right after a decision; what fails is tried again by the next poll.
pub(in crate::usecases) async fn deliver_now(runtime: &Runtime) -> Vec<String> {
    match runtime.outbox().deliver().await {
        Ok(done) => done.into_iter().filter(|done| done.kind == MessageKind::Flag).map(|done| done.outcome).collect(),
        Err(error) => vec![format!("not delivered yet: {error}")],
    }
}

async fn attempt(runtime: &Runtime, channels: &Channels, queued: &QueuedMessage) -> Attempt {
    match &queued.message {
        Ok(Message::Flag(position)) => match deliver_flag(runtime, position).await {
            Ok(outcome) => Ok((Closing::Delivered, outcome)),
            Err(error) => Err(error_chain(&error)),
        },
        Ok(Message::Notice(notice)) => match channels.tell(runtime, notice, &queued.key).await? {
            Told::Sent(names) => Ok((Closing::Delivered, format!("sent to {}", names.join(", ")))),
            Told::NotWanted => Ok((Closing::NotWanted, "the file asks for no message".to_owned())),
            Told::NoChannel => Ok((Closing::NoChannel, "no channel".to_owned())),
        },
        Err(unreadable) => Err(unreadable.to_string()),
    }
}

/// Closes a message. Where its flag stands is written to the log.
async fn close(
    runtime: &Runtime,
    tx: &mut Tx,
    queued: &QueuedMessage,
    closing: Closing,
    outcome: String,
) -> Result<String> {
    let now = runtime.now();
    let is_ours = tx.outbox_close(queued.id, closing, now).await?;
    match &queued.message {
        Ok(Message::Flag(_)) if !is_ours => catch_up(runtime, tx, queued).await,
        Ok(Message::Flag(position)) => {
            let by = Principal::system("flags");
            let event = new_event(EventKind::FlagSet, runtime.workspace.id.into(), &by, position)?;
            tx.event_append(event, now).await?;
            Ok(outcome)
        }
        Ok(Message::Notice(_)) | Err(_) => Ok(outcome),
    }
}

/// A later position was decided while ours was being written, and may have been overwritten by it: the latest one is
/// written again.
async fn catch_up(runtime: &Runtime, tx: &mut Tx, queued: &QueuedMessage) -> Result<String> {
    let latest = match queued.subject {
        Some(experiment) => tx.outbox_latest_flag(experiment).await?,
        None => None,
    };
    match latest.map(|latest| latest.message) {
        Some(Ok(Message::Flag(position))) => deliver_flag(runtime, &position).await,
        _ => Ok("overtaken".to_owned()),
    }
}

async fn deliver_flag(runtime: &Runtime, position: &FlagPosition) -> Result<String> {
    let FlagPosition { key, description, treatment_pct: pct, .. } = position;
    let Some(service) = flag_service(runtime, &*config(runtime).await?)? else {
        return Ok(format!("flag `{key}`: no flag service is configured, so set it to {pct} % by hand"));
    };
    service.ensure(key, description).await.map_err(Error::from)?;
    let state = flags::write_and_read_back(service.as_ref(), &flag_position(key, *pct), |pause| {
        Box::pin(tokio::time::sleep(pause))
    })
    .await
    .map_err(Error::from)?;
    Ok(format!("flag `{key}` is {state} ({})", service.name()))
}
