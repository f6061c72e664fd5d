//! What an experiment came to that ran somewhere else, from its exposures and a metric of the outcome file.
//!
//! **Invariant**: nothing is written or stored, and no experiment of ours is judged: it has a plan that was signed before its launch.

use schemars::JsonSchema;
use serde::Serialize;

use super::Signals;
use super::metrics::readable_metric;
use crate::domain::{
    Design, Evaluation, EvidenceGrade, Hypothesis, InterventionKind, MeasurementPlan, MinimumDetectableEffect,
    OnConclusion, Plan, Risk, RolloutPlan, SignalCaps, SignalSpec, Slug, Variant, VariantReading, Window,
};
use crate::error::{Code, Error, Result};
use crate::evaluation::{PhaseReadings, Poll, evaluate_poll};
use crate::ports::{SignalSource, VariantRequest};
use crate::present::{Answer, Asked, Scale, Values, count};
use crate::stats::Scope;
use crate::usecases::kernel::workspace_file::source;

/// Which experiment is looked at, and how it is judged.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricCompareRequest {
    /// Name of the metric.
    pub metric: String,
    /// What the column of its exposures says that names the experiment: the key of its flag.
    pub flag: String,
    /// When it ran; without an end it still does.
    pub from: jiff::Timestamp,
    /// See `from`.
    pub to: Option<jiff::Timestamp>,
    /// Share of the treatment, 1 to 99 percent.
    pub treatment_pct: u8,
    /// The smallest effect worth finding, which is also the width of the mixture.
    pub mde: MinimumDetectableEffect,
    /// Error probability over all looks, between 0 and 1.
    pub alpha: f64,
}

/// What an experiment came to that ran somewhere else.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MetricCompared {
    /// Name of the metric.
    pub metric: String,
    /// The source of its exposures and facts.
    pub source: String,
    /// What names the experiment.
    pub flag: String,
    /// When it ran.
    pub window: Window,
    /// The smallest effect worth finding, in the metric's units.
    pub minimum_detectable_effect: f64,
    /// What it came to.
    pub answer: Answer,
    /// What that rests on: the units whose values are final, and who had the same arm throughout.
    pub result: Evaluation,
    /// Units that were exposed, whatever became of them: control, treatment.
    pub n_exposed: [i64; 2],
}

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
        let source = source(self.0, &config, &signal.source)?;
        let caps = caps_before(&*source, &signal, window).await?;
        let signal = with_caps(signal, &caps);
        let asked = VariantRequest {
            experiment: Slug::from_title(&request.flag),
            flag_key: request.flag.clone(),
            window,
            launched_at: window.from,
            as_of: now,
            on_until: request.to.filter(|to| *to < now),
        };
        let reading = source.by_phase(&signal, &[asked]).await?.into_iter().next();
        let arms = reading.map(|reading| reading.data).unwrap_or_default();
        let n_exposed = [Variant::Control, Variant::Treatment].map(|variant| exposed(&arms, variant));
        if n_exposed.contains(&0) {
            return Err(nobody(request, n_exposed));
        }
        let level = control_level(&arms);
        let mde = request.mde.absolute(level.unwrap_or_default());
        if mde <= 0.0 {
            let message = "the smallest effect is relative to the level of control, which is 0 or not known yet";
            return Err(Error::new(Code::InvalidInput, message).hint("give an absolute effect, in the metric's units"));
        }
        let plan = plan_of(request, &signal, window, mde)?;
        let poll = Poll {
            phases: vec![PhaseReadings { phase: 0, treatment_pct: i32::from(request.treatment_pct), arms }],
            guards: Vec::new(),
            launched_at: window.from,
            as_of: window.to,
            is_sampled: false,
            has_flag_drift: false,
            scope: Scope::default(),
        };
        let judged = evaluate_poll(&plan, &poll, None)?.ok_or_else(|| nobody(request, n_exposed))?;
        let mut result = Evaluation::of(&plan, &judged.evaluated, now, n_exposed.len()).with_capped(judged.capped);
        // Nobody signed beforehand what would be looked at.
        result.grade = result.grade.max(Some(EvidenceGrade::B));
        let answer = Answer::to(&Asked {
            metric: &request.metric,
            scale: &scale_of(&plan.signal, level),
            direction: plan.direction,
            unit: &plan.randomisation_unit,
            result: Some(&result),
            pause: None,
            is_over: request.to.is_some(),
            is_going_on: request.to.is_none(),
            measurement: &plan.hypothesis.measurement,
            answer_by: None,
            values: Values::of(&plan.signal, Some(window.from)),
            crossed: None,
        })
        .ok_or_else(|| Error::new(Code::Internal, "a comparison has no answer"))?;
        Ok(MetricCompared {
            metric: request.metric.clone(),
            source: plan.signal.source.clone(),
            flag: request.flag.clone(),
            window,
            minimum_detectable_effect: mde,
            answer,
            result,
            n_exposed,
        })
    }
}

fn window_of(request: &MetricCompareRequest, now: jiff::Timestamp) -> Result<Window> {
    let window = Window { from: request.from, to: request.to.map_or(now, |to| to.min(now)) };
    if window.from < window.to {
        return Ok(window);
    }
    let message = format!("the experiment begins at {} and ends at {}", window.from, window.to);
    Err(Error::new(Code::InvalidInput, message)
        .hint("give the begin first, and before now: --from 2026-10-01 --to 2026-10-22"))
}

/// What a quantile in the metric's cap comes to, of the units before the experiment.
async fn caps_before(source: &dyn SignalSource, signal: &SignalSpec, window: Window) -> Result<Vec<SignalCaps>> {
    let Some(contract) = signal.contract.as_ref().filter(|contract| contract.asks_quantile().is_some()) else {
        return Ok(Vec::new());
    };
    let quantiles = source.quantiles(signal, window.from).await?;
    Ok(vec![SignalCaps { signal: signal.name.clone(), caps: contract.caps_of(&signal.name, &quantiles)? }])
}

fn with_caps(mut signal: SignalSpec, caps: &[SignalCaps]) -> SignalSpec {
    if let (Some(contract), Some(found)) = (&mut signal.contract, caps.first()) {
        contract.caps = Some(found.caps);
    }
    signal
}

fn exposed(arms: &[VariantReading], variant: Variant) -> i64 {
    arms.iter().find(|arm| arm.variant == variant).and_then(|arm| arm.sums.n()).unwrap_or(0)
}

/// Of the units that may be claimed on, where there are any.
fn control_level(arms: &[VariantReading]) -> Option<f64> {
    let control = arms.iter().find(|arm| arm.variant == Variant::Control)?;
    control.cohort.and_then(|cohort| cohort.claimed.value()).or_else(|| control.sums.value())
}

fn scale_of(signal: &SignalSpec, level: Option<f64>) -> Scale {
    signal.scale(level.unwrap_or_default(), None)
}

fn nobody(request: &MetricCompareRequest, [control, treatment]: [i64; 2]) -> Error {
    let counted = |n: i64| count(u64::try_from(n).unwrap_or(0));
    let message = format!(
        "of `{}`, {} units were exposed to control and {} to the treatment in this time",
        request.flag,
        counted(control),
        counted(treatment)
    );
    Error::new(Code::NotFound, message).hint(format!(
        "compare --flag, --from and --to with the rows; `outcome-runtime metrics check {}` counts rows, arms and units of the last 90 days",
        request.metric
    ))
}

/// The plan that such an experiment is judged by: every look is valid, the values must be final, and nothing else was promised.
fn plan_of(request: &MetricCompareRequest, signal: &SignalSpec, window: Window, mde: f64) -> Result<Plan> {
    let contract = signal.contract.as_ref();
    let contract = contract.ok_or_else(|| Error::new(Code::Internal, "a metric without a contract"))?;
    let days = (window.to.duration_since(window.from).as_secs() + 86_399) / 86_400;
    let title = format!("`{}`, read afterwards", request.flag);
    Ok(Plan {
        version: 1,
        outcome: String::new(),
        hypothesis: Hypothesis {
            title: title.clone(),
            statement: title.clone(),
            mechanism: title.clone(),
            expected_improvement: mde,
            confidence: 0.5,
            intervention: InterventionKind::CodeChange,
            intervention_description: title,
            touched_paths: Vec::new(),
            flag_key: request.flag.clone(),
            measurement: MeasurementPlan {
                duration_days: u32::try_from(days).unwrap_or(u32::MAX),
                min_sample_size: 0,
                success_threshold: 0.0,
                kill_threshold: 0.0,
                minimum_detectable_effect: mde,
            },
            rollout: RolloutPlan { initial_pct: request.treatment_pct, steps: Vec::new() },
            effort_hours: 0.0,
            risk: Risk::Low,
            is_reversible: true,
            tags: Vec::new(),
        },
        signal: signal.clone(),
        direction: contract.better,
        alpha: request.alpha,
        error_budget: None,
        tau: mde,
        ship: None,
        target: None,
        series: None,
        design: Design::Randomised,
        randomisation_unit: contract.exposures.unit.trim_end_matches("_id").to_owned(),
        exposure: None,
        guardrails: Vec::new(),
        on_conclusion: OnConclusion::default(),
        asks_for_units: false,
        counts_rare: true,
        knows_signs: signal.has_negative_values(),
        shares_with_steps: false,
    })
}
