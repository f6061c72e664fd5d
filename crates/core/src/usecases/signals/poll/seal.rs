//! Reading cohorts whose values are final, beside a poll: once, so that later polls need not; and some of them again, for a source that
//! corrects its past. Nothing is written here.
//!
//! **Invariant**: no poll waits for it while there is danger, and none depends on it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, timeout_at};

use super::arms::requests;
use super::cohorts::{
    Known, Merging, SaidAgain, compared, final_days, is_new_day, sealed_contract, sealed_of, series_of,
};
use super::gathered::Gathered;
use super::memory::running_of;
use super::sources::Job;
use crate::config::Config;
use crate::domain::{Contract, Design, Reading, SealedCohort, SignalSpec, VariantReading};
use crate::error::{Error, Result, error_chain};
use crate::ids::CohortId;
use crate::ports::{PartRequest, Sealing, SignalSource, VariantRequest};
use crate::store::Tx;
use crate::usecases::Runtime;
use crate::usecases::kernel::turns::{Urgency, queued_source};
use crate::usecases::kernel::workspace_file::{is_pushed, reads_by_variant};

/// Longest that sealing takes beside one poll.
const TIME_LIMIT: Duration = Duration::from_mins(1);
/// Days that are read by one statement.
const DAYS_AT_ONCE: usize = 8;
/// Each cohort is read again after this time, and one of them each day.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Most cohorts of a signal that are read again beside one poll.
const MAX_AGAIN: usize = 16;

/// What was read beside a poll.
#[derive(Debug, Default)]
pub(super) struct Sealed {
    new: Vec<SealedCohort>,
    checked: Vec<CohortId>,
    /// What the source corrected, as sentences.
    pub(super) restated: Vec<String>,
}

/// A signal that is read in cohorts.
struct Subject<'a> {
    runtime: &'a Runtime,
    job: &'a Job,
    signal: &'a SignalSpec,
    contract: &'a Contract,
    source: &'a dyn SignalSource,
    series: String,
    until: Instant,
    now: Timestamp,
}

/// Reads what became final since the last poll. A failure is no failure of the poll: it is tried again on the next day.
pub(super) async fn seal(runtime: &Runtime, config: &Config, job: &Job, gathered: &Gathered, now: Timestamp) -> Sealed {
    let mut sealed = Sealed::default();
    let until = Instant::now() + TIME_LIMIT;
    for (position, signal) in job.plan.signals().enumerate() {
        let is_compared = match position {
            0 => job.plan.design == Design::Randomised,
            _ => reads_by_variant(config, signal),
        };
        if is_pushed(config, &signal.source) || !is_compared {
            continue;
        }
        let is_slow = gathered.was_slow(position, &signal.name);
        if let Err(error) = seal_signal(runtime, config, job, signal, (is_slow, now, until), &mut sealed).await {
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
    (is_slow, now, until): (bool, Timestamp, Instant),
    sealed: &mut Sealed,
) -> Result<()> {
    let source = queued_source(runtime, config, &signal.source, Urgency::Ordinary)?;
    let Some(contract) = sealed_contract(&*source, signal) else { return Ok(()) };
    let known = sealed_of(runtime, job.experiment.id, signal).await?;
    let is_wanted = source.sealing() == Sealing::Always || is_slow || !known.is_empty();
    let now = job.clocks.until(runtime, config, &signal.source, now).await;
    let last = running_of(&job.experiment)?.and_then(|running| Timestamp::from_second(running.as_of?).ok());
    let is_due = is_new_day(contract.matures_after(), last, now) || (is_slow && known.is_empty());
    if !is_wanted || !is_due {
        return Ok(());
    }
    let series = series_of(signal)?;
    let subject = Subject { runtime, job, signal, contract, source: &*source, series, until, now };
    let requests = requests(&job.experiment, signal, &job.phases, now);
    for (phase, request) in &requests {
        subject.seal_phase(&known, *phase, request, sealed).await?;
    }
    for cohort in due_again(&known, now) {
        let of_phase = requests.iter().find(|(phase, _)| *phase == cohort.phase);
        if let Some((_, request)) = of_phase {
            subject.read_again(cohort, request, sealed).await?;
        }
    }
    Ok(())
}

impl Subject<'_> {
    async fn seal_phase(
        &self,
        known: &[SealedCohort],
        phase: i32,
        request: &VariantRequest,
        sealed: &mut Sealed,
    ) -> Result<()> {
        let open = Known::of(known, self.contract.matures_after(), phase, request).open;
        let days = final_days(self.contract.matures_after(), open, request.as_of);
        let mut merging = Merging::default();
        for days in days.chunks(DAYS_AT_ONCE) {
            let parts: Vec<_> = days.iter().map(|part| PartRequest { of: request.clone(), part: *part }).collect();
            for day in self.ask(&parts).await? {
                // A number that its source doubts is not kept for ever.
                if !day.warnings.is_empty() {
                    return Ok(());
                }
                if let Some(reading) = merging.add(day, &self.signal.name)? {
                    sealed.new.push(self.cohort(phase, 0, reading));
                }
            }
        }
        Ok(())
    }

    async fn read_again(&self, known: &SealedCohort, request: &VariantRequest, sealed: &mut Sealed) -> Result<()> {
        let parts = [PartRequest { of: request.clone(), part: known.window }];
        let Some(reading) = self.ask(&parts).await?.into_iter().next() else { return Ok(()) };
        if !reading.warnings.is_empty() {
            return Ok(());
        }
        let (experiment, signal) = (&self.job.experiment.slug, &self.signal.name);
        match compared(&known.arms, &reading.data) {
            SaidAgain::Same => sealed.checked.push(known.id),
            SaidAgain::Deleted => {
                tracing::info!(%experiment, signal, from = %known.window.from, "Units of a sealed cohort were deleted; it stays");
                sealed.checked.push(known.id);
            }
            SaidAgain::Other => {
                sealed.restated.push(format!(
                    "`{experiment}`: `{}` corrected what it had said of `{signal}` about {} to {}; from now on the corrected numbers count",
                    self.signal.source, known.window.from, known.window.to
                ));
                sealed.new.push(self.cohort(known.phase, known.revision.saturating_add(1), reading));
            }
        }
        Ok(())
    }

    async fn ask(&self, parts: &[PartRequest]) -> Result<Vec<Reading<Vec<VariantReading>>>> {
        let asked = timeout_at(self.until, self.source.by_part(self.signal, parts));
        match asked.await {
            Ok(readings) => readings.map_err(Error::from),
            // The rest is read on another day.
            Err(_) => Ok(Vec::new()),
        }
    }

    fn cohort(&self, phase: i32, revision: i32, reading: Reading<Vec<VariantReading>>) -> SealedCohort {
        let now = self.runtime.now();
        SealedCohort {
            id: self.runtime.ids.next(),
            experiment: self.job.experiment.id,
            signal: self.signal.name.clone(),
            series: self.series.clone(),
            phase,
            window: reading.window,
            revision,
            arms: reading.data,
            as_of: self.now,
            read_at: now,
            query_hash: reading.query_hash,
            raw_hash: reading.raw_hash,
            checked_at: now,
        }
    }
}

/// The cohorts that are read again: those whose week is over, else one of them, another one each day.
fn due_again(known: &[SealedCohort], now: Timestamp) -> Vec<&SealedCohort> {
    let mut due: Vec<&SealedCohort> =
        known.iter().filter(|cohort| now.duration_since(cohort.checked_at) >= AGAIN_AFTER).collect();
    due.sort_by_key(|cohort| cohort.checked_at);
    due.truncate(MAX_AGAIN);
    if due.is_empty() && !known.is_empty() {
        let day = now.as_second().div_euclid(24 * 3600);
        // Which one, nobody who writes the source knows beforehand: the id is random.
        let drawn = known.iter().min_by_key(|cohort| crate::digest::sha256_hex(&format!("{day}/{}", cohort.id)));
        due.extend(drawn);
    }
    due
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
