//! What an experiment comes to that is only guarded.

use crate::stats::{Advice, Evaluated, Recommendation, Severity};

const NOTHING: &str = "Nothing speaks against the treatment. It is only guarded, so nothing is claimed for it.";

/// What is only watched is stopped, and nothing is claimed of it: whether it is worth having is decided where it runs.
pub(super) fn watched(mut evaluated: Evaluated) -> Evaluated {
    match evaluated.advice.recommendation {
        Recommendation::Ship
        | Recommendation::KillFutility
        | Recommendation::IterateGuardrailUnproven
        | Recommendation::IterateInconclusive
        | Recommendation::Continue => {
            let blocks = evaluated.health.iter().find(|finding| finding.severity == Severity::Block);
            let (recommendation, reason) = match blocks {
                Some(finding) => (Recommendation::HoldDataQuality, finding.message.clone()),
                None => (Recommendation::Continue, NOTHING.to_owned()),
            };
            evaluated.advice = Advice { recommendation, reason, next: None };
        }
        Recommendation::HoldDataQuality
        | Recommendation::HoldSrm
        | Recommendation::HoldAlert
        | Recommendation::KillGuardrail
        | Recommendation::KillHarm => {}
    }
    evaluated.numbers.is_success_threshold_met = false;
    evaluated
}
