//! Who may ask a source now: so many questions at a time, experiments first, within what its vendor allows, and nobody while it
//! fails and is left alone.
//!
//! **Invariant**: a source that hangs or is down costs the others nothing, and is asked again by itself.

mod account;
mod queued;
mod rest;
pub(super) mod shared;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use self::queued::QueuedSource;
use self::rest::Rests;
use self::shared::SharedLevels;
use super::workspace_file::source;
use crate::config::Config;
use crate::error::Result;
use crate::ports::{SignalSource, SourceLimits};
use crate::usecases::Runtime;

/// For what a source is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::usecases) enum Urgency {
    /// For a person who waits for it: also while it is left alone.
    Person,
    /// For an experiment: danger is looked for first.
    Urgent,
    /// For the level of an outcome.
    Ordinary,
}

/// The turns at the sources of a workspace in this program, by the name of their connector.
#[derive(Default)]
pub(in crate::usecases) struct Turns(Mutex<HashMap<String, Arc<Turn>>>);

/// The turns at one source.
struct Turn {
    limits: SourceLimits,
    /// Where it leads, when its vendor limits how often it is asked: all programs that ask there share the limits.
    account: Option<String>,
    everybody: Semaphore,
    /// One place less, so that an experiment never waits behind levels alone.
    ordinary: Semaphore,
    /// For levels and for experiments: a level whose query takes too long keeps no experiment from being read.
    rests: Mutex<Rests>,
    levels: SharedLevels,
}

impl Turns {
    fn of(&self, name: &str, limits: SourceLimits, account: Option<String>) -> Arc<Turn> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get(name) {
            Some(turn) if turn.limits == limits && turn.account == account => Arc::clone(turn),
            _ => {
                let turn = Arc::new(Turn::new(limits, account));
                all.insert(name.to_owned(), Arc::clone(&turn));
                turn
            }
        }
    }
}

impl Turn {
    fn new(limits: SourceLimits, account: Option<String>) -> Self {
        let at_once = usize::from(limits.at_once.max(1));
        Self {
            limits,
            account,
            everybody: Semaphore::new(at_once),
            ordinary: Semaphore::new(at_once.saturating_sub(1).max(1)),
            rests: Mutex::default(),
            levels: SharedLevels::default(),
        }
    }
}

/// The connector `name` as polls ask it: each question waits for its turn.
///
/// # Errors
/// Where there is no such connector, or it cannot be opened.
pub(in crate::usecases) fn queued_source(
    runtime: &Runtime,
    config: &Config,
    name: &str,
    urgency: Urgency,
) -> Result<Arc<dyn SignalSource>> {
    let source = source(runtime, config, name)?;
    let limits = source.limits();
    let account = limits.budget.map(|_| account::name_of(config, name, source.place()));
    let turn = runtime.turns.of(name, limits, account);
    Ok(Arc::new(QueuedSource { runtime: runtime.clone(), name: name.to_owned(), source, turn, urgency }))
}
