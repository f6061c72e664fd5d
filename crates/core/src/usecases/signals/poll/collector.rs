//! The collector: reads what is due, without an end, as the daemon does. Several may run on one database: each job is read by one.
//!
//! It looks at the queue when the next job is due, when it is told that something is due sooner, and at every tick, since another program
//! may have changed something. Where nothing is due, it writes nothing.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::collecting::Collecting;
use super::flag_off::check_off;
use super::polled::{PollRequest, Polled};
use super::round::{poll_round, take_time, undelivered};
use crate::error::{Error, Result};
use crate::usecases::Runtime;
use crate::usecases::kernel::clock_look::look;
use crate::usecases::kernel::queue::queue_all;
use crate::usecases::kernel::worker::Wish;
use crate::usecases::signals::Signals;

/// How often the queue is compared with everything that is under way.
const COMPARED_EVERY: Duration = Duration::from_mins(10);
/// Answers after which more is taken from the queue, where it had more than there was room for.
const REFILL: usize = 100;
/// Between two looks at the queue there is at least this much time, whatever is said to be due.
const SHORTEST: Duration = Duration::from_millis(200);
/// Everything that is due.
const ALL: Wish = Wish { is_forced: false, outcome: None, is_urgent_only: false };

/// When a collector stops.
pub type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;
/// Who is told what a collector did, after each look at the queue.
pub type Told = Box<dyn FnMut(Result<Polled>) + Send>;

impl Signals<'_> {
    /// Reads what is due until `stop`, and finishes what is under way then. `tick`: the longest time between two looks at the queue. A
    /// failure is told to `told`, and the next look tries again.
    #[must_use]
    pub fn collect(self, tick: Duration, stop: Stop, told: Told) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(collect(self.0.clone(), tick, stop, told))
    }

    /// Does what comes with time, once: gates that are overdue, deadlines, messages to people, flags that should be off.
    ///
    /// # Errors
    /// When the database fails. What could not be delivered is in the answer.
    #[tracing::instrument(level = "debug", name = "signals.keep_time", skip_all)]
    pub async fn keep_time(self) -> Result<Polled> {
        let runtime = self.0;
        let is_believed = look(runtime, false).await?.is_none();
        let expired = if is_believed { take_time(runtime).await? } else { Vec::new() };
        let mut failures = undelivered(runtime.outbox().deliver_notices().await?);
        let found = check_off(runtime).await;
        if !found.is_empty() {
            runtime.moved.notify_one();
        }
        failures.extend(found);
        Ok(Polled { failures, expired, ..Polled::default() })
    }
}

async fn collect(runtime: Runtime, tick: Duration, mut stop: Stop, mut told: Told) {
    let mut collecting = Collecting::new(runtime.clone(), false, None);
    let mut compared: Option<Instant> = None;
    loop {
        let is_compared = compared.is_some_and(|at| at.elapsed() < COMPARED_EVERY);
        let looked = look_at_queue(&runtime, &mut collecting, is_compared).await;
        if looked.is_ok() && !is_compared {
            compared = Some(Instant::now());
        }
        // By a clock that is not believed nothing is scheduled, and while somebody recomputes nothing is read: both take their time.
        let waits = !matches!(looked, Ok(Looked::Claimed));
        told(looked.map(|looked| match looked {
            Looked::Danger(polled) => *polled,
            Looked::Claimed | Looked::Skipped => collecting.take_done(),
        }));
        let wait = if waits { tick } else { until_next(&runtime, tick).await };
        match run_until(&runtime, &mut collecting, wait, &mut stop).await {
            Ended::Look => {}
            Ended::Failed(error) => {
                collecting.is_unsure();
                told(Err(error));
            }
            Ended::Stopped => break,
        }
    }
    told(finish(collecting).await);
}

impl Runtime {
    /// Waits until a flag is to be moved that the collector decided about.
    pub async fn until_flags_move(&self) {
        self.moved.notified().await;
    }
}

/// What a look at the queue led to.
enum Looked {
    /// What is due and has room is under way.
    Claimed,
    /// Nobody may read at the moment.
    Skipped,
    /// The clock is not believed: only danger was looked for.
    Danger(Box<Polled>),
}

/// Takes what is due and begins to ask.
async fn look_at_queue(runtime: &Runtime, collecting: &mut Collecting, is_compared: bool) -> Result<Looked> {
    if let Some(found) = look(runtime, false).await? {
        let polled = poll_round(runtime, &PollRequest::default(), Some(found)).await?;
        return Ok(Looked::Danger(Box::new(polled)));
    }
    // What cannot be compared keeps nobody from reading what is known to be due.
    let compared = if is_compared { Ok(0) } else { queue_all(runtime).await };
    if !is_compared {
        collecting.is_unsure();
    }
    collecting.claim(ALL).await?;
    compared?;
    Ok(if collecting.is_skipped() { Looked::Skipped } else { Looked::Claimed })
}

/// How long nothing new will be due, as far as is known.
async fn until_next(runtime: &Runtime, tick: Duration) -> Duration {
    let next = async { runtime.read().await?.job_next().await };
    // What cannot be asked is asked again at the next tick.
    let next = next.await.ok().flatten().map(|at| at.duration_since(runtime.now()));
    let wait = next.map_or(tick, |wait| Duration::try_from(wait).unwrap_or_default());
    wait.clamp(SHORTEST.min(tick), tick)
}

/// Why writing what comes in ended.
enum Ended {
    /// It is time to look at the queue.
    Look,
    Failed(Error),
    Stopped,
}

/// Writes what comes in until then, or until it is stopped or told that something is due sooner.
async fn run_until(runtime: &Runtime, collecting: &mut Collecting, wait: Duration, stop: &mut Stop) -> Ended {
    let began = Instant::now();
    let mut n_steps = 0;
    loop {
        if collecting.has_moved_a_flag() {
            runtime.moved.notify_one();
        }
        if n_steps >= REFILL {
            return Ended::Look;
        }
        // A step that has begun is not dropped: it may be writing.
        let is_idle = collecting.is_idle();
        tokio::select! {
            biased;
            () = &mut *stop => return Ended::Stopped,
            // Before everything that asks for another look: what was read is never left for long.
            () = collecting.ready(), if !is_idle => {}
            () = sleep_until(began + wait) => return Ended::Look,
            () = told_sooner(runtime, began) => return Ended::Look,
        }
        if let Err(error) = collecting.step().await {
            return Ended::Failed(error);
        }
        n_steps += 1;
    }
}

/// Waits until something is said to be due sooner, and some time after the last look.
async fn told_sooner(runtime: &Runtime, looked_at: Instant) {
    sleep_until(looked_at + SHORTEST).await;
    runtime.sooner.notified().await;
}

/// Finishes what is under way.
async fn finish(mut collecting: Collecting) -> Result<Polled> {
    while !collecting.is_idle() {
        collecting.step().await?;
    }
    let done = collecting.take_done();
    collecting.leave().await?;
    Ok(done)
}
