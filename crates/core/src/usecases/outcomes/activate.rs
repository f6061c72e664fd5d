//! Activation, with a measured baseline.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::Outcomes;
use crate::domain::{ArmSums, Assurance, Baseline, Outcome, OutcomeStatus, Reading, Verdict, Window};
use crate::error::{Code, Error, Result};
use crate::lifecycle::OutcomeEvent;
use crate::present::{Scale, percent};
use crate::usecases::Runtime;
use crate::usecases::hypotheses::feasibility::horizon_too_short;
use crate::usecases::kernel::anchoring::anchor_quietly;
use crate::usecases::kernel::decision::sign_for_outcome;
use crate::usecases::kernel::level::{read_level, store_level};
use crate::usecases::kernel::lookup::outcome_named;
use crate::usecases::kernel::outcome_step::outcome_step;
use crate::usecases::kernel::turns::Urgency;
use crate::usecases::kernel::unlock::Unlock;
use crate::usecases::kernel::workspace_file::config;

/// What activation found.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Activated {
    /// Its slug.
    pub outcome: String,
    /// What was measured.
    pub baseline: Baseline,
    /// Until when.
    #[schemars(with = "String")]
    pub deadline: Timestamp,
    /// Why the horizon is too short for the experiments that are planned, as a sentence; absent where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// Who may write hypotheses now, and how.
    pub next: String,
    /// How values of the signal are written for people.
    #[serde(skip)]
    pub scale: Scale,
}

impl Outcomes<'_> {
    /// Makes a draft the unit of work: reads its baseline from the source and starts the horizon.
    ///
    /// # Errors
    /// [`Code::BaselineFar`] when the baseline is far from `target.from`; the source's errors; [`Code::Conflict`].
    #[tracing::instrument(level = "debug", name = "outcomes.activate", skip_all, fields(reference))]
    pub async fn activate(self, reference: &str, unlock: &Unlock, accept_baseline: bool) -> Result<Activated> {
        let mut tx = self.0.read().await?;
        let outcome = outcome_named(&mut tx, reference).await?;
        drop(tx);
        if outcome.state.status != OutcomeStatus::Draft {
            return Err(Error::new(
                Code::Conflict,
                format!(
                    "outcome `{}` is {}, and only a draft can be activated",
                    outcome.spec.slug, outcome.state.status
                ),
            ));
        }
        let (baseline, reading) = measure_baseline(self.0, &outcome).await?;
        let scale = outcome.spec.scale(Some(&reading.data));
        let from = outcome.spec.target.from;
        let far = (baseline.value - from).abs() > outcome.spec.target.baseline_tolerance * from.abs();
        if far && !accept_baseline {
            return Err(Error::new(
                Code::BaselineFar,
                format!(
                    "`{}` was measured at {}, but `target.from` says {}: more than {} apart",
                    outcome.spec.signal.name,
                    scale.level(baseline.value),
                    scale.level(from),
                    percent(outcome.spec.target.baseline_tolerance)
                ),
            )
            .hint("correct target.from (or the query), or accept the measured value with --accept-baseline"));
        }
        let (decision, signer) =
            sign_for_outcome(self.0, &outcome, Verdict::Activate, None, unlock, Assurance::A3).await?;
        let now = self.0.now();
        let deadline = now.checked_add(outcome.spec.horizon.get()).unwrap_or(now);
        let mut tx = self.0.write().await?;
        let mut outcome = outcome_named(&mut tx, reference).await?;
        store_level(self.0, &mut tx, &outcome, &outcome.spec.signal, &reading, now).await?;
        let event = OutcomeEvent::Activated { baseline: baseline.clone(), deadline, decision };
        outcome_step(self.0, &mut tx, &mut outcome, None, event, &signer.principal()).await?;
        tx.commit().await?;
        anchor_quietly(self.0, &signer).await;
        Ok(Activated {
            warning: horizon_too_short(&outcome),
            next: format!(
                "let your agent call get_work_order for `{0}`, or submit your own with `outcome-runtime experiment \
                 propose --outcome {0} --file FILE`",
                outcome.spec.slug
            ),
            outcome: outcome.spec.slug.to_string(),
            baseline,
            deadline,
            scale,
        })
    }
}

async fn measure_baseline(runtime: &Runtime, outcome: &Outcome) -> Result<(Baseline, Reading<ArmSums>)> {
    let now = runtime.now();
    let signal = &outcome.spec.signal;
    let window = Window { from: now.checked_sub(signal.aggregation.window().get()).unwrap_or(now), to: now };
    let config = config(runtime).await?;
    let reading = read_level(runtime, &config, outcome, signal, window, Urgency::Person).await?.ok_or_else(|| {
        Error::new(Code::SignalShape, format!("no reading of `{}` has been pushed yet", signal.name))
            .hint("a source that pushes cannot be polled: push a first reading, then activate")
    })?;
    let value = reading.data.value().ok_or_else(|| {
        Error::new(Code::SignalShape, format!("`{}` has no units in the window of the baseline", signal.name))
            .hint("check the query, and that there are data before now")
    })?;
    let days = signal.aggregation.window().as_days();
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    let daily_units = reading.data.n().map(|n| n as f64 / days);
    let baseline =
        Baseline { value, n: reading.data.n(), variance: unit_variance(&reading.data), daily_units, captured_at: now };
    Ok((baseline, reading))
}

/// Variance of one unit, where the sums give it.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn unit_variance(sums: &ArmSums) -> Option<f64> {
    match *sums {
        ArmSums::Proportion { n, successes } if n > 0 => {
            let p = successes as f64 / n as f64;
            Some(p * (1.0 - p))
        }
        ArmSums::Mean { n, sum, sum_squares } if n > 1 => {
            let n = n as f64;
            Some(((sum_squares - sum * sum / n) / (n - 1.0)).max(0.0))
        }
        _ => None,
    }
}
