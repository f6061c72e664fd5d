//! The path of an experiment: every poll as it is stored, and what the statistics make of them from the first to the last.
//!
//! **Invariant**: the sources are not asked and nothing is written; the same rows give the same path.
//!
//! What a poll knew and did not store is taken from where it left a trace: a flag that was not where it was put from the
//! log (it always pauses), and a source's doubt about its own answers from the latest evaluation (for SQL it follows from
//! the plan, so it holds for every poll). The value of a constraint that is read over the whole population counts where it
//! is stored with the experiment, as a reading without a variant.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::runtime::Runtime;
use crate::audit::LogEntry;
use crate::domain::{ArmSums, Experiment, Variant, VariantReading};
use crate::error::{Code, Error, Result};
use crate::evaluation::{Guard, PhaseReadings, Poll, evaluate_poll};
use crate::hypotheses::Plan;
use crate::stats::{Evaluated, RunningState};
use crate::store::{AllocationPhase, StoredReading, Tx};

/// Most log lines of one experiment that are read back.
const MAX_HISTORY: i64 = 1_000_000;

/// One poll as it is stored.
#[derive(Debug, Clone)]
pub struct StoredPoll {
    /// When the sources were asked; for an experiment whose sources only push, when the reading came.
    pub polled_at: Timestamp,
    /// What the statistics are given.
    pub poll: Poll,
}

/// One poll and what follows from it and all before it.
#[derive(Debug, Clone)]
pub struct ReplayedPoll {
    /// When the sources were asked.
    pub polled_at: Timestamp,
    /// What the statistics were given; `poll.as_of` identifies the poll.
    pub poll: Poll,
    /// What they made of it, `running` included.
    pub evaluated: Evaluated,
}

impl Runtime {
    /// Replays the statistics of an experiment over its stored readings.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::Conflict`] before its launch; [`Code::StateTampered`] for a plan that is not the
    /// approved one.
    pub async fn experiment_path(&self, reference: &str) -> Result<Vec<ReplayedPoll>> {
        let mut tx = self.read().await?;
        let experiment = Self::experiment_named(&mut tx, reference).await?;
        let plan = plan_of(&experiment)?;
        replay(&plan, Self::stored_polls(&mut tx, &experiment, &plan).await?)
    }

    /// The polls of an experiment, oldest first, as [`replay`] takes them. Polls without a reading of the primary signal
    /// are left out.
    pub(super) async fn stored_polls(tx: &mut Tx, experiment: &Experiment, plan: &Plan) -> Result<Vec<StoredPoll>> {
        let readings = tx.measurement_of_experiment(experiment.id).await?;
        let allocation = tx.phase_list(experiment.id).await?;
        let log = tx.event_of_subject(experiment.id.0, MAX_HISTORY).await?;
        Ok(polls_of(experiment, plan, &readings, &allocation, &log))
    }
}

/// Replays the statistics over polls, from an empty memory.
///
/// # Errors
/// [`Code::Internal`] for a plan that never should have been approved.
pub(super) fn replay(plan: &Plan, polls: Vec<StoredPoll>) -> Result<Vec<ReplayedPoll>> {
    let mut path: Vec<ReplayedPoll> = Vec::with_capacity(polls.len());
    for StoredPoll { polled_at, poll } in polls {
        let previous: Option<&RunningState> = path.last().map(|last| &last.evaluated.running);
        if let Some(evaluated) = evaluate_poll(plan, &poll, previous)? {
            path.push(ReplayedPoll { polled_at, poll, evaluated });
        }
    }
    Ok(path)
}

/// The plan that was fixed at launch.
///
/// # Errors
/// [`Code::Conflict`] without one; [`Code::StateTampered`] when it is not the approved one.
pub(super) fn plan_of(experiment: &Experiment) -> Result<Plan> {
    let value = experiment.plan.clone().ok_or_else(|| {
        Error::new(Code::Conflict, format!("experiment `{}` was never launched: it has no plan yet", experiment.slug))
            .hint("its readings begin with the launch")
    })?;
    let tampered = |message: &str| {
        Error::new(Code::StateTampered, message)
            .hint("somebody wrote into the database; run `outcome-runtime audit verify`")
    };
    let plan: Plan =
        serde_json::from_value(value).map_err(|e| tampered("the stored plan cannot be read").because(e))?;
    let hash = plan.hash().map_err(|e| Error::new(Code::Internal, "a plan cannot be hashed").because(e))?;
    if experiment.state.plan_hash.as_ref() == Some(&hash) {
        return Ok(plan);
    }
    Err(tampered("the stored plan is not the one that was approved"))
}

/// What one arm of a signal said in one phase; no arm is the whole population.
type Place = (String, i32, Option<Variant>);

/// Groups readings by poll.
///
/// A source that is asked leaves its readings with the instant of the poll. One that pushes leaves them whenever they
/// come, and a poll takes the newest. Where nothing is asked at all, every push of the primary signal up to the latest
/// evaluation counts as a poll: more looks at the same data than were taken, never fewer.
fn polls_of(
    experiment: &Experiment,
    plan: &Plan,
    readings: &[StoredReading],
    allocation: &[AllocationPhase],
    log: &[LogEntry],
) -> Vec<StoredPoll> {
    let is_asked = |reading: &&StoredReading| !reading.is_pushed;
    let is_primary_push = |reading: &&StoredReading| reading.measurement.signal == plan.signal.name;
    let mut times: BTreeSet<Timestamp> = readings.iter().filter(is_asked).map(|r| r.measurement.measured_at).collect();
    if times.is_empty() {
        let last = last_polled_at(experiment);
        times = readings.iter().filter(is_primary_push).map(|r| r.measurement.measured_at).collect();
        times.retain(|at| last.is_some_and(|last| *at <= last));
    }
    let drifts = flag_drifts(log);
    let is_sampled = is_sampled(experiment);
    let mut pushed: BTreeMap<Place, &StoredReading> = BTreeMap::new();
    let mut rest = readings.iter().peekable();
    let mut polls = Vec::with_capacity(times.len());
    let ends = times.iter().skip(1).map(Some).chain([None]);
    for (polled_at, next) in times.iter().zip(ends) {
        let mut here: BTreeMap<Place, &StoredReading> = BTreeMap::new();
        while let Some(reading) = rest.next_if(|reading| reading.measurement.measured_at <= *polled_at) {
            let m = &reading.measurement;
            let place = (m.signal.clone(), m.phase.unwrap_or(0), m.variant);
            if reading.is_pushed { &mut pushed } else { &mut here }.insert(place, reading);
        }
        let began = |phase: i32| allocation.iter().any(|known| known.phase == phase && known.started_at.0 < *polled_at);
        let known = pushed.iter().filter(|((_, phase, _), _)| began(*phase)).chain(&here);
        let found: BTreeMap<&Place, &StoredReading> = known.map(|(place, reading)| (place, *reading)).collect();
        let signals = Signals { found, allocation };
        let Some(as_of) = signals.as_of(&plan.signal.name, *polled_at) else { continue };
        let poll = Poll {
            phases: signals.phases(&plan.signal.name),
            guards: plan
                .guardrails
                .iter()
                .enumerate()
                .map(|(index, guardrail)| Guard {
                    index,
                    phases: signals.phases(&guardrail.signal.name),
                    level: signals.level(&guardrail.signal.name),
                })
                .collect(),
            launched_at: experiment.launched_at.unwrap_or(*polled_at),
            as_of,
            is_sampled,
            has_flag_drift: drifts.iter().any(|at| at >= polled_at && next.is_none_or(|next| at < next)),
        };
        polls.push(StoredPoll { polled_at: *polled_at, poll });
    }
    polls
}

/// What was known at one poll.
struct Signals<'a> {
    found: BTreeMap<&'a Place, &'a StoredReading>,
    allocation: &'a [AllocationPhase],
}

impl Signals<'_> {
    fn of<'s>(&'s self, signal: &'s str) -> impl Iterator<Item = (i32, Option<Variant>, &'s StoredReading)> {
        let here = self.found.iter().filter(move |((name, ..), _)| name == signal);
        here.map(|((_, phase, variant), reading)| (*phase, *variant, *reading))
    }

    fn phases(&self, signal: &str) -> Vec<PhaseReadings> {
        let mut phases: BTreeMap<i32, Vec<VariantReading>> = BTreeMap::new();
        for (phase, variant, reading) in self.of(signal) {
            if let Some(variant) = variant {
                phases.entry(phase).or_default().push(VariantReading { variant, sums: reading.measurement.sums });
            }
        }
        let pct = |phase| self.allocation.iter().find(|known| known.phase == phase).map_or(50, |k| k.treatment_pct);
        let readings = |(phase, arms)| PhaseReadings { phase, treatment_pct: pct(phase), arms };
        phases.into_iter().map(readings).collect()
    }

    fn level(&self, signal: &str) -> Option<ArmSums> {
        self.of(signal).find(|(_, variant, _)| variant.is_none()).map(|(.., reading)| reading.measurement.sums)
    }

    /// The end of the primary signal's windows, which identifies a poll; `None` where nothing was read of it.
    ///
    /// A source that is asked is asked about every phase that began, also one in which nobody has been seen yet.
    fn as_of(&self, primary: &str, polled_at: Timestamp) -> Option<Timestamp> {
        let mut ends: BTreeMap<i32, Timestamp> = BTreeMap::new();
        let mut is_asked = false;
        for (phase, _, reading) in self.of(primary).filter(|(_, variant, _)| variant.is_some()) {
            is_asked |= !reading.is_pushed;
            // Of a push the treatment's end counts, where there is one; control comes before it.
            ends.insert(phase, reading.measurement.window.to);
        }
        if is_asked {
            let begun = self.allocation.iter().filter(|phase| phase.started_at.0 < polled_at);
            return begun.map(|phase| phase.ended_at.map_or(polled_at, |ended| ended.0.min(polled_at))).max();
        }
        ends.into_values().max()
    }
}

/// When the latest evaluation was made.
fn last_polled_at(experiment: &Experiment) -> Option<Timestamp> {
    experiment.current_result.as_ref()?.get("polled_at")?.as_str()?.parse().ok()
}

/// Whether the latest evaluation says that the source doubts its own answers.
fn is_sampled(experiment: &Experiment) -> bool {
    let health = experiment.current_result.as_ref().and_then(|result| result.get("health")?.as_array());
    health.is_some_and(|findings| findings.iter().any(|f| f.get("code").and_then(Value::as_str) == Some("sampled")))
}

/// When a flag was found where it had not been put.
fn flag_drifts(log: &[LogEntry]) -> Vec<Timestamp> {
    log.iter()
        .filter(|line| line.kind == "experiment.auto_paused")
        .filter(|line| line.payload.get("cause").and_then(Value::as_str) == Some("flag_drift"))
        .map(|line| line.at)
        .collect()
}
