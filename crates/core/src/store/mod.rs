//! Storage on two engines: SQLite (embedded) and PostgreSQL (teams), one SQL text for both wherever the dialects allow.
//!
//! A use case opens [`Db::write`] once and commits it; reads use [`Db::read`]. Every row is scoped by its workspace: a
//! [`Tx`] belongs to one and adds it to each statement. Nothing outside of this module writes SQL for our own tables.

mod catalog;
mod clocks;
mod codec;
mod cohorts;
mod columns;
mod configurations;
mod database_file;
mod db;
mod deliveries;
mod error;
mod events;
mod experiments;
mod fold;
mod gates;
mod jobs;
mod kept;
mod learning_search;
mod learnings;
mod leases;
mod measurements;
mod members;
mod migrate;
mod nonces;
mod origin;
mod outbox;
mod outcomes;
mod secrets;
mod snapshots;
mod source_states;
mod statement;
mod touched;
mod workspaces;

pub use catalog::{all_statements, declared_columns};
pub use clocks::MachineClock;
pub use codec::Instant;
pub use columns::{Class, Column};
pub use database_file::{DatabaseFile, Place};
pub use db::{Db, Tx};

pub use crate::address::Engine;
pub use deliveries::{Delivery, DeliveryState};
pub use experiments::{AllocationPhase, ExperimentGlance, FlagOwner};
pub use gates::GateGlance;
pub use jobs::{JobHolder, ORDINARY, QueuedJob, URGENT, WantedJobs};
pub use kept::RawAnswerRow;
pub use learning_search::LearningQuery;
pub use learnings::StoredLearning;
pub use measurements::{ReadingPage, SignalHealth, StoredReading};
pub use members::{AgentToken, Member, MemberKey, Session};
pub use origin::Origin;
pub use outbox::QueuedMessage;
pub use secrets::StoredSecret;
pub use snapshots::{Marks, Measured, Snapshot};
pub use source_states::SourceState;
pub use workspaces::Workspace;
