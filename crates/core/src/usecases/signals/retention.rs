//! Forgetting readings whose time is over: of the levels of a day all but the last, and the texts of sources' answers.
//!
//! **Invariant**: nothing that a decision, a proof or attainment rests on is forgotten: readings of experiments, days, what was pushed,
//! and the levels of the days on which an outcome began, was to end, or changed last. What is forgotten is in the log.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::Signals;
use crate::audit::EventKind;
use crate::domain::{Outcome, Window};
use crate::error::Result;
use crate::ids::{MeasurementId, OutcomeId};
use crate::principal::Principal;
use crate::usecases::Runtime;
use crate::usecases::kernel::clock_look::look;
use crate::usecases::kernel::days::{DAY, day_after};
use crate::usecases::kernel::event::new_event;
use crate::usecases::kernel::queue::signals_of;
use crate::usecases::kernel::workspace_file::config;

/// Most levels that are forgotten in one transaction.
const LEVELS_AT_ONCE: usize = 500;
/// Others who write come in between.
const PAUSE: Duration = Duration::from_millis(20);

/// What was forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
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
        let runtime = self.0;
        let Ok(config) = config(runtime).await else { return Ok(Thinned::default()) };
        if look(runtime, false).await?.is_some() {
            return Ok(Thinned::default());
        }
        let until = Instant::now() + patience;
        let mut done = Thinned::default();
        let retention = config.retention;
        forget_answers(runtime, day_before(runtime, retention.raw_answers.get())?, until, &mut done).await?;
        forget_levels(runtime, day_before(runtime, retention.levels.get())?, until, &mut done).await?;
        Ok(done)
    }
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

async fn forget_levels(runtime: &Runtime, before: Timestamp, until: Instant, done: &mut Thinned) -> Result<()> {
    let mut tx = runtime.read().await?;
    let begins = match tx.levels_thinned_until().await? {
        Some(begins) => begins,
        None => tx.measurement_first_level().await?.map_or(before, |first| first.min(before)),
    };
    let is_noted = tx.levels_thinned_until().await?.is_some();
    let outcomes = if begins < before { tx.outcome_list(None).await? } else { Vec::new() };
    drop(tx);
    let mut day = day_after(begins, 0)?;
    while day.to <= before {
        let is_over = forget_day(runtime, &outcomes, day, until, done).await?;
        if !is_over {
            done.is_unfinished = true;
            return Ok(());
        }
        day = day_after(day.to, 0)?;
    }
    if !is_noted && begins >= before {
        let mut tx = runtime.write().await?;
        tx.levels_thinned(before).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Forgets all levels of a day but the last of each signal; false where the time was over before.
async fn forget_day(
    runtime: &Runtime,
    outcomes: &[Outcome],
    day: Window,
    until: Instant,
    done: &mut Thinned,
) -> Result<bool> {
    let thinned = outcomes.iter().filter(|outcome| !is_kept_whole(outcome, day));
    let mut subjects: Vec<(OutcomeId, &str)> =
        thinned.flat_map(|outcome| signals_of(outcome).map(|signal| (outcome.id, signal.name.as_str()))).collect();
    subjects.reverse();
    loop {
        let mut tx = runtime.write().await?;
        let mut levels: Vec<MeasurementId> = Vec::new();
        while levels.len() < LEVELS_AT_ONCE {
            let Some((outcome, signal)) = subjects.pop() else { break };
            let all = tx.measurement_levels_of_day(outcome, signal, day).await?;
            levels.extend(all.into_iter().skip(1));
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
        if is_over {
            return Ok(true);
        }
        if Instant::now() >= until {
            return Ok(false);
        }
        sleep(PAUSE).await;
    }
}

/// Whether what is said about the outcome may rest on a level in the middle of the day.
fn is_kept_whole(outcome: &Outcome, day: Window) -> bool {
    let began = outcome.state.baseline.as_ref().map(|baseline| baseline.captured_at);
    let marks = [began, outcome.state.deadline, Some(outcome.updated_at)];
    marks.into_iter().flatten().any(|at| at >= day.from && at < day.to)
}

fn note(runtime: &Runtime, said: &serde_json::Value) -> Result<crate::audit::NewEvent> {
    new_event(EventKind::ReadingsThinned, runtime.workspace.id.into(), &Principal::system("retention"), said)
}
