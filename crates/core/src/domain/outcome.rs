//! The unit of work: a metric target with constraints and a horizon.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::limit_names::of_result;
use super::{ArmSums, Direction, GatePolicy, GateType, MetricMethod, Period, SignalSpec, Slug, text_enum};
use crate::ids::OutcomeId;
use crate::stats::Scale;

text_enum! {
    /// Where an outcome stands.
    pub enum OutcomeStatus { Draft, Active, Achieved, Abandoned, Expired }
}
text_enum! {
    /// How an experiment is judged. Weaker designs get a lower evidence grade.
    pub enum Design {
        /// A flag splits units into control and treatment.
        Randomised,
        /// No control; never ships by itself.
        BeforeAfter,
        /// Recorded, not measured.
        None,
        /// It runs elsewhere, with a flag that splits units, and is only guarded: never declared for an outcome.
        Attached,
    }
}

impl Design {
    /// Whether units of a treatment are compared with units of a control at the same time.
    #[must_use]
    pub fn has_control(self) -> bool {
        matches!(self, Self::Randomised | Self::Attached)
    }
}
text_enum! {
    /// What happens when a constraint is crossed.
    pub enum ViolationPolicy {
        /// Flag off, a human decides.
        Pause,
        /// Flag off and killed, if the file says so.
        Kill,
    }
}

text_enum! {
    /// What happens to the flag after futility and at the end of the plan, while the gate waits.
    #[derive(Default)]
    pub enum OnConclusion {
        /// It goes off.
        #[default]
        TurnOff,
        /// It stays where it is, and the experiment is still watched.
        Hold,
    }
}

impl OnConclusion {
    /// True for the default.
    #[must_use]
    pub fn is_off(&self) -> bool {
        *self == Self::TurnOff
    }
}

text_enum! {
    /// The test that decides on success, of experiments with a control group.
    pub enum ShipTest {
        /// One claim look a day until the end of the plan, with an always-valid reserve beside it: the fastest. It needs values that do not
        /// change any more once they were looked at.
        KnownEnd,
        /// Always valid, without an end.
        OpenEnd,
    }
}

impl From<ShipTest> for crate::stats::PlannedTest {
    fn from(test: ShipTest) -> Self {
        match test {
            ShipTest::KnownEnd => Self::KnownEnd,
            ShipTest::OpenEnd => Self::CutNormal,
        }
    }
}

impl Direction {
    /// +1 when more is better, -1 when less is: the one place where the sign is turned.
    #[must_use]
    pub fn sign(self) -> f64 {
        match self {
            Self::Increase => 1.0,
            Self::Decrease => -1.0,
        }
    }
}

impl From<Direction> for crate::stats::Direction {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Increase => Self::Increase,
            Direction::Decrease => Self::Decrease,
        }
    }
}

/// From where to where the metric should go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Target {
    /// Which way is better.
    pub direction: Direction,
    /// Where it stands now, as the author believes; activation compares it with the measured baseline.
    pub from: f64,
    /// Where it should be.
    pub to: f64,
    /// 1 - alpha, in (0.5, 1).
    pub confidence: f64,
    /// How far the measured baseline may be from `from`, relative to it.
    pub baseline_tolerance: f64,
    /// How long the rolling value must stay at or beyond `to`.
    pub dwell: Period,
}

/// The smallest effect worth finding.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum MinimumDetectableEffect {
    /// As a share of the baseline: 0.05 is 5 %.
    Relative(f64),
    /// In the signal's own units.
    Absolute(f64),
}

impl MinimumDetectableEffect {
    /// In the signal's units, positive, given the baseline's value.
    #[must_use]
    pub fn absolute(self, baseline: f64) -> f64 {
        match self {
            Self::Relative(share) => (share * baseline).abs(),
            Self::Absolute(value) => value.abs(),
        }
    }

    /// Whether no share can change by it: 10 is meant as 10 %, or as ten points.
    #[must_use]
    pub fn exceeds_share(self) -> bool {
        matches!(self, Self::Absolute(value) if value.abs() >= 1.0)
    }
}

/// What a constraint forbids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ConstraintBound {
    /// The value must stay within `[min, max]`.
    Limits {
        /// Lower limit.
        min: Option<f64>,
        /// Upper limit.
        max: Option<f64>,
    },
    /// The treatment may be worse than the control by at most `margin` (absolute, signal units, >= 0).
    NotWorse {
        /// Which way is better.
        direction: Direction,
        /// Tolerated harm.
        margin: f64,
        /// True when shipping needs a proof of non-inferiority.
        must_prove: bool,
    },
}

impl ConstraintBound {
    /// How values of the constraint's signal are written; `None` where nothing tells: without a unit, and for a `%` unless a
    /// reading or a funnel counts units, since a limit of 0.5 can be a share or a percentage. `sums`: a reading, if any.
    #[must_use]
    pub fn scale(&self, signal: &SignalSpec, sums: Option<&ArmSums>) -> Option<Scale> {
        let value = match *self {
            Self::Limits { min, max } => max.or(min).unwrap_or_default(),
            Self::NotWorse { margin, .. } => margin,
        };
        let is_known = signal.unit.as_deref().is_some_and(|unit| unit != "%")
            || signal.method == MetricMethod::Funnel
            || signal.is_share()
            || matches!(sums, Some(ArmSums::Proportion { .. }));
        is_known.then(|| signal.scale(value, sums))
    }
}

/// A limit that no experiment may cross.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
#[expect(clippy::large_enum_variant, reason = "an outcome has a handful of them, and matching stays plain")]
pub enum Constraint {
    /// Watched by the runtime.
    Signal {
        /// What is read.
        signal: SignalSpec,
        /// What it must hold.
        bound: ConstraintBound,
        /// Number of polls in a row for which a value without units must be out of bounds.
        consecutive: u32,
        /// What a crossing does.
        on_violation: ViolationPolicy,
        /// Whether a value of everybody beyond its limit turns the flag off, although it says nothing about the treatment.
        #[serde(default, skip_serializing_if = "is_false")]
        also_pause_on_level: bool,
    },
    /// A sentence that the approver ticks at launch.
    Rule {
        /// The sentence.
        text: String,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_false(x: &bool) -> bool {
    !*x
}

/// How many experiments and how candidates are ranked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Portfolio {
    /// Maximum number of experiments between portfolio approval and conclusion.
    pub max_concurrent: u32,
    /// Candidates asked for.
    pub candidates: u32,
    /// Experiments that share most of the error budget; as many as run at once when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_experiments: Option<u32>,
    /// Ranking.
    #[serde(default)]
    pub weights: ScoreWeights,
}

/// Weights of the score; they need not add up to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct ScoreWeights {
    /// Share of the gap that the prediction closes, times its confidence.
    pub impact: f64,
    /// Low risk is good.
    pub risk: f64,
    /// Little effort is good.
    pub speed: f64,
    /// A reversible change costs less to learn from.
    pub learning: f64,
}

impl Default for ScoreWeights {
    fn default() -> Self {
        Self { impact: 0.35, risk: 0.25, speed: 0.20, learning: 0.20 }
    }
}

/// Which paths an experiment may touch; gitignore-style, forbidden wins, empty allowed means everything else.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct ScopeSpec {
    /// May be changed.
    #[serde(default)]
    pub allowed_paths: Vec<String>,
    /// May never be changed.
    #[serde(default)]
    pub forbidden_paths: Vec<String>,
}

/// An outcome as `outcome.yaml` declares it, checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutcomeSpec {
    /// The slug, `id` in the file.
    pub slug: Slug,
    /// One line for people.
    pub title: String,
    /// More for people.
    #[serde(default)]
    pub description: Option<String>,
    /// E-mail of the accountable member.
    #[serde(default)]
    pub owner: Option<String>,
    /// E-mails.
    #[serde(default)]
    pub team: Vec<String>,
    /// The signal that decides.
    pub signal: SignalSpec,
    /// Signals that inform and never decide.
    #[serde(default)]
    pub secondary_signals: Vec<SignalSpec>,
    /// Where the signal should go.
    pub target: Target,
    /// What must not be crossed on the way.
    #[serde(default)]
    pub constraints: Vec<Constraint>,
    /// Time until the deadline, counted from activation.
    pub horizon: Period,
    /// Smallest effect worth finding, unless a hypothesis states its own.
    #[serde(default)]
    pub minimum_detectable_effect: Option<MinimumDetectableEffect>,
    /// How experiments are judged.
    pub design: Design,
    /// What is randomised: `user`, `account`, `session`.
    pub randomisation_unit: String,
    /// The event that marks a unit as exposed.
    #[serde(default)]
    pub exposure: Option<String>,
    /// An experiment is paused after this time without a good reading.
    pub staleness: Period,
    /// What happens to a flag after futility and at the end of the plan.
    #[serde(default, skip_serializing_if = "OnConclusion::is_off")]
    pub on_conclusion: OnConclusion,
    /// The test that decides on success, where the file says so; see [`Self::ship_test`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ship_test: Option<ShipTest>,
    /// How many experiments, and their ranking.
    pub portfolio: Portfolio,
    /// Policies of the gates that the file mentions.
    #[serde(default)]
    pub gates: BTreeMap<GateType, GatePolicy>,
    /// Paths.
    #[serde(default)]
    pub scope: ScopeSpec,
    /// Name of a configured provider, or `host-agent`.
    #[serde(default)]
    pub llm_provider: Option<String>,
}

impl OutcomeSpec {
    /// The test that decides on success. A metric of `metrics` claims on units whose values are final; of a query nobody knows whether they
    /// are, and where values still come, a known end is wrong up to one and a half times as often as it states (the field trial).
    #[must_use]
    pub fn ship_test(&self) -> ShipTest {
        let otherwise = if self.signal.contract.is_some() { ShipTest::KnownEnd } else { ShipTest::OpenEnd };
        self.ship_test.unwrap_or(otherwise)
    }

    /// How values of the primary signal are written. `sums`: a reading, where there is one.
    #[must_use]
    pub fn scale(&self, sums: Option<&ArmSums>) -> Scale {
        self.signal.scale(self.target.to, sums)
    }

    /// The policy of a type of gate.
    #[must_use]
    pub fn gate_policy(&self, gate_type: GateType) -> GatePolicy {
        self.gates.get(&gate_type).cloned().unwrap_or_default()
    }

    /// The error budget of all experiments together: 1 - confidence.
    #[must_use]
    pub fn alpha(&self) -> f64 {
        1.0 - self.target.confidence
    }

    /// How many experiments share most of the error budget.
    #[must_use]
    pub fn planned_experiments(&self) -> u32 {
        self.portfolio.planned_experiments.unwrap_or(self.portfolio.max_concurrent).max(1)
    }

    /// The constraints that are measured, with their position in the file.
    pub fn guardrails(&self) -> impl Iterator<Item = (&SignalSpec, &ConstraintBound, u32, ViolationPolicy)> {
        self.constraints.iter().filter_map(|constraint| match constraint {
            Constraint::Signal { signal, bound, consecutive, on_violation, .. } => {
                Some((signal, bound, *consecutive, *on_violation))
            }
            Constraint::Rule { .. } => None,
        })
    }

    /// The constraint that a guardrail result of this name is about. One with two limits has a result for each.
    #[must_use]
    pub fn constraint_of(&self, result: &str) -> Option<(&SignalSpec, &ConstraintBound)> {
        let found: Vec<_> = self.guardrails().map(|(signal, bound, ..)| (signal, bound)).collect();
        of_result(&found, result, |(signal, _)| signal.name.as_str()).copied()
    }

    /// The sentences that the approver ticks at launch.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.constraints.iter().filter_map(|constraint| match constraint {
            Constraint::Rule { text } => Some(text.as_str()),
            Constraint::Signal { .. } => None,
        })
    }
}

/// A value that was measured before anything was tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Baseline {
    /// In the signal's units.
    pub value: f64,
    /// Units behind it, where the source counts them.
    pub n: Option<i64>,
    /// Variance of one unit, where the source gives it.
    pub variance: Option<f64>,
    /// Units a day, where the source counts them.
    pub daily_units: Option<f64>,
    /// When it was read.
    #[schemars(with = "String")]
    pub captured_at: Timestamp,
}

impl Baseline {
    /// Whether it is a share of units, as far as the variance of one unit tells.
    #[must_use]
    pub fn is_share(&self) -> bool {
        self.variance.is_some_and(|variance| (variance - self.value * (1.0 - self.value)).abs() < 1e-9)
    }
}

/// What the transition function decides about an outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutcomeState {
    /// Where it stands.
    pub status: OutcomeStatus,
    /// Measured at activation.
    pub baseline: Option<Baseline>,
    /// Activation plus horizon.
    #[schemars(with = "Option<String>")]
    pub deadline: Option<Timestamp>,
}

/// An outcome and where it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// Its id.
    pub id: OutcomeId,
    /// As declared.
    pub spec: OutcomeSpec,
    /// As it went.
    pub state: OutcomeState,
    /// When it was first applied.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// When it last changed.
    #[schemars(with = "String")]
    pub updated_at: Timestamp,
}
