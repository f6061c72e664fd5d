//! One line of the log, and how lines hold on to each other.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::kind::{EventKind, UnknownKind};
use super::writer::{Writer, WriterEnrolled, is_signed_by};
use crate::digest::{canonical_value, sha256_hex};
use crate::domain::text_enum;
use crate::ids::{ExperimentId, GateId, KeyId, MemberId, OutcomeId, WorkspaceId};
use crate::principal::Principal;

text_enum! {
    /// What a line is about.
    pub enum SubjectKind { Workspace, Writer, Member, Outcome, Experiment, Gate, Learning, Signal }
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
impl From<&WriterEnrolled> for Subject {
    fn from(writer: &WriterEnrolled) -> Self {
        Self { kind: SubjectKind::Writer, id: writer.id() }
    }
}
impl From<MemberId> for Subject {
    fn from(id: MemberId) -> Self {
        Self { kind: SubjectKind::Member, id: id.0 }
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
    /// Hash of the step before about the same subject. Absent for its first, for what is no step, and in lines of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_step: Option<String>,
    /// Public key of the account that wrote it, in hexadecimal. Absent in lines of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writer: Option<String>,
    /// SHA-256 of the canonical JSON of all fields but this one and the next, in hexadecimal.
    pub hash: String,
    /// The writer's Ed25519 signature of the hash, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writer_signature: Option<String>,
}

/// All fields of a line that its hash is about.
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
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_step: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    writer: Option<&'e str>,
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
    /// The line that follows `(seq, prev)`, not signed by a writer yet.
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
            previous_step: None,
            writer: None,
            hash: String::new(),
            writer_signature: None,
        };
        entry.hash = entry.compute_hash()?;
        Ok(entry)
    }

    /// The same line, signed by its writer, after the subject's previous step.
    ///
    /// # Errors
    /// When it cannot be written as canonical JSON.
    pub fn written_by(mut self, writer: &Writer, previous_step: Option<String>) -> Result<Self, serde_json::Error> {
        self.previous_step = previous_step;
        self.writer = Some(writer.enrolled().public_key.clone());
        self.hash = self.compute_hash()?;
        self.writer_signature = Some(writer.sign(&self.hash));
        Ok(self)
    }

    /// Checks the hash of a line by itself.
    ///
    /// # Errors
    /// Why it does not hold, as a part of a sentence.
    pub fn must_fit_its_hash(&self) -> Result<(), String> {
        match self.compute_hash().ok().as_deref() == Some(self.hash.as_str()) {
            true => Ok(()),
            false => Err("its content does not match its hash: it was changed".to_owned()),
        }
    }

    /// Checks the signature of a line's writer.
    ///
    /// # Errors
    /// Why it does not hold, as a part of a sentence.
    pub fn must_be_signed(&self) -> Result<(), String> {
        let (Some(writer), Some(signature)) = (&self.writer, &self.writer_signature) else {
            return Err("no writer signed it".to_owned());
        };
        match is_signed_by(writer, &self.hash, signature) {
            true => Ok(()),
            false => Err("its writer did not sign it".to_owned()),
        }
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
        let Self { workspace, seq, at, kind, subject, principal, payload, prev, .. } = self;
        let Self { previous_step, writer, hash: _, writer_signature: _, .. } = self;
        let (previous_step, writer) = (previous_step.as_deref(), writer.as_deref());
        let hashed =
            Hashed { workspace, seq: *seq, at, kind, subject, principal, payload, prev, previous_step, writer };
        serde_json::to_value(&hashed).and_then(|hashed| canonical_value(&hashed)).map(sha256_hex)
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
        entry.must_fit_its_hash().or_else(broken)?;
        self.seq = entry.seq;
        self.head.clone_from(&entry.hash);
        Ok(())
    }
}
