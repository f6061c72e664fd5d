//! Which event follows from a poll: a recommendation and where the experiment stands.
//!
//! **Invariant**: pure. What the log and the readings say is handed in; whether a step is allowed is the tables' business.

use jiff::Timestamp;

use super::ExperimentEvent;
use crate::domain::{ExperimentStatus, PauseCause};
use crate::stats::{Advice, Recommendation};

/// How long a rollout step is watched before the next one can be asked for, and a recommendation that was answered with
/// `extend` waits before it is brought up again: a full week.
const STEP_HOURS: i64 = 7 * 24;

/// What one poll found.
#[derive(Debug, Clone, Copy)]
pub struct PollFindings<'a> {
    /// How the flag is not where it was put.
    pub flag_drift: Option<&'a str>,
    /// Which signal has been silent for too long.
    pub stale_signal: Option<&'a str>,
    /// What the engine advises; absent when nobody has been exposed yet.
    pub advice: Option<&'a Advice>,
    /// Whether the plan's minimum sample is reached.
    pub is_min_sample_reached: bool,
    /// Whether a crossed constraint's own entry says `on_violation: kill`.
    pub is_kill_by_rule: bool,
}

/// Where the experiment stands.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// Its status.
    pub status: ExperimentStatus,
    /// Now.
    pub now: Timestamp,
    /// When it went live.
    pub launched_at: Option<Timestamp>,
    /// Days that the plan has.
    pub duration_days: u32,
    /// When the running rollout step began.
    pub step_began_at: Option<Timestamp>,
    /// Analyses that were due before, newest first: the recommendation as the log names it, and when. Only read where
    /// [`asks_for_analysis`] holds.
    pub analyses: &'a [(String, Timestamp)],
}

/// The event that follows from a poll, if any. What speaks against the experiment comes before what speaks for it.
#[must_use]
pub fn event_after_poll(found: &PollFindings<'_>, standing: &Standing<'_>) -> Option<ExperimentEvent> {
    let pause =
        |cause: PauseCause, detail: &str| Some(ExperimentEvent::AutoPaused { cause, detail: detail.to_owned() });
    if let Some(drift) = found.flag_drift {
        return pause(PauseCause::FlagDrift, drift);
    }
    if let Some(stale) = found.stale_signal {
        return pause(PauseCause::StaleSignal, stale);
    }
    let advice = found.advice?;
    match advice.recommendation {
        Recommendation::KillGuardrail | Recommendation::HoldAlert if found.is_kill_by_rule => {
            Some(ExperimentEvent::KilledByRule { detail: advice.reason.clone() })
        }
        Recommendation::KillGuardrail | Recommendation::HoldAlert => pause(PauseCause::Constraint, &advice.reason),
        Recommendation::KillHarm => pause(PauseCause::KillThreshold, &advice.reason),
        Recommendation::HoldDataQuality | Recommendation::HoldSrm => None,
        Recommendation::Ship
        | Recommendation::KillFutility
        | Recommendation::IterateGuardrailUnproven
        | Recommendation::IterateInconclusive
        | Recommendation::Continue => calm_event(found.is_min_sample_reached, advice, standing),
    }
}

/// Whether the recommendation asks for an analysis in this status, so that the earlier ones have to be known.
#[must_use]
pub fn asks_for_analysis(status: ExperimentStatus, recommendation: Recommendation) -> bool {
    matches!(status, ExperimentStatus::Running | ExperimentStatus::Measuring) && is_verdict(recommendation)
}

/// What the engine would do, in a sentence for the gate.
#[must_use]
pub fn recommendation_at_gate(advice: &Advice) -> String {
    let action = match advice.recommendation {
        Recommendation::Ship => "ship",
        Recommendation::KillHarm | Recommendation::KillGuardrail | Recommendation::KillFutility => "kill",
        Recommendation::IterateInconclusive | Recommendation::IterateGuardrailUnproven => "iterate",
        Recommendation::HoldDataQuality
        | Recommendation::HoldSrm
        | Recommendation::HoldAlert
        | Recommendation::Continue => "extend",
    };
    format!("{action}: {}", advice.reason)
}

fn is_verdict(recommendation: Recommendation) -> bool {
    match recommendation {
        Recommendation::Ship
        | Recommendation::KillFutility
        | Recommendation::IterateGuardrailUnproven
        | Recommendation::IterateInconclusive => true,
        Recommendation::HoldDataQuality
        | Recommendation::HoldSrm
        | Recommendation::HoldAlert
        | Recommendation::KillGuardrail
        | Recommendation::KillHarm
        | Recommendation::Continue => false,
    }
}

/// Steps that nothing speaks against: sample reached, analysis due, rollout step measured.
fn calm_event(is_min_sample_reached: bool, advice: &Advice, standing: &Standing<'_>) -> Option<ExperimentEvent> {
    match standing.status {
        ExperimentStatus::Running if is_min_sample_reached => Some(ExperimentEvent::SampleReached),
        ExperimentStatus::Running | ExperimentStatus::Measuring if is_verdict(advice.recommendation) => {
            analysis_due(advice, standing)
        }
        ExperimentStatus::Scaling => {
            let is_over = standing.step_began_at.is_some_and(|began| standing.has_passed(began, STEP_HOURS));
            is_over.then_some(ExperimentEvent::StepMeasured)
        }
        _ => None,
    }
}

/// Opens the analysis once for a recommendation. After a human said `extend`, futility is not brought up again before the end of
/// the plan, and the others after a week at the earliest.
fn analysis_due(advice: &Advice, standing: &Standing<'_>) -> Option<ExperimentEvent> {
    let hours = i64::from(standing.duration_days) * 24;
    let is_over = standing.launched_at.is_some_and(|at| standing.has_passed(at, hours));
    let is_futile = advice.recommendation == Recommendation::KillFutility;
    let verdict = if is_futile && is_over { "end_of_plan" } else { advice.recommendation.as_str() };
    let last = standing.analyses.iter().find(|(name, _)| name == verdict);
    let is_due = last.is_none_or(|(_, at)| (!is_futile || is_over) && standing.has_passed(*at, STEP_HOURS));
    is_due.then(|| ExperimentEvent::AnalysisDue { verdict: verdict.to_owned(), reason: advice.reason.clone() })
}

impl Standing<'_> {
    fn has_passed(&self, since: Timestamp, hours: i64) -> bool {
        self.now.duration_since(since).as_hours() >= hours
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(recommendation: Recommendation) -> Advice {
        Advice { recommendation, reason: "because".to_owned(), next: None }
    }

    fn calm(advice: &Advice) -> PollFindings<'_> {
        PollFindings {
            flag_drift: None,
            stale_signal: None,
            advice: Some(advice),
            is_min_sample_reached: false,
            is_kill_by_rule: false,
        }
    }

    /// On day 10 of 28.
    fn standing(status: ExperimentStatus, analyses: &[(String, Timestamp)]) -> Standing<'_> {
        Standing {
            status,
            now: day(10),
            launched_at: Some(day(0)),
            duration_days: 28,
            step_began_at: Some(day(0)),
            analyses,
        }
    }

    fn day(n: i64) -> Timestamp {
        let start: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        start + jiff::SignedDuration::from_hours(24 * n)
    }

    fn verdict(event: Option<ExperimentEvent>) -> Option<String> {
        match event {
            Some(ExperimentEvent::AnalysisDue { verdict, .. }) => Some(verdict),
            _ => None,
        }
    }

    #[test]
    fn what_speaks_against_it_comes_first() {
        let ship = advice(Recommendation::Ship);
        let running = standing(ExperimentStatus::Running, &[]);
        let paused = |found: &PollFindings<'_>| match event_after_poll(found, &running) {
            Some(ExperimentEvent::AutoPaused { cause, .. }) => Some(cause),
            _ => None,
        };
        let both = PollFindings { flag_drift: Some("off"), stale_signal: Some("late"), ..calm(&ship) };
        assert_eq!(paused(&both), Some(PauseCause::FlagDrift));
        assert_eq!(paused(&PollFindings { flag_drift: None, ..both }), Some(PauseCause::StaleSignal));
        for crossed in [advice(Recommendation::KillGuardrail), advice(Recommendation::HoldAlert)] {
            assert_eq!(paused(&calm(&crossed)), Some(PauseCause::Constraint));
            let killed = event_after_poll(&PollFindings { is_kill_by_rule: true, ..calm(&crossed) }, &running);
            assert_eq!(killed, Some(ExperimentEvent::KilledByRule { detail: "because".to_owned() }));
        }
        assert_eq!(paused(&calm(&advice(Recommendation::KillHarm))), Some(PauseCause::KillThreshold));
        for held in [Recommendation::HoldSrm, Recommendation::HoldDataQuality] {
            assert_eq!(event_after_poll(&calm(&advice(held)), &running), None);
        }
        assert_eq!(event_after_poll(&PollFindings { advice: None, ..calm(&ship) }, &running), None);
    }

    #[test]
    fn the_sample_comes_before_the_verdict() {
        let ship = advice(Recommendation::Ship);
        let found = PollFindings { is_min_sample_reached: true, ..calm(&ship) };
        let event = |status| event_after_poll(&found, &standing(status, &[]));
        assert_eq!(event(ExperimentStatus::Running), Some(ExperimentEvent::SampleReached));
        assert_eq!(verdict(event(ExperimentStatus::Measuring)).as_deref(), Some("ship"));
        assert_eq!(event(ExperimentStatus::AwaitingAnalysisGate), None);
        let going_on = advice(Recommendation::Continue);
        assert_eq!(event_after_poll(&calm(&going_on), &standing(ExperimentStatus::Measuring, &[])), None);
    }

    #[test]
    fn a_verdict_is_brought_up_again_after_a_week_and_futility_at_the_end() {
        let measuring = |analyses| standing(ExperimentStatus::Measuring, analyses);
        let (ship, futile) = (advice(Recommendation::Ship), advice(Recommendation::KillFutility));
        let recent = [("ship".to_owned(), day(4)), ("ship".to_owned(), day(1)), ("kill_futility".to_owned(), day(1))];
        assert_eq!(event_after_poll(&calm(&ship), &measuring(&recent)), None);
        let past = [("ship".to_owned(), day(3))];
        assert_eq!(verdict(event_after_poll(&calm(&ship), &measuring(&past))).as_deref(), Some("ship"));
        assert_eq!(verdict(event_after_poll(&calm(&futile), &measuring(&past))).as_deref(), Some("kill_futility"));
        assert_eq!(event_after_poll(&calm(&futile), &measuring(&recent)), None);
        let at_the_end = Standing { now: day(28), ..measuring(&recent) };
        assert_eq!(verdict(event_after_poll(&calm(&futile), &at_the_end)).as_deref(), Some("end_of_plan"));
    }

    #[test]
    fn a_rollout_step_takes_a_week() {
        let ship = advice(Recommendation::Ship);
        let scaling = standing(ExperimentStatus::Scaling, &[]);
        assert_eq!(event_after_poll(&calm(&ship), &scaling), Some(ExperimentEvent::StepMeasured));
        let early = Standing { step_began_at: Some(day(4)), ..scaling };
        assert_eq!(event_after_poll(&calm(&ship), &early), None);
    }

    #[test]
    fn the_gate_reads_the_advice_as_a_verdict() {
        assert_eq!(recommendation_at_gate(&advice(Recommendation::KillFutility)), "kill: because");
        assert_eq!(recommendation_at_gate(&advice(Recommendation::HoldSrm)), "extend: because");
    }
}
