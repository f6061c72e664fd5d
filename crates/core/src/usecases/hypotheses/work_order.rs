//! The work order for whoever writes hypotheses.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::Hypotheses;
use super::feasibility::{FeasibilityHint, SuggestedPlan, feasibility_hint, suggested};
use crate::domain::{Design, Direction, EvidenceGrade, ExperimentStatus, FindingType, ScopeSpec, Slug};
use crate::error::Result;
use crate::store::{LearningQuery, StoredLearning};
use crate::usecases::kernel::limits::Limits;
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
    pub goal: WorkOrderGoal,
    /// Where a change may happen.
    pub scope: ScopeSpec,
    /// What must not be crossed.
    pub constraints: Limits,
    /// What was learnt before: do not repeat what was refuted.
    pub learnings: Vec<WorkOrderLearning>,
    /// What is under way: do not get in its way.
    pub under_way: Vec<UnderWay>,
    /// What a test can find; absent before the baseline is measured.
    pub feasibility: Option<FeasibilityHint>,
    /// Amounts of a plan that can be carried out.
    pub suggested: SuggestedPlan,
    /// What the answer looks like.
    pub answer_with: String,
}

/// What to achieve.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct WorkOrderGoal {
    /// Until when.
    #[schemars(with = "Option<String>")]
    pub deadline: Option<Timestamp>,
    /// More about it.
    pub description_says: Option<String>,
    /// How an experiment is judged.
    pub design: Design,
    /// Which way is better.
    pub direction: Direction,
    /// The event of an exposure.
    pub exposure_event: Option<String>,
    /// Where it stood, as the author of the outcome believed.
    pub from: f64,
    /// Where it stood when it was activated.
    pub measured_baseline: Option<f64>,
    /// What is randomised.
    pub randomisation_unit: String,
    /// The deciding signal.
    pub signal: WorkOrderSignal,
    /// Title.
    pub title_says: String,
    /// Where it should be.
    pub to: f64,
}

/// A signal in a few words.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct WorkOrderSignal {
    /// What is measured.
    pub metric: String,
    /// Its name.
    pub name: String,
    /// Its unit, for people.
    pub unit: Option<String>,
}

/// What was learnt before.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct WorkOrderLearning {
    /// In the runtime's words.
    pub finding: String,
    /// How strong the evidence was.
    pub grade: EvidenceGrade,
    /// What its hypothesis said.
    pub hypothesis_says: String,
    /// What kind.
    #[serde(rename = "type")]
    pub finding_type: FindingType,
}

/// An experiment that is under way.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct UnderWay {
    /// Slug.
    pub experiment: Slug,
    /// Its flag.
    pub flag_key: String,
    /// Where it stands.
    pub status: ExperimentStatus,
    /// Its title.
    pub title_says: String,
    /// Paths that it touches.
    pub touched_paths: Vec<String>,
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
            goal: WorkOrderGoal {
                deadline: outcome.state.deadline,
                description_says: spec.description.clone(),
                design: spec.design,
                direction: spec.target.direction,
                exposure_event: spec.exposure.clone(),
                from: spec.target.from,
                measured_baseline: outcome.state.baseline.as_ref().map(|baseline| baseline.value),
                randomisation_unit: spec.randomisation_unit.clone(),
                signal: WorkOrderSignal {
                    metric: spec.signal.metric.clone(),
                    name: spec.signal.name.clone(),
                    unit: spec.signal.unit.clone(),
                },
                title_says: spec.title.clone(),
                to: spec.target.to,
            },
            scope: spec.scope.clone(),
            constraints: Limits::of(spec),
            learnings: learnings
                .into_iter()
                .map(|StoredLearning { learning, .. }| WorkOrderLearning {
                    finding: learning.finding,
                    grade: learning.grade,
                    hypothesis_says: learning.hypothesis_says,
                    finding_type: learning.finding_type,
                })
                .collect(),
            under_way: open
                .into_iter()
                .map(|experiment| UnderWay {
                    experiment: experiment.slug,
                    flag_key: experiment.hypothesis.flag_key,
                    status: experiment.state.status,
                    title_says: experiment.hypothesis.title,
                    touched_paths: experiment.hypothesis.touched_paths,
                })
                .collect(),
            feasibility: feasibility_hint(&outcome),
            suggested: suggested(&outcome),
            answer_with: format!(
                "Call submit_hypotheses with outcome `{}` and {} candidates. All amounts are absolute, in the signal's \
                 units; positive means better.",
                spec.slug, spec.portfolio.candidates
            ),
        })
    }
}
