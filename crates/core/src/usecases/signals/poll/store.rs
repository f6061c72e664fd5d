//! Storing what was read.

use jiff::Timestamp;

use super::gathered::Gathered;
use super::measurement::{level, measurements};
use super::weeks::store_weeks;
use crate::config::Config;
use crate::domain::{Experiment, Outcome, Plan};
use crate::error::Result;
use crate::store::Tx;
use crate::usecases::Runtime;
use crate::usecases::kernel::raw_answer::keep_answer;
use crate::usecases::kernel::workspace_file::is_pushed;

/// Stores what was read. Returns the number of new readings.
#[expect(clippy::too_many_arguments, reason = "all of one poll; a struct would only rename them")]
pub(super) async fn store_readings(
    runtime: &Runtime,
    config: &Config,
    tx: &mut Tx,
    outcome: &Outcome,
    experiment: &Experiment,
    plan: &Plan,
    gathered: &Gathered,
    now: Timestamp,
) -> Result<usize> {
    let mut n_new = 0;
    let guards = gathered.guards.iter().filter_map(|(index, guard)| {
        plan.guardrails.get(*index).map(|guardrail| (&guardrail.signal, guard.by_variant.by_phase.as_slice()))
    });
    for (signal, readings) in std::iter::once((&plan.signal, gathered.by_variant())).chain(guards) {
        if is_pushed(config, &signal.source) {
            continue;
        }
        for (phase, reading) in readings {
            keep_answer(tx, reading, now).await?;
            for measurement in measurements(runtime, outcome, experiment, signal, *phase, reading, now) {
                let arm = measurement.variant.map_or("", |variant| variant.as_str());
                let key = format!("poll/{}/{}/{phase}/{arm}/{now}", experiment.id, signal.name);
                n_new += usize::from(tx.measurement_insert(&measurement, &key).await?);
            }
        }
    }
    for (index, guard) in &gathered.guards {
        let Some(signal) = plan.guardrails.get(*index).map(|guardrail| &guardrail.signal) else { continue };
        let Some(reading) = &guard.level else { continue };
        let measurement = level(runtime, experiment, signal, reading, now);
        let key = format!("poll/{}/{}/level/{now}", experiment.id, signal.name);
        n_new += usize::from(tx.measurement_insert(&measurement, &key).await?);
    }
    if let Some(weeks) = gathered.weeks() {
        n_new += store_weeks(runtime, tx, experiment, &plan.signal, &weeks.new, now).await?;
    }
    Ok(n_new)
}
