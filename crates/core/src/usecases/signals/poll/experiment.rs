//! One experiment in a round: what its sources said, the evaluation, and the step that follows are written in one
//! transaction.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::correction::{correct, reread, store_reread};
use super::health::{health_failed, health_ok, signal_state};
use super::memory::{plan_signals, remember, running_of};
use super::policy::follow;
use super::sources::gather;
use super::store::{log_readings, store_readings};
use super::weeks::Weeks;
use crate::config::Config;
use crate::domain::{Experiment, ExperimentStatus, Outcome, Plan};
use crate::error::Result;
use crate::evaluation::{evaluate_poll, evaluate_series, is_restated};
use crate::stats::Blocks;
use crate::usecases::Runtime;
use crate::usecases::kernel::lease::{Lease, write_leased};
use crate::usecases::kernel::lookup::experiment_named;

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

#[tracing::instrument(level = "debug", name = "poll.experiment", skip_all, fields(experiment = %experiment.slug))]
pub(super) async fn poll_experiment(
    runtime: &Runtime,
    lease: &Lease,
    config: &Config,
    outcome: &Outcome,
    experiment: &Experiment,
    plan: &Plan,
    failures: &mut Vec<String>,
) -> Result<PolledExperiment> {
    let now = runtime.now();
    let gathered = gather(runtime, config, outcome, experiment, plan, now).await?;
    let reread = reread(runtime, config, experiment, plan, &gathered, now).await?;
    failures.extend(reread.iter().filter_map(|reread| reread.failure.clone()));
    let mut tx = write_leased(runtime, lease).await?;
    let mut experiment = experiment_named(&mut tx, &experiment.id.to_string()).await?;
    let poll = gathered.poll(plan, &experiment, now);
    let previous = running_of(&experiment)?.cloned();
    // Another program may have polled meanwhile: what is stored now decides.
    let restated = poll.as_ref().zip(previous.as_ref()).filter(|(poll, previous)| is_restated(poll, previous));
    let reread = reread.unwrap_or_default();
    let readings = store_readings(runtime, config, &mut tx, outcome, &experiment, plan, &gathered, now).await?;
    let n_reread = match restated {
        Some(_) => store_reread(runtime, &mut tx, outcome, &experiment, plan, &reread, now).await?,
        None => 0,
    };
    if readings + n_reread > 0 {
        log_readings(&mut tx, experiment.id, now).await?;
    }
    for signal in plan_signals(plan) {
        match gathered.failures.iter().find(|(name, _)| *name == signal.name) {
            Some((_, error)) => {
                failures.push(health_failed(runtime, &mut tx, experiment.id.0, signal, error).await?);
            }
            None => health_ok(runtime, &mut tx, experiment.id.0, signal).await?,
        }
    }
    let corrected = match restated {
        Some(restated) => correct(&mut tx, &experiment, plan, restated, &reread, now).await?,
        None => None,
    };
    let evaluated = match (&poll, &gathered.weeks) {
        (Some(poll), None) => evaluate_poll(plan, poll, corrected.as_ref().or(previous.as_ref()))?,
        (Some(poll), Some(Weeks { pre, post, scale, .. })) => {
            let blocks = Blocks { pre, post, target: plan.target.unwrap_or(f64::MAX), scale };
            Some(evaluate_series(plan, poll, &blocks, previous.as_ref())?)
        }
        (None, _) => None,
    };
    if let Some(evaluated) = &evaluated {
        remember(&mut experiment, plan, evaluated, now, readings)?;
    }
    tx.experiment_update(&experiment).await?;
    if experiment.state.status.is_evaluated() {
        let status = signal_state(&mut tx, outcome, &experiment, plan, now).await?;
        follow(runtime, &mut tx, outcome, &mut experiment, plan, &gathered, evaluated.as_ref(), status).await?;
    }
    tx.commit().await?;
    Ok(PolledExperiment {
        experiment: experiment.slug.to_string(),
        status: experiment.state.status,
        verdict: evaluated.as_ref().and_then(|e| json!(e.advice.recommendation).as_str().map(ToOwned::to_owned)),
        reason: evaluated.map(|judged| judged.evaluated.advice.reason),
    })
}
