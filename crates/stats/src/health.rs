//! Findings about the data of a poll. While the data are unhealthy nothing is claimed (STATS.md 2.8); what speaks against the
//! treatment counts all the same.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::figures::count;
use super::harm::total;
use super::{Assessment, DataHealth, Evaluation, MIN_PLACEBOS, Phase, Status, UnitCheck};

/// Units that the split lets expect in an arm from which its emptiness is a finding (METRICS.md 3.3).
const MIN_EXPECTED_IN_EMPTY_ARM: f64 = 20.0;
/// Units of both arms from which the absence of any event is a finding.
const MIN_UNITS_WITHOUT_EVENTS: u64 = 200;

/// Shares of units that saw both arms within a phase, and that saw neither, from which this is a finding (METRICS.md 2.2, 2.4).
const BOTH_WARN: f64 = 0.01;
const BOTH_BLOCK: f64 = 0.05;
const OTHER_BLOCK: f64 = 0.005;
const OTHER_OFTEN: f64 = 0.05;

/// What a finding does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Shown; the evidence is as good as without it.
    Note,
    /// Shown beside the result, and the evidence is weaker.
    Warn,
    /// Nothing is claimed at this poll.
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
    /// Units do not arrive in the declared proportions.
    SrmProven,
    /// A few units disappeared, equally over the arms; the earlier readings stay.
    UnitsDeleted,
    /// Phases before a mismatch do not count any more; the evidence of the claims started anew.
    PhasesLeftOut,
    /// A value of everybody is beyond its limit, whatever they saw.
    Incident,
    /// More than one of a hundred units saw both arms within a phase.
    BothArms,
    /// More than one of twenty did.
    BothArmsOften,
    /// More than one of two hundred units saw something that is neither arm.
    UnknownVariants,
    /// Too few dates without a change could be tried to claim one at the launch.
    PlaceboWithoutPower,
    /// The query says itself that it counted something else than different units.
    RowsCountedAsUnits,
    /// Nobody knows whether the query counted different units.
    UnitsUnchecked,
    /// Another running experiment has exactly the same numbers.
    NumbersOfAnother,
    /// More than one of twenty units saw something that is neither arm.
    UnknownVariantsOften,
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
    const ALL: [Self; 24] = [
        Self::Invalid,
        Self::Stale,
        Self::FlagDrift,
        Self::Sampled,
        Self::SrmProven,
        Self::ArmWithoutExposure,
        Self::OutOfOrder,
        Self::WeightsInvalid,
        Self::EffectDrift,
        Self::Incident,
        Self::RowsCountedAsUnits,
        Self::NumbersOfAnother,
        Self::BothArmsOften,
        Self::UnknownVariantsOften,
        Self::UnknownVariants,
        Self::Restated,
        Self::ZeroEvents,
        Self::BothArms,
        Self::UnitsUnchecked,
        Self::PlanChanged,
        Self::SrmSuspected,
        Self::PhasesLeftOut,
        Self::PlaceboWithoutPower,
        Self::UnitsDeleted,
    ];

    /// What a finding of this kind does.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::UnitsDeleted => Severity::Note,
            Self::PlanChanged
            | Self::ZeroEvents
            | Self::SrmSuspected
            | Self::Restated
            | Self::PhasesLeftOut
            | Self::BothArms
            | Self::UnitsUnchecked
            | Self::PlaceboWithoutPower => Severity::Warn,
            Self::Invalid
            | Self::SrmProven
            | Self::OutOfOrder
            | Self::Stale
            | Self::FlagDrift
            | Self::Sampled
            | Self::ArmWithoutExposure
            | Self::WeightsInvalid
            | Self::EffectDrift
            | Self::BothArmsOften
            | Self::UnknownVariants
            | Self::UnknownVariantsOften
            | Self::RowsCountedAsUnits
            | Self::NumbersOfAnother
            | Self::Incident => Severity::Block,
        }
    }

    /// The finding of this kind.
    pub(super) fn finding(self, numbers: &Assessment, health: DataHealth) -> HealthFinding {
        HealthFinding { code: self, severity: self.severity(), message: self.in_words(numbers, health) }
    }

    fn bit(self) -> u32 {
        1 << self as u32
    }

    fn in_words(self, numbers: &Assessment, health: DataHealth) -> String {
        let fixed = match self {
            Self::Invalid => {
                return match numbers.status {
                    Status::Invalid { reason } => format!("the reading is impossible: {reason}"),
                    _ => "the reading is impossible".to_owned(),
                };
            }
            Self::ArmWithoutExposure => {
                let arm = match (numbers.n_control, numbers.n_treatment) {
                    (0, _) => "the control arm",
                    (_, 0) => "the treatment arm",
                    _ => "since the last change of the flag one arm",
                };
                return format!("{arm} has no exposed units");
            }
            Self::RowsCountedAsUnits => {
                let UnitCheck::Counted { n, n_units } = health.units else {
                    return "the query counts rows as units".to_owned();
                };
                return format!(
                    "the query counts {} units, and says itself (`n_units`) that {} different ones are among them: count each unit once, \
                     not its rows",
                    count(n),
                    count(n_units)
                );
            }
            Self::UnitsUnchecked => {
                "nobody knows whether the query counts people or their rows: use a metric of `metrics`, or let `by_variant` return \
                 `n_units`, the number of different units"
            }
            Self::NumbersOfAnother => {
                "another running experiment has exactly the same numbers: does the query filter by `:flag` or `:experiment`?"
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
            Self::Incident => {
                "a value of everybody is beyond its limit: an incident, not evidence about the treatment, and nothing is claimed \
                 until it is over"
            }
            Self::BothArms => {
                "more than 1 % of the units saw both arms within a phase: the effect shown is diluted by about that share"
            }
            Self::BothArmsOften => {
                "more than 5 % of the units saw both arms within a phase: is the flag asked for another unit than the exposures name?"
            }
            Self::UnknownVariants => {
                "more than 0.5 % of the units saw a variant that is neither control nor treatment: name it in `variants`, or find out who \
                 sends it"
            }
            Self::UnknownVariantsOften => {
                "more than 5 % of the units saw a variant that is neither control nor treatment: name it in `variants`, or find out who \
                 sends it"
            }
            Self::PlanChanged => "the plan of the test changed, so the evidence starts from zero",
            Self::ZeroEvents => "nothing was recorded in either arm; is the event still sent?",
            Self::SrmSuspected => "units may not arrive in the declared proportions",
            Self::SrmProven => "units do not arrive in the declared proportions, so the arms cannot be compared",
            Self::PlaceboWithoutPower => {
                return format!(
                    "the placebo has no power: fewer than {MIN_PLACEBOS} earlier dates could be tried, so no change is claimed"
                );
            }
            Self::UnitsDeleted => {
                "a few units disappeared from the source, equally over the arms; earlier readings stay"
            }
            Self::PhasesLeftOut => {
                "units before the last mismatch of the arms do not count, so the evidence starts from what came after it"
            }
        };
        fixed.to_owned()
    }
}

/// Whether only the change of the effect over time forbids a claim, so that no more data of this run will allow one.
#[must_use]
pub fn is_drift_alone(health: &[HealthFinding]) -> bool {
    let is_drift = |finding: &HealthFinding| finding.code == HealthCode::EffectDrift;
    health.iter().any(is_drift) && health.iter().all(|finding| finding.severity < Severity::Block || is_drift(finding))
}

/// Whether nobody is in an arm in which the other arm and the split let expect somebody.
fn has_empty_arm(phase: &Phase) -> bool {
    let lets_expect = |empty: u64, empty_weight: f64, other: u64, other_weight: f64| {
        empty == 0 && other as f64 * empty_weight >= MIN_EXPECTED_IN_EMPTY_ARM * other_weight && empty_weight > 0.0
    };
    let (control, treatment) = (phase.control.n(), phase.treatment.n());
    lets_expect(control, phase.control_weight, treatment, phase.treatment_weight)
        || lets_expect(treatment, phase.treatment_weight, control, phase.control_weight)
}

/// A set of kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Findings(u32);

impl Findings {
    /// Findings that need no running state.
    pub(super) fn of_poll(input: &Evaluation<'_>, status: Status) -> Self {
        let mut found = Self::default();
        let Evaluation { health, phases, .. } = *input;
        let n_units = total(phases, Phase::n_units);
        let (both, other) = input.cohorts.map_or((0.0, 0.0), |cohorts| (cohorts.both_share, cohorts.other_share));
        let both = if health.n_both_of > 0 { both.max(health.n_both as f64 / health.n_both_of as f64) } else { both };
        let are_rows = matches!(health.units, UnitCheck::Counted { n, n_units } if n != n_units);
        let is_silent = phases.iter().all(|p| p.control.has_no_events() && p.treatment.has_no_events());
        for (is_found, code) in [
            (matches!(status, Status::Invalid { .. }), HealthCode::Invalid),
            (health.is_stale, HealthCode::Stale),
            (health.has_flag_drift, HealthCode::FlagDrift),
            (health.is_sampled, HealthCode::Sampled),
            (input.scope.safety(phases).iter().any(has_empty_arm), HealthCode::ArmWithoutExposure),
            (is_silent && n_units >= MIN_UNITS_WITHOUT_EVENTS, HealthCode::ZeroEvents),
            (both > BOTH_WARN && both <= BOTH_BLOCK, HealthCode::BothArms),
            (both > BOTH_BLOCK, HealthCode::BothArmsOften),
            (other > OTHER_BLOCK && other <= OTHER_OFTEN, HealthCode::UnknownVariants),
            (other > OTHER_OFTEN, HealthCode::UnknownVariantsOften),
            (are_rows, HealthCode::RowsCountedAsUnits),
            (health.units == UnitCheck::Unchecked, HealthCode::UnitsUnchecked),
            (health.has_numbers_of_another, HealthCode::NumbersOfAnother),
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
    pub(super) fn in_words(self, numbers: &Assessment, health: DataHealth) -> Vec<HealthFinding> {
        self.codes().map(|code| code.finding(numbers, health)).collect()
    }

    pub(super) fn without_words(self) -> Vec<HealthFinding> {
        self.codes().map(|code| HealthFinding { code, severity: code.severity(), message: String::new() }).collect()
    }

    fn codes(self) -> impl Iterator<Item = HealthCode> {
        HealthCode::ALL.into_iter().filter(move |code| self.0 & code.bit() != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ArmSums;

    #[test]
    fn a_drift_is_alone_where_nothing_else_forbids_a_claim() {
        let alone = |codes: &[HealthCode]| {
            let finding =
                |code: &HealthCode| HealthFinding { code: *code, severity: code.severity(), message: String::new() };
            is_drift_alone(&codes.iter().map(finding).collect::<Vec<_>>())
        };
        let (drift, note, warning, block) =
            (HealthCode::EffectDrift, HealthCode::UnitsDeleted, HealthCode::BothArms, HealthCode::Stale);
        assert!(alone(&[drift]) && alone(&[note, drift, warning]));
        assert!(!alone(&[]) && !alone(&[warning]) && !alone(&[drift, block]));
    }

    #[test]
    fn an_arm_is_empty_where_the_split_lets_expect_twenty_units() {
        let is_empty = |control: (u64, f64), treatment: (u64, f64)| {
            let arm = |n| ArmSums::Proportion { n, successes: 0 };
            has_empty_arm(&Phase {
                number: 0,
                control_weight: control.1,
                treatment_weight: treatment.1,
                control: arm(control.0),
                treatment: arm(treatment.0),
            })
        };
        // Of 180 units in nine tenths, twenty are expected in the other tenth.
        assert!(is_empty((180, 9.0), (0, 1.0)) && !is_empty((179, 9.0), (0, 1.0)));
        assert!(is_empty((0, 0.5), (20, 0.5)) && !is_empty((0, 0.5), (19, 0.5)) && !is_empty((1, 0.5), (20, 0.5)));
        assert!(!is_empty((1000, 1.0), (0, 0.0)) && !is_empty((1000, 0.0), (0, 0.0)), "nobody is expected");
    }
}
