//! Reading cohorts whose values are final, beside a poll: once, so that later polls need not; and again, for a source that corrects its
//! past. Nothing is written here.
//!
//! **Invariant**: no poll waits for it while there is danger, and none depends on it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, timeout, timeout_at};

use super::arms::requests;
use super::cohorts::{Known, Merging, SaidAgain, Series, compared, final_days, may_be_kept, sealed_contract};
use super::gathered::Gathered;
use super::sources::Job;
use crate::config::Config;
use crate::domain::{Contract, Reading, SealReason, SealedCohort, SignalSpec, VariantReading, Window};
use crate::error::{Error, Result, error_chain};
use crate::ids::CohortId;
use crate::ports::{PartRequest, Sealing, SignalSource, VariantRequest};
use crate::store::Tx;
use crate::usecases::Runtime;
use crate::usecases::kernel::phases::is_on;
use crate::usecases::kernel::turns::{Urgency, queued_source};
use crate::usecases::kernel::workspace_file::{is_pushed, reads_by_variant};

/// Longest that sealing takes beside one poll.
const TIME_LIMIT: Duration = Duration::from_mins(1);
/// Longest that a source's clock is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Days that are read by one statement.
const DAYS_AT_ONCE: usize = 8;
/// Cohorts that are read again by one statement.
const AGAIN_AT_ONCE: usize = 32;
/// Each cohort is read again after this time, and one of them each day.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);
/// A draw a day, however the polls lie.
const DRAWN_AFTER: SignedDuration = SignedDuration::from_hours(23);

/// What was read beside a poll.
#[derive(Debug, Default)]
pub(super) struct Sealed {
    new: Vec<SealedCohort>,
    checked: Vec<CohortId>,
    /// What the source corrected, as sentences.
    pub(super) corrected: Vec<String>,
}

/// A signal that is read in cohorts.
struct Subject<'a> {
    runtime: &'a Runtime,
    job: &'a Job,
    signal: &'a SignalSpec,
    contract: &'a Contract,
    source: &'a dyn SignalSource,
    series: Series,
    until: Instant,
    /// Of the poll.
    polled_at: Timestamp,
    /// By the source's clock.
    as_of: Timestamp,
}

/// Reads what became final, and again what was read before. A failure is no failure of the poll: it is tried again.
pub(super) async fn seal(runtime: &Runtime, config: &Config, job: &Job, gathered: &Gathered, now: Timestamp) -> Sealed {
    let mut sealed = Sealed::default();
    let until = Instant::now() + TIME_LIMIT;
    let is_compared = |position: usize, signal: &SignalSpec| match position {
        0 => job.plan.design.has_control(),
        _ => reads_by_variant(config, signal),
    };
    let all = job.plan.signals().enumerate();
    let mut signals: Vec<(usize, &SignalSpec)> =
        all.filter(|(at, signal)| !is_pushed(config, &signal.source) && is_compared(*at, signal)).collect();
    // Who waited longest comes first: a slow one keeps no other from its turn for ever.
    signals.sort_by_key(|(_, signal)| runtime.seals.last(job.experiment.id, &signal.name));
    for (position, signal) in signals {
        let is_begun = gathered.was_slow(position, &signal.name) || gathered.has_cohorts(position);
        if let Err(error) = seal_signal(runtime, config, job, signal, (is_begun, now, until), &mut sealed).await {
            let (experiment, signal) = (&job.experiment.slug, &signal.name);
            tracing::warn!(%experiment, signal, "Cohorts could not be sealed: {}", error_chain(&error));
        }
    }
    sealed
}

async fn seal_signal(
    runtime: &Runtime,
    config: &Config,
    job: &Job,
    signal: &SignalSpec,
    (is_begun, polled_at, until): (bool, Timestamp, Instant),
    sealed: &mut Sealed,
) -> Result<()> {
    let source = queued_source(runtime, config, &signal.source, Urgency::Ordinary).await?;
    let Some(contract) = sealed_contract(&*source, signal) else { return Ok(()) };
    if source.sealing() != Sealing::Always && !is_begun {
        return Ok(());
    }
    let series = Series::of(runtime, &*source, &job.experiment, signal).await?;
    let as_of = job.clocks.until(runtime, config, &signal.source, polled_at).await;
    let subject = Subject { runtime, job, signal, contract, source: &*source, series, until, polled_at, as_of };
    let requests = requests(&job.experiment, signal, &job.phases, as_of);
    // While the flag is off nothing hurries, and what is said decides whether it may go on again.
    let is_off = !is_on(&job.phases);
    let is_due = subject.due_again(is_off).next().is_some() || requests.iter().any(|of| !subject.days(of).is_empty());
    if !is_due || !(is_off || runtime.seals.begin(job.experiment.id, &signal.name, polled_at)) {
        return Ok(());
    }
    // What a source that is behind says of a day is not final, and only its clock tells.
    if !runtime.clock.is_virtual() && !matches!(timeout(PATIENCE, source.clock()).await, Ok(Ok(_))) {
        return Ok(());
    }
    for of in &requests {
        subject.seal_phase(of, sealed).await?;
    }
    subject.read_again(&requests, is_off, sealed).await
}

impl Subject<'_> {
    /// The days of a phase that are final and not sealed.
    fn days(&self, (phase, request): &(i32, VariantRequest)) -> Vec<Window> {
        let matures_after = self.contract.matures_after();
        let open = Known::of(&self.series.cohorts, matures_after, *phase, request).open;
        final_days(matures_after, open, request.as_of)
    }

    async fn seal_phase(&self, of: &(i32, VariantRequest), sealed: &mut Sealed) -> Result<()> {
        let (phase, request) = of;
        let days = self.days(of);
        let mut merging = Merging::default();
        for days in days.chunks(DAYS_AT_ONCE) {
            let Some(read) = self.ask(days.iter().map(|part| (request, *part))).await? else { return Ok(()) };
            for day in read {
                if let Some(reading) = merging.add(day, &self.signal.name)? {
                    sealed.new.push(self.cohort(*phase, SealReason::Final, reading));
                }
            }
        }
        // Too few units at the end of a phase are kept with those before them.
        let ended = request.window.to;
        let before = self.series.cohorts.iter().rfind(|cohort| cohort.phase == *phase);
        let is_end = days.last().is_some_and(|last| last.to == ended);
        if let Some(before) = before.filter(|_| is_end && merging.has_rest() && days.len() == 1) {
            let part = Window { from: before.window.from, to: ended };
            let Some(read) = self.ask([(request, part)].into_iter()).await? else { return Ok(()) };
            let merged = read.into_iter().filter(|reading| may_be_kept(&reading.data));
            sealed.new.extend(merged.map(|reading| self.cohort(*phase, SealReason::Merged, reading)));
        }
        Ok(())
    }

    /// The cohorts that are read again: all of them while the flag is off; else those whose week is over, else one of them, another one
    /// each day.
    fn due_again(&self, is_off: bool) -> impl Iterator<Item = &SealedCohort> {
        let (all, now) = (&self.series.cohorts, self.polled_at);
        let since = move |cohort: &SealedCohort| now.duration_since(cohort.checked_at);
        let was_drawn = all.iter().any(|cohort| cohort.checked_at != cohort.read_at && since(cohort) < DRAWN_AFTER);
        let is_week_over = all.iter().any(|cohort| since(cohort) >= AGAIN_AFTER);
        let day = now.as_second().div_euclid(24 * 3600);
        // Which one, nobody who writes the source knows beforehand: the id is random.
        let drawn = all.iter().min_by_key(|cohort| crate::digest::sha256_hex(format!("{day}/{}", cohort.id)));
        let drawn = drawn.filter(|_| !is_off && !is_week_over && !was_drawn).map(|cohort| cohort.id);
        all.iter().filter(move |cohort| is_off || since(cohort) >= AGAIN_AFTER || Some(cohort.id) == drawn)
    }

    async fn read_again(&self, requests: &[(i32, VariantRequest)], is_off: bool, sealed: &mut Sealed) -> Result<()> {
        let due: Vec<&SealedCohort> = self.due_again(is_off).collect();
        if !self.compare(&due, requests, sealed).await? {
            return Ok(());
        }
        // What was corrected once is not corrected day by day: units may have moved between them.
        let rest: Vec<&SealedCohort> =
            self.series.cohorts.iter().filter(|cohort| due.iter().all(|due| due.id != cohort.id)).collect();
        self.compare(&rest, requests, sealed).await?;
        let (experiment, signal) = (&self.job.experiment.slug, &self.signal.name);
        sealed.corrected.push(format!(
            "`{experiment}`: `{}` corrected what it had said of `{signal}` about units that were final; from now on the corrected numbers count",
            self.signal.source
        ));
        Ok(())
    }

    /// Reads cohorts again. Returns whether the source says something else of one.
    async fn compare(
        &self,
        cohorts: &[&SealedCohort],
        requests: &[(i32, VariantRequest)],
        sealed: &mut Sealed,
    ) -> Result<bool> {
        let of_phase = |cohort: &SealedCohort| requests.iter().find(|(phase, _)| *phase == cohort.phase);
        let known: Vec<(&SealedCohort, &VariantRequest)> =
            cohorts.iter().filter_map(|cohort| Some((*cohort, &of_phase(cohort)?.1))).collect();
        let mut is_corrected = false;
        for known in known.chunks(AGAIN_AT_ONCE) {
            let parts = known.iter().map(|(cohort, request)| (*request, cohort.window));
            let Some(read) = self.ask(parts).await? else { return Ok(is_corrected) };
            for ((cohort, _), reading) in known.iter().zip(read) {
                let (experiment, signal, from) = (&self.job.experiment.slug, &self.signal.name, cohort.window.from);
                match compared(&cohort.arms, &reading.data) {
                    SaidAgain::Same => sealed.checked.push(cohort.id),
                    SaidAgain::Deleted => {
                        tracing::info!(%experiment, signal, %from, "Units of a sealed cohort were deleted; it stays");
                        sealed.checked.push(cohort.id);
                    }
                    // It goes stale, and everything is read whole again.
                    SaidAgain::Other if !may_be_kept(&reading.data) => {
                        tracing::warn!(%experiment, signal, %from, "A corrected cohort has too few units to be kept");
                    }
                    SaidAgain::Other => {
                        is_corrected = true;
                        sealed.new.push(self.cohort(cohort.phase, SealReason::Corrected, reading));
                    }
                }
            }
        }
        Ok(is_corrected)
    }

    /// What the source says of parts; `None` where the time is over, or where it doubts what it says: that is not kept for ever.
    async fn ask(
        &self,
        parts: impl ExactSizeIterator<Item = (&VariantRequest, Window)>,
    ) -> Result<Option<Vec<Reading<Vec<VariantReading>>>>> {
        let n = parts.len();
        let parts: Vec<PartRequest> = parts.map(|(of, part)| PartRequest { of: of.clone(), part }).collect();
        if parts.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let Ok(read) = timeout_at(self.until, self.source.by_part(self.signal, &parts)).await else { return Ok(None) };
        let read = read.map_err(Error::from)?;
        Ok(Some(read).filter(|read| read.len() == n && read.iter().all(|reading| reading.warnings.is_empty())))
    }

    fn cohort(&self, phase: i32, reason: SealReason, reading: Reading<Vec<VariantReading>>) -> SealedCohort {
        SealedCohort {
            id: self.runtime.ids.next(),
            experiment: self.job.experiment.id,
            signal: self.signal.name.clone(),
            series: self.series.name.clone(),
            phase,
            window: reading.window,
            revision: self.series.next_revision(phase, reading.window.from),
            reason,
            arms: reading.data,
            as_of: self.as_of,
            read_at: self.polled_at,
            query_hash: reading.query_hash,
            raw_hash: reading.raw_hash,
            checked_at: self.polled_at,
        }
    }
}

/// Keeps what was read beside a poll.
pub(super) async fn store_sealed(tx: &mut Tx, sealed: &Sealed, now: Timestamp) -> Result<()> {
    for cohort in &sealed.new {
        tx.cohort_insert(cohort).await?;
    }
    for cohort in &sealed.checked {
        tx.cohort_checked(*cohort, now).await?;
    }
    Ok(())
}
