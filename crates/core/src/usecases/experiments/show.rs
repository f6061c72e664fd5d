//! Looking at experiments.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::Experiments;
use crate::domain::{
    Author, Build, Conclusion, Design, Direction, Evaluation, Experiment, ExperimentState, GuardrailPlan, Hypothesis,
    Plan, ScoreBreakdown, Slug, Stored,
};
use crate::error::Result;
use crate::ids::{ExperimentId, OutcomeId};
use crate::lifecycle::EXPERIMENT_TABLE;
use crate::present::{Answer, Scale};
use crate::principal::Principal;
use crate::stats::RunningState;
use crate::usecases::kernel::answer::{Standing, answer};
use crate::usecases::kernel::keyring::keyring_or_none;
use crate::usecases::kernel::lookup::{experiment_named, outcome_named, outcome_of};
use crate::usecases::kernel::past_steps::{PastStep, past_steps};
use crate::usecases::kernel::people::People;
use crate::usecases::kernel::scale::{scale_of, scale_of_bound};
use crate::usecases::kernel::signal_problem::problem;
use crate::usecases::outbox::stuck::flag_problem;

/// An experiment as it is shown.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ExperimentView {
    /// Slug of its outcome.
    pub outcome: String,
    /// What it came to, in one sentence; null before the launch.
    pub answer: Option<Answer>,
    /// Everything about it; the id of its outcome is `outcome_id` here.
    #[serde(flatten, serialize_with = "with_outcome_id")]
    #[schemars(with = "ShownExperiment<'static>")]
    pub experiment: Experiment,
    /// Open gates about it.
    pub gates: Vec<String>,
    /// What can happen next, as `event (who)`.
    pub allowed: Vec<String>,
    /// What became of it so far, oldest first.
    pub history: Vec<PastStep>,
    /// Signals that fail or are late, as sentences.
    pub signal_problems: Vec<String>,
    /// Why its flag is not where it was decided, as a sentence; absent while it is, or was not tried yet.
    pub flag_problem: Option<String>,
    /// How values of the outcome's signal are written for people.
    #[serde(skip)]
    pub scale: Scale,
    /// How values of its constraints' signals are written for people, by signal.
    #[serde(skip)]
    pub scales: Vec<(String, Scale)>,
    /// Which way is better.
    #[serde(skip)]
    pub direction: Direction,
    /// How it is judged.
    #[serde(skip)]
    pub design: Design,
}

/// An experiment beside the name of its outcome.
#[derive(Serialize, JsonSchema)]
struct ShownExperiment<'e> {
    id: ExperimentId,
    slug: &'e Slug,
    outcome_id: OutcomeId,
    hypothesis: &'e Hypothesis,
    author: Author,
    submitted_by: &'e Principal,
    score: &'e ScoreBreakdown,
    state: &'e ExperimentState,
    parent: Option<ExperimentId>,
    base_commit: Option<&'e str>,
    build: Option<&'e Stored<Build>>,
    plan: Option<&'e Stored<Plan>>,
    running: Option<&'e Stored<RunningState>>,
    current_result: Option<&'e Stored<Evaluation>>,
    final_result: Option<&'e Stored<Conclusion>>,
    #[schemars(with = "String")]
    created_at: Timestamp,
    #[schemars(with = "String")]
    updated_at: Timestamp,
    #[schemars(with = "Option<String>")]
    launched_at: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    concluded_at: Option<Timestamp>,
}

fn with_outcome_id<S: Serializer>(experiment: &Experiment, serializer: S) -> Result<S::Ok, S::Error> {
    ShownExperiment {
        id: experiment.id,
        slug: &experiment.slug,
        outcome_id: experiment.outcome,
        hypothesis: &experiment.hypothesis,
        author: experiment.author,
        submitted_by: &experiment.submitted_by,
        score: &experiment.score,
        state: &experiment.state,
        parent: experiment.parent,
        base_commit: experiment.base_commit.as_deref(),
        build: experiment.build.as_ref(),
        plan: experiment.plan.as_ref(),
        running: experiment.running.as_ref(),
        current_result: experiment.current_result.as_ref(),
        final_result: experiment.final_result.as_ref(),
        created_at: experiment.created_at,
        updated_at: experiment.updated_at,
        launched_at: experiment.launched_at,
        concluded_at: experiment.concluded_at,
    }
    .serialize(serializer)
}

impl Experiments<'_> {
    /// An experiment, its gates, and what can happen next.
    ///
    /// # Errors
    /// [`crate::Code::NotFound`].
    #[tracing::instrument(level = "debug", name = "experiments.show", skip_all, fields(reference))]
    pub async fn show(self, reference: &str) -> Result<ExperimentView> {
        let mut tx = self.0.read().await?;
        let experiment = experiment_named(&mut tx, reference).await?;
        let outcome = outcome_of(&mut tx, &experiment).await?;
        let gates = tx.gate_list_open().await?;
        let health = tx.signal_health_list(experiment.id.0).await?;
        let failing = tx.outbox_flags_failing().await?;
        let flag = failing.iter().find(|queued| queued.subject == Some(experiment.id.0));
        let allowed = EXPERIMENT_TABLE
            .iter()
            .filter(|row| {
                row.from.contains(&experiment.state.status) && row.event.is_for(experiment.state.is_attached())
            })
            .map(|row| {
                let who: Vec<_> = row.by.iter().map(|kind| kind.as_str()).collect();
                format!("{} ({})", row.event, who.join(", "))
            })
            .collect();
        let scale = scale_of(&mut tx, &outcome).await?;
        let ring = keyring_or_none(self.0, &mut tx).await;
        let people = People::of(&mut tx, &ring).await?;
        let result = experiment.last_result().and_then(Result::ok);
        let mut scales = Vec::new();
        for GuardrailPlan { signal, bound, .. } in
            experiment.plan.iter().filter_map(|plan| plan.shown().ok()).flat_map(|plan| &plan.guardrails)
        {
            let scale = scale_of_bound(&mut tx, experiment.id, signal, bound).await?;
            scales.extend(scale.map(|scale| (signal.name.clone(), scale)));
        }
        Ok(ExperimentView {
            scales,
            answer: answer(&mut tx, &outcome.spec, &scale, &Standing::of(&experiment, result)).await?,
            scale,
            direction: outcome.spec.target.direction,
            design: match &experiment.plan {
                Some(plan) => plan.shown().map_or(outcome.spec.design, |plan| plan.design),
                None => outcome.spec.design,
            },
            outcome: outcome.spec.slug.to_string(),
            gates: gates
                .into_iter()
                .filter(|(gate, _)| gate.experiment == Some(experiment.id))
                .map(|(gate, _)| gate.slug.to_string())
                .collect(),
            allowed,
            history: past_steps(&mut tx, &people, experiment.id).await?,
            signal_problems: health.iter().filter_map(problem).collect(),
            flag_problem: flag.and_then(|queued| flag_problem(queued, self.0.now())),
            experiment,
        })
    }

    /// Experiments, newest first; of one outcome or all.
    ///
    /// # Errors
    /// [`crate::Code::NotFound`] for an unknown outcome.
    #[tracing::instrument(level = "debug", name = "experiments.list", skip_all)]
    pub async fn list(self, outcome: Option<&str>, limit: i64) -> Result<Vec<Experiment>> {
        let mut tx = self.0.read().await?;
        let outcome = match outcome {
            Some(reference) => Some(outcome_named(&mut tx, reference).await?.id),
            None => None,
        };
        tx.experiment_list(outcome, limit).await
    }

    /// Readings by variant of an experiment's primary signal, oldest first.
    ///
    /// # Errors
    /// [`crate::Code::NotFound`].
    #[tracing::instrument(level = "debug", name = "experiments.series", skip_all, fields(reference))]
    pub async fn series(self, reference: &str, limit: i64) -> Result<Vec<crate::domain::Measurement>> {
        let mut tx = self.0.read().await?;
        let experiment = experiment_named(&mut tx, reference).await?;
        let outcome = outcome_of(&mut tx, &experiment).await?;
        tx.measurement_series(experiment.id, &outcome.spec.signal.name, limit).await
    }
}
