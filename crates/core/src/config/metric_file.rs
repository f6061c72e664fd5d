//! The metric contract as it is written: what a source exposes, its facts, and the metrics made of them (METRICS.md 2.2).

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value as Json;

use super::choice::Choice;
use super::decode::{At, Decode, TextMap, wrong_type};
use super::diagnostic::Problem;
use super::field::Field;
use super::node::{Node, Value};
use super::reporter::Reporter;
use super::span::Span;
use crate::domain::{Direction, Period};
use crate::yaml_map;

yaml_map! {
    /// Who saw which arm, and when: one row an exposure. The first exposure of a unit decides its arm.
    ExposuresFile("`exposures`") {
        /// The table or view.
        optional(signed) table: String,
        /// A `SELECT` in place of a table.
        optional(signed) sql: String,
        /// The column with the unit, such as `user_id`.
        required(signed) unit: String,
        /// What the unit is, as facts name it in `units`, such as `user`.
        required(signed) is: String,
        /// The column with the flag's key, such as `flag`.
        required(signed) experiment: String,
        /// The column with the arm.
        required(signed) variant: String,
        /// The column with the instant.
        required(signed) at_key: String,
        /// Which rows count; an SQL condition, such as `is_bot = false`. It must not depend on the arm.
        optional(signed) r#where: String,
        /// The map of `units` that leads from these units to those that are analysed, such as `account`.
        optional(signed) map: String,
        /// The event with which the exposure begins: the first one after the unit was assigned to its arm. It must exist in both arms.
        optional(signed) trigger: EventsFile,
        /// What `variant` says for each arm; default: `control` and `treatment`.
        optional(signed) variants: VariantsFile,
        /// True if the flag service keeps a unit's arm when the split changes.
        optional(signed) sticky: bool = "false",
    }

    /// What the column with the arm says.
    VariantsFile("`variants`") {
        /// For control.
        required(signed) control: Vec<At<String>>,
        /// For the treatment.
        required(signed) treatment: Vec<At<String>>,
    }

    /// From one kind of unit to another.
    UnitMapFile("a map of units") {
        /// What is mapped, such as `user`.
        required(signed) from: String,
        /// The table or view.
        optional(signed) table: String,
        /// A `SELECT` in place of a table.
        optional(signed) sql: String,
        /// The column with the unit that is mapped.
        required(signed) key: String,
        /// The column with what it is mapped to.
        required(signed) to: String,
        /// The column with the instant since when. Without one the map is what it is today, and evidence is of grade B at most.
        optional(signed) since: String,
    }

    /// Whom a metric is about.
    AmongFile("`among`") {
        /// Name of the fact.
        required(signed) fact: String,
        /// Which of its events count; an SQL condition.
        optional(signed) r#where: String,
        /// How long before the first exposure.
        required(signed) within: Period,
    }

    /// A step of a funnel.
    StepFile("a step") {
        /// Name of the fact.
        required(signed) of: String,
        /// Which of its events count; an SQL condition.
        optional(signed) r#where: String,
    }

    /// Events of a fact.
    EventsFile("a reference to a fact") {
        /// Name of the fact.
        required(signed) fact: String,
        /// Which of its events count; an SQL condition.
        optional(signed) r#where: String,
    }

    /// A table of events. One fact feeds many metrics.
    FactFile("a fact") {
        /// Name of a source from `signal_connectors`.
        required(signed) source: String,
        /// The table or view.
        optional(signed) table: String,
        /// A `SELECT` in place of a table.
        optional(signed) sql: String,
        /// The column with the instant.
        required(signed) at_key: String,
        /// The column with each kind of unit, such as `user: user_id`.
        required(signed) units: TextMap,
        /// Which rows there are; an SQL condition.
        optional(signed) r#where: String,
    }

    /// A metric: what a unit's value is, in a window that begins with its first exposure.
    MetricFile("a metric") {
        /// Name, as outcomes use it in `metric`.
        required(signed) name: String,
        /// `conversion`, `count`, `mean`, `ratio`, `retention`, `time_to` or `funnel`.
        required(signed) kind: MetricKind,
        /// Name of the fact whose events it takes, as `orders`. Not of a ratio or a funnel.
        optional(signed) of: String,
        /// Which of its events count; an SQL condition.
        optional(signed) r#where: String,
        /// How many events a unit needs, in a conversion.
        optional(signed) at_least: u32 = "1",
        /// The column whose different values are counted, in a count, as `session_id`; `day` and `hour` count those with an event, in UTC.
        optional(signed) distinct: String,
        /// The column or SQL expression whose sum is a unit's value, in a mean, as `total`.
        optional(signed) value: String,
        /// What stands above the line, in a ratio, as `{ of: orders }`.
        optional(signed) numerator: PartFile,
        /// What stands below the line, in a ratio, as `{ of: visits }`.
        optional(signed) denominator: PartFile,
        /// The steps of a funnel, first to last.
        optional(signed) steps: Vec<At<StepFile>>,
        /// Whom it is about: units with an event before their first exposure.
        optional(signed) among: AmongFile,
        /// How long a unit's events count after its first exposure: `14d`, or `from` and `to`.
        required(signed) window: WindowFile,
        /// How long after its window a value still changes, such as by refunds.
        optional(signed) settle: Period,
        /// Which way is better: `up` or `down`.
        required(signed) better: Better,
        /// The largest value of a unit that counts: a number, or `p90` to `p999` for a quantile of the values that are not zero.
        optional(signed) cap: CapFile,
        /// How long before its first exposure a unit's events explain its value; `none` for not at all. Default: `28d` for a count and a
        /// mean.
        optional(signed) covariate: CovariateFile,
        /// True if values can be negative.
        optional(signed) signed: bool = "false",
        /// Unit of the value, for people: `%`, `EUR`.
        optional(signed) unit: String,
    }

    /// One side of a ratio.
    PartFile("a side of a ratio") {
        /// Name of the fact.
        required(signed) of: String,
        /// Which of its events count; an SQL condition.
        optional(signed) r#where: String,
        /// The column or SQL expression that is summed.
        optional(signed) value: String,
        /// The column whose different values are counted.
        optional(signed) distinct: String,
        /// True to count events, which is the default.
        optional(signed) count: bool,
    }

    /// A window since the first exposure.
    SpanFile("a window") {
        /// Where it begins; default: with the exposure.
        optional(signed) from: Period,
        /// Where it ends.
        required(signed) to: Period,
    }
}

/// What a unit's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(inline, rename_all = "snake_case")]
pub(super) enum MetricKind {
    Conversion,
    Count,
    Mean,
    Ratio,
    Retention,
    TimeTo,
    Funnel,
}

impl Choice for MetricKind {
    const CHOICE: &'static str = "a kind of metric";
    fn choices() -> Vec<(&'static str, Self)> {
        vec![
            ("conversion", Self::Conversion),
            ("count", Self::Count),
            ("mean", Self::Mean),
            ("ratio", Self::Ratio),
            ("retention", Self::Retention),
            ("time_to", Self::TimeTo),
            ("funnel", Self::Funnel),
        ]
    }
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(inline, rename_all = "snake_case")]
pub(super) enum Better {
    Up,
    Down,
}

impl Choice for Better {
    const CHOICE: &'static str = "which way is better";
    fn choices() -> Vec<(&'static str, Self)> {
        vec![("up", Self::Up), ("down", Self::Down)]
    }
}

impl From<Better> for Direction {
    fn from(better: Better) -> Self {
        match better {
            Better::Up => Self::Increase,
            Better::Down => Self::Decrease,
        }
    }
}

/// A number, or the name of a quantile.
#[derive(Debug, Clone, Copy)]
pub(super) enum CapFile {
    Number(f64),
    /// In thousandths, from 900 to 999.
    Permille(u16),
}

impl JsonSchema for CapFile {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Cap".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "anyOf": [{ "type": "number" }, { "type": "string", "pattern": "^p9[0-9]{1,2}$" }] })
    }
}

impl Decode for CapFile {
    const WHAT: &'static str = "a number or a quantile";
    const EXAMPLE: &'static str = "p99";
    fn decode(node: &Node, reporter: &mut Reporter<'_>) -> Option<Self> {
        let Value::Text(text) = &node.value else { return f64::decode(node, reporter).map(Self::Number) };
        let digits = text.strip_prefix('p').filter(|digits| digits.starts_with('9') && matches!(digits.len(), 2 | 3));
        let permille = digits.and_then(|digits| format!("{digits:0<3}").parse().ok());
        if permille.is_none() {
            let problem = Problem::error("config.unknown_value", node.span, "this is no cap");
            let valid =
                "a number above 0, or a quantile of the values that are not zero: `p90` to `p99`, `p900` to `p999`";
            reporter.push(problem.valid(valid).help("write `cap: p99`"));
        }
        permille.map(Self::Permille)
    }
    fn to_json(&self) -> Json {
        match self {
            Self::Number(number) => number.to_json(),
            Self::Permille(permille) => Json::from(format!("p{permille}")),
        }
    }
}

/// A duration, or none.
#[derive(Debug, Clone, Copy)]
pub(super) enum CovariateFile {
    Before(Period),
    None,
}

impl JsonSchema for CovariateFile {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Covariate".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let period = generator.subschema_for::<Period>();
        schemars::json_schema!({ "anyOf": [period, { "const": "none" }] })
    }
}

impl Decode for CovariateFile {
    const WHAT: &'static str = "a duration or `none`";
    const EXAMPLE: &'static str = "28d";
    fn decode(node: &Node, reporter: &mut Reporter<'_>) -> Option<Self> {
        match &node.value {
            Value::Text(text) if text == "none" => Some(Self::None),
            _ => Period::decode(node, reporter).map(Self::Before),
        }
    }
    fn to_json(&self) -> Json {
        match self {
            Self::Before(period) => period.to_json(),
            Self::None => Json::from("none"),
        }
    }
}

/// A duration, or `from` and `to`.
#[derive(Debug, Clone)]
pub(super) enum WindowFile {
    Of(Period),
    Span(SpanFile),
}

impl JsonSchema for WindowFile {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Window".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (period, span) = (generator.subschema_for::<Period>(), generator.subschema_for::<SpanFile>());
        schemars::json_schema!({ "anyOf": [period, span] })
    }
}

impl Decode for WindowFile {
    const WHAT: &'static str = "a window";
    const EXAMPLE: &'static str = "14d";
    fn decode(node: &Node, reporter: &mut Reporter<'_>) -> Option<Self> {
        match node.value {
            Value::Map(_) => SpanFile::decode(node, reporter).map(Self::Span),
            _ => Period::decode(node, reporter).map(Self::Of),
        }
    }
    fn to_json(&self) -> Json {
        match self {
            Self::Of(period) => period.to_json(),
            Self::Span(span) => span.to_json(),
        }
    }
}

/// Names with what they stand for, in the order of the file.
#[derive(Debug, Clone)]
pub(super) struct Named<T>(pub(super) Vec<(String, Span, At<T>)>);

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Named{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        schemars::json_schema!({ "type": "object", "additionalProperties": one })
    }
}

impl<T: Decode> Decode for Named<T> {
    const WHAT: &'static str = "a map of names";
    const EXAMPLE: &'static str = "orders: { source: shop, table: orders, ... }";
    // What stands behind a name is signed as a whole.
    const KEYS: &'static [Field] = &[];
    fn decode(node: &Node, reporter: &mut Reporter<'_>) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            wrong_type(node, Self::WHAT, Self::EXAMPLE, reporter);
            return None;
        };
        let one = |(key, value): &(super::node::Key, Node), reporter: &mut Reporter<'_>| {
            Some((key.text.clone(), key.span, At::decode(value, reporter)?))
        };
        Some(Self(entries.iter().filter_map(|entry| one(entry, reporter)).collect()))
    }
    fn to_json(&self) -> Json {
        self.0.iter().map(|(name, _, value)| (name.clone(), value.to_json())).collect()
    }
}
