//! What a source answered, by its hash in a proof.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::AuditLog;
use crate::characters::quotable;
use crate::error::{Code, Error, Result};
use crate::usecases::kernel::raw_answer::text_of;
use crate::usecases::kernel::workspace_file::config;

/// What a source answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SourceAnswer {
    /// SHA-256 of `answer`, in hexadecimal.
    pub raw_hash: String,
    /// When it was said last.
    #[schemars(with = "String")]
    pub read_at: Timestamp,
    /// What of the answer the numbers were made from, as canonical JSON.
    pub answer: String,
}

impl AuditLog<'_> {
    /// What a source answered, by the `raw_hash` of a reading. It is what it was: its hash was compared.
    ///
    /// # Errors
    /// [`Code::NotFound`] where its text is not kept (any more), [`Code::AuditBroken`] where it is not what its hash says.
    #[tracing::instrument(level = "debug", name = "audit_log.answer", skip_all)]
    pub async fn answer(self, raw_hash: &str) -> Result<SourceAnswer> {
        let found = self.0.read().await?.raw_answer_get(&raw_hash.to_ascii_lowercase()).await?;
        if let Some(row) = found {
            return Ok(SourceAnswer { answer: text_of(&row)?, read_at: row.read_at.0, raw_hash: row.hash });
        }
        let kept = config(self.0).await.map(|config| config.retention).unwrap_or_default().raw_answers;
        Err(Error::new(Code::NotFound, format!("no answer with the hash {} is kept", short(raw_hash))).hint(format!(
            "the text of an answer about an experiment is kept for {kept} after it was last said (`retention.raw_answers`); a reading that \
             was pushed, or put together from sealed cohorts, has none. `outcome-runtime stats proof` lists the hashes as `raw_hash`"
        )))
    }
}

/// Something that may be no hash, for people.
fn short(hash: &str) -> String {
    quotable(hash, 70)
}
