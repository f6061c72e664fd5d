//! What a gate about a result recommends, and whether it still holds.

use jiff::SignedDuration;

use super::claim::{analysis_of, is_too_small};
use super::danger::{may_go_on, statistical_finding};
use super::findings::{GateAdvice, PollFindings, Standing, is_healthy};
use crate::domain::{Evaluation, ExperimentStatus, GateType, PauseCause, Verdict};
use crate::lifecycle::{AnalysisCause, ExperimentEvent};
use crate::stats::{Advice, HealthFinding, Recommendation, is_drift_alone};

/// A gate is opened anew for a changed recommendation at most this often.
const REJUDGED_EVERY: SignedDuration = SignedDuration::from_hours(24);

impl GateAdvice {
    /// From the result that a gate shows, and why the experiment is paused, if it is.
    #[must_use]
    pub fn of(result: Option<(&Advice, &[HealthFinding])>, pause: Option<PauseCause>) -> Self {
        let recommendation = result.map_or(Recommendation::Continue, |(advice, _)| advice.recommendation);
        if pause.is_some() {
            return match result.and_then(|(advice, health)| statistical_finding(advice, health)) {
                None => Self::Resume,
                Some(PauseCause::SampleRatio | PauseCause::ArmWithoutExposure) => Self::Iterate,
                Some(_) if recommendation == Recommendation::HoldAlert => Self::Iterate,
                Some(_) => Self::Kill,
            };
        }
        match recommendation {
            Recommendation::Ship => Self::Ship,
            Recommendation::KillHarm | Recommendation::KillGuardrail | Recommendation::KillFutility => Self::Kill,
            Recommendation::IterateInconclusive | Recommendation::IterateGuardrailUnproven => Self::Iterate,
            // More data change nothing about it.
            Recommendation::HoldDataQuality if result.is_some_and(|(_, health)| is_drift_alone(health)) => {
                Self::Iterate
            }
            Recommendation::HoldDataQuality
            | Recommendation::HoldSrm
            | Recommendation::HoldAlert
            | Recommendation::Continue => Self::Extend,
        }
    }

    /// From an evaluation as it is stored, where there is one.
    #[must_use]
    pub fn of_evaluation(result: Option<&Evaluation>, pause: Option<PauseCause>) -> Self {
        Self::of(result.map(|result| (&result.advice, result.health.as_slice())), pause)
    }

    /// The same of an experiment that runs elsewhere, where `is_guarded`: nothing follows it, so it ends.
    #[must_use]
    pub fn guarding(self, is_guarded: bool) -> Self {
        match self {
            Self::Iterate if is_guarded => Self::Kill,
            advice => advice,
        }
    }

    /// Whether a verdict at a gate about a result is another one than this.
    #[must_use]
    pub fn is_against(self, gate: GateType, verdict: Verdict) -> bool {
        use Verdict as V;
        match (gate, verdict) {
            (GateType::AnalysisReview, V::Ship | V::Scale) => self != Self::Ship,
            (GateType::AnalysisReview, V::Extend) => self != Self::Extend,
            (GateType::AnalysisReview, V::Resume) => self != Self::Resume,
            (GateType::AnalysisReview, V::Iterate) => self != Self::Iterate,
            (GateType::AnalysisReview, V::Kill) => self != Self::Kill,
            // A step of the rollout need not prove success again.
            (GateType::ScaleApproval, V::Approve) => matches!(self, Self::Kill | Self::Iterate),
            (GateType::ScaleApproval, V::Reject) => !matches!(self, Self::Kill | Self::Iterate),
            (GateType::ShipApproval, V::Approve) => self != Self::Ship,
            (GateType::ShipApproval, V::Reject) => self == Self::Ship,
            _ => false,
        }
    }

    /// The same in a sentence for the gate.
    #[must_use]
    pub fn in_words(self, advice: Option<&Advice>, pause: Option<PauseCause>) -> String {
        let reason = advice.map_or("nothing was measured yet.", |advice| advice.reason.as_str());
        match (self, pause) {
            (Self::Resume, Some(cause)) if cause.is_statistical() => {
                format!("{self}: the correction removed the finding. {reason}")
            }
            (Self::Resume, Some(_)) => format!("{self}: once the cause of the pause is removed. {reason}"),
            _ => format!("{self}: {reason}"),
        }
    }
}

/// Whether what an open gate recommends still holds.
pub(super) fn rejudge(found: &PollFindings<'_>, standing: &Standing<'_>) -> Option<ExperimentEvent> {
    let (shown, opened_at) = standing.gate?;
    let evaluated = found.evaluated?;
    let now = GateAdvice::of(Some((&evaluated.advice, &evaluated.health)), None);
    let is_changed = match standing.status {
        ExperimentStatus::AwaitingScaleGate => {
            let is_too_small = evaluated.harm.is_some_and(|harm| is_too_small(&harm, standing));
            !may_go_on(&evaluated.advice, &evaluated.health) || is_too_small || now == GateAdvice::Kill
        }
        // What was decided against the recommendation is not taken back for the same reason.
        ExperimentStatus::AwaitingShipGate => {
            (shown == GateAdvice::Ship && now != shown) || !is_healthy(&evaluated.health)
        }
        _ => now != shown,
    };
    let is_time = standing.is_gate_empty || (is_changed && standing.has_passed(opened_at, REJUDGED_EVERY));
    if !is_time {
        return None;
    }
    let reason = format!("changed since the gate opened: {}", evaluated.advice.reason);
    Some(match analysis_of(evaluated.advice.recommendation) {
        None | Some(AnalysisCause::Ship) => ExperimentEvent::Rejudged { reason },
        Some(_) if standing.keeps_flag => ExperimentEvent::Rejudged { reason },
        Some(cause) => ExperimentEvent::Concluded { cause, reason },
    })
}

/// Whether a correction removed what paused the experiment, or brought it back.
pub(super) fn reconsider(found: &PollFindings<'_>, standing: &Standing<'_>) -> Option<ExperimentEvent> {
    let (shown, opened_at) = standing.gate?;
    let evaluated = found.evaluated?;
    let finding = statistical_finding(&evaluated.advice, &evaluated.health);
    let now = GateAdvice::of(Some((&evaluated.advice, &evaluated.health)), Some(finding.unwrap_or(PauseCause::Manual)));
    let is_changed = (now == GateAdvice::Resume) != (shown == GateAdvice::Resume);
    // A finding that is back is said at once: nobody resumes on a gate that does not know it.
    let is_back = shown == GateAdvice::Resume;
    (is_changed && (is_back || standing.has_passed(opened_at, REJUDGED_EVERY))).then(|| ExperimentEvent::Rejudged {
        reason: format!("changed since the gate opened: {}", evaluated.advice.reason),
    })
}
