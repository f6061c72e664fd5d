//! What is under way on the wires of the stand-ins, and time that passes for timers while nothing else does.
//!
//! A source that says nothing is given up after some seconds, and one that fails is asked again after some. Nobody wants to wait for
//! that: where a stand-in holds an answer back, the timers of the process are moved, which the clock of the workspace is not.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use outcome_core::usecases::Runtime;

/// Longest time after something failed in which it may be asked again.
const LIVELY: Duration = Duration::from_secs(3);
/// Nothing moved for so long.
const QUIET: Duration = Duration::from_millis(5);
/// What passes then.
const LEAP: Duration = Duration::from_millis(500);
/// How often, at most: a slow disk must not look like one that never answers.
const EVERY: Duration = Duration::from_millis(10);

/// What is under way.
#[derive(Debug, Default)]
pub(super) struct Net {
    /// Questions that will be answered as soon as the machine can.
    answering: AtomicI64,
    /// Questions that nobody answers.
    held: AtomicI64,
    moved: Mutex<Option<Instant>>,
    failed: Mutex<Option<Instant>>,
}

impl Net {
    pub(super) fn moves(&self) {
        *lock(&self.moved) = Some(Instant::now());
    }

    pub(super) fn fails(&self) {
        *lock(&self.failed) = Some(Instant::now());
    }

    pub(super) fn answering(&self, by: i64) {
        self.moves();
        self.answering.fetch_add(by, Ordering::SeqCst);
    }

    pub(super) fn held(&self, by: i64) {
        self.held.fetch_add(by, Ordering::SeqCst);
    }

    fn may_leap(&self) -> bool {
        let since = |at: &Mutex<Option<Instant>>| lock(at).map_or(Duration::MAX, |at| at.elapsed());
        let is_waited_for = self.held.load(Ordering::SeqCst) > 0 || since(&self.failed) < LIVELY;
        is_waited_for && self.answering.load(Ordering::SeqCst) == 0 && since(&self.moved) > QUIET
    }

    /// Moves timers for as long as it is not stopped, and never while somebody writes into the database: whoever waits for that
    /// must not give up because the disk is slow.
    pub(super) async fn hurry(&self, runtime: &Runtime) -> Result<()> {
        loop {
            tokio::time::sleep(EVERY).await;
            if self.may_leap() {
                drop(runtime.db().write(runtime.workspace().id).await?);
                tokio::time::pause();
                tokio::time::advance(LEAP).await;
                tokio::time::resume();
            }
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
