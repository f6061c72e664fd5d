//! How the sentence begins: which of the four answers it is, and why.

use super::super::facts::bound;
use super::asked::{AnswerState, Asked, blocking};
use crate::domain::{ConstraintBound, Evaluation, Pause, PauseCause};
use crate::stats::Recommendation;

/// Which numbers belong to an opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Figures {
    /// Those that success rests on.
    Success,
    /// Those that harm was found on.
    Harm,
    /// The estimate with the bound that excludes the planned effect.
    Futility,
    /// The estimate with its range.
    Other,
}

/// The beginning of the sentence.
pub(super) struct Opening {
    pub(super) state: AnswerState,
    pub(super) says: String,
    pub(super) figures: Figures,
}

/// Whether a pause for this cause means that nothing is known.
pub(super) fn is_broken(cause: PauseCause) -> bool {
    match cause {
        PauseCause::SampleRatio
        | PauseCause::ArmWithoutExposure
        | PauseCause::NobodyExposed
        | PauseCause::QueryFailing
        | PauseCause::StaleSignal
        | PauseCause::FlagDrift
        | PauseCause::DataHealth => true,
        PauseCause::KillThreshold | PauseCause::Constraint | PauseCause::Manual => false,
    }
}

/// The state, and how the sentence begins.
pub(super) fn opening(asked: &Asked<'_>, result: &Evaluation, pause: Option<&Pause>) -> Opening {
    let did_not = |says: String| Opening { state: AnswerState::DidNot, says, figures: Figures::Other };
    let change = |x: f64| asked.scale.change(x);
    match result.advice.recommendation {
        Recommendation::Ship => {
            let says = match asked.measurement.success_threshold {
                0.0 => "It works".to_owned(),
                threshold if threshold > 0.0 => format!("It works, by more than {}", change(threshold)),
                threshold => format!("It is proven not to be worse than {}", change(threshold)),
            };
            Opening { state: AnswerState::Worked, says, figures: Figures::Success }
        }
        Recommendation::KillHarm => {
            let says = match asked.measurement.kill_threshold {
                threshold if threshold > 0.0 => {
                    format!("It brings less than the {} below which it was to be stopped", change(threshold))
                }
                0.0 => "It does harm".to_owned(),
                threshold => format!("It does harm, beyond {}", change(threshold)),
            };
            Opening { figures: Figures::Harm, ..did_not(says) }
        }
        Recommendation::KillGuardrail => did_not(broken_limit(asked, result)),
        Recommendation::HoldAlert => {
            did_not(format!("It breaks a limit ({})", result.advice.reason.trim_end_matches('.')))
        }
        // A member has read this and goes on.
        Recommendation::KillFutility if asked.is_going_on => going_on(&format!(
            "It does not seem to bring the {} that it was planned for",
            asked.scale.size(asked.measurement.minimum_detectable_effect)
        )),
        Recommendation::IterateInconclusive | Recommendation::IterateGuardrailUnproven if asked.is_going_on => {
            going_on("Nothing was shown with the users of its plan")
        }
        Recommendation::KillFutility => {
            let purpose = if asked.is_planned { "it was planned for" } else { "one looked for" };
            let effect = asked.scale.size(asked.measurement.minimum_detectable_effect);
            let says = format!("It does not bring the {effect} that {purpose}");
            Opening { figures: Figures::Futility, ..did_not(says) }
        }
        Recommendation::IterateGuardrailUnproven => {
            did_not("It is better, but was not proven to be safe with the users of its plan".to_owned())
        }
        Recommendation::IterateInconclusive if blocking(result).is_some() => broken(result),
        Recommendation::IterateInconclusive => did_not(match asked.measurement.success_threshold {
            threshold if threshold > 0.0 => {
                format!("It was not shown to bring more than {} with the users of its plan", change(threshold))
            }
            _ if !asked.is_planned => "It was not shown to work in its time".to_owned(),
            _ => "It was not shown to work with the users of its plan".to_owned(),
        }),
        Recommendation::HoldDataQuality | Recommendation::HoldSrm => broken(result),
        Recommendation::Continue => {
            let says = match pause.map(|pause| pause.cause) {
                Some(PauseCause::KillThreshold) => "It was paused for harm that the numbers no longer show".to_owned(),
                Some(PauseCause::Constraint) => {
                    "It was paused for a limit that the numbers no longer show to be broken".to_owned()
                }
                None if asked.is_guarded => "Nothing speaks against it".to_owned(),
                _ if result.is_success_threshold_met && !asked.is_over => {
                    format!("It looks better, and nothing is claimed yet{}", by(asked))
                }
                _ => early(asked, pause),
            };
            Opening { state: AnswerState::TooEarly, says, figures: Figures::Other }
        }
    }
}

fn going_on(found: &str) -> Opening {
    Opening {
        state: AnswerState::TooEarly,
        says: format!("{found}, and a member has extended it"),
        figures: Figures::Other,
    }
}

fn broken(result: &Evaluation) -> Opening {
    let why = blocking(result).map_or(result.advice.reason.as_str(), |finding| finding.message.as_str());
    Opening { state: AnswerState::Broken, says: format!("It cannot be judged: {why}"), figures: Figures::Other }
}

/// That nothing can be said yet, and when it can.
pub(super) fn early(asked: &Asked<'_>, pause: Option<&Pause>) -> String {
    if asked.is_guarded && pause.is_none() && !asked.is_over {
        return "It is guarded, and too early to say".to_owned();
    }
    if asked.is_over {
        return "It was ended before anything could be said".to_owned();
    }
    if pause.is_some() {
        return "It is too early to say, and it was paused by hand".to_owned();
    }
    format!("It is too early to say{}", by(asked))
}

/// Until when there is an answer, while that lies ahead.
fn by(asked: &Asked<'_>) -> String {
    let polled_at = asked.result.and_then(|result| result.polled_at);
    let end = asked.answer_by.filter(|end| polled_at.is_none_or(|polled_at| polled_at < *end));
    end.map(|end| format!(" (answer by {})", end.strftime("%-d %b %Y"))).unwrap_or_default()
}

/// The constraint that is crossed, with its value and its limit.
fn broken_limit(asked: &Asked<'_>, result: &Evaluation) -> String {
    let Some(guard) = result.crossed() else {
        return "It breaks a limit".to_owned();
    };
    let name = &guard.name;
    let Some(((scale, limit), value)) = asked.crossed.zip(guard.value) else {
        return format!("It breaks the limit of `{name}`");
    };
    match limit {
        ConstraintBound::NotWorse { margin, .. } => {
            let (is, allowed) = (scale.size(value), scale.size(*margin));
            let more = if is == allowed { "more than " } else { "" };
            format!("It breaks a limit, `{name}` is {more}{is} worse and at most {allowed} may be")
        }
        ConstraintBound::Limits { .. } => {
            format!("It breaks a limit, `{name}` is {} and must be {}", scale.level(value), bound(limit, scale))
        }
    }
}
