//! A source whose questions wait for their turn.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::account;
use super::rest::{Changed, May};
use super::turn::Turn;
use super::urgency::Urgency;
use crate::domain::{ArmSums, Reading, SignalSpec, VariantReading, Window};
use crate::error::{Result, error_chain};
use crate::ports::{
    MetricInfo, PartRequest, ReadError, Sealing, SignalSource, SourceLimits, SourceReport, Treated, VariantRequest,
};
use crate::store::{Instant, SourceState};
use crate::usecases::Runtime;

/// A source whose questions wait for their turn.
pub(in crate::usecases) struct QueuedSource {
    runtime: Runtime,
    name: String,
    source: Arc<dyn SignalSource>,
    turn: Arc<Turn>,
    urgency: Urgency,
    /// How long the last answer took, in milliseconds, without the wait for the turn.
    took: AtomicU64,
}

/// A question that tries a source. Not waited for, it tried nothing.
struct Trying<'t> {
    turn: Option<&'t Turn>,
    is_urgent: bool,
}

impl Drop for Trying<'_> {
    fn drop(&mut self) {
        if let Some(turn) = self.turn {
            turn.rests.lock().unwrap_or_else(PoisonError::into_inner).give_up_trying(self.is_urgent);
        }
    }
}

impl QueuedSource {
    pub(super) fn new(
        runtime: &Runtime,
        name: &str,
        source: Arc<dyn SignalSource>,
        turn: Arc<Turn>,
        urgency: Urgency,
    ) -> Self {
        Self { runtime: runtime.clone(), name: name.to_owned(), source, turn, urgency, took: AtomicU64::new(0) }
    }

    /// How long its last answer took, without the wait for a turn.
    pub(in crate::usecases) fn took(&self) -> Duration {
        Duration::from_millis(self.took.load(Ordering::Relaxed))
    }

    /// Asks as soon as it is this question's turn.
    async fn ask<T: Send>(&self, asking: impl Future<Output = Result<T, ReadError>> + Send) -> Result<T, ReadError> {
        // Who waited may find that the source rests by now.
        self.must_not_rest()?;
        let closed = |_| self.broken("its queue is closed".to_owned());
        let _ordinary = match self.urgency {
            Urgency::Person | Urgency::Urgent => None,
            Urgency::Ordinary => Some(self.turn.ordinary.acquire().await.map_err(closed)?),
        };
        let _permit = self.turn.everybody.acquire().await.map_err(closed)?;
        let mut trying = self.may_ask()?;
        let place = self.place().await?;
        let began = std::time::Instant::now();
        let done = asking.await;
        self.took.store(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        drop(place);
        let is_trial = trying.turn.take().is_some();
        self.note(is_trial, done.as_ref().err()).await;
        done
    }

    fn is_urgent(&self) -> bool {
        self.urgency != Urgency::Ordinary
    }

    fn must_not_rest(&self) -> Result<(), ReadError> {
        if self.urgency == Urgency::Person {
            return Ok(());
        }
        let mut rests = self.turn.rests.lock().unwrap_or_else(PoisonError::into_inner);
        match rests.is_resting(self.is_urgent(), self.runtime.now()) {
            None => Ok(()),
            Some((until, detail)) => Err(self.resting(until, detail)),
        }
    }

    fn may_ask(&self) -> Result<Trying<'_>, ReadError> {
        let is_urgent = self.is_urgent();
        if self.urgency == Urgency::Person {
            return Ok(Trying { turn: None, is_urgent });
        }
        let may = self.turn.rests.lock().unwrap_or_else(PoisonError::into_inner).may(is_urgent, self.runtime.now());
        match may {
            May::Ask => Ok(Trying { turn: None, is_urgent }),
            May::Try => Ok(Trying { turn: Some(&self.turn), is_urgent }),
            May::Rest(until, detail) => Err(self.resting(until, detail)),
        }
    }

    async fn place(&self) -> Result<Option<account::Place>, ReadError> {
        let (Some(account), Some(budget)) = (&self.turn.account, self.turn.limits.budget) else { return Ok(None) };
        let limits = (self.turn.limits, budget);
        match account::take(&self.runtime, &self.name, account, limits, self.urgency).await {
            Ok(place) => place.map(Some),
            Err(error) => Err(self.broken(format!("its turns could not be counted: {}", error_chain(&error)))),
        }
    }

    /// Keeps what an answer says about the source, where everybody sees it.
    async fn note(&self, is_trial: bool, failure: Option<&ReadError>) {
        let (asked, now) = ((self.is_urgent(), is_trial), self.runtime.now());
        let changed = self.turn.rests.lock().unwrap_or_else(PoisonError::into_inner).note(asked, failure, now);
        if let Err(error) = self.keep(&changed).await {
            tracing::warn!(source = self.name, "How a source does could not be kept: {error}");
        }
    }

    async fn keep(&self, changed: &Changed) -> Result<()> {
        if *changed == Changed::Nothing {
            return Ok(());
        }
        let mut tx = self.runtime.write().await?;
        match changed {
            Changed::Nothing => {}
            Changed::WorksAgain => {
                tracing::info!(source = self.name, "A source works again");
                tx.source_state_delete(&self.name).await?;
            }
            Changed::Rests { failures, failing_since, until, last_error } => {
                tracing::warn!(source = self.name, failures, %until, "A source is left alone for a while: {last_error}");
                let state = SourceState {
                    source: self.name.clone(),
                    failures: i64::from(*failures),
                    failing_since: Instant(*failing_since),
                    rests_until: Instant(*until),
                    last_error: last_error.clone(),
                };
                tx.source_state_put(&state).await?;
            }
        }
        tx.commit().await
    }

    /// It was not asked, which is no failure of its own.
    fn resting(&self, until: Timestamp, detail: String) -> ReadError {
        let wait = std::time::Duration::try_from(until.duration_since(self.runtime.now())).unwrap_or_default();
        ReadError::Throttled { source_name: self.name.clone(), detail, retry_after: Some(wait) }
    }

    fn broken(&self, detail: String) -> ReadError {
        ReadError::Unreachable { source_name: self.name.clone(), detail }
    }
}

#[async_trait]
impl SignalSource for QueuedSource {
    async fn test(&self) -> Result<SourceReport, ReadError> {
        self.source.test().await
    }

    async fn level(&self, signal: &SignalSpec, window: Window) -> Result<Reading<ArmSums>, ReadError> {
        if self.turn.limits.budget.is_none() {
            return self.ask(self.source.level(signal, window)).await;
        }
        self.turn.levels.get(signal, window, self.urgency, self.ask(self.source.level(signal, window))).await
    }

    async fn by_variant(
        &self,
        signal: &SignalSpec,
        request: &VariantRequest,
    ) -> Result<Reading<Vec<VariantReading>>, ReadError> {
        self.ask(self.source.by_variant(signal, request)).await
    }

    async fn by_phase(
        &self,
        signal: &SignalSpec,
        requests: &[VariantRequest],
    ) -> Result<Vec<Reading<Vec<VariantReading>>>, ReadError> {
        self.ask(self.source.by_phase(signal, requests)).await
    }

    async fn by_part(
        &self,
        signal: &SignalSpec,
        requests: &[PartRequest],
    ) -> Result<Vec<Reading<Vec<VariantReading>>>, ReadError> {
        self.ask(self.source.by_part(signal, requests)).await
    }

    fn sealing(&self) -> Sealing {
        self.source.sealing()
    }

    async fn treated(&self, signal: &SignalSpec, flag_key: &str, window: Window) -> Result<Option<Treated>, ReadError> {
        self.ask(self.source.treated(signal, flag_key, window)).await
    }

    async fn list(&self) -> Result<Vec<MetricInfo>, ReadError> {
        self.ask(self.source.list()).await
    }

    fn limits(&self) -> SourceLimits {
        self.turn.limits
    }

    fn place(&self) -> Option<String> {
        self.source.place()
    }

    async fn clock(&self) -> Result<Option<Timestamp>, ReadError> {
        self.source.clock().await
    }
}
