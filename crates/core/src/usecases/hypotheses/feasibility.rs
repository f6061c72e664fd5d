//! What a test can find at the measured baseline and traffic.

use schemars::JsonSchema;
use serde::Serialize;

use super::Hypotheses;
use crate::domain::{Design, Hypothesis, Outcome, OutcomeSpec};
use crate::error::Result;
use crate::hypotheses::Problem;
use crate::present::{count, significant, whole};
use crate::stats;

/// The problem of a plan that cannot find its effect in time, where the baseline and the traffic are known.
pub(super) fn infeasible(outcome: &Outcome, hypothesis: &Hypothesis) -> Option<Problem> {
    if outcome.spec.design != Design::Randomised {
        return None;
    }
    let mde = hypothesis.measurement.minimum_detectable_effect;
    let found = needed(outcome, mde, hypothesis.rollout.initial_pct)?;
    (found.days_whole_weeks > u64::from(hypothesis.measurement.duration_days)).then(|| Problem {
        field: "measurement.duration_days".to_owned(),
        message: format!(
            "is {}, but detecting a change of {mde} with {} % treatment takes up to {} days ({} units): set a larger \
             minimum_detectable_effect, a larger share, or more days",
            hypothesis.measurement.duration_days, hypothesis.rollout.initial_pct, found.days_whole_weeks, found.n_max
        ),
    })
}

/// Units and days that a test needs at the measured baseline and traffic; `None` where they are not known.
fn needed(outcome: &Outcome, mde: f64, treatment_pct: u8) -> Option<stats::Feasibility> {
    stats::feasibility(&question(outcome, mde, treatment_pct)?).ok()
}

/// What the planner is asked. `mde`: absolute, > 0, positive is better.
fn question(outcome: &Outcome, mde: f64, treatment_pct: u8) -> Option<stats::FeasibilityInput> {
    let baseline = outcome.state.baseline.as_ref()?;
    let variance = baseline.variance.filter(|variance| *variance > 0.0)?;
    let level = baseline.value;
    let sign = outcome.spec.target.direction.sign();
    Some(stats::FeasibilityInput {
        baseline: if baseline.is_share() {
            stats::Baseline::Rate { rate: level }
        } else {
            stats::Baseline::Mean { mean: level, standard_deviation: variance.sqrt() }
        },
        daily_units: baseline.daily_units?,
        mde_relative: sign * mde / level.abs(),
        alpha: stats::Alpha::try_new(outcome.spec.alpha()).ok()?.budget_share(outcome.spec.planned_experiments(), 0),
        test: outcome.spec.ship_test().into(),
        power: 0.8,
        treatment_share: f64::from(treatment_pct) / 100.0,
    })
}

/// An effect and the days in which it is found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct DetectableEffect {
    /// Whole weeks.
    pub days: u32,
    /// Smallest effect that is found by then in four of five cases, absolute.
    pub effect: f64,
}

/// Weeks that a hint names.
const WEEKS: [u32; 5] = [1, 2, 4, 8, 12];

/// What is found within some weeks at an even split, as far as the horizon goes.
fn detectable(outcome: &Outcome) -> Vec<DetectableEffect> {
    let horizon = outcome.spec.horizon.as_days();
    let within = WEEKS.map(|weeks| 7 * weeks).into_iter().filter(|days| f64::from(*days) <= horizon);
    within.filter_map(|days| Some(DetectableEffect { days, effect: detectable_in(outcome, days)? })).collect()
}

/// Absolute, rounded up to two digits, so that a plan with it is long enough.
fn detectable_in(outcome: &Outcome, days: u32) -> Option<f64> {
    let baseline = outcome.state.baseline.as_ref()?;
    let relative = stats::detectable_effect(&question(outcome, baseline.value.abs(), 50)?, days)?;
    Some(up_to_two_digits(relative * baseline.value.abs()))
}

fn up_to_two_digits(x: f64) -> f64 {
    let unit = 10_f64.powf(x.log10().floor() - 1.0);
    // Through text, so that 0.041 is not 0.041000000000000002.
    significant((x / unit).ceil() * unit, 3).parse().unwrap_or(x)
}

/// Amounts of a plan that can be carried out: the effect that the outcome declares, or what its horizon can find.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct SuggestedPlan {
    /// Absolute, in the signal's units.
    pub minimum_detectable_effect: f64,
    /// Whole weeks.
    pub duration_days: u32,
}

/// Where nothing is known of the traffic, half of what the outcome asks for in four weeks.
pub(super) fn suggested(outcome: &Outcome) -> SuggestedPlan {
    let spec = &outcome.spec;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "days of a horizon")]
    let longest = (spec.horizon.as_days() / 7.0).floor().clamp(1.0, 52.0) as u32 * 7;
    let level = outcome.state.baseline.as_ref().map_or(spec.target.from, |baseline| baseline.value);
    let declared = spec.minimum_detectable_effect.map(|mde| mde.absolute(level));
    let plan = |(mde, days)| SuggestedPlan { minimum_detectable_effect: mde, duration_days: days };
    let usual = longest.min(28);
    if spec.design == Design::Randomised {
        let days_of = |mde: f64| needed(outcome, mde, 50).and_then(|found| u32::try_from(found.days_whole_weeks).ok());
        let as_declared = declared.and_then(|mde| Some((mde, days_of(mde).filter(|days| *days <= longest)?)));
        let in_days = |days| Some((detectable_in(outcome, days)?, days));
        if let Some(found) = as_declared.or_else(|| in_days(usual)).or_else(|| in_days(longest)) {
            return plan(found);
        }
    }
    let gap = (spec.target.to - spec.target.from).abs();
    plan((declared.unwrap_or(0.5 * gap), usual))
}

/// What a test can find within the horizon at an even split.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct FeasibilityHint {
    /// Units a day, where the source counts them.
    pub daily_units: Option<f64>,
    /// Days until the default effect is found; absent where too little is known.
    pub days_needed_at_an_even_split: Option<u64>,
    /// Smallest effect worth finding, absolute, unless a candidate says otherwise.
    pub default_minimum_detectable_effect: Option<f64>,
    /// Days of the horizon.
    pub horizon_days: f64,
    /// What can be found at today's traffic, by days.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub detectable_effects: Vec<DetectableEffect>,
}

impl Hypotheses<'_> {
    /// What a test could find if `spec` were applied: its horizon, effect and budget with the stored baseline. `None` where no baseline
    /// of its signal is stored.
    ///
    /// # Errors
    /// When the database fails.
    #[tracing::instrument(level = "debug", name = "hypotheses.feasibility", skip_all, fields(outcome = %spec.slug))]
    pub async fn feasibility(self, spec: &OutcomeSpec) -> Result<Option<FeasibilityHint>> {
        let mut tx = self.0.read().await?;
        let Some(stored) = tx.outcome_by_slug(spec.slug.as_str()).await? else { return Ok(None) };
        if stored.spec.signal != spec.signal {
            return Ok(None);
        }
        Ok(feasibility_hint(&Outcome { spec: spec.clone(), ..stored }))
    }
}

/// What makes the horizon too short for the experiments that are planned, as a sentence; `None` where it is long enough, or too little
/// is known.
pub(in crate::usecases) fn horizon_too_short(outcome: &Outcome) -> Option<String> {
    let hint = feasibility_hint(outcome)?;
    let (days, daily) = (hint.days_needed_at_an_even_split?, hint.daily_units?);
    let planned = outcome.spec.planned_experiments();
    let at_once = outcome.spec.portfolio.max_concurrent.max(1);
    let all = days.saturating_mul(u64::from(planned.div_ceil(at_once)));
    let horizon = hint.horizon_days;
    #[expect(clippy::cast_precision_loss, reason = "days stay far below 2^52")]
    let is_too_short = all as f64 > horizon;
    is_too_short.then(|| {
        format!(
            "the horizon has {} days, but one experiment takes up to {} days at {} units a day, and the {planned} that are planned \
             take {} ({at_once} at a time): choose a larger `mde`, a longer horizon or fewer experiments",
            whole(horizon),
            count(days),
            whole(daily),
            count(all)
        )
    })
}

/// The hint for the author; `None` before the baseline is measured.
pub(super) fn feasibility_hint(outcome: &Outcome) -> Option<FeasibilityHint> {
    let baseline = outcome.state.baseline.as_ref()?;
    let mde = outcome.spec.minimum_detectable_effect.map(|mde| mde.absolute(baseline.value));
    let is_tested = outcome.spec.design == Design::Randomised;
    let needed = mde.filter(|_| is_tested).and_then(|mde| needed(outcome, mde, 50));
    Some(FeasibilityHint {
        daily_units: baseline.daily_units,
        days_needed_at_an_even_split: needed.map(|found| found.days_whole_weeks),
        default_minimum_detectable_effect: mde,
        horizon_days: outcome.spec.horizon.as_days(),
        detectable_effects: if is_tested { detectable(outcome) } else { Vec::new() },
    })
}
