//! One round of reading and judging: what the command line does by hand.
//!
//! What was said about an experiment, its evaluation and the step that follows are written in one transaction; a flag is delivered
//! right after its step. The levels of outcomes are written many at a time. A failing source marks its signal, alerts, and never
//! decides. The daemon does the same without an end ([`super::collector`]).

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::collecting::Collecting;
use super::flag_off::check_off;
use super::polled::{PollRequest, Polled};
use crate::error::{Result, error_chain};
use crate::usecases::Runtime;
use crate::usecases::kernel::clock_doubt::ClockDoubt;
use crate::usecases::kernel::clock_look::look;
use crate::usecases::kernel::lookup::outcome_named;
use crate::usecases::kernel::queue::queue_all;
use crate::usecases::kernel::worker::Wish;
use crate::usecases::outbox::Delivered;
use crate::usecases::signals::Signals;
use crate::usecases::signals::retention::forget;

impl Signals<'_> {
    /// Reads what is due and nobody else reads, evaluates, takes the steps that follow, and delivers messages.
    ///
    /// # Errors
    /// When the database fails, or the named outcome is unknown. Failing sources are in the result.
    #[tracing::instrument(level = "debug", name = "signals.poll", skip_all)]
    pub async fn poll(self, request: &PollRequest) -> Result<Polled> {
        let found = look(self.0, request.is_clock_right).await?;
        // On the heap: it does so much that it would otherwise fill the stack of every caller.
        Box::pin(poll_round(self.0, request, found)).await
    }

    /// The same, after waiting up to 30 seconds for a round that is running.
    ///
    /// # Errors
    /// As [`Signals::poll`]. A round that still could not begin is `is_skipped`.
    pub async fn poll_patiently(self, request: &PollRequest) -> Result<Polled> {
        let until = Instant::now() + PATIENCE;
        loop {
            let done = self.poll(request).await?;
            if !done.is_skipped || Instant::now() >= until {
                return Ok(done);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// How long a round waits for one that is running.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a round takes to forget readings whose time is over.
const THINNING: Duration = Duration::from_secs(1);
/// How often it looks whether that one has ended.
const LOOK: Duration = Duration::from_millis(250);

/// `found`: why the clock is not believed.
#[tracing::instrument(level = "debug", name = "poll.round", skip_all, fields(is_forced = request.is_forced))]
pub(super) async fn poll_round(runtime: &Runtime, request: &PollRequest, found: Option<ClockDoubt>) -> Result<Polled> {
    let shifted = found.as_ref().map(|found| runtime.showing(found.now));
    // The later of two clocks: danger that the other one does not know yet is seen.
    let doubtful_until = found.as_ref().map(|found| found.now.max(runtime.now()));
    let runtime = shifted.as_ref().unwrap_or(runtime);
    let outcome = match &request.outcome {
        Some(reference) => Some(outcome_named(&mut runtime.read().await?, reference).await?.id),
        None => None,
    };
    queue_all(runtime).await?;
    let mut undelivered = deliver_flags(runtime).await?;
    let mut collecting = Collecting::new(runtime.clone(), request.is_forced, doubtful_until);
    let wish = Wish { is_forced: false, outcome, is_urgent_only: false };
    let collected = collect_all(runtime, &mut collecting, wish, doubtful_until, &mut undelivered).await;
    let mut done = collecting.take_done();
    collecting.leave().await?;
    collected?;
    done.clock_problem = found.map(|found| found.in_words());
    done.failures.extend(undelivered);
    if done.is_skipped {
        return Ok(done);
    }
    if doubtful_until.is_none() {
        done.expired = take_time(runtime).await?;
        done.failures.extend(deliver_flags(runtime).await?);
    }
    done.failures.extend(deliver(runtime).await?);
    done.failures.extend(check_off(runtime).await);
    // People hear at once of a flag that was found on.
    done.failures.extend(deliver(runtime).await?);
    // A clock that only a person vouches for is no reason to forget anything.
    if doubtful_until.is_none() && !request.is_clock_right {
        let forgotten = forget(runtime, THINNING).await;
        done.failures.extend(forgotten.err().map(|error| format!("old readings were kept: {}", error_chain(&error))));
    }
    Ok(done)
}

/// Reads everything that is wanted, until nothing is left that nobody else reads.
async fn collect_all(
    runtime: &Runtime,
    collecting: &mut Collecting,
    wish: Wish,
    doubtful_until: Option<Timestamp>,
    undelivered: &mut Vec<String>,
) -> Result<()> {
    if doubtful_until.is_some() {
        // Nothing is scheduled by a clock that is not believed: every experiment is looked at once.
        collecting.claim(Wish { is_forced: true, is_urgent_only: true, ..wish }).await?;
        return drain(runtime, collecting, undelivered).await;
    }
    collecting.wake(wish).await?;
    let mut n_claimed = 0;
    loop {
        let n = collecting.claim(wish).await?;
        n_claimed += n;
        if n == 0 && collecting.is_idle() {
            break;
        }
        collecting.step().await?;
        deliver_moved(runtime, collecting, undelivered).await?;
    }
    if n_claimed == 0 && collecting.worker().is_beside_another(runtime).await? {
        collecting.skip();
    }
    Ok(())
}

async fn drain(runtime: &Runtime, collecting: &mut Collecting, undelivered: &mut Vec<String>) -> Result<()> {
    while !collecting.is_idle() {
        collecting.step().await?;
        deliver_moved(runtime, collecting, undelivered).await?;
    }
    Ok(())
}

/// A flag must not stay on while other sources are waited for.
async fn deliver_moved(runtime: &Runtime, collecting: &mut Collecting, undelivered: &mut Vec<String>) -> Result<()> {
    if collecting.has_moved_a_flag() {
        undelivered.extend(deliver_flags(runtime).await?);
    }
    Ok(())
}

/// What comes with time: gates that are overdue, and deadlines. Returns the outcomes whose deadline passed.
pub(super) async fn take_time(runtime: &Runtime) -> Result<Vec<String>> {
    runtime.gates().sweep().await?;
    runtime.outcomes().sweep().await
}

/// Delivers flags and messages; what could not be delivered, as sentences.
async fn deliver(runtime: &Runtime) -> Result<Vec<String>> {
    Ok(undelivered(runtime.outbox().deliver().await?))
}

/// Flags do not wait for channels to people.
async fn deliver_flags(runtime: &Runtime) -> Result<Vec<String>> {
    Ok(undelivered(runtime.outbox().deliver_flags().await?))
}

pub(super) fn undelivered(delivered: Vec<Delivered>) -> Vec<String> {
    let failed = delivered.into_iter().filter(|delivered| !delivered.is_done);
    failed.map(|failed| format!("{}: {}", failed.kind, failed.outcome)).collect()
}
