//! Candidates: what an author submits, checked, scored and selected before a human sees anything.
//!
//! **Invariant**: pure. The same door for agents, gateways and humans.

mod check;
mod plan;
mod score;
mod select;
mod shape;
mod size;

pub use check::{Problem, check_hypothesis, is_flag_key};
pub use score::score;
pub use select::{Candidate, conflict_between, select_portfolio};
pub use shape::{CandidateSchema, read_hypothesis};
pub use size::check_sizes;
