//! The plan of an experiment: everything that its verdict depends on, fixed before the first reading and hashed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::{
    Constraint, ConstraintBound, Design, Direction, Hypothesis, OutcomeSpec, SignalSpec, ViolationPolicy,
};
use crate::signing::{canonical_json, sha256_hex};

/// How one constraint is watched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct GuardrailPlan {
    /// What is read.
    pub signal: SignalSpec,
    /// What it must hold.
    pub bound: ConstraintBound,
    /// How many polls in a row a bare value must be out of bounds.
    pub consecutive: u32,
    /// What a crossing does.
    pub on_violation: ViolationPolicy,
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
    /// Mixture standard deviation, absolute; the minimum detectable effect (STATS 2.1).
    pub tau: f64,
    /// How it is judged.
    pub design: Design,
    /// What is randomised.
    pub randomisation_unit: String,
    /// The exposure event.
    pub exposure: Option<String>,
    /// Constraints.
    pub guardrails: Vec<GuardrailPlan>,
}

impl Plan {
    /// The plan that follows from an outcome and a hypothesis.
    #[must_use]
    pub fn of(outcome: &OutcomeSpec, hypothesis: &Hypothesis) -> Self {
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
            alpha: outcome.alpha(),
            tau: hypothesis.measurement.minimum_detectable_effect,
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
