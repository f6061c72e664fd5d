//! The days of an outcome that are over and not known yet: read from the source after its level, at most some of them a round.
//!
//! First backwards from the activation, since the pattern of the week comes from the weeks before; then the days since, in their order.
//! **Invariant**: where a day since the activation is stored, everything before it was asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, timeout_at};

use super::source_clocks::SourceClocks;
use crate::config::Config;
use crate::domain::{ArmSums, Outcome, Reading, SignalSpec, Window};
use crate::error::{Result, error_chain};
use crate::ports::{ReadError, SignalSource};
use crate::store::Tx;
use crate::usecases::Runtime;
use crate::usecases::kernel::days::{DAY, day_after, days_between, store_day, stored_days};
use crate::usecases::kernel::turns::{Urgency, queued_source};
use crate::usecases::kernel::workspace_file::is_pushed;

/// Days before the activation that are looked at: eight weeks.
const DAYS_BEFORE: i64 = 56;
/// Days for which the day of a query waits before it is read: it is read once.
const QUERY_SETTLES: i32 = 2;
/// Days without anything before which the data have not begun.
const EMPTY_DAYS: usize = 7;
/// Most days of one outcome that are asked for in a round; the next round goes on.
const MAX_READS: usize = 28;
/// How long the source of one outcome is asked for days in a round.
const LONGEST: Duration = Duration::from_secs(10);

/// Days that were read and are to be stored.
#[derive(Debug, Default)]
pub(super) struct Days {
    new: Vec<Reading<ArmSums>>,
    /// Why the rest was not read, as a sentence; it is asked for again.
    pub(super) failure: Option<String>,
}

/// Reads the days of an active outcome that are over and not known yet, right after its level was read.
///
/// # Errors
/// When the database fails. A failing source is in the answer.
#[tracing::instrument(level = "debug", name = "poll.days", skip_all, fields(outcome = %outcome.spec.slug))]
pub(super) async fn ask_days(
    runtime: &Runtime,
    config: &Config,
    outcome: &Outcome,
    clocks: &SourceClocks,
) -> Result<Days> {
    let signal = &outcome.spec.signal;
    let Some(baseline) = &outcome.state.baseline else { return Ok(Days::default()) };
    if is_pushed(config, &signal.source) {
        return Ok(Days::default());
    }
    let known = stored_days(&mut runtime.read().await?, outcome).await?;
    let now = runtime.now();
    let activated_at = baseline.captured_at;
    // A metric says by itself how late its values are; of a query nobody knows it, and most tables are loaded within two nights.
    let settles = if signal.contract.is_some() { SignedDuration::ZERO } else { DAY * QUERY_SETTLES };
    let known_until = clocks.known(&signal.source, now).checked_sub(settles).unwrap_or(activated_at);
    let n_since = days_between(activated_at, known_until);
    let days = |numbers: &mut dyn Iterator<Item = i64>| {
        numbers.map(|number| day_after(activated_at, number)).collect::<Result<Vec<Window>>>()
    };
    let source = queued_source(runtime, config, &signal.source, Urgency::Ordinary).await?;
    let mut asked =
        Asked { source: &*source, signal, known: &known, new: Vec::new(), n_reads: 0, ends: Instant::now() + LONGEST };
    let done = asked.all(&days(&mut (1..=DAYS_BEFORE).map(|n| -n))?, &days(&mut (0..n_since))?).await;
    let failure =
        done.err().map(|error| format!("a day of `{}` from `{}`: {}", signal.name, signal.source, error_chain(&error)));
    Ok(Days { new: asked.new, failure })
}

/// Keeps the days that were read.
pub(super) async fn store_days(
    runtime: &Runtime,
    tx: &mut Tx,
    outcome: &Outcome,
    days: &Days,
    at: Timestamp,
) -> Result<()> {
    for day in &days.new {
        store_day(runtime, tx, outcome, day, at).await?;
    }
    Ok(())
}

/// A source that is asked for days.
struct Asked<'a> {
    source: &'a dyn SignalSource,
    signal: &'a SignalSpec,
    known: &'a BTreeMap<Timestamp, ArmSums>,
    new: Vec<Reading<ArmSums>>,
    n_reads: usize,
    ends: Instant,
}

/// What is known about a day.
enum Day {
    Known(ArmSums),
    /// The source answers that there is nothing, in a way that is no number.
    Nothing,
    /// Its turn comes in the next round.
    Later,
}

impl Day {
    /// Of bare values, a day without data is 0.
    fn is_empty(&self) -> bool {
        match self {
            Self::Known(ArmSums::Value { value }) => value.abs() <= 0.0,
            Self::Known(sums) => sums.value().is_none(),
            Self::Nothing | Self::Later => true,
        }
    }
}

impl Asked<'_> {
    /// `before`: the days before the activation, the last one first. `since`: those after it, in their order.
    async fn all(&mut self, before: &[Window], since: &[Window]) -> std::result::Result<(), ReadError> {
        let is_begun = since.iter().any(|day| self.known.contains_key(&day.to));
        let mut n_empty = 0;
        for day in before.iter().filter(|_| !is_begun) {
            let found = self.day(*day).await?;
            n_empty = if found.is_empty() { n_empty + 1 } else { 0 };
            match found {
                Day::Later => return Ok(()),
                // A sum over no rows is NULL and no number: the data have not begun.
                Day::Nothing => break,
                Day::Known(_) if n_empty >= EMPTY_DAYS => break,
                Day::Known(_) => {}
            }
        }
        for day in since {
            if matches!(self.day(*day).await?, Day::Later) {
                break;
            }
        }
        Ok(())
    }

    async fn day(&mut self, window: Window) -> std::result::Result<Day, ReadError> {
        if let Some(sums) = self.known.get(&window.to) {
            return Ok(Day::Known(*sums));
        }
        if self.n_reads >= MAX_READS {
            return Ok(Day::Later);
        }
        self.n_reads += 1;
        let Ok(answer) = timeout_at(self.ends, self.source.level(self.signal, window)).await else {
            return Ok(Day::Later);
        };
        match answer {
            // A day is kept: one that is another day, as of a project in another time zone, or that its source doubts, is none.
            Ok(reading) if reading.window != window || !reading.warnings.is_empty() => Err(ReadError::Shape {
                source_name: self.signal.source.clone(),
                signal: self.signal.name.clone(),
                problem: match reading.warnings.first() {
                    Some(doubt) => format!("it doubts the day itself: {doubt}"),
                    None => format!("of the day from {} it read {} to {}", window.from, reading.window.from, reading.window.to),
                },
                hint: "attainment rests on days of UTC: read them from a source that reads by instants, such as `type: sql`".to_owned(),
            }),
            Ok(reading) => {
                let sums = reading.data;
                self.new.push(reading);
                Ok(Day::Known(sums))
            }
            // Not kept, so that it is asked again; it must not take the turn of the days after it.
            Err(ReadError::Shape { .. }) => {
                self.n_reads -= 1;
                Ok(Day::Nothing)
            }
            Err(error) => Err(error),
        }
    }
}
