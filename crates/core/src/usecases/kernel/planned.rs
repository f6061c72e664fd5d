//! The plan that an experiment has before it is frozen.

use crate::domain::{Experiment, OutcomeSpec, Plan};

/// The plan that follows from what is declared and stored now, in the form in which it was reported.
pub(in crate::usecases) fn planned(outcome: &OutcomeSpec, experiment: &Experiment) -> Plan {
    let state = &experiment.state;
    Plan::of(outcome, &experiment.hypothesis, state.budget_part)
        .guarding(state.attached.as_deref())
        .with_caps(&state.caps)
        .in_the_form_of(state.plan_hash.as_deref())
}
