//! What an experiment comes to that is only guarded.

use crate::stats::{Advice, Evaluated, Recommendation};

/// What is only watched is stopped, and nothing is claimed of it: whether it is worth having is decided where it runs.
pub(super) fn watched(mut evaluated: Evaluated) -> Evaluated {
    match evaluated.advice.recommendation {
        Recommendation::Ship
        | Recommendation::KillFutility
        | Recommendation::IterateGuardrailUnproven
        | Recommendation::IterateInconclusive => {
            evaluated.advice = Advice {
                recommendation: Recommendation::Continue,
                reason: "Nothing speaks against the treatment. It is only guarded, so nothing is claimed for it."
                    .to_owned(),
                next: None,
            };
        }
        Recommendation::HoldDataQuality
        | Recommendation::HoldSrm
        | Recommendation::HoldAlert
        | Recommendation::KillGuardrail
        | Recommendation::KillHarm
        | Recommendation::Continue => {}
    }
    evaluated
}
