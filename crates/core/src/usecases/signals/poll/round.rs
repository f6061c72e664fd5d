//! One round of reading and judging: what the daemon does on a schedule and the CLI by hand.
//!
//! Experiments come before the levels of outcomes, and their sources are asked side by side, outside of any transaction. What was
//! said about an experiment, its evaluation and the step that follows are then written in one; a flag is delivered right after its
//! step. The levels of outcomes are written many at a time. A failing source marks its signal, alerts, and never decides.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::days::take_days;
use super::experiment::{Asked, PolledExperiment, ask_experiment, take_danger, take_experiment};
use super::flag_off::check_off;
use super::health::Due;
use super::levels::{Levels, Stored};
use super::source_clocks::SourceClocks;
use super::sources::Job;
use crate::config::Config;
use crate::domain::{Experiment, Outcome, OutcomeStatus};
use crate::error::{Code, Error, Result, error_chain};
use crate::usecases::Runtime;
use crate::usecases::kernel::clock_look::look;
use crate::usecases::kernel::history::plan_of;
use crate::usecases::kernel::lease::{Lease, is_lost, release_poll_lease, take_poll_lease};
use crate::usecases::kernel::lookup::outcome_named;
use crate::usecases::kernel::phases::is_on;
use crate::usecases::kernel::workspace_file::config;
use crate::usecases::outbox::Delivered;
use crate::usecases::signals::Signals;

/// Most experiments that are asked about at the same time.
const MAX_ASKED: usize = 64;

/// What is polled.
#[derive(Debug, Clone, Default)]
pub struct PollRequest {
    /// Slug or id of one outcome; all active ones when absent.
    pub outcome: Option<String>,
    /// Also read what is not due yet.
    pub is_forced: bool,
    /// A person says that the clock of this machine is right, whatever else shows another time.
    pub is_clock_right: bool,
}

/// What one round did.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Polled {
    /// Signals of outcomes that were read.
    pub n_levels: u32,
    /// Experiments that were read.
    pub experiments: Vec<PolledExperiment>,
    /// Failures, as sentences; each is tried again.
    pub failures: Vec<String>,
    /// Outcomes whose deadline passed.
    pub expired: Vec<String>,
    /// True when another program was polling and nothing was done.
    pub is_skipped: bool,
    /// Why the clock of this machine is not believed. Then only danger was looked for.
    pub clock_problem: Option<String>,
}

impl Signals<'_> {
    /// Reads what is due, evaluates, takes the steps that follow, and delivers messages.
    ///
    /// # Errors
    /// When the database fails, the named outcome is unknown, or another program took the lease of polling away. Failing
    /// sources are in the result.
    #[tracing::instrument(level = "debug", name = "signals.poll", skip_all)]
    pub async fn poll(self, request: &PollRequest) -> Result<Polled> {
        let Some(lease) = take_poll_lease(self.0).await? else {
            return Ok(Polled { is_skipped: true, ..Polled::default() });
        };
        // On the heap: it does so much that it would otherwise fill the stack of every caller.
        let done = Box::pin(poll_round(self.0, &lease, request)).await;
        release_poll_lease(self.0, lease).await?;
        done
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
/// How often it looks whether that one has ended.
const LOOK: Duration = Duration::from_millis(250);

/// What all of a round needs.
struct Round<'r> {
    runtime: &'r Runtime,
    lease: &'r Lease,
    /// What the outcome file said at the beginning; `None` when it could not be read.
    config: Option<Arc<Config>>,
    due: Due,
    clocks: SourceClocks,
    /// The clock is not believed: nothing is scheduled, kept or claimed, only danger is looked for, up to this instant.
    doubtful_until: Option<Timestamp>,
    /// Levels of outcomes that were read, and wait for others to be stored together.
    levels: Levels<'r>,
    done: Polled,
}

impl Round<'_> {
    fn is_doubtful(&self) -> bool {
        self.doubtful_until.is_some()
    }
}

impl Polled {
    fn add(&mut self, stored: Stored) {
        self.n_levels += stored.n_levels;
        self.failures.extend(stored.failures);
    }
}

#[tracing::instrument(level = "debug", name = "poll.round", skip_all, fields(is_forced = request.is_forced))]
async fn poll_round(runtime: &Runtime, lease: &Lease, request: &PollRequest) -> Result<Polled> {
    let found = look(runtime, request.is_clock_right).await?;
    let shifted = found.as_ref().map(|found| runtime.showing(found.now));
    // The later of two clocks: danger that the other one does not know yet is seen.
    let doubtful_until = found.as_ref().map(|found| found.now.max(runtime.now()));
    let runtime = shifted.as_ref().unwrap_or(runtime);
    let mut tx = runtime.read().await?;
    let outcomes = match &request.outcome {
        Some(reference) => vec![outcome_named(&mut tx, reference).await?],
        None => tx.outcome_list(None).await?,
    };
    drop(tx);
    let clocks = SourceClocks::default();
    let mut round = Round {
        runtime,
        lease,
        config: config(runtime).await.ok(),
        due: Due::now(runtime, request.is_forced || found.is_some()).await?,
        clocks: clocks.clone(),
        doubtful_until,
        levels: Levels::new(runtime, lease, clocks),
        done: Polled { clock_problem: found.map(|found| found.in_words()), ..Polled::default() },
    };
    deliver_flags(&mut round).await?;
    Box::pin(poll_experiments(&mut round, &outcomes)).await?;
    if !round.is_doubtful() {
        take_time(&mut round, &outcomes).await?;
    }
    deliver(&mut round).await?;
    round.done.failures.extend(check_off(runtime).await);
    // People hear at once of a flag that was found on.
    deliver(&mut round).await?;
    Ok(round.done)
}

/// What comes with time: gates that are overdue, deadlines, the levels of outcomes and their days.
async fn take_time<'r>(round: &mut Round<'r>, outcomes: &'r [Outcome]) -> Result<()> {
    let runtime = round.runtime;
    runtime.gates().sweep().await?;
    round.done.expired = runtime.outcomes().sweep().await?;
    deliver_flags(round).await?;
    for outcome in outcomes.iter().filter(|outcome| outcome.state.status == OutcomeStatus::Active) {
        poll_levels(round, outcome).await?;
    }
    store_levels(round).await?;
    for outcome in outcomes.iter().filter(|outcome| outcome.state.status == OutcomeStatus::Active) {
        poll_days(round, outcome).await?;
    }
    Ok(())
}

/// The outcome file of the round. A file that could not be read is looked at again: the error is the same for every signal.
async fn file(round: &Round<'_>) -> Result<Arc<Config>> {
    match &round.config {
        Some(config) => Ok(Arc::clone(config)),
        None => config(round.runtime).await,
    }
}

async fn deliver(round: &mut Round<'_>) -> Result<()> {
    let delivered = round.runtime.outbox().deliver().await?;
    note_undelivered(round, delivered);
    Ok(())
}

/// Flags do not wait for channels to people.
async fn deliver_flags(round: &mut Round<'_>) -> Result<()> {
    let delivered = round.runtime.outbox().deliver_flags().await?;
    note_undelivered(round, delivered);
    Ok(())
}

fn note_undelivered(round: &mut Round<'_>, delivered: Vec<Delivered>) {
    for failed in delivered.into_iter().filter(|delivered| !delivered.is_done) {
        round.done.failures.push(format!("{}: {}", failed.kind, failed.outcome));
    }
}

async fn poll_levels<'r>(round: &mut Round<'r>, outcome: &'r Outcome) -> Result<()> {
    for signal in std::iter::once(&outcome.spec.signal).chain(&outcome.spec.secondary_signals) {
        if round.due.has(outcome.id.0, signal) {
            let config = file(round).await;
            let stored = round.levels.ask(config, outcome, signal).await?;
            round.done.add(stored);
        }
    }
    Ok(())
}

/// The days that attainment rests on, where the level was due.
async fn poll_days(round: &mut Round<'_>, outcome: &Outcome) -> Result<()> {
    if !round.due.has(outcome.id.0, &outcome.spec.signal) {
        return Ok(());
    }
    // Why a file cannot be read was told with the level.
    let Ok(config) = file(round).await else { return Ok(()) };
    let failure = take_days(round.runtime, round.lease, &config, outcome, &round.clocks).await?;
    round.done.failures.extend(failure);
    Ok(())
}

async fn store_levels(round: &mut Round<'_>) -> Result<()> {
    let stored = round.levels.store().await?;
    round.done.add(stored);
    Ok(())
}

/// Asks about all experiments that are due side by side, and takes each as soon as its sources have answered.
async fn poll_experiments(round: &mut Round<'_>, outcomes: &[Outcome]) -> Result<()> {
    let jobs = due_experiments(round, outcomes).await?;
    if jobs.is_empty() {
        return Ok(());
    }
    let config = match file(round).await {
        Ok(config) => config,
        Err(error) => {
            let failure = |job: &Arc<Job>| format!("{}: {}", job.experiment.slug, error_chain(&error));
            round.done.failures.extend(jobs.iter().map(failure));
            return Ok(());
        }
    };
    let limit = Arc::new(Semaphore::new(MAX_ASKED));
    let mut asking = JoinSet::new();
    for (position, job) in jobs.iter().enumerate() {
        let (runtime, config, job) = (round.runtime.clone(), Arc::clone(&config), Arc::clone(job));
        let (limit, until) = (Arc::clone(&limit), round.doubtful_until);
        asking.spawn(async move {
            let _permit = limit.acquire_owned().await;
            (position, ask_experiment(&runtime, &config, job, until).await)
        });
    }
    let mut polled = Vec::new();
    while let Some(answer) = asking.join_next().await {
        let (position, asked) =
            answer.map_err(|e| Error::new(Code::Internal, "asking about an experiment ended early").because(e))?;
        let Some(job) = jobs.get(position) else { continue };
        polled.extend(take(round, &config, job, asked).await?.map(|polled| (position, polled)));
    }
    // In the order in which they were created, whichever source was the fastest.
    polled.sort_unstable_by_key(|(position, _)| *position);
    round.done.experiments.extend(polled.into_iter().map(|(_, polled)| polled));
    Ok(())
}

/// The experiments that are due. Those that wait with their flag off are left as they are, once there is a result: a correction can
/// take it away.
async fn due_experiments(round: &mut Round<'_>, outcomes: &[Outcome]) -> Result<Vec<Arc<Job>>> {
    let mut jobs = Vec::new();
    for outcome in outcomes.iter().filter(|outcome| outcome.state.status != OutcomeStatus::Draft) {
        let mut tx = round.runtime.read().await?;
        let open = tx.experiment_list_under_way(Some(outcome.id)).await?;
        for experiment in open.into_iter().filter(|experiment| experiment.state.status.is_polled()) {
            let phases = tx.phase_list(experiment.id).await?;
            let is_frozen = experiment.state.status.is_waiting() && experiment.current_result.is_some();
            if !is_on(&phases) && (is_frozen || round.is_doubtful()) {
                continue;
            }
            match plan_of(&experiment) {
                // A constraint may be read more often than the primary signal: whatever is due first brings the round.
                Ok(plan) if plan.signals().any(|signal| round.due.has(experiment.id.0, signal)) => {
                    let clocks = round.clocks.clone();
                    jobs.push(Arc::new(Job { outcome: outcome.clone(), experiment, plan, phases, clocks }));
                }
                Ok(_) => {}
                Err(error) => round.done.failures.push(format!("{}: {}", experiment.slug, error.message())),
            }
        }
    }
    Ok(jobs)
}

/// Writes what the sources of one experiment said. One experiment in trouble (a tampered row, say) does not keep the others from
/// being watched.
async fn take(
    round: &mut Round<'_>,
    config: &Config,
    job: &Job,
    asked: Result<Asked>,
) -> Result<Option<PolledExperiment>> {
    let Experiment { slug, state, .. } = &job.experiment;
    let taken = match asked {
        Ok(asked) if round.is_doubtful() => {
            take_danger(round.runtime, round.lease, asked, &mut round.done.failures).await
        }
        Ok(asked) => take_experiment(round.runtime, round.lease, config, asked, &mut round.done.failures).await,
        Err(error) => Err(error),
    };
    match taken {
        Ok(polled) => {
            // A flag must not stay on while other sources are waited for.
            if polled.status != state.status {
                deliver_flags(round).await?;
            }
            Ok(Some(polled))
        }
        Err(error) if is_lost(round.lease) => Err(error),
        Err(error) => {
            tracing::error!(experiment = %slug, code = %error.code(), "Polling failed: {error}");
            round.done.failures.push(format!("{slug}: {}", error_chain(&error)));
            Ok(None)
        }
    }
}
