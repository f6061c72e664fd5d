//! Anchoring the head of the log elsewhere.

use std::path::PathBuf;

use serde_json::json;

use super::AuditLog;
use crate::audit::{EventKind, SignedAnchor};
use crate::error::{Code, Error, Result};
use crate::scope::ScopeError;
use crate::usecases::Runtime;
use crate::usecases::kernel::event::new_event;
use crate::usecases::kernel::file::io;
use crate::usecases::kernel::unlock::{Unlock, member_key};
use crate::usecases::kernel::workspace_file::repo;

/// Where git keeps our notes.
const NOTES: &str = "refs/notes/outcome-audit";

/// Where an anchor is kept.
#[derive(Debug, Clone)]
pub enum AnchorPlace {
    /// A line at the end of a file.
    File(PathBuf),
    /// A git note at the head commit, under `refs/notes/outcome-audit`.
    GitNote,
}

impl AuditLog<'_> {
    /// Default file of anchors.
    #[must_use]
    pub fn anchor_file(self) -> PathBuf {
        self.0.settings.folder().join("anchors.jsonl")
    }

    /// Signs the head of the log and keeps it elsewhere.
    ///
    /// # Errors
    /// [`Code::PassphraseWrong`], [`Code::Io`], git's errors.
    #[tracing::instrument(level = "debug", name = "audit_log.anchor", skip_all)]
    pub async fn anchor(self, place: &AnchorPlace, unlock: &Unlock) -> Result<String> {
        let (member, key) = member_key(self.0, None, unlock).await?;
        let mut tx = self.0.write().await?;
        let by = member.principal();
        let shown = match place {
            AnchorPlace::File(path) => path.display().to_string(),
            AnchorPlace::GitNote => "git note".to_owned(),
        };
        let event = new_event(EventKind::AuditAnchored, self.0.workspace.id.into(), &by, &json!({ "place": shown }))?;
        let entry = tx.event_append(event, self.0.now()).await?;
        tx.commit().await?;
        let signed = SignedAnchor::sign(self.0.workspace.id, entry.seq, entry.hash, entry.at, &key)
            .map_err(|e| Error::new(Code::Internal, e.to_string()))?;
        let line = serde_json::to_string(&signed)
            .map_err(|e| Error::new(Code::Internal, "the anchor cannot be written").because(e))?;
        match place {
            AnchorPlace::File(path) => append_line(path, &line)?,
            AnchorPlace::GitNote => write_note(self.0, &line).await?,
        }
        Ok(line)
    }
}

async fn write_note(runtime: &Runtime, line: &str) -> Result<()> {
    let repo = repo(runtime).await?;
    let head = repo.head().await?;
    repo.note_append(NOTES, &head, line).await.map_err(|e| match e {
        ScopeError::GitFailed { stderr, .. } => {
            Error::new(Code::GitFailed, format!("the git note was not written: {}", stderr.trim()))
        }
        other => other.into(),
    })
}

/// The lines of all notes of ours; none where there is no repository.
pub(super) async fn read_notes(runtime: &Runtime) -> Vec<String> {
    let Ok(repo) = repo(runtime).await else { return Vec::new() };
    let lines = repo.note_lines(NOTES).await.unwrap_or_default();
    lines.into_iter().filter(|line| line.trim_start().starts_with('{')).collect()
}

fn append_line(path: &std::path::Path, line: &str) -> Result<()> {
    use std::io::Write as _;
    let shown = path.display().to_string();
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).map_err(|e| io(&shown, e))?;
    file.write_all(format!("{line}\n").as_bytes()).and_then(|()| file.sync_all()).map_err(|e| io(&shown, e))
}
