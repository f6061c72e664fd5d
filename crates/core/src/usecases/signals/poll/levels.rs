//! The levels of outcomes in a round: sources are asked one after the other, and the readings of many signals are written in
//! one transaction, because a transaction for each would wait for the disk once for each.
//!
//! **Invariant**: a reading is stored together with its signal's health, and never waits longer than [`LONGEST_WAIT`] to be
//! stored, also while a slow source is asked. A program that dies loses only the readings that wait; they are due again in the
//! next round.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::health::{health_failed, health_ok};
use super::source_clocks::SourceClocks;
use crate::config::Config;
use crate::domain::{ArmSums, Outcome, Reading, SignalSpec, Window};
use crate::error::{Code, Error, Result};
use crate::usecases::Runtime;
use crate::usecases::kernel::lease::{Lease, write_leased};
use crate::usecases::kernel::level::{read_level, store_level};

/// Most signals that are written in one transaction. It keeps other writers waiting for some ten milliseconds.
const MAX_SIGNALS: usize = 100;
/// How long a reading waits for others to be written with it.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The levels of a round, and those that are not stored yet.
pub(super) struct Levels<'r> {
    runtime: &'r Runtime,
    lease: &'r Lease,
    waiting: Vec<Asked<'r>>,
    /// When the first of them has to be stored.
    until: Instant,
    clocks: SourceClocks,
}

/// What a source said when it was asked for a signal.
struct Asked<'r> {
    outcome: &'r Outcome,
    signal: &'r SignalSpec,
    at: Timestamp,
    reading: Result<Reading<ArmSums>>,
}

/// What was stored.
#[derive(Debug, Default)]
pub(super) struct Stored {
    /// Signals that were read.
    pub(super) n_levels: u32,
    /// Signals that could not be read, as sentences.
    pub(super) failures: Vec<String>,
}

impl Stored {
    fn add(&mut self, other: Self) {
        self.n_levels += other.n_levels;
        self.failures.extend(other.failures);
    }
}

impl<'r> Levels<'r> {
    pub(super) fn new(runtime: &'r Runtime, lease: &'r Lease, clocks: SourceClocks) -> Self {
        Self { runtime, lease, waiting: Vec::new(), until: Instant::now(), clocks }
    }

    /// Asks the source of a signal. Returns what was stored meanwhile, of this signal or of earlier ones.
    ///
    /// # Errors
    /// When the database fails or the lease was lost. A failing source is stored.
    #[tracing::instrument(level = "debug", name = "poll.signal", skip_all, fields(outcome = %outcome.spec.slug, signal = %signal.name, source = %signal.source))]
    pub(super) async fn ask(
        &mut self,
        config: Result<Arc<Config>>,
        outcome: &'r Outcome,
        signal: &'r SignalSpec,
    ) -> Result<Stored> {
        let runtime = self.runtime;
        let at = runtime.now();
        let clocks = self.clocks.clone();
        let mut answer = pin!(async {
            let config = config?;
            let to = clocks.until(runtime, &config, &signal.source, at).await;
            let from = to.checked_sub(signal.aggregation.window().get()).unwrap_or(to);
            read_level(runtime, &config, outcome, signal, Window { from, to }).await
        });
        let mut stored = Stored::default();
        let in_time = if self.waiting.is_empty() { None } else { timeout_at(self.until, &mut answer).await.ok() };
        let answer = match in_time {
            Some(answer) => answer,
            None => {
                stored = self.store().await?;
                answer.await
            }
        };
        // A source that pushes and has not pushed yet has said nothing.
        if let Some(reading) = answer.transpose() {
            if self.waiting.is_empty() {
                self.until = Instant::now() + LONGEST_WAIT;
            }
            self.waiting.push(Asked { outcome, signal, at, reading });
        }
        if self.waiting.len() >= MAX_SIGNALS {
            stored.add(self.store().await?);
        }
        Ok(stored)
    }

    /// Stores everything that waits.
    ///
    /// # Errors
    /// When the database fails or the lease was lost; nothing is stored then.
    pub(super) async fn store(&mut self) -> Result<Stored> {
        let asked = std::mem::take(&mut self.waiting);
        if asked.is_empty() {
            return Ok(Stored::default());
        }
        match self.store_together(&asked).await {
            Err(error) if is_refused(&error) => self.store_singly(asked).await,
            stored => stored,
        }
    }

    /// All of them in one transaction, or none.
    #[tracing::instrument(level = "debug", name = "poll.store", skip_all, fields(n_signals = asked.len()))]
    async fn store_together(&self, asked: &[Asked<'_>]) -> Result<Stored> {
        let runtime = self.runtime;
        let mut stored = Stored::default();
        let mut tx = write_leased(runtime, self.lease).await?;
        for Asked { outcome, signal, at, reading } in asked {
            match reading {
                Ok(reading) => {
                    store_level(runtime, &mut tx, outcome, signal, reading, *at).await?;
                    health_ok(runtime, &mut tx, outcome.id.0, signal, Some(*at)).await?;
                    stored.n_levels += 1;
                }
                Err(error) => {
                    stored.failures.push(health_failed(runtime, &mut tx, outcome.id.0, signal, error).await?);
                }
            }
        }
        tx.commit().await?;
        Ok(stored)
    }

    /// Each in a transaction of its own, so that a reading that the database refuses costs only its own signal.
    async fn store_singly(&self, asked: Vec<Asked<'_>>) -> Result<Stored> {
        let mut stored = Stored::default();
        for one in asked {
            stored.add(match self.store_together(std::slice::from_ref(&one)).await {
                Err(error) if is_refused(&error) => {
                    self.store_together(&[Asked { reading: Err(error), ..one }]).await?
                }
                done => done?,
            });
        }
        Ok(stored)
    }
}

/// True when the database works and does not take what was to be written.
fn is_refused(error: &Error) -> bool {
    error.code() == Code::DatabaseFailed
}
