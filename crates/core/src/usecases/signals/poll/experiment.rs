//! One experiment in a round: what its sources said, the evaluation, and the step that follows are written in one
//! transaction.

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::correction::{Reread, correct, reread, store_reread};
use super::flag_off::put_off_again;
use super::flag_read::keep_flag_read;
use super::gathered::Gathered;
use super::health::{SignalFindings, health_failed, health_of, health_ok};
use super::incident::tell_incidents;
use super::logged::log_readings;
use super::memory::{remember, running_of};
use super::policy::{Found, follow};
use super::seal::{Sealed, seal, store_sealed};
use super::silence::{silence, stall};
use super::sources::{Job, gather, shows_danger};
use super::store::store_readings;
use super::twins::{mark_twin, name_twin};
use crate::config::Config;
use crate::domain::{Experiment, ExperimentStatus, Plan, Said};
use crate::error::{Error, Result};
use crate::evaluation::{Judged, Poll, evaluate_guards, evaluate_poll, evaluate_series, is_restated};
use crate::lifecycle::{is_danger, statistical_finding};
use crate::stats::{Blocks, RunningState};
use crate::store::{AllocationPhase, JobHolder, QueuedJob, Tx};
use crate::usecases::Runtime;
use crate::usecases::kernel::check::check_experiment;
use crate::usecases::kernel::keyring::keyring;
use crate::usecases::kernel::lookup::experiment_named;
use crate::usecases::kernel::phases::{is_on, on_since};
use crate::usecases::kernel::queue::{looked_at_again, next_look};
use crate::usecases::kernel::unchecked::keep_unchecked;
use crate::usecases::kernel::worker::{Worker, taken_over};
use crate::usecases::kernel::workspace_file::is_pushed;

/// What one round found about an experiment.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct PolledExperiment {
    /// Slug.
    pub experiment: String,
    /// Where it stands now.
    pub status: ExperimentStatus,
    /// The engine's recommendation, where there was one. The field keeps the name that callers know.
    pub verdict: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// What the sources of one experiment said.
pub(super) struct Asked {
    job: Arc<Job>,
    gathered: Gathered,
    /// The past, read again, where the source restated it.
    reread: Option<Reread>,
    sealed: Sealed,
    now: Timestamp,
}

impl Asked {
    /// Whether the flag is not where it was put.
    pub(super) fn has_drifted(&self) -> bool {
        self.gathered.drift().is_some()
    }
}

/// What a judgement rests on.
enum Basis {
    /// The primary signal and the constraints.
    Whole,
    /// The constraints alone: nothing of it is kept.
    Constraints,
}

/// Asks the sources of an experiment, until now or another instant. Nothing is written here.
#[tracing::instrument(level = "debug", name = "poll.ask", skip_all, fields(experiment = %job.experiment.slug))]
pub(super) async fn ask_experiment(
    runtime: &Runtime,
    config: &Arc<Config>,
    job: Arc<Job>,
    until: Option<Timestamp>,
) -> Result<Asked> {
    let now = until.unwrap_or_else(|| runtime.now());
    let gathered = gather(runtime, config, &job, now).await?;
    let reread = reread(runtime, config, &job, &gathered, now).await?;
    let sealed = match is_on(&job.phases) && shows_danger(&job, &gathered, now)? {
        true => Sealed::default(),
        false => seal(runtime, config, &job, &gathered, now).await,
    };
    Ok(Asked { job, gathered, reread, sealed, now })
}

/// Writes what the sources said, and takes the step that follows.
#[tracing::instrument(level = "debug", name = "poll.experiment", skip_all, fields(experiment = %asked.job.experiment.slug))]
pub(super) async fn take_experiment(
    runtime: &Runtime,
    worker: &Worker,
    queued: &QueuedJob,
    config: &Config,
    asked: Asked,
    failures: &mut Vec<String>,
) -> Result<PolledExperiment> {
    let Asked { job, mut gathered, reread, sealed, now } = asked;
    let Job { outcome, plan, .. } = &*job;
    failures.extend(reread.iter().filter_map(|reread| reread.failure.clone()));
    let reread = reread.unwrap_or_default();
    let Some(mut tx) = held(runtime, worker, queued, &job, failures).await? else {
        return Ok(said(&job.experiment, None));
    };
    let mut experiment = experiment_named(&mut tx, &job.experiment.id.to_string()).await?;
    if is_overtaken(&job, &experiment, &tx.phase_list(experiment.id).await?) {
        finish(worker, &mut tx, queued, plan, now).await?;
        tx.commit().await?;
        return Ok(said(&experiment, None));
    }
    // Nothing could be decided about it, so it is not left on: the caller turns it off.
    let keyring = keyring(runtime, &mut tx).await?;
    Box::pin(check_experiment(&mut tx, &keyring, &experiment)).await?;
    let launched_at = experiment.launched_at.unwrap_or(now);
    let twin = match is_pushed(config, &plan.signal.source) {
        true => None,
        false => mark_twin(&mut tx, &experiment, plan, &mut gathered).await?,
    };
    let poll = gathered.poll(plan, launched_at, now);
    let previous = running_of(&experiment)?.cloned();
    // Another program may have polled meanwhile: what is stored now decides.
    let restated = poll.as_ref().zip(previous.as_ref()).filter(|(poll, previous)| is_restated(poll, previous));
    let readings = store_readings(runtime, config, &mut tx, outcome, &experiment, plan, &gathered, now).await?;
    store_sealed(&mut tx, &sealed, now).await?;
    failures.extend(sealed.corrected);
    let n_reread = match restated {
        Some(_) => store_reread(runtime, &mut tx, outcome, &experiment, plan, &reread, now).await?,
        None => 0,
    };
    failures.extend(keep_health(runtime, config, &mut tx, &job, &experiment, &gathered, now).await?);
    let corrected = match restated {
        Some(restated) => correct(&mut tx, &experiment, plan, restated, &reread, now).await?,
        None => None,
    };
    let mut evaluated = judge(&job, &gathered, poll.as_ref(), corrected.as_ref().or(previous.as_ref()), now)?;
    if let (Some((judged, _)), Some(twin)) = (&mut evaluated, &twin) {
        name_twin(judged, twin);
    }
    if readings + n_reread > 0 {
        let judged = evaluated.as_ref().map(|(judged, _)| (&judged.evaluated.advice, &*judged.evaluated.health));
        let said = Said::of(experiment.slug.to_string(), experiment.state.status, judged);
        log_readings(&mut tx, experiment.id, now, Some(said)).await?;
    }
    if let Some((judged, Basis::Whole)) = &evaluated {
        tell_incidents(runtime, &mut tx, &experiment, plan, judged, now).await?;
        remember(&mut experiment, plan, judged, now, readings)?;
    }
    let is_whole = matches!(evaluated, Some((_, Basis::Whole)));
    let judged = evaluated.map(|(judged, _)| judged);
    tx.experiment_update(&experiment).await?;
    let phases = tx.phase_list(experiment.id).await?;
    let silence = silence(outcome, plan, &gathered, &phases, now);
    if let Some(silence) = silence.as_ref().filter(|silence| silence.as_finding().is_said(now)) {
        failures.push(silence.tell(runtime, &mut tx, &experiment, plan, now).await?);
    }
    let stalled = stall(&mut tx, outcome, &experiment, plan, &gathered, previous.as_ref(), now).await?;
    if let Some(stalled) = stalled.filter(|stalled| stalled.as_finding().is_said(now)) {
        stalled.tell(runtime, &mut tx, &experiment, plan, now).await?;
    }
    if let Some(drift) = gathered.drift().filter(|_| !is_on(&phases)) {
        failures.push(put_off_again(runtime, &mut tx, &experiment, drift).await?);
    }
    failures.extend(keep_flag_read(runtime, &mut tx, &experiment, &gathered.flag, now).await?);
    if let Some(treated) = gathered.treated_off.take() {
        failures.push(treated.tell(runtime, &mut tx, &experiment, now).await?);
    }
    let found = Found {
        drift: gathered.drift(),
        judged: judged.as_ref(),
        is_whole,
        silence: silence.as_ref(),
        health: health_of(&mut tx, outcome, &experiment, plan, on_since(&phases), now).await?,
    };
    follow(runtime, &mut tx, outcome, &mut experiment, plan, &phases, &found).await?;
    finish(worker, &mut tx, queued, plan, now).await?;
    tx.commit().await?;
    Ok(said(&experiment, judged.as_ref()))
}

/// Only turns the flag off where what the sources said shows danger. Nothing of what was read is kept: it was read by a clock that is
/// not believed.
#[tracing::instrument(level = "debug", name = "poll.danger", skip_all, fields(experiment = %asked.job.experiment.slug))]
pub(super) async fn take_danger(
    runtime: &Runtime,
    worker: &Worker,
    queued: &QueuedJob,
    asked: Asked,
    failures: &mut Vec<String>,
) -> Result<PolledExperiment> {
    let Asked { job, gathered, now, .. } = asked;
    let failed = |(signal, error): &(String, Error)| format!("`{signal}` of `{}`: {error}", job.experiment.slug);
    failures.extend(gathered.failures.iter().map(failed));
    let Job { outcome, plan, .. } = &*job;
    let Some(mut tx) = held(runtime, worker, queued, &job, failures).await? else {
        return Ok(said(&job.experiment, None));
    };
    let mut experiment = experiment_named(&mut tx, &job.experiment.id.to_string()).await?;
    let phases = tx.phase_list(experiment.id).await?;
    if is_overtaken(&job, &experiment, &phases) {
        return Ok(said(&experiment, None));
    }
    let poll = gathered.poll(plan, experiment.launched_at.unwrap_or(now), now);
    let previous = running_of(&experiment)?.cloned();
    let judged = judge(&job, &gathered, poll.as_ref(), previous.as_ref(), now)?.map(|(judged, _)| judged);
    let danger = judged.filter(|Judged { evaluated, .. }| is_danger(&evaluated.advice, &evaluated.health));
    if danger.is_some() || gathered.drift().is_some() {
        let found = Found {
            drift: gathered.drift(),
            judged: danger.as_ref(),
            is_whole: false,
            silence: None,
            health: SignalFindings::default(),
        };
        follow(runtime, &mut tx, outcome, &mut experiment, plan, &phases, &found).await?;
        tx.commit().await?;
    }
    Ok(said(&experiment, danger.as_ref()))
}

/// A transaction in which the experiment is still ours to be written; `None` where it is not, which is told.
async fn held(
    runtime: &Runtime,
    worker: &Worker,
    queued: &QueuedJob,
    job: &Job,
    failures: &mut Vec<String>,
) -> Result<Option<Tx>> {
    let (tx, holders) = worker.write(runtime, &[queued]).await?;
    if holders == [JobHolder::Us] {
        return Ok(Some(tx));
    }
    if holders == [JobHolder::Another] {
        failures.push(taken_over(job.experiment.slug.as_str()));
    }
    Ok(None)
}

/// Sets when the experiment is looked at again: when the first of its signals is due.
async fn finish(worker: &Worker, tx: &mut Tx, queued: &QueuedJob, plan: &Plan, now: Timestamp) -> Result<()> {
    let healths = tx.signal_health_list(queued.subject_id).await?;
    worker.finish(tx, queued, looked_at_again(next_look(plan, &healths, now), now)).await?;
    Ok(())
}

/// Whether somebody decided while the sources were asked: what was read belongs to another situation, and is asked for again.
fn is_overtaken(job: &Job, experiment: &Experiment, phases: &[AllocationPhase]) -> bool {
    let is_same = experiment.state == job.experiment.state && *phases == job.phases;
    !is_same || !experiment.state.status.is_polled()
}

/// What the statistics make of what was read. Where the primary signal could not be read, the constraints speak alone, and only
/// if they speak against the treatment.
fn judge(
    job: &Job,
    gathered: &Gathered,
    poll: Option<&Poll>,
    previous: Option<&RunningState>,
    now: Timestamp,
) -> Result<Option<(Judged, Basis)>> {
    let plan = &job.plan;
    let whole = match (poll, gathered.weeks()) {
        (Some(poll), None) => evaluate_poll(plan, poll, previous)?,
        (Some(poll), Some(weeks)) => {
            let (pre, post, scale) = (&weeks.pre, &weeks.post, &weeks.scale);
            let target = plan.target.unwrap_or(f64::MAX);
            let blocks = Blocks { pre, post, target, rules: plan.series_rules(), scale };
            Some(evaluate_series(plan, poll, &blocks, previous)?)
        }
        (None, _) => None,
    };
    if let Some(whole) = whole {
        return Ok(Some((whole, Basis::Whole)));
    }
    let launched_at = job.experiment.launched_at.unwrap_or(now);
    let alone = evaluate_guards(plan, &gathered.guards_alone(plan, launched_at, now), previous)?;
    let Judged { evaluated, .. } = &alone;
    Ok(statistical_finding(&evaluated.advice, &evaluated.health).is_some().then_some((alone, Basis::Constraints)))
}

/// Keeps how each signal did. One that was not waited for is asked again. Returns the failures as sentences.
async fn keep_health(
    runtime: &Runtime,
    config: &Config,
    tx: &mut Tx,
    job: &Job,
    experiment: &Experiment,
    gathered: &Gathered,
    asked_at: Timestamp,
) -> Result<Vec<String>> {
    let mut failures = Vec::new();
    for (position, signal) in job.plan.signals().enumerate() {
        let subject = experiment.id.0;
        let error = gathered.failures.iter().find(|(name, _)| *name == signal.name);
        let is_read = match position.checked_sub(1) {
            None => gathered.primary.is_some(),
            Some(index) => gathered.guards.contains_key(&index),
        };
        match error {
            Some((_, error)) => failures.push(health_failed(runtime, tx, subject, signal, error).await?.0),
            None if !is_read => {}
            None if is_pushed(config, &signal.source) => {
                let pushed = tx.measurement_last_pushed(experiment.id, &signal.name).await?;
                health_ok(runtime, tx, subject, signal, pushed).await?;
                // What was pushed while others were asked was not looked at.
                if pushed.is_some_and(|at| at > asked_at) {
                    tx.signal_wake(subject, &signal.name, runtime.now()).await?;
                }
            }
            None => {
                let read_at = job.clocks.known(&signal.source, runtime.now());
                health_ok(runtime, tx, subject, signal, Some(read_at)).await?;
                keep_unchecked(runtime, tx, experiment.outcome.0, std::slice::from_ref(&signal.name), &[]).await?;
            }
        }
    }
    Ok(failures)
}

fn said(experiment: &Experiment, judged: Option<&Judged>) -> PolledExperiment {
    let advice = judged.map(|judged| &judged.evaluated.advice);
    PolledExperiment {
        experiment: experiment.slug.to_string(),
        status: experiment.state.status,
        verdict: advice.and_then(|advice| json!(advice.recommendation).as_str().map(ToOwned::to_owned)),
        reason: advice.map(|advice| advice.reason.clone()),
    }
}
