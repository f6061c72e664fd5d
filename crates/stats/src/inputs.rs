//! What [`evaluate`](super::evaluate()) is given: the frozen plan, one poll's sums, and what is known about the data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Guardrail, Phase, Scale, Scope, SeriesRules, TestPlan};

/// What the connectors know about the quality of a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DataHealth {
    /// The reading failed or is older than the plan allows.
    pub is_stale: bool,
    /// The source says that it sampled.
    pub is_sampled: bool,
    /// The flag service does not split traffic as declared.
    pub has_flag_drift: bool,
    /// Whether what was counted are different units.
    pub units: UnitCheck,
    /// Units of the phase with the largest share of them that saw both arms, as the user's own query says.
    pub n_both: u64,
    /// All units of that phase.
    pub n_both_of: u64,
    /// Another running experiment has exactly the same numbers.
    pub has_numbers_of_another: bool,
    /// More than one of twenty units of the newest phase saw both arms in it, and there are enough of them to say so.
    pub is_both_now: bool,
    /// The same of units that saw neither arm.
    pub is_unknown_now: bool,
}

/// Whether what a query of the user's own counted are different units: a unit is counted once, and its rows are no units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum UnitCheck {
    /// There is nothing to ask: the query counts units by construction, or the plan is of a time when nobody asked.
    #[default]
    NotAsked,
    /// The query does not say how many different units it counted.
    Unchecked,
    /// It says so.
    Counted {
        /// What was counted as units, in all arms and phases.
        n: u64,
        /// Different units among them; the same as `n` where units were counted.
        n_units: u64,
    },
}

/// What is known about the units of a poll beyond their sums.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cohorts<'a> {
    /// Cumulative sums of the units that are mature and whole: their window is over and the flag was not changed during it. The same
    /// phases as [`Evaluation::phases`], which holds all units that were exposed so far.
    pub claimed: &'a [Phase],
    /// Whether the values of units that are not mature yet may be judged for harm: they can only grow.
    pub judges_so_far: bool,
    /// Largest share of the units of a phase that saw both arms within it, 0 to 1.
    pub both_share: f64,
    /// Largest share of the units of a phase that were only seen with something that is neither arm, 0 to 1.
    pub other_share: f64,
}

/// One poll of one comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation<'a> {
    /// Frozen at launch.
    pub plan: &'a TestPlan,
    /// Cumulative sums of each allocation phase, all phases since launch.
    pub phases: &'a [Phase],
    /// What is known about the units; `None` where all of them may be claimed on, as far as is known.
    pub cohorts: Option<Cohorts<'a>>,
    /// Time since launch, in days.
    pub elapsed_days: f64,
    /// The instant the data are as of, in Unix seconds. It identifies the poll: evaluating the same reading again
    /// must pass the same value, whatever the clock says then.
    pub as_of: i64,
    /// All guardrails, with the reading of this poll.
    pub guardrails: &'a [Guardrail<'a>],
    /// What is known about the quality of the reading.
    pub health: DataHealth,
    /// Which phases count for what.
    pub scope: Scope,
}

impl<'a> Evaluation<'a> {
    /// The phases that claims rest on.
    pub(super) fn claims(&self) -> &'a [Phase] {
        self.scope.claims(self.cohorts.map_or(self.phases, |cohorts| cohorts.claimed))
    }
}

/// Block means of one series around an intervention, in time order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Blocks<'a> {
    /// Before it.
    pub pre: &'a [f64],
    /// After it.
    pub post: &'a [f64],
    /// Level to hold against.
    pub target: f64,
    /// How they are compared.
    pub rules: SeriesRules,
    /// How the levels are written.
    pub scale: &'a Scale,
}
