//! A program that reads what is due: it takes jobs, shows that it is alive while it holds some, and writes only what it still holds.
//!
//! **Invariant**: whoever writes what a job read does so in a transaction of [`Worker::write`] in which the job is still its own, so that a program that slept, and whose
//! jobs another one took, writes nothing more. An idle worker writes nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinHandle;

use super::alive::{LENGTH, alive_at, end, is_anybody_reading, is_recomputing};
use crate::error::Result;
use crate::ids::OutcomeId;
use crate::store::{JobHolder, ORDINARY, QueuedJob, Tx, URGENT, WantedJobs};
use crate::usecases::Runtime;

/// How often it says so; one that fails is survived.
const RENEWAL: Duration = Duration::from_secs(4);
/// How long a program that died is remembered.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(24);

/// Most experiments in the queue of one source that are asked about at the same time: of their questions, as many are sent as the source
/// bears, and the others wait in this program.
const MAX_EXPERIMENTS: i64 = 64;
/// Most levels of one source that are asked for at the same time.
const MAX_LEVELS: i64 = 200;

/// What is wanted of the queue.
#[derive(Debug, Clone, Copy)]
pub(in crate::usecases) struct Wish {
    /// Whether it is due or not.
    pub(in crate::usecases) is_forced: bool,
    /// Of one outcome and its experiments.
    pub(in crate::usecases) outcome: Option<OutcomeId>,
    /// Experiments alone.
    pub(in crate::usecases) is_urgent_only: bool,
}

/// How many jobs of each source are under way in a program: experiments and levels.
#[derive(Debug, Default)]
pub(in crate::usecases) struct UnderWay(HashMap<String, (i64, i64)>);

impl UnderWay {
    pub(in crate::usecases) fn add(&mut self, job: &QueuedJob) {
        let (urgent, ordinary) = self.0.entry(job.source.clone()).or_default();
        *(if job.urgency == URGENT { urgent } else { ordinary }) += 1;
    }

    fn has_room(&self, source: &str) -> bool {
        let (urgent, ordinary) = self.room(source);
        urgent > 0 || ordinary > 0
    }

    fn room(&self, source: &str) -> (i64, i64) {
        let (urgent, ordinary) = self.0.get(source).copied().unwrap_or_default();
        (MAX_EXPERIMENTS - urgent, MAX_LEVELS - ordinary)
    }
}

/// What was taken.
pub(in crate::usecases) enum Claimed {
    Jobs(Vec<QueuedJob>),
    /// Nobody may read at the moment.
    Recomputing,
}

/// A program that reads.
pub(in crate::usecases) struct Worker {
    holder: String,
    n_held: Arc<AtomicUsize>,
    beating: JoinHandle<()>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

impl Worker {
    pub(in crate::usecases) fn new(runtime: &Runtime) -> Self {
        let holder = hex::encode(runtime.ids.bytes::<8>());
        let n_held = Arc::new(AtomicUsize::new(0));
        let beating = tokio::spawn(beat(runtime.clone(), holder.clone(), Arc::clone(&n_held)));
        Self { holder, n_held, beating }
    }

    fn wanted(&self, wish: Wish, now: Timestamp, alive_at: Timestamp) -> WantedJobs<'_> {
        let (is_forced, outcome) = (wish.is_forced, wish.outcome);
        WantedJobs { now, alive_at, latest: end(end(alive_at)), is_forced, outcome, holder: &self.holder }
    }

    /// Makes everything that is wanted due now.
    pub(in crate::usecases) async fn wake(&self, runtime: &Runtime, wish: Wish) -> Result<()> {
        let mut tx = runtime.write().await?;
        let alive_at = alive_at(runtime, &mut tx).await?;
        tx.job_wake(&self.wanted(wish, runtime.now(), alive_at)).await?;
        tx.commit().await
    }

    /// Takes what is wanted, as much of each source as there is room for beside what is under way.
    pub(in crate::usecases) async fn claim(
        &self,
        runtime: &Runtime,
        wish: Wish,
        under_way: &UnderWay,
    ) -> Result<Claimed> {
        let now = runtime.now();
        // Where nothing is due for which there is room, nothing is written.
        let mut tx = runtime.read().await?;
        let alive_at = alive_at(runtime, &mut tx).await?;
        let wanted = self.wanted(wish, now, alive_at);
        let mut sources = tx.job_sources(&wanted).await?;
        drop(tx);
        sources.retain(|source| under_way.has_room(source));
        if sources.is_empty() {
            return Ok(Claimed::Jobs(Vec::new()));
        }
        let mut tx = runtime.write().await?;
        if is_recomputing(&mut tx, now).await? {
            return Ok(Claimed::Recomputing);
        }
        let mut jobs = Vec::new();
        for source in &sources {
            let (n_urgent, n_ordinary) = under_way.room(source);
            if n_urgent > 0 {
                jobs.extend(tx.job_claim(&wanted, source, URGENT, n_urgent).await?);
            }
            if n_ordinary > 0 && !wish.is_urgent_only {
                jobs.extend(tx.job_claim(&wanted, source, ORDINARY, n_ordinary).await?);
            }
        }
        if jobs.is_empty() {
            return Ok(Claimed::Jobs(jobs));
        }
        tx.worker_put(&self.holder, end(alive_at)).await?;
        tx.commit().await?;
        self.n_held.fetch_add(jobs.len(), Ordering::Relaxed);
        Ok(Claimed::Jobs(jobs))
    }

    /// A transaction, and whose each of these jobs is in it. Only of those that are ours may something be written.
    pub(in crate::usecases) async fn write(
        &self,
        runtime: &Runtime,
        jobs: &[&QueuedJob],
    ) -> Result<(Tx, Vec<JobHolder>)> {
        let mut tx = runtime.write().await?;
        let mut holders = Vec::new();
        for job in jobs {
            holders.push(tx.job_holder(job, &self.holder).await?);
        }
        Ok((tx, holders))
    }

    /// Gives a job back in the transaction that wrote what it read.
    ///
    /// # Errors
    /// When the database fails.
    pub(in crate::usecases) async fn finish(&self, tx: &mut Tx, job: &QueuedJob, due_at: Timestamp) -> Result<()> {
        // Where it is gone there is nothing to give back.
        tx.job_finish(job, &self.holder, due_at).await.map(|_| ())
    }

    /// Says how many jobs it holds: while it holds some, it says that it is alive.
    pub(in crate::usecases) fn holds(&self, n: usize) {
        self.n_held.store(n, Ordering::Relaxed);
    }

    /// Gives back what it holds without knowing of it: a commit may have worked whose answer was lost.
    pub(in crate::usecases) async fn give_back_unknown(&self, runtime: &Runtime, known: &[QueuedJob]) -> Result<()> {
        let is_known = |job: &QueuedJob| {
            known.iter().any(|known| (known.subject_id, &known.signal) == (job.subject_id, &job.signal))
        };
        let mut held = runtime.read().await?.job_held_by(&self.holder).await?;
        held.retain(|job| !is_known(job));
        if held.is_empty() {
            return Ok(());
        }
        let mut tx = runtime.write().await?;
        for job in &held {
            tx.job_finish(job, &self.holder, runtime.now()).await?;
        }
        tx.commit().await
    }

    /// Gives back everything that it holds, as due as it was.
    pub(in crate::usecases) async fn leave(self, runtime: &Runtime) -> Result<()> {
        self.beating.abort();
        // A worker that took nothing, or gave everything back, holds nothing that others wait for.
        if self.n_held.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        let mut tx = runtime.write().await?;
        tx.job_release(&self.holder).await?;
        let before = runtime.now().checked_sub(FORGOTTEN).unwrap_or(Timestamp::MIN);
        tx.worker_delete(&self.holder, before).await?;
        tx.commit().await
    }

    /// Whether another program that is alive reads something now.
    pub(in crate::usecases) async fn is_beside_another(&self, runtime: &Runtime) -> Result<bool> {
        is_anybody_reading(runtime, &mut runtime.read().await?).await
    }
}

/// Says that the worker is alive while it holds something. What fails is tried again.
async fn beat(runtime: Runtime, holder: String, n_held: Arc<AtomicUsize>) {
    loop {
        tokio::time::sleep(RENEWAL).await;
        if n_held.load(Ordering::Relaxed) == 0 {
            continue;
        }
        if let Err(error) = say_alive(&runtime, &holder).await {
            tracing::warn!(code = %error.code(), "It could not be said that this program still reads: {error}");
        }
    }
}

async fn say_alive(runtime: &Runtime, holder: &str) -> Result<()> {
    let mut tx = runtime.write().await?;
    let alive_at = alive_at(runtime, &mut tx).await?;
    tx.worker_put(holder, end(alive_at)).await?;
    tx.commit().await
}

/// Why what was read of something is not written.
pub(in crate::usecases) fn taken_over(what: &str) -> String {
    format!(
        "`{what}`: another program reads it: this one had not shown for {} s that it is alive. Nothing of it was written",
        LENGTH.as_secs()
    )
}
