//! What the door for a running experiment hands back.

use std::ops::Deref;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Assessment, BeforeAfter, GuardrailResult, HealthFinding, Recommendation, RunningState};

/// What the rules advise, and why. Only a human decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Advice {
    /// By the fixed order of STATS.md 2.8.
    #[serde(rename = "decision")]
    pub recommendation: Recommendation,
    /// One sentence.
    pub reason: String,
    /// What is missing for a decision; absent when nothing is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Result of one poll, as stored and shown: the numbers, in words, and what to remember.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evaluated {
    /// What follows.
    #[serde(rename = "verdict")]
    pub advice: Advice,
    /// What it rests on.
    #[serde(flatten)]
    pub numbers: Assessment,
    /// In the order given.
    pub guardrails: Vec<GuardrailResult>,
    /// Findings about the data, blocking ones first.
    pub health: Vec<HealthFinding>,
    /// The comparison of an experiment without a control group; observational.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<BeforeAfter>,
    /// To be persisted.
    pub running: RunningState,
}

impl Deref for Evaluated {
    type Target = Assessment;
    fn deref(&self) -> &Assessment {
        &self.numbers
    }
}
