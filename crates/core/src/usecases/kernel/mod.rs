//! What several nouns need, as free functions imported by name: looking up, checking against the log, taking steps and what
//! follows from them, keys and signatures, the outcome file.
//!
//! A step opens gates, and a gate shows a dry run, the error budget and earlier conditions; a conclusion stores a learning.
//! That is why those are here and not with their nouns. An experiment's `history` is read by proofs, corrections and
//! recomputing.
//!
//! **Invariant**: nothing here is a use case, and nothing here knows a noun's folder.

mod alive;
pub(super) mod anchoring;
pub(super) mod answer;
pub(super) mod applied;
pub(super) mod apply_change;
pub(super) mod ask;
pub(super) mod attached_facts;
pub(super) mod attached_flag;
pub(super) mod attached_guards;
pub(super) mod basis;
pub(super) mod budget;
pub(super) mod built;
pub(super) mod caps;
pub(super) mod change_gate;
pub(super) mod changed_since;
pub(super) mod check;
pub(super) mod clock_doubt;
pub(super) mod clock_look;
pub(super) mod days;
pub(super) mod decision;
pub(super) mod digest;
pub(super) mod dry_run;
mod effects;
pub(super) mod enrol;
pub(super) mod event;
pub(super) mod experiment_step;
pub(super) mod file;
pub(super) mod file_plan;
pub(super) mod flag;
pub(super) mod flag_owner;
pub(super) mod gate_context;
pub(super) mod gate_opening;
pub(super) mod gate_step;
pub(super) mod history;
pub(super) mod keyring;
mod learning;
pub(super) mod lease;
pub(super) mod level;
pub(super) mod limits;
pub(super) mod lookup;
pub(in crate::usecases) mod memory;
pub(super) mod new_experiment;
pub(super) mod outcome_queries;
pub(super) mod outcome_step;
pub(super) mod past_steps;
pub(super) mod people;
pub(super) mod phases;
pub(super) mod places;
pub(super) mod planned;
pub(super) mod pointer;
pub(super) mod proposal;
pub(super) mod query_check;
pub(super) mod questions;
pub(super) mod queue;
pub(super) mod raw_answer;
pub(super) mod read_again;
pub(super) mod resolver;
pub(super) mod resting;
pub(super) mod scale;
pub(super) mod sealing;
pub(super) mod shown_change;
pub(super) mod signal_problem;
pub(super) mod step_context;
pub(super) mod stored_secrets;
mod tampered;
pub(super) mod text;
pub(super) mod touch;
pub(super) mod tracked;
pub(super) mod tries;
pub(super) mod turns;
pub(super) mod unchecked;
pub(super) mod unlock;
pub(super) mod worker;
pub(super) mod workspace_file;
pub(super) mod writer_key;
pub(super) mod written;

pub use ask::UnsignedAct;
pub use dry_run::DryRunRequest;
pub use file_plan::{Change, FilePlan, OutcomePlan, PlannedAction};
pub use history::{HistoryPoint, HistoryPoll};
pub use limits::{LimitedSignal, Limits};
pub use people::{Called, Person};
pub use touch::Touching;
pub use unlock::Unlock;
