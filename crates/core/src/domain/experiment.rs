//! An experiment: its hypothesis, its plan, and where it stands.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Attachment, Build, Conclusion, Evaluation, Hypothesis, Plan, RolloutPlan, SignalCaps, Slug, Stored, text_enum,
};
use crate::ids::{ExperimentId, OutcomeId};
use crate::principal::Principal;
use crate::stats::RunningState;

text_enum! {
    /// Where an experiment stands.
    pub enum ExperimentStatus {
        Hypothesis, AwaitingPortfolioGate, Building, FailedBuild, AwaitingLaunchGate, Running, Measuring, Paused,
        AwaitingAnalysisGate, Scaling, AwaitingScaleGate, AwaitingShipGate, Killed, Shipped,
        /// Guarded no more: what runs elsewhere stays as it is there.
        Detached,
    }
}

impl ExperimentStatus {
    /// Nothing follows.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Killed | Self::Shipped | Self::Detached)
    }

    /// Counts towards `max_concurrent`: approved and not concluded.
    #[must_use]
    pub fn occupies_slot(self) -> bool {
        !matches!(
            self,
            Self::Hypothesis
                | Self::AwaitingPortfolioGate
                | Self::FailedBuild
                | Self::Killed
                | Self::Shipped
                | Self::Detached
        )
    }

    /// Its signals are read.
    #[must_use]
    pub fn is_polled(self) -> bool {
        matches!(
            self,
            Self::Running
                | Self::Measuring
                | Self::Paused
                | Self::AwaitingAnalysisGate
                | Self::Scaling
                | Self::AwaitingScaleGate
                | Self::AwaitingShipGate
        )
    }

    /// Measured, and no gate of its own waits.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Running | Self::Measuring | Self::Scaling)
    }

    /// A gate waits, and units may get the treatment meanwhile.
    #[must_use]
    pub fn is_waiting(self) -> bool {
        matches!(self, Self::AwaitingAnalysisGate | Self::AwaitingScaleGate | Self::AwaitingShipGate)
    }
}

text_enum! {
    /// Why an experiment is paused.
    pub enum PauseCause {
        /// The treatment is proven to be worse than the kill threshold.
        KillThreshold,
        /// A constraint is crossed.
        Constraint,
        /// Units do not arrive in the declared proportions.
        SampleRatio,
        /// Nobody is in one of the arms.
        ArmWithoutExposure,
        /// Nobody at all was exposed.
        NobodyExposed,
        /// A query failed several times in a row.
        QueryFailing,
        /// A signal had no good reading for too long.
        StaleSignal,
        /// The flag is not where it was put.
        FlagDrift,
        /// The readings cannot be true.
        DataHealth,
        /// A human paused it.
        Manual,
    }
}

impl PauseCause {
    /// Whether statistical evidence paused it: a resume then begins a safety process that has seen nothing, with half the budget.
    #[must_use]
    pub fn is_statistical(self) -> bool {
        matches!(self, Self::KillThreshold | Self::Constraint | Self::SampleRatio | Self::ArmWithoutExposure)
    }

    /// Whether the arms could not be compared: what was measured before a resume then counts for no claim.
    #[must_use]
    pub fn is_mismatch(self) -> bool {
        matches!(self, Self::SampleRatio | Self::ArmWithoutExposure)
    }
}

text_enum! {
    /// How a stretch of time with one split between the arms begins.
    pub enum PhaseStart {
        /// At the launch.
        Launch,
        /// At a rollout step, which is watched on its own data.
        Step,
        /// After a pause: the safety process goes on.
        Resumed,
        /// After a statistical finding: the safety process begins anew.
        ResumedAfterFinding,
        /// After the arms could not be compared: the claims begin anew as well.
        ResumedAfterMismatch,
    }
}

impl PhaseStart {
    /// Whether the safety process begins anew after a finding.
    #[must_use]
    pub fn is_restart(self) -> bool {
        matches!(self, Self::ResumedAfterFinding | Self::ResumedAfterMismatch)
    }
}

/// How often a human can resume an experiment after a statistical finding; after that it needs a new plan.
pub const MAX_RESTARTS: usize = 3;

text_enum! {
    /// Who wrote the hypothesis.
    pub enum Author { Ai, Human, Hybrid }
}

/// Why a candidate ranks where it does. Terms lie in 0..1 before their weights.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct ScoreBreakdown {
    /// Share of the gap closed, times confidence.
    pub impact: f64,
    /// Risk multiplier.
    pub risk: f64,
    /// 1 / ln(hours + 2), at most 1.
    pub speed: f64,
    /// 1 when reversible, else 0.7.
    pub learning: f64,
    /// Weighted sum.
    pub total: f64,
    /// Why it was not selected.
    pub dropped_because: Option<String>,
}

/// Why and from where an experiment was paused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Pause {
    /// Why.
    pub cause: PauseCause,
    /// The rule and the value.
    pub detail: String,
    /// Where it was.
    pub from: ExperimentStatus,
}

/// What the transition function decides about an experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExperimentState {
    /// Where it stands.
    pub status: ExperimentStatus,
    /// Set while paused.
    pub pause: Option<Pause>,
    /// Rollout step, from 0.
    pub step: usize,
    /// How many rollout steps the plan has.
    pub n_steps: usize,
    /// The reported commit.
    pub commit: Option<String>,
    /// Hash of the plan that was or will be approved.
    pub plan_hash: Option<String>,
    /// Its part of the outcome's error budget, from 0; taken when the build is reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_part: Option<u32>,
    /// What the quantiles of its metrics came to when the build was reported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caps: Vec<SignalCaps>,
    /// What it was when it was attached; absent for experiments that the runtime launches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attached: Option<Box<Attachment>>,
}

impl ExperimentState {
    /// A hypothesis that nobody has looked at.
    #[must_use]
    pub fn new(rollout: &RolloutPlan) -> Self {
        Self {
            status: ExperimentStatus::Hypothesis,
            pause: None,
            step: 0,
            n_steps: rollout.n_steps(),
            commit: None,
            plan_hash: None,
            budget_part: None,
            caps: Vec::new(),
            attached: None,
        }
    }

    /// Whether it runs elsewhere and is only guarded.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        self.attached.is_some()
    }
}

/// An experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Experiment {
    /// Its id.
    pub id: ExperimentId,
    /// Its name for people.
    pub slug: Slug,
    /// The outcome it works towards.
    pub outcome: OutcomeId,
    /// What was submitted.
    pub hypothesis: Hypothesis,
    /// Who wrote it.
    pub author: Author,
    /// Who submitted it.
    pub submitted_by: Principal,
    /// Its rank.
    pub score: ScoreBreakdown,
    /// Where it stands.
    pub state: ExperimentState,
    /// The experiment it follows, after `iterate`.
    pub parent: Option<ExperimentId>,
    /// Commit that the brief was given for.
    pub base_commit: Option<String>,
    /// The build as reported and checked.
    pub build: Option<Stored<Build>>,
    /// What was fixed at launch; its hash is `state.plan_hash`.
    pub plan: Option<Stored<Plan>>,
    /// The running state of its statistics.
    pub running: Option<Stored<RunningState>>,
    /// The latest evaluation.
    pub current_result: Option<Stored<Evaluation>>,
    /// The evaluation at its end; never changes.
    pub final_result: Option<Stored<Conclusion>>,
    /// When it was submitted.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// When it last changed.
    #[schemars(with = "String")]
    pub updated_at: Timestamp,
    /// When it went live.
    #[schemars(with = "Option<String>")]
    pub launched_at: Option<Timestamp>,
    /// When it ended.
    #[schemars(with = "Option<String>")]
    pub concluded_at: Option<Timestamp>,
}

impl Experiment {
    /// The evaluation at its end, else the latest one. `None` before the first.
    #[must_use]
    pub fn last_result(&self) -> Option<Result<&Evaluation, String>> {
        match self.final_result.as_ref().map(Stored::shown) {
            Some(Ok(Conclusion { result, .. })) => result.as_ref().map(Stored::shown),
            Some(Err(problem)) => Some(Err(problem)),
            None => self.current_result.as_ref().map(Stored::shown),
        }
    }

    /// A hypothesis as it comes in: an agent's, without a rank, and nothing done about it yet.
    #[must_use]
    pub fn draft(
        id: ExperimentId,
        slug: Slug,
        outcome: OutcomeId,
        hypothesis: Hypothesis,
        submitted_by: Principal,
        at: Timestamp,
    ) -> Self {
        Self {
            id,
            slug,
            outcome,
            state: ExperimentState::new(&hypothesis.rollout),
            hypothesis,
            author: Author::Ai,
            submitted_by,
            score: ScoreBreakdown::default(),
            parent: None,
            base_commit: None,
            build: None,
            plan: None,
            running: None,
            current_result: None,
            final_result: None,
            created_at: at,
            updated_at: at,
            launched_at: None,
            concluded_at: None,
        }
    }
}
