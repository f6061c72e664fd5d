//! What a poll said, as the log keeps it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ExperimentStatus;
use crate::stats::{Advice, HealthCode, HealthFinding, RULES, Recommendation};

/// What a poll made of its readings, in the words of then: nobody changes afterwards what was recommended, why, or of which experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Said {
    /// Slug of the experiment.
    pub experiment: String,
    /// Where it stood when it was polled.
    pub status: ExperimentStatus,
    /// What the engine recommended; absent where it had nothing to judge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Recommendation>,
    /// Why, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it found about the data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health: Vec<HealthCode>,
    /// Version of the rules that it followed.
    pub rules: u32,
}

impl Said {
    /// `judged`: what was recommended, and what was found about the data.
    #[must_use]
    pub fn of(experiment: String, status: ExperimentStatus, judged: Option<(&Advice, &[HealthFinding])>) -> Self {
        Self {
            experiment,
            status,
            decision: judged.map(|(advice, _)| advice.recommendation),
            reason: judged.map(|(advice, _)| advice.reason.clone()),
            health: judged.map(|(_, health)| health.iter().map(|finding| finding.code).collect()).unwrap_or_default(),
            rules: RULES,
        }
    }
}
