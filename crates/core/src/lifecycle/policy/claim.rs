//! What can be claimed: sample reached, analysis due, rollout step measured, end of the plan.

use jiff::SignedDuration;

use super::findings::{PollFindings, Standing, is_healthy};
use crate::domain::ExperimentStatus;
use crate::lifecycle::{AnalysisCause, ExperimentEvent};
use crate::stats::{Advice, Evaluated, HarmTest, Recommendation};

/// How long a rollout step is watched before the next one can be asked for, and an analysis that was answered with `extend` waits
/// before it is due again: a full week.
const STEP: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Whether the recommendation asks for an analysis in this status, so that the earlier ones have to be known.
#[must_use]
pub fn asks_for_analysis(status: ExperimentStatus, recommendation: Recommendation) -> bool {
    status.is_live() && analysis_of(recommendation).is_some()
}

/// Sample reached, analysis due, rollout step measured, end of the plan.
pub(super) fn claim(found: &PollFindings<'_>, standing: &Standing<'_>) -> Option<ExperimentEvent> {
    let Some(evaluated) = found.evaluated else {
        let reason = "The plan ended, and nothing could be judged.".to_owned();
        let last = standing.last(AnalysisCause::IterateInconclusive);
        let is_due = standing.is_over() && last.is_none_or(|at| standing.has_passed(at, STEP));
        return is_due.then(|| conclusion(AnalysisCause::IterateInconclusive, reason, standing));
    };
    let advice = &evaluated.advice;
    if standing.status == ExperimentStatus::Running && evaluated.is_min_sample_reached && is_healthy(&evaluated.health)
    {
        return Some(ExperimentEvent::SampleReached);
    }
    if standing.is_guarded {
        let last = standing.last(AnalysisCause::EndOfPlan);
        let is_due = standing.is_over() && last.is_none_or(|at| standing.has_passed(at, STEP));
        let reason = || format!("The time for which it was to be guarded is over. {}", advice.reason);
        return is_due.then(|| conclusion(AnalysisCause::EndOfPlan, reason(), standing));
    }
    if standing.status == ExperimentStatus::Scaling {
        // Success was the reason to scale; only the last step asks whether it still holds.
        return step_event(evaluated, standing).or_else(|| match analysis_of(advice.recommendation)? {
            AnalysisCause::Ship => None,
            cause => analysis_due(cause, advice, standing),
        });
    }
    analysis_of(advice.recommendation).and_then(|cause| analysis_due(cause, advice, standing))
}

/// A rollout step is measured on its own data: after a week, with the plan's minimum sample, healthy, not harmful, and not wholly
/// below the success threshold. It need not prove success again.
fn step_event(evaluated: &Evaluated, standing: &Standing<'_>) -> Option<ExperimentEvent> {
    let harm = evaluated.harm.filter(|harm| is_step_full(harm, standing))?;
    if !standing.step_began_at.is_some_and(|began| standing.has_passed(began, STEP)) || !is_healthy(&evaluated.health) {
        return None;
    }
    if is_too_small(&harm, standing) {
        let reason = format!(
            "On this rollout step alone even the upper bound of the improvement is below the success threshold. {}",
            evaluated.advice.reason
        );
        return Some(conclusion(AnalysisCause::StepTooSmall, reason, standing));
    }
    let may_ask = !standing.is_last_step || evaluated.advice.recommendation == Recommendation::Ship;
    may_ask.then_some(ExperimentEvent::StepMeasured)
}

fn is_step_full(harm: &HarmTest, standing: &Standing<'_>) -> bool {
    harm.n_control.saturating_add(harm.n_treatment) >= standing.min_sample_size
}

pub(super) fn is_too_small(harm: &HarmTest, standing: &Standing<'_>) -> bool {
    harm.bound.is_some_and(|bound| bound < standing.success_threshold)
}

/// The analysis that a recommendation asks for.
pub(super) fn analysis_of(recommendation: Recommendation) -> Option<AnalysisCause> {
    match recommendation {
        Recommendation::Ship => Some(AnalysisCause::Ship),
        Recommendation::KillFutility => Some(AnalysisCause::KillFutility),
        Recommendation::IterateGuardrailUnproven => Some(AnalysisCause::IterateGuardrailUnproven),
        Recommendation::IterateInconclusive => Some(AnalysisCause::IterateInconclusive),
        Recommendation::HoldDataQuality
        | Recommendation::HoldSrm
        | Recommendation::HoldAlert
        | Recommendation::KillGuardrail
        | Recommendation::KillHarm
        | Recommendation::Continue => None,
    }
}

/// Opens the analysis once for a cause. After a human said `extend`, futility is not brought up again before the end of the
/// plan, and the others after a week at the earliest.
fn analysis_due(cause: AnalysisCause, advice: &Advice, standing: &Standing<'_>) -> Option<ExperimentEvent> {
    let is_over = standing.is_over();
    let is_futile = cause == AnalysisCause::KillFutility;
    let cause = if is_futile && is_over { AnalysisCause::EndOfPlan } else { cause };
    let is_due = standing.last(cause).is_none_or(|at| (!is_futile || is_over) && standing.has_passed(at, STEP));
    is_due.then(|| conclusion(cause, advice.reason.clone(), standing))
}

/// A success keeps the flag on while its gate waits, and so does `on_conclusion: hold`; everything else turns it off.
fn conclusion(cause: AnalysisCause, reason: String, standing: &Standing<'_>) -> ExperimentEvent {
    if cause == AnalysisCause::Ship || standing.keeps_flag {
        ExperimentEvent::AnalysisDue { cause, reason }
    } else {
        ExperimentEvent::Concluded { cause, reason }
    }
}
