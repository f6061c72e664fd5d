//! Delivering what was decided: the flag's position now, notices to the channels of the file. A flag is retried until it is
//! there; a notice until every channel has it or has refused it too often.

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Serialize;

use super::Outbox;
use super::backoff::{after, flag_wait, longest_wait, notice_wait};
use super::channels::{Channels, Told};
use super::stuck;
use crate::audit::EventKind;
use crate::domain::{Closing, FlagPosition, Message, MessageKind, Notice};
use crate::error::{Error, Result, error_chain};
use crate::ports::flags;
use crate::principal::Principal;
use crate::store::{QueuedMessage, Tx};
use crate::usecases::Runtime;
use crate::usecases::kernel::event::new_event;
use crate::usecases::kernel::flag::flag_position;
use crate::usecases::kernel::workspace_file::{config, flag_service};

/// How long nobody else delivers a flag that this program began to deliver: one that died leaves it for no longer.
const CLAIMED: SignedDuration = SignedDuration::from_secs(20);

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
        done.extend(self.deliver_notices().await?);
        Ok(done)
    }

    /// Delivers the messages to people that are due.
    ///
    /// # Errors
    /// As [`Outbox::deliver`].
    #[tracing::instrument(level = "debug", name = "outbox.deliver_notices", skip_all)]
    pub async fn deliver_notices(self) -> Result<Vec<Delivered>> {
        self.deliver_kind(MessageKind::Notify).await
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
        let mut tx = self.0.read().await?;
        let (is_flag, now) = (wanted == MessageKind::Flag, self.0.now());
        let mut due = tx.outbox_due(is_flag, (now, after(now, longest_wait(is_flag))), 100).await?;
        drop(tx);
        // Who is turned off does not wait behind others who are not, at a service that is slow.
        due.sort_by_key(
            |queued| !matches!(&queued.message, Ok(Message::Flag(position)) if position.treatment_pct == 0),
        );
        let channels = Channels::new();
        let mut done = Vec::new();
        for queued in due {
            let delivered = match &queued.message {
                Ok(Message::Flag(position)) => match claim(self.0, &queued).await? {
                    true => Some(try_flag(self.0, &queued, position).await?),
                    false => None,
                },
                Ok(Message::Notice(notice)) => try_notice(self.0, &channels, &queued, notice).await?,
                Err(unreadable) => Some(put_aside(self.0, &queued, &unreadable.to_string()).await?),
            };
            // What a newer program queued is in `status`, with its own word for its kind.
            if let (Some((outcome, is_done)), Ok(kind)) = (delivered, queued.kind.parse()) {
                done.push(Delivered { kind, outcome, is_done });
            }
        }
        Ok(done)
    }
}

/// A sentence about what happened to a message, and whether it is done.
type Outcome = (String, bool);

/// Tries what is due, best effort, right after a decision; what fails is tried again by the next poll.
pub(in crate::usecases) async fn deliver_now(runtime: &Runtime) -> Vec<String> {
    match runtime.outbox().deliver().await {
        Ok(done) => done.into_iter().filter(|done| done.kind == MessageKind::Flag).map(|done| done.outcome).collect(),
        Err(error) => vec![format!("not delivered yet: {error}")],
    }
}

/// Whether this program delivers it: of several that find it due, one does.
async fn claim(runtime: &Runtime, queued: &QueuedMessage) -> Result<bool> {
    let mut tx = runtime.write().await?;
    let is_ours = tx.outbox_claim(queued, after(runtime.now(), CLAIMED)).await?;
    tx.commit().await?;
    Ok(is_ours)
}

async fn try_flag(runtime: &Runtime, queued: &QueuedMessage, position: &FlagPosition) -> Result<Outcome> {
    let set = deliver_flag(runtime, position).await;
    // Later than when it was due: a service that hangs takes its time.
    let now = runtime.now();
    let mut tx = runtime.write().await?;
    let outcome = match set {
        Ok(outcome) => (close_flag(runtime, &mut tx, queued, position, outcome).await?, true),
        Err(error) => {
            let text = error_chain(&error);
            let [random] = runtime.ids.bytes();
            let attempts = queued.attempts + 1;
            let next = after(now, flag_wait(attempts, random, position.treatment_pct));
            tx.outbox_failed(queued.id, next, &text).await?;
            let tried = QueuedMessage { attempts, last_error: Some(text.clone()), ..queued.clone() };
            stuck::tell(runtime, &mut tx, &tried, position, now).await?;
            tracing::error!(experiment = position.experiment, attempts, "{}", stuck::sentence(&tried, position, now));
            (format!("not yet: {text}"), false)
        }
    };
    tx.commit().await?;
    Ok(outcome)
}

/// `None` when no channel was tried in this pass.
async fn try_notice(
    runtime: &Runtime,
    channels: &Channels,
    queued: &QueuedMessage,
    notice: &Notice,
) -> Result<Option<Outcome>> {
    let told = channels.tell(runtime, queued, notice).await?;
    let mut tx = runtime.write().await?;
    let outcome = match told {
        Told::Closed(closing, outcome) => {
            tx.outbox_close(queued.id, closing, runtime.now()).await?;
            Some((outcome, closing != Closing::DeadLetter))
        }
        Told::NotYet { next, error: Some(error) } => {
            tx.outbox_failed(queued.id, next, &error).await?;
            tracing::error!(message.key = queued.key, "A message could not be delivered: {error}");
            Some((format!("not yet: {error}"), false))
        }
        Told::NotYet { next, error: None } => {
            tx.outbox_postpone(queued.id, next).await?;
            None
        }
    };
    tx.commit().await?;
    Ok(outcome)
}

/// A message that this program cannot read waits for one that can.
async fn put_aside(runtime: &Runtime, queued: &QueuedMessage, problem: &str) -> Result<Outcome> {
    let [random] = runtime.ids.bytes();
    let mut tx = runtime.write().await?;
    tx.outbox_failed(queued.id, after(runtime.now(), notice_wait(queued.attempts + 1, random, None)), problem).await?;
    tx.commit().await?;
    tracing::error!(message.kind = %queued.kind, "A message could not be delivered: {problem}");
    Ok((format!("not yet: {problem}"), false))
}

/// Closes a position. Where its flag stands is written to the log.
async fn close_flag(
    runtime: &Runtime,
    tx: &mut Tx,
    queued: &QueuedMessage,
    position: &FlagPosition,
    outcome: String,
) -> Result<String> {
    let now = runtime.now();
    if !tx.outbox_close(queued.id, Closing::Delivered, now).await? {
        return catch_up(runtime, tx, queued).await;
    }
    let event = new_event(EventKind::FlagSet, runtime.workspace.id.into(), &Principal::system("flags"), position)?;
    tx.event_append(event, now).await?;
    Ok(outcome)
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
    let Some(service) = flag_service(runtime, &*config(runtime).await?).await? else {
        return Ok(format!("flag `{key}`: no flag service is configured, so set it to {pct} % by hand"));
    };
    // What is turned off needs no flag.
    if *pct > 0 {
        service.ensure(key, description).await.map_err(Error::from)?;
    }
    let state = flags::write_and_read_back(service.as_ref(), &flag_position(key, *pct), |pause| {
        Box::pin(tokio::time::sleep(pause))
    })
    .await
    .map_err(Error::from)?;
    Ok(format!("flag `{key}` is {state} ({})", service.name()))
}
