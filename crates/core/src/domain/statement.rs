//! A decision as an in-toto Statement: what is signed, and later shown to others.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Decision;

/// The type of every statement.
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// The type of ours. It names no host: nobody has to own one for it to stay ours.
const PREDICATE: &str = "urn:outcome-runtime:decision:v2";

/// Something that a statement is about, named by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatementSubject {
    /// `commit`, `diff`, `plan`, or `context` where it is about none of these.
    pub name: String,
    /// Its digest by algorithm.
    pub digest: BTreeMap<String, String>,
}

/// A decision with what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<StatementSubject>,
    predicate_type: String,
    predicate: Decision,
}

impl Statement {
    /// The statement of a decision.
    #[must_use]
    pub fn of(decision: Decision) -> Self {
        Self {
            kind: STATEMENT.to_owned(),
            subject: subjects(&decision),
            predicate_type: PREDICATE.to_owned(),
            predicate: decision,
        }
    }

    /// The decision, where type and subjects are those of its statement.
    #[must_use]
    pub fn decision(self) -> Option<Decision> {
        let fits = self.kind == STATEMENT
            && self.predicate_type == PREDICATE
            && self.predicate.version == 2
            && self.predicate.basis.is_some()
            && self.subject == subjects(&self.predicate);
        fits.then_some(self.predicate)
    }
}

fn subjects(decision: &Decision) -> Vec<StatementSubject> {
    let subject = |name: &str, algorithm: &str, digest: &String| StatementSubject {
        name: name.to_owned(),
        digest: BTreeMap::from([(algorithm.to_owned(), digest.clone())]),
    };
    let basis = decision.basis.as_ref();
    let of_build = [
        basis.and_then(|basis| basis.commit.as_ref()).map(|commit| subject("commit", "gitCommit", commit)),
        basis.and_then(|basis| basis.diff.as_ref()).map(|diff| subject("diff", "sha256", diff)),
        basis.and_then(|basis| basis.plan.as_ref()).map(|plan| subject("plan", "sha256", plan)),
    ];
    let subjects: Vec<_> = of_build.into_iter().flatten().collect();
    match subjects.is_empty() {
        true => vec![subject("context", "sha256", &decision.context_hash)],
        false => subjects,
    }
}
