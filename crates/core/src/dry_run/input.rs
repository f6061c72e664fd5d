//! What is run, and whether it can be.

use super::mishaps::Mishaps;
use super::population::Population;
use crate::error::{Code, Error, Result};
use crate::stats::{HarmDirection, Margin, TestPlan};

/// One day of the metric without the experiment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Day {
    /// What units look like.
    pub population: Population,
    /// Units that enter the experiment, both arms together, > 0.
    pub units: f64,
}

/// A metric that must not get worse, at its own stated level.
#[derive(Debug, Clone, PartialEq)]
pub struct GuardrailPolicy {
    /// Its name.
    pub name: String,
    /// What units look like.
    pub population: Population,
    /// Which way is harm.
    pub harm_direction: HarmDirection,
    /// Tolerated harm.
    pub margin: Margin,
    /// Whether shipping needs the proof.
    pub must_prove: bool,
}

/// What is run.
#[derive(Debug, Clone)]
pub struct DryRun {
    /// The frozen plan; its `max_days` ends the run.
    pub plan: TestPlan,
    /// Share of the units that get the treatment, in (0, 1).
    pub treatment_share: f64,
    /// The days of the metric, repeated from the start when the plan is longer. At least one.
    pub days: Vec<Day>,
    /// Polls a day, at least 1.
    pub polls_per_day: u32,
    /// Metrics that must not get worse; none of them does.
    pub guardrails: Vec<GuardrailPolicy>,
    /// Further ones, which the plan's budget covers and nothing is known about: they are not played.
    pub n_unplayed_guardrails: usize,
    /// Whether the flag stays on after futility and the end of the plan (`on_conclusion: hold`).
    pub keeps_flag: bool,
    /// Whether it runs elsewhere and is only guarded: it is stopped, or its time ends.
    pub is_guarded: bool,
    /// What goes wrong in every run.
    pub mishaps: Mishaps,
    /// True effects that are tried, in metric units as measured: 0 for the false-alarm rate.
    pub effects: Vec<f64>,
    /// Runs for each effect, at least 1.
    pub replications: u32,
    /// Any number; the same gives the same report.
    pub seed: u64,
}

impl DryRun {
    /// The longest that a run can take: the plan, and a gate that is opened anew once before a late answer.
    pub(super) fn longest_days(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most two years")]
        let waiting = (2.0 * self.mishaps.answer_after_days).ceil() as u32;
        self.n_days() + waiting
    }

    pub(super) fn n_days(&self) -> u32 {
        self.plan.max_days.unwrap_or(28).max(1)
    }

    pub(super) fn check(&self) -> Result<()> {
        let bad = |what: &str, valid: &str| {
            Err(Error::new(Code::InvalidInput, format!("the dry run cannot start: {what}")).hint(valid.to_owned()))
        };
        if self.days.is_empty() || self.replications == 0 || self.polls_per_day == 0 {
            return bad("it has no days, no polls or no replications", "give at least one of each");
        }
        if self.polls_per_day > 1440 || self.n_days() > 3650 {
            return bad("it has too many polls", "at most 1440 polls a day and 3650 days");
        }
        if !(self.treatment_share > 0.0 && self.treatment_share < 1.0) {
            return bad("the share of the treatment is not between 0 and 1", "0.5 splits evenly");
        }
        if self.days.iter().any(|day| !(day.units > 0.0 && day.units <= 1e9)) {
            return bad("the daily units are not between 0 and a billion", "state the traffic of the experiment");
        }
        let mut all = self.days.iter().map(|day| &day.population).chain(self.guardrails.iter().map(|g| &g.population));
        if !all.all(Population::is_possible) || self.effects.iter().any(|effect| !effect.is_finite()) {
            return bad("a level is impossible", "a rate lies between 0 and 1, a standard deviation above 0");
        }
        if let Some((what, valid)) = self.mishaps.problem(self.n_days()) {
            return bad(what, valid);
        }
        Ok(())
    }
}
