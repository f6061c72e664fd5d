//! Polls as they are stored, without asking any source: an experiment with a long life in a moment.

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use outcome_core::audit::{EventKind, NewEvent};
use outcome_core::digest::{canonical_json, sha256_hex};
use outcome_core::domain::{ArmSums, Experiment, Measurement, Variant, Window};
use outcome_core::ids::MeasurementId;
use outcome_core::principal::Principal;
use serde_json::json;

use crate::lab::Lab;

const SIGNALS: [&str; 2] = ["came_back", "crashed"];

/// Polls in a transaction. Each updates the same row, and PostgreSQL looks at all of its versions of a transaction.
const AT_ONCE: i64 = 500;

/// Writes what hourly polls leave, the first one at `first`: four readings and a line of the log each.
pub async fn store_polls(lab: &Lab, experiment: &Experiment, first: Timestamp, n_polls: usize) -> Result<()> {
    let runtime = &lab.runtime;
    let mut tx = runtime.db().write(runtime.workspace().id).await?;
    for n in 0..i64::try_from(n_polls)? {
        let at = first + SignedDuration::from_hours(n);
        let mut lines = Vec::new();
        for signal in SIGNALS {
            for variant in [Variant::Control, Variant::Treatment] {
                let m = reading(lab, experiment, signal, variant, at);
                tx.measurement_insert(&m, &format!("poll/{}/{signal}/0/{variant}/{at}", experiment.id)).await?;
                lines.push(json!([m.signal, m.phase, m.variant, m.window, m.sums, m.query_hash, m.raw_hash]));
            }
        }
        let digest = sha256_hex(canonical_json(&lines)?);
        let event = NewEvent {
            kind: EventKind::ExperimentMeasured,
            subject: experiment.id.into(),
            principal: Principal::system("poll"),
            payload: json!({ "key": format!("{}@{at}", experiment.id), "digest": digest, "n": lines.len() }),
        };
        tx.event_append(event, at).await?;
        if (n + 1) % AT_ONCE == 0 {
            tx.commit().await?;
            tx = runtime.db().write(runtime.workspace().id).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}

/// What an arm says; more with every second.
#[must_use]
pub fn reading(lab: &Lab, experiment: &Experiment, signal: &str, variant: Variant, at: Timestamp) -> Measurement {
    let from = experiment.created_at;
    Measurement {
        cohort: None,
        units: None,
        id: lab.runtime.ids().next::<MeasurementId>(),
        outcome: experiment.outcome,
        experiment: Some(experiment.id),
        signal: signal.to_owned(),
        variant: Some(variant),
        phase: Some(0),
        measured_at: at,
        window: Window { from, to: at },
        sums: ArmSums::Proportion { n: at.as_second(), successes: at.as_second() / 3 },
        source: "game".to_owned(),
        query_hash: "0".repeat(64),
        raw_hash: "0".repeat(64),
    }
}
