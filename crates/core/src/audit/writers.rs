//! The writers of a log, and that each line has one.

use std::collections::BTreeMap;

use serde::Deserialize as _;

use super::{EventKind, LogEntry, Subject, WriterEnrolled};

/// A writer as the log knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownWriter {
    /// What it says of itself.
    pub enrolled: WriterEnrolled,
    /// Number of the line that enrolled it.
    pub line: i64,
    /// Number of the first line with a member's signature over a log in which it was enrolled.
    pub vouched_line: Option<i64>,
    /// Lines that it wrote.
    pub n_lines: i64,
}

/// The writers of a log, line by line.
#[derive(Debug, Clone, Default)]
pub struct WriterFold {
    /// The writer of the first line, until the second one enrols it.
    first: Option<String>,
    known: BTreeMap<String, KnownWriter>,
}

impl WriterFold {
    /// The writers by their public keys.
    #[must_use]
    pub fn known(&self) -> &BTreeMap<String, KnownWriter> {
        &self.known
    }

    /// Takes a line. From the first signed line on, each one must be signed by an enrolled writer.
    ///
    /// # Errors
    /// Why it does not hold, as a part of a sentence.
    pub fn apply(&mut self, entry: &LogEntry) -> Result<(), String> {
        let Some(writer) = &entry.writer else {
            return match self.first.is_none() && self.known.is_empty() {
                true => Ok(()),
                false => Err("no writer signed it".to_owned()),
            };
        };
        entry.must_be_signed()?;
        if entry.is(EventKind::WriterEnrolled) {
            let enrolled =
                WriterEnrolled::deserialize(&entry.payload).map_err(|e| format!("it cannot be read: {e}"))?;
            if enrolled.public_key != *writer || Subject::from(&enrolled) != entry.subject {
                return Err("it enrols another writer than the one that signed it".to_owned());
            }
            let first = self.first.take();
            if first.as_ref().is_some_and(|first| first != writer) {
                return Err("the writer of the first line is not enrolled".to_owned());
            }
            let n_lines = i64::from(first.is_some());
            let new = KnownWriter { enrolled, line: entry.seq, vouched_line: None, n_lines };
            self.known.entry(writer.clone()).or_insert(new);
        } else if entry.seq == 1 {
            self.first = Some(writer.clone());
            return Ok(());
        }
        let known = self.known.get_mut(writer).ok_or("its writer is not enrolled")?;
        known.n_lines += 1;
        Ok(())
    }

    /// A member signed the log up to line `signed`, in a decision that is used in `line`.
    pub fn vouch(&mut self, signed: i64, line: i64) {
        for known in self.known.values_mut().filter(|known| known.line <= signed) {
            known.vouched_line = known.vouched_line.or(Some(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use jiff::Timestamp;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::audit::{GENESIS, NewEvent, Writer};
    use crate::ids::WorkspaceId;
    use crate::principal::Principal;

    fn writer(seed: u8) -> Writer {
        Writer::new(SigningKey::from_bytes(&[seed; 32]), "dana", "laptop")
    }

    fn line(seq: i64, by: Option<&Writer>, event: EventKind, payload: serde_json::Value) -> LogEntry {
        let workspace = WorkspaceId(Uuid::from_u128(1));
        let subject = match by {
            Some(by) if event == EventKind::WriterEnrolled => by.enrolled().into(),
            _ => workspace.into(),
        };
        let event = NewEvent { kind: event, subject, principal: Principal::system("test"), payload };
        let line = LogEntry::chained(workspace, seq, GENESIS, Timestamp::UNIX_EPOCH, event).unwrap();
        by.map_or_else(|| line.clone(), |by| line.clone().written_by(by, None).unwrap())
    }

    fn enrolment(seq: i64, by: &Writer) -> LogEntry {
        line(seq, Some(by), EventKind::WriterEnrolled, serde_json::to_value(by.enrolled()).unwrap())
    }

    #[test]
    fn after_the_first_signed_line_every_line_needs_an_enrolled_writer() {
        let (own, other) = (writer(1), writer(2));
        let mut fold = WriterFold::default();
        let note = |seq, by: Option<&Writer>| line(seq, by, EventKind::LearningStored, json!({}));
        fold.apply(&note(1, None)).unwrap();
        fold.apply(&enrolment(2, &own)).unwrap();
        fold.apply(&note(3, Some(&own))).unwrap();
        assert!(fold.apply(&note(4, None)).unwrap_err().contains("no writer"));
        assert!(fold.apply(&note(4, Some(&other))).unwrap_err().contains("not enrolled"));
        let mut forged = note(4, Some(&own));
        forged.writer_signature = note(5, Some(&own)).writer_signature;
        assert!(fold.apply(&forged).is_err());
        let mut stolen = enrolment(4, &other);
        stolen.subject = own.enrolled().into();
        assert!(fold.apply(&stolen).is_err());
        fold.apply(&enrolment(4, &other)).unwrap();
        fold.vouch(3, 5);
        let vouched = |by: &Writer| fold.known()[&by.enrolled().public_key].vouched_line;
        assert_eq!((vouched(&own), vouched(&other)), (Some(5), None));
        assert_eq!(fold.known()[&own.enrolled().public_key].n_lines, 2);
    }

    #[test]
    fn the_writer_of_the_first_line_is_enrolled_by_the_second() {
        let (own, other) = (writer(1), writer(2));
        let first = line(1, Some(&own), EventKind::WorkspaceCreated, json!({}));
        let mut fold = WriterFold::default();
        fold.apply(&first).unwrap();
        assert!(fold.clone().apply(&enrolment(2, &other)).is_err());
        assert!(fold.clone().apply(&line(2, Some(&own), EventKind::LearningStored, json!({}))).is_err());
        fold.apply(&enrolment(2, &own)).unwrap();
        assert_eq!(fold.known()[&own.enrolled().public_key].n_lines, 2);
    }
}
