//! The use cases: the only doors that the MCP server, the daemon and the CLI call. Each one loads, decides with the pure
//! modules, and stores state, event and outgoing messages in one transaction.

mod attainment;
mod brief;
mod budget;
mod build;
mod building;
mod context;
mod decide;
mod deliver;
mod doctor;
mod dry_run;
mod effects;
mod experiment;
mod gate;
mod ingest;
mod init;
mod learning;
mod log;
mod outcome;
mod poll;
mod proof;
mod propose;
mod recompute;
mod replay_path;
mod restatement;
mod result;
mod runtime;
mod scope_check;
mod series;
mod status;
mod steps;
mod web;

pub use attainment::Attainment;
pub use brief::Brief;
pub use build::{BuildReport, BuildReported};
pub use building::{Building, Refusal};
pub use decide::{ActRequest, DecideRequest, Decided, Unlock};
pub use deliver::Delivered;
pub use doctor::{Finding, FindingLevel};
pub use dry_run::{DryRunRequest, DryRunView};
pub use experiment::ExperimentView;
pub use gate::{GateOpenRequest, GateView};
pub use ingest::Ingested;
pub use init::{InitRequest, Initialised};
pub use learning::LearningView;
pub use log::{AnchorPlace, Verification};
pub use outcome::{Activated, Applied, Change, OutcomePlan};
pub use poll::{PollRequest, Polled, PolledExperiment};
pub use proof::{
    Proof, ProofExperiment, ProofLogged, ProofMethod, ProofPhase, ProofPoll, ProofReading, ProofRecorded,
    ProofSnapshot, ProofStep,
};
pub use propose::{Rejected, Submission, Submitted, WorkOrder};
pub use recompute::{RecomputeRequest, Recomputed, RecomputedExperiment};
pub use replay_path::{ReplayedPoll, StoredPoll};
pub use runtime::Runtime;
pub use scope_check::ScopeCheckRequest;
pub use status::{ExperimentLine, GateLine, OutcomeLine, SignalLine, Status};
pub use web::{PageSession, SignIn};
