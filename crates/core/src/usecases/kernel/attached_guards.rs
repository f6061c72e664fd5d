//! What can guard an experiment that runs elsewhere, besides the signal and the constraints of its outcome.

use crate::config::Config;
use crate::domain::{OutcomeSpec, SignalSpec};

/// The signals that can guard it: every metric of the file, and what the outcome only looks at.
pub(in crate::usecases) fn possible_guards<'c>(
    config: &'c Config,
    outcome: &'c OutcomeSpec,
) -> impl Iterator<Item = &'c SignalSpec> {
    config.metrics.iter().chain(&outcome.secondary_signals)
}
