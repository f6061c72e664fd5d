//! One round of reading and judging: what the daemon does on a schedule and the CLI by hand.
//!
//! Sources are asked outside of any transaction; what they said, the evaluation and the step that follows are then written
//! in one. A failing source marks its signal, alerts, and never decides.

use schemars::JsonSchema;
use serde::Serialize;

use super::experiment::{PolledExperiment, poll_experiment};
use super::health::{health_failed, health_ok, is_due};
use super::memory::{plan_signals, read_plan};
use crate::domain::{Outcome, OutcomeStatus, Window};
use crate::error::{Result, error_chain};
use crate::usecases::Runtime;
use crate::usecases::kernel::lease::{release_poll_lease, take_poll_lease};
use crate::usecases::kernel::level::{read_level, store_level};
use crate::usecases::kernel::lookup::outcome_named;
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
    /// When the database fails, or the named outcome is unknown. Failing sources are in the result.
    pub async fn poll(self, request: &PollRequest) -> Result<Polled> {
        let Some(holder) = take_poll_lease(self.0).await? else {
            return Ok(Polled { is_skipped: true, ..Polled::default() });
        };
        let done = poll_round(self.0, request).await;
        release_poll_lease(self.0, &holder).await?;
        done
    }
}

async fn poll_round(runtime: &Runtime, request: &PollRequest) -> Result<Polled> {
    runtime.gates().sweep().await?;
    let mut done = Polled { expired: runtime.outcomes().sweep().await?, ..Polled::default() };
    let mut tx = runtime.read().await?;
    let outcomes = match &request.outcome {
        Some(reference) => vec![outcome_named(&mut tx, reference).await?],
        None => tx.outcome_list(None).await?,
    };
    drop(tx);
    for outcome in outcomes.iter().filter(|outcome| outcome.state.status != OutcomeStatus::Draft) {
        if outcome.state.status == OutcomeStatus::Active {
            poll_levels(runtime, outcome, request.is_forced, &mut done).await?;
        }
        poll_experiments(runtime, outcome, request.is_forced, &mut done).await?;
    }
    for failed in runtime.outbox().deliver().await?.into_iter().filter(|delivered| !delivered.is_done) {
        done.failures.push(format!("{}: {}", failed.kind, failed.outcome));
    }
    Ok(done)
}

async fn poll_levels(runtime: &Runtime, outcome: &Outcome, is_forced: bool, done: &mut Polled) -> Result<()> {
    for signal in std::iter::once(&outcome.spec.signal).chain(&outcome.spec.secondary_signals) {
        if !is_due(runtime, outcome.id.0, &signal.name, is_forced).await? {
            continue;
        }
        let now = runtime.now();
        let window = Window { from: now.checked_sub(signal.aggregation.window().get()).unwrap_or(now), to: now };
        let reading = read_level(runtime, outcome, signal, window).await;
        let mut tx = runtime.write().await?;
        match reading {
            Ok(Some(reading)) => {
                store_level(runtime, &mut tx, outcome, signal, &reading, now).await?;
                health_ok(runtime, &mut tx, outcome.id.0, signal).await?;
                done.n_levels += 1;
            }
            Ok(None) => {}
            Err(error) => {
                let text = health_failed(runtime, &mut tx, outcome.id.0, signal, &error).await?;
                done.failures.push(text);
            }
        }
        tx.commit().await?;
    }
    Ok(())
}

async fn poll_experiments(runtime: &Runtime, outcome: &Outcome, is_forced: bool, done: &mut Polled) -> Result<()> {
    let mut tx = runtime.read().await?;
    let open = tx.experiment_list_under_way(Some(outcome.id)).await?;
    drop(tx);
    for experiment in open.iter().filter(|experiment| experiment.state.status.is_polled()) {
        let plan = match read_plan(experiment) {
            Ok(plan) => plan,
            Err(error) => {
                done.failures.push(format!("{}: {}", experiment.slug, error.message()));
                continue;
            }
        };
        // A constraint may be read more often than the primary signal: whatever is due first brings the round.
        let mut is_any_due = false;
        for signal in plan_signals(&plan) {
            is_any_due |= is_due(runtime, experiment.id.0, &signal.name, is_forced).await?;
        }
        if !is_any_due {
            continue;
        }
        match poll_experiment(runtime, outcome, experiment, &plan, &mut done.failures).await {
            Ok(polled) => done.experiments.push(polled),
            // One experiment in trouble (a tampered row, say) must not keep the others from being watched.
            Err(error) => {
                tracing::error!(experiment = %experiment.slug, code = %error.code(), "Polling failed: {error}");
                done.failures.push(format!("{}: {}", experiment.slug, error_chain(&error)));
            }
        }
    }
    Ok(())
}
