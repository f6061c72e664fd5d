//! One line of the log, and how lines hold on to each other.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::kind::{EventKind, UnknownKind};
use crate::digest::{canonical_json, sha256_hex};
use crate::domain::text_enum;
use crate::ids::{ExperimentId, GateId, KeyId, OutcomeId, WorkspaceId};
use crate::principal::Principal;

text_enum! {
    /// What a line is about.
    pub enum SubjectKind { Workspace, Member, Outcome, Experiment, Gate, Learning, Signal }
}

/// What a line is about, with its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Subject {
    /// What kind of thing.
    pub kind: SubjectKind,
    /// Which.
    pub id: Uuid,
}

impl From<WorkspaceId> for Subject {
    fn from(id: WorkspaceId) -> Self {
        Self { kind: SubjectKind::Workspace, id: id.0 }
    }
}
impl From<OutcomeId> for Subject {
    fn from(id: OutcomeId) -> Self {
        Self { kind: SubjectKind::Outcome, id: id.0 }
    }
}
impl From<ExperimentId> for Subject {
    fn from(id: ExperimentId) -> Self {
        Self { kind: SubjectKind::Experiment, id: id.0 }
    }
}
impl From<GateId> for Subject {
    fn from(id: GateId) -> Self {
        Self { kind: SubjectKind::Gate, id: id.0 }
    }
}
impl From<KeyId> for Subject {
    fn from(id: KeyId) -> Self {
        Self { kind: SubjectKind::Member, id: id.0 }
    }
}

/// What is to be appended.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// What happened.
    pub kind: EventKind,
    /// What it is about.
    pub subject: Subject,
    /// Who did it.
    pub principal: Principal,
    /// Its data.
    pub payload: Value,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogEntry {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Its number, from 1, without gaps.
    pub seq: i64,
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What, as the text of an [`EventKind`]; a newer program may know more of them.
    pub kind: String,
    /// About what.
    pub subject: Subject,
    /// By whom.
    pub principal: Principal,
    /// Its data.
    pub payload: Value,
    /// Hash of the line before; [`GENESIS`] for the first.
    pub prev: String,
    /// SHA-256 of the canonical JSON of all fields but this one, in hexadecimal.
    pub hash: String,
}

/// All fields of a line but its hash.
#[derive(Serialize)]
struct Hashed<'e> {
    workspace: &'e WorkspaceId,
    seq: i64,
    at: &'e Timestamp,
    kind: &'e str,
    subject: &'e Subject,
    principal: &'e Principal,
    payload: &'e Value,
    prev: &'e str,
}

/// What the first line holds on to.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Where and why the log does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {seq} of the audit log: {reason}")]
pub struct ChainBreak {
    /// Number of the line.
    pub seq: i64,
    /// What is wrong.
    pub reason: String,
}

impl LogEntry {
    /// The line that follows `(seq, prev)`.
    ///
    /// # Errors
    /// When the payload cannot be written as canonical JSON.
    pub fn chained(
        workspace: WorkspaceId,
        seq: i64,
        prev: &str,
        at: Timestamp,
        event: NewEvent,
    ) -> Result<Self, serde_json::Error> {
        let mut entry = Self {
            workspace,
            seq,
            at,
            kind: event.kind.as_str().to_owned(),
            subject: event.subject,
            principal: event.principal,
            payload: event.payload,
            prev: prev.to_owned(),
            hash: String::new(),
        };
        entry.hash = entry.compute_hash()?;
        Ok(entry)
    }

    /// What happened.
    ///
    /// # Errors
    /// [`UnknownKind`] for a line of a newer program.
    pub fn event_kind(&self) -> Result<EventKind, UnknownKind> {
        self.kind.parse()
    }

    /// True when this happened.
    #[must_use]
    pub fn is(&self, kind: EventKind) -> bool {
        self.kind == kind.as_str()
    }

    fn compute_hash(&self) -> Result<String, serde_json::Error> {
        // A new field without a place in what is hashed does not compile.
        let Self { workspace, seq, at, kind, subject, principal, payload, prev, hash: _ } = self;
        let hashed = Hashed { workspace, seq: *seq, at, kind, subject, principal, payload, prev };
        canonical_json(&hashed).map(sha256_hex)
    }
}

/// Walks the log line by line.
#[derive(Debug, Clone)]
pub struct ChainCheck {
    workspace: WorkspaceId,
    /// Number of the last good line.
    pub seq: i64,
    /// Its hash.
    pub head: String,
}

impl ChainCheck {
    /// Before the first line.
    #[must_use]
    pub fn new(workspace: WorkspaceId) -> Self {
        Self { workspace, seq: 0, head: GENESIS.to_owned() }
    }

    /// The workspace whose log it is.
    #[must_use]
    pub fn workspace(&self) -> WorkspaceId {
        self.workspace
    }

    /// Checks the next line.
    ///
    /// # Errors
    /// [`ChainBreak`] when it is missing, out of order, changed, or of another workspace.
    pub fn next(&mut self, entry: &LogEntry) -> Result<(), ChainBreak> {
        let broken = |reason: String| Err(ChainBreak { seq: self.seq + 1, reason });
        if entry.workspace != self.workspace {
            return broken("it belongs to another workspace".to_owned());
        }
        if entry.seq != self.seq + 1 {
            return broken(format!("it is missing: the next line found is {}", entry.seq));
        }
        if entry.prev != self.head {
            return broken("it does not follow the previous line: one of the two was changed or replaced".to_owned());
        }
        if entry.compute_hash().ok().as_deref() != Some(entry.hash.as_str()) {
            return broken("its content does not match its hash: it was changed".to_owned());
        }
        self.seq = entry.seq;
        self.head.clone_from(&entry.hash);
        Ok(())
    }
}
