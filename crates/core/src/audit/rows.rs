//! What a `workspace.rows` line says: what the rows hold that its transaction wrote.

use serde::{Deserialize, Serialize};

crate::text_enum::text_enum! {
    /// A table whose rows the log holds, by its name.
    pub enum FoldedTable {
        AllocationPhase, Decision, Experiment, Gate, Learning, Member, MemberKey, Outbox, Outcome, Workspace,
    }
}

/// A row: its table, its key, and the SHA-256 of what counts of it; none for one that is gone.
pub type FoldedRow = (FoldedTable, String, Option<String>);

/// Payload of `workspace.rows`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsStored {
    /// The rows.
    pub rows: Vec<FoldedRow>,
}
