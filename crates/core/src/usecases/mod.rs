//! The use cases: the only doors that the MCP server, the daemon and the CLI call. Each one loads, decides with the pure
//! modules, and stores state, event and outgoing messages in one transaction.
//!
//! [`Runtime`] is the handle to an opened workspace. One folder a noun; each has one door type, reached through the handle
//! (`runtime.gates().decide(..)`), whose methods are the use cases. Everything else is a free function, imported by name;
//! what several nouns need is in `kernel`.

mod audit_log;
mod builds;
mod doors;
mod experiments;
mod flags;
mod gates;
mod hypotheses;
mod kernel;
mod keys;
mod learnings;
mod members;
mod outbox;
mod outcomes;
mod runtime;
mod secrets;
mod sessions;
mod signals;
mod workspaces;

pub use crate::hypotheses::Problem;
pub use crate::ports::{FlagAct, FlagAnswers, Right};
pub use crate::store::Place;
pub use audit_log::{
    AnchorPlace, AnchorReach, AuditLog, Proof, ProofExperiment, ProofLogged, ProofMethod, ProofPhase, ProofPoll,
    ProofReading, ProofRecorded, ProofSnapshot, ProofStep, RecomputeRequest, Recomputed, RecomputedExperiment,
    RestoredLog, SourceAnswer, Verification, Verified, VouchedLog, WriterSeen,
};
pub use builds::{
    Brief, BriefCode, BriefColumn, BriefExposure, BriefHypothesis, BriefLearning, BuildReport, BuildReported, Building,
    Builds, Refusal, ScopeCheckRequest,
};
pub use experiments::{
    ActRequest, AttachAsked, AttachRequest, CorrectRequest, Corrected, CorrectionPreview, DryRunView, ExperimentView,
    Experiments, Wrong,
};
pub use flags::{FlagLine, FlagLineState, Flags, FlagsReport, flag_role};
pub use gates::{DecideRequest, Decided, GateOpenRequest, GateView, Gates};
pub use hypotheses::{
    FeasibilityHint, Hypotheses, Rejected, Submission, Submitted, UnderWay, WorkOrder, WorkOrderGoal,
    WorkOrderLearning, WorkOrderSignal, read_candidates,
};
pub use kernel::memory::keep_memory_private;
pub use kernel::past_steps::PastStep;
pub use kernel::written::NewWriter;
pub use kernel::{Called, Person};
pub use kernel::{Change, FilePlan, OutcomePlan, PlannedAction};
pub use kernel::{DryRunRequest, HistoryPoint, HistoryPoll, LimitedSignal, Limits, Touching, Unlock, UnsignedAct};
pub use keys::{Added, KeyActRequest, KeyActed, KeyAddRequest, KeyLine, KeyState, Keys, Recovered, Rotated};
pub use learnings::{LearningView, Learnings};
pub use members::{ForgetRequest, Forgotten, Members};
pub use outbox::{ChannelMessage, ChannelTest, Delivered, MessageLine, MessageState, Messages, Outbox, Retried, Retry};
pub use outcomes::{Activated, Applied, Attainment, Outcomes};
pub use runtime::Runtime;
pub use secrets::{
    NewKey, RemoveSecret, RemovedSecret, Resealed, SecretHome, SecretLine, SecretList, SecretState, Secrets, SetSecret,
    check_secret_name, new_encryption_key,
};
pub use sessions::{PageSession, Sessions, SignIn};
pub use signals::{
    Check, CheckState, Conformance, ConnectorProblem, ConnectorReport, Ingested, KeyLook, MetricCheckRequest,
    MetricChecked, MetricCompareRequest, MetricCompared, MetricDoubt, MetricFinding, MetricShown, PollRequest, Polled,
    PolledExperiment, QueryReport, QueryState, ReaderRole, SignalRole, Signals, Stop, Thinned, Told, Trial, about,
};
pub use workspaces::{
    Counts, DeadLetters, ExperimentLine, Finding, FindingLevel, FirstChoice, FirstFile, FirstLook, FirstMetric,
    FirstRequest, FirstSource, Freshness, GateLine, InitRequest, Initialised, Migrated, OutcomeLine, SignalLine,
    Status, WithoutChannel, Workspaces, check_email,
};
