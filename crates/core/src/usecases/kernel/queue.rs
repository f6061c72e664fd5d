//! The queue follows what is under way: the signals of active outcomes, and the experiments whose signals are read.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::history::plan_of;
use crate::domain::{Experiment, Outcome, OutcomeStatus, Plan, SignalSpec};
use crate::error::Result;
use crate::store::{Instant, ORDINARY, QueuedJob, SignalHealth, Tx, URGENT};
use crate::usecases::Runtime;

/// What is looked at again is looked at no sooner.
pub(in crate::usecases) const SOONEST: SignedDuration = SignedDuration::from_secs(10);

/// Queues the signals of an outcome that is active; takes out those that are read no more. What is new is due now, and so is what a
/// shorter interval makes due.
pub(super) async fn queue_outcome(tx: &mut Tx, outcome: &Outcome, now: Timestamp) -> Result<()> {
    let wanted = match outcome.state.status {
        OutcomeStatus::Active => signals_of(outcome).collect(),
        _ => Vec::new(),
    };
    for known in tx.job_signals(outcome.id.0).await? {
        if wanted.iter().all(|signal| signal.name != known) {
            tx.job_delete(outcome.id.0, &known).await?;
        }
    }
    for signal in wanted {
        tx.job_put(&of_signal(outcome, signal, now), after(now, signal.poll_interval.get())).await?;
    }
    Ok(())
}

/// Queues an experiment that is read, to be looked at now; takes out one that is not.
pub(super) async fn queue_experiment(tx: &mut Tx, experiment: &Experiment, now: Timestamp) -> Result<()> {
    if experiment.state.status.is_polled() {
        return tx.job_put(&of_experiment(experiment, plan_of(experiment).ok().as_ref(), now), now).await;
    }
    tx.job_delete(experiment.id.0, "").await
}

/// Compares the queue with everything that is under way, and puts right what differs. Returns how much did.
pub(in crate::usecases) async fn queue_all(runtime: &Runtime) -> Result<usize> {
    let now = runtime.now();
    let mut tx = runtime.read().await?;
    let wrong = differences(&mut tx, now).await?;
    drop(tx);
    if wrong.is_empty() {
        return Ok(0);
    }
    let mut tx = runtime.write().await?;
    // Somebody may have put it right meanwhile.
    let wrong = differences(&mut tx, now).await?;
    for difference in &wrong {
        match difference {
            Difference::Missing(job) => tx.job_put(job, job.due_at.0).await?,
            Difference::Extra(subject, signal) => tx.job_delete(*subject, signal).await?,
        }
    }
    tx.commit().await?;
    Ok(wrong.len())
}

enum Difference {
    /// It is not there, in another queue, or due later than it should be.
    Missing(QueuedJob),
    Extra(Uuid, String),
}

async fn differences(tx: &mut Tx, now: Timestamp) -> Result<Vec<Difference>> {
    let waiting = tx.signals_waiting(now).await?;
    let due_at =
        |subject: Uuid, signal: &SignalSpec| due(signal, waiting.get(&(subject, signal.name.clone())).copied(), now);
    let mut wanted = HashMap::new();
    let mut want = |job: QueuedJob| {
        wanted.insert((job.subject_id, job.signal.clone()), job);
    };
    for outcome in tx.outcome_list(Some(OutcomeStatus::Active)).await? {
        for signal in signals_of(&outcome) {
            want(of_signal(&outcome, signal, due_at(outcome.id.0, signal)));
        }
    }
    for experiment in tx.experiment_list_under_way(None).await? {
        if experiment.state.status.is_polled() {
            let plan = plan_of(&experiment).ok();
            let first = plan.iter().flat_map(Plan::signals).map(|signal| due_at(experiment.id.0, signal)).min();
            want(of_experiment(&experiment, plan.as_ref(), first.unwrap_or(now)));
        }
    }
    let mut found = Vec::new();
    for known in tx.job_list().await? {
        match wanted.remove(&(known.subject_id, known.signal.clone())) {
            None => found.push(Difference::Extra(known.subject_id, known.signal)),
            Some(job) if job.source != known.source || known.due_at.0 > job.due_at.0 => {
                found.push(Difference::Missing(job));
            }
            Some(_) => {}
        }
    }
    found.extend(wanted.into_values().map(Difference::Missing));
    Ok(found)
}

/// When an experiment is to be looked at again: when the first of its signals is due.
pub(in crate::usecases) fn next_look(plan: &Plan, healths: &[SignalHealth], now: Timestamp) -> Timestamp {
    let due_at = |signal: &SignalSpec| {
        let health = healths.iter().find(|health| health.signal == signal.name);
        due(signal, health.map(|health| health.due_at.0), now)
    };
    plan.signals().map(due_at).min().unwrap_or(now)
}

/// When a signal is due; one that was never read is now. A time further away than its interval was set by a clock that was wrong.
fn due(signal: &SignalSpec, set: Option<Timestamp>, now: Timestamp) -> Timestamp {
    set.filter(|at| *at <= after(now, signal.poll_interval.get())).unwrap_or(now)
}

/// When an experiment is looked at again that was just read.
pub(in crate::usecases) fn looked_at_again(due_at: Timestamp, now: Timestamp) -> Timestamp {
    due_at.max(after(now, SOONEST))
}

/// The signals of an outcome whose levels are read.
pub(in crate::usecases) fn signals_of(outcome: &Outcome) -> impl Iterator<Item = &SignalSpec> {
    std::iter::once(&outcome.spec.signal).chain(&outcome.spec.secondary_signals)
}

fn of_signal(outcome: &Outcome, signal: &SignalSpec, due_at: Timestamp) -> QueuedJob {
    QueuedJob {
        subject_id: outcome.id.0,
        signal: signal.name.clone(),
        outcome_id: outcome.id,
        source: signal.source.clone(),
        urgency: ORDINARY,
        due_at: Instant(due_at),
        holder: None,
    }
}

/// It stands in the queue of its primary signal's source. One whose plan cannot be read is queued too, so that this is told.
fn of_experiment(experiment: &Experiment, plan: Option<&Plan>, due_at: Timestamp) -> QueuedJob {
    QueuedJob {
        subject_id: experiment.id.0,
        signal: String::new(),
        outcome_id: experiment.outcome,
        source: plan.map(|plan| plan.signal.source.clone()).unwrap_or_default(),
        urgency: URGENT,
        due_at: Instant(due_at),
        holder: None,
    }
}

fn after(now: Timestamp, interval: SignedDuration) -> Timestamp {
    now.checked_add(interval).unwrap_or(now)
}
