//! Who may ask a source now: so many questions at a time, experiments first, within what its vendor allows, and nobody while it
//! fails and is left alone.
//!
//! **Invariant**: a source that hangs or is down costs the others nothing, and is asked again by itself.

mod account;
mod queued;
mod rest;
pub(super) mod shared;
pub(in crate::usecases) mod turn;
mod urgency;

use std::sync::Arc;

use super::places::source_must_be_signed;
use super::workspace_file::source;
use crate::config::Config;
use crate::error::Result;
use crate::usecases::Runtime;

pub(in crate::usecases) use queued::QueuedSource;
pub(in crate::usecases) use urgency::Urgency;

/// The connector `name` as polls ask it: each question waits for its turn.
///
/// # Errors
/// Where there is no such connector, or it cannot be opened.
pub(in crate::usecases) async fn queued_source(
    runtime: &Runtime,
    config: &Config,
    name: &str,
    urgency: Urgency,
) -> Result<Arc<QueuedSource>> {
    let source = source(runtime, config, name).await?;
    if let Some(spec) = config.connector(name) {
        source_must_be_signed(runtime, spec, source.place().as_deref())?;
    }
    let limits = source.limits();
    let account = limits.budget.map(|_| account::name_of(config, name, source.place()));
    let turn = runtime.turns.of(name, limits, account);
    Ok(Arc::new(QueuedSource::new(runtime, name, source, turn, urgency)))
}
