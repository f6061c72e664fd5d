//! Which keys count, as the log says it: enrolments, revocations and marks, by the number of their line.

use serde::{Deserialize, Serialize};

use super::{EventKind, LogEntry};
use crate::digest::{canonical_json, sha256_hex};
use crate::domain::{Assurance, DecisionSubject, KeyKind, SignedDecision, SignedEnrolment, Verdict};
use crate::identity::{Keyring, KnownKey, NEW};
use crate::ids::{KeyId, WorkspaceId};

/// What a line about a key says that counts no longer, or that somebody else had. Its canonical JSON is what the decision shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyAct {
    /// Which.
    pub key: KeyId,
    /// Since which line somebody else had it; absent for a revocation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compromised_since: Option<i64>,
    /// Why, in the member's words.
    pub reason: String,
}

/// A line about a key, with the decision behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedKeyAct {
    /// What was done.
    pub act: KeyAct,
    /// By whose decision.
    pub decision: Box<SignedDecision>,
}

impl KeyAct {
    /// SHA-256 of what the member was shown.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn shown(&self) -> Result<String, serde_json::Error> {
        canonical_json(self).map(sha256_hex)
    }

    /// What the decision says.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        Self::verdict_for(self.compromised_since)
    }

    /// What the decision says of a key that somebody else had since a line, or that is revoked.
    #[must_use]
    pub fn verdict_for(compromised_since: Option<i64>) -> Verdict {
        if compromised_since.is_some() { Verdict::MarkCompromised } else { Verdict::RevokeKey }
    }

    /// What the line says has happened.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        if self.compromised_since.is_some() { EventKind::MemberKeyCompromised } else { EventKind::MemberKeyRevoked }
    }
}

/// The keys that count, line by line.
#[derive(Debug, Clone)]
pub struct KeyFold {
    workspace: WorkspaceId,
    root: String,
    known: Vec<KnownKey>,
    ring: Keyring,
}

impl KeyFold {
    /// Before the first enrolment.
    #[must_use]
    pub fn new(workspace: WorkspaceId, root_fingerprint: &str) -> Self {
        let ring = Keyring::build(workspace, root_fingerprint, []);
        Self { workspace, root: root_fingerprint.to_owned(), known: Vec::new(), ring }
    }

    /// The keys that count now.
    #[must_use]
    pub fn ring(&self) -> &Keyring {
        &self.ring
    }

    /// Takes a line about a key. A line that does not hold changes nothing.
    ///
    /// # Errors
    /// Why it does not hold, as a part of a sentence.
    pub fn apply(&mut self, entry: &LogEntry) -> Result<Option<SignedDecision>, String> {
        let key = KeyId(entry.subject.id);
        let mut known = self.known.clone();
        let mut decision = None;
        match entry.event_kind() {
            Ok(EventKind::MemberEnrolled) => {
                let certificate = SignedEnrolment::deserialize(&entry.payload).map_err(|e| unreadable(&e))?;
                if certificate.enrolment.key != key {
                    return Err("it enrols another key than the one that it is about".to_owned());
                }
                let (revoked_line, compromised_since) = (None, None);
                known.push(KnownKey { certificate, enrolled_line: entry.seq, revoked_line, compromised_since });
            }
            Ok(EventKind::MemberKeyRevoked | EventKind::MemberKeyCompromised) => {
                let SignedKeyAct { act, decision: signed } =
                    SignedKeyAct::deserialize(&entry.payload).map_err(|e| unreadable(&e))?;
                self.check_act(entry, &act, &signed)?;
                let about = known.iter_mut().find(|known| known.certificate.enrolment.key == key);
                let about = about.ok_or("it is about a key that was never enrolled")?;
                match act.compromised_since {
                    Some(since) => {
                        about.compromised_since = Some(about.compromised_since.map_or(since, |was| was.min(since)));
                    }
                    None => about.revoked_line = about.revoked_line.or(Some(entry.seq)),
                }
                decision = Some(*signed);
            }
            _ => return Ok(None),
        }
        let ring = Keyring::build(self.workspace, &self.root, known.iter().cloned());
        let is_new_rejected = ring.rejected().len() > self.ring.rejected().len();
        if is_new_rejected && decision.is_none() {
            return Err("it enrols a key that no enrolled key has certified".to_owned());
        }
        if let Some(signed) = &decision {
            // Of a code that somebody else had, no key comes any more.
            let is_kept = |guarded: &KnownKey| {
                ring.get(guarded.certificate.enrolment.key).is_some_and(|now| {
                    let kind = now.certificate.enrolment.kind;
                    let is_usable = kind == KeyKind::Touch || now.compromised_since == guarded.compromised_since;
                    now.counts_in(NEW) && is_usable
                })
            };
            let by = signed.decision().key;
            if !self.ring.guarded_in(NEW).all(|guarded| is_kept(guarded) || self.ring.may_take_away(by, guarded)) {
                return Err(
                    "it takes away a key that is touched, or a recovery code, without a touch and without the code"
                        .to_owned(),
                );
            }
        }
        if decision.as_ref().is_some_and(|signed| ring.get(signed.decision().key).is_none()) {
            return Err("it takes away the key that says so: the marked key had vouched for it".to_owned());
        }
        (self.known, self.ring) = (known, ring);
        Ok(decision)
    }

    fn check_act(&self, entry: &LogEntry, act: &KeyAct, signed: &SignedDecision) -> Result<(), String> {
        let verified = self.ring.verify(signed, entry.seq).map_err(|e| e.to_string())?;
        let decision = verified.get();
        let about = self.ring.get(act.key).ok_or("it is about a key that does not count")?;
        let is_own = about.certificate.enrolment.member == decision.member;
        // A key that lies open on the disk, as those of before did, decides nothing about keys.
        let fits = decision.assurance >= Assurance::A3
            && act.key == KeyId(entry.subject.id)
            && decision.subject == DecisionSubject::Key(act.key)
            && decision.verdict == act.verdict()
            && act.shown().is_ok_and(|shown| shown == decision.context_hash)
            && entry.is(act.kind());
        match fits && (is_own || self.ring.root_member() == Some(decision.member)) {
            true => Ok(()),
            false => Err("its decision is about something else, or by somebody whose key it is not".to_owned()),
        }
    }
}

fn unreadable(error: &serde_json::Error) -> String {
    format!("its data cannot be read: {error}")
}
