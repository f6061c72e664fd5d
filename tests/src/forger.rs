//! Lines of the log as the runtime would write them, made by somebody who has the account's key.

use std::path::Path;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use outcome_core::audit::{EventKind, GENESIS, LogEntry, NewEvent, Writer};
use outcome_core::identity::SigningKey;
use outcome_core::settings::Settings;

/// The key with which the account of these settings signs lines.
///
/// # Errors
/// When the account has none.
pub fn writer_of(settings: &Settings) -> Result<Writer> {
    let own = settings.state_folder.clone().map(|folder| folder.join("writer.json")).filter(|path| path.exists());
    writer_in(&own.unwrap_or_else(|| settings.folder().join("writer.json")))
}

/// The key in this file.
///
/// # Errors
/// When there is none.
pub fn writer_in(file: &Path) -> Result<Writer> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let kept: serde_json::Value = serde_json::from_str(&text)?;
    let secret = hex::decode(kept["secret"].as_str().context("no secret")?)?;
    let secret: [u8; 32] = secret.try_into().map_err(|_| anyhow::anyhow!("not a key"))?;
    Ok(Writer::new(SigningKey::from_bytes(&secret), "dana", "laptop"))
}

/// The line that follows these, which are all lines before it. Without a writer it is what somebody makes who can only write the database.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn following(before: &[LogEntry], writer: Option<&Writer>, at: Timestamp, event: NewEvent) -> Result<LogEntry> {
    let last = before.last().context("a log has a first line")?;
    line(before, (last.workspace, last.seq + 1, &last.hash), writer, at, event)
}

fn line(
    before: &[LogEntry],
    (workspace, seq, prev): (outcome_core::ids::WorkspaceId, i64, &str),
    writer: Option<&Writer>,
    at: Timestamp,
    event: NewEvent,
) -> Result<LogEntry> {
    let is_step = |line: &LogEntry| line.event_kind().is_ok_and(EventKind::is_step);
    let step = before.iter().rfind(|line| line.subject.id == event.subject.id && is_step(line));
    let previous = step.filter(|_| event.kind.is_step()).map(|step| step.hash.clone());
    let entry = LogEntry::chained(workspace, seq, prev, at, event)?;
    Ok(match writer {
        Some(writer) => entry.written_by(writer, previous)?,
        None => entry,
    })
}

/// These lines again, as a log that holds together from its first line on.
///
/// # Errors
/// When they cannot be written as JSON.
pub fn chained_again(lines: Vec<LogEntry>, writer: Option<&Writer>) -> Result<Vec<LogEntry>> {
    let mut log: Vec<LogEntry> = Vec::new();
    for old in lines {
        let (prev, seq) = log.last().map_or((GENESIS.to_owned(), 1), |last| (last.hash.clone(), last.seq + 1));
        let event =
            NewEvent { kind: old.event_kind()?, subject: old.subject, principal: old.principal, payload: old.payload };
        let made = line(&log, (old.workspace, seq, &prev), writer, old.at, event)?;
        log.push(made);
    }
    Ok(log)
}
