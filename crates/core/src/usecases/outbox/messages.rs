//! Messages that wait and messages that were given up: seeing them, trying them again by hand, and testing a channel.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::Outbox;
use super::channels::{declared, hand_over};
use super::letter::{subject, test_letter};
use super::stuck;
use crate::domain::{Closing, Message, text_enum};
use crate::error::{Code, Error, Result, error_chain};
use crate::ids::MessageId;
use crate::store::{Delivery, DeliveryState, QueuedMessage, Tx};

text_enum! {
    /// Where a message, or a message in one channel, stands.
    pub enum MessageState {
        /// It is tried again.
        Waiting,
        /// It arrived.
        Delivered,
        /// It was given up: it is tried again only by hand.
        DeadLetter,
    }
}

/// A message in one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct ChannelMessage {
    /// The channel.
    pub channel: String,
    /// Where it stands there.
    pub state: MessageState,
    /// Tries so far.
    pub n_tries: i64,
    /// When it is tried next, if it waits.
    #[schemars(with = "Option<String>")]
    pub next_attempt_at: Option<Timestamp>,
    /// Why the last try failed.
    pub last_error: Option<String>,
}

/// A message that has not arrived everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct MessageLine {
    /// What it is called, the same at each try.
    pub key: String,
    /// `flag` or `notify`.
    pub kind: String,
    /// What it says, in a line.
    pub subject: String,
    /// Where it stands.
    pub state: MessageState,
    /// When it was decided.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// Tries so far that failed.
    pub n_tries: i64,
    /// When it is tried next, if it waits.
    #[schemars(with = "Option<String>")]
    pub next_attempt_at: Option<Timestamp>,
    /// Why the last try failed.
    pub last_error: Option<String>,
    /// The channels in which it was tried; none for a flag.
    pub channels: Vec<ChannelMessage>,
}

/// What has not arrived.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Messages {
    /// Now, by the workspace's clock.
    #[schemars(with = "String")]
    pub now: Timestamp,
    /// How many wait.
    pub n_waiting: i64,
    /// How many were given up.
    pub n_dead_letters: i64,
    /// Those that wait, oldest first, at most 100.
    pub waiting: Vec<MessageLine>,
    /// Those that were given up, newest first, at most 100.
    pub dead_letters: Vec<MessageLine>,
}

/// Which messages are tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retry {
    /// The one with this key.
    Key(String),
    /// Every one that waits or was given up.
    All,
}

/// What came of trying messages again.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Retried {
    /// How many messages were made due.
    pub n_messages: usize,
    /// What is still missing of them; empty when all arrived.
    pub still_waiting: Vec<MessageLine>,
}

/// What a channel made of a test message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct ChannelTest {
    /// The channel.
    pub channel: String,
    /// True when it took the message.
    pub is_taken: bool,
    /// What it answered, or why it did not take it.
    pub answer: String,
}

/// Most messages that are listed of each kind.
const MAX_LISTED: i64 = 100;
/// Most messages that are made due by one act.
const MAX_RETRIED: i64 = 10_000;

impl Outbox<'_> {
    /// The messages that wait and those that were given up.
    ///
    /// # Errors
    /// When the database fails.
    #[tracing::instrument(level = "debug", name = "outbox.messages", skip_all)]
    pub async fn messages(self) -> Result<Messages> {
        let now = self.0.now();
        let mut tx = self.0.read().await?;
        let n_waiting = tx.outbox_n_open().await?;
        let (n_dead_letters, _) = tx.outbox_closed_as(Closing::DeadLetter).await?;
        let mut waiting = Vec::new();
        for queued in tx.outbox_open(MAX_LISTED).await? {
            waiting.push(line(&mut tx, queued, MessageState::Waiting, now).await?);
        }
        let mut dead_letters = Vec::new();
        for queued in tx.outbox_list_closed_as(Closing::DeadLetter, MAX_LISTED).await? {
            dead_letters.push(line(&mut tx, queued, MessageState::DeadLetter, now).await?);
        }
        Ok(Messages { now, n_waiting, n_dead_letters, waiting, dead_letters })
    }

    /// Tries messages again now, also those that were given up. A channel that has a message does not get it again.
    ///
    /// # Errors
    /// [`Code::NotFound`] when no message with this key waits or was given up.
    #[tracing::instrument(level = "debug", name = "outbox.retry", skip_all)]
    pub async fn retry(self, which: &Retry) -> Result<Retried> {
        let now = self.0.now();
        let mut tx = self.0.write().await?;
        let wanted = match which {
            Retry::Key(key) => vec![tx.outbox_by_key(key).await?.ok_or_else(|| {
                Error::not_found("message", key).hint("`outcome-runtime messages` lists what waits or was given up")
            })?],
            Retry::All => {
                let mut all = tx.outbox_open(MAX_RETRIED).await?;
                all.extend(tx.outbox_list_closed_as(Closing::DeadLetter, MAX_RETRIED).await?);
                all
            }
        };
        for queued in &wanted {
            tx.outbox_reopen(queued.id, now).await?;
            tx.delivery_reopen(queued.id, now).await?;
        }
        tx.commit().await?;
        self.deliver().await?;
        let ids: Vec<MessageId> = wanted.iter().map(|queued| queued.id).collect();
        Ok(Retried { n_messages: ids.len(), still_waiting: self.missing(&ids).await? })
    }

    /// Those of these messages that have not arrived.
    async fn missing(self, ids: &[MessageId]) -> Result<Vec<MessageLine>> {
        let now = self.0.now();
        let mut tx = self.0.read().await?;
        let open = tx.outbox_open(MAX_RETRIED).await?.into_iter().map(|queued| (queued, MessageState::Waiting));
        let dead = tx.outbox_list_closed_as(Closing::DeadLetter, MAX_RETRIED).await?;
        let dead = dead.into_iter().map(|queued| (queued, MessageState::DeadLetter));
        let mut out = Vec::new();
        for (queued, state) in open.chain(dead).filter(|(queued, _)| ids.contains(&queued.id)) {
            out.push(line(&mut tx, queued, state, now).await?);
        }
        Ok(out)
    }

    /// Sends a test message to a channel of the file, or to all of them.
    ///
    /// # Errors
    /// [`Code::NotFound`] when the file does not declare the channel, or none. A channel that did not take the message is in
    /// the result.
    #[tracing::instrument(level = "debug", name = "outbox.test", skip_all)]
    pub async fn test(self, channel: Option<&str>) -> Result<Vec<ChannelTest>> {
        let declared = declared(self.0).await?;
        let kinds: Vec<&str> = declared.iter().map(|spec| spec.kind).collect();
        if let Some(name) = channel.filter(|name| !kinds.contains(name)) {
            return Err(Error::not_found("channel", name).hint(match kinds[..] {
                [] => "the file declares no channel: add one below `notifications`".to_owned(),
                _ => format!("the file declares: {}", kinds.join(", ")),
            }));
        }
        if declared.is_empty() {
            return Err(Error::new(Code::NotFound, "the file declares no channel")
                .hint("add `webhook` or `desktop` below `notifications`"));
        }
        let mut out = Vec::new();
        for spec in declared.iter().filter(|spec| channel.is_none_or(|name| spec.kind == name)) {
            let key = format!("test/{}", self.0.ids.next::<MessageId>());
            let letter = test_letter(key, self.0.now(), &self.0.gates().pages().await?);
            let (is_taken, answer) = match hand_over(self.0, spec, &letter).await {
                Ok(answer) => (true, answer),
                Err(error) => (false, error_chain(&error)),
            };
            out.push(ChannelTest { channel: spec.kind.to_owned(), is_taken, answer });
        }
        Ok(out)
    }
}

/// What a message says, in a line.
pub(in crate::usecases) fn says(queued: &QueuedMessage, now: Timestamp) -> String {
    match &queued.message {
        Ok(Message::Notice(notice)) => subject(notice),
        Ok(Message::Flag(position)) if queued.attempts > 0 => stuck::sentence(queued, position, now),
        Ok(Message::Flag(position)) => {
            format!("Flag `{}` of `{}` to {} %", position.key, position.experiment, position.treatment_pct)
        }
        Err(unreadable) => unreadable.to_string(),
    }
}

async fn line(tx: &mut Tx, queued: QueuedMessage, state: MessageState, now: Timestamp) -> Result<MessageLine> {
    let channels: Vec<_> = tx.delivery_list(queued.id).await?.into_iter().map(channel_message).collect();
    let of_channels = channels.iter().filter_map(|channel| channel.last_error.clone()).collect::<Vec<_>>().join("; ");
    Ok(MessageLine {
        subject: says(&queued, now),
        last_error: queued.last_error.or(Some(of_channels).filter(|errors| !errors.is_empty())),
        key: queued.key,
        kind: queued.kind,
        state,
        created_at: queued.created_at,
        n_tries: channels.iter().map(|channel| channel.n_tries).max().unwrap_or(queued.attempts),
        next_attempt_at: (state == MessageState::Waiting).then_some(queued.next_attempt_at),
        channels,
    })
}

fn channel_message(delivery: Delivery) -> ChannelMessage {
    let state = match delivery.state {
        DeliveryState::Open => MessageState::Waiting,
        DeliveryState::Delivered => MessageState::Delivered,
        DeliveryState::Dead => MessageState::DeadLetter,
    };
    ChannelMessage {
        channel: delivery.channel,
        state,
        n_tries: delivery.attempts,
        next_attempt_at: (state == MessageState::Waiting).then_some(delivery.next_attempt_at),
        last_error: delivery.last_error,
    }
}
