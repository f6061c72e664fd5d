//! One round of reading and judging: what the daemon does on a schedule and the CLI by hand.
//!
//! Sources are asked outside of any transaction. What was said about an experiment, its evaluation and the step that follows are
//! then written in one; the levels of outcomes are written many at a time. A failing source marks its signal, alerts, and never
//! decides.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::experiment::{PolledExperiment, poll_experiment};
use super::health::Due;
use super::levels::{Levels, Stored};
use super::memory::plan_signals;
use crate::config::Config;
use crate::domain::{Outcome, OutcomeStatus};
use crate::error::{Result, error_chain};
use crate::usecases::Runtime;
use crate::usecases::kernel::history::plan_of;
use crate::usecases::kernel::lease::{Lease, is_lost, release_poll_lease, take_poll_lease};
use crate::usecases::kernel::lookup::outcome_named;
use crate::usecases::kernel::workspace_file::config;
use crate::usecases::signals::Signals;

/// What is polled.
#[derive(Debug, Clone, Default)]
pub struct PollRequest {
    /// Slug or id of one outcome; all active ones when absent.
    pub outcome: Option<String>,
    /// Also read what is not due yet.
    pub is_forced: bool,
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
        let done = poll_round(self.0, &lease, request).await;
        release_poll_lease(self.0, lease).await?;
        done
    }
}

/// What all of a round needs.
struct Round<'r> {
    runtime: &'r Runtime,
    lease: &'r Lease,
    /// What the outcome file said at the beginning; `None` when it could not be read.
    config: Option<Arc<Config>>,
    due: Due,
    /// Levels of outcomes that were read, and wait for others to be stored together.
    levels: Levels<'r>,
    done: Polled,
}

impl Polled {
    fn add(&mut self, stored: Stored) {
        self.n_levels += stored.n_levels;
        self.failures.extend(stored.failures);
    }
}

#[tracing::instrument(level = "debug", name = "poll.round", skip_all, fields(is_forced = request.is_forced))]
async fn poll_round(runtime: &Runtime, lease: &Lease, request: &PollRequest) -> Result<Polled> {
    runtime.gates().sweep().await?;
    let expired = runtime.outcomes().sweep().await?;
    let mut tx = runtime.read().await?;
    let outcomes = match &request.outcome {
        Some(reference) => vec![outcome_named(&mut tx, reference).await?],
        None => tx.outcome_list(None).await?,
    };
    drop(tx);
    let mut round = Round {
        runtime,
        lease,
        config: config(runtime).await.ok(),
        due: Due::now(runtime, request.is_forced).await?,
        levels: Levels::new(runtime, lease),
        done: Polled { expired, ..Polled::default() },
    };
    if !round.done.expired.is_empty() {
        deliver(&mut round).await?;
    }
    for outcome in outcomes.iter().filter(|outcome| outcome.state.status != OutcomeStatus::Draft) {
        if outcome.state.status == OutcomeStatus::Active {
            poll_levels(&mut round, outcome).await?;
        }
        poll_experiments(&mut round, outcome).await?;
    }
    store_levels(&mut round).await?;
    deliver(&mut round).await?;
    Ok(round.done)
}

/// The outcome file of the round. A file that could not be read is looked at again: the error is the same for every signal.
async fn file(round: &Round<'_>) -> Result<Arc<Config>> {
    match &round.config {
        Some(config) => Ok(Arc::clone(config)),
        None => config(round.runtime).await,
    }
}

async fn deliver(round: &mut Round<'_>) -> Result<()> {
    for failed in round.runtime.outbox().deliver().await?.into_iter().filter(|delivered| !delivered.is_done) {
        round.done.failures.push(format!("{}: {}", failed.kind, failed.outcome));
    }
    Ok(())
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

async fn store_levels(round: &mut Round<'_>) -> Result<()> {
    let stored = round.levels.store().await?;
    round.done.add(stored);
    Ok(())
}

async fn poll_experiments(round: &mut Round<'_>, outcome: &Outcome) -> Result<()> {
    let mut tx = round.runtime.read().await?;
    let open = tx.experiment_list_under_way(Some(outcome.id)).await?;
    drop(tx);
    for experiment in open.iter().filter(|experiment| experiment.state.status.is_polled()) {
        let plan = match plan_of(experiment) {
            Ok(plan) => plan,
            Err(error) => {
                round.done.failures.push(format!("{}: {}", experiment.slug, error.message()));
                continue;
            }
        };
        // A constraint may be read more often than the primary signal: whatever is due first brings the round.
        if !plan_signals(&plan).any(|signal| round.due.has(experiment.id.0, signal)) {
            continue;
        }
        // Its sources may be slow, and no level waits for them.
        store_levels(round).await?;
        let polled = match file(round).await {
            Ok(config) => {
                let (runtime, lease, failures) = (round.runtime, round.lease, &mut round.done.failures);
                poll_experiment(runtime, lease, &config, outcome, experiment, &plan, failures).await
            }
            Err(error) => Err(error),
        };
        match polled {
            Ok(polled) => {
                let is_moved = polled.status != experiment.state.status;
                round.done.experiments.push(polled);
                // A flag must not stay on while other sources are waited for.
                if is_moved {
                    deliver(round).await?;
                }
            }
            Err(error) if is_lost(round.lease) => return Err(error),
            // One experiment in trouble (a tampered row, say) must not keep the others from being watched.
            Err(error) => {
                tracing::error!(experiment = %experiment.slug, code = %error.code(), "Polling failed: {error}");
                round.done.failures.push(format!("{}: {}", experiment.slug, error_chain(&error)));
            }
        }
    }
    Ok(())
}
