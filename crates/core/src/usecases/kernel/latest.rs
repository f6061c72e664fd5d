//! What is stored and shown of an evaluation: the engine's own fields, and what they are a part of.

use jiff::Timestamp;
use serde::Serialize;

use super::learning::grade;
use crate::domain::EvidenceGrade;
use crate::hypotheses::{ErrorBudget, Plan};
use crate::stats::{Advice, Assessment, BeforeAfter, Evaluated, GuardrailResult, HealthFinding};

/// The latest evaluation without its memory, as it is kept with the experiment: with its error rate, the budget that this is
/// a part of, the e-value where it does not overflow, and the evidence grade.
#[derive(Serialize)]
pub(in crate::usecases) struct Latest<'e> {
    #[serde(rename = "verdict")]
    advice: &'e Advice,
    #[serde(flatten)]
    numbers: &'e Assessment,
    guardrails: &'e [GuardrailResult],
    health: &'e [HealthFinding],
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<&'e BeforeAfter>,
    alpha: f64,
    error_budget: Option<ErrorBudget>,
    e_value: Option<f64>,
    grade: EvidenceGrade,
    polled_at: Timestamp,
    n_readings: usize,
}

impl<'e> Latest<'e> {
    /// `n_readings`: how many were new.
    pub(in crate::usecases) fn of(
        plan: &Plan,
        evaluated: &'e Evaluated,
        polled_at: Timestamp,
        n_readings: usize,
    ) -> Self {
        let Evaluated { advice, numbers, guardrails, health, series, running: _ } = evaluated;
        Self {
            advice,
            numbers,
            guardrails,
            health,
            series: series.as_ref(),
            alpha: plan.alpha,
            error_budget: plan.error_budget,
            e_value: numbers.ln_e.map(f64::exp).filter(|e| e.is_finite()),
            grade: grade(plan.design, !health.is_empty()),
            polled_at,
            n_readings,
        }
    }
}
