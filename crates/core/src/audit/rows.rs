//! What a `workspace.rows` line says: what the rows hold that its transaction wrote.

use serde::{Deserialize, Serialize};

crate::text_enum::text_enum! {
    /// A table whose rows the log holds, by its name. Of `measurement` these are the levels of outcomes: the readings of
    /// experiments have a chain of their own.
    pub enum FoldedTable {
        AllocationPhase, Cohort, Decision, Experiment, Gate, Learning, Measurement, Member, MemberKey, Outbox, Outcome, Secret,
        Workspace,
    }
}

/// A row that a transaction wrote: its table, its key, and the SHA-256 of what counts of it before and after; none for no row.
pub type FoldedRow = (FoldedTable, String, Option<String>, Option<String>);

/// Payload of `workspace.rows`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsStored {
    /// The rows. What was before must be what the log said last: else somebody else wrote the row in between.
    pub rows: Vec<FoldedRow>,
    /// True for the beginning: rows of tables of which the log held none before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_beginning: bool,
}
