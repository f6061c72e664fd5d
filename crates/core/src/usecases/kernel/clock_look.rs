//! The clock of this machine at the beginning of a round: asking what it is held against, and keeping what was found.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::clock_doubt::{ClockDoubt, Tick, Witnesses, doubt};
use super::workspace_file::{config, is_pushed, source};
use crate::clock::Uptime;
use crate::config::Config;
use crate::domain::{Message, MessageKey, Notice, Verdict};
use crate::error::{Code, Error, Result};
use crate::store::{Instant, MachineClock, Tx};
use crate::usecases::Runtime;

/// How long a source may take to say what time it is. One that does not is asked for its signals all the same.
const PATIENCE: Duration = Duration::from_secs(2);
/// A clock that is believed is written down this often.
const KEPT_EVERY: SignedDuration = SignedDuration::from_mins(10);
/// How long it is kept.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Clocks without an uptime, which are set by hand, share this name.
const NO_NAME: &str = "unknown";

/// Whether the clock is not to be believed. `is_right`: a person says that it is.
pub(in crate::usecases) async fn look(runtime: &Runtime, is_right: bool) -> Result<Option<ClockDoubt>> {
    let uptime = runtime.clock.uptime();
    let boot = uptime.as_ref().map_or(NO_NAME, |uptime| uptime.boot.as_str());
    let mut tx = runtime.read().await?;
    let kept = tx.clock_get(boot).await?;
    let found = if is_right { None } else { held_against(runtime, &mut tx, kept.as_ref(), uptime.as_ref()).await? };
    drop(tx);
    keep(runtime, kept, uptime.as_ref(), found.as_ref()).await?;
    Ok(found)
}

/// What turns something on is not signed by a clock that is not believed: the time since then would be wrong. What turns something
/// off always is.
///
/// # Errors
/// [`Code::ClockDoubtful`].
pub(super) async fn must_be_believed(runtime: &Runtime, verdict: Verdict) -> Result<()> {
    if verdict.is_negative() {
        return Ok(());
    }
    match look(runtime, false).await? {
        None => Ok(()),
        Some(doubt) => Err(Error::new(Code::ClockDoubtful, format!("`{verdict}` was not signed: {}", doubt.reason)).hint(
            "put the clock right and try again; where it is right, say so with `outcome-runtime poll --clock-is-right` first",
        )),
    }
}

async fn held_against(
    runtime: &Runtime,
    tx: &mut Tx,
    kept: Option<&MachineClock>,
    uptime: Option<&Uptime>,
) -> Result<Option<ClockDoubt>> {
    let tick =
        kept.and_then(|kept| Some(Tick { now: kept.believed_at?.0, up: SignedDuration::from_micros(kept.up_micros) }));
    let mut witnesses = Witnesses::default().with_uptime(tick, uptime);
    witnesses.last_line = tx.event_last_at().await?;
    // A clock that is set by hand is nobody else's.
    if !runtime.clock.is_virtual() {
        witnesses.database = tx.clock_of_server().await?;
    }
    let found = doubt(runtime.now(), &witnesses);
    let is_first = witnesses.tick.is_none() && witnesses.database.is_none();
    if runtime.clock.is_virtual() || !(found.is_some() || is_first) {
        return Ok(found);
    }
    witnesses.sources = clocks(runtime).await;
    Ok(doubt(runtime.now(), &witnesses))
}

/// What a source's clock shows; `None` where it has none, or does not say in time.
pub(in crate::usecases) async fn clock_of_source(runtime: &Runtime, config: &Config, name: &str) -> Option<Timestamp> {
    let source = source(runtime, config, name).await.ok()?;
    timeout(PATIENCE, source.clock()).await.ok()?.ok()?
}

/// The clocks of the sources that have one and answer in time.
async fn clocks(runtime: &Runtime) -> Vec<(String, Timestamp)> {
    let Ok(config) = config(runtime).await else { return Vec::new() };
    let mut asking = JoinSet::new();
    for name in config.connectors.iter().map(|spec| spec.name.clone()).filter(|name| !is_pushed(&config, name)) {
        let (runtime, config) = (runtime.clone(), Arc::clone(&config));
        asking.spawn(async move { clock_of_source(&runtime, &config, &name).await.map(|clock| (name, clock)) });
    }
    let mut found: Vec<_> = asking.join_all().await.into_iter().flatten().collect();
    found.sort_unstable();
    found
}

/// Writes down what the clock shows while it is believed, and why it is not.
async fn keep(
    runtime: &Runtime,
    kept: Option<MachineClock>,
    uptime: Option<&Uptime>,
    found: Option<&ClockDoubt>,
) -> Result<()> {
    let now = found.map_or_else(|| runtime.now(), |found| found.now);
    let known = kept.as_ref().map(|kept| kept.doubt.as_deref());
    let is_known = known == Some(found.map(|found| found.reason.as_str()));
    let is_recent = kept.as_ref().is_some_and(|kept| now.duration_since(kept.seen_at.0).abs() < KEPT_EVERY);
    if is_known && is_recent {
        return Ok(());
    }
    let before = kept.as_ref().and_then(|kept| kept.believed_at.map(|at| (at, kept.up_micros)));
    let (believed_at, up_micros) = match found {
        None => (Some(Instant(now)), micros(uptime)),
        Some(_) => before.map_or((None, micros(uptime)), |(at, up)| (Some(at), up)),
    };
    let clock = MachineClock {
        boot: uptime.map_or(NO_NAME, |uptime| uptime.boot.as_str()).to_owned(),
        believed_at,
        up_micros,
        doubt: found.map(|found| found.reason.clone()),
        seen_at: Instant(now),
    };
    let mut tx = runtime.write().await?;
    tx.clock_put(&clock, now.checked_sub(KEPT_FOR).unwrap_or(now)).await?;
    if let Some(found) = found.filter(|_| kept.is_none_or(|kept| kept.doubt.is_none())) {
        tracing::error!("The clock is not believed: {}", found.reason);
        let notice = Message::Notice(Notice::ClockDoubted { detail: found.in_words() });
        let key = MessageKey::ClockDoubted(runtime.workspace.id, now);
        tx.outbox_insert(runtime.ids.next(), &notice, &key, now).await?;
    }
    tx.commit().await
}

fn micros(uptime: Option<&Uptime>) -> i64 {
    uptime.map_or(0, |uptime| i64::try_from(uptime.up.as_micros()).unwrap_or(i64::MAX))
}
