//! What the outcome file would change.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::Outcomes;
use crate::domain::{Assurance, ExperimentStatus, Outcome, OutcomeSpec, OutcomeStatus, Plan, text_enum};
use crate::error::{Code, Error, Result};
use crate::usecases::kernel::digest::digest;
use crate::usecases::kernel::workspace_file::config;

/// One difference between the file and what is stored.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Change {
    /// Path of the field, such as `target.to`.
    pub field: String,
    /// Stored value.
    pub from: Value,
    /// Value of the file.
    pub to: Value,
}

text_enum! {
    /// What applying the file does to an outcome.
    pub enum PlannedAction {
        /// It is new.
        Create,
        /// It is changed.
        Change,
        /// It stays as it is.
        None,
        /// It is stored, and the file does not name it.
        MissingFromFile,
    }
}

/// What applying the file would do to one outcome.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OutcomePlan {
    /// Its slug.
    pub outcome: String,
    /// `create`, `change`, `none`, or `missing_from_file`.
    pub action: PlannedAction,
    /// The differences.
    pub changes: Vec<Change>,
    /// What it means beyond the fields, as sentences.
    pub consequences: Vec<String>,
}

impl Outcomes<'_> {
    /// What [`Self::apply`] would do.
    ///
    /// # Errors
    /// [`Code::ConfigInvalid`] for a file with errors.
    #[tracing::instrument(level = "debug", name = "outcomes.plan", skip_all)]
    pub async fn plan(self) -> Result<Vec<OutcomePlan>> {
        let config = config(self.0).await?;
        let mut tx = self.0.read().await?;
        let stored = tx.outcome_list(None).await?;
        let open = tx.experiment_list_open(None).await?;
        let mut plans = Vec::new();
        for spec in &config.outcomes {
            let known = stored.iter().find(|outcome| outcome.spec.slug == spec.slug);
            plans.push(match known {
                None => OutcomePlan {
                    outcome: spec.slug.to_string(),
                    action: PlannedAction::Create,
                    changes: Vec::new(),
                    consequences: Vec::new(),
                },
                Some(outcome) => {
                    let changes = differences(&outcome.spec, spec)?;
                    let mut consequences = Vec::new();
                    if lowers_assurance(Some(&outcome.spec), spec) {
                        consequences.push("lowers the assurance of a gate, which needs a passphrase".to_owned());
                    }
                    for experiment in open.iter().filter(|experiment| experiment.outcome == outcome.id) {
                        if voids(outcome, spec, experiment)? {
                            consequences.push(format!(
                                "voids the build of `{}`, because its plan changes before the launch",
                                experiment.slug
                            ));
                        } else if experiment.state.status.is_polled() && !changes.is_empty() {
                            consequences
                                .push(format!("`{}` keeps the plan with which it was launched", experiment.slug));
                        }
                    }
                    OutcomePlan {
                        outcome: spec.slug.to_string(),
                        action: if changes.is_empty() { PlannedAction::None } else { PlannedAction::Change },
                        changes,
                        consequences,
                    }
                }
            });
            if known.is_none()
                && lowers_assurance(None, spec)
                && let Some(plan) = plans.last_mut()
            {
                plan.consequences.push("allows decisions without a secret, which needs a passphrase".to_owned());
            }
        }
        for outcome in &stored {
            if !config.outcomes.iter().any(|spec| spec.slug == outcome.spec.slug) && !is_over(outcome) {
                plans.push(OutcomePlan {
                    outcome: outcome.spec.slug.to_string(),
                    action: PlannedAction::MissingFromFile,
                    changes: Vec::new(),
                    consequences: vec!["is not changed; `outcome-runtime abandon` ends it".to_owned()],
                });
            }
        }
        Ok(plans)
    }
}

fn is_over(outcome: &Outcome) -> bool {
    !matches!(outcome.state.status, OutcomeStatus::Draft | OutcomeStatus::Active)
}

/// True when the new spec would change what a reported, not yet launched build was to be approved for.
pub(super) fn voids(outcome: &Outcome, spec: &OutcomeSpec, experiment: &crate::domain::Experiment) -> Result<bool> {
    let state = &experiment.state;
    if state.status != ExperimentStatus::AwaitingLaunchGate || experiment.outcome != outcome.id {
        return Ok(false);
    }
    let plan = Plan::of(spec, &experiment.hypothesis, state.budget_part).in_the_form_of(state.plan_hash.as_deref());
    Ok(state.plan_hash != Some(digest(&plan)?))
}

/// True when a gate could be decided less surely than before, or without a secret in a new outcome.
pub(super) fn lowers_assurance(stored: Option<&OutcomeSpec>, wanted: &OutcomeSpec) -> bool {
    crate::domain::GateType::ALL.iter().any(|gate_type| {
        let before = stored.map_or(Assurance::A3, |spec| spec.gate_policy(*gate_type).assurance);
        wanted.gate_policy(*gate_type).assurance < before
    })
}

fn differences(stored: &OutcomeSpec, wanted: &OutcomeSpec) -> Result<Vec<Change>> {
    let json = |spec: &OutcomeSpec| {
        serde_json::to_value(spec).map_err(|e| Error::new(Code::Internal, "a spec cannot be written").because(e))
    };
    let mut changes = Vec::new();
    walk("", &json(stored)?, &json(wanted)?, &mut changes);
    Ok(changes)
}

fn walk(path: &str, from: &Value, to: &Value, changes: &mut Vec<Change>) {
    match (from, to) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                walk(&path, a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null), changes);
            }
        }
        _ if from == to => {}
        _ => changes.push(Change { field: path.to_owned(), from: from.clone(), to: to.clone() }),
    }
}
