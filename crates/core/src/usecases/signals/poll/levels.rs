//! The levels of outcomes: asked for source by source, and written many in one transaction, because a transaction for each would
//! wait for the disk once for each.
//!
//! **Invariant**: a reading is stored together with its signal's health and the end of its job, and never waits longer than
//! [`LONGEST_WAIT`] to be stored, also while a slow source is asked. A program that dies loses only the readings that wait; they are
//! due again at once.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::days::{Days, ask_days, store_days};
use super::health::{health_failed, health_ok};
use super::source_clocks::SourceClocks;
use crate::config::Config;
use crate::domain::{ArmSums, Outcome, Reading, SignalSpec, Window};
use crate::error::{Code, Error, Result};
use crate::store::{JobHolder, QueuedJob};
use crate::usecases::Runtime;
use crate::usecases::kernel::level::{read_level, store_level};
use crate::usecases::kernel::turns::Urgency;
use crate::usecases::kernel::worker::{Worker, taken_over};
use crate::usecases::kernel::workspace_file::config;

/// Most signals that are written in one transaction. It keeps other writers waiting for some ten milliseconds.
const MAX_SIGNALS: usize = 100;
/// How long a reading waits for others to be written with it.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Levels that were read, and wait for others to be stored together.
#[derive(Default)]
pub(super) struct Levels {
    waiting: Vec<AskedLevel>,
    /// When the first of them has to be stored.
    until: Option<Instant>,
}

/// What is asked for a level.
pub(super) struct LevelJob {
    pub(super) job: QueuedJob,
    pub(super) outcome: Arc<Outcome>,
    pub(super) signal: SignalSpec,
}

/// What a source said when it was asked for a signal.
pub(super) struct AskedLevel {
    asked: LevelJob,
    at: Timestamp,
    /// `None` of a source that pushes and has not pushed yet: it has said nothing.
    reading: Result<Option<Reading<ArmSums>>>,
    days: Days,
}

/// What was stored.
#[derive(Debug, Default)]
pub(super) struct Stored {
    /// Signals that were read.
    pub(super) n_levels: u32,
    /// Signals that could not be read, as sentences.
    pub(super) failures: Vec<String>,
}

/// Asks the source of a signal, and for the days of its outcome that are over where it is the one that they rest on.
#[tracing::instrument(level = "debug", name = "poll.signal", skip_all, fields(outcome = %asked.outcome.spec.slug, signal = %asked.signal.name, source = %asked.signal.source))]
pub(super) async fn ask_level(
    runtime: &Runtime,
    known: Option<Arc<Config>>,
    clocks: &SourceClocks,
    asked: LevelJob,
) -> AskedLevel {
    let at = runtime.now();
    let LevelJob { outcome, signal, .. } = &asked;
    let mut days = Days::default();
    let reading = async {
        // A file that could not be read is looked at again: the error is told of every signal.
        let config = match known {
            Some(config) => config,
            None => config(runtime).await?,
        };
        let to = clocks.until(runtime, &config, &signal.source, at).await;
        let from = to.checked_sub(signal.aggregation.window().get()).unwrap_or(to);
        let reading = read_level(runtime, &config, outcome, signal, Window { from, to }, Urgency::Ordinary).await?;
        if signal.name == outcome.spec.signal.name {
            days = ask_days(runtime, &config, outcome, clocks).await?;
        }
        Ok(reading)
    };
    let reading = reading.await;
    AskedLevel { asked, at, reading, days }
}

impl Levels {
    /// Keeps what was read until others can be stored with it; true when there are enough.
    pub(super) fn add(&mut self, asked: AskedLevel) -> bool {
        self.until.get_or_insert_with(|| Instant::now() + LONGEST_WAIT);
        self.waiting.push(asked);
        self.waiting.len() >= MAX_SIGNALS
    }

    /// When something has to be stored.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The jobs of what waits.
    pub(super) fn jobs(&self) -> Vec<QueuedJob> {
        self.waiting.iter().map(|one| one.asked.job.clone()).collect()
    }

    /// Stores everything that waits.
    ///
    /// # Errors
    /// When the database fails; nothing is stored then.
    pub(super) async fn store(&mut self, runtime: &Runtime, worker: &Worker) -> Result<Stored> {
        self.until = None;
        let asked = std::mem::take(&mut self.waiting);
        if asked.is_empty() {
            return Ok(Stored::default());
        }
        match store_together(runtime, worker, &asked).await {
            Err(error) if is_refused(&error) => store_singly(runtime, worker, asked).await,
            stored => stored,
        }
    }
}

/// All of them in one transaction, or none. Those that another program took are left out.
#[tracing::instrument(level = "debug", name = "poll.store", skip_all, fields(n_signals = asked.len()))]
async fn store_together(runtime: &Runtime, worker: &Worker, asked: &[AskedLevel]) -> Result<Stored> {
    let mut stored = Stored::default();
    let jobs: Vec<&QueuedJob> = asked.iter().map(|one| &one.asked.job).collect();
    let (mut tx, holders) = worker.write(runtime, &jobs).await?;
    for (AskedLevel { asked, at, reading, days }, holder) in asked.iter().zip(holders) {
        let LevelJob { job, outcome, signal } = asked;
        let subject = outcome.id.0;
        match holder {
            JobHolder::Us => {}
            JobHolder::Gone => continue,
            JobHolder::Another => {
                stored.failures.push(taken_over(&signal.name));
                continue;
            }
        }
        let due_at = match reading {
            Ok(Some(reading)) => {
                store_level(runtime, &mut tx, outcome, signal, reading, *at).await?;
                store_days(runtime, &mut tx, outcome, days, *at).await?;
                stored.failures.extend(days.failure.clone());
                stored.n_levels += 1;
                health_ok(runtime, &mut tx, subject, signal, Some(*at)).await?
            }
            Ok(None) => at.checked_add(signal.poll_interval.get()).unwrap_or(*at),
            Err(error) => {
                let (said, due_at) = health_failed(runtime, &mut tx, subject, signal, error).await?;
                stored.failures.push(said);
                due_at
            }
        };
        worker.finish(&mut tx, job, due_at).await?;
    }
    tx.commit().await?;
    Ok(stored)
}

/// Each in a transaction of its own, so that a reading that the database refuses costs only its own signal.
async fn store_singly(runtime: &Runtime, worker: &Worker, asked: Vec<AskedLevel>) -> Result<Stored> {
    let mut stored = Stored::default();
    for one in asked {
        let done = match store_together(runtime, worker, std::slice::from_ref(&one)).await {
            Err(error) if is_refused(&error) => {
                store_together(runtime, worker, &[AskedLevel { reading: Err(error), ..one }]).await?
            }
            done => done?,
        };
        stored.n_levels += done.n_levels;
        stored.failures.extend(done.failures);
    }
    Ok(stored)
}

/// True when the database works and does not take what was to be written.
fn is_refused(error: &Error) -> bool {
    error.code() == Code::DatabaseFailed
}
