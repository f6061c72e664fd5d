//! The rows that a transaction wrote, of those that the log holds.

use std::collections::BTreeMap;

use uuid::Uuid;

pub(super) use crate::audit::FoldedTable;

/// What names a row in its table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RowKey {
    /// An id.
    Id(Uuid),
    /// A part of something.
    Part(Uuid, i32),
    /// A text.
    Text(String),
}

impl std::fmt::Display for RowKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{}", id.simple()),
            Self::Part(id, part) => write!(f, "{}/{part}", id.simple()),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// The rows that a transaction wrote, with the digest of what they were before.
pub(super) type Touched = BTreeMap<(FoldedTable, RowKey), Option<String>>;
