//! The door for a running experiment: one poll and what was remembered, to a verdict and what to remember.
//!
//! **Invariant**: evaluating the same poll again, with the state it returned, gives the same verdict and the same
//! state.

use std::ops::Deref;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::assess::{assess_each, is_end_by_days};
use super::{Assessment, Decision, Evaluation, GuardrailResult, HealthFinding, RunningState, wording};

/// What the rules say, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// By the fixed order of STATS.md 2.8.
    pub decision: Decision,
    /// One sentence.
    pub reason: String,
}

/// Result of one poll, as stored and shown: the numbers, in words, and what to remember.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evaluated {
    /// What follows.
    pub verdict: Verdict,
    /// What it rests on.
    #[serde(flatten)]
    pub numbers: Assessment,
    /// In the order given.
    pub guardrails: Vec<GuardrailResult>,
    /// Findings about the data, blocking ones first.
    pub health: Vec<HealthFinding>,
    /// To be persisted.
    pub running: RunningState,
}

impl Deref for Evaluated {
    type Target = Assessment;
    fn deref(&self) -> &Assessment {
        &self.numbers
    }
}

/// Evaluates one poll of one treatment against its control.
///
/// `previous`: the state returned by the last poll, `None` for the first. A phase whose units shrank (a restatement)
/// starts a new epoch with p = 1 and holds this poll. A poll older than the last one is held and not remembered.
///
/// Source: STATS.md 2.0 to 2.8.
#[must_use]
pub fn evaluate(input: &Evaluation<'_>, previous: Option<&RunningState>) -> Evaluated {
    let mut running = previous.cloned().unwrap_or_default();
    let mut guardrails = Vec::with_capacity(input.guardrails.len());
    let assessed = assess_each(input, &mut running, |guardrail, numbers| {
        guardrails.push(GuardrailResult { name: guardrail.name.to_owned(), numbers: *numbers });
    });
    let mut evaluated = Evaluated {
        verdict: Verdict { decision: assessed.decision, reason: String::new() },
        numbers: assessed.numbers,
        guardrails,
        health: assessed.findings.in_words(&assessed.numbers),
        running,
    };
    evaluated.verdict.reason = wording::reason(&evaluated, input.plan, is_end_by_days(input));
    evaluated
}
