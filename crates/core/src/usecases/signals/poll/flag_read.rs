//! The flag, read back at each poll. One that cannot be read is no drift, but nobody could stop harm meanwhile: people are told.

use jiff::{SignedDuration, Timestamp};

use crate::config::Config;
use crate::domain::{Experiment, Message, MessageKey, Notice};
use crate::error::{Error, Result, error_chain};
use crate::ports::flags::{Drift, Found};
use crate::present::span;
use crate::store::{AllocationPhase, Instant, SignalHealth, Tx};
use crate::usecases::Runtime;
use crate::usecases::kernel::attached_flag::drift_of;
use crate::usecases::kernel::flag::expected_position;
use crate::usecases::kernel::phases::is_on;
use crate::usecases::kernel::workspace_file::flag_service;

/// When people are told that a flag cannot be read, and how often from then on.
const FIRST: SignedDuration = SignedDuration::from_mins(30);
const AGAIN: SignedDuration = SignedDuration::from_hours(6);
/// Under which name it stands beside the signals of an experiment.
const NAME: &str = "the flag";

/// What the flag service says of the flag.
pub(super) enum FlagRead {
    /// Nobody was asked.
    NotAsked,
    /// It is where it was put, or on its way.
    InPlace,
    /// It is elsewhere; the sentence says where.
    Drift(String),
    /// It cannot be read; the sentence says why.
    NotRead(String),
}

/// Asks where the flag is.
pub(super) async fn read_flag(
    runtime: &Runtime,
    config: &Config,
    experiment: &Experiment,
    phases: &[AllocationPhase],
) -> FlagRead {
    let key = &experiment.hypothesis.flag_key;
    match try_read_flag(runtime, config, experiment, phases).await {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(flag = %key, code = %error.code(), "The flag could not be read: {error}");
            FlagRead::NotRead(error_chain(&error))
        }
    }
}

async fn try_read_flag(
    runtime: &Runtime,
    config: &Config,
    experiment: &Experiment,
    phases: &[AllocationPhase],
) -> Result<FlagRead> {
    let is_waiting = runtime.read().await?.outbox_is_flag_waiting(experiment.id).await?;
    let Some(service) = flag_service(runtime, config).await? else { return Ok(FlagRead::NotAsked) };
    // What is to be off is written until it is.
    if is_waiting && !is_on(phases) {
        return Ok(FlagRead::NotAsked);
    }
    let expected = expected_position(experiment, phases);
    let drift = drift_of(service.as_ref(), experiment, &expected).await.map_err(Error::from)?;
    Ok(match drift.filter(|drift| !is_waiting || !is_on_its_way(drift, phases)) {
        None => FlagRead::InPlace,
        Some(drift) => FlagRead::Drift(drift.to_string()),
    })
}

/// A position that is not there yet explains one that was there before, and nothing else.
fn is_on_its_way(drift: &Drift, phases: &[AllocationPhase]) -> bool {
    match &drift.found {
        Found::Nothing => true,
        Found::At(state) if !state.is_on => true,
        Found::At(state) => phases.iter().any(|phase| phase.treatment_pct == i32::from(state.treatment_pct)),
        Found::Otherwise(_) => false,
    }
}

/// Keeps since when the flag cannot be read, and tells people. Returns a sentence where it cannot.
pub(super) async fn keep_flag_read(
    runtime: &Runtime,
    tx: &mut Tx,
    experiment: &Experiment,
    read: &FlagRead,
    now: Timestamp,
) -> Result<Option<String>> {
    let before = tx.signal_health_get(experiment.id.0, NAME).await?;
    let problem = match read {
        FlagRead::NotRead(problem) => problem,
        FlagRead::NotAsked => return Ok(None),
        FlagRead::InPlace | FlagRead::Drift(_) => {
            if before.is_some_and(|before| before.failures > 0) {
                tx.signal_health_put(experiment.id.0, &health(now, 0, None, None, Some(now))).await?;
            }
            return Ok(None);
        }
    };
    let failures = before.as_ref().map_or(0, |before| before.failures) + 1;
    let since = before.as_ref().and_then(|before| before.failing_since).map_or(now, |since| since.0.min(now));
    let last_ok = before.and_then(|before| before.last_ok_at).map(|at| at.0);
    tx.signal_health_put(experiment.id.0, &health(now, failures, Some(since), Some(problem.clone()), last_ok)).await?;
    let key = &experiment.hypothesis.flag_key;
    let lasts = now.duration_since(since);
    if lasts >= FIRST {
        let time = (lasts - FIRST).as_secs() / AGAIN.as_secs();
        let told_at = since.checked_add(AGAIN.saturating_mul(i32::try_from(time).unwrap_or(i32::MAX))).unwrap_or(since);
        let detail = format!(
            "the flag `{key}` could not be read for {}: {problem}. Nobody knows where it is, and it could not be turned off if it did harm",
            span(lasts.as_mins())
        );
        let notice = Message::Notice(Notice::FlagNotSet { experiment: experiment.slug.to_string(), detail });
        let key = MessageKey::FlagNotRead(experiment.id, told_at);
        tx.outbox_insert(runtime.ids.next(), &notice, &key, now).await?;
    }
    Ok(Some(format!("`{}`: the flag `{key}` could not be read: {problem}", experiment.slug)))
}

fn health(
    now: Timestamp,
    failures: i64,
    since: Option<Timestamp>,
    last_error: Option<String>,
    last_ok: Option<Timestamp>,
) -> SignalHealth {
    SignalHealth {
        signal: NAME.to_owned(),
        due_at: Instant(now),
        last_ok_at: last_ok.map(Instant),
        failures,
        breaches: 0,
        failing_since: since.map(Instant),
        last_error,
    }
}
