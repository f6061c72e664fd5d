//! What a gate shows of an experiment that runs elsewhere.

use crate::domain::{AttachedFacts, Experiment};

/// What was seen when it was attached.
#[derive(Debug, Clone, Copy)]
pub(in crate::usecases) struct Seen {
    /// Units of the control.
    pub(in crate::usecases) control: u64,
    /// Units of the treatment.
    pub(in crate::usecases) treatment: u64,
    /// Experiments of this workspace that had its flag before.
    pub(in crate::usecases) before: u64,
}

/// What a gate shows of an experiment that runs elsewhere; `None` of others. `seen`: when it was attached.
pub(in crate::usecases) fn facts_of(experiment: &Experiment, seen: Option<Seen>) -> Option<AttachedFacts> {
    let attached = experiment.state.attached.as_deref()?;
    Some(AttachedFacts {
        provider: attached.provider.clone(),
        reference: attached.reference.clone(),
        name_says: attached.name_says.clone(),
        control: attached.control.clone(),
        treatment: attached.treatment.clone(),
        treatment_pct: attached.treatment_pct,
        started_at: attached.started_at,
        began_at: attached.began_at,
        n_before: seen.map(|seen| seen.before),
        n_control: seen.map(|seen| seen.control),
        n_treatment: seen.map(|seen| seen.treatment),
        metrics_say: attached.metrics_say.clone(),
        page: attached.page.clone(),
    })
}
