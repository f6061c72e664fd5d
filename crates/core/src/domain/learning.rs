//! What an experiment taught, with its evidence.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Document, Evaluation, EvidenceGrade, Slug, Stored, text_enum};
use crate::ids::{ExperimentId, LearningId, OutcomeId};

text_enum! {
    /// What kind of thing was learnt.
    pub enum FindingType {
        ConfirmedHypothesis, RefutedHypothesis, UnexpectedEffect, SegmentInsight, ConstraintDiscovered,
        MethodologyLearning,
        /// Nothing could be told apart from chance; the finding says why.
        Inconclusive,
    }
}

/// The figures behind a finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Evidence {
    /// Slug of the experiment.
    pub experiment: Slug,
    /// The commit that ran.
    #[serde(default)]
    pub commit: Option<String>,
    /// Hash of the plan that was approved.
    #[serde(default)]
    pub plan_hash: Option<String>,
    /// When it went live; absent where it never did.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub launched_at: Option<Timestamp>,
    /// The last evaluation; absent where nothing was measured.
    #[serde(default)]
    pub result: Option<Stored<Evaluation>>,
}

impl Document for Evidence {
    const NAME: &'static str = "evidence of the learning";
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Learning {
    /// Its id.
    pub id: LearningId,
    /// Where it was learnt.
    pub outcome: OutcomeId,
    /// By which experiment.
    pub experiment: ExperimentId,
    /// One or two sentences by the runtime.
    pub finding: String,
    /// What kind.
    pub finding_type: FindingType,
    /// The words of the experiment's author. Untrusted.
    pub hypothesis_says: String,
    /// The human's words at the decision. Untrusted.
    #[serde(default)]
    pub note_says: Option<String>,
    /// The figures: effect, interval, n, health, hashes.
    pub evidence: Stored<Evidence>,
    /// Computed from the evidence, 0..1.
    pub confidence: f64,
    /// How strong the evidence is.
    pub grade: EvidenceGrade,
    /// Tags.
    pub applies_to: Vec<String>,
    /// When.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
}
