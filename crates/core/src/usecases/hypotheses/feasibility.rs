//! What a test can find at the measured baseline and traffic.

use schemars::JsonSchema;
use serde::Serialize;

use super::Hypotheses;
use crate::domain::{Design, Hypothesis, Outcome, OutcomeSpec};
use crate::error::Result;
use crate::hypotheses::Problem;
use crate::present::{count, whole};
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
    let baseline = outcome.state.baseline.as_ref()?;
    let variance = baseline.variance.filter(|variance| *variance > 0.0)?;
    let level = baseline.value;
    let is_share = (variance - level * (1.0 - level)).abs() < 1e-9;
    let sign = outcome.spec.target.direction.sign();
    stats::feasibility(&stats::FeasibilityInput {
        baseline: if is_share {
            stats::Baseline::Rate { rate: level }
        } else {
            stats::Baseline::Mean { mean: level, standard_deviation: variance.sqrt() }
        },
        daily_units: baseline.daily_units?,
        mde_relative: sign * mde / level.abs(),
        alpha: stats::Alpha::try_new(outcome.spec.alpha()).ok()?.budget_share(outcome.spec.planned_experiments(), 0),
        test: outcome.spec.ship_test.into(),
        power: 0.8,
        treatment_share: f64::from(treatment_pct) / 100.0,
    })
    .ok()
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
    })
}
