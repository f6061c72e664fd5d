//! Everything that was read for one experiment in a round.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::arms::ReadArms;
use super::flag_read::FlagRead;
use super::treated_off::TreatedOff;
use super::weeks::Weeks;
use crate::domain::{ArmSums, Plan, Reading, VariantReading};
use crate::error::{Code, Error};
use crate::evaluation::{Guard, PhaseReadings, Poll};
use crate::store::AllocationPhase;
use crate::usecases::kernel::phases::{has_full_day, is_on, scope_at};

/// Reading every unit of a metric at each poll may take this long (METRICS.md 10).
const SLOW: Duration = Duration::from_secs(5);

/// Everything that was read for one experiment. What is in none of its lists was not waited for.
pub(super) struct Gathered {
    pub(super) phases: Vec<AllocationPhase>,
    /// `None` until the primary signal was read.
    pub(super) primary: Option<Primary>,
    /// By position in the plan's guardrails.
    pub(super) guards: BTreeMap<usize, GatheredGuard>,
    /// By name of the signal.
    pub(super) failures: Vec<(String, Error)>,
    /// What the flag service says.
    pub(super) flag: FlagRead,
    /// Who is still shown the treatment of a flag that is off.
    pub(super) treated_off: Option<TreatedOff>,
}

/// The primary signal.
pub(super) enum Primary {
    /// Where a flag splits units.
    ByVariant(ReadArms),
    /// Where there is no control group.
    Weekly(Weeks),
}

#[derive(Default)]
pub(super) struct GatheredGuard {
    pub(super) by_variant: ReadArms,
    pub(super) level: Option<Reading<ArmSums>>,
}

impl Gathered {
    /// Where the flag is, when it is not where it was put.
    pub(super) fn drift(&self) -> Option<&str> {
        match &self.flag {
            FlagRead::Drift(drift) => Some(drift),
            FlagRead::NotAsked | FlagRead::InPlace | FlagRead::NotRead(_) => None,
        }
    }

    /// Why the flag is not seen where it was put, as a sentence.
    pub(super) fn flag_problem(&self) -> Option<String> {
        match &self.flag {
            FlagRead::Drift(drift) => Some(drift.clone()),
            FlagRead::NotRead(problem) => Some(format!("its flag cannot be read: {problem}")),
            FlagRead::NotAsked | FlagRead::InPlace => None,
        }
    }

    pub(super) fn new(phases: Vec<AllocationPhase>) -> Self {
        Self {
            phases,
            primary: None,
            guards: BTreeMap::new(),
            failures: Vec::new(),
            flag: FlagRead::NotAsked,
            treated_off: None,
        }
    }

    /// The primary signal's readings by variant; empty where there are none.
    pub(super) fn by_variant(&self) -> &[(i32, Reading<Vec<VariantReading>>)] {
        match &self.primary {
            Some(Primary::ByVariant(read)) => &read.by_phase,
            Some(Primary::Weekly(_)) | None => &[],
        }
    }

    /// Whether some of a signal's units were not read, because what they came to was known. By its position among the plan's signals.
    pub(super) fn has_cohorts(&self, position: usize) -> bool {
        self.arms_of(position).is_some_and(|read| read.has_cohorts)
    }

    /// What was read by variant of a signal, by its position among the plan's signals.
    fn arms_of(&self, position: usize) -> Option<&ReadArms> {
        match (position.checked_sub(1), &self.primary) {
            (None, Some(Primary::ByVariant(read))) => Some(read),
            (None, _) => None,
            (Some(index), _) => self.guards.get(&index).map(|guard| &guard.by_variant),
        }
    }

    /// Whether reading every unit of a signal took long, or longer than its source allows. By its position among the plan's signals.
    pub(super) fn was_slow(&self, position: usize, name: &str) -> bool {
        let took = self.arms_of(position).map_or(Duration::ZERO, |read| read.took);
        let has_timed_out = |(signal, error): &(String, Error)| signal == name && error.code() == Code::SignalTimeout;
        took > SLOW || self.failures.iter().any(has_timed_out)
    }

    /// The primary signal's weeks, where there is no control group.
    pub(super) fn weeks(&self) -> Option<&Weeks> {
        match &self.primary {
            Some(Primary::Weekly(weeks)) => Some(weeks),
            Some(Primary::ByVariant(_)) | None => None,
        }
    }

    /// What the statistics are given; `None` without a reading of the primary signal.
    pub(super) fn poll(&self, plan: &Plan, launched_at: Timestamp, now: Timestamp) -> Option<Poll> {
        let as_of = match &self.primary {
            Some(Primary::Weekly(_)) => now,
            Some(Primary::ByVariant(read)) => {
                read.by_phase.iter().map(|(phase, reading)| self.end(*phase, reading, now)).max()?
            }
            None => return None,
        };
        Some(Poll { as_of, ..self.guards_alone(plan, launched_at, now) })
    }

    /// Until when a reading of a phase counts. One without a unit is not stored, so its end must follow from the phase alone; of the
    /// others it is what the source was asked for, which is up to its own clock.
    fn end(&self, phase: i32, reading: &Reading<Vec<VariantReading>>, now: Timestamp) -> Timestamp {
        let ended = self.phases.iter().find(|known| known.phase == phase).and_then(|known| known.ended_at);
        match (reading.data.is_empty(), ended) {
            (false, _) => reading.window.to,
            (true, Some(ended)) => ended.0.min(now),
            (true, None) => now,
        }
    }

    /// The same with whatever was read.
    pub(super) fn guards_alone(&self, plan: &Plan, launched_at: Timestamp, now: Timestamp) -> Poll {
        let is_full_day = has_full_day(&self.phases, now);
        // A constraint that could not be read stays in: its required proof is then missing, and nothing ships.
        let guard = |index: usize| match self.guards.get(&index) {
            Some(guard) => Guard {
                index,
                phases: self.with_shares(&guard.by_variant.by_phase),
                level: guard.level.as_ref().map(|reading| reading.data),
                is_full_day,
            },
            None => Guard { index, phases: Vec::new(), level: None, is_full_day },
        };
        let readings = self.by_variant();
        Poll {
            as_of: now,
            phases: self.with_shares(readings),
            guards: (0..plan.guardrails.len()).map(guard).collect(),
            launched_at,
            is_sampled: readings.iter().any(|(_, reading)| !reading.warnings.is_empty()),
            // Of a flag that is off, it says nothing about who is in which arm.
            has_flag_drift: self.drift().is_some() && is_on(&self.phases),
            scope: scope_at(&self.phases, now, plan.shares_with_steps),
        }
    }

    fn with_shares(&self, readings: &[(i32, Reading<Vec<VariantReading>>)]) -> Vec<PhaseReadings> {
        let pct = |phase| self.phases.iter().find(|known| known.phase == phase).map_or(50, |known| known.treatment_pct);
        let of = |(phase, reading): &(i32, Reading<Vec<VariantReading>>)| PhaseReadings {
            phase: *phase,
            treatment_pct: f64::from(pct(*phase)),
            arms: reading.data.clone(),
        };
        readings.iter().map(of).collect()
    }
}
