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
}

/// Share of all units so far that is deleted a day.
pub const DELETED_A_DAY: f64 = 0.002;
/// Share of its units that a crashing treatment loses.
pub const LOST: f64 = 0.15;

impl Kind {
    /// A/A: what must neither be paused nor shipped, except as often as stated.
    pub const WITHOUT_EFFECT: [Self; 4] = [Self::Quiet, Self::Deletions, Self::Quiet, Self::ShortOutage];
    /// A/B: an effect, or data that must be noticed.
    pub const WITH_EFFECT: [Self; 8] = [
        Self::LargeHarm,
        Self::Crash,
        Self::LargeGain,
        Self::Harm,
        Self::Gain,
        Self::SlightHarm,
        Self::LongOutage,
        Self::Gain,
    ];
    /// In the order of the page.
    pub const ALL: [Self; 10] = [
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
    ];

    /// The true effect in MDE.
    #[must_use]
    pub fn effect(self) -> f64 {
        match self {
            Self::Quiet | Self::Deletions | Self::ShortOutage | Self::Crash | Self::LongOutage => 0.0,
            Self::Gain => 1.0,
            Self::LargeGain => 2.0,
            Self::SlightHarm => -1.0,
            Self::Harm => -2.0,
            Self::LargeHarm => -5.0,
        }
    }

    /// Whether every pause of it is a false one.
    #[must_use]
    pub fn is_without_effect(self) -> bool {
        Self::WITHOUT_EFFECT.contains(&self)
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
        }
    }
}
