//! The numbers that a metric's quantile comes to, found before its first experiment shows anything: they become a part of the plan.

use jiff::Timestamp;

use super::query_check::judging_signals;
use super::workspace_file::{config, source};
use crate::config::Config;
use crate::domain::{Caps, Outcome, SignalCaps, SignalSpec};
use crate::error::Result;
use crate::ports::SignalSource;
use crate::usecases::Runtime;

/// Those of each signal that an experiment of the outcome is judged by, from what its source knows now.
///
/// # Errors
/// The source's; [`crate::Code::InvalidInput`] where too few units have a value.
pub(in crate::usecases) async fn find_caps(runtime: &Runtime, outcome: &Outcome) -> Result<Vec<SignalCaps>> {
    let config = config(runtime).await?;
    find_caps_of(runtime, &config, judging_signals(&outcome.spec).iter(), runtime.now()).await
}

/// Those of these signals, from the units before an instant.
///
/// # Errors
/// As [`find_caps`].
pub(in crate::usecases) async fn find_caps_of(
    runtime: &Runtime,
    config: &Config,
    signals: impl Iterator<Item = &SignalSpec>,
    before: Timestamp,
) -> Result<Vec<SignalCaps>> {
    let mut found = Vec::new();
    for signal in signals.filter(|signal| asks_quantile(signal)) {
        let source = source(runtime, config, &signal.source).await?;
        if let Some(caps) = caps_of(&*source, signal, before).await? {
            found.push(SignalCaps { signal: signal.name.clone(), caps });
        }
    }
    Ok(found)
}

fn asks_quantile(signal: &SignalSpec) -> bool {
    signal.contract.as_ref().is_some_and(|contract| contract.asks_quantile().is_some())
}

/// The numbers that the quantiles in a signal's cap come to, of the units before an instant; `None` where it has none.
///
/// # Errors
/// As [`find_caps`].
pub(in crate::usecases) async fn caps_of(
    source: &dyn SignalSource,
    signal: &SignalSpec,
    before: Timestamp,
) -> Result<Option<Caps>> {
    let Some(contract) = signal.contract.as_ref().filter(|_| asks_quantile(signal)) else { return Ok(None) };
    let quantiles = source.quantiles(signal, before).await?;
    contract.caps_of(&signal.name, &quantiles).map(Some)
}
