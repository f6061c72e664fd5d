//! What comes out of many runs.

use schemars::JsonSchema;
use serde::Serialize;

use super::input::DryRun;
use super::mishaps::Mishaps;
use super::play::{Ended, Ending};
use crate::domain::{FalseStops, PauseCause};
use crate::stats::{Direction, SrmLevel};

/// What comes out for one true effect. Shares are of all runs, in [0, 1].
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct EffectReport {
    /// The true effect, in metric units.
    pub effect: f64,
    /// Runs that ended with "ship".
    pub ship: f64,
    /// Runs that were paused because of harm.
    pub kill_harm: f64,
    /// Runs that ended because the declared effect was excluded.
    pub kill_futility: f64,
    /// Runs that a guardrail paused, though none was harmed: false stops.
    pub false_guardrail_stop: f64,
    /// Runs that reached the end of the plan without an answer.
    pub inconclusive: f64,
    /// Runs that were paused because the data looked wrong: the sum of `data_pauses`.
    pub held: f64,
    /// Mean days until the end of a run: until the pause, or until the gate about its result was answered.
    pub expected_days: f64,
    /// Share of the runs that had ended after each day, from day 1.
    pub ended_by_day: Vec<f64>,
    /// Runs that were paused, for whatever reason.
    pub paused: f64,
    /// Why runs were paused because of the data.
    pub data_pauses: DataPauses,
    /// When the flag went off; `None` unless the effect is harmful.
    pub harm_off: Option<HarmOff>,
}

/// Runs that were paused because of the data, by cause.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct DataPauses {
    /// Units did not arrive in the declared proportions.
    pub sample_ratio: f64,
    /// One arm had nobody.
    pub arm_without_exposure: f64,
    /// The source could not be read.
    pub source: f64,
    /// Another finding about the data.
    pub other: f64,
}

/// How long a harmful treatment stayed on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct HarmOff {
    /// Runs in which the flag went off, for whatever reason, before a human shipped it.
    pub share: f64,
    /// Mean days until then, over these runs; `None` without any.
    pub mean_days: Option<f64>,
    /// Days until half of all runs were off; `None` when fewer went off.
    pub median_days: Option<f64>,
    /// Days until nine in ten of all runs were off; `None` when fewer went off.
    pub p90_days: Option<f64>,
}

/// The report of a dry run.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct DryRunReport {
    /// Runs for each effect.
    pub replications: u32,
    /// Repeats the report.
    pub seed: u64,
    /// Looks at the data in a full run.
    pub n_polls: u32,
    /// Error rate of the test.
    pub alpha: f64,
    /// Share of runs without any effect that ended with "ship" or with "harm"; `None` when no effect of 0 was tried.
    pub false_alarm_rate: Option<f64>,
    /// Its Monte Carlo standard error at the nominal rate.
    pub standard_error: f64,
    /// Pauses in runs without any effect beside what is stated; `None` when no effect of 0 was tried.
    pub false_stops: Option<FalseStops>,
    /// What went wrong in every run.
    pub mishaps: Mishaps,
    /// By true effect, in the order given.
    pub effects: Vec<EffectReport>,
}

/// The pauses of runs without an effect, beside the budgets that the plan states (METRICS.md 3.2).
pub(super) fn false_stops(none: &EffectReport, dry_run: &DryRun) -> FalseStops {
    let DryRun { plan, guardrails, n_unplayed_guardrails, replications, .. } = dry_run;
    let is_guarded = !guardrails.is_empty() || *n_unplayed_guardrails > 0;
    FalseStops {
        share: none.paused,
        harm: none.kill_harm,
        guardrail: none.false_guardrail_stop,
        data: none.held,
        stated_harm: plan.harm_alpha.get(),
        stated_guardrail: if is_guarded { plan.guardrail_alpha.get() } else { 0.0 },
        stated_data: SrmLevel::FALSE_BLOCKS,
        standard_error: (none.paused * (1.0 - none.paused) / f64::from(*replications)).sqrt(),
        n_unplayed_guardrails: *n_unplayed_guardrails,
    }
}

/// Counts the runs of one effect.
#[derive(Debug)]
pub(super) struct Tally {
    effect: f64,
    is_harmful: bool,
    endings: Vec<Ending>,
    days: u64,
    ended: Vec<u32>,
    off_days: Vec<f64>,
}

impl Tally {
    /// `n_days`: the longest that a run can take.
    pub(super) fn new(effect: f64, direction: Direction, n_days: u32) -> Self {
        let is_harmful = match direction {
            Direction::Increase => effect < 0.0,
            Direction::Decrease => effect > 0.0,
        };
        let (endings, off_days) = (Vec::new(), Vec::new());
        Self { effect, is_harmful, endings, days: 0, ended: vec![0; n_days as usize], off_days }
    }

    pub(super) fn add(&mut self, run: &Ended) {
        self.endings.push(run.how);
        if let Some(ended) = self.ended.get_mut((run.day as usize).saturating_sub(1)) {
            *ended += 1;
        }
        self.days += u64::from(run.day);
        self.off_days.extend(run.off_at_days);
    }

    pub(super) fn report(mut self) -> EffectReport {
        let n = self.endings.len().max(1) as f64;
        let share = |is: fn(&Ending) -> bool| self.endings.iter().filter(|ending| is(ending)).count() as f64 / n;
        let data_pauses = DataPauses {
            sample_ratio: share(|ending| *ending == Ending::Paused(PauseCause::SampleRatio)),
            arm_without_exposure: share(|ending| *ending == Ending::Paused(PauseCause::ArmWithoutExposure)),
            source: share(|ending| {
                matches!(ending, Ending::Paused(PauseCause::QueryFailing | PauseCause::StaleSignal))
            }),
            other: share(|ending| {
                matches!(
                    ending,
                    Ending::Paused(
                        PauseCause::NobodyExposed | PauseCause::FlagDrift | PauseCause::DataHealth | PauseCause::Manual
                    )
                )
            }),
        };
        let (kill_harm, false_guardrail_stop) = (
            share(|ending| *ending == Ending::Paused(PauseCause::KillThreshold)),
            share(|ending| *ending == Ending::Paused(PauseCause::Constraint)),
        );
        let mut so_far = 0;
        let ended_by_day = self.ended.iter().map(|count| {
            so_far += count;
            f64::from(so_far) / n
        });
        EffectReport {
            effect: self.effect,
            ship: share(|ending| *ending == Ending::Ship),
            kill_harm,
            kill_futility: share(|ending| *ending == Ending::Futile),
            false_guardrail_stop,
            inconclusive: share(|ending| *ending == Ending::Inconclusive),
            held: data_pauses.sum(),
            expected_days: self.days as f64 / n,
            ended_by_day: ended_by_day.collect(),
            paused: share(|ending| matches!(ending, Ending::Paused(_))),
            data_pauses,
            harm_off: self.is_harmful.then(|| harm_off(&mut self.off_days, n)),
        }
    }
}

impl DataPauses {
    fn sum(self) -> f64 {
        self.sample_ratio + self.arm_without_exposure + self.source + self.other
    }
}

fn harm_off(days: &mut [f64], n_runs: f64) -> HarmOff {
    days.sort_by(f64::total_cmp);
    let n_off = days.len() as f64;
    let quantile = |share: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of runs")]
        let place = (share * n_runs).ceil() as usize;
        days.get(place.saturating_sub(1)).copied()
    };
    HarmOff {
        share: n_off / n_runs,
        mean_days: (n_off > 0.0).then(|| days.iter().sum::<f64>() / n_off),
        median_days: quantile(0.5),
        p90_days: quantile(0.9),
    }
}
