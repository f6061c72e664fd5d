//! The metric contract: what a source exposes and records, from which the runtime writes the SQL of a metric.
//!
//! Source: METRICS.md 2.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Direction, Period};

/// Where rows come from: a table, or a query in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Relation {
    /// The name of a table or view, as a query would write it.
    Table(String),
    /// A `SELECT`.
    Sql(String),
}

/// Who saw which arm, and when. The first exposure decides the arm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Exposures {
    /// One row an exposure; a unit may have many.
    pub rows: Relation,
    /// The column with the unit.
    pub unit: String,
    /// The column with the flag's key.
    pub experiment: String,
    /// The column with the arm.
    pub variant: String,
    /// The column with the instant.
    pub at: String,
    /// Which rows count; an SQL condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// What the arm's column says for control.
    pub control: Vec<String>,
    /// What it says for the treatment.
    pub treatment: Vec<String>,
    /// Whether the flag service keeps a unit's arm when the split changes.
    pub is_sticky: bool,
}

/// A table of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Fact {
    /// One row an event.
    pub rows: Relation,
    /// The column with the unit of the metric.
    pub unit: String,
    /// The column with the instant.
    pub at: String,
    /// Which rows there are; an SQL condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
}

/// Events of a fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Events {
    /// The fact.
    pub fact: Fact,
    /// Which of its events count; an SQL condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
}

/// What is taken of a unit's events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Measure {
    /// Their number.
    Count,
    /// How many different values a column has.
    Distinct(String),
    /// The sum of a column or an SQL expression.
    Sum(String),
}

/// One side of a ratio.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Part {
    /// Whose.
    pub of: Events,
    /// What of them.
    pub measure: Measure,
}

/// What a unit's value is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schemars(inline)]
pub enum Quantity {
    /// 1 if it has at least so many events in its window, else 0.
    Conversion {
        /// Whose.
        of: Events,
        /// At least 1.
        at_least: u32,
    },
    /// The number of its events, or of different values among them.
    Count(Part),
    /// The sum of a value over its events.
    Mean(Part),
    /// Two such numbers; the metric is the ratio of their sums over all units.
    Ratio {
        /// Above the line.
        numerator: Part,
        /// Below it.
        denominator: Part,
    },
}

impl Quantity {
    /// Whether a unit's value can only grow with time since its exposure, so that it may be judged before its window is over.
    ///
    /// Source: METRICS.md 3.1.
    #[must_use]
    pub fn only_grows(&self, is_signed: bool) -> bool {
        match self {
            Self::Conversion { .. } => true,
            Self::Count(_) | Self::Mean(_) | Self::Ratio { .. } => !is_signed,
        }
    }
}

/// The time after its first exposure in which a unit's events count: `[from, to)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Attribution {
    /// Zero or more.
    pub from: i64,
    /// Seconds, above `from`.
    pub to: i64,
}

/// Everything from which the SQL of a metric is written, and nothing else decides what it measures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Contract {
    /// What a unit's value is.
    pub quantity: Quantity,
    /// Which way is better.
    pub better: Direction,
    /// In seconds since a unit's first exposure.
    pub window: Attribution,
    /// How long after its window a unit's value still changes, such as by refunds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle: Option<Period>,
    /// How late rows arrive.
    pub lag: Period,
    /// The largest value of a unit that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<f64>,
    /// Whether values can be negative.
    #[serde(default)]
    pub is_signed: bool,
    /// Who saw what.
    pub exposures: Exposures,
    /// Whose first event begins the window where there is no experiment: the level is that of these units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub population: Option<Events>,
}

impl Contract {
    /// A query that reads from everything that the metric reads from, for who looks for names of tables.
    #[must_use]
    pub fn reads(&self) -> String {
        let parts: Vec<&Events> = match &self.quantity {
            Quantity::Conversion { of, .. } => vec![of],
            Quantity::Count(part) | Quantity::Mean(part) => vec![&part.of],
            Quantity::Ratio { numerator, denominator } => vec![&numerator.of, &denominator.of],
        };
        let facts = parts.into_iter().chain(&self.population).map(|events| &events.fact.rows);
        let from: Vec<String> = std::iter::once(&self.exposures.rows)
            .chain(facts)
            .map(|rows| match rows {
                Relation::Table(name) => format!("SELECT 1 FROM {name}"),
                Relation::Sql(text) => format!("SELECT 1 FROM ({text}\n) or_rows"),
            })
            .collect();
        from.join(" UNION ALL ")
    }

    /// Seconds from a unit's first exposure until its value is known.
    #[must_use]
    pub fn matures_after(&self) -> i64 {
        self.window.to.saturating_add(self.settles_after())
    }

    /// Seconds from the end of a unit's window until its value is known.
    #[must_use]
    pub fn settles_after(&self) -> i64 {
        self.settle.map_or(0, Period::as_secs).saturating_add(self.lag.as_secs())
    }

    /// Whether units may be judged for harm before they are mature.
    #[must_use]
    pub fn is_safe_so_far(&self) -> bool {
        self.window.from == 0 && self.quantity.only_grows(self.is_signed)
    }
}
