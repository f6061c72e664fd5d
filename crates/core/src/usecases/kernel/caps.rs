//! The numbers that a metric's quantile comes to, found before its first experiment shows anything: they become a part of the plan.

use super::query_check::judging_signals;
use super::workspace_file::{config, source};
use crate::domain::{Outcome, SignalCaps};
use crate::error::Result;
use crate::usecases::Runtime;

/// Those of each signal that an experiment of the outcome is judged by, from what its source knows now.
///
/// # Errors
/// The source's; [`crate::Code::InvalidInput`] where too few units have a value.
pub(in crate::usecases) async fn find_caps(runtime: &Runtime, outcome: &Outcome) -> Result<Vec<SignalCaps>> {
    let mut found = Vec::new();
    let config = config(runtime).await?;
    for signal in judging_signals(&outcome.spec) {
        let Some(contract) = signal.contract.as_ref().filter(|contract| contract.asks_quantile().is_some()) else {
            continue;
        };
        let quantiles = source(runtime, &config, &signal.source)?.quantiles(&signal, runtime.now()).await?;
        let caps = contract.caps_of(&signal.name, &quantiles)?;
        found.push(SignalCaps { signal: signal.name, caps });
    }
    Ok(found)
}
