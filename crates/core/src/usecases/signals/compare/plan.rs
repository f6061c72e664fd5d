//! The plan by which an experiment is judged that ran without one of ours: every look is valid, the values are final, and nothing was
//! promised.

use super::request::MetricCompareRequest;
use crate::domain::{
    Contract, Design, Hypothesis, InterventionKind, MeasurementPlan, OnConclusion, Plan, Risk, RolloutPlan, SignalSpec,
};

/// Without an end: whether its time is over is known from elsewhere.
pub(super) fn plan_of(request: &MetricCompareRequest, signal: &SignalSpec, contract: &Contract, mde: f64) -> Plan {
    let title = format!("`{}`, read afterwards", request.flag);
    Plan {
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
                duration_days: u32::MAX,
                min_sample_size: 0,
                success_threshold: 0.0,
                kill_threshold: 0.0,
                minimum_detectable_effect: mde,
            },
            rollout: RolloutPlan { initial_pct: 50, steps: Vec::new() },
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
        attached: None,
        randomisation_unit: contract.exposures.unit.trim_end_matches("_id").to_owned(),
        exposure: None,
        guardrails: Vec::new(),
        on_conclusion: OnConclusion::default(),
        asks_for_units: false,
        counts_rare: true,
        knows_signs: signal.has_negative_values(),
        shares_with_steps: false,
    }
}
