//! Data and its rules. **Invariant**: nothing here does I/O, and no other module of the crate is used but `ids`,
//! `principal`, `error` and the statistics' plain types.

mod build;
mod decision;
mod evaluation;
mod experiment;
mod facts;
mod gate;
mod learning;
mod measurement;
mod outcome;
mod period;
mod plan;
mod signal;
mod slug;
mod stored;

pub use build::{
    Build, BuildScope, Change, ChangeKind, ClaimComparison, InstrumentationFlag, Note, NoteKind, ScopeCounts,
    Tampering, Watch, WatchKind,
};
pub use decision::{Assurance, Decision, DecisionSubject, SignedDecision, Surface, Verdict};
pub use evaluation::{Conclusion, Evaluation};
pub use experiment::{
    Author, Experiment, ExperimentState, ExperimentStatus, Hypothesis, InterventionKind, MeasurementPlan, Pause,
    PauseCause, Risk, RolloutPlan, ScoreBreakdown,
};
pub use facts::{
    DryRunEffect, DryRunFacts, DryRunSummary, Facts, GuardrailFacts, HypothesisFacts, LearningFacts, Nullable,
    OutcomeFacts, PlanFacts,
};
pub use gate::{ContextPackage, Gate, GateState, GateStatus, GateType};
pub use learning::{Evidence, EvidenceGrade, FindingType, Learning};
pub use measurement::{ArmSums, Measurement, Reading, Variant, VariantReading, Window};
pub use outcome::{
    Baseline, Constraint, ConstraintBound, Design, Direction, GatePolicy, MinimumDetectableEffect, Outcome,
    OutcomeSpec, OutcomeState, OutcomeStatus, Portfolio, ScopeSpec, ScoreWeights, Target, ViolationPolicy,
};
pub use period::Period;
pub use plan::{ErrorBudget, GuardrailPlan, Plan};
pub use signal::{Aggregation, MetricMethod, SignalQuery, SignalSpec};
pub use slug::{Slug, SlugError};
pub use stored::{Document, Stored};

/// What an evaluation is made of.
pub use crate::stats::{GuardrailResult, HealthFinding, Interval, Recommendation, RunningState, Severity, SrmLevel};

/// Defines an enum whose variants are stored and shown as snake_case text, the same in SQL, JSON, YAML and on screen.
macro_rules! text_enum {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$vdoc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
            schemars::JsonSchema,
        )]
        #[serde(rename_all = "snake_case")]
        #[schemars(inline)]
        pub enum $name { $($(#[$vdoc])* #[allow(missing_docs)] $variant),+ }

        impl $name {
            /// Every value, in the order of its definition.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The text under which it is stored and shown.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                static NAMES: std::sync::LazyLock<Vec<String>> = std::sync::LazyLock::new(|| {
                    [$(stringify!($variant)),+].iter().map(|name| $crate::domain::snake_case(name)).collect()
                });
                NAMES.get(self as usize).map_or("", String::as_str)
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
        impl std::str::FromStr for $name {
            type Err = String;
            /// # Errors
            /// A sentence that lists the valid values.
            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text).ok_or_else(|| {
                    let valid: Vec<_> = Self::ALL.iter().map(|value| value.as_str()).collect();
                    format!("`{}` is not one of {}", text.chars().take(60).collect::<String>(), valid.join(", "))
                })
            }
        }
    };
}
pub(crate) use text_enum;

/// `AwaitingShipGate` -> `awaiting_ship_gate`.
pub(crate) fn snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for (i, c) in name.chars().enumerate() {
        if c.is_ascii_uppercase() && i > 0 {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}
