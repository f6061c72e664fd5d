//! Delivering what was decided: the flag's position now, notices to the channels of the file. A flag is retried until it is
//! there; a notice until every channel has it or has refused it too often.

use std::time::Duration;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Serialize;

use super::Outbox;
use super::aim::{Aim, aim_of};
use super::backoff::{after, flag_wait, longest_wait, notice_wait};
use super::channels::{Channels, Told};
use super::stuck;
use super::tampered::tell_tampered;
use crate::audit::EventKind;
use crate::domain::{Closing, Experiment, FlagPosition, Message, MessageKey, MessageKind, Notice};
use crate::error::{Error, Result, error_chain};
use crate::ids::ExperimentId;
use crate::ports::{FlagError, FlagState, flags};
use crate::principal::Principal;
use crate::store::{QueuedMessage, Tx};
use crate::usecases::Runtime;
use crate::usecases::kernel::attached_flag::FlagOf;
use crate::usecases::kernel::event::new_event;
use crate::usecases::kernel::flag::flag_position;
use crate::usecases::kernel::workspace_file::{config, flag_service};

/// How long nobody else delivers a flag that this program began to deliver: one that died leaves it for no longer.
const CLAIMED: SignedDuration = SignedDuration::from_secs(20);
/// After so long it says that it is still at it.
const HELD_FOR: Duration = Duration::from_secs(10);
/// How often a pass is made again because something later was decided meanwhile.
const PASSES: usize = 3;
/// What is said of a write that may have come after a later one.
const AGAIN: &str = "something later was decided meanwhile, and is written again";

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
        let mut done = Vec::new();
        // Where something later was decided meanwhile, it is written after what was under way.
        for _ in 0..PASSES {
            let now = self.deliver_kind(MessageKind::Flag).await?;
            let is_over = !now.iter().any(|delivered| delivered.outcome == AGAIN);
            done.extend(now);
            if is_over {
                break;
            }
        }
        Ok(done)
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
                // Whatever it says: it is about a flag that is to be looked at.
                _ if is_flag => match claim(self.0, &queued).await? {
                    Some(claimed) => Some(Box::pin(try_flag(self.0, &claimed)).await?),
                    None => None,
                },
                Ok(Message::Notice(notice)) => try_notice(self.0, &channels, &queued, notice).await?,
                Ok(Message::Flag(_)) => None,
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
    // On the heap: a decision is deep already.
    match Box::pin(runtime.outbox().deliver()).await {
        Ok(done) => done.into_iter().filter(|done| done.kind == MessageKind::Flag).map(|done| done.outcome).collect(),
        Err(error) => vec![format!("not delivered yet: {error}")],
    }
}

/// The message as this program holds it; `None` where another one of several that find it due delivers it.
async fn claim(runtime: &Runtime, queued: &QueuedMessage) -> Result<Option<QueuedMessage>> {
    let until = after(runtime.now(), CLAIMED);
    let mut tx = runtime.write().await?;
    let is_ours = tx.outbox_claim(queued, until).await?;
    tx.commit().await?;
    Ok(is_ours.then(|| QueuedMessage { next_attempt_at: until, ..queued.clone() }))
}

/// Puts a flag where it belongs. Nothing is asked of the service within a transaction; what was decided while it was written is written
/// again afterwards.
async fn try_flag(runtime: &Runtime, queued: &QueuedMessage) -> Result<Outcome> {
    let aim = aim_of(runtime, &mut runtime.read().await?, queued).await?;
    let position = match &aim {
        Aim::At(position, _) | Aim::Off(position, _) => position,
        Aim::Nowhere(why) => return leave(runtime, queued, why).await,
    };
    let experiment = match queued.subject {
        Some(subject) => runtime.read().await?.experiment_get(ExperimentId(subject)).await?,
        None => None,
    };
    let set = Box::pin(written(runtime, queued, &aim, (position, experiment.as_ref()))).await;
    // Later than when it was due: a service that hangs takes its time.
    let now = runtime.now();
    let mut tx = runtime.write().await?;
    let outcome = match set {
        _ if aim_of(runtime, &mut tx, queued).await? != aim => {
            again(runtime, &mut tx, queued, position).await?;
            (AGAIN.to_owned(), true)
        }
        Ok(set) => (close_flag(runtime, &mut tx, queued, (&aim, position), set).await?, true),
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

/// Writes a position, and holds the message meanwhile.
async fn written(
    runtime: &Runtime,
    queued: &QueuedMessage,
    aim: &Aim,
    (position, experiment): (&FlagPosition, Option<&Experiment>),
) -> Result<Set> {
    let write = set_flag(runtime, aim, position, experiment);
    tokio::pin!(write);
    let mut held = queued.clone();
    loop {
        tokio::select! {
            done = &mut write => return done,
            () = tokio::time::sleep(HELD_FOR) => {
                // Who lost it goes on: what another program writes is the same, or is written again.
                held = claim(runtime, &held).await?.unwrap_or(held);
            }
        }
    }
}

/// Closes a message that is about no flag of ours.
async fn leave(runtime: &Runtime, queued: &QueuedMessage, why: &str) -> Result<Outcome> {
    let mut tx = runtime.write().await?;
    tx.outbox_close(queued.id, Closing::Overtaken, runtime.now()).await?;
    tx.commit().await?;
    tracing::error!(message.key = queued.key, "A flag was not touched: {why}");
    Ok((format!("not done: {why}"), false))
}

/// Has the flag written once more: this write may have come after a later one.
async fn again(runtime: &Runtime, tx: &mut Tx, queued: &QueuedMessage, position: &FlagPosition) -> Result<()> {
    let Some(subject) = queued.subject.map(ExperimentId) else { return Ok(()) };
    let now = runtime.now();
    tx.outbox_overtake_flag(subject, now).await?;
    let key = MessageKey::FlagAgain(subject, queued.id);
    tx.outbox_insert(runtime.ids.next(), &Message::Flag(position.clone()), &key, now).await
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
    (aim, position): (&Aim, &FlagPosition),
    set: Set,
) -> Result<String> {
    let now = runtime.now();
    let is_ours = tx.outbox_close(queued.id, Closing::Delivered, now).await?;
    let subject = queued.subject.map(ExperimentId);
    if let (Aim::Off(_, problem), Some(subject)) = (aim, subject) {
        tell_tampered(runtime, tx, subject, position, problem).await?;
    }
    match set {
        Set::ByTheService(sentence) => {
            if is_ours {
                let by = Principal::system("flags");
                let event = new_event(EventKind::FlagSet, runtime.workspace.id.into(), &by, position)?;
                tx.event_append(event, now).await?;
            }
            Ok(sentence)
        }
        Set::ByHand(sentence) => {
            let (experiment, detail) = (position.experiment.clone(), sentence.clone());
            let notice = match position.treatment_pct {
                0 => Notice::FlagNotOff { experiment, detail },
                _ => Notice::FlagNotSet { experiment, detail },
            };
            if let Some(subject) = subject {
                let key = MessageKey::FlagStuck(subject, queued.id, 0);
                tx.outbox_insert(runtime.ids.next(), &Message::Notice(notice), &key, now).await?;
            }
            Ok(sentence)
        }
    }
}

/// What somebody else turned on is not overwritten: who got its treatment was not assigned by this experiment.
fn must_be_ours(aim: &Aim, found: &FlagState) -> Result<()> {
    let Aim::At(_, shares) = aim else { return Ok(()) };
    if !found.is_on || shares.contains(&found.treatment_pct) {
        return Ok(());
    }
    let problem = format!("it is {found}, where the runtime never put it");
    Err(FlagError::Foreign { key: found.key.clone(), problem }.into())
}

/// Who put a flag where it is.
enum Set {
    /// The flag service, which was read back.
    ByTheService(String),
    /// Nobody yet: there is no flag service.
    ByHand(String),
}

async fn set_flag(
    runtime: &Runtime,
    aim: &Aim,
    position: &FlagPosition,
    experiment: Option<&Experiment>,
) -> Result<Set> {
    let FlagPosition { key, description, treatment_pct: pct, .. } = position;
    let Some(service) = flag_service(runtime, &*config(runtime).await?).await? else {
        return Ok(Set::ByHand(format!("flag `{key}`: no flag service is configured, so set it to {pct} % by hand")));
    };
    // Of what was tampered with nothing is believed but its key, which is enough to turn it off.
    let flag = FlagOf::new(service.as_ref(), experiment.filter(|_| matches!(aim, Aim::At(..))), *pct == 0);
    let service = flag.service();
    // What is turned off needs no flag.
    if *pct > 0 {
        let found = service.ensure(key, description).await.map_err(Error::from)?;
        must_be_ours(aim, &found)?;
    }
    let state =
        flags::write_and_read_back(service, &flag_position(key, *pct), |pause| Box::pin(tokio::time::sleep(pause)))
            .await
            .map_err(Error::from)?;
    Ok(Set::ByTheService(format!("flag `{key}` is {state} ({})", service.name())))
}
