//! Which channels a notice goes to, and handing it to each of them.

use std::collections::BTreeSet;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::backoff::{MAX_TRIES, NEXT_PASS, after, notice_wait};
use super::letter::{Held, letter};
use crate::config::ChannelSpec;
use crate::domain::{Closing, GateChannel, Notice};
use crate::error::{Result, error_chain};
use crate::ports::{Letter, NotifyError, Opening};
use crate::store::{Delivery, DeliveryState, QueuedMessage};
use crate::usecases::Runtime;
use crate::usecases::kernel::gate_opening::pages;
use crate::usecases::kernel::keyring::keyring_or_none;
use crate::usecases::kernel::people::{People, Person};
use crate::usecases::kernel::resolver::resolver;
use crate::usecases::kernel::workspace_file::config;

/// How long a pass hands over notices. The rest waits for the next one: a round of polling must not wait for a slow receiver.
const PASS: Duration = Duration::from_secs(20);

/// The channels of one pass over the notices.
#[derive(Debug)]
pub(super) struct Channels {
    began: Instant,
    /// What the file declares, read at the first notice.
    declared: OnceLock<Vec<ChannelSpec>>,
    /// Those that did not answer in this pass: each may cost its whole time limit, so that only one notice waits for it.
    silent: Mutex<BTreeSet<&'static str>>,
}

/// What became of a notice in one pass.
pub(super) enum Told {
    /// It is over, with a sentence.
    Closed(Closing, String),
    /// Some channel does not have it yet. `error`: where one was tried, and why it failed.
    NotYet {
        /// When to try again.
        next: Timestamp,
        /// Why the tries of this pass failed; `None` when nothing was tried.
        error: Option<String>,
    },
}

/// What became of a notice in one channel.
enum Fate {
    Has,
    GivenUp(String),
    Waits { next: Timestamp, error: Option<String> },
}

impl Channels {
    /// At the beginning of a pass.
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), declared: OnceLock::new(), silent: Mutex::default() }
    }

    /// Hands a notice to the channel that its gate names, or to every channel of the file that does not have it yet and may
    /// be tried now.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn tell(&self, runtime: &Runtime, queued: &QueuedMessage, notice: &Notice) -> Result<Told> {
        let (kind, place) = match notice.gate().and_then(|about| about.channel.as_deref()).map(GateChannel::of) {
            Some(GateChannel::Nowhere) => {
                return Ok(Told::Closed(Closing::NotWanted, "the file asks for no message".to_owned()));
            }
            Some(GateChannel::To { kind, place }) => (Some(kind), place),
            None => (None, None),
        };
        let declared = match self.declared(runtime).await {
            Ok(declared) => declared,
            Err(error) => {
                let [random] = runtime.ids.bytes();
                let wait = notice_wait(queued.attempts + 1, random, None);
                return Ok(Told::NotYet { next: after(runtime.now(), wait), error: Some(error) });
            }
        };
        let known = runtime.read().await?.delivery_list(queued.id).await?;
        let pages = pages(runtime, &mut runtime.read().await?).await?;
        let held = held(runtime, notice).await?;
        let letter = letter(notice, queued, held.as_ref(), place.map(ToOwned::to_owned), &pages);
        let mut fates = Vec::new();
        for spec in declared.iter().filter(|spec| kind.is_none_or(|kind| spec.kind == kind)) {
            let delivery = known.iter().find(|delivery| delivery.channel == spec.kind);
            fates.push((spec.kind, self.try_channel(runtime, queued, spec, delivery, &letter).await?));
        }
        Ok(sum_up(fates, &known))
    }

    /// Tries one channel, if it is due. The attempt is counted before it is made: what is interrupted waits for its next try,
    /// and two programs do not make the same one.
    async fn try_channel(
        &self,
        runtime: &Runtime,
        queued: &QueuedMessage,
        spec: &ChannelSpec,
        delivery: Option<&Delivery>,
        letter: &Letter,
    ) -> Result<Fate> {
        let now = runtime.now();
        if let Some(delivery) = delivery {
            match delivery.state {
                DeliveryState::Delivered => return Ok(Fate::Has),
                DeliveryState::Dead => return Ok(Fate::GivenUp(delivery.last_error.clone().unwrap_or_default())),
                DeliveryState::Open if delivery.next_attempt_at > now => {
                    return Ok(Fate::Waits { next: delivery.next_attempt_at, error: None });
                }
                DeliveryState::Open => {}
            }
        }
        if self.is_silent(spec.kind) || self.began.elapsed() > PASS {
            return Ok(Fate::Waits { next: after(runtime.now(), NEXT_PASS), error: None });
        }
        let attempt = delivery.map_or(0, |delivery| delivery.attempts) + 1;
        let [random] = runtime.ids.bytes();
        let next = after(runtime.now(), notice_wait(attempt, random, None));
        let mut tx = runtime.write().await?;
        let is_ours = tx.delivery_claim(queued.id, spec.kind, attempt, next).await?;
        tx.commit().await?;
        if !is_ours {
            return Ok(Fate::Waits { next: after(runtime.now(), NEXT_PASS), error: None });
        }
        let sent = hand_over(runtime, spec, letter).await;
        let mut tx = runtime.write().await?;
        let fate = match sent {
            Ok(_) => {
                tx.delivery_close(queued.id, spec.kind, Closing::Delivered, None, runtime.now()).await?;
                Fate::Has
            }
            Err(error) => {
                self.note_silence(spec.kind, &error);
                let text = error_chain(&error);
                if error.is_final() || attempt >= MAX_TRIES {
                    let now = runtime.now();
                    tx.delivery_close(queued.id, spec.kind, Closing::DeadLetter, Some(&text), now).await?;
                    tracing::error!(message.key = queued.key, attempt, "A message is given up: {text}");
                    Fate::GivenUp(text)
                } else {
                    let next = after(runtime.now(), notice_wait(attempt, random, error.retry_after()));
                    tx.delivery_failed(queued.id, spec.kind, next, &text).await?;
                    Fate::Waits { next, error: Some(text) }
                }
            }
        };
        tx.commit().await?;
        Ok(fate)
    }

    fn is_silent(&self, kind: &'static str) -> bool {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner).contains(kind)
    }

    fn note_silence(&self, kind: &'static str, error: &NotifyError) {
        if error.is_transient() {
            self.silent.lock().unwrap_or_else(PoisonError::into_inner).insert(kind);
        }
    }

    async fn declared(&self, runtime: &Runtime) -> Result<&[ChannelSpec], String> {
        if let Some(known) = self.declared.get() {
            return Ok(known);
        }
        let found = declared(runtime).await.map_err(|error| error_chain(&error))?;
        Ok(self.declared.get_or_init(|| found))
    }
}

/// Who holds the gate of a notice, with where they are reached now.
async fn held(runtime: &Runtime, notice: &Notice) -> Result<Option<Held>> {
    let Some(holder) = notice.gate().and_then(|about| about.holder.as_ref()) else { return Ok(None) };
    let mut tx = runtime.read().await?;
    let ring = keyring_or_none(runtime, &mut tx).await;
    let people = People::of(&mut tx, &ring).await?;
    let email = people.holding(holder).and_then(Person::email).map(ToOwned::to_owned);
    Ok(Some(Held { by: people.holder_shown(holder), email }))
}

/// The channels that the file declares.
pub(super) async fn declared(runtime: &Runtime) -> Result<Vec<ChannelSpec>> {
    // A program without channels need not read the file to know that there are none.
    match runtime.settings.vendors.channels {
        [] => Ok(Vec::new()),
        _ => Ok(config(runtime).await?.notifications.channels.clone()),
    }
}

/// Opens a channel and hands it a letter; what the receiver answered.
pub(super) async fn hand_over(runtime: &Runtime, spec: &ChannelSpec, letter: &Letter) -> Result<String, NotifyError> {
    let resolve = resolver(runtime, &spec.settings.to_json()).await.map_err(|error| NotifyError::Unreachable {
        channel: spec.kind.to_owned(),
        problem: format!("its secrets could not be looked up: {}", error_chain(&error)),
        retry_after: None,
    })?;
    let channel = {
        let opening = Opening { root: &runtime.settings.root.value, resolve: &resolve };
        spec.settings.open(&opening)?
    };
    channel.send(letter, runtime.now()).await
}

/// What the channels make of it together.
fn sum_up(fates: Vec<(&'static str, Fate)>, known: &[Delivery]) -> Told {
    let (mut has, mut given_up, mut errors, mut next) = (Vec::new(), Vec::new(), Vec::new(), None::<Timestamp>);
    for (kind, fate) in fates {
        match fate {
            Fate::Has => has.push(kind),
            Fate::GivenUp(error) => given_up.push(error),
            Fate::Waits { next: at, error } => {
                next = Some(next.map_or(at, |next| next.min(at)));
                errors.extend(error);
            }
        }
    }
    if let Some(next) = next {
        let error = (!errors.is_empty()).then(|| errors.join("; "));
        return Told::NotYet { next, error };
    }
    if !given_up.is_empty() {
        return Told::Closed(Closing::DeadLetter, format!("given up: {}", given_up.join("; ")));
    }
    // A channel that has it may have been taken out of the file since.
    if has.is_empty() && known.iter().all(|delivery| delivery.state != DeliveryState::Delivered) {
        return Told::Closed(Closing::NoChannel, "no channel".to_owned());
    }
    Told::Closed(Closing::Delivered, format!("sent to {}", has.join(", ")))
}
