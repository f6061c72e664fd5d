//! Findings about the data of a poll. While the data are unhealthy the recommendation is to hold (STATS.md 2.8, first rule).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Assessment, DataHealth, Phase, Status};

/// Units in one arm from which an empty other arm is a finding.
const MIN_UNITS_BESIDE_EMPTY_ARM: u64 = 100;

/// What a finding does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Shown beside the result.
    Warn,
    /// No decision at this poll.
    Block,
}

/// Kind of a finding; stable, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthCode {
    /// The data cannot be true.
    Invalid,
    /// Units shrank within a phase; the evidence started anew.
    Restated,
    /// The reading is older than one already evaluated.
    OutOfOrder,
    /// The reading failed or is too old.
    Stale,
    /// The flag service does not split as declared.
    FlagDrift,
    /// The source sampled.
    Sampled,
    /// One arm gets no units.
    ArmWithoutExposure,
    /// The declared weights cannot be checked.
    WeightsInvalid,
    /// The intervals of this epoch contradict each other.
    EffectDrift,
    /// alpha or tau of the plan changed; the evidence started anew.
    PlanChanged,
    /// Nothing at all was recorded in either arm.
    ZeroEvents,
    /// The mismatch check is suspicious.
    SrmSuspected,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HealthFinding {
    /// Kind.
    pub code: HealthCode,
    /// What it does.
    pub severity: Severity,
    /// One sentence without its full stop, for people.
    pub message: String,
}

impl HealthCode {
    /// All of them, blocking ones first.
    const ALL: [Self; 12] = [
        Self::Invalid,
        Self::Stale,
        Self::FlagDrift,
        Self::Sampled,
        Self::ArmWithoutExposure,
        Self::Restated,
        Self::OutOfOrder,
        Self::WeightsInvalid,
        Self::EffectDrift,
        Self::ZeroEvents,
        Self::PlanChanged,
        Self::SrmSuspected,
    ];

    /// What a finding of this kind does.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::PlanChanged | Self::ZeroEvents | Self::SrmSuspected => Severity::Warn,
            Self::Invalid
            | Self::Restated
            | Self::OutOfOrder
            | Self::Stale
            | Self::FlagDrift
            | Self::Sampled
            | Self::ArmWithoutExposure
            | Self::WeightsInvalid
            | Self::EffectDrift => Severity::Block,
        }
    }

    fn bit(self) -> u16 {
        1 << self as u16
    }

    fn in_words(self, numbers: &Assessment) -> String {
        let fixed = match self {
            Self::Invalid => {
                return match numbers.status {
                    Status::Invalid { reason } => format!("the reading is impossible: {reason}"),
                    _ => "the reading is impossible".to_owned(),
                };
            }
            Self::ArmWithoutExposure => {
                let arm = if numbers.n_control == 0 { "control" } else { "treatment" };
                return format!("the {arm} arm has no exposed units");
            }
            Self::Restated => {
                "the source corrected its past (units or phases disappeared), so the evidence is recalculated"
            }
            Self::OutOfOrder => "a newer reading has already been evaluated",
            Self::Stale => "the newest reading failed or is too old",
            Self::FlagDrift => "the flag service does not split traffic as declared",
            Self::Sampled => "the source sampled its data, so counts and sums are estimates",
            Self::WeightsInvalid => "the declared weights cannot be checked against the traffic",
            Self::EffectDrift => "the confidence sequences of this run contradict each other: the effect is changing",
            Self::PlanChanged => "the plan of the test changed, so the evidence starts from zero",
            Self::ZeroEvents => "nothing was recorded in either arm; is the event still sent?",
            Self::SrmSuspected => "units may not arrive in the declared proportions",
        };
        fixed.to_owned()
    }
}

/// A set of kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Findings(u16);

impl Findings {
    /// Findings that need no running state.
    pub(super) fn of_poll(health: DataHealth, phases: &[Phase], status: Status) -> Self {
        let mut found = Self::default();
        let total = |n: fn(&Phase) -> u64| phases.iter().map(n).fold(0, u64::saturating_add);
        let (control, treatment) = (total(|p| p.control.n()), total(|p| p.treatment.n()));
        let is_silent = phases.iter().all(|p| p.control.has_no_events() && p.treatment.has_no_events());
        for (is_found, code) in [
            (matches!(status, Status::Invalid { .. }), HealthCode::Invalid),
            (health.is_stale, HealthCode::Stale),
            (health.has_flag_drift, HealthCode::FlagDrift),
            (health.is_sampled, HealthCode::Sampled),
            (
                control.min(treatment) == 0 && control.max(treatment) >= MIN_UNITS_BESIDE_EMPTY_ARM,
                HealthCode::ArmWithoutExposure,
            ),
            (is_silent && control.saturating_add(treatment) >= 2 * MIN_UNITS_BESIDE_EMPTY_ARM, HealthCode::ZeroEvents),
        ] {
            if is_found {
                found.add(code);
            }
        }
        found
    }

    pub(super) fn add(&mut self, code: HealthCode) {
        self.0 |= code.bit();
    }

    /// Whether one of them forbids a decision.
    pub(super) fn block(self) -> bool {
        self.codes().any(|code| code.severity() == Severity::Block)
    }

    /// For people, blocking ones first.
    pub(super) fn in_words(self, numbers: &Assessment) -> Vec<HealthFinding> {
        self.codes()
            .map(|code| HealthFinding { code, severity: code.severity(), message: code.in_words(numbers) })
            .collect()
    }

    fn codes(self) -> impl Iterator<Item = HealthCode> {
        HealthCode::ALL.into_iter().filter(move |code| self.0 & code.bit() != 0)
    }
}
