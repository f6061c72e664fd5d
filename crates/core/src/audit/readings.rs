//! What a line about readings says. The readings of an experiment have a chain of their own: its end names all of them.

use serde::{Deserialize, Serialize};

use super::LogEntry;
use crate::digest::{canonical_json, sha256_hex};
use crate::domain::Said;
use crate::ids::ExperimentId;

/// What an `experiment.measured` line says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollLine {
    /// The experiment and the instant, as [`poll_key`] writes them.
    pub key: String,
    /// Digest of the readings.
    pub digest: String,
    /// How many readings there are.
    #[serde(default)]
    pub n: usize,
    /// The end of the chain of readings; absent in lines of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
    /// What was made of them; absent in lines of before, and where readings came without a poll.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<Said>,
}

impl PollLine {
    /// A poll that follows the end of the chain of the experiment's readings; `None` for its first.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn after(end: Option<&str>, key: String, digest: String, n: usize) -> Result<Self, serde_json::Error> {
        let chain = canonical_json(&(end, &key, &digest)).map(sha256_hex)?;
        Ok(Self { key, digest, n, chain: Some(chain), said: None })
    }

    /// The same with what was made of the readings.
    #[must_use]
    pub fn saying(self, said: Option<Said>) -> Self {
        Self { said, ..self }
    }
}

/// The end of the chain of readings after a line about readings. A line of before has no chain, and its own hash begins one.
#[must_use]
pub fn chain_of(line: &LogEntry) -> String {
    let said = PollLine::deserialize(&line.payload).ok().and_then(|poll| poll.chain);
    said.unwrap_or_else(|| line.hash.clone())
}

/// `EXPERIMENT@INSTANT`: which readings the digest of an `experiment.measured` line is about. It repeats the line's own
/// subject and instant for those who read one line alone, and is never taken apart.
#[must_use]
pub fn poll_key(experiment: ExperimentId, at: jiff::Timestamp) -> String {
    format!("{experiment}@{at}")
}
