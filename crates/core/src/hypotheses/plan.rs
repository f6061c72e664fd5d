//! The plan of an experiment: everything that its verdict depends on, fixed before the first reading and hashed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::{canonical_json, sha256_hex};
use crate::domain::{
    Constraint, ConstraintBound, Design, Direction, Hypothesis, OutcomeSpec, SignalSpec, ViolationPolicy,
};
use crate::stats::Alpha;

/// How one constraint is watched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct GuardrailPlan {
    /// What is read.
    pub signal: SignalSpec,
    /// What it must hold.
    pub bound: ConstraintBound,
    /// Number of polls in a row for which a value without units must be out of bounds.
    pub consecutive: u32,
    /// What a crossing does.
    pub on_violation: ViolationPolicy,
}

/// What an experiment may spend of the outcome's error budget.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct ErrorBudget {
    /// Error rate of all experiments of the outcome together.
    pub alpha: f64,
    /// This experiment's part, from 0.
    pub part: u32,
    /// Parts that were planned.
    pub planned: u32,
}

/// What is approved at the launch gate and never changes afterwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Format, 1.
    pub version: u8,
    /// Slug of the outcome.
    pub outcome: String,
    /// What was submitted.
    pub hypothesis: Hypothesis,
    /// The deciding signal.
    pub signal: SignalSpec,
    /// Which way is better.
    pub direction: Direction,
    /// Error rate of the two-sided test.
    pub alpha: f64,
    /// What `alpha` is a part of; absent in plans of earlier versions, which took all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_budget: Option<ErrorBudget>,
    /// Mixture standard deviation, absolute; the minimum detectable effect (STATS 2.1).
    pub tau: f64,
    /// Level that the signal should reach, for designs without a control group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
    /// How it is judged.
    pub design: Design,
    /// What is randomised.
    pub randomisation_unit: String,
    /// The exposure event.
    pub exposure: Option<String>,
    /// Constraints.
    pub guardrails: Vec<GuardrailPlan>,
}

impl ErrorBudget {
    /// The error rate of this experiment.
    #[must_use]
    pub fn share(self) -> f64 {
        Alpha::try_new(self.alpha).map_or(self.alpha, |alpha| alpha.budget_share(self.planned, self.part).get())
    }
}

impl Plan {
    /// The plan that follows from an outcome, a hypothesis and its part of the outcome's error budget.
    ///
    /// `budget_part`: from 0; `None` for an experiment that was reported before budgets were shared.
    #[must_use]
    pub fn of(outcome: &OutcomeSpec, hypothesis: &Hypothesis, budget_part: Option<u32>) -> Self {
        let error_budget = budget_part.map(|part| ErrorBudget {
            alpha: outcome.alpha(),
            part,
            planned: outcome.planned_experiments(),
        });
        let guardrails = outcome
            .constraints
            .iter()
            .filter_map(|constraint| match constraint {
                Constraint::Signal { signal, bound, consecutive, on_violation } => Some(GuardrailPlan {
                    signal: signal.clone(),
                    bound: bound.clone(),
                    consecutive: *consecutive,
                    on_violation: *on_violation,
                }),
                Constraint::Rule { .. } => None,
            })
            .collect();
        Self {
            version: 1,
            outcome: outcome.slug.to_string(),
            hypothesis: hypothesis.clone(),
            signal: outcome.signal.clone(),
            direction: outcome.target.direction,
            alpha: error_budget.map_or(outcome.alpha(), |budget| budget.share()),
            error_budget,
            tau: hypothesis.measurement.minimum_detectable_effect,
            target: (outcome.design != Design::Randomised).then_some(outcome.target.to),
            design: outcome.design,
            randomisation_unit: outcome.randomisation_unit.clone(),
            exposure: outcome.exposure.clone(),
            guardrails,
        }
    }

    /// SHA-256 of its canonical JSON.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn hash(&self) -> Result<String, serde_json::Error> {
        canonical_json(self).map(sha256_hex)
    }
}
