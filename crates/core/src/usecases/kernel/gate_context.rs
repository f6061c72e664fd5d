//! What a human is shown at a gate. Texts by agents and authors stand in fields named `*_says`: quoted, never trusted.

use super::attached_facts::facts_of;
use super::budget::budget_part;
use super::changed_since::changed_since_approval;
use super::digest::digest;
use super::dry_run::dry_run_facts;
use super::history::plan_of;
use super::planned::planned;
use super::scale::{scale_of, scale_of_bound};
use super::step_context::StepContext;
use crate::domain::{
    ContextPackage, Experiment, ExperimentState, ExperimentStatus, Facts, GateType, GuardrailFacts, GuardrailPlan,
    HypothesisFacts, LearningFacts, Nullable, Outcome, OutcomeFacts, PlanFacts, Stored, Verdict,
};
use crate::error::Result;
use crate::hypotheses::conflict_between;
use crate::ids::GateId;
use crate::lifecycle::{GateAdvice, may_go_on};
use crate::stats::Scale;
use crate::store::{LearningQuery, StoredLearning, Tx};
use crate::usecases::Runtime;

/// The context package of a gate: frozen and hashed when the gate opens.
pub(super) async fn context_package(
    runtime: &Runtime,
    tx: &mut Tx,
    gate: GateId,
    outcome: &Outcome,
    experiment: Option<&Experiment>,
    gate_type: GateType,
    context: &StepContext,
) -> Result<ContextPackage> {
    let spec = &outcome.spec;
    let scale = scale_of(tx, outcome).await?;
    let mut facts = Facts {
        outcome: Some(outcome_facts(outcome, scale)),
        change: None,
        hypothesis: None,
        flag: context.flag.clone(),
        attached: None,
        plan: None,
        score: None,
        similar_learnings: None,
        conflicts: None,
        build: None,
        changed_since_approval: Vec::new(),
        dry_run: None,
        result: None,
        rollout_step: None,
        pause: None,
        status: None,
    };
    let mut verdicts = gate_type.verdicts().to_vec();
    let mut open_conditions = Vec::new();
    if let Some(experiment) = experiment {
        facts.hypothesis = Some(hypothesis_facts(experiment));
        facts.attached = context.attached.clone().or_else(|| facts_of(experiment, None));
        let budget_part = match (experiment.state.budget_part, experiment.plan.is_some()) {
            (None, false) if !experiment.state.is_attached() => Some(budget_part(tx, experiment).await?),
            (part, _) => part,
        };
        facts.plan = Some(plan_facts(tx, outcome, experiment, budget_part).await?);
        open_conditions = conditions(tx, experiment).await?;
        match gate_type {
            GateType::PortfolioReview => {
                facts.score = Some(experiment.score.clone());
                facts.similar_learnings = Some(similar_learnings(tx, experiment).await?);
                facts.conflicts = Some(conflicts(tx, experiment, |other| other.state.status.occupies_slot()).await?);
            }
            GateType::LaunchApproval if experiment.state.is_attached() => {
                facts.dry_run = Some(dry_run_facts(tx, outcome, experiment).await?);
                facts.conflicts = Some(conflicts(tx, experiment, |other| other.state.status.occupies_slot()).await?);
            }
            GateType::LaunchApproval => {
                facts.build = Some(Nullable(experiment.build.clone()));
                facts.changed_since_approval = changed_since_approval(runtime, tx, outcome, experiment).await?;
                facts.dry_run = Some(dry_run_facts(tx, outcome, experiment).await?);
                facts.conflicts = Some(conflicts(tx, experiment, |other| other.state.status.occupies_slot()).await?);
            }
            GateType::AnalysisReview | GateType::ScaleApproval | GateType::ShipApproval => {
                facts.result = Some(Nullable(experiment.current_result.clone()));
                facts.rollout_step = Some(experiment.state.step);
                facts.pause = Some(Nullable(experiment.state.pause.clone()));
            }
            GateType::ChangeApproval => {}
            GateType::Escalation => {
                facts.status = Some(experiment.state.status);
            }
        }
        let is_attached = experiment.state.is_attached();
        verdicts.retain(|verdict| !is_attached || *verdict != Verdict::Rework);
        if gate_type == GateType::AnalysisReview {
            let offered = |verdict: &Verdict| match verdict {
                Verdict::Detach => is_attached,
                Verdict::Scale | Verdict::Ship | Verdict::Iterate if is_attached => false,
                Verdict::Scale => may_spread(experiment) && experiment.state.step + 1 < experiment.state.n_steps,
                Verdict::Ship => may_spread(experiment),
                Verdict::Resume => experiment.state.status == ExperimentStatus::Paused,
                Verdict::Extend => experiment.state.status != ExperimentStatus::Paused,
                _ => true,
            };
            verdicts.retain(offered);
        }
    }
    let checklist = match gate_type {
        // Rules are about a change that is made here.
        GateType::LaunchApproval if experiment.is_none_or(|it| !it.state.is_attached()) => {
            spec.rules().map(ToOwned::to_owned).collect()
        }
        _ => Vec::new(),
    };
    Ok(ContextPackage {
        version: 1,
        gate,
        gate_type,
        question: question(experiment, gate_type),
        agent_says: context.says.clone(),
        outcome: Some(spec.slug.clone()),
        experiment: experiment.map(|experiment| experiment.slug.clone()),
        verdicts,
        recommendation: context.recommendation.clone().or_else(|| recommendation(experiment?, gate_type)),
        facts: Stored::new(facts)?,
        checklist,
        open_conditions,
        created_at: runtime.now(),
    })
}

/// What is asked.
fn question(experiment: Option<&Experiment>, gate_type: GateType) -> String {
    match experiment {
        Some(experiment) if gate_type == GateType::LaunchApproval && experiment.state.is_attached() => {
            "Should this experiment be guarded as it runs, and be turned off there when it does harm?".to_owned()
        }
        _ => gate_type.question().to_owned(),
    }
}

/// What the runtime recommends at a gate about a result that a decision opened: what its latest poll says.
fn recommendation(experiment: &Experiment, gate_type: GateType) -> Option<String> {
    if !gate_type.is_about_result() {
        return None;
    }
    let result = experiment.current_result.as_ref().and_then(|result| result.read().ok());
    let pause = experiment.state.pause.as_ref().map(|pause| pause.cause);
    let advice = GateAdvice::of_evaluation(result, pause).guarding(experiment.state.is_attached());
    Some(advice.in_words(result.map(|result| &result.advice), pause))
}

/// Whether more people may get the treatment: not while it is paused, nor while harm, a breach or bad data is present.
pub(in crate::usecases) fn may_spread(experiment: &Experiment) -> bool {
    if experiment.state.status == ExperimentStatus::Paused {
        return false;
    }
    match experiment.current_result.as_ref().map(Stored::read) {
        // Nobody gives a treatment to more people on no figures at all.
        None => false,
        Some(Ok(result)) => may_go_on(&result.advice, &result.health),
        Some(Err(_)) => false,
    }
}

/// Conditions under which earlier gates of the experiment were approved.
pub(in crate::usecases) async fn conditions(tx: &mut Tx, experiment: &Experiment) -> Result<Vec<String>> {
    let mut conditions = Vec::new();
    for gate in tx.gate_list(Some(experiment.id), 100).await? {
        for signed in tx.decision_list(gate.id.0).await? {
            conditions.extend(signed.into_decision().conditions);
        }
    }
    Ok(conditions)
}

/// Why the experiment gets in the way of others that are under way.
pub(in crate::usecases) async fn conflicts(
    tx: &mut Tx,
    experiment: &Experiment,
    counts: fn(&Experiment) -> bool,
) -> Result<Vec<String>> {
    let others = tx.experiment_list_under_way(None).await?;
    Ok(others
        .iter()
        .filter(|other| other.id != experiment.id && counts(other))
        .filter_map(|other| conflict_between(&experiment.hypothesis, &other.hypothesis))
        .collect())
}

async fn similar_learnings(tx: &mut Tx, experiment: &Experiment) -> Result<Vec<LearningFacts>> {
    let hypothesis = &experiment.hypothesis;
    let words = format!("{} {} {}", hypothesis.title, hypothesis.statement, hypothesis.tags.join(" "));
    let found = tx.learning_search(&LearningQuery { words, limit: 3, ..LearningQuery::default() }).await?;
    let shown = found.into_iter().map(|StoredLearning { learning, .. }| LearningFacts {
        id: learning.id,
        finding: learning.finding,
        finding_type: learning.finding_type,
        grade: learning.grade,
        hypothesis_says: learning.hypothesis_says,
    });
    Ok(shown.collect())
}

fn outcome_facts(outcome: &Outcome, scale: Scale) -> OutcomeFacts {
    let spec = &outcome.spec;
    OutcomeFacts {
        title_says: spec.title.clone(),
        signal: spec.signal.metric.clone(),
        scale: Some(scale),
        direction: spec.target.direction,
        from: spec.target.from,
        to: spec.target.to,
        measured_baseline: outcome.state.baseline.clone(),
        deadline: outcome.state.deadline,
    }
}

fn hypothesis_facts(experiment: &Experiment) -> HypothesisFacts {
    let hypothesis = experiment.hypothesis.clone();
    HypothesisFacts {
        author: experiment.author,
        submitted_by: experiment.submitted_by.clone(),
        title_says: hypothesis.title,
        statement_says: hypothesis.statement,
        mechanism_says: hypothesis.mechanism,
        intervention: hypothesis.intervention,
        intervention_says: hypothesis.intervention_description,
        touched_paths: hypothesis.touched_paths,
        flag_key: hypothesis.flag_key,
        expected_improvement: hypothesis.expected_improvement,
        confidence: hypothesis.confidence,
        effort_hours: hypothesis.effort_hours,
        risk: hypothesis.risk,
        is_reversible: hypothesis.is_reversible,
    }
}

async fn plan_facts(
    tx: &mut Tx,
    outcome: &Outcome,
    experiment: &Experiment,
    budget_part: Option<u32>,
) -> Result<PlanFacts> {
    // What was approved, once it is; the outcome may have changed since.
    let plan = match experiment.plan {
        Some(_) => plan_of(experiment)?,
        None => {
            let state = ExperimentState { budget_part, ..experiment.state.clone() };
            planned(&outcome.spec, &Experiment { state, ..experiment.clone() })
        }
    };
    let mut guardrails = Vec::new();
    for GuardrailPlan { signal, bound, on_violation, .. } in &plan.guardrails {
        guardrails.push(GuardrailFacts {
            signal: signal.name.clone(),
            scale: scale_of_bound(tx, experiment.id, signal, bound).await?,
            bound: bound.clone(),
            on_violation: *on_violation,
        });
    }
    Ok(PlanFacts {
        hash: digest(&plan)?,
        guardrails,
        design: plan.design,
        alpha: plan.alpha,
        error_budget: plan.error_budget,
        tau: plan.tau,
        caps: plan.caps(),
        randomisation_unit: plan.randomisation_unit,
        measurement: plan.hypothesis.measurement,
        rollout: plan.hypothesis.rollout,
    })
}
