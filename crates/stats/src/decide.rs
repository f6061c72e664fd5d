//! From intervals to a recommendation: two ladders, danger first (STATS.md 2.8). The first rule that applies ends a ladder.
//!
//! **Invariant**: what the safety ladder says depends neither on the health of the data nor on what speaks for the treatment:
//! switching off is safe on any data, only claims need clean ones.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SrmLevel;

/// What the data say should happen. A recommendation: only a human decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Recommendation {
    /// The data cannot be trusted at this poll: nothing is claimed.
    HoldDataQuality,
    /// Units do not arrive in the declared proportions: nothing is claimed, and the treatment must go off.
    HoldSrm,
    /// A guardrail is beyond its bound.
    KillGuardrail,
    /// Even the upper bound of the improvement is below the kill threshold.
    KillHarm,
    /// A bare value has been beyond its limit for several polls (operational, no statistical claim).
    HoldAlert,
    /// Even the pessimistic end of the interval is above the success threshold.
    Ship,
    /// The declared effect is excluded.
    KillFutility,
    /// The effect is proven, the plan is at its end, and a required proof of safety is missing.
    IterateGuardrailUnproven,
    /// The plan is at its end without an answer.
    IterateInconclusive,
    /// Go on.
    Continue,
}

impl Recommendation {
    /// The text under which it is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HoldDataQuality => "hold_data_quality",
            Self::HoldSrm => "hold_srm",
            Self::KillGuardrail => "kill_guardrail",
            Self::KillHarm => "kill_harm",
            Self::HoldAlert => "hold_alert",
            Self::Ship => "ship",
            Self::KillFutility => "kill_futility",
            Self::IterateGuardrailUnproven => "iterate_guardrail_unproven",
            Self::IterateInconclusive => "iterate_inconclusive",
            Self::Continue => "continue",
        }
    }
}

impl fmt::Display for Recommendation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The part of a guardrail that decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct GuardrailFlags {
    /// Beyond its bound.
    pub breached: bool,
    /// Proven within its bound.
    pub non_inferior: bool,
    /// Whether shipping needs that proof.
    pub must_prove: bool,
    /// Bare value beyond its limit for long enough.
    pub is_alerting: bool,
    /// The same of everybody's value.
    pub is_incident: bool,
}

/// All guardrails of an experiment together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GuardrailSummary {
    /// One of them is beyond its bound.
    pub is_any_breached: bool,
    /// One of them is alerting.
    pub is_any_alerting: bool,
    /// Everybody's value is beyond the limit of one of them.
    pub is_any_incident: bool,
    /// Every required proof of safety is there.
    pub is_proven_safe: bool,
}

impl Default for GuardrailSummary {
    fn default() -> Self {
        Self { is_any_breached: false, is_any_alerting: false, is_any_incident: false, is_proven_safe: true }
    }
}

impl GuardrailSummary {
    /// Takes one more guardrail into account.
    #[must_use]
    pub fn and(self, flags: GuardrailFlags) -> Self {
        Self {
            is_any_breached: self.is_any_breached || flags.breached,
            is_any_alerting: self.is_any_alerting || flags.is_alerting,
            is_any_incident: self.is_any_incident || flags.is_incident,
            is_proven_safe: self.is_proven_safe && (!flags.must_prove || flags.non_inferior),
        }
    }
}

impl FromIterator<GuardrailFlags> for GuardrailSummary {
    fn from_iter<T: IntoIterator<Item = GuardrailFlags>>(flags: T) -> Self {
        flags.into_iter().fold(Self::default(), Self::and)
    }
}

/// Everything a decision looks at. Thresholds are effects in the good direction, in metric units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DecideInput {
    /// Lower bound of the improvement from the ship test, in the good direction; `None` while it is unbounded.
    pub ship_bound: Option<f64>,
    /// Upper bound of the improvement from the safety test, in the good direction; `None` while it is unbounded.
    pub harm_bound: Option<f64>,
    /// Smallest effect worth having; usually 0, not the minimum detectable effect.
    pub success_threshold: f64,
    /// Below this even optimistically: stop; usually 0.
    pub kill_threshold: f64,
    /// Declared effect, > 0; `None` switches futility off.
    pub mde: Option<f64>,
    /// One-sided upper bound at the futility alpha, in the good direction.
    pub futility_upper: Option<f64>,
    /// At least a week, in whole weeks, and the minimum sample.
    pub is_min_runtime_met: bool,
    /// The plan is at its end.
    pub is_max_reached: bool,
    /// No blocking health finding.
    pub is_data_ok: bool,
    /// What the mismatch check says.
    pub srm: SrmLevel,
    /// All guardrails.
    pub guardrails: GuardrailSummary,
}

impl Default for DecideInput {
    fn default() -> Self {
        Self {
            ship_bound: None,
            harm_bound: None,
            success_threshold: 0.0,
            kill_threshold: 0.0,
            mde: None,
            futility_upper: None,
            is_min_runtime_met: true,
            is_max_reached: false,
            is_data_ok: true,
            srm: SrmLevel::Clean,
            guardrails: GuardrailSummary::default(),
        }
    }
}

/// What both ladders come to. Comparisons are strict; a point estimate never decides.
///
/// Source: STATS.md 2.8.
#[must_use]
pub fn decide(input: &DecideInput) -> Recommendation {
    safety(input).unwrap_or_else(|| claim(input))
}

/// What speaks against the treatment, on whatever data there are; it needs no minimum runtime.
fn safety(input: &DecideInput) -> Option<Recommendation> {
    if input.guardrails.is_any_breached {
        Some(Recommendation::KillGuardrail)
    } else if input.harm_bound.is_some_and(|bound| bound < input.kill_threshold) {
        Some(Recommendation::KillHarm)
    } else if input.srm == SrmLevel::Block {
        Some(Recommendation::HoldSrm)
    } else if input.guardrails.is_any_alerting {
        Some(Recommendation::HoldAlert)
    } else {
        None
    }
}

/// What can be said of the effect. Only the end of the plan needs no healthy data: it claims nothing.
fn claim(input: &DecideInput) -> Recommendation {
    let is_success = input.ship_bound.is_some_and(|bound| bound > input.success_threshold);
    let is_futile = matches!((input.futility_upper, input.mde), (Some(upper), Some(mde)) if upper < mde);
    let is_proven_safe = input.guardrails.is_proven_safe;
    let may_claim = input.is_data_ok && input.is_min_runtime_met;
    if may_claim && is_success && is_proven_safe {
        Recommendation::Ship
    } else if may_claim && is_futile && !is_success {
        // A proven effect that still waits for a proof of safety is not futile.
        Recommendation::KillFutility
    } else if input.is_max_reached && input.is_data_ok && is_success && !is_proven_safe {
        Recommendation::IterateGuardrailUnproven
    } else if input.is_max_reached {
        Recommendation::IterateInconclusive
    } else if input.is_data_ok {
        Recommendation::Continue
    } else {
        Recommendation::HoldDataQuality
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Direction, Interval};

    fn with_ci(lower: f64, upper: f64) -> DecideInput {
        with_direction(Direction::Increase, lower, upper)
    }

    /// Both tests at the same ends.
    fn with_direction(direction: Direction, lower: f64, upper: f64) -> DecideInput {
        let ci = Interval::new(lower, upper);
        let Interval { lower, upper } = direction.orient(ci);
        DecideInput { ship_bound: lower, harm_bound: upper, ..DecideInput::default() }
    }

    #[test]
    fn thresholds_are_strict() {
        assert_eq!(decide(&with_ci(0.0, 0.1)), Recommendation::Continue);
        assert_eq!(decide(&with_ci(-0.1, 0.0)), Recommendation::Continue);
        assert_eq!(decide(&with_ci(1e-12, 0.1)), Recommendation::Ship);
        assert_eq!(decide(&with_ci(-0.1, -1e-12)), Recommendation::KillHarm);
    }

    #[test]
    fn for_a_decrease_the_interval_is_mirrored_and_the_thresholds_are_not() {
        let decrease = |lower, upper| DecideInput {
            success_threshold: 0.02,
            kill_threshold: -0.01,
            ..with_direction(Direction::Decrease, lower, upper)
        };
        assert_eq!(decide(&decrease(-0.1, -0.03)), Recommendation::Ship);
        assert_eq!(decide(&decrease(-0.1, -0.01)), Recommendation::Continue);
        assert_eq!(decide(&decrease(0.005, 0.1)), Recommendation::Continue);
        assert_eq!(decide(&decrease(0.02, 0.1)), Recommendation::KillHarm);
    }

    #[test]
    fn harm_needs_no_minimum_runtime_but_success_does() {
        let early = |ci: DecideInput| DecideInput { is_min_runtime_met: false, ..ci };
        assert_eq!(decide(&early(with_ci(-0.2, -0.1))), Recommendation::KillHarm);
        assert_eq!(decide(&early(with_ci(0.1, 0.2))), Recommendation::Continue);
    }

    #[test]
    fn danger_outranks_doubt() {
        let breached = GuardrailSummary::default().and(GuardrailFlags { breached: true, ..GuardrailFlags::default() });
        for (is_data_ok, srm) in [(false, SrmLevel::Clean), (true, SrmLevel::Block), (false, SrmLevel::Block)] {
            let unhealthy = |input: DecideInput| DecideInput { is_data_ok, srm, ..input };
            assert_eq!(decide(&unhealthy(with_ci(-0.2, -0.1))), Recommendation::KillHarm);
            let guarded = DecideInput { guardrails: breached, ..with_ci(0.1, 0.2) };
            assert_eq!(decide(&unhealthy(guarded)), Recommendation::KillGuardrail);
            let claimed = decide(&unhealthy(with_ci(0.1, 0.2)));
            assert!(matches!(claimed, Recommendation::HoldSrm | Recommendation::HoldDataQuality), "{claimed:?}");
        }
    }

    #[test]
    fn the_end_of_the_plan_needs_no_healthy_data() {
        let input = DecideInput { is_data_ok: false, is_max_reached: true, ..with_ci(0.1, 0.2) };
        assert_eq!(decide(&input), Recommendation::IterateInconclusive);
    }

    #[test]
    fn harm_is_the_safety_tests_business_alone() {
        let input = |bound| DecideInput { harm_bound: Some(bound), ..with_ci(-0.2, -0.1) };
        assert_eq!(decide(&input(-0.01)), Recommendation::KillHarm);
        assert_eq!(decide(&input(0.01)), Recommendation::Continue);
    }

    #[test]
    fn an_alert_stops_a_ship_but_never_delays_a_kill() {
        let alert = GuardrailSummary { is_any_alerting: true, ..GuardrailSummary::default() };
        let ship = DecideInput { guardrails: alert, ..with_ci(0.1, 0.2) };
        let kill = DecideInput { guardrails: alert, ..with_ci(-0.2, -0.1) };
        assert_eq!(decide(&ship), Recommendation::HoldAlert);
        assert_eq!(decide(&kill), Recommendation::KillHarm);
    }

    #[test]
    fn a_proven_effect_waiting_for_a_safety_proof_is_not_futile() {
        let unproven =
            GuardrailSummary::default().and(GuardrailFlags { must_prove: true, ..GuardrailFlags::default() });
        let input =
            DecideInput { guardrails: unproven, mde: Some(0.5), futility_upper: Some(0.3), ..with_ci(0.1, 0.2) };
        assert_eq!(decide(&input), Recommendation::Continue);
    }

    #[test]
    fn a_recommendation_is_shown_under_the_name_that_it_is_stored_under() {
        for name in [
            "hold_data_quality",
            "hold_srm",
            "kill_guardrail",
            "kill_harm",
            "hold_alert",
            "ship",
            "kill_futility",
            "iterate_guardrail_unproven",
            "iterate_inconclusive",
            "continue",
        ] {
            let stored: Recommendation = serde_json::from_value(name.into()).unwrap();
            assert_eq!((stored.as_str(), format!("{stored:>30}")), (name, format!("{name:>30}")));
        }
    }
}
