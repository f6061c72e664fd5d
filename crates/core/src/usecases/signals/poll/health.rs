//! When a signal is due, and how it is: backoff, alert, staleness.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};

use crate::domain::{Experiment, Message, MessageKey, Notice, Outcome, Plan, SignalSpec};
use crate::error::{Error, Result, error_chain};
use crate::store::{Instant, SignalHealth, Tx};
use crate::usecases::Runtime;

/// Which signals are to be read in a round.
pub(super) struct Due {
    /// The ones that are not, by the id of their outcome or experiment and their name.
    waiting: HashSet<(uuid::Uuid, String)>,
}

impl Due {
    /// What the database says is due now, in one question; everything with `is_forced`.
    pub(super) async fn now(runtime: &Runtime, is_forced: bool) -> Result<Self> {
        if is_forced {
            return Ok(Self { waiting: HashSet::new() });
        }
        let mut tx = runtime.read().await?;
        Ok(Self { waiting: tx.signals_waiting(runtime.now()).await? })
    }

    /// True when a signal is to be read. `subject`: the id of its outcome or experiment.
    pub(super) fn has(&self, subject: uuid::Uuid, signal: &SignalSpec) -> bool {
        !self.waiting.contains(&(subject, signal.name.clone()))
    }
}

/// Marks a good reading and sets the next one.
pub(super) async fn health_ok(runtime: &Runtime, tx: &mut Tx, subject: uuid::Uuid, signal: &SignalSpec) -> Result<()> {
    let now = runtime.now();
    let interval = signal.poll_interval.get();
    // Jitter of up to 5 % keeps many signals from asking a source at the same instant; never later than the interval.
    let [jitter] = runtime.ids.bytes::<1>();
    let early = interval / 5120 * i32::from(jitter);
    let next = now.checked_add(interval.checked_sub(early).unwrap_or(interval)).unwrap_or(now);
    let health = SignalHealth {
        signal: signal.name.clone(),
        due_at: Instant(next),
        last_ok_at: Some(Instant(now)),
        failures: 0,
        breaches: 0,
        last_error: None,
    };
    tx.signal_health_put(subject, &health).await
}

/// Marks a failed reading: backoff, and one alert for a row of failures.
pub(super) async fn health_failed(
    runtime: &Runtime,
    tx: &mut Tx,
    subject: uuid::Uuid,
    signal: &SignalSpec,
    error: &Error,
) -> Result<String> {
    let now = runtime.now();
    let before = tx.signal_health_get(subject, &signal.name).await?;
    let failures = before.as_ref().map_or(0, |health| health.failures) + 1;
    let wait = SignedDuration::from_mins(1 << failures.clamp(0, 8)).min(signal.poll_interval.get());
    let text: String = error_chain(error).chars().take(500).collect();
    let health = SignalHealth {
        signal: signal.name.clone(),
        due_at: Instant(now.checked_add(wait).unwrap_or(now)),
        last_ok_at: before.and_then(|health| health.last_ok_at),
        failures,
        breaches: 0,
        last_error: Some(text.clone()),
    };
    tx.signal_health_put(subject, &health).await?;
    if failures == 1 {
        let notice = Message::Notice(Notice::SignalFailing {
            signal: signal.name.clone(),
            source: signal.source.clone(),
            error: text.clone(),
        });
        let key = MessageKey::SignalFailing(subject, signal.name.clone(), now);
        tx.outbox_insert(runtime.ids.next(), &notice, &key, now).await?;
        tracing::error!(signal = %signal.name, source = %signal.source, "A signal could not be read: {text}");
    }
    Ok(format!("`{}` from `{}`: {text}", signal.name, signal.source))
}

/// The detail of a signal that has had no good reading for longer than the outcome allows.
pub(super) async fn signal_state(
    tx: &mut Tx,
    outcome: &Outcome,
    experiment: &Experiment,
    plan: &Plan,
    now: Timestamp,
) -> Result<Option<String>> {
    let health = tx.signal_health_get(experiment.id.0, &plan.signal.name).await?;
    let last = health.and_then(|health| health.last_ok_at).map(|at| at.0).or(experiment.launched_at).unwrap_or(now);
    let age = now.duration_since(last);
    Ok((age > outcome.spec.staleness.get()).then(|| {
        format!(
            "`{}` has had no good reading since {last}, which is longer than {} allows",
            plan.signal.name, outcome.spec.staleness
        )
    }))
}
