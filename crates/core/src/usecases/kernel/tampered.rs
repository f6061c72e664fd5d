//! What is stored and cannot be what the runtime wrote.

use crate::audit::LogEntry;
use crate::error::{Code, Error, Result};

/// The error for stored state that does not follow from the log.
pub(super) fn tampered(what: &str) -> Error {
    Error::new(Code::StateTampered, format!("{what}: another program wrote to the database"))
        .hint("nothing was done; `outcome-runtime audit verify` shows where the log and the state differ")
}

/// The data of a log line.
pub(super) fn payload<T: serde::de::DeserializeOwned>(entry: &LogEntry) -> Result<T> {
    T::deserialize(&entry.payload).map_err(|_| tampered(&format!("line {} of the log cannot be read", entry.seq)))
}
