//! What a decision says that it rests on must be the state that it changes. Decisions of format 1 say nothing of it.

use super::TransitionError;
use super::experiment_table::{EXPERIMENT_TABLE, Effect, decided_kind};
use crate::domain::{Decision, ExperimentState, GateType, RolloutPlan, Verdict};

/// Where a decision about an experiment puts its flag; `None` where it leaves it.
#[must_use]
pub fn flag_after(
    state: &ExperimentState,
    gate: Option<GateType>,
    verdict: Verdict,
    rollout: &RolloutPlan,
) -> Option<u8> {
    let kind = decided_kind(gate, verdict, state.is_attached())?;
    let row = EXPERIMENT_TABLE.iter().find(|row| row.event == kind && row.from.contains(&state.status))?;
    row.effects.iter().find_map(|effect| match effect {
        Effect::SetFlag => rollout.pct(state.step + usize::from(kind.is_next_step())),
        Effect::SetFlagFull => Some(100),
        Effect::FlagOff => Some(0),
        _ => None,
    })
}

/// The commit, the plan and the flag's position that were signed must be those of the experiment, and of the step.
pub(super) fn check_experiment_basis(
    state: &ExperimentState,
    effects: &[Effect],
    decision: &Decision,
) -> Result<(), TransitionError> {
    let Some(basis) = &decision.basis else { return Ok(()) };
    let wrong = |what: &str| Err(TransitionError::WrongDecision(format!("it was signed for another {what}")));
    if basis.commit != state.commit {
        return wrong("commit");
    }
    if basis.plan != state.plan_hash {
        return wrong("plan");
    }
    let to = basis.flag.as_ref().map(|flag| flag.to_pct);
    let fits = effects.iter().find_map(|effect| match effect {
        Effect::SetFlag => Some(to.is_some_and(|to| (1..=100).contains(&to))),
        Effect::SetFlagFull => Some(to == Some(100)),
        Effect::FlagOff => Some(to == Some(0)),
        _ => None,
    });
    if fits.unwrap_or(to.is_none()) { Ok(()) } else { wrong("position of the flag") }
}
