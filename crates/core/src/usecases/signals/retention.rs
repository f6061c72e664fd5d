//! Forgetting readings whose time is over: of the levels of a day all but the last, and the texts of sources' answers.
//!
//! **Invariant**: nothing that a decision, a proof or attainment rests on is forgotten: of levels only those of secondary signals, which
//! inform and never decide. What is forgotten is in the log.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::Signals;
use crate::audit::EventKind;
use crate::config::Config;
use crate::domain::Window;
use crate::error::Result;
use crate::ids::{MeasurementId, OutcomeId};
use crate::principal::Principal;
use crate::usecases::Runtime;
use crate::usecases::kernel::clock_look::look;
use crate::usecases::kernel::days::{DAY, day_after};
use crate::usecases::kernel::event::new_event;
use crate::usecases::kernel::workspace_file::{config, is_pushed};

/// Most levels that are forgotten in one transaction.
const LEVELS_AT_ONCE: usize = 200;
/// Most signals that are looked at in one transaction: others who write wait meanwhile.
const SIGNALS_AT_ONCE: usize = 200;
/// Others who write come in between.
const PAUSE: Duration = Duration::from_millis(20);

/// What was forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Thinned {
    /// Levels of outcomes.
    pub n_levels: u64,
    /// Texts of sources' answers.
    pub n_answers: u64,
    /// Whether the time was over before everything was forgotten.
    pub is_unfinished: bool,
}

impl Signals<'_> {
    /// Forgets readings whose time is over, for no longer than `patience`: whole days only, so at most once a day there is something to
    /// be done. By a clock that is not believed nothing is forgotten, and without a file that can be read neither.
    ///
    /// # Errors
    /// When the database fails. What was forgotten until then stays forgotten.
    #[tracing::instrument(level = "debug", name = "signals.thin", skip_all)]
    pub async fn thin(self, patience: Duration) -> Result<Thinned> {
        match look(self.0, false).await? {
            None => forget(self.0, patience).await,
            Some(_) => Ok(Thinned::default()),
        }
    }
}

/// The same by a clock that was looked at.
pub(super) async fn forget(runtime: &Runtime, patience: Duration) -> Result<Thinned> {
    let Ok(config) = config(runtime).await else { return Ok(Thinned::default()) };
    let until = Instant::now() + patience;
    let mut done = Thinned::default();
    let retention = config.retention;
    forget_answers(runtime, day_before(runtime, retention.raw_answers.get())?, until, &mut done).await?;
    forget_levels(runtime, &config, day_before(runtime, retention.levels.get())?, until, &mut done).await?;
    Ok(done)
}

/// The beginning of the day so long ago.
fn day_before(runtime: &Runtime, ago: jiff::SignedDuration) -> Result<Timestamp> {
    let at = runtime.now().checked_sub(ago).unwrap_or(Timestamp::MIN + DAY);
    Ok(day_after(at, 0)?.from)
}

async fn forget_answers(runtime: &Runtime, before: Timestamp, until: Instant, done: &mut Thinned) -> Result<()> {
    if !runtime.read().await?.raw_answer_is_old(before).await? {
        return Ok(());
    }
    loop {
        let mut tx = runtime.write().await?;
        let n = tx.raw_answer_sweep(before).await?;
        if n == 0 {
            return Ok(());
        }
        let said = json!({ "answers": n, "last_said_before": before });
        tx.event_append(note(runtime, &said)?, runtime.now()).await?;
        tx.commit().await?;
        done.n_answers += n;
        if Instant::now() >= until {
            done.is_unfinished = true;
            return Ok(());
        }
        sleep(PAUSE).await;
    }
}

async fn forget_levels(
    runtime: &Runtime,
    config: &Config,
    before: Timestamp,
    until: Instant,
    done: &mut Thinned,
) -> Result<()> {
    let mut tx = runtime.read().await?;
    // What was written by a clock that was ahead says nothing.
    let noted = tx.levels_thinned_until().await?.filter(|noted| *noted <= runtime.now());
    let begins = match noted {
        Some(noted) => noted,
        None => tx.measurement_first_level().await?.map_or(before, |first| first.min(before)),
    };
    let outcomes = if begins < before { tx.outcome_list(None).await? } else { Vec::new() };
    drop(tx);
    let subjects: Vec<(OutcomeId, &str)> = outcomes
        .iter()
        .flat_map(|outcome| outcome.spec.secondary_signals.iter().map(|signal| (outcome.id, signal)))
        .filter(|(_, signal)| !is_pushed(config, &signal.source))
        .map(|(outcome, signal)| (outcome, signal.name.as_str()))
        .collect();
    let mut day = day_after(begins, 0)?;
    while day.to <= before {
        let is_over = forget_day(runtime, subjects.clone(), day, until, done).await?;
        day = day_after(day.to, 0)?;
        if !is_over || (Instant::now() >= until && day.to <= before) {
            done.is_unfinished = true;
            return Ok(());
        }
    }
    if noted.is_none() && begins >= before {
        let mut tx = runtime.write().await?;
        tx.levels_thinned(before).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Forgets all levels of a day but the last of each signal; false where the time was over before.
async fn forget_day(
    runtime: &Runtime,
    mut subjects: Vec<(OutcomeId, &str)>,
    day: Window,
    until: Instant,
    done: &mut Thinned,
) -> Result<bool> {
    loop {
        let mut tx = runtime.write().await?;
        let mut levels: Vec<MeasurementId> = Vec::new();
        for (outcome, signal) in std::iter::from_fn(|| subjects.pop()).take(SIGNALS_AT_ONCE) {
            let all = tx.measurement_levels_of_day(outcome, signal, day).await?;
            levels.extend(all.into_iter().skip(1));
            if levels.len() >= LEVELS_AT_ONCE {
                break;
            }
        }
        if !levels.is_empty() {
            tx.measurement_delete_levels(&levels).await?;
            let said = json!({ "levels": levels.len(), "day": day });
            tx.event_append(note(runtime, &said)?, runtime.now()).await?;
        }
        let is_over = subjects.is_empty();
        if is_over {
            tx.levels_thinned(day.to).await?;
        }
        tx.commit().await?;
        done.n_levels += u64::try_from(levels.len()).unwrap_or_default();
        // Something was done, so that the next time it gets further.
        if !levels.is_empty() {
            sleep(PAUSE).await;
        }
        if is_over {
            return Ok(true);
        }
        if !levels.is_empty() && Instant::now() >= until {
            return Ok(false);
        }
    }
}

fn note(runtime: &Runtime, said: &serde_json::Value) -> Result<crate::audit::NewEvent> {
    new_event(EventKind::ReadingsThinned, runtime.workspace.id.into(), &Principal::system("retention"), said)
}
