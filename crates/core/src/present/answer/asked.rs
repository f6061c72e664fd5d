//! What an experiment is asked about, and the four answers.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::{
    ConstraintBound, Contract, Direction, Evaluation, HealthFinding, MeasurementPlan, Pause, Quantity, Severity,
    SignalSpec,
};
use crate::stats::Scale;

/// The four things that an experiment can come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum AnswerState {
    /// The improvement is proven.
    Worked,
    /// It harms, breaks a limit, brings too little, or showed nothing in the time of its plan.
    DidNot,
    /// Nothing can be said yet.
    TooEarly,
    /// The numbers cannot be trusted, or there are none although there should be.
    Broken,
}

impl AnswerState {
    /// As the first words of a line.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Worked => "worked",
            Self::DidNot => "did not work",
            Self::TooEarly => "too early",
            Self::Broken => "broken",
        }
    }
}

/// What an experiment is asked about.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// Name of the deciding signal.
    pub metric: &'a str,
    /// How its values are written.
    pub scale: &'a Scale,
    /// Which way is better.
    pub direction: Direction,
    /// What is randomised: `user`.
    pub unit: &'a str,
    /// The latest evaluation; `None` before the first.
    pub result: Option<&'a Evaluation>,
    /// Why it is paused.
    pub pause: Option<&'a Pause>,
    /// Whether it has ended.
    pub is_over: bool,
    /// Whether it is measured and no gate waits: what was found is not the end.
    pub is_going_on: bool,
    /// The effect that it was planned to find, and its thresholds.
    pub measurement: &'a MeasurementPlan,
    /// Whether it runs elsewhere and is only guarded.
    pub is_guarded: bool,
    /// Whether that was fixed before it began.
    pub is_planned: bool,
    /// When its plan ends, where that is to be said.
    pub answer_by: Option<Timestamp>,
    /// What its values are.
    pub values: Values,
    /// Of the constraint that is crossed: how its values are written, and what it must hold.
    pub crossed: Option<&'a (Scale, ConstraintBound)>,
}

/// What is known of the values of an experiment.
#[derive(Debug, Clone, Copy)]
pub struct Values {
    pub(super) launched_at: Option<Timestamp>,
    /// How long after its exposure the value of a unit is final. Harm is looked for before that.
    pub(super) matures_after: SignedDuration,
    /// Whether a difference times the number of units is an amount, as for sums and counts of each unit.
    pub(super) is_amount: bool,
    /// Whether a metric of the contract says when they are final; of a query nobody knows.
    pub(super) is_known_final: bool,
}

impl Values {
    /// Of an experiment on this signal, launched then.
    #[must_use]
    pub fn of(signal: &SignalSpec, launched_at: Option<Timestamp>) -> Self {
        let contract = signal.contract.as_deref();
        Self {
            launched_at,
            matures_after: SignedDuration::from_secs(contract.map_or(0, Contract::matures_after)),
            is_amount: contract.is_some_and(|it| matches!(it.quantity, Quantity::Count(_) | Quantity::Mean(_))),
            is_known_final: contract.is_some(),
        }
    }

    /// The same where every value that was read is final.
    #[must_use]
    pub fn all_final(self) -> Self {
        Self { matures_after: SignedDuration::ZERO, is_known_final: true, ..self }
    }
}

/// What makes the data unfit for any claim.
pub(super) fn blocking(result: &Evaluation) -> Option<&HealthFinding> {
    result.health.iter().find(|finding| finding.severity == Severity::Block)
}
