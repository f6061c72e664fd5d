//! When a signal is due, and how it is: backoff, alert, staleness.

use jiff::{SignedDuration, Timestamp};

use crate::domain::{Experiment, Message, MessageKey, Notice, Outcome, Plan, SignalSpec};
use crate::error::{Code, Error, Result};
use crate::present::instant;
use crate::store::{Instant, SignalHealth, Tx};
use crate::usecases::Runtime;

/// Marks a good reading and sets the next one, which it returns. `read_at`: when the reading came; `None` where a source that pushes has not pushed
/// yet, which says nothing.
pub(super) async fn health_ok(
    runtime: &Runtime,
    tx: &mut Tx,
    subject: uuid::Uuid,
    signal: &SignalSpec,
    read_at: Option<Timestamp>,
) -> Result<Timestamp> {
    let now = runtime.now();
    let interval = signal.poll_interval.get();
    // Jitter of up to 5 % keeps many signals from asking a source at the same instant; never later than the interval.
    let [jitter] = runtime.ids.bytes::<1>();
    let early = interval / 5120 * i32::from(jitter);
    let next = now.checked_add(interval.checked_sub(early).unwrap_or(interval)).unwrap_or(now);
    let before = match read_at {
        Some(_) => None,
        // Nothing was pushed since it was last known to be well.
        None => tx.signal_health_get(subject, &signal.name).await?.and_then(|health| health.last_ok_at),
    };
    let health = SignalHealth {
        signal: signal.name.clone(),
        due_at: Instant(next),
        last_ok_at: read_at.map(Instant).or(before),
        failures: 0,
        breaches: 0,
        failing_since: None,
        last_error: None,
    };
    tx.signal_health_put(subject, &health).await?;
    Ok(next)
}

/// Marks a failed reading: backoff, and one alert for a row of failures. Returns a sentence, and when it is read next.
pub(super) async fn health_failed(
    runtime: &Runtime,
    tx: &mut Tx,
    subject: uuid::Uuid,
    signal: &SignalSpec,
    error: &Error,
) -> Result<(String, Timestamp)> {
    let now = runtime.now();
    let before = tx.signal_health_get(subject, &signal.name).await?;
    let known = before.as_ref().map_or(0, |health| health.failures);
    // A source that was not asked, since it is left alone or has answered as often as it may, did not fail once more.
    let is_unasked = error.code() == Code::SignalThrottled;
    let failures = if is_unasked { known.max(1) } else { known + 1 };
    let wait = match error.detail::<i64>("retry_after_s").filter(|_| is_unasked) {
        Some(seconds) => SignedDuration::from_secs(seconds.clamp(1, 3600)),
        None => SignedDuration::from_mins(1 << failures.clamp(0, 8)),
    };
    let wait = wait.min(signal.poll_interval.get());
    let text = error.with_remedy();
    let next = now.checked_add(wait).unwrap_or(now);
    let health = SignalHealth {
        signal: signal.name.clone(),
        due_at: Instant(next),
        last_ok_at: before.as_ref().and_then(|health| health.last_ok_at),
        failures,
        breaches: 0,
        failing_since: before.as_ref().and_then(|health| health.failing_since).or(Some(Instant(now))),
        last_error: Some(text.clone()),
    };
    tx.signal_health_put(subject, &health).await?;
    if known == 0 {
        let notice = Message::Notice(Notice::SignalFailing {
            signal: signal.name.clone(),
            source: signal.source.clone(),
            error: text.clone(),
        });
        let key = MessageKey::SignalFailing(subject, signal.name.clone(), now);
        tx.outbox_insert(runtime.ids.next(), &notice, &key, now).await?;
        tracing::error!(signal = %signal.name, source = %signal.source, "A signal could not be read: {text}");
    }
    Ok((format!("`{}` from `{}`: {text}", signal.name, signal.source), next))
}

/// What the health of an experiment's signals comes to: primary and constraints alike.
#[derive(Debug, Default)]
pub(super) struct SignalFindings {
    /// The signal that has been failing for the longest time: a sentence, attempts, since when.
    pub(super) failing: Option<(String, u32, Timestamp)>,
    /// A signal that has had no good reading for longer than the outcome allows, as a sentence.
    pub(super) stale: Option<String>,
}

/// Looks at every signal that the plan reads. `on_since`: when the flag was last turned on; before that nobody was at risk, and
/// nothing may have been read.
pub(super) async fn health_of(
    tx: &mut Tx,
    outcome: &Outcome,
    experiment: &Experiment,
    plan: &Plan,
    on_since: Option<Timestamp>,
    now: Timestamp,
) -> Result<SignalFindings> {
    let mut found = SignalFindings::default();
    let at_risk_since = |at: Timestamp| on_since.map_or(at, |on| on.max(at));
    for signal in plan.signals() {
        let Some(health) = tx.signal_health_get(experiment.id.0, &signal.name).await? else { continue };
        let since = health.failing_since.map(|since| at_risk_since(since.0));
        if let (Some(since), Some(error)) = (since, &health.last_error)
            && found.failing.as_ref().is_none_or(|(.., earliest)| since < *earliest)
        {
            let detail = format!(
                "`{}` could not be read {} times in a row since {}: {error}",
                signal.name,
                health.failures,
                instant(since)
            );
            found.failing = Some((detail, u32::try_from(health.failures).unwrap_or(u32::MAX), since));
        }
        // A reading of the future was made by a clock that was wrong.
        let last_ok = health.last_ok_at.map(|at| at.0).filter(|at| *at <= now);
        let last = at_risk_since(last_ok.or(experiment.launched_at).unwrap_or(now));
        if now.duration_since(last) > outcome.spec.staleness.get() {
            found.stale.get_or_insert_with(|| {
                format!(
                    "`{}` has had no good reading since {}, which is longer than {} allows",
                    signal.name,
                    instant(last),
                    outcome.spec.staleness
                )
            });
        }
    }
    Ok(found)
}
