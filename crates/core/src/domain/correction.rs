//! What a human can set right about the data of an experiment that runs: a query that was wrong, a reading that was.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Plan, SignalQuery, SignalSpec};

/// A correction of the data by hand. Nothing that was stored is changed: what it leaves out stays where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schemars(inline)]
pub enum Correction {
    /// The query of a signal was wrong or broke: it is read with another one, and its readings so far are left out.
    Query {
        /// Name of the signal.
        signal: String,
        /// What was asked so far.
        before: SignalQuery,
        /// What is asked from now on.
        after: SignalQuery,
    },
    /// One reading of a signal was wrong: it is left out.
    Reading {
        /// Name of the signal.
        signal: String,
        /// When the reading was stored.
        #[schemars(with = "String")]
        measured_at: Timestamp,
    },
}

impl Correction {
    /// The signal that it is about.
    #[must_use]
    pub fn signal(&self) -> &str {
        match self {
            Self::Query { signal, .. } | Self::Reading { signal, .. } => signal,
        }
    }

    /// The plan that counts after it: the same with the other query, and with half of the error rate for claims, since
    /// whoever corrects has seen the numbers and gets another chance of a false one (METRICS.md 8).
    #[must_use]
    pub fn applied_to(&self, plan: &Plan) -> Plan {
        let mut next = plan.clone();
        next.alpha /= 2.0;
        next.error_budget = next.error_budget.map(|mut budget| {
            budget.corrections = budget.corrections.saturating_add(1);
            budget
        });
        if let Self::Query { signal, after, .. } = self {
            let guards = next.guardrails.iter_mut().map(|guardrail| &mut guardrail.signal);
            let named = |found: &&mut SignalSpec| found.name == *signal;
            if let Some(found) = std::iter::once(&mut next.signal).chain(guards).find(named) {
                found.query = after.clone();
            }
        }
        next
    }
}

/// A correction and when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeCorrection {
    /// When.
    pub at: Timestamp,
    /// What was corrected.
    pub correction: Correction,
}

impl MadeCorrection {
    /// True for a reading of `signal`, stored at `measured_at`, that does not count any more. `reread_of`: the instant of
    /// the earlier poll that it tells again, if it does.
    #[must_use]
    pub fn leaves_out(&self, signal: &str, measured_at: Timestamp, reread_of: Option<Timestamp>) -> bool {
        signal == self.correction.signal()
            && match self.correction {
                Correction::Query { .. } => measured_at <= self.at,
                Correction::Reading { measured_at: wrong, .. } => {
                    measured_at == wrong || (reread_of == Some(wrong) && measured_at <= self.at)
                }
            }
    }
}
