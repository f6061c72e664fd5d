//! What a human is shown at a gate. Texts by agents and authors stand in fields named `*_says`: quoted, never trusted.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::limit_names::of_result;
use super::{
    Author, Baseline, Build, ConstraintBound, Design, Direction, Document, ErrorBudget, Evaluation, EvidenceGrade,
    ExperimentStatus, FindingType, InterventionKind, MeasurementPlan, Pause, Place, Risk, RolloutPlan, ScoreBreakdown,
    SignalCaps, Stored, ViolationPolicy,
};
use crate::ids::LearningId;
use crate::principal::Principal;
use crate::stats::Scale;

/// What a gate shows although there may be none of it: then it is null, and absent at the gates that do not show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Nullable<T>(pub Option<T>);

impl<T> Nullable<T> {
    /// What there is, of a fact that a gate may not show.
    #[must_use]
    pub fn of(fact: Option<&Self>) -> Option<&T> {
        fact.and_then(|fact| fact.0.as_ref())
    }
}

/// What to look at before deciding. Which parts are there depends on the type of the gate.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Facts {
    /// What is to be achieved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OutcomeFacts>,
    /// What would be applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeFacts>,
    /// What was proposed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hypothesis: Option<HypothesisFacts>,
    /// Its flag, as the service had it when the gate opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<FlagFacts>,
    /// Where it runs, if that is elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attached: Option<AttachedFacts>,
    /// How it will be judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanFacts>,
    /// Its rank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<ScoreBreakdown>,
    /// What was learnt before about something like it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub similar_learnings: Option<Vec<LearningFacts>>,
    /// Why it gets in the way of others, as sentences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflicts: Option<Vec<String>>,
    /// What was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<Nullable<Stored<Build>>>,
    /// What of the outcome file was changed since the build was approved: of this outcome, of the sources and of the flag service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed_since_approval: Vec<ChangedKey>,
    /// A short simulation of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<DryRunFacts>,
    /// What was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Nullable<Stored<Evaluation>>>,
    /// From 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout_step: Option<usize>,
    /// Why it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Nullable<Pause>>,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ExperimentStatus>,
}

impl Facts {
    /// The evaluation, or the sentence to show instead when it cannot be read. `None` where none is shown.
    #[must_use]
    pub fn evaluation(&self) -> Option<Result<&Evaluation, String>> {
        Nullable::of(self.result.as_ref()).map(Stored::shown)
    }

    /// The constraint that a guardrail result of this name is about. One with two limits has a result for each.
    #[must_use]
    pub fn constraint_of(&self, result: &str) -> Option<&GuardrailFacts> {
        of_result(&self.plan.as_ref()?.guardrails, result, |guard| &guard.signal)
    }
}

impl Document for Facts {
    const NAME: &'static str = "facts of the gate";
}

/// An experiment that runs at a flag service without the runtime.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct AttachedFacts {
    /// The service, as the outcome file calls it.
    pub provider: String,
    /// By what the service finds it again.
    pub reference: String,
    /// What it is called there.
    pub name_says: String,
    /// The arm that everybody gets while its flag is off.
    pub control: String,
    /// The other arm.
    pub treatment: String,
    /// Percent of its units that get the treatment.
    pub treatment_pct: u8,
    /// Since when units are counted.
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// When it began there, where the service tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub began_at: Option<Timestamp>,
    /// Experiments here that had its flag before; absent at later gates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_before: Option<u64>,
    /// Units of the control by then; absent at later gates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_control: Option<u64>,
    /// Units of the treatment by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_treatment: Option<u64>,
    /// The metrics that it has there, which are not watched here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics_say: Vec<String>,
    /// Its page there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
}

/// What would be applied of the outcome file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct ChangeFacts {
    /// SHA-256 of the file's text.
    pub hash: String,
    /// SHA-256 of the text that is applied now; none for the first.
    pub applied: Option<String>,
    /// Where the text comes from.
    pub origin: ConfigurationOrigin,
    /// What differs.
    pub differences: Vec<ChangedKey>,
    /// Experiments that it touches, as sentences.
    pub touches: Vec<String>,
    /// Where the sources and the flag service lead in the process that opened the gate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Place>,
}

/// Where the text of an outcome file comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct ConfigurationOrigin {
    /// The checked-out commit.
    #[serde(default)]
    pub commit: Option<String>,
    /// True when the commit has exactly this text.
    #[serde(default)]
    pub is_committed: bool,
}

/// One key of the outcome file that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct ChangedKey {
    /// Where, such as `outcomes.signup.target.to`.
    pub field: String,
    /// The applied value; null for none. Secrets are blanked.
    pub from: serde_json::Value,
    /// The file's value.
    pub to: serde_json::Value,
    /// True when a member must sign it.
    pub is_signed: bool,
}

/// What is to be achieved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct OutcomeFacts {
    /// Title.
    pub title_says: String,
    /// What is measured.
    pub signal: String,
    /// How its values are written; absent in facts of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// Which way is better.
    pub direction: Direction,
    /// Where it stood, as the author believed.
    pub from: f64,
    /// Where it should be.
    pub to: f64,
    /// Where it stood when it was activated.
    #[serde(default)]
    pub measured_baseline: Option<Baseline>,
    /// Until when.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub deadline: Option<Timestamp>,
}

/// What was proposed, in its author's words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct HypothesisFacts {
    /// Who wrote it.
    pub author: Author,
    /// Who submitted it.
    pub submitted_by: Principal,
    /// One line.
    pub title_says: String,
    /// If we do this, then that will happen.
    pub statement_says: String,
    /// Why it should work.
    pub mechanism_says: String,
    /// What is changed.
    pub intervention: InterventionKind,
    /// What will be done.
    pub intervention_says: String,
    /// Paths that will be touched.
    pub touched_paths: Vec<String>,
    /// Key of the feature flag.
    pub flag_key: String,
    /// Expected improvement, absolute, positive = better.
    pub expected_improvement: f64,
    /// How sure the author is, 0..1.
    pub confidence: f64,
    /// Hours to build.
    pub effort_hours: f64,
    /// How badly it could go.
    pub risk: Risk,
    /// Can be undone.
    pub is_reversible: bool,
}

/// The flag, as its service had it when the gate opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct FlagFacts {
    /// Name of the service.
    pub service: String,
    /// What was found.
    #[serde(flatten)]
    pub found: FlagFound,
}

/// What a flag service says of a key before it is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "found", rename_all = "snake_case")]
#[schemars(inline)]
pub enum FlagFound {
    /// There is no such flag: the launch makes it.
    Nothing,
    /// It is there, and off: approving takes it over, and off is where it goes back to.
    Off,
    /// Units get its treatment already.
    On {
        /// Share of them, 0 to 100.
        treatment_pct: u8,
    },
    /// It is there, and set up in a way that the runtime does not write.
    Otherwise {
        /// How.
        problem: String,
    },
    /// Nobody knows.
    NotRead {
        /// Why.
        problem: String,
    },
}

impl FlagFound {
    /// Why nothing can be launched on it, as the end of a sentence; `None` where something can.
    #[must_use]
    pub fn is_taken(&self) -> Option<String> {
        match self {
            Self::Nothing | Self::Off | Self::NotRead { .. } => None,
            Self::On { treatment_pct } => Some(format!(
                "is on at {treatment_pct} % already: who gets it was not assigned by this experiment and would be counted in it"
            )),
            Self::Otherwise { problem } => Some(format!("is there and set up otherwise ({problem})")),
        }
    }
}

/// How it will be judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct PlanFacts {
    /// SHA-256 of the plan's canonical JSON.
    pub hash: String,
    /// How it is judged.
    pub design: Design,
    /// Error rate of the test.
    pub alpha: f64,
    /// What `alpha` is a part of.
    #[serde(default)]
    pub error_budget: Option<ErrorBudget>,
    /// Mixture standard deviation, absolute.
    pub tau: f64,
    /// The numbers that the quantiles of its metrics came to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caps: Vec<SignalCaps>,
    /// What is randomised.
    pub randomisation_unit: String,
    /// Thresholds.
    pub measurement: MeasurementPlan,
    /// Shares of the treatment.
    pub rollout: RolloutPlan,
    /// Constraints.
    pub guardrails: Vec<GuardrailFacts>,
}

/// A constraint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct GuardrailFacts {
    /// Its signal.
    pub signal: String,
    /// How its values are written; absent where that is not known, and in facts of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// What it must hold.
    pub bound: ConstraintBound,
    /// What a crossing does.
    pub on_violation: ViolationPolicy,
}

/// Something that was learnt before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct LearningFacts {
    /// Its id.
    pub id: LearningId,
    /// What was found, in the runtime's words.
    pub finding: String,
    /// What kind.
    pub finding_type: FindingType,
    /// How strong the evidence was.
    pub grade: EvidenceGrade,
    /// What its hypothesis said.
    pub hypothesis_says: String,
}

/// A short simulation of the plan, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum DryRunFacts {
    /// It was run.
    Run(DryRunSummary),
    /// It could not be.
    NotRun {
        /// Why.
        not_run: String,
    },
}

/// How often the plan would end in which way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct DryRunSummary {
    /// What the simulated days are taken from.
    pub basis: String,
    /// What was taken as given, as sentences.
    pub assumptions: Vec<String>,
    /// Runs for each effect.
    pub replications: u32,
    /// Repeats it.
    pub seed: u64,
    /// Error rate of the test.
    pub alpha: f64,
    /// How often it would ship without an effect.
    pub false_alarm_rate: Option<f64>,
    /// How often it would be paused without an effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub false_stops: Option<FalseStops>,
    /// By true effect.
    pub effects: Vec<DryRunEffect>,
    /// How to see more.
    pub more: String,
}

/// What one true effect leads to: shares of the runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct DryRunEffect {
    /// In metric units.
    pub effect: f64,
    /// Ended with success.
    pub ship: f64,
    /// Stopped as harmful.
    pub kill_harm: f64,
    /// Stopped as futile.
    pub kill_futility: f64,
    /// Stopped by a constraint that was not crossed in truth.
    pub false_guardrail_stop: f64,
    /// Ended without an answer.
    pub inconclusive: f64,
    /// Days until the end, on average.
    pub expected_days: f64,
    /// Paused because the data looked wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<f64>,
    /// Days until the flag was off in half of the runs, where the effect is harmful.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harm_off_days: Option<f64>,
}

/// Pauses in runs without any effect, as shares of these runs, and what the plan states of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct FalseStops {
    /// Paused for whatever reason.
    pub share: f64,
    /// Paused as harmful.
    pub harm: f64,
    /// Paused by a constraint.
    pub guardrail: f64,
    /// Paused because the data looked wrong.
    pub data: f64,
    /// Most that may be paused as harmful.
    pub stated_harm: f64,
    /// Most that may be paused by a constraint; 0 without any.
    pub stated_guardrail: f64,
    /// Most that may be paused because the arms' units look unequal.
    pub stated_data: f64,
    /// Monte Carlo standard error of `share`.
    pub standard_error: f64,
    /// Constraints that are not played, since their level is not known; they have their part of the budget all the same.
    #[serde(default)]
    pub n_unplayed_guardrails: usize,
}
