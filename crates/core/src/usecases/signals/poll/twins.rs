//! Experiments with exactly the same numbers: a query that does not tell them apart, or one change behind two flags.

use std::collections::BTreeSet;

use super::gathered::{Gathered, Primary};
use crate::domain::{Experiment, Plan, Slug};
use crate::error::Result;
use crate::evaluation::Judged;
use crate::stats::HealthCode;
use crate::store::Tx;

/// Fewest units of an arm whose numbers are no coincidence when another experiment has them, too.
const MIN_UNITS: i64 = 50;

/// Marks what was read where another running experiment has exactly the same numbers; its name.
pub(super) async fn mark_twin(
    tx: &mut Tx,
    experiment: &Experiment,
    plan: &Plan,
    gathered: &mut Gathered,
) -> Result<Option<Slug>> {
    let Some(Primary::ByVariant(readings)) = gathered.primary.as_mut().filter(|_| plan.asks_for_units) else {
        return Ok(None);
    };
    let is_large = |n: Option<i64>| n.is_some_and(|n| n >= MIN_UNITS);
    let mut own: BTreeSet<String> = readings
        .by_phase
        .iter()
        .filter(|(_, reading)| reading.data.iter().any(|arm| is_large(arm.sums.n())))
        .map(|(_, reading)| reading.raw_hash.clone())
        .collect();
    // Experiments are stored one after the other: the newest poll of another one may be of the time of this one's last.
    own.extend(tx.measurement_newest_hashes(experiment.id, Some(&plan.signal.name), MIN_UNITS).await?);
    if own.is_empty() {
        return Ok(None);
    }
    for other in tx.experiment_list_under_way(None).await? {
        if other.id == experiment.id || other.launched_at.is_none() || !other.state.status.is_polled() {
            continue;
        }
        let its = tx.measurement_newest_hashes(other.id, None, MIN_UNITS).await?;
        if !its.iter().any(|hash| own.contains(hash)) {
            continue;
        }
        for arm in readings.by_phase.iter_mut().flat_map(|(_, reading)| &mut reading.data) {
            arm.units.get_or_insert_default().same_as = Some(other.id);
        }
        return Ok(Some(other.slug));
    }
    Ok(None)
}

/// Says in the finding which experiment it is.
pub(super) fn name_twin(judged: &mut Judged, twin: &Slug) {
    for finding in judged.evaluated.health.iter_mut().filter(|found| found.code == HealthCode::NumbersOfAnother) {
        finding.message = format!("the running experiment `{twin}` has the same numbers: {}", finding.message);
    }
}
