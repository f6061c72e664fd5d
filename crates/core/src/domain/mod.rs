//! Data and its rules. **Invariant**: nothing here does I/O, and no other module of the crate is used but `ids`,
//! `principal`, `error`, `digest`, `dsse` and the statistics' plain types.

#![warn(missing_docs)]

mod assurance;
mod attachment;
mod base;
mod basis;
mod build;
mod commitment;
mod contract;
mod correction;
mod decision;
mod direction;
mod evaluation;
mod experiment;
mod facts;
mod gate;
mod gate_policy;
mod gate_type;
mod grade;
mod guardrail;
mod holder;
mod hypothesis;
mod key;
mod learning;
mod limit_names;
mod measurement;
mod message;
mod outcome;
mod period;
mod place;
mod plan;
mod said;
mod sealed_cohort;
mod signal;
mod signed_decision;
mod slug;
mod statement;
mod stored;
mod sums;
mod verdict;

pub use assurance::Assurance;
pub use attachment::Attachment;
pub use base::{BranchSource, DefaultBranch};
pub use basis::{Basis, EvidenceBasis, FlagMove, PolicyBasis, RecommendationBasis};
pub use build::{
    Build, BuildScope, Change, ChangeKind, ClaimComparison, InstrumentationFlag, Note, NoteKind, ScopeCounts,
    Tampering, Watch, WatchKind,
};
pub use commitment::{Commitment, MemberCommitments, MemberField, MemberOpening, Salt};
pub use contract::{
    Among, Attribution, Cap, Caps, Contract, Events, Exposures, Fact, FoundQuantile, MIN_UNITS_OF_CAP, Measure,
    NO_EXPOSURES, Part, Positive, Quantity, Relation, SignalCaps, UnitMap, Via, is_empty_query,
};
pub use correction::{Correction, MadeCorrection};
pub use decision::{Decision, DecisionSubject, Surface};
pub use direction::Direction;
pub use evaluation::{Conclusion, Evaluation};
pub use experiment::{
    Author, Experiment, ExperimentState, ExperimentStatus, MAX_RESTARTS, Pause, PauseCause, PhaseStart, ScoreBreakdown,
};
pub use facts::{
    AttachedFacts, ChangeFacts, ChangedKey, ConfigurationOrigin, DryRunEffect, DryRunFacts, DryRunSummary, Facts,
    FalseStops, FlagFacts, FlagFound, GuardrailFacts, HypothesisFacts, LearningFacts, Nullable, OutcomeFacts,
    PlanFacts,
};
pub use gate::{ContextPackage, Gate, GateState, GateStatus};
pub use gate_policy::{GateChannel, GatePolicy};
pub use gate_type::GateType;
pub use grade::EvidenceGrade;
pub use guardrail::GuardrailPlan;
pub use holder::Holder;
pub use hypothesis::{Hypothesis, InterventionKind, MeasurementPlan, Risk, RolloutPlan};
pub use key::{Enrolment, KeyKind, SignedEnrolment};
pub use learning::{Evidence, FindingType, Learning};
pub use limit_names::{names_of_limits, signal_of_limit};
pub use measurement::{
    ArmSums, Capped, Cohort, CountedUnits, Measurement, ReadSums, Reading, Uncapped, Variant, VariantReading, Window,
};
pub use message::{Closing, FlagPosition, GateNotice, Message, MessageKey, MessageKind, Notice, UnreadableMessage};
pub use outcome::{
    Baseline, Constraint, ConstraintBound, Design, MinimumDetectableEffect, OnConclusion, Outcome, OutcomeSpec,
    OutcomeState, OutcomeStatus, Portfolio, ScopeSpec, ScoreWeights, ShipTest, Target, ViolationPolicy,
};
pub use period::Period;
pub use place::Place;
pub use plan::{ErrorBudget, Plan};
pub use said::Said;
pub use sealed_cohort::{SealReason, SealedCohort};
pub use signal::{Aggregation, MetricMethod, SignalQuery, SignalSpec};
pub use signed_decision::{SignedDecision, UnreadableDecision};
pub use slug::{Slug, SlugError};
pub use statement::{Statement, StatementSubject};
pub use stored::{Document, Stored};
pub use verdict::Verdict;

pub(crate) use crate::text_enum::text_enum;

/// What an evaluation is made of.
pub use crate::stats::{
    GuardrailResult, HealthFinding, Interval, Recommendation, RunningState, Severity, ShownInterval, SidedP, SrmLevel,
};
