//! Reading and judging, in parts: jobs are taken, sources asked, readings stored, health kept, the policy followed.

mod arms;
mod cohorts;
mod collecting;
mod collector;
mod correction;
mod days;
mod experiment;
mod first_look;
mod flag_off;
mod flag_read;
mod gathered;
mod health;
mod incident;
mod levels;
pub(super) mod logged;
mod measurement;
mod memory;
mod policy;
mod polled;
mod round;
mod seal;
mod silence;
mod source_clocks;
mod sources;
mod store;
mod treated_off;
mod twins;
mod weeks;

pub(in crate::usecases) use first_look::{FirstLook, first_look};

pub use collector::{Stop, Told};
pub use experiment::PolledExperiment;
pub use polled::{PollRequest, Polled};
