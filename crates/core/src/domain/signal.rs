//! What is measured: a metric read from a connector.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ArmSums, Contract, Period, text_enum};
use crate::stats::Scale;

text_enum! {
    /// How a connector turns events into the metric.
    pub enum MetricMethod {
        /// Share of units that reach the last of several steps.
        Funnel,
        /// Units (or sums) of one event.
        Event,
        /// A query of the user's own.
        Custom,
        /// A metric of `metrics`: the runtime writes the SQL.
        Contract,
    }
}

/// The window of the displayed value. Attainment is judged on single days, experiments on cohort totals since exposure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Aggregation {
    /// The latest day.
    #[serde(rename = "point")]
    Point,
    /// The last seven days.
    #[default]
    #[serde(rename = "7d_rolling")]
    Rolling7d,
    /// The last thirty days.
    #[serde(rename = "30d_rolling")]
    Rolling30d,
}

impl Aggregation {
    /// Length of the window in days.
    #[must_use]
    pub fn window(self) -> Period {
        Period::from_days(match self {
            Self::Point => 1,
            Self::Rolling7d => 7,
            Self::Rolling30d => 30,
        })
    }
}

/// The queries of a `custom` signal, in the connector's own language.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(inline)]
pub struct SignalQuery {
    /// Whole population in `[:from, :to)`: one row of `n, sum, sum_squares`, `n, successes`, ratio sums, or `value`.
    pub level: Option<String>,
    /// Units exposed in `[:from, :to)`, one row a variant, with a column `variant` (`control` or `treatment`).
    pub by_variant: Option<String>,
}

/// A signal as `outcome.yaml` declares it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct SignalSpec {
    /// Name, unique within the outcome; the primary signal is named after its metric.
    pub name: String,
    /// The connector that is asked.
    pub source: String,
    /// The metric's name there.
    pub metric: String,
    /// How it is computed.
    pub method: MetricMethod,
    /// Steps of a funnel, first to last.
    #[serde(default)]
    pub funnel_steps: Vec<String>,
    /// Restricts the population; passed to the connector.
    #[serde(default)]
    pub segment: BTreeMap<String, String>,
    /// Window of the displayed value.
    #[serde(default)]
    pub aggregation: Aggregation,
    /// Unit of the value, for people: `%`, `ms`, `EUR`.
    #[serde(default)]
    pub unit: Option<String>,
    /// How often it is read.
    pub poll_interval: Period,
    /// Queries, for `custom`.
    #[serde(default)]
    pub query: SignalQuery,
    /// What the SQL is written from, for `contract`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<Box<Contract>>,
}

impl SignalSpec {
    /// Whether a metric of the contract is a share of units.
    #[must_use]
    pub fn is_share(&self) -> bool {
        self.contract.as_ref().is_some_and(|contract| contract.quantity.is_share())
    }

    /// Whether its metric says that values can be negative. A query of the user's own does not say.
    #[must_use]
    pub fn has_negative_values(&self) -> bool {
        self.contract.as_ref().is_some_and(|contract| contract.is_signed)
    }

    /// Whether it says by itself that it can be read over everybody. A source that is asked by name says so elsewhere.
    #[must_use]
    pub fn has_level(&self) -> bool {
        self.query.level.is_some() || self.contract.as_ref().is_some_and(|contract| contract.population.is_some())
    }

    /// Whether it says by itself that it can be read by variant.
    #[must_use]
    pub fn has_variants(&self) -> bool {
        self.query.by_variant.is_some() || self.contract.is_some()
    }

    /// How values of the signal are written. `value`: one of them, such as the target. `sums`: a reading, where there is one.
    #[must_use]
    pub fn scale(&self, value: f64, sums: Option<&ArmSums>) -> Scale {
        let is_counted = matches!(sums, Some(ArmSums::Proportion { .. })) || self.is_share();
        let is_funnel = self.method == MetricMethod::Funnel && value.abs() <= 1.0;
        if is_counted || is_funnel { Scale::share() } else { Scale::new(self.unit.as_deref(), value) }
    }
}
