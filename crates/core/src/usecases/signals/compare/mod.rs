//! What an experiment came to that ran somewhere else, from its exposures and a metric of the outcome file.
//!
//! **Invariant**: nothing is written or stored, and no experiment of ours is judged: it has a plan that was signed before its launch.

mod judge;
mod plan;
mod reading;
mod request;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use self::judge::Judging;
use self::plan::plan_of;
use self::reading::{both, n_of, read};
pub use self::request::MetricCompareRequest;
use super::Signals;
use super::metrics::{MetricFinding, counted, readable_metric};
use crate::domain::{ArmSums, Evaluation, MinimumDetectableEffect, SignalSpec, VariantReading, Window};
use crate::error::{Code, Error, Result};
use crate::ports::SignalSource;
use crate::present::Answer;
use crate::usecases::kernel::caps::caps_of;
use crate::usecases::kernel::workspace_file::source;

/// What an experiment came to that ran somewhere else.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MetricCompared {
    /// Name of the metric.
    pub metric: String,
    /// The source of its exposures and facts.
    pub source: String,
    /// What names the experiment.
    pub flag: String,
    /// When it ran, as far as it was read.
    pub window: Window,
    /// The smallest effect worth finding, in the metric's units.
    pub minimum_detectable_effect: f64,
    /// What it came to.
    pub answer: Answer,
    /// What the answer cannot know.
    pub caveat: String,
    /// What it rests on: the units whose values are final, and who had the same arm throughout.
    pub result: Evaluation,
    /// Units that were exposed, whatever became of them: control, treatment.
    pub n_exposed: [i64; 2],
    /// Units that had seen the flag before `window`; they are left out.
    pub n_before: i64,
    /// What is wrong or doubtful about its units, the worst first.
    pub findings: Vec<MetricFinding>,
}

/// Nobody signed what would be looked at.
const CAVEAT: &str = "nobody fixed a plan of it here before it began: the answer holds if its metric, its dates and the smallest effect were \
                      chosen without a look at the result, and if the traffic was split in one way throughout";

impl Signals<'_> {
    /// What an experiment came to that ran somewhere else: its exposures and a metric of the file in the work tree.
    ///
    /// # Errors
    /// [`Code::NotFound`] for an unknown metric, and where nobody was exposed; [`Code::InvalidInput`], [`Code::ConfigInvalid`]; the source's;
    /// [`Code::PassphraseNeeded`] for a source that would be sent secrets to an address that nobody approved.
    #[tracing::instrument(level = "debug", name = "signals.metric_compare", skip_all, fields(metric = request.metric))]
    pub async fn metric_compare(self, request: &MetricCompareRequest) -> Result<MetricCompared> {
        let (config, signal) = readable_metric(self.0, &request.metric).await?;
        let now = self.0.now();
        let window = window_of(request, now)?;
        let source = source(self.0, &config, &signal.source).await?;
        let signal = with_caps(&*source, signal, window.from).await?;
        let contract = signal.contract.as_ref();
        let contract = contract.ok_or_else(|| Error::new(Code::Internal, "a metric without a contract"))?;
        let read = read(&*source, &signal, request, window, now).await?;
        let n_exposed = n_of(&read.arms);
        let seen_in = read.seen_in().filter(|_| !n_exposed.contains(&0)).ok_or_else(|| nobody(request, n_exposed))?;
        let level = control_level(&read.arms);
        let mde = size_of(request.mde, level, &read.arms)?;
        let plan = plan_of(request, &signal, contract, mde);
        let judging = Judging {
            request,
            plan: &plan,
            read: &read,
            seen_in,
            scale: signal.scale(level.unwrap_or_default(), None),
            is_over: request.to.is_some_and(|to| to <= now),
            now,
        };
        let (answer, result, findings) = judging.judged()?;
        Ok(MetricCompared {
            metric: request.metric.clone(),
            source: signal.source.clone(),
            flag: request.flag.clone(),
            window,
            minimum_detectable_effect: mde,
            answer,
            caveat: CAVEAT.to_owned(),
            result,
            n_exposed,
            n_before: read.n_before,
            findings,
        })
    }
}

fn window_of(request: &MetricCompareRequest, now: Timestamp) -> Result<Window> {
    let window = Window { from: request.from, to: request.to.map_or(now, |to| to.min(now)) };
    let hint = "give the begin first, before now and in the last ten years: --from 2026-10-01 --to 2026-10-22";
    if window.from >= window.to {
        let message = format!("the experiment begins at {} and ends at {}", window.from, window.to);
        return Err(Error::new(Code::InvalidInput, message).hint(hint));
    }
    if window.to.duration_since(window.from) > SignedDuration::from_hours(24 * 3660) {
        return Err(Error::new(Code::InvalidInput, "the experiment takes more than ten years").hint(hint));
    }
    Ok(window)
}

/// The metric with what a quantile in its cap comes to, of the units before the experiment.
async fn with_caps(source: &dyn SignalSource, mut signal: SignalSpec, from: Timestamp) -> Result<SignalSpec> {
    let caps = caps_of(source, &signal, from).await?;
    if let Some(contract) = signal.contract.as_mut().filter(|_| caps.is_some()) {
        contract.caps = caps;
    }
    Ok(signal)
}

/// Of the units that may be claimed on, where there are any.
fn control_level(arms: &[VariantReading]) -> Option<f64> {
    let control = both(arms)[0]?;
    control.cohort.and_then(|cohort| cohort.claimed.value()).or_else(|| control.sums.value())
}

/// The smallest effect in the metric's units.
fn size_of(mde: MinimumDetectableEffect, level: Option<f64>, arms: &[VariantReading]) -> Result<f64> {
    let is_share = arms.iter().any(|arm| matches!(arm.sums, ArmSums::Proportion { .. }));
    let size = mde.absolute(level.unwrap_or_default());
    let refused = |message: &str, hint: &str| Err(Error::new(Code::InvalidInput, message).hint(hint));
    match mde {
        MinimumDetectableEffect::Relative(_) if size <= 0.0 => refused(
            "the smallest effect is relative to the level of control, which is 0 or not known yet",
            "give an absolute effect, in the metric's units",
        ),
        _ if is_share && mde.exceeds_share() => refused(
            "the smallest effect is 1 or more, and a share is between 0 and 1",
            "`10%` is 10 % of the level of control, and 0.02 is two points",
        ),
        // More than anything that a value can be.
        _ if !(size > 0.0 && size < 1e15) => {
            refused("the smallest effect is no usable size", "give an effect such as 10% or 0.5")
        }
        _ => Ok(size),
    }
}

fn nobody(request: &MetricCompareRequest, [control, treatment]: [i64; 2]) -> Error {
    let message = format!(
        "of `{}`, {} units were exposed to control and {} to the treatment in this time",
        request.flag,
        counted(control),
        counted(treatment)
    );
    Error::new(Code::NotFound, message).hint(format!(
        "compare --flag, --from and --to with the rows, and what they call the arms with `variants` of the exposures; `outcome-runtime metrics \
         check {}` counts both of the last 90 days",
        request.metric
    ))
}
