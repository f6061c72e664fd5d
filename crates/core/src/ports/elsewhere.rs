//! Experiments that run at a flag service without the runtime: read, to be guarded, and never changed but for their flag's switch.

use async_trait::async_trait;
use jiff::Timestamp;

use super::flag_error::FlagError;

/// An experiment with two arms, as its service has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// By what the service finds it again.
    pub reference: String,
    /// What it is called there.
    pub name: String,
    /// The key of its flag.
    pub flag_key: String,
    /// The arm that everybody gets while the flag is off, as the service calls it.
    pub control: String,
    /// The other arm.
    pub treatment: String,
    /// Percent of the experiment's units that get the treatment, 1 to 99.
    pub treatment_pct: u8,
    /// When it began; `None` where the service does not tell.
    pub started_at: Option<Timestamp>,
    /// Whether its flag is on.
    pub is_on: bool,
    /// Why it does not run, as the end of a sentence about it: `ended at ...`; `None` while it does, apart from its flag.
    pub idle: Option<String>,
    /// By what it deals units: the same as long as nothing that decides who gets which arm, and what an arm is, was changed there.
    pub deal: String,
    /// Why everybody would not get the control while its flag is off, in a sentence; `None` where they do, as far as the service knows.
    pub off_problem: Option<String>,
    /// The metrics that it has there, by name.
    pub metrics: Vec<String>,
    /// Its page, for people.
    pub page: Option<String>,
}

/// A flag service with experiments of its own.
#[async_trait]
pub trait ElsewhereService: Send + Sync {
    /// The experiment with this number, id or key; `None` where there is none. [`FlagError::Foreign`] for one that cannot be guarded:
    /// with more arms than two, or whose arms cannot be told apart by the flag alone.
    async fn experiment(&self, reference: &str) -> Result<Option<Elsewhere>, FlagError>;

    /// Turns a flag on again as it is set up: nothing but its switch is changed.
    async fn switch_on(&self, key: &str) -> Result<(), FlagError>;

    /// Turns the flag of an experiment off, so that everybody gets the control. `reference`: the experiment, which may be gone.
    async fn switch_off(&self, key: &str, reference: &str) -> Result<(), FlagError>;
}
