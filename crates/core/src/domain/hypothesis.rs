//! What an author submits: a falsifiable hypothesis, and how it is to be judged and rolled out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Design, text_enum};

text_enum! {
    /// What is changed.
    pub enum InterventionKind { CodeChange, ConfigChange, CopyChange }
}
text_enum! {
    /// How badly it could go.
    pub enum Risk { Low, Medium, High }
}

impl Risk {
    /// Factor of the score.
    #[must_use]
    pub fn multiplier(self) -> f64 {
        match self {
            Self::Low => 1.0,
            Self::Medium => 0.8,
            Self::High => 0.5,
        }
    }
}

/// How it will be judged. Thresholds are signed in the direction of improvement, in the signal's units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct MeasurementPlan {
    /// End of plan, in days since launch.
    pub duration_days: u32,
    /// Units in all arms before anything but harm is decided.
    pub min_sample_size: u32,
    /// The smallest improvement worth having.
    pub success_threshold: f64,
    /// Stop when even the optimistic end of the interval is below this.
    pub kill_threshold: f64,
    /// Smallest effect worth finding, absolute, > 0.
    pub minimum_detectable_effect: f64,
}

/// How many units see it, and when more do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct RolloutPlan {
    /// Treatment share at launch, in percent of all units.
    pub initial_pct: u8,
    /// Shares of the later steps, rising.
    pub steps: Vec<u8>,
}

impl RolloutPlan {
    /// Share at `step`, where 0 is the launch.
    #[must_use]
    pub fn pct(&self, step: usize) -> Option<u8> {
        match step.checked_sub(1) {
            None => Some(self.initial_pct),
            Some(later) => self.steps.get(later).copied(),
        }
    }

    /// Launch and later steps.
    #[must_use]
    pub fn n_steps(&self) -> usize {
        1 + self.steps.len()
    }
}

impl Hypothesis {
    /// As an experiment of this design runs it: without a control group the change is on for everybody from the launch on, since
    /// everybody is compared with before.
    #[must_use]
    pub fn for_design(self, design: Design) -> Self {
        match design {
            Design::Randomised | Design::Attached => self,
            Design::BeforeAfter | Design::None => {
                Self { rollout: RolloutPlan { initial_pct: 100, steps: Vec::new() }, ..self }
            }
        }
    }
}

/// What an author submits. Complete: a candidate that lacks a field goes back to its author.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Hypothesis {
    /// One line.
    pub title: String,
    /// If we do this, then that will happen.
    pub statement: String,
    /// Why we think it works.
    pub mechanism: String,
    /// Expected improvement of the primary signal, absolute, positive = better.
    pub expected_improvement: f64,
    /// How sure the author is, 0..1.
    pub confidence: f64,
    /// What is changed.
    pub intervention: InterventionKind,
    /// What will be done.
    pub intervention_description: String,
    /// Paths or directories that will be touched, relative to the repository's root.
    pub touched_paths: Vec<String>,
    /// Key of the feature flag.
    pub flag_key: String,
    /// How it will be judged.
    pub measurement: MeasurementPlan,
    /// How it is rolled out.
    pub rollout: RolloutPlan,
    /// Hours to build.
    pub effort_hours: f64,
    /// How badly it could go.
    pub risk: Risk,
    /// Can be undone.
    pub is_reversible: bool,
    /// Tags for the learning library.
    pub tags: Vec<String>,
}
