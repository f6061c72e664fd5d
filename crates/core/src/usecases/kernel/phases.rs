//! What the allocation phases of an experiment say: whether its flag is on, and which phases count for what.

use jiff::{SignedDuration, Timestamp};

use crate::domain::{PhaseStart, Window};
use crate::stats::{Scope, Step};
use crate::store::AllocationPhase;

/// Whether units get the treatment: the last phase goes on.
pub(in crate::usecases) fn is_on(phases: &[AllocationPhase]) -> bool {
    phases.last().is_some_and(|phase| phase.ended_at.is_none())
}

/// Since when units get the treatment with the present split; `None` while the flag is off.
pub(in crate::usecases) fn on_since(phases: &[AllocationPhase]) -> Option<Timestamp> {
    phases.last().filter(|phase| phase.ended_at.is_none()).map(|phase| phase.started_at.0)
}

/// What a source is asked about a phase up to an instant. `None` for a phase that had not begun by then, and for one that ended as it
/// began: nobody can have been seen in it.
pub(in crate::usecases) fn window_until(phase: &AllocationPhase, at: Timestamp) -> Option<Window> {
    let window = Window { from: phase.started_at.0, to: phase.ended_at.map_or(at, |ended| ended.0.min(at)) };
    (window.from < window.to).then_some(window)
}

/// When the flag's allocation changes after `phase` began: the units of the phase whose window was not over by then are not whole.
/// A service that keeps a unit's arm (`is_sticky`) changes it only when the flag goes off. `None` while nothing changed.
///
/// Source: METRICS.md 2.3.
pub(in crate::usecases) fn on_until(
    phases: &[AllocationPhase],
    phase: &AllocationPhase,
    is_sticky: bool,
) -> Option<Timestamp> {
    let mut end = phase.ended_at?.0;
    if is_sticky {
        for next in phases.iter().filter(|next| next.phase > phase.phase) {
            if next.started_at.0 != end {
                break;
            }
            end = next.ended_at?.0;
        }
    }
    Some(end)
}

/// How often a human resumed after a statistical finding.
pub(in crate::usecases) fn n_restarts(phases: &[AllocationPhase]) -> usize {
    phases.iter().filter(|phase| phase.begins.is_restart()).count()
}

/// When the running rollout step began: pauses within a step do not begin it anew.
pub(in crate::usecases) fn step_began_at(phases: &[AllocationPhase]) -> Option<Timestamp> {
    let last = phases.last()?;
    let of_step = phases.iter().rev().take_while(|phase| phase.treatment_pct == last.treatment_pct);
    of_step.last().map(|phase| phase.started_at.0)
}

/// Whether the split that is in use at an instant, or the last one before it, has been in use for a day.
pub(in crate::usecases) fn has_full_day(phases: &[AllocationPhase], at: Timestamp) -> bool {
    phases.iter().rfind(|phase| phase.started_at.0 < at).is_some_and(|last| {
        let until = last.ended_at.map_or(at, |ended| ended.0.min(at));
        until.duration_since(last.started_at.0) >= SignedDuration::from_hours(24)
    })
}

/// Which phases the safety process and the claims rest on, at an instant. With `shares_with_steps` the process goes on over rollout steps,
/// each of which is also watched by itself; in plans of earlier versions each step began it anew.
///
/// Source: METRICS.md 3.3, STATS.md 2.8.
pub(in crate::usecases) fn scope_at(phases: &[AllocationPhase], at: Timestamp, shares_with_steps: bool) -> Scope {
    let begun = || phases.iter().filter(|phase| phase.started_at.0 < at);
    let number = |found: Option<&AllocationPhase>| found.map_or(0, |phase| u32::try_from(phase.phase).unwrap_or(0));
    let is_anew = |phase: &&AllocationPhase| match phase.begins {
        PhaseStart::Launch | PhaseStart::ResumedAfterFinding | PhaseStart::ResumedAfterMismatch => true,
        PhaseStart::Step => !shares_with_steps,
        PhaseStart::Resumed => false,
    };
    let is_after_mismatch = |phase: &&AllocationPhase| phase.begins == PhaseStart::ResumedAfterMismatch;
    let safety_from = number(begun().rfind(is_anew));
    let steps = || begun().filter(|phase| phase.begins == PhaseStart::Step && number(Some(phase)) > safety_from);
    let step = steps()
        .next_back()
        .filter(|_| shares_with_steps)
        .map(|last| Step { from: number(Some(last)), number: u32::try_from(steps().count()).unwrap_or(u32::MAX) });
    Scope {
        safety_from,
        step,
        claims_from: number(begun().rfind(is_after_mismatch)),
        n_restarts: u32::try_from(begun().filter(|phase| phase.begins.is_restart()).count()).unwrap_or(u32::MAX),
        is_off: begun().next_back().is_some_and(|last| last.ended_at.is_some_and(|ended| ended.0 < at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Instant;

    fn day(n: i64) -> Timestamp {
        let start: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        start + jiff::SignedDuration::from_hours(24 * n)
    }

    fn phases(begin: &[(PhaseStart, i32)]) -> Vec<AllocationPhase> {
        let of = |(phase, (begins, treatment_pct)): (i32, &(PhaseStart, i32))| AllocationPhase {
            phase,
            treatment_pct: *treatment_pct,
            started_at: Instant(day(i64::from(phase))),
            ended_at: None,
            begins: *begins,
        };
        (0..).zip(begin).map(of).collect()
    }

    #[test]
    fn a_ramp_cuts_windows_unless_arms_are_kept_and_a_pause_always_does() {
        let mut all = phases(&[(PhaseStart::Launch, 20), (PhaseStart::Step, 50), (PhaseStart::Resumed, 50)]);
        for (phase, ended) in all.iter_mut().zip([1, 3, 9]) {
            phase.ended_at = Some(Instant(day(ended)));
        }
        // The second one begins as the first one ends; the third one begins while nobody has the treatment.
        all[2].started_at = Instant(day(5));
        let until = |phase: usize, is_sticky| on_until(&all, &all[phase], is_sticky);
        assert_eq!([until(0, false), until(0, true)], [Some(day(1)), Some(day(3))]);
        assert_eq!([until(1, false), until(1, true), until(2, true)], [Some(day(3)), Some(day(3)), Some(day(9))]);
        all[1].ended_at = None;
        assert_eq!([on_until(&all, &all[0], true), on_until(&all, &all[1], false)], [None, None]);
    }

    #[test]
    fn the_safety_process_goes_on_over_steps_which_are_watched_by_themselves_too() {
        let all = phases(&[
            (PhaseStart::Launch, 20),
            (PhaseStart::Resumed, 20),
            (PhaseStart::Step, 50),
            (PhaseStart::Resumed, 50),
            (PhaseStart::Step, 80),
            (PhaseStart::ResumedAfterFinding, 80),
            (PhaseStart::Step, 100),
        ]);
        let scope = |at| {
            let Scope { safety_from, step, n_restarts, .. } = scope_at(&all, day(at), true);
            (safety_from, step.map(|step| (step.from, step.number)), n_restarts)
        };
        let found: Vec<_> = (1..=7).map(scope).collect();
        let (first, second) = (Some((2, 1)), Some((4, 2)));
        let anew = [(5, None, 1), (5, Some((6, 1)), 1)];
        assert_eq!(found[..5], [(0, None, 0), (0, None, 0), (0, first, 0), (0, first, 0), (0, second, 0)]);
        assert_eq!(found[5..], anew, "a step of before the restart is a part of what begins anew");
    }

    #[test]
    fn in_plans_of_before_a_step_and_a_finding_begin_the_safety_process_anew_and_a_plain_pause_does_not() {
        let all = phases(&[
            (PhaseStart::Launch, 20),
            (PhaseStart::Resumed, 20),
            (PhaseStart::ResumedAfterMismatch, 20),
            (PhaseStart::Step, 80),
            (PhaseStart::ResumedAfterFinding, 80),
            (PhaseStart::Resumed, 80),
        ]);
        let scope = |at| {
            let Scope { safety_from, claims_from, n_restarts, .. } = scope_at(&all, day(at), false);
            (safety_from, claims_from, n_restarts)
        };
        let found: Vec<_> = (0..=6).map(scope).collect();
        assert_eq!(found, [(0, 0, 0), (0, 0, 0), (0, 0, 0), (2, 2, 1), (3, 2, 1), (4, 2, 2), (4, 2, 2)]);
        assert_eq!((n_restarts(&all), step_began_at(&all)), (2, Some(day(3))));
    }
}
