//! An experiment that nobody is exposed to, or nobody any more: how many units its traffic lets expect, and telling people.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::gathered::{Gathered, Primary};
use crate::domain::{Experiment, Message, MessageKey, Notice, Outcome, Plan};
use crate::error::Result;
use crate::lifecycle::Silence;
use crate::present::{count, instant};
use crate::stats::RunningState;
use crate::store::{AllocationPhase, Tx};
use crate::usecases::Runtime;

/// Nobody was exposed.
pub(super) struct Silent {
    since: Timestamp,
    n_expected: Option<f64>,
    detail: String,
}

/// Whether the flag is on and the primary signal was read and has no unit since then; `None` where somebody was exposed, and where
/// that cannot be known.
pub(super) fn silence(
    outcome: &Outcome,
    plan: &Plan,
    gathered: &Gathered,
    phases: &[AllocationPhase],
    now: Timestamp,
) -> Option<Silent> {
    let Some(Primary::ByVariant(read)) = &gathered.primary else { return None };
    // A source that pushes and has not pushed yet says nothing about who was exposed: that is staleness.
    if read.by_phase.is_empty() {
        return None;
    }
    let present = phases.last().filter(|phase| phase.ended_at.is_none())?;
    let since = present.started_at.0;
    let of_present = || read.by_phase.iter().filter(|(phase, _)| *phase == present.phase).map(|(_, reading)| reading);
    if of_present().flat_map(|reading| &reading.data).any(|arm| arm.sums.n().is_none_or(|n| n > 0)) {
        return None;
    }
    // A source of whole days has looked at nothing before the first one is over, which is not nobody.
    let looked_at = of_present().filter(|reading| reading.window.from < reading.window.to);
    let until = looked_at.map(|reading| reading.window.to).max()?;
    let n_expected = n_expected(outcome, since, until.min(now));
    let expected = n_expected.map_or_else(String::new, although);
    let detail = format!(
        "nobody has been exposed to `{}` since {}{expected}: is the change deployed, and does it record exposures?",
        plan.hypothesis.flag_key,
        instant(since)
    );
    Some(Silent { since, n_expected, detail })
}

/// Since when no unit came although some came before: the readings of the running phase have not grown. It is told and stops nothing,
/// since a plan may expose everybody at once. `None` where units still come, and where it is not known how many to expect.
pub(super) async fn stall(
    tx: &mut Tx,
    outcome: &Outcome,
    experiment: &Experiment,
    plan: &Plan,
    gathered: &Gathered,
    previous: Option<&RunningState>,
    now: Timestamp,
) -> Result<Option<Silent>> {
    let Some(present) = gathered.phases.last().filter(|phase| phase.ended_at.is_none()) else { return Ok(None) };
    let of_present = gathered.by_variant().iter().filter(|(phase, _)| *phase == present.phase);
    let n: i64 = of_present.flat_map(|(_, reading)| &reading.data).filter_map(|arm| arm.sums.n()).sum();
    let counts = previous.map(|previous| previous.phases.as_slice()).unwrap_or_default();
    let counted = counts.iter().find(|counts| i64::from(counts.phase) == i64::from(present.phase));
    let has_grown = counted.is_none_or(|counts| counts.n_control.saturating_add(counts.n_treatment) < n.unsigned_abs());
    if n == 0 || has_grown {
        return Ok(None);
    }
    let mut by_poll: BTreeMap<Timestamp, i64> = BTreeMap::new();
    for reading in tx.measurement_series(experiment.id, &plan.signal.name, i64::MAX).await? {
        if reading.phase == Some(present.phase) && reading.measured_at < now {
            *by_poll.entry(reading.measured_at).or_default() += reading.sums.n().unwrap_or(0);
        }
    }
    let same = by_poll.into_iter().rev().take_while(|(_, n_then)| *n_then >= n);
    let Some((since, _)) = same.last() else { return Ok(None) };
    let Some(n_expected) = n_expected(outcome, since, now) else { return Ok(None) };
    let detail = format!(
        "nobody new has been exposed to `{}` since {}{}: does the change still record exposures?",
        plan.hypothesis.flag_key,
        instant(since),
        although(n_expected)
    );
    Ok(Some(Silent { since, n_expected: Some(n_expected), detail }))
}

/// Units that the traffic before the launch lets expect by now. Whole days: without a history by hour of the week nothing finer is
/// known.
fn n_expected(outcome: &Outcome, since: Timestamp, now: Timestamp) -> Option<f64> {
    let days = now.duration_since(since).as_hours() / 24;
    #[expect(clippy::cast_precision_loss, reason = "days of an experiment")]
    let of_days = |units: f64| units * days as f64;
    outcome.state.baseline.as_ref().and_then(|baseline| baseline.daily_units).map(of_days)
}

fn although(n_expected: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of units")]
    let n = n_expected.round().max(0.0) as u64;
    format!(", although the traffic before the launch lets expect about {} units", count(n))
}

impl Silent {
    pub(super) fn as_finding(&self) -> Silence<'_> {
        Silence { since: self.since, n_expected: self.n_expected, detail: &self.detail }
    }

    /// Keeps the sentence with the signal, and tells people once.
    pub(super) async fn tell(
        &self,
        runtime: &Runtime,
        tx: &mut Tx,
        experiment: &Experiment,
        plan: &Plan,
        now: Timestamp,
    ) -> Result<String> {
        if let Some(mut health) = tx.signal_health_get(experiment.id.0, &plan.signal.name).await? {
            health.last_error = Some(self.detail.clone());
            tx.signal_health_put(experiment.id.0, &health).await?;
        }
        let notice = Message::Notice(Notice::NobodyExposed {
            experiment: experiment.slug.to_string(),
            detail: self.detail.clone(),
        });
        tx.outbox_insert(runtime.ids.next(), &notice, &MessageKey::NobodyExposed(experiment.id, self.since), now)
            .await?;
        Ok(format!("`{}`: {}", experiment.slug, self.detail))
    }
}
