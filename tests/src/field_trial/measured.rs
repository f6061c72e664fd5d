//! How an experiment of the trial is measured, and which experiments are played in which way.

use serde::{Deserialize, Serialize};

use super::kind::Kind;

/// How an experiment is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measured {
    /// A hand-written query: the share that buys. Values are there at once.
    Query,
    /// A metric: the share of users with an order within the window.
    Conversion,
    /// A metric: what a user's orders come to within the window, at most [`CAP`].
    Revenue,
    /// A metric: orders a visit, both within the window of a user.
    Ratio,
    /// A metric: orders of an account within the window. Accounts are randomised, users see the flag.
    Accounts,
}

/// The time after its first exposure in which a unit's events count, in hours.
pub const WINDOW_HOURS: i64 = 72;
/// How late rows arrive at most, in hours, as the file says it.
pub const LAG_HOURS: i64 = 6;
/// The largest sum of a user's orders that counts.
pub const CAP: f64 = 150.0;

impl Measured {
    /// In the order of the page.
    pub const ALL: [Self; 5] = [Self::Query, Self::Conversion, Self::Revenue, Self::Ratio, Self::Accounts];

    /// Whether the runtime writes the SQL.
    #[must_use]
    pub fn is_contract(self) -> bool {
        self != Self::Query
    }

    /// The name of the metric in the file.
    #[must_use]
    pub fn metric(self) -> &'static str {
        match self {
            Self::Query => "bought_by_hand",
            Self::Conversion => "bought",
            Self::Revenue => "revenue",
            Self::Ratio => "orders_per_visit",
            Self::Accounts => "orders_per_account",
        }
    }

    /// The smallest effect that the plan does not want to miss, as a share of the control's value: what 25,200 users, or a third as
    /// many accounts, find in most cases.
    #[must_use]
    pub fn relative_mde(self) -> f64 {
        match self {
            Self::Query | Self::Conversion | Self::Ratio => 0.1,
            Self::Revenue | Self::Accounts => 0.15,
        }
    }

    /// Units of a day, as a share of the users of a day.
    #[must_use]
    pub fn unit_share(self) -> f64 {
        if self == Self::Accounts { 1.0 / 3.0 } else { 1.0 }
    }

    /// In a few words.
    #[must_use]
    pub fn says(self) -> &'static str {
        match self {
            Self::Query => "a query by hand",
            Self::Conversion => "conversion",
            Self::Revenue => "revenue, capped",
            Self::Ratio => "orders a visit",
            Self::Accounts => "orders of an account",
        }
    }
}

/// What is true of one experiment, and how it is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// What is true.
    pub kind: Kind,
    /// How it is measured.
    pub measured: Measured,
}

const fn case(kind: Kind, measured: Measured) -> Case {
    Case { kind, measured }
}

/// A/A: what must neither be paused nor shipped, except as often as stated. Seven of ten are metrics.
pub(super) const WITHOUT_EFFECT: [Case; 10] = [
    case(Kind::Quiet, Measured::Conversion),
    case(Kind::Deletions, Measured::Query),
    case(Kind::Quiet, Measured::Accounts),
    case(Kind::QuietRamp, Measured::Conversion),
    case(Kind::Quiet, Measured::Revenue),
    case(Kind::Quiet, Measured::Query),
    case(Kind::Quiet, Measured::Ratio),
    case(Kind::Deletions, Measured::Revenue),
    case(Kind::ShortOutage, Measured::Query),
    case(Kind::QuietRamp, Measured::Accounts),
];

/// A/B: an effect, or data that must be noticed. Thirteen of twenty are metrics.
pub(super) const WITH_EFFECT: [Case; 20] = [
    case(Kind::LargeHarm, Measured::Revenue),
    case(Kind::Crash, Measured::Query),
    case(Kind::Gain, Measured::Conversion),
    case(Kind::Harm, Measured::Accounts),
    case(Kind::GainRamp, Measured::Conversion),
    case(Kind::Gain, Measured::Query),
    case(Kind::HarmRamp, Measured::Revenue),
    case(Kind::Crash, Measured::Conversion),
    case(Kind::LargeGain, Measured::Query),
    case(Kind::BothArms, Measured::Conversion),
    case(Kind::Gain, Measured::Accounts),
    case(Kind::LargeHarm, Measured::Query),
    case(Kind::Harm, Measured::Conversion),
    case(Kind::Gain, Measured::Revenue),
    case(Kind::Harm, Measured::Query),
    case(Kind::LargeHarm, Measured::Ratio),
    case(Kind::GainRamp, Measured::Accounts),
    case(Kind::LongOutage, Measured::Query),
    case(Kind::LargeGain, Measured::Ratio),
    case(Kind::SlightHarm, Measured::Conversion),
];
