//! What is true of one experiment of the trial, and what goes wrong with its data.

use serde::{Deserialize, Serialize};

/// What is true of an experiment, and what goes wrong with its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// No effect.
    Quiet,
    /// No effect; each day [`DELETED_A_DAY`] of all units so far disappear, from both arms alike.
    Deletions,
    /// No effect; two polls in a row cannot read the source.
    ShortOutage,
    /// Better by one MDE.
    Gain,
    /// Better by two.
    LargeGain,
    /// Worse by one.
    SlightHarm,
    /// Worse by two.
    Harm,
    /// Worse by five.
    LargeHarm,
    /// The treatment loses [`LOST`] of its units before they are counted; the others do as in the control.
    Crash,
    /// No effect; four polls in a row cannot read the source.
    LongOutage,
    /// No effect, and a plan that only asks for not much worse: two rollout steps, and a ship.
    QuietRamp,
    /// Better by two, on two rollout steps.
    GainRamp,
    /// Better by two on the first rollout step, worse by five from the second one on.
    HarmRamp,
    /// No effect; [`SEES_OTHERWISE`] of the users have a second identity that the flag service splits anew.
    BothArms,
}

/// Share of all units so far that is deleted a day.
pub const DELETED_A_DAY: f64 = 0.002;
/// The same where users are deleted as they ask for it, in experiments that are not about that.
pub const DELETED_USUALLY: f64 = 0.0005;
/// Share of its units that a crashing treatment loses.
pub const LOST: f64 = 0.15;
/// Share of the users that have a second identity, half of which see the other arm; usually, and where there are too many.
pub const SEES_OTHERWISE: [f64; 2] = [0.006, 0.16];
/// Shares of the treatment on the two rollout steps of a plan that has them, in percent.
pub const STEPS: [u8; 2] = [20, 50];

impl Kind {
    /// In the order of the page.
    pub const ALL: [Self; 14] = [
        Self::Quiet,
        Self::Deletions,
        Self::ShortOutage,
        Self::Gain,
        Self::LargeGain,
        Self::SlightHarm,
        Self::Harm,
        Self::LargeHarm,
        Self::Crash,
        Self::LongOutage,
        Self::QuietRamp,
        Self::GainRamp,
        Self::HarmRamp,
        Self::BothArms,
    ];

    /// The true effect in MDE on a rollout step, where 0 is the launch.
    #[must_use]
    pub fn effect_on(self, step: usize) -> f64 {
        match self {
            Self::HarmRamp if step > 0 => -5.0,
            Self::HarmRamp | Self::GainRamp | Self::LargeGain => 2.0,
            Self::Quiet
            | Self::Deletions
            | Self::ShortOutage
            | Self::Crash
            | Self::LongOutage
            | Self::QuietRamp
            | Self::BothArms => 0.0,
            Self::Gain => 1.0,
            Self::SlightHarm => -1.0,
            Self::Harm => -2.0,
            Self::LargeHarm => -5.0,
        }
    }

    /// The same at the end.
    #[must_use]
    pub fn effect(self) -> f64 {
        self.effect_on(STEPS.len())
    }

    /// What is too little, in MDE: the plan ships what is better.
    #[must_use]
    pub fn threshold(self) -> f64 {
        if self == Self::QuietRamp { -2.0 } else { 0.0 }
    }

    /// Whether every pause of it is a false one.
    #[must_use]
    pub fn is_without_effect(self) -> bool {
        matches!(self, Self::Quiet | Self::Deletions | Self::ShortOutage | Self::QuietRamp)
    }

    /// Whether it has two rollout steps.
    #[must_use]
    pub fn has_ramp(self) -> bool {
        matches!(self, Self::QuietRamp | Self::GainRamp | Self::HarmRamp)
    }

    /// Polls in a row that cannot read the source.
    #[must_use]
    pub fn n_polls_away(self) -> u32 {
        match self {
            Self::ShortOutage => 2,
            Self::LongOutage => 4,
            _ => 0,
        }
    }

    /// In a few words.
    #[must_use]
    pub fn says(self) -> &'static str {
        match self {
            Self::Quiet => "no effect",
            Self::Deletions => "no effect, 0.2 % of the units deleted a day",
            Self::ShortOutage => "no effect, the source away for two polls",
            Self::Gain => "+1 MDE",
            Self::LargeGain => "+2 MDE",
            Self::SlightHarm => "-1 MDE",
            Self::Harm => "-2 MDE",
            Self::LargeHarm => "-5 MDE",
            Self::Crash => "the treatment loses 15 % of its units uncounted",
            Self::LongOutage => "no effect, the source away for four polls",
            Self::QuietRamp => "no effect, the plan allows -2 MDE, 20 % then 50 %",
            Self::GainRamp => "+2 MDE, 20 % then 50 %",
            Self::HarmRamp => "+2 MDE at 20 %, -5 MDE at 50 %",
            Self::BothArms => "no effect, 8 % of the users see both arms",
        }
    }
}
