//! Always-valid statistics: from cumulative sums per arm to a recommendation. Formulas and their sources are in STATS.md.
//!
//! **Invariant**: everything here is pure. No I/O, no clock, no randomness, and no other crate of ours. For any
//! finite input nothing panics and no result holds a NaN or an infinity; an unbounded side of an interval is `None`.
//!
//! Convention: control is arm a, treatment is arm b, an effect is treatment minus control. Evidence is kept as natural
//! logarithms, since an e-value overflows long before the data stop being plausible.
//!
//! The rest of the runtime uses three doors: [`evaluate()`] for a running experiment, [`assess()`] for the same without
//! words in a loop, and [`feasibility`] for a planned one.
//!
//! ```text
//! arms (sums) -> moments | ratio | cuped -> contrast -> phases -> mixture -> running -> decide
//!            start_gate ---------^              \-> lift          srm, guardrail ---^
//! ```

#![warn(missing_docs)]

mod arms;
mod assess;
mod assessment;
mod attainment;
mod before_after;
mod confidence_sequence;
mod contrast;
mod counts;
mod cuped;
mod cut_normal;
mod decide;
mod deletions;
mod detectable;
mod error;
mod eval_json;
mod evaluate;
mod evaluated;
pub mod figures;
mod group_sequential;
mod guardrail;
mod guardrail_result;
mod harm;
mod health;
mod inputs;
mod interval;
mod lasting;
mod lift;
mod limit;
mod log_space;
mod mixture;
mod moments;
mod multiplicity;
mod next_words;
mod normal;
mod outlook;
mod params;
mod phases;
mod plan_constant;
mod quantile;
mod rare_events;
mod rate;
mod ratio;
mod running;
mod sample_size;
mod scope;
mod score_process;
mod series;
mod series_rules;
mod shares;
mod ship_constant;
mod ship_record;
mod ship_test;
mod shown_interval;
mod splits;
mod srm;
mod start_gate;
mod state;
mod test_plan;
#[cfg(feature = "testing")]
pub mod testing;
mod tuning;
mod two_arm;
mod value_limit;
mod wording;

pub use arms::ArmSums;
pub use assess::{Assessed, assess};
pub use assessment::Assessment;
pub use attainment::{AttainmentInput, AttainmentTest, Attempt, attainment};
pub use before_after::{BeforeAfter, ComparedWith, Placebo, against_trend, before_after, placebo_in_time};
pub use confidence_sequence::{RStar, boundary, r_star};
pub use contrast::{Contrast, Estimate};
pub use counts::{CountTest, Counted, RARE_RATE, count_test, count_test_over};
pub use cuped::{CupedAdjustment, CupedArm, cuped};
pub use decide::{DecideInput, GuardrailFlags, GuardrailSummary, Recommendation, decide};
pub use deletions::explain as are_deletions;
pub use detectable::detectable_effect;
pub use error::{InvalidInput, StartGate, StatsError, Status};
pub use eval_json::eval_line;
pub use evaluate::{evaluate, evaluate_before_after};
pub use evaluated::{Advice, Evaluated};
pub use figures::Scale;
pub use guardrail::{
    Comparison, Counts, Guardrail, GuardrailReading, GuardrailTest, HarmDirection, Margin, guardrail_test,
};
pub use guardrail_result::{GuardrailNumbers, GuardrailResult};
pub use harm::HarmTest;
pub use health::{HealthCode, HealthFinding, Severity, is_drift_alone};
pub use inputs::{Blocks, Cohorts, DataHealth, Evaluation, UnitCheck};
pub use interval::Interval;
pub use lasting::Lasting;
pub use lift::{DeltaMethodLift, delta_method_lift, fieller_lift, relative_lift};
pub use limit::Limit;
pub use mixture::{MixtureTest, Settings, ln_e_one_sided, ln_e_two_sided, mixture_test};
pub use moments::Moments;
pub use multiplicity::{EBh, adjust_running_max, benjamini_hochberg, bonferroni, e_benjamini_hochberg, holm};
pub use outlook::{Finding, MAX_FACTOR, Outlook, OutlookInput, futility_upper, outlook, until_testable};
pub use params::{Alpha, Alternative, Direction, Information, Tau, Variance};
pub use phases::{Phase, combine_phases};
pub use plan_constant::PlanConstant;
pub use quantile::{QuantileArm, quantile_estimate};
pub use rate::{RateConfidence, rate_confidence};
pub use running::RunningTest;
pub use sample_size::{
    Baseline, Feasibility, FeasibilityInput, PlannedTest, SampleSize, SampleSizeInput, feasibility, plan_constant,
    sample_size,
};
pub use scope::{Scope, Step};
pub use series::{LevelTest, PrePostTest, SeriesVerdict, level_vs_target, pre_post};
pub use series_rules::{MIN_PLACEBOS, SeriesRules};
pub use shares::share_homogeneity_p;
pub use ship_constant::known_end_constant;
pub use ship_record::ShipRecord;
pub use ship_test::{ClaimLook, ShipBasis, ShipBound, ShipTest};
pub use shown_interval::{ShownInterval, SidedP};
pub use splits::SplitLook;
pub use srm::{Srm, SrmLevel, SrmStatus, sample_ratio_mismatch};
pub use start_gate::StartGateInput;
pub use state::{Crossing, EpochReason, EpochStart, GuardrailState, PhaseCounts, RULES, RunningState};
pub use test_plan::TestPlan;
pub use tuning::{Tuning, TuningSource};
pub use two_arm::{TwoArmResult, two_arm_test};
pub use value_limit::{Days, ValueLimit, ValueRule};
