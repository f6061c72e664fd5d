//! Whether the steps about something are lines that an account which the log knows has written: somebody who can only write the
//! database can neither add one nor change one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tampered::tampered;
use crate::audit::{LogEntry, WriterEnrolled, WriterFold};
use crate::error::Result;
use crate::store::Tx;

/// The writers of a log.
pub(super) struct Writers {
    fold: WriterFold,
    /// Number of the first line that enrolled one; lines of before are not signed.
    since: i64,
}

impl Writers {
    /// Those that the log knows.
    ///
    /// # Errors
    /// [`Code::StateTampered`](crate::error::Code::StateTampered) for an enrolment that does not hold.
    pub(super) async fn of(tx: &mut Tx) -> Result<Self> {
        let mut fold = WriterFold::default();
        let lines = tx.event_of_writers().await?;
        for line in &lines {
            line.must_fit_its_hash().and_then(|()| fold.apply(line)).map_err(|reason| broken(line, &reason))?;
        }
        Ok(Self { fold, since: lines.first().map_or(i64::MAX, |line| line.seq) })
    }

    /// Checks the steps about one thing, oldest first: each fits its hash and follows the one before, and a known writer signed the
    /// last one, which holds on to all before it.
    ///
    /// # Errors
    /// [`Code::StateTampered`](crate::error::Code::StateTampered).
    pub(super) fn must_have_written(&self, steps: &[LogEntry]) -> Result<()> {
        let mut before: Option<&LogEntry> = None;
        for line in steps {
            line.must_fit_its_hash().map_err(|reason| broken(line, &reason))?;
            if line.writer.is_none() && line.seq > self.since {
                return Err(broken(line, "no writer signed it"));
            }
            let follows = before.is_none_or(|before| line.previous_step.as_ref() == Some(&before.hash));
            if line.writer.is_some() && !follows {
                return Err(broken(line, "it does not follow the step before about the same thing"));
            }
            before = Some(line);
        }
        let Some((line, writer)) = before.and_then(|line| Some((line, line.writer.as_ref()?))) else { return Ok(()) };
        line.must_be_signed().map_err(|reason| broken(line, &reason))?;
        match self.fold.known().contains_key(writer) {
            true => Ok(()),
            false => Err(broken(line, "its writer is not enrolled")),
        }
    }
}

/// An account that writes the log and that no member has vouched for yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct NewWriter {
    /// `ACCOUNT@HOST`, as it says of itself.
    pub place: String,
    /// Number of the line since which it writes.
    pub since_line: i64,
}

/// The accounts that enrolled themselves after the last line that a member's signature stands behind. The one that made the workspace is
/// none of them.
///
/// # Errors
/// When the database fails.
pub(in crate::usecases) async fn new_writers(tx: &mut Tx) -> Result<Vec<NewWriter>> {
    let mut new = Vec::new();
    for line in tx.event_of_writers().await?.iter().skip(1) {
        if let Ok(enrolled) = WriterEnrolled::deserialize(&line.payload)
            && !tx.event_is_signed_after(line.seq).await?
        {
            new.push(NewWriter { place: enrolled.place(), since_line: line.seq });
        }
    }
    Ok(new)
}

fn broken(line: &LogEntry, reason: &str) -> crate::error::Error {
    tampered(&format!("line {} of the log does not hold ({reason})", line.seq))
}
