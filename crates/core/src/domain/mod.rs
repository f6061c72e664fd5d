//! Data and its rules. **Invariant**: nothing here does I/O, and no other module of the crate is used but `ids`,
//! `principal`, `error` and the statistics' plain types.

#![warn(missing_docs)]

mod base;
mod build;
mod correction;
mod decision;
mod evaluation;
mod experiment;
mod facts;
mod gate;
mod gate_policy;
mod gate_type;
mod grade;
mod hypothesis;
mod learning;
mod measurement;
mod message;
mod outcome;
mod period;
mod plan;
mod signal;
mod slug;
mod stored;

pub use base::{BranchSource, DefaultBranch};
pub use build::{
    Build, BuildScope, Change, ChangeKind, ClaimComparison, InstrumentationFlag, Note, NoteKind, ScopeCounts,
    Tampering, Watch, WatchKind,
};
pub use correction::{Correction, MadeCorrection};
pub use decision::{Assurance, Decision, DecisionSubject, SignedDecision, Surface, Verdict};
pub use evaluation::{Conclusion, Evaluation};
pub use experiment::{
    Author, Experiment, ExperimentState, ExperimentStatus, MAX_RESTARTS, Pause, PauseCause, PhaseStart, ScoreBreakdown,
};
pub use facts::{
    ChangeFacts, ChangedKey, ConfigurationOrigin, DryRunEffect, DryRunFacts, DryRunSummary, Facts, FalseStops,
    GuardrailFacts, HypothesisFacts, LearningFacts, Nullable, OutcomeFacts, PlanFacts,
};
pub use gate::{ContextPackage, Gate, GateState, GateStatus};
pub use gate_policy::{GateChannel, GatePolicy};
pub use gate_type::GateType;
pub use grade::EvidenceGrade;
pub use hypothesis::{Hypothesis, InterventionKind, MeasurementPlan, Risk, RolloutPlan};
pub use learning::{Evidence, FindingType, Learning};
pub use measurement::{ArmSums, Measurement, Reading, Variant, VariantReading, Window};
pub use message::{Closing, FlagPosition, GateNotice, Message, MessageKey, MessageKind, Notice, UnreadableMessage};
pub use outcome::{
    Baseline, Constraint, ConstraintBound, Design, Direction, MinimumDetectableEffect, OnConclusion, Outcome,
    OutcomeSpec, OutcomeState, OutcomeStatus, Portfolio, ScopeSpec, ScoreWeights, Target, ViolationPolicy,
};
pub use period::Period;
pub use plan::{ErrorBudget, GuardrailPlan, Plan, names_of_limits, signal_of_limit};
pub use signal::{Aggregation, MetricMethod, SignalQuery, SignalSpec};
pub use slug::{Slug, SlugError};
pub use stored::{Document, Stored};

pub(crate) use crate::text_enum::text_enum;

/// What an evaluation is made of.
pub use crate::stats::{
    GuardrailResult, HealthFinding, Interval, Recommendation, RunningState, Severity, ShownInterval, SidedP, SrmLevel,
};
