//! Everything that was read for one experiment in a round.

use jiff::Timestamp;

use super::weeks::Weeks;
use crate::domain::{ArmSums, Experiment, Plan, Reading, VariantReading};
use crate::error::Error;
use crate::evaluation::{Guard, PhaseReadings, Poll};
use crate::store::AllocationPhase;

/// Everything that was read for one experiment.
pub(super) struct Gathered {
    pub(super) phases: Vec<AllocationPhase>,
    pub(super) primary: Vec<(i32, Reading<Vec<VariantReading>>)>,
    /// Instead of `primary`, where there is no control group.
    pub(super) weeks: Option<Weeks>,
    pub(super) guards: Vec<GatheredGuard>,
    pub(super) failures: Vec<(String, Error)>,
    pub(super) drift: Option<String>,
}

pub(super) struct GatheredGuard {
    pub(super) index: usize,
    pub(super) by_variant: Vec<(i32, Reading<Vec<VariantReading>>)>,
    pub(super) level: Option<Reading<ArmSums>>,
}

impl Gathered {
    /// What the statistics are given; `None` without a reading of the primary signal.
    pub(super) fn poll(&self, plan: &Plan, experiment: &Experiment, now: Timestamp) -> Option<Poll> {
        let pct = |phase| self.phases.iter().find(|known| known.phase == phase).map_or(50, |known| known.treatment_pct);
        let phases = |readings: &[(i32, Reading<Vec<VariantReading>>)]| -> Vec<PhaseReadings> {
            let of = |(phase, reading): &(i32, Reading<Vec<VariantReading>>)| PhaseReadings {
                phase: *phase,
                treatment_pct: pct(*phase),
                arms: reading.data.clone(),
            };
            readings.iter().map(of).collect()
        };
        // A constraint that could not be read stays in: its required proof is then missing, and nothing ships.
        let guard = |index: usize| match self.guards.iter().find(|guard| guard.index == index) {
            Some(guard) => Guard {
                index,
                phases: phases(&guard.by_variant),
                level: guard.level.as_ref().map(|reading| reading.data),
            },
            None => Guard { index, phases: Vec::new(), level: None },
        };
        let as_of = match &self.weeks {
            Some(_) => now,
            None => self.primary.iter().map(|(_, reading)| reading.window.to).max()?,
        };
        Some(Poll {
            as_of,
            phases: phases(&self.primary),
            guards: (0..plan.guardrails.len()).map(guard).collect(),
            launched_at: experiment.launched_at.unwrap_or(now),
            is_sampled: self.primary.iter().any(|(_, reading)| !reading.warnings.is_empty()),
            has_flag_drift: self.drift.is_some(),
        })
    }
}
