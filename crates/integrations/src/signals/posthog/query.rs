//! The HogQL that is asked. Names and times travel as values, never in the text.
//! <https://posthog.com/docs/sql>: ClickHouse's SQL over `events`, with the person of each event.

use std::collections::BTreeMap;

use jiff::Timestamp;
use outcome_core::domain::Window;
use serde::Serialize;
use serde_json::{Value, json};

/// Rows that an answer may have: the arms, and what else a flag said.
pub(super) const MAX_ROWS: usize = 100;
/// PostHog puts a limit into a query that has none, and this one at most. As many units are probably cut off.
pub(super) const CUT_AT: [i64; 2] = [100, 50_000];

/// A text with the values of its placeholders.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Query {
    pub(super) text: String,
    pub(super) values: BTreeMap<String, Value>,
}

/// Which event says that somebody saw an arm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exposure {
    pub(super) event: String,
}

/// Events of PostHog's own, which have the flag and the arm in properties of their own.
const OF_FLAGS: [&str; 2] = ["$feature_flag_called", "$experiment_exposure"];

impl Exposure {
    /// The condition for the flag, and the expression of the arm.
    fn parts(&self, flag_key: &str) -> (String, String) {
        if OF_FLAGS.contains(&self.event.as_str()) {
            let condition = "event = {exposure} AND properties.$feature_flag = {flag}";
            return (condition.to_owned(), "toString(properties.$feature_flag_response)".to_owned());
        }
        let property = format!("properties.`$feature/{flag_key}`");
        (format!("event = {{exposure}} AND {property} IS NOT NULL"), format!("toString({property})"))
    }
}

/// What counts as having done it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Done<'s> {
    /// One event, or several in this order.
    pub(super) steps: &'s [String],
    /// Within which time after the exposure, or after the first step.
    pub(super) within_ms: i64,
}

/// Units that were first exposed in a window since the launch, by arm: `arm, n, successes, n_both`.
pub(super) fn by_variant(
    exposure: &Exposure,
    flag_key: &str,
    done: Done<'_>,
    launched_at: Timestamp,
    window: Window,
    as_of: Timestamp,
) -> Query {
    let (is_exposure, arm) = exposure.parts(flag_key);
    let mut values = values_of(done.steps);
    values.extend([
        ("exposure".to_owned(), json!(exposure.event)),
        ("flag".to_owned(), json!(flag_key)),
        ("since".to_owned(), time(launched_at)),
        ("until".to_owned(), time(as_of.max(window.to))),
        ("from".to_owned(), json!(window.from.as_millisecond())),
        ("to".to_owned(), json!(window.to.as_millisecond())),
        ("as_of".to_owned(), json!(as_of.as_millisecond())),
    ]);
    let names = names_of(done.steps);
    let units = format!(
        "SELECT person_id AS unit, minIf({AT}, {is_exposure}) AS first_at,\n\
         argMinIf({arm}, timestamp, {is_exposure}) AS arm,\n\
         uniqExactIf({arm}, {is_exposure} AND {AT} >= {{from}} AND {AT} < {{to}}) AS n_arms,\n\
         countIf({is_exposure}) AS n_exposures{arrays}\n\
         FROM events\n\
         WHERE timestamp >= toDateTime({{since}}) AND timestamp < toDateTime({{until}}) AND event IN ({{exposure}}, {names})\n\
         GROUP BY person_id",
        arrays = arrays(done.steps, " AND timestamp < toDateTime({until})"),
    );
    let exposed = format!(
        "SELECT unit, arm, n_arms, first_at, first_at AS reached{columns}\n\
         FROM ({units})\nWHERE n_exposures > 0 AND first_at >= {{from}} AND first_at < {{to}}",
        columns = columns(0, done.steps.len()),
    );
    let reached = chain(exposed, &["unit", "arm", "n_arms"], done, 0);
    let text = format!(
        "SELECT arm, count() AS n, countIf(reached > 0) AS successes, countIf(n_arms > 1) AS n_both\n\
         FROM ({reached})\nGROUP BY arm\nORDER BY arm\nLIMIT {MAX_ROWS}"
    );
    Query { text, values }
}

/// Everybody in a window: `n, successes`. `population`: the event that makes somebody count, any event without one.
pub(super) fn level(population: Option<&str>, is_funnel: bool, done: Done<'_>, window: Window) -> Query {
    let mut values = values_of(done.steps);
    values.insert("from".to_owned(), time(window.from));
    values.insert("to".to_owned(), time(window.to));
    let is_inside = "timestamp >= toDateTime({from}) AND timestamp < toDateTime({to})";
    if is_funnel {
        let names = names_of(done.steps);
        let units = format!(
            "SELECT person_id AS unit, minIf({AT}, event = {{step_0}}) AS first_at, countIf(event = {{step_0}}) AS n_begun{arrays}\n\
             FROM events\nWHERE {is_inside} AND event IN ({names})\nGROUP BY person_id",
            arrays = arrays(done.steps, ""),
        );
        let begun = format!(
            "SELECT unit, first_at, first_at AS reached{columns}\nFROM ({units})\nWHERE n_begun > 0",
            columns = columns(1, done.steps.len()),
        );
        let reached = chain(begun, &["unit"], done, 1);
        let text =
            format!("SELECT count() AS n, countIf(reached > 0) AS successes\nFROM ({reached})\nLIMIT {MAX_ROWS}");
        return Query { text, values };
    }
    let (counts, is_looked_at) = match population {
        None => ("count()", String::new()),
        Some(event) => {
            values.insert("population".to_owned(), json!(event));
            ("countIf(event = {population})", " AND event IN ({population}, {step_0})".to_owned())
        }
    };
    let units = format!(
        "SELECT person_id AS unit, {counts} AS n_seen, countIf(event = {{step_0}}) AS n_done\n\
         FROM events\nWHERE {is_inside}{is_looked_at}\nGROUP BY person_id"
    );
    let text = format!(
        "SELECT count() AS n, countIf(n_done > 0) AS successes\nFROM ({units})\nWHERE n_seen > 0\nLIMIT {MAX_ROWS}"
    );
    Query { text, values }
}

/// The most common events of a week.
pub(super) fn events() -> Query {
    let text = "SELECT event, count() AS n\nFROM events\nWHERE timestamp >= now() - toIntervalDay(7)\n\
                GROUP BY event\nORDER BY n DESC\nLIMIT 200";
    Query { text: text.to_owned(), values: BTreeMap::new() }
}

/// An instant in milliseconds.
const AT: &str = "toUnixTimestamp64Milli(timestamp)";

/// An instant as HogQL reads it whatever the project's time zone.
fn time(at: Timestamp) -> Value {
    json!(at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
}

fn values_of(steps: &[String]) -> BTreeMap<String, Value> {
    (0..).zip(steps).map(|(i, event): (usize, _)| (format!("step_{i}"), json!(event))).collect()
}

fn names_of(steps: &[String]) -> String {
    (0..steps.len()).map(|i| format!("{{step_{i}}}")).collect::<Vec<_>>().join(", ")
}

/// When somebody did each step.
fn arrays(steps: &[String], condition: &str) -> String {
    (0..steps.len()).map(|i| format!(",\ngroupArrayIf({AT}, event = {{step_{i}}}{condition}) AS at_{i}")).collect()
}

fn columns(first: usize, n_steps: usize) -> String {
    (first..n_steps).map(|i| format!(", at_{i}")).collect()
}

/// One layer for each step: when it was reached after the one before, 0 if it never was.
fn chain(mut inner: String, kept: &[&str], done: Done<'_>, first: usize) -> String {
    let kept = kept.join(", ");
    let within = done.within_ms;
    for i in first..done.steps.len() {
        let rest = columns(i + 1, done.steps.len());
        let found = format!(
            "SELECT {kept}, first_at{rest}, arrayFilter(t -> reached > 0 AND t >= reached AND t < first_at + {within}, at_{i}) AS found\n\
             FROM ({inner})"
        );
        inner = format!(
            "SELECT {kept}, first_at{rest}, if(length(found) = 0, 0, arrayMin(found)) AS reached\nFROM ({found})"
        );
    }
    inner
}
