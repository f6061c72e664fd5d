//! What an experiment taught, stored at its end.

use super::answer::{Standing, answer};
use super::event::new_event;
use super::scale::scale_of;
use super::step_context::StepContext;
use crate::audit::{EventKind, Subject, SubjectKind};
use crate::domain::{Design, Evidence, EvidenceGrade, Experiment, FindingType, Learning, Outcome, Stored};
use crate::error::Result;
use crate::ids::LearningId;
use crate::present::{Answer, AnswerState, count, plain};
use crate::principal::Principal;
use crate::stats::Recommendation;
use crate::store::Tx;
use crate::usecases::Runtime;

/// Keeps what an experiment taught at its end.
pub(super) async fn store_learning(
    runtime: &Runtime,
    tx: &mut Tx,
    outcome: &Outcome,
    experiment: &Experiment,
    context: &StepContext,
) -> Result<()> {
    let scale = scale_of(tx, outcome).await?;
    let result = experiment.current_result.as_ref().and_then(|result| result.shown().ok());
    let answer = answer(tx, &outcome.spec, &scale, &Standing::of(experiment, result)).await?;
    let judged = judge(outcome, experiment, context, answer);
    let hypothesis = &experiment.hypothesis;
    let learning = Learning {
        id: runtime.ids.next::<LearningId>(),
        outcome: outcome.id,
        experiment: experiment.id,
        finding: judged.finding,
        finding_type: judged.finding_type,
        hypothesis_says: format!("{}: {}", hypothesis.title, hypothesis.statement),
        note_says: context.note.clone(),
        evidence: evidence(experiment)?,
        confidence: judged.confidence,
        grade: judged.grade,
        applies_to: hypothesis.tags.clone(),
        created_at: runtime.now(),
    };
    tx.learning_insert(&learning).await?;
    let subject = Subject { kind: SubjectKind::Learning, id: learning.id.0 };
    let by = Principal::system("learnings");
    tx.event_append(new_event(EventKind::LearningStored, subject, &by, &learning)?, runtime.now()).await?;
    Ok(())
}

struct Judged {
    finding: String,
    finding_type: FindingType,
    confidence: f64,
    grade: EvidenceGrade,
}

/// The finding in the runtime's own words, and how sure it is; computed from the result, never by a language model.
fn judge(outcome: &Outcome, experiment: &Experiment, context: &StepContext, answer: Option<Answer>) -> Judged {
    let metric = &outcome.spec.signal.metric;
    let ending = context.conclusion.as_deref().unwrap_or("concluded");
    let without_result = |why: String| Judged {
        finding: format!("{why}: {ending}."),
        finding_type: FindingType::MethodologyLearning,
        confidence: 0.0,
        grade: EvidenceGrade::D,
    };
    let Some(result) = experiment.current_result.as_ref().filter(|_| experiment.launched_at.is_some()) else {
        return without_result(format!("Never measured on {metric}"));
    };
    // An end is never refused because of what it teaches: the flag goes off with it.
    let result = match result.shown() {
        Ok(result) => result,
        Err(problem) => return without_result(format!("Measured on {metric}, but {problem}")),
    };
    let design = if experiment.state.is_attached() { Design::Attached } else { outcome.spec.design };
    let by_health = EvidenceGrade::of(design, &result.health);
    let grade = result.grade.map_or(by_health, |known| known.max(by_health));
    let recommendation = result.advice.recommendation;
    // The level of the test: one minus a p-value is no probability that the hypothesis is right.
    let level = 1.0 - result.alpha.unwrap_or_else(|| outcome.spec.alpha());
    let is_significant = result.is_significant;
    let improvement = result.effect.map(|effect| effect * outcome.spec.target.direction.sign());
    let is_proven = answer.as_ref().is_some_and(|answer| answer.state == AnswerState::Worked);
    let (finding_type, confidence) = match (recommendation, improvement) {
        (Recommendation::KillGuardrail, _) => (FindingType::ConstraintDiscovered, 0.95),
        (Recommendation::HoldDataQuality | Recommendation::HoldSrm, _) => (FindingType::Inconclusive, 0.3),
        _ if is_proven => (FindingType::ConfirmedHypothesis, level),
        (_, Some(_)) if result.is_kill_threshold_exceeded => (FindingType::RefutedHypothesis, 0.95),
        // What was only guarded teaches nothing about what it is worth.
        (Recommendation::Continue, _) if experiment.state.is_attached() => (FindingType::Inconclusive, 0.3),
        (Recommendation::KillFutility, Some(_)) => (FindingType::RefutedHypothesis, 0.9),
        // Without a control group nothing ships, and what moved all the same is what was learnt.
        (_, Some(change)) if is_significant && change > 0.0 && result.series.is_some() => {
            (FindingType::ConfirmedHypothesis, level)
        }
        (_, Some(change)) if is_significant && change <= 0.0 => (FindingType::RefutedHypothesis, level),
        _ => (FindingType::Inconclusive, 0.3),
    };
    let weight = match grade {
        EvidenceGrade::A => 1.0,
        EvidenceGrade::B => 0.8,
        EvidenceGrade::C => 0.5,
        EvidenceGrade::D => 0.2,
    };
    let units = match &result.series {
        Some(series) if series.n_before > 0 => {
            format!("{} weeks after and {} weeks before", series.n_after, series.n_before)
        }
        Some(_) => "weeks before and after".to_owned(),
        None => format!("{} control and {} treatment units", count(result.n_control), count(result.n_treatment)),
    };
    let says = answer.map_or_else(|| format!("`{metric}` could not be compared."), |answer| answer.says);
    // Where a rule ended it, the sentence has said so.
    let end = if ending == result.advice.reason { String::new() } else { format!(" Decision: {}.", plain(ending)) };
    let finding = format!("{says} Measured with {units}.{end}");
    Judged { finding, finding_type, confidence: (confidence * weight).clamp(0.0, 1.0), grade }
}

fn evidence(experiment: &Experiment) -> Result<Stored<Evidence>> {
    Stored::new(Evidence {
        experiment: experiment.slug.clone(),
        commit: experiment.state.commit.clone(),
        plan_hash: experiment.state.plan_hash.clone(),
        launched_at: experiment.launched_at,
        result: experiment.current_result.clone(),
    })
}
