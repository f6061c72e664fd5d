//! Asking the sources. Nothing is written here.
//!
//! All signals of an experiment are asked at once, and so are its flag and the other experiments: a source that hangs keeps
//! nobody waiting. As soon as what was read shows danger, the rest is waited for no longer than [`PATIENCE`].

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::arms::read_phases;
use super::flag_read::{FlagRead, read_flag};
use super::gathered::{Gathered, GatheredGuard, Primary};
use super::memory::running_of;
use super::source_clocks::SourceClocks;
use super::treated_off::{TreatedOff, read_treated_off};
use super::weeks::read_weeks;
use crate::config::Config;
use crate::domain::{Experiment, Outcome, Plan, Window};
use crate::error::{Code, Error, Result};
use crate::evaluation::{evaluate_guards, evaluate_poll};
use crate::lifecycle::statistical_finding;
use crate::store::AllocationPhase;
use crate::usecases::Runtime;
use crate::usecases::kernel::level::read_level;
use crate::usecases::kernel::phases::is_on;
use crate::usecases::kernel::turns::Urgency;
use crate::usecases::kernel::workspace_file::reads_by_variant;

/// How long other signals are waited for once danger is known.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a limit on a value of the whole population is judged on: a day, whatever window the signal is shown over. Readings that
/// count are at least as far apart.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// An experiment that is due, with what asking about it needs.
pub(super) struct Job {
    pub(super) outcome: Outcome,
    pub(super) experiment: Experiment,
    pub(super) plan: Plan,
    pub(super) phases: Vec<AllocationPhase>,
    pub(super) clocks: SourceClocks,
}

/// What one question led to.
enum Answer {
    Flag(FlagRead),
    Guard(usize, Result<GatheredGuard>),
    Primary(Result<Primary>),
    TreatedOff(Result<Option<TreatedOff>>),
}

/// Asks the sources of an experiment, and its flag service.
///
/// # Errors
/// [`Code::Internal`] for a plan that never should have been approved. A failing source is in what was gathered.
pub(super) async fn gather(
    runtime: &Runtime,
    config: &Arc<Config>,
    job: &Arc<Job>,
    now: Timestamp,
) -> Result<Gathered> {
    let mut asked = ask(runtime, config, job, now);
    let mut gathered = Gathered::new(job.phases.clone());
    let mut until = None;
    while let Some(answer) = next(&mut asked, until).await {
        match answer {
            Ok(Answer::Flag(read)) => gathered.flag = read,
            Ok(Answer::Guard(index, Ok(guard))) => {
                gathered.guards.insert(index, guard);
            }
            Ok(Answer::Guard(index, Err(error))) => {
                let name = job.plan.guardrails.get(index).map(|guardrail| guardrail.signal.name.clone());
                gathered.failures.push((name.unwrap_or_default(), error));
            }
            Ok(Answer::Primary(Ok(primary))) => gathered.primary = Some(primary),
            Ok(Answer::TreatedOff(Ok(found))) => gathered.treated_off = found,
            // The primary signal is asked at the same place, and its failure is told.
            Ok(Answer::TreatedOff(Err(error))) => {
                tracing::warn!("who is still shown the treatment is not known: {error}");
            }
            Ok(Answer::Primary(Err(error))) => gathered.failures.push((job.plan.signal.name.clone(), error)),
            Err(lost) => {
                return Err(Error::new(Code::Internal, "asking a source ended without an answer").because(lost));
            }
        }
        if until.is_none() && is_on(&job.phases) && shows_danger(job, &gathered, now)? {
            until = Some(Instant::now() + PATIENCE);
        }
    }
    Ok(gathered)
}

/// The next answer; `None` when there is none left, or the time is over.
async fn next(
    asked: &mut JoinSet<Answer>,
    until: Option<Instant>,
) -> Option<std::result::Result<Answer, tokio::task::JoinError>> {
    match until {
        Some(until) => timeout_at(until, asked.join_next()).await.ok().flatten(),
        None => asked.join_next().await,
    }
}

/// Begins to ask for everything at once.
fn ask(runtime: &Runtime, config: &Arc<Config>, job: &Arc<Job>, now: Timestamp) -> JoinSet<Answer> {
    let mut asked = JoinSet::new();
    for index in 0..job.plan.guardrails.len() {
        let (runtime, config, job) = (runtime.clone(), Arc::clone(config), Arc::clone(job));
        asked.spawn(async move { Answer::Guard(index, read_guard(&runtime, &config, &job, index, now).await) });
    }
    let (for_flag, for_primary) = (
        (runtime.clone(), Arc::clone(config), Arc::clone(job)),
        (runtime.clone(), Arc::clone(config), Arc::clone(job)),
    );
    asked.spawn(async move {
        let (runtime, config, job) = for_flag;
        Answer::Flag(read_flag(&runtime, &config, &job.experiment, &job.phases).await)
    });
    if !is_on(&job.phases) {
        let (runtime, config, job) = (runtime.clone(), Arc::clone(config), Arc::clone(job));
        asked.spawn(async move {
            let Job { experiment, plan, phases, .. } = &*job;
            Answer::TreatedOff(read_treated_off(&runtime, &config, experiment, plan, phases, now).await)
        });
    }
    asked.spawn(async move {
        let (runtime, config, job) = for_primary;
        Answer::Primary(read_primary(&runtime, &config, &job, now).await)
    });
    asked
}

/// Whether what was read so far turns the flag off.
pub(super) fn shows_danger(job: &Job, gathered: &Gathered, now: Timestamp) -> Result<bool> {
    if gathered.drift().is_some() {
        return Ok(true);
    }
    let launched_at = job.experiment.launched_at.unwrap_or(now);
    // What cannot be read is told when it is needed.
    let previous = running_of(&job.experiment).ok().flatten();
    let judged = match gathered.poll(&job.plan, launched_at, now) {
        Some(poll) if job.plan.design.has_control() => evaluate_poll(&job.plan, &poll, previous)?,
        _ => None,
    };
    let judged = match judged {
        Some(judged) => judged,
        None => evaluate_guards(&job.plan, &gathered.guards_alone(&job.plan, launched_at, now), previous)?,
    };
    Ok(statistical_finding(&judged.evaluated.advice, &judged.evaluated.health).is_some())
}

async fn read_primary(runtime: &Runtime, config: &Config, job: &Job, now: Timestamp) -> Result<Primary> {
    let Job { outcome, experiment, plan, phases, clocks } = job;
    let now = clocks.until(runtime, config, &plan.signal.source, now).await;
    if plan.design.has_control() {
        let read = read_phases(runtime, config, experiment, &plan.signal, phases, now).await?;
        return Ok(Primary::ByVariant(read));
    }
    read_weeks(runtime, config, experiment, plan, outcome.spec.target.to, now).await.map(Primary::Weekly)
}

async fn read_guard(
    runtime: &Runtime,
    config: &Config,
    job: &Job,
    index: usize,
    now: Timestamp,
) -> Result<GatheredGuard> {
    let Some(guardrail) = job.plan.guardrails.get(index) else {
        return Ok(GatheredGuard::default());
    };
    let signal = &guardrail.signal;
    let now = job.clocks.until(runtime, config, &signal.source, now).await;
    if reads_by_variant(config, signal) {
        let by_variant = read_phases(runtime, config, &job.experiment, signal, &job.phases, now).await?;
        return Ok(GatheredGuard { by_variant, level: None });
    }
    let from = now.checked_sub(DAY).unwrap_or(now);
    let level = read_level(runtime, config, &job.outcome, signal, Window { from, to: now }, Urgency::Urgent).await?;
    // A number that its source doubts neither stops anything nor shows that all is well: it is no reading, and that is told.
    if let Some(doubt) = level.as_ref().and_then(|reading| reading.warnings.first()) {
        return Err(Error::new(
            Code::SignalShape,
            format!("`{}` doubts what it read for `{}`: {doubt}", signal.source, signal.name),
        )
        .hint(
            "it is read again; where that lasts, mend what the source says, or read the constraint from another one",
        ));
    }
    Ok(GatheredGuard { level, ..GatheredGuard::default() })
}
