//! Asking the sources. Nothing is written here.

use jiff::Timestamp;

use super::gathered::{Gathered, GatheredGuard};
use super::weeks::read_weeks;
use crate::config::Config;
use crate::domain::{
    Design, Experiment, Measurement, Outcome, Plan, Reading, SignalSpec, Variant, VariantReading, Window,
};
use crate::error::{Error, Result};
use crate::ids::ExperimentId;
use crate::ports::{VariantRequest, flags};
use crate::store::AllocationPhase;
use crate::usecases::Runtime;
use crate::usecases::kernel::flag::flag_position;
use crate::usecases::kernel::level::read_level;
use crate::usecases::kernel::workspace_file::{flag_service, is_pushed, reads_by_variant, source};

/// Asks the sources. Nothing is written here.
pub(super) async fn gather(
    runtime: &Runtime,
    config: &Config,
    outcome: &Outcome,
    experiment: &Experiment,
    plan: &Plan,
    now: Timestamp,
) -> Result<Gathered> {
    let mut tx = runtime.read().await?;
    let phases = tx.phase_list(experiment.id).await?;
    drop(tx);
    let mut gathered = Gathered { phases, primary: vec![], weeks: None, guards: vec![], failures: vec![], drift: None };
    let failed = if plan.design == Design::Randomised {
        let readings = read_phases(runtime, config, experiment, &plan.signal, &gathered.phases, now).await;
        readings.map(|readings| gathered.primary = readings).err()
    } else {
        let weeks = read_weeks(runtime, config, experiment, &plan.signal, outcome.spec.target.to, now).await;
        weeks.map(|weeks| gathered.weeks = Some(weeks)).err()
    };
    gathered.failures.extend(failed.map(|error| (plan.signal.name.clone(), error)));
    for (index, guardrail) in plan.guardrails.iter().enumerate() {
        let signal = &guardrail.signal;
        let by_variant = reads_by_variant(config, signal);
        let found =
            if by_variant {
                read_phases(runtime, config, experiment, signal, &gathered.phases, now)
                    .await
                    .map(|by_variant| GatheredGuard { index, by_variant, level: None })
            } else {
                let from = now.checked_sub(signal.aggregation.window().get()).unwrap_or(now);
                read_level(runtime, config, outcome, signal, Window { from, to: now })
                    .await
                    .map(|level| GatheredGuard { index, by_variant: vec![], level })
            };
        match found {
            Ok(guard) => gathered.guards.push(guard),
            Err(error) => gathered.failures.push((signal.name.clone(), error)),
        }
    }
    gathered.drift = flag_drift(runtime, config, experiment).await?;
    Ok(gathered)
}

/// One reading for each allocation phase. A source that pushes has nothing to be asked: its latest readings are taken.
#[tracing::instrument(level = "debug", name = "poll.phases", skip_all, fields(signal = %signal.name, source = %signal.source))]
pub(super) async fn read_phases(
    runtime: &Runtime,
    config: &Config,
    experiment: &Experiment,
    signal: &SignalSpec,
    phases: &[AllocationPhase],
    now: Timestamp,
) -> Result<Vec<(i32, Reading<Vec<VariantReading>>)>> {
    let launched_at = experiment.launched_at.unwrap_or(now);
    let mut readings = Vec::new();
    for phase in phases {
        let to = phase.ended_at.map_or(now, |ended| ended.0).min(now);
        let window = Window { from: phase.started_at.0, to };
        if window.from >= window.to {
            continue;
        }
        let reading = if is_pushed(config, &signal.source) {
            latest_pushed(runtime, experiment.id, signal, phase.phase, window).await?
        } else {
            let request = VariantRequest {
                experiment: experiment.slug.clone(),
                flag_key: experiment.hypothesis.flag_key.clone(),
                window,
                launched_at,
                as_of: now,
            };
            let source = source(runtime, config, &signal.source)?;
            Some(source.by_variant(signal, &request).await.map_err(Error::from)?)
        };
        if let Some(reading) = reading {
            readings.push((phase.phase, reading));
        }
    }
    Ok(readings)
}

async fn latest_pushed(
    runtime: &Runtime,
    experiment: ExperimentId,
    signal: &SignalSpec,
    phase: i32,
    window: Window,
) -> Result<Option<Reading<Vec<VariantReading>>>> {
    let mut tx = runtime.read().await?;
    let mut data = Vec::new();
    let mut latest: Option<Measurement> = None;
    for variant in [Variant::Control, Variant::Treatment] {
        if let Some(found) = tx.measurement_latest(experiment, &signal.name, phase, variant).await? {
            data.push(VariantReading { variant, sums: found.sums });
            latest = Some(found);
        }
    }
    Ok(latest.map(|found| Reading {
        data,
        window: Window { from: window.from, to: found.window.to },
        query_hash: found.query_hash,
        raw_hash: found.raw_hash,
        warnings: Vec::new(),
    }))
}

/// Where the flag is, when it is not where it was put. A message that is still waiting explains a difference, and an
/// unreachable service is no drift.
async fn flag_drift(runtime: &Runtime, config: &Config, experiment: &Experiment) -> Result<Option<String>> {
    if !experiment.state.status.is_evaluated() {
        return Ok(None);
    }
    let mut tx = runtime.read().await?;
    let is_waiting = tx.outbox_is_flag_waiting(experiment.id).await?;
    drop(tx);
    let Some(service) = flag_service(runtime, config)? else { return Ok(None) };
    if is_waiting {
        return Ok(None);
    }
    let pct = experiment.hypothesis.rollout.pct(experiment.state.step).unwrap_or(0);
    let key = &experiment.hypothesis.flag_key;
    match flags::drift(service.as_ref(), &flag_position(key, pct)).await {
        Ok(None) => Ok(None),
        Ok(Some(drift)) => Ok(Some(match drift.found {
            Some(found) => format!("the flag `{key}` is {found}, but the runtime set it to {}", drift.expected),
            None => format!("the flag `{key}` is missing, but the runtime set it to {}", drift.expected),
        })),
        Err(error) => {
            tracing::warn!(flag = %key, "The flag could not be read: {error}");
            Ok(None)
        }
    }
}
