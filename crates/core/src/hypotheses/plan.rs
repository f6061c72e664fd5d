//! How the plan of an experiment follows from its outcome and its hypothesis.

use crate::digest::{canonical_json, sha256_hex};
use crate::domain::{Constraint, Design, ErrorBudget, GuardrailPlan, Hypothesis, OutcomeSpec, Plan};

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
            corrections: 0,
        });
        let guardrails = outcome
            .constraints
            .iter()
            .filter_map(|constraint| match constraint {
                Constraint::Signal { signal, bound, consecutive, on_violation, also_pause_on_level } => {
                    Some(GuardrailPlan {
                        signal: signal.clone(),
                        bound: bound.clone(),
                        consecutive: *consecutive,
                        on_violation: *on_violation,
                        also_pause_on_level: Some(*also_pause_on_level),
                    })
                }
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
            on_conclusion: outcome.on_conclusion,
        }
    }

    /// The plan in the form of the version that reported it: where `reported`, the hash of then, is that of an earlier version's form, that
    /// version's rules stay.
    #[must_use]
    pub fn in_the_form_of(self, reported: Option<&str>) -> Self {
        let mut earlier = self.clone();
        for guardrail in &mut earlier.guardrails {
            guardrail.also_pause_on_level = None;
        }
        let is_earlier = reported.is_some() && earlier.hash().ok().as_deref() == reported;
        if is_earlier { earlier } else { self }
    }

    /// SHA-256 of its canonical JSON.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn hash(&self) -> Result<String, serde_json::Error> {
        canonical_json(self).map(sha256_hex)
    }
}
