//! The work order for whoever writes hypotheses.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::Hypotheses;
use super::feasibility::feasibility_hint;
use crate::error::Result;
use crate::store::{LearningQuery, StoredLearning};
use crate::usecases::kernel::lookup::outcome_named;
use crate::usecases::kernel::proposal::require_active;

/// What a writer of hypotheses needs to know.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WorkOrder {
    /// Slug of the outcome.
    pub outcome: String,
    /// How many candidates are asked for.
    pub n_candidates: u32,
    /// What to achieve: signal, target, baseline, deadline. Texts by people stand in `*_says`.
    pub goal: Value,
    /// Where a change may happen.
    pub scope: Value,
    /// What must not be crossed.
    pub constraints: Value,
    /// What was learnt before: do not repeat what was refuted.
    pub learnings: Vec<Value>,
    /// What is under way: do not get in its way.
    pub under_way: Vec<Value>,
    /// What a test can find: units a day, days, and the smallest effect that fits the horizon.
    pub feasibility: Value,
    /// What the answer looks like.
    pub answer_with: String,
}

impl Hypotheses<'_> {
    /// The work order of an active outcome.
    ///
    /// # Errors
    /// [`crate::Code::NotFound`], [`crate::Code::Conflict`] when the outcome is not active.
    #[tracing::instrument(level = "debug", name = "hypotheses.work_order", skip_all, fields(outcome))]
    pub async fn work_order(self, outcome: &str) -> Result<WorkOrder> {
        let mut tx = self.0.read().await?;
        let outcome = outcome_named(&mut tx, outcome).await?;
        require_active(&outcome)?;
        let spec = &outcome.spec;
        let words = format!("{} {} {}", spec.title, spec.signal.metric, spec.slug.as_str().replace('-', " "));
        let learnings = tx.learning_search(&LearningQuery { words, limit: 10, ..LearningQuery::default() }).await?;
        let open = tx.experiment_list_under_way(Some(outcome.id)).await?;
        Ok(WorkOrder {
            outcome: spec.slug.to_string(),
            n_candidates: spec.portfolio.candidates,
            goal: json!({
                "title_says": spec.title,
                "description_says": spec.description,
                "signal": { "name": spec.signal.name, "metric": spec.signal.metric, "unit": spec.signal.unit },
                "direction": spec.target.direction,
                "from": spec.target.from,
                "to": spec.target.to,
                "measured_baseline": outcome.state.baseline.as_ref().map(|baseline| baseline.value),
                "deadline": outcome.state.deadline,
                "design": spec.design,
                "randomisation_unit": spec.randomisation_unit,
                "exposure_event": spec.exposure,
            }),
            scope: json!({ "allowed_paths": spec.scope.allowed_paths, "forbidden_paths": spec.scope.forbidden_paths }),
            constraints: json!({
                "guardrails": spec.guardrails().map(|(signal, bound, _, _)| json!({ "signal": signal.name, "bound": bound }))
                    .collect::<Vec<_>>(),
                "rules_say": spec.rules().collect::<Vec<_>>(),
            }),
            learnings: learnings
                .iter()
                .map(|StoredLearning { learning, .. }| {
                    json!({ "finding": learning.finding, "type": learning.finding_type,
                    "grade": learning.grade, "hypothesis_says": learning.hypothesis_says })
                })
                .collect(),
            under_way: open
                .iter()
                .map(|experiment| {
                    json!({ "experiment": experiment.slug, "status": experiment.state.status,
                    "title_says": experiment.hypothesis.title, "touched_paths": experiment.hypothesis.touched_paths,
                    "flag_key": experiment.hypothesis.flag_key })
                })
                .collect(),
            feasibility: feasibility_hint(&outcome),
            answer_with: format!(
                "Call submit_hypotheses with outcome `{}` and {} candidates. All amounts are absolute, in the signal's \
                 units; positive means better.",
                spec.slug, spec.portfolio.candidates
            ),
        })
    }
}
