//! The turns at each source, as far as this program knows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::rest::Rests;
use super::shared::SharedLevels;
use crate::ports::SourceLimits;

/// The turns at the sources of a workspace in this program, by the name of their connector.
#[derive(Default)]
pub(in crate::usecases) struct Turns(Mutex<HashMap<String, Arc<Turn>>>);

/// The turns at one source.
pub(super) struct Turn {
    pub(super) limits: SourceLimits,
    /// Where it leads, when its vendor limits how often it is asked: all programs that ask there share the limits.
    pub(super) account: Option<String>,
    pub(super) everybody: Semaphore,
    /// One place less, so that an experiment never waits behind levels alone.
    pub(super) ordinary: Semaphore,
    /// For levels and for experiments: a level whose query takes too long keeps no experiment from being read.
    pub(super) rests: Mutex<Rests>,
    pub(super) levels: SharedLevels,
}

impl Turns {
    pub(super) fn of(&self, name: &str, limits: SourceLimits, account: Option<String>) -> Arc<Turn> {
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
