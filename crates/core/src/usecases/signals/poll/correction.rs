//! A source that restates its past is asked again what had been true at the earlier polls, so that the evidence is that of
//! the corrected path instead of none.
//!
//! **Invariant**: nothing that was stored is changed: what is read again is stored beside it, under keys of its own.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::arms::read_phases;
use super::gathered::Gathered;
use super::measurement::measurements;
use super::memory::running_of;
use super::sources::Job;
use crate::audit::EventKind;
use crate::config::Config;
use crate::domain::{Experiment, Outcome, Plan, Reading, SignalSpec, VariantReading};
use crate::error::{Code, Error, Result, error_chain};
use crate::evaluation::{Corrected, Poll, is_restated};
use crate::principal::Principal;
use crate::stats::RunningState;
use crate::store::{Origin, Tx};
use crate::usecases::Runtime;
use crate::usecases::kernel::event::new_event;
use crate::usecases::kernel::history::history_of;
use crate::usecases::kernel::raw_answer::keep_answer;
use crate::usecases::kernel::workspace_file::{is_pushed, reads_by_variant};

/// Most earlier polls that are asked about again.
const MAX_POLLS: usize = 60;
/// Longest that asking again may take, well within the lease of a round.
const TIME_LIMIT: Duration = Duration::from_mins(2);

/// What the sources say now about earlier polls.
#[derive(Debug, Default)]
pub(super) struct Reread {
    polls: Vec<RereadPoll>,
    /// Why there is nothing.
    pub(super) failure: Option<String>,
}

#[derive(Debug)]
struct RereadPoll {
    of: Timestamp,
    /// By position among the plan's signals (the primary first) and phase.
    readings: Vec<(usize, i32, Reading<Vec<VariantReading>>)>,
}

/// Asks the sources again about the earlier polls, when `poll` restates the past. A failure of any source leaves
/// nothing: half of a path would be another path.
pub(super) async fn reread(
    runtime: &Runtime,
    config: &Config,
    job: &Job,
    gathered: &Gathered,
    now: Timestamp,
) -> Result<Option<Reread>> {
    let Job { experiment, plan, .. } = job;
    let Some(poll) = gathered.poll(plan, experiment.launched_at.unwrap_or(now), now) else { return Ok(None) };
    if !running_of(experiment)?.is_some_and(|previous| is_restated(&poll, previous)) {
        return Ok(None);
    }
    let mut signals = Vec::new();
    for (index, signal) in plan.signals().enumerate() {
        if !is_pushed(config, &signal.source) && (index == 0 || reads_by_variant(config, signal)) {
            signals.push((index, signal));
        }
    }
    if signals.is_empty() {
        return Ok(Some(Reread::default()));
    }
    let mut tx = runtime.read().await?;
    let stored = history_of(&mut tx, experiment, plan).await?.polls();
    drop(tx);
    let mut times: Vec<(Timestamp, Timestamp)> = stored.iter().map(|p| (p.poll.as_of, p.polled_at)).collect();
    times.retain(|(as_of, polled_at)| *as_of < poll.as_of && *polled_at < now);
    times.sort_unstable();
    times.dedup_by_key(|(as_of, _)| *as_of);
    let asking = async {
        let mut polls = Vec::new();
        for (_, of) in thinned(&times, MAX_POLLS) {
            polls.push(reread_poll(runtime, config, experiment, &signals, gathered, of).await?);
        }
        Ok(polls)
    };
    let asked = match tokio::time::timeout(TIME_LIMIT, asking).await {
        Ok(asked) => asked,
        Err(_) => Err(Error::new(
            Code::SignalTimeout,
            format!("reading {} earlier polls again took longer than {} s", times.len(), TIME_LIMIT.as_secs()),
        )),
    };
    Ok(Some(match asked {
        Ok(polls) => Reread { polls, failure: None },
        Err(error) => {
            let text: String = error_chain(&error).chars().take(500).collect();
            tracing::warn!(experiment = %experiment.slug, "The past could not be read again: {text}");
            let failure = Some(format!("`{}`: the past could not be read again: {text}", experiment.slug));
            Reread { polls: Vec::new(), failure }
        }
    }))
}

async fn reread_poll(
    runtime: &Runtime,
    config: &Config,
    experiment: &Experiment,
    signals: &[(usize, &SignalSpec)],
    gathered: &Gathered,
    of: Timestamp,
) -> Result<RereadPoll> {
    let mut readings = Vec::new();
    for (index, signal) in signals {
        let read = read_phases(runtime, config, experiment, signal, &gathered.phases, of).await?;
        for (phase, reading) in read.by_phase {
            readings.push((*index, phase, reading));
        }
    }
    Ok(RereadPoll { of, readings })
}

/// Stores what was read again. Returns the number of readings.
pub(super) async fn store_reread(
    runtime: &Runtime,
    tx: &mut Tx,
    outcome: &Outcome,
    experiment: &Experiment,
    plan: &Plan,
    reread: &Reread,
    now: Timestamp,
) -> Result<usize> {
    let signals: Vec<&SignalSpec> = plan.signals().collect();
    let mut n_new = 0;
    for poll in &reread.polls {
        for (index, phase, reading) in &poll.readings {
            let Some(signal) = signals.get(*index) else { continue };
            keep_answer(tx, reading, now).await?;
            for measurement in measurements(runtime, outcome, experiment, signal, *phase, reading, now) {
                let arm = measurement.variant.map_or("", |variant| variant.as_str());
                let key = format!("reread/{:.6}/{}/{}/{phase}/{arm}/{now}", poll.of, experiment.id, signal.name);
                let origin = Origin::Reread(poll.of);
                n_new += usize::from(tx.measurement_insert_from(&measurement, origin, &key).await?);
            }
        }
    }
    Ok(n_new)
}

/// What the statistics remember before a poll that restates the past, from what is stored, and a line in the log about
/// it. `None` when no earlier poll is left: the epoch then begins empty.
pub(super) async fn correct(
    tx: &mut Tx,
    experiment: &Experiment,
    plan: &Plan,
    (poll, previous): (&Poll, &RunningState),
    reread: &Reread,
    now: Timestamp,
) -> Result<Option<RunningState>> {
    let corrected = history_of(tx, experiment, plan).await?.corrected(now, poll, Some(previous))?;
    let payload = json!({
        "at": now,
        "epoch": previous.epoch.saturating_add(1),
        "n_reread": reread.polls.len(),
        "n_replayed": corrected.as_ref().map_or(0, |corrected| corrected.n_polls),
        "failure": reread.failure,
    });
    let by = Principal::system("poll");
    tx.event_append(new_event(EventKind::ExperimentRestated, experiment.id.into(), &by, &payload)?, now).await?;
    Ok(corrected.map(|Corrected { state, .. }| state))
}

/// At most `limit` of them, evenly spread, the last one always among them.
fn thinned<T: Copy>(all: &[T], limit: usize) -> Vec<T> {
    let n = all.len();
    if n <= limit {
        return all.to_vec();
    }
    (1..=limit).filter_map(|i| all.get((i * n / limit).checked_sub(1)?).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::thinned;

    #[test]
    fn many_polls_are_thinned_evenly_and_the_newest_stays() {
        let all: Vec<usize> = (0..1000).collect();
        let kept = thinned(&all, 60);
        assert_eq!((kept.len(), kept.last()), (60, Some(&999)));
        let gaps: Vec<usize> = kept.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| (16..=17).contains(gap)), "{gaps:?}");
        assert_eq!(thinned(&all[..60], 60), all[..60]);
        assert_eq!(thinned(&all[..61], 60).len(), 60);
        assert!(thinned::<usize>(&[], 60).is_empty());
    }
}
