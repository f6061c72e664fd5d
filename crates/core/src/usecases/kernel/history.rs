//! The history of an experiment: every poll as it is stored, and what the statistics make of them from the first to the last.
//!
//! **Invariant**: the sources are not asked and nothing is written; the same rows give the same path.
//!
//! What a poll knew and did not store is taken from where it left a trace: a flag that was not where it was put from the
//! log (it always pauses), and a source's doubt about its own answers from the latest evaluation (for SQL it follows from
//! the plan, so it holds for every poll). The value of a constraint that is read over the whole population counts where it
//! is stored with the experiment, as a reading without a variant.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use uuid::Uuid;

use super::phases::{has_full_day, scope_at, window_until};
use crate::digest::sha256_hex;
use crate::domain::{ArmSums, Capped, ConstraintBound, Evaluation, Experiment, Plan, Stored, Variant, VariantReading};
use crate::error::{Code, Error, Result};
use crate::evaluation::{
    Corrected, Guard, Judged, PhaseReadings, Poll, assess_poll, correct_past, evaluate_poll, is_restated,
};
use crate::ids::ExperimentId;
use crate::stats::{Evaluated, RunningState};
use crate::store::{AllocationPhase, Marks, Origin, Snapshot, StoredReading, Tx};

/// One poll as it is stored.
#[derive(Debug, Clone)]
pub struct HistoryPoll {
    /// When the sources were asked; for an experiment whose sources only push, when the reading came.
    pub polled_at: Timestamp,
    /// What the statistics are given.
    pub poll: Poll,
}

/// One poll and what follows from it and all before it.
#[derive(Debug, Clone)]
pub struct HistoryPoint {
    /// When the sources were asked.
    pub polled_at: Timestamp,
    /// What the statistics were given; `poll.as_of` identifies the poll.
    pub poll: Poll,
    /// What they made of it, `running` included.
    pub evaluated: Evaluated,
    /// What the cap of the metric did; absent without one.
    pub capped: Option<Capped>,
}

/// Everything that is stored about an experiment's readings.
pub(in crate::usecases) async fn history_of<'p>(
    tx: &mut Tx,
    experiment: &Experiment,
    plan: &'p Plan,
) -> Result<History<'p>> {
    let readings = tx.measurement_of_experiment(experiment.id).await?;
    let marks = marks_of(tx, experiment.id).await?;
    let latest = experiment.current_result.as_ref().map(Stored::read).transpose()?;
    Ok(History {
        plan,
        launched_at: experiment.launched_at,
        last_polled_at: latest.and_then(|result| result.polled_at),
        is_sampled: latest.is_some_and(Evaluation::is_sampled),
        readings: readings.iter().filter(|reading| is_counted(&marks, reading)).map(Snapshot::from).collect(),
        allocation: tx.phase_list(experiment.id).await?,
        drifts: marks.drifts,
    })
}

fn is_counted(marks: &Marks, StoredReading { measurement, origin }: &StoredReading) -> bool {
    marks.count(&measurement.signal, measurement.measured_at, origin.reread_of())
}

/// What the log says about an experiment's readings.
pub(in crate::usecases) async fn marks_of(tx: &mut Tx, experiment: ExperimentId) -> Result<Marks> {
    Ok(tx.reading_marks(experiment, after(experiment)).await?.remove(&experiment).unwrap_or_default())
}

/// The plan that was fixed at launch.
///
/// # Errors
/// [`Code::Conflict`] without one; [`Code::StateTampered`] when it is not the approved one.
pub(in crate::usecases) fn plan_of(experiment: &Experiment) -> Result<Plan> {
    let plan = experiment.plan.as_ref().ok_or_else(|| {
        Error::new(Code::Conflict, format!("experiment `{}` was never launched: it has no plan yet", experiment.slug))
            .hint("readings start with the launch")
    })?;
    approved(plan.read()?.clone(), experiment.state.plan_hash.as_deref())
}

/// The same from its text.
///
/// # Errors
/// [`Code::StateTampered`] when it is not the approved one.
pub(in crate::usecases) fn plan_from_text(text: &str, hash: Option<&str>) -> Result<Plan> {
    let unreadable = |e: serde_json::Error| tampered("the stored plan cannot be read").because(e);
    // SQLite keeps the text as it was written: sorted, without white space, and canonical but for the way of writing whole
    // numbers. Whatever text has the approved hash is the approved one, however it was found.
    let canonical = without_zero_fractions(text);
    if hash == Some(sha256_hex(&canonical).as_str()) {
        return serde_json::from_str(&canonical).map_err(unreadable);
    }
    approved(serde_json::from_str(text).map_err(unreadable)?, hash)
}

/// JSON whose numbers `1.0` are written `1`.
fn without_zero_fractions(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut is_in_string = false;
    let mut rest = text;
    while let Some(at) = rest.find(if is_in_string { &['"', '\\'][..] } else { &['"', '.'][..] }) {
        let (before, found) = rest.split_at(at);
        out.push_str(before);
        let is_zero = found.starts_with(".0") && found.get(2..).is_some_and(|tail| tail.starts_with([',', '}', ']']));
        let n_taken = match found.chars().next() {
            Some('"') => {
                is_in_string = !is_in_string;
                1
            }
            // What follows a backslash does not end a text.
            Some('\\') => 1 + found.chars().nth(1).map_or(0, char::len_utf8),
            _ if is_zero => 2,
            _ => 1,
        };
        let (taken, after) = found.split_at(n_taken);
        if !is_zero || is_in_string {
            out.push_str(taken);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

fn approved(plan: Plan, hash: Option<&str>) -> Result<Plan> {
    let found = plan.hash().map_err(|e| Error::new(Code::Internal, "a plan cannot be hashed").because(e))?;
    if hash == Some(found.as_str()) {
        return Ok(plan);
    }
    Err(tampered("the stored plan differs from the approved plan"))
}

fn tampered(message: &str) -> Error {
    Error::new(Code::StateTampered, message)
        .hint("another program wrote to the database; run `outcome-runtime audit verify`")
}

/// What one arm of a signal said in one phase; no arm is the whole population.
type Place<'a> = (&'a str, i32, Option<Variant>);

/// What the history of an experiment is made from.
#[derive(Debug, Clone)]
pub(in crate::usecases) struct History<'p> {
    /// Fixed at launch.
    pub plan: &'p Plan,
    /// When it went live.
    pub launched_at: Option<Timestamp>,
    /// When the latest evaluation was made.
    pub last_polled_at: Option<Timestamp>,
    /// The latest evaluation says that the source doubts its own answers.
    pub is_sampled: bool,
    /// Those that count, oldest first.
    pub readings: Vec<Snapshot>,
    /// In order.
    pub allocation: Vec<AllocationPhase>,
    /// When the flag was found where it had not been put.
    pub drifts: Vec<Timestamp>,
}

impl History<'_> {
    /// What the statistics made of every poll, from an empty memory.
    ///
    /// # Errors
    /// [`Code::Internal`] for a plan that never should have been approved.
    pub(in crate::usecases) fn points(&self) -> Result<Vec<HistoryPoint>> {
        let polls = self.polls();
        let mut path: Vec<HistoryPoint> = Vec::with_capacity(polls.len());
        for HistoryPoll { polled_at, poll } in polls {
            let previous: Option<&RunningState> = path.last().map(|last| &last.evaluated.running);
            let corrected = self.corrected(polled_at, &poll, previous)?;
            let before = corrected.as_ref().map(|corrected| &corrected.state).or(previous);
            if let Some(Judged { evaluated, capped, .. }) = evaluate_poll(self.plan, &poll, before)? {
                path.push(HistoryPoint { polled_at, poll, evaluated, capped });
            }
        }
        Ok(path)
    }

    /// The end of [`Self::points`], without words for the polls before. `None` before the first poll.
    ///
    /// # Errors
    /// As [`Self::points`].
    pub(in crate::usecases) fn latest(&self) -> Result<Option<HistoryPoint>> {
        let mut polls = self.polls();
        let Some(HistoryPoll { polled_at, poll }) = polls.pop() else { return Ok(None) };
        let mut state: Option<RunningState> = None;
        for earlier in &polls {
            if let Some(corrected) = self.corrected(earlier.polled_at, &earlier.poll, state.as_ref())? {
                state = Some(corrected.state);
            }
            assess_poll(self.plan, &earlier.poll, state.get_or_insert_default())?;
        }
        let corrected = self.corrected(polled_at, &poll, state.as_ref())?;
        let before = corrected.as_ref().map(|corrected| &corrected.state).or(state.as_ref());
        let evaluated = evaluate_poll(self.plan, &poll, before)?;
        Ok(evaluated.map(|Judged { evaluated, capped, .. }| HistoryPoint { polled_at, poll, evaluated, capped }))
    }

    /// What the statistics remember before a poll that restates the past; `None` where it does not, or nothing is left.
    ///
    /// # Errors
    /// As [`Self::points`].
    pub(in crate::usecases) fn corrected(
        &self,
        polled_at: Timestamp,
        poll: &Poll,
        previous: Option<&RunningState>,
    ) -> Result<Option<Corrected>> {
        match previous.filter(|previous| is_restated(poll, previous)) {
            Some(previous) => correct_past(self.plan, poll, &self.past(polled_at, poll), previous),
            None => Ok(None),
        }
    }

    /// The polls, oldest first, without those that have no testable reading of the primary signal.
    ///
    /// A source that is asked leaves its readings with the instant of the poll. One that pushes leaves them whenever they
    /// come, and a poll takes the newest. Where nothing is asked at all, every push of the primary signal up to the latest
    /// evaluation counts as a poll: more looks at the same data than were taken, never fewer.
    pub(in crate::usecases) fn polls(&self) -> Vec<HistoryPoll> {
        let times = self.times();
        let mut pushed: BTreeMap<Place<'_>, &Snapshot> = BTreeMap::new();
        let mut rest = self.readings.iter().peekable();
        let mut polls = Vec::with_capacity(times.len());
        for (i, polled_at) in times.iter().enumerate() {
            let mut here: BTreeMap<Place<'_>, &Snapshot> = BTreeMap::new();
            while let Some(reading) = rest.next_if(|reading| reading.measured_at <= *polled_at) {
                match reading.origin {
                    Origin::Pushed => pushed.insert(place(reading), reading),
                    Origin::Polled => here.insert(place(reading), reading),
                    Origin::Reread(_) => None,
                };
            }
            let known = pushed.iter().filter(|(place, _)| self.is_taken(place, *polled_at));
            let mut found: BTreeMap<Place<'_>, &Snapshot> = known.map(|(place, reading)| (*place, *reading)).collect();
            found.extend(here);
            let has_flag_drift = self.has_drifted(*polled_at, times.get(i + 1).copied());
            let signals = Signals { found, history: self };
            if let Some(poll) = signals.poll(*polled_at, self.is_sampled, has_flag_drift) {
                polls.push(HistoryPoll { polled_at: *polled_at, poll });
            }
        }
        polls
    }

    /// When the sources were asked; where they only push, when the primary signal came.
    fn times(&self) -> Vec<Timestamp> {
        // They are in order already.
        let mut times: Vec<Timestamp> =
            self.readings.iter().filter(|r| r.origin == Origin::Polled).map(|r| r.measured_at).collect();
        if times.is_empty() {
            let is_primary_push = |r: &&Snapshot| r.origin.is_pushed() && *r.signal == *self.plan.signal.name;
            times = self.readings.iter().filter(is_primary_push).map(|r| r.measured_at).collect();
            times.retain(|at| self.last_polled_at.is_some_and(|last| *at <= last));
        }
        times.dedup();
        times
    }

    /// The polls before `poll` as the sources told them by `polled_at`, oldest first: asked again at that instant, or the
    /// newest revision of each window that was pushed. Constraints that were not read again are missing.
    pub(in crate::usecases) fn past(&self, polled_at: Timestamp, poll: &Poll) -> Vec<Poll> {
        let mut asked: BTreeMap<Timestamp, BTreeMap<Place<'_>, &Snapshot>> = BTreeMap::new();
        let mut pushed: Vec<&Snapshot> = Vec::new();
        for reading in self.readings.iter().filter(|reading| reading.measured_at <= polled_at) {
            match reading.origin {
                Origin::Reread(of) if reading.measured_at == polled_at => {
                    asked.entry(of).or_default().insert(place(reading), reading);
                }
                Origin::Pushed => pushed.push(reading),
                Origin::Reread(_) | Origin::Polled => {}
            }
        }
        // The last one of a place wins: of the newest window the newest revision.
        pushed.sort_by_key(|reading| (reading.window_to, reading.measured_at));
        let mut times = self.times();
        if asked.is_empty() && !self.readings.iter().any(|reading| reading.origin == Origin::Polled) {
            let primary = pushed.iter().filter(|reading| *reading.signal == *self.plan.signal.name);
            times = primary.map(|reading| reading.window_to).collect::<BTreeSet<_>>().into_iter().collect();
            asked = times.iter().map(|of| (*of, BTreeMap::new())).collect();
        }
        let mut past = Vec::with_capacity(asked.len());
        let mut known: BTreeMap<Place<'_>, &Snapshot> = BTreeMap::new();
        let mut rest = pushed.into_iter().peekable();
        for (of, here) in asked {
            while let Some(reading) = rest.next_if(|reading| reading.window_to <= of) {
                known.insert(place(reading), reading);
            }
            let begun = known.iter().filter(|(place, _)| self.is_taken(place, of));
            let mut found: BTreeMap<Place<'_>, &Snapshot> = begun.map(|(place, reading)| (*place, *reading)).collect();
            found.extend(here);
            let next = times.get(times.partition_point(|at| *at <= of)).copied();
            let signals = Signals { found, history: self };
            if let Some(mut earlier) = signals.poll(of, poll.is_sampled, self.has_drifted(of, next)) {
                earlier.guards.retain(|guard| guard.level.is_some() || !guard.phases.is_empty());
                past.push(earlier);
            }
        }
        past
    }

    /// Whether a poll at this instant takes what was pushed for a place: of an arm, only where a source would be asked about the phase.
    fn is_taken(&self, (_, phase, variant): &Place<'_>, at: Timestamp) -> bool {
        let is_begun = |known: &AllocationPhase| match variant {
            Some(_) => window_until(known, at).is_some(),
            None => known.started_at.0 < at,
        };
        self.allocation.iter().any(|known| known.phase == *phase && is_begun(known))
    }

    fn has_drifted(&self, from: Timestamp, until: Option<Timestamp>) -> bool {
        self.drifts.iter().any(|at| *at >= from && until.is_none_or(|until| *at < until))
    }
}

fn place(reading: &Snapshot) -> Place<'_> {
    (&reading.signal, reading.phase, reading.variant)
}

/// What was known at one poll.
struct Signals<'a> {
    found: BTreeMap<Place<'a>, &'a Snapshot>,
    history: &'a History<'a>,
}

impl Signals<'_> {
    /// The poll that was made at this instant; `None` where nothing was read of the primary signal.
    fn poll(&self, polled_at: Timestamp, is_sampled: bool, has_flag_drift: bool) -> Option<Poll> {
        let plan = self.history.plan;
        let guards = plan.guardrails.iter().enumerate().map(|(index, guardrail)| Guard {
            index,
            phases: self.phases(&guardrail.signal.name),
            level: self.level(&guardrail.signal.name),
            is_full_day: has_full_day(&self.history.allocation, polled_at),
        });
        Some(Poll {
            as_of: self.as_of(&plan.signal.name, polled_at)?,
            phases: self.phases(&plan.signal.name),
            guards: guards.collect(),
            launched_at: self.history.launched_at.unwrap_or(polled_at),
            is_sampled,
            has_flag_drift,
            scope: scope_at(&self.history.allocation, polled_at, plan.shares_with_steps),
        })
    }

    fn of(&self, signal: &str) -> impl Iterator<Item = (i32, Option<Variant>, &Snapshot)> {
        let here = self.found.iter().filter(move |((name, ..), _)| *name == signal);
        here.map(|((_, phase, variant), reading)| (*phase, *variant, *reading))
    }

    fn phases(&self, signal: &str) -> Vec<PhaseReadings> {
        let mut phases: Vec<PhaseReadings> = Vec::new();
        for (phase, variant, reading) in self.of(signal) {
            let Some(variant) = variant else { continue };
            let arm = VariantReading { variant, sums: reading.sums, cohort: reading.cohort, units: reading.units };
            // The readings are in the order of their phases.
            match phases.last_mut().filter(|last| last.phase == phase) {
                Some(last) => last.arms.push(arm),
                None => phases.push(PhaseReadings { phase, treatment_pct: self.treatment_pct(phase), arms: vec![arm] }),
            }
        }
        phases
    }

    fn treatment_pct(&self, phase: i32) -> i32 {
        self.history.allocation.iter().find(|known| known.phase == phase).map_or(50, |known| known.treatment_pct)
    }

    fn level(&self, signal: &str) -> Option<ArmSums> {
        self.of(signal).find(|(_, variant, _)| variant.is_none()).map(|(.., reading)| reading.sums)
    }

    /// The end of the primary signal's windows, which identifies a poll; `None` where nothing was read of it.
    ///
    /// A source that is asked is asked about every phase that began, up to its own clock, also about one in which nobody has been seen
    /// yet; of that no reading is stored.
    fn as_of(&self, primary: &str, polled_at: Timestamp) -> Option<Timestamp> {
        let mut ends: BTreeMap<i32, Timestamp> = BTreeMap::new();
        let mut is_asked = false;
        for (phase, _, reading) in self.of(primary).filter(|(_, variant, _)| variant.is_some()) {
            is_asked |= !reading.origin.is_pushed();
            // Of a push the treatment's end counts, where there is one; control comes before it.
            ends.insert(phase, reading.window_to);
        }
        if is_asked {
            let asked = self.history.allocation.iter().filter_map(|phase| Some((phase, window_until(phase, polled_at)?)));
            return asked.map(|(phase, window)| ends.get(&phase.phase).copied().unwrap_or(window.to)).max();
        }
        ends.into_values().max()
    }
}

/// What was looked at and is not stored, as sentences: limits on a value of the whole population.
pub(in crate::usecases) fn unstored(plan: &Plan, is_stored: impl Fn(&str) -> bool) -> Vec<String> {
    let limits = plan.guardrails.iter().filter(|guardrail| matches!(guardrail.bound, ConstraintBound::Limits { .. }));
    limits
        .map(|guardrail| guardrail.signal.name.as_str())
        .filter(|name| !is_stored(name))
        .map(|name| format!("no reading of the constraint `{name}` is stored: its alert cannot be recomputed"))
        .collect()
}

/// The id behind an id: the end of a range of one.
pub(in crate::usecases) fn after(id: ExperimentId) -> ExperimentId {
    ExperimentId(Uuid::from_u128(id.0.as_u128().saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::without_zero_fractions;

    #[test]
    fn whole_numbers_lose_their_fraction_and_texts_do_not() {
        for (text, want) in [
            (r#"{"a":1.0,"b":[0.0,-2.0],"c":10.05,"d":1.0e5}"#, r#"{"a":1,"b":[0,-2],"c":10.05,"d":1.0e5}"#),
            (r#"{"a.0,":"x.0,","b":"\\","c":"\".0,"}"#, r#"{"a.0,":"x.0,","b":"\\","c":"\".0,"}"#),
            ("", ""),
            (r#""\"#, r#""\"#),
            ("1.0", "1.0"),
        ] {
            assert_eq!(without_zero_fractions(text), want);
        }
    }
}
