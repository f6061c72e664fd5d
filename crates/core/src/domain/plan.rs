//! The plan of an experiment: everything that its recommendation depends on, fixed before the first reading and hashed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::limit_names::of_result;
use super::{
    Attachment, Design, Direction, Document, EvidenceGrade, GuardrailPlan, Hypothesis, OnConclusion, SignalCaps,
    SignalSpec,
};
use crate::stats::{Alpha, SeriesRules, ShipTest};

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
    /// How often a human corrected a query or left out a reading after the launch; each time the share is halved.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub corrections: u32,
}

/// What is approved at the launch gate. Afterwards only a human's signed [`Correction`](super::Correction) changes it.
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
    /// Error rate of the test that decides on success, over all its looks.
    pub alpha: f64,
    /// What `alpha` is a part of; absent in plans of earlier versions, which took all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_budget: Option<ErrorBudget>,
    /// Mixture standard deviation, absolute; the minimum detectable effect (STATS 2.1).
    pub tau: f64,
    /// The test that decides on success. Absent without a control group, and in plans of earlier versions, whose test was the
    /// two-sided mixture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ship: Option<ShipTest>,
    /// Level that the signal should reach, for designs without a control group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
    /// How levels before and after are compared. Absent with a control group, and in plans of earlier versions, which compare
    /// means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<SeriesRules>,
    /// How it is judged.
    pub design: Design,
    /// What is randomised.
    pub randomisation_unit: String,
    /// The exposure event.
    pub exposure: Option<String>,
    /// Constraints.
    pub guardrails: Vec<GuardrailPlan>,
    /// Whether the flag stays on after futility and the end of the plan, while the gate waits.
    #[serde(default, skip_serializing_if = "OnConclusion::is_off")]
    pub on_conclusion: OnConclusion,
    /// Whether it matters that nobody knows whether a query of the user's own counts different units. False in plans of earlier
    /// versions, which did not ask.
    #[serde(default, skip_serializing_if = "is_false")]
    pub asks_for_units: bool,
    /// Whether rare events of a constraint are counted exactly before there are enough of them for its test. False in plans of earlier
    /// versions, which waited.
    #[serde(default, skip_serializing_if = "is_false")]
    pub counts_rare: bool,
    /// Whether a test of values that can be negative starts by the number of units alone. False where no metric of the plan has such values,
    /// and in plans of earlier versions, which started by their sums.
    #[serde(default, skip_serializing_if = "is_false")]
    pub knows_signs: bool,
    /// Whether all rollout steps together have one budget for a false finding of harm and one for a false breach. False where there is no
    /// later step, and in plans of earlier versions, in which each step had a budget of its own.
    #[serde(default, skip_serializing_if = "is_false")]
    pub shares_with_steps: bool,
    /// What runs elsewhere and is only guarded; absent for experiments that the runtime launches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attached: Option<Box<Attachment>>,
}

impl Plan {
    /// The signals that it reads: the deciding one first.
    pub fn signals(&self) -> impl Iterator<Item = &SignalSpec> {
        std::iter::once(&self.signal).chain(self.guardrails.iter().map(|guardrail| &guardrail.signal))
    }

    /// The test that decides on success.
    #[must_use]
    pub fn ship_test(&self) -> ShipTest {
        self.ship.unwrap_or(ShipTest::TwoSided)
    }

    /// Whether the values of one of its signals are tested as ones that can be negative.
    #[must_use]
    pub fn is_signed(&self, signal: &SignalSpec) -> bool {
        self.knows_signs && signal.has_negative_values()
    }

    /// The numbers that the quantiles of its metrics came to.
    #[must_use]
    pub fn caps(&self) -> Vec<SignalCaps> {
        let of = |signal: &SignalSpec| {
            let caps = signal.contract.as_ref()?.caps?;
            Some(SignalCaps { signal: signal.name.clone(), caps })
        };
        self.signals().filter_map(of).collect()
    }

    /// The best grade that evidence of it can have: units by a map without dates are those of today.
    #[must_use]
    pub fn best_grade(&self) -> EvidenceGrade {
        // Whoever runs it elsewhere deals the arms.
        if self.attached.is_some() {
            return EvidenceGrade::B;
        }
        let is_of_today = self.signal.contract.as_ref().is_some_and(|contract| contract.is_mapped_by_today());
        if is_of_today { EvidenceGrade::B } else { EvidenceGrade::A }
    }

    /// How levels before and after are compared.
    #[must_use]
    pub fn series_rules(&self) -> SeriesRules {
        self.series.unwrap_or(SeriesRules::Means)
    }

    /// The constraint that a guardrail result of this name is about. One with two limits has a result for each.
    #[must_use]
    pub fn guardrail_of(&self, result: &str) -> Option<&GuardrailPlan> {
        of_result(&self.guardrails, result, |guard| &guard.signal.name)
    }
}

impl ErrorBudget {
    /// The error rate of this experiment.
    #[must_use]
    pub fn share(self) -> f64 {
        let share = Alpha::try_new(self.alpha).map_or(self.alpha, |a| a.budget_share(self.planned, self.part).get());
        share * 0.5_f64.powi(i32::try_from(self.corrections).unwrap_or(i32::MAX))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_false(is: &bool) -> bool {
    !is
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Document for Plan {
    const NAME: &'static str = "plan";
}
