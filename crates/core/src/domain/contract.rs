//! The metric contract: what a source exposes and records, from which the runtime writes the SQL of a metric.
//!
//! Source: METRICS.md 2.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Direction, Period};
use crate::error::{Code, Error, Result};

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

/// How the query ends that holds the place of a table of exposures until there is one: it has the columns and no rows.
pub const NO_EXPOSURES: &str = "WHERE 1 = 0";

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
    /// From the units of the rows to those of the metric, such as from users to accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<UnitMap>,
    /// The event that a unit's exposure begins with, the first one after it was assigned to its arm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Events>,
}

impl Exposures {
    /// Whether they are the empty query that `init` writes where there is no table: with it, a level can be measured and an
    /// experiment cannot.
    #[must_use]
    pub fn are_missing(&self) -> bool {
        match &self.rows {
            Relation::Table(_) => false,
            Relation::Sql(text) => is_empty_query(text),
        }
    }
}

/// Whether a query ends as [`NO_EXPOSURES`].
#[must_use]
pub fn is_empty_query(sql: &str) -> bool {
    sql.trim_end_matches(|c: char| c == ';' || c.is_whitespace()).ends_with(NO_EXPOSURES)
}

/// From one kind of unit to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct UnitMap {
    /// One row a pair.
    pub rows: Relation,
    /// The column with the unit that is mapped.
    pub key: String,
    /// The column with what it is mapped to. A unit with two of them is mapped to neither, unless `since` tells which came first.
    pub to: String,
    /// The column with the instant of the pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// How the events of a fact find their unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Via {
    /// As the exposures do: by the map of the exposures.
    Map,
    /// By the person that a unit was found to be: events belong to the person's first unit of the experiment.
    Owner(Box<UnitMap>),
}

/// A table of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Fact {
    /// One row an event.
    pub rows: Relation,
    /// The column with the unit of the metric, or with that which `via` leads from.
    pub unit: String,
    /// How events find their unit, where the column does not name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    /// The column with the instant.
    pub at: String,
    /// Which rows there are; an SQL condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
}

/// Whom a metric is about: units with an event before their first exposure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Among {
    /// Which event.
    pub of: Events,
    /// How long before.
    pub within: Period,
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
    /// On how many days there is one, in UTC.
    Days,
    /// In how many hours there is one.
    Hours,
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
    /// Hours until its first event, at most those of the window: a unit without one has all of them.
    TimeTo {
        /// Whose.
        of: Events,
    },
    /// 1 if it made all steps in their order within its window, else 0.
    Funnel {
        /// First to last.
        steps: Vec<Events>,
    },
}

impl Quantity {
    /// Whose events it takes.
    #[must_use]
    pub fn events(&self) -> Vec<&Events> {
        match self {
            Self::Conversion { of, .. } | Self::TimeTo { of } => vec![of],
            Self::Count(part) | Self::Mean(part) => vec![&part.of],
            Self::Ratio { numerator, denominator } => vec![&numerator.of, &denominator.of],
            Self::Funnel { steps } => steps.iter().collect(),
        }
    }

    /// Whether it is a share of units.
    #[must_use]
    pub fn is_share(&self) -> bool {
        matches!(self, Self::Conversion { .. } | Self::Funnel { .. })
    }

    /// Whether a unit's value can only grow with time since its exposure, so that it may be judged before its window is over.
    ///
    /// Source: METRICS.md 3.1.
    #[must_use]
    pub fn only_grows(&self, is_signed: bool) -> bool {
        match self {
            Self::Conversion { .. } | Self::Funnel { .. } => true,
            // Who has no event yet counts as the whole window, which an event makes shorter.
            Self::TimeTo { .. } => false,
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

/// Units with a value that is not zero, at least, from which a cap is found. With fewer of them a quantile is no number to rely on.
///
/// Source: METRICS.md 2.2.
pub const MIN_UNITS_OF_CAP: i64 = 500;

/// The largest value of a unit that counts, as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Cap {
    /// A number, above 0.
    Number(f64),
    /// A quantile of the unit values that are not zero, over one window before the launch. It is found once, and becomes a number of
    /// the plan.
    Quantile {
        /// From 900 to 999.
        permille: u16,
    },
}

/// A finite number above 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "f64", into = "f64")]
#[schemars(inline, with = "f64")]
pub struct Positive(f64);

// A finite number equals itself.
impl Eq for Positive {}

impl Positive {
    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Positive {
    type Error = String;
    fn try_from(number: f64) -> std::result::Result<Self, String> {
        let is_fit = number.is_finite() && number > 0.0;
        is_fit.then_some(Self(number)).ok_or_else(|| format!("{number} is no finite number above 0"))
    }
}

impl From<Positive> for f64 {
    fn from(number: Positive) -> Self {
        number.0
    }
}

/// The numbers that a metric's quantile came to before the launch. They are a part of the plan, and no later data move them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Caps {
    /// Of the value; of a ratio, of its numerator.
    pub value: Positive,
    /// Of a ratio's denominator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denominator: Option<Positive>,
    /// Of the covariate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covariate: Option<Positive>,
}

/// The numbers of one signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct SignalCaps {
    /// Name of the signal within the outcome.
    pub signal: String,
    /// Its numbers.
    #[serde(flatten)]
    pub caps: Caps,
}

/// What a quantile of unit values came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FoundQuantile {
    /// Units whose value is not zero.
    pub n: i64,
    /// The quantile; `None` without any such unit.
    pub value: Option<f64>,
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
    /// The time zone of days and hours, by its name in the IANA database; UTC where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// The largest value of a unit that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<Cap>,
    /// What a quantile in `cap` came to; only in the plan of an experiment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caps: Option<Caps>,
    /// How long before its first exposure a unit's events make its covariate, by which the noise of its value is lowered (CUPED).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covariate: Option<Period>,
    /// Whether values can be negative.
    #[serde(default)]
    pub is_signed: bool,
    /// Whom it is about; everybody where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub among: Option<Among>,
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
        let events: Vec<&Events> = self.all_events();
        let owners = events.iter().filter_map(|events| match &events.fact.via {
            Some(Via::Owner(map)) => Some(&map.rows),
            Some(Via::Map) | None => None,
        });
        let maps = self.exposures.map.iter().map(|map| &map.rows).chain(owners);
        let from: Vec<String> = std::iter::once(&self.exposures.rows)
            .chain(events.iter().map(|events| &events.fact.rows))
            .chain(maps)
            .map(|rows| match rows {
                Relation::Table(name) => format!("SELECT 1 FROM {name}"),
                Relation::Sql(text) => format!("SELECT 1 FROM ({text}\n) or_rows"),
            })
            .collect();
        from.join(" UNION ALL ")
    }

    /// Every event that it reads, with those that say whom it is about.
    #[must_use]
    pub fn all_events(&self) -> Vec<&Events> {
        let among = self.among.as_ref().map(|among| &among.of);
        self.quantity.events().into_iter().chain(&self.population).chain(&self.exposures.trigger).chain(among).collect()
    }

    /// Whether its units are those of a map that says nothing of when: then history is what the map says today.
    #[must_use]
    pub fn is_mapped_by_today(&self) -> bool {
        self.exposures.map.as_ref().is_some_and(|map| map.since.is_none())
    }

    /// The quantile, in thousandths, that has to become numbers before the plan is fixed.
    #[must_use]
    pub fn asks_quantile(&self) -> Option<u16> {
        match self.cap? {
            Cap::Number(_) => None,
            Cap::Quantile { permille } => Some(permille),
        }
    }

    /// The largest values that count: of the value or numerator, of the denominator, of the covariate. `None` where all of it counts, also
    /// while a quantile is no number yet.
    #[must_use]
    pub fn limits(&self) -> [Option<f64>; 3] {
        match (self.cap, self.caps) {
            (Some(Cap::Number(number)), _) => [Some(number); 3],
            (Some(Cap::Quantile { .. }), Some(Caps { value, denominator, covariate })) => {
                [Some(value), denominator, covariate].map(|number| number.map(Positive::get))
            }
            (Some(Cap::Quantile { .. }) | None, _) => [None; 3],
        }
    }

    /// The numbers that become a part of the plan. `found`: the quantile of the value or numerator, then of the denominator of a ratio, then of
    /// the covariate, of those that there are.
    ///
    /// # Errors
    /// [`Code::InvalidInput`] when fewer than [`MIN_UNITS_OF_CAP`] units have a value.
    pub fn caps_of(&self, signal: &str, found: &[FoundQuantile]) -> Result<Caps> {
        let few = |side: &str, n: i64| {
            let message = format!(
                "the cap of `{signal}` is a quantile, and only {n} units had {side} that is not zero in one window before the experiment"
            );
            Error::new(Code::InvalidInput, message).hint(format!(
                "write a number in its place, such as `cap: 500`: a quantile needs {MIN_UNITS_OF_CAP} units"
            ))
        };
        let number = |found: &FoundQuantile| {
            found.value.filter(|_| found.n >= MIN_UNITS_OF_CAP).and_then(|value| Positive::try_from(value).ok())
        };
        let needed = |at: usize, side: &str| {
            found.get(at).and_then(number).ok_or_else(|| few(side, found.get(at).map_or(0, |found| found.n)))
        };
        let value = needed(0, "a value")?;
        let is_ratio = matches!(self.quantity, Quantity::Ratio { .. });
        let denominator = is_ratio.then(|| needed(1, "a denominator")).transpose()?;
        // A covariate may be rare; how it is capped changes the noise that is left, and no effect.
        let of_covariate = found.get(if is_ratio { 2 } else { 1 });
        let covariate = self.covariate.map(|_| of_covariate.and_then(number).unwrap_or(value));
        Ok(Caps { value, denominator, covariate })
    }

    /// Whether the units that were exposed on one day are the same whatever is known of other days: with a trigger, where units lead to
    /// others, or for a metric about some of them, they are not.
    #[must_use]
    pub fn has_fixed_cohorts(&self) -> bool {
        self.exposures.map.is_none()
            && self.exposures.trigger.is_none()
            && self.among.is_none()
            && self.all_events().iter().all(|events| events.fact.via.is_none())
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
