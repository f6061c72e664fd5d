//! What a gate shows of an experiment that runs elsewhere.

use crate::domain::{AttachedFacts, Experiment};

/// What a gate shows of an experiment that runs elsewhere; `None` of others. `seen`: units of the control and the treatment so far.
pub(in crate::usecases) fn facts_of(experiment: &Experiment, seen: Option<(u64, u64)>) -> Option<AttachedFacts> {
    let attached = experiment.state.attached.as_deref()?;
    Some(AttachedFacts {
        provider: attached.provider.clone(),
        reference: attached.reference.clone(),
        name_says: attached.name_says.clone(),
        control: attached.control.clone(),
        treatment: attached.treatment.clone(),
        treatment_pct: attached.treatment_pct,
        started_at: attached.started_at,
        n_control: seen.map(|(n_control, _)| n_control),
        n_treatment: seen.map(|(_, n_treatment)| n_treatment),
        metrics_say: attached.metrics_say.clone(),
        page: attached.page.clone(),
    })
}
