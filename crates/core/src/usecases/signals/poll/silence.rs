//! An experiment that nobody is exposed to: how many units its traffic lets expect, and telling people.

use jiff::Timestamp;

use super::gathered::{Gathered, Primary};
use crate::domain::{Experiment, Message, MessageKey, Notice, Outcome, Plan};
use crate::error::Result;
use crate::lifecycle::Silence;
use crate::present::{count, instant};
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
    let Some(Primary::ByVariant(readings)) = &gathered.primary else { return None };
    // A source that pushes and has not pushed yet says nothing about who was exposed: that is staleness.
    if readings.is_empty() {
        return None;
    }
    let present = phases.last().filter(|phase| phase.ended_at.is_none())?;
    let since = present.started_at.0;
    let of_present = readings.iter().filter(|(phase, _)| *phase == present.phase);
    let mut arms = of_present.flat_map(|(_, reading)| &reading.data);
    if arms.any(|arm| arm.sums.n().is_none_or(|n| n > 0)) {
        return None;
    }
    // Whole days: without a history by hour of the week nothing finer is known.
    let days = now.duration_since(since).as_hours() / 24;
    #[expect(clippy::cast_precision_loss, reason = "days of an experiment")]
    let n_expected =
        outcome.state.baseline.as_ref().and_then(|baseline| baseline.daily_units).map(|units| units * days as f64);
    let expected = n_expected.map_or_else(String::new, |n| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of units")]
        let n = n.round().max(0.0) as u64;
        format!(", although the traffic before the launch lets expect about {} units", count(n))
    });
    let detail = format!(
        "nobody has been exposed to `{}` since {}{expected}: is the change deployed, and does it record exposures?",
        plan.hypothesis.flag_key,
        instant(since)
    );
    Some(Silent { since, n_expected, detail })
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
