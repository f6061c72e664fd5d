//! Looking at experiments.

use schemars::JsonSchema;
use serde::Serialize;

use super::runtime::Runtime;
use crate::domain::{Experiment, Outcome};
use crate::error::{Error, Result};
use crate::ids::ExperimentId;
use crate::lifecycle::EXPERIMENT_TABLE;
use crate::store::{SignalHealth, Tx};

/// An experiment as it is shown.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ExperimentView {
    /// Slug of its outcome.
    pub outcome: String,
    /// Everything about it.
    #[serde(flatten)]
    pub experiment: Experiment,
    /// Open gates about it.
    pub gates: Vec<String>,
    /// What can happen next, as `event (who)`.
    pub allowed: Vec<String>,
    /// Signals that fail or are late, as sentences.
    pub signal_problems: Vec<String>,
}

impl Runtime {
    /// The experiment with this slug or id.
    pub(super) async fn experiment_named(tx: &mut Tx, reference: &str) -> Result<Experiment> {
        let found = match reference.parse::<ExperimentId>() {
            Ok(id) => tx.experiment_get(id).await?,
            Err(_) => tx.experiment_by_slug(reference).await?,
        };
        found.ok_or_else(|| {
            Error::not_found("experiment", reference).hint("`outcome-runtime experiment list` shows what there is")
        })
    }

    pub(super) async fn outcome_of(tx: &mut Tx, experiment: &Experiment) -> Result<Outcome> {
        tx.outcome_get(experiment.outcome)
            .await?
            .ok_or_else(|| Error::not_found("outcome", &experiment.outcome.to_string()))
    }

    /// An experiment, its gates, and what can happen next.
    ///
    /// # Errors
    /// [`crate::Code::NotFound`].
    pub async fn experiment_show(&self, reference: &str) -> Result<ExperimentView> {
        let mut tx = self.read().await?;
        let experiment = Self::experiment_named(&mut tx, reference).await?;
        let outcome = Self::outcome_of(&mut tx, &experiment).await?;
        let gates = tx.gate_list_open().await?;
        let health = tx.signal_health_list(experiment.id.0).await?;
        let allowed = EXPERIMENT_TABLE
            .iter()
            .filter(|row| row.from.contains(&experiment.state.status))
            .map(|row| {
                let who: Vec<_> = row.by.iter().map(|kind| kind.as_str()).collect();
                format!("{} ({})", row.event, who.join(", "))
            })
            .collect();
        Ok(ExperimentView {
            outcome: outcome.spec.slug.to_string(),
            gates: gates
                .into_iter()
                .filter(|(gate, _)| gate.experiment == Some(experiment.id))
                .map(|(gate, _)| gate.slug.to_string())
                .collect(),
            allowed,
            signal_problems: health.iter().filter_map(problem).collect(),
            experiment,
        })
    }

    /// Experiments, newest first; of one outcome or all.
    ///
    /// # Errors
    /// [`crate::Code::NotFound`] for an unknown outcome.
    pub async fn experiment_list(&self, outcome: Option<&str>, limit: i64) -> Result<Vec<Experiment>> {
        let mut tx = self.read().await?;
        let outcome = match outcome {
            Some(reference) => Some(Self::outcome_named(&mut tx, reference).await?.id),
            None => None,
        };
        tx.experiment_list(outcome, limit).await
    }

    /// Readings by variant of an experiment's primary signal, oldest first.
    ///
    /// # Errors
    /// [`crate::Code::NotFound`].
    pub async fn experiment_series(&self, reference: &str, limit: i64) -> Result<Vec<crate::domain::Measurement>> {
        let mut tx = self.read().await?;
        let experiment = Self::experiment_named(&mut tx, reference).await?;
        let outcome = Self::outcome_of(&mut tx, &experiment).await?;
        tx.measurement_series(experiment.id, &outcome.spec.signal.name, limit).await
    }
}

/// A sentence about a signal that is not well.
pub(super) fn problem(health: &SignalHealth) -> Option<String> {
    let error = health.last_error.as_deref()?;
    let since =
        health.last_ok_at.map_or_else(|| "never read well".to_owned(), |at| format!("last good reading {}", at.0));
    Some(format!("`{}` failed {} times in a row ({since}): {error}", health.signal, health.failures))
}
