//! What turns the flag off, on whatever data there are.

use jiff::{SignedDuration, Timestamp};

use super::findings::{Failing, PollFindings, Standing, is_healthy};
use crate::domain::PauseCause;
use crate::lifecycle::ExperimentEvent;
use crate::stats::{Advice, Evaluated, HealthCode, HealthFinding, Recommendation};

/// Failures in a row from which an experiment is paused, and the least time between the first and the last of them.
const FAILURES: (u32, SignedDuration) = (3, SignedDuration::from_hours(2));

/// Readings in a row with a finding about the data from which an experiment is paused.
const READINGS: u32 = 3;

/// The least time between the first and the last reading in a row, for a source whose rows come this late.
#[must_use]
pub fn least_time(lag: SignedDuration) -> SignedDuration {
    lag.checked_mul(2).unwrap_or(SignedDuration::MAX).max(FAILURES.1)
}

/// The statistical finding that speaks against the treatment, if there is one.
#[must_use]
pub fn statistical_finding(advice: &Advice, health: &[HealthFinding]) -> Option<PauseCause> {
    match advice.recommendation {
        Recommendation::KillGuardrail => Some(PauseCause::Constraint),
        Recommendation::KillHarm => Some(PauseCause::KillThreshold),
        Recommendation::HoldSrm => Some(PauseCause::SampleRatio),
        _ if has(health, HealthCode::ArmWithoutExposure) => Some(PauseCause::ArmWithoutExposure),
        Recommendation::HoldAlert => Some(PauseCause::Constraint),
        Recommendation::HoldDataQuality
        | Recommendation::Ship
        | Recommendation::KillFutility
        | Recommendation::IterateGuardrailUnproven
        | Recommendation::IterateInconclusive
        | Recommendation::Continue => None,
    }
}

/// Whether what was judged turns the flag off by itself: it speaks against the treatment, or cannot be true.
#[must_use]
pub fn is_danger(advice: &Advice, health: &[HealthFinding]) -> bool {
    statistical_finding(advice, health).is_some() || impossible(health).is_some()
}

/// Whether nothing forbids to give more people the treatment: no danger, no proof that it is not worth it, and data that allow a
/// claim.
#[must_use]
pub fn may_go_on(advice: &Advice, health: &[HealthFinding]) -> bool {
    let is_futile = advice.recommendation == Recommendation::KillFutility;
    statistical_finding(advice, health).is_none() && !is_futile && is_healthy(health)
}

/// The pause or kill that follows from what was found.
pub(super) fn danger(found: &PollFindings<'_>, standing: &Standing<'_>) -> Option<ExperimentEvent> {
    let now = standing.now;
    let pause = |cause, detail: &str| Some(ExperimentEvent::AutoPaused { cause, detail: detail.to_owned() });
    // The log must hold it: what was measured under a flag that had been moved is judged without a claim.
    if let Some(drift) = found.flag_drift {
        return pause(PauseCause::FlagDrift, drift);
    }
    if let Some(invalid) = found.evaluated.and_then(|evaluated| impossible(&evaluated.health)) {
        return pause(PauseCause::DataHealth, invalid);
    }
    if let Some(evaluated) = found.evaluated
        && let Some(cause) = statistical_finding(&evaluated.advice, &evaluated.health)
    {
        let reason = &evaluated.advice.reason;
        // What cannot be undone needs data that can be trusted.
        let is_trusted = is_healthy(&evaluated.health) && found.stale_signal.is_none() && found.failing.is_none();
        let kills = evaluated.advice.recommendation == Recommendation::KillGuardrail && found.is_kill_by_rule;
        return if kills && is_trusted {
            Some(ExperimentEvent::KilledByRule { detail: reason.clone() })
        } else {
            pause(cause, &detail(cause, evaluated))
        };
    }
    if let Some(lasting) = found.evaluated.and_then(|evaluated| lasting(evaluated, found.lasts_for)) {
        return pause(PauseCause::DataHealth, lasting);
    }
    if standing.on_since.is_some_and(|since| since > now) {
        let detail = "the flag went on at an instant that is still to come: the clock was wrong then, and nothing since can be measured";
        return pause(PauseCause::DataHealth, detail);
    }
    if let Some(failing) = found.failing.filter(|failing| is_over_limit(failing, now)) {
        return pause(PauseCause::QueryFailing, failing.detail);
    }
    if let Some(stale) = found.stale_signal {
        return pause(PauseCause::StaleSignal, stale);
    }
    let silence = found.silence.filter(|silence| silence.is_over_limit(now))?;
    pause(PauseCause::NobodyExposed, silence.detail)
}

/// The rule and the value, for the pause.
fn detail(cause: PauseCause, evaluated: &Evaluated) -> String {
    let empty = evaluated.health.iter().find(|finding| finding.code == HealthCode::ArmWithoutExposure);
    match empty.filter(|_| cause == PauseCause::ArmWithoutExposure) {
        Some(finding) => finding.message.clone(),
        None => evaluated.advice.reason.clone(),
    }
}

/// What has been wrong with the data for too long, as a sentence.
fn lasting(evaluated: &Evaluated, least: SignedDuration) -> Option<&str> {
    let lasts = evaluated.running.lasting.iter().find(|lasting| lasting.is_over(READINGS, least.as_secs()))?;
    evaluated.health.iter().find(|finding| finding.code == lasts.code).map(|finding| finding.message.as_str())
}

fn is_over_limit(failing: &Failing<'_>, now: Timestamp) -> bool {
    failing.n_attempts >= FAILURES.0 && now.duration_since(failing.since) >= FAILURES.1
}

fn has(health: &[HealthFinding], code: HealthCode) -> bool {
    health.iter().any(|finding| finding.code == code)
}

/// What is impossible about the data, in a sentence: nothing can be judged by them.
fn impossible(health: &[HealthFinding]) -> Option<&str> {
    health.iter().find(|finding| finding.code == HealthCode::Invalid).map(|finding| finding.message.as_str())
}
