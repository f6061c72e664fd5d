//! The HogQL that is asked. Names and times travel as values, never in the text.
//! <https://posthog.com/docs/sql>: ClickHouse's SQL over `events`, with the person of each event.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use outcome_core::domain::Window;
use serde::Serialize;
use serde_json::{Value, json};

use crate::signals::api::Count;

/// Rows that an answer may have: the arms, and what else a flag said.
pub(super) const MAX_ROWS: usize = 100;
/// Rows that a subquery may have: PostHog puts 100 into one that has no limit, and takes no more than this.
pub(super) const MAX_PEOPLE: i64 = 50_000;

/// What the flag said; whether they may be claimed on; units, those that did it, those that saw both arms; rows that were counted.
pub(super) type ArmRow = (Option<String>, Count, Count, Count, Count, Count);

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
    /// The condition of an event that asked for the flag, and the expression of what the flag said, which may be null.
    fn parts(&self, flag_key: &str) -> (String, String) {
        if OF_FLAGS.contains(&self.event.as_str()) {
            let condition = "event = {exposure} AND properties.$feature_flag = {flag}";
            return (condition.to_owned(), "toString(properties.$feature_flag_response)".to_owned());
        }
        let property = format!("properties.`$feature/{flag_key}`");
        (format!("event = {{exposure}} AND {property} IS NOT NULL"), format!("toString({property})"))
    }
}

/// What a flag says for each arm, in small letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) control: Vec<String>,
    pub(super) treatment: Vec<String>,
}

/// Which people are looked at, and which of them may be claimed on.
#[derive(Debug, Clone, Copy)]
pub(super) struct People {
    pub(super) launched_at: Timestamp,
    pub(super) window: Window,
    pub(super) as_of: Timestamp,
    /// Until when somebody must have been exposed to be mature and whole.
    pub(super) claim_until: Timestamp,
}

/// What counts as having done it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Done<'s> {
    /// One event, or several in this order.
    pub(super) steps: &'s [String],
    /// Within which time after the exposure, or after the first step.
    pub(super) within_ms: i64,
}

/// Units that were first exposed in a window since the launch, by arm and by whether they may be claimed on:
/// `arm, is_claimed, n, successes, n_both, n_rows`. `n_rows` also counts those of other windows: it shows whether a limit cut something off.
pub(super) fn by_variant(exposure: &Exposure, flag_key: &str, names: &Names, done: Done<'_>, people: People) -> Query {
    let People { launched_at, window, as_of, claim_until } = people;
    let (is_seen, said) = exposure.parts(flag_key);
    let mut values = values_of(done.steps);
    values.extend([
        ("exposure".to_owned(), json!(exposure.event)),
        ("flag".to_owned(), json!(flag_key)),
        ("since".to_owned(), time(launched_at)),
        ("until".to_owned(), time(as_of.max(window.to))),
        ("from".to_owned(), json!(window.from.as_millisecond())),
        ("to".to_owned(), json!(window.to.as_millisecond())),
        ("claim_until".to_owned(), json!(claim_until.as_millisecond())),
    ]);
    let of = (is_seen.as_str(), said.as_str());
    let is_control = is_named(&mut values, of, "control", &names.control);
    let is_treatment = is_named(&mut values, of, "treatment", &names.treatment);
    let is_arm = format!("(({is_control}) OR ({is_treatment}))");
    let inside = format!("{AT} >= {{from}} AND {AT} < {{to}}");
    // What was said to somebody who saw neither arm: the first that is not null.
    let units = format!(
        "SELECT person_id AS unit, countIf({is_arm}) AS n_arm, minIf({AT}, {is_arm}) AS arm_at,\n\
         argMinIf({said}, timestamp, {is_arm}) AS arm_said,\n\
         minIf({AT}, {is_seen}) AS seen_at, argMinIf({said}, timestamp, {is_seen} AND {said} IS NOT NULL) AS other_said,\n\
         countIf({is_control} AND {inside}) AS n_control, countIf({is_treatment} AND {inside}) AS n_treatment{arrays}\n\
         FROM events\n\
         WHERE timestamp >= toDateTime({{since}}) AND timestamp < toDateTime({{until}}) AND event IN ({{exposure}}, {steps})\n\
         GROUP BY person_id\nHAVING countIf({is_seen}) > 0\nLIMIT {MAX_PEOPLE}",
        arrays = arrays(done.steps, " AND timestamp < toDateTime({until})"),
        steps = names_of(done.steps),
    );
    let first_at = "if(n_arm > 0, arm_at, seen_at)";
    let exposed = format!(
        "SELECT unit, if(n_arm > 0, arm_said, other_said) AS arm, if(n_control > 0 AND n_treatment > 0, 1, 0) AS is_both,\n\
         {first_at} AS first_at, {first_at} AS reached{columns}\n\
         FROM ({units})\nLIMIT {MAX_PEOPLE}",
        columns = columns(0, done.steps.len()),
    );
    let reached = chain(exposed, &["unit", "arm", "is_both"], done, 0);
    let inside = "first_at >= {from} AND first_at < {to}";
    let text = format!(
        "SELECT arm, if(first_at <= {{claim_until}}, 1, 0) AS is_claimed, countIf({inside}) AS n,\n\
         countIf({inside} AND reached > 0) AS successes, countIf({inside} AND is_both = 1) AS n_both, count() AS n_rows\n\
         FROM ({reached})\nGROUP BY arm, is_claimed\nORDER BY arm, is_claimed\nLIMIT {MAX_ROWS}"
    );
    Query { text, values }
}

/// People to whom the flag gave the treatment in a window, and when the last one got it, in seconds: `n, newest`.
pub(super) fn treated(exposure: &Exposure, flag_key: &str, names: &Names, window: Window) -> Query {
    let (is_seen, said) = exposure.parts(flag_key);
    let mut values = BTreeMap::from([
        ("exposure".to_owned(), json!(exposure.event)),
        ("flag".to_owned(), json!(flag_key)),
        ("from".to_owned(), time(window.from)),
        ("to".to_owned(), time(window.to)),
    ]);
    let is_treatment = is_named(&mut values, (&is_seen, &said), "treatment", &names.treatment);
    let text = format!(
        "SELECT count(DISTINCT person_id) AS n, toUnixTimestamp(max(timestamp)) AS newest\nFROM events\n\
         WHERE {is_treatment} AND timestamp >= toDateTime({{from}}) AND timestamp < toDateTime({{to}})\nLIMIT 1"
    );
    Query { text, values }
}

/// The condition of an event by which the flag gave an arm. Its names become values.
fn is_named(
    values: &mut BTreeMap<String, Value>,
    (is_seen, said): (&str, &str),
    arm: &str,
    names: &[String],
) -> String {
    let places = names.iter().enumerate().map(|(i, name)| {
        values.insert(format!("{arm}_{i}"), json!(name));
        format!("{{{arm}_{i}}}")
    });
    let places = places.collect::<Vec<_>>().join(", ");
    format!("{is_seen} AND lower(ifNull({said}, '')) IN ({places})")
}

/// Everybody in a window with an event, and those who did the step: `n, successes`. `population`: the event that makes somebody count, any
/// event without one. No subquery, so no limit cuts people off.
pub(super) fn level(population: Option<&str>, steps: &[String], window: Window) -> Query {
    let mut values = values_of(steps);
    values.insert("from".to_owned(), time(window.from));
    values.insert("to".to_owned(), time(window.to));
    let inside = "timestamp >= toDateTime({from}) AND timestamp < toDateTime({to})";
    let text = match population {
        None => format!(
            "SELECT uniqExact(person_id) AS n, uniqExactIf(person_id, event = {{step_0}}) AS successes\n\
             FROM events\nWHERE {inside}\nLIMIT {MAX_ROWS}"
        ),
        Some(event) => {
            values.insert("population".to_owned(), json!(event));
            // Those of both are those of either left out of the sum.
            format!(
                "SELECT uniqExactIf(person_id, event = {{population}}) AS n,\n\
                 uniqExactIf(person_id, event = {{population}}) + uniqExactIf(person_id, event = {{step_0}}) - uniqExact(person_id) AS successes\n\
                 FROM events\nWHERE {inside} AND event IN ({{population}}, {{step_0}})\nLIMIT {MAX_ROWS}"
            )
        }
    };
    Query { text, values }
}

/// Everybody who began a funnel so long before the end of the window that their time for it is over: `n, successes, n_rows`.
pub(super) fn funnel_level(done: Done<'_>, window: Window) -> Query {
    let back = |at: Timestamp| at.checked_sub(SignedDuration::from_millis(done.within_ms)).unwrap_or(Timestamp::MIN);
    let mut values = values_of(done.steps);
    values.extend([
        ("from".to_owned(), time(back(window.from))),
        ("to".to_owned(), time(back(window.to))),
        ("until".to_owned(), time(window.to)),
    ]);
    let is_begun = "event = {step_0} AND timestamp < toDateTime({to})";
    let units = format!(
        "SELECT person_id AS unit, minIf({AT}, {is_begun}) AS first_at{arrays}\n\
         FROM events\nWHERE timestamp >= toDateTime({{from}}) AND timestamp < toDateTime({{until}}) AND event IN ({names})\n\
         GROUP BY person_id\nHAVING countIf({is_begun}) > 0\nLIMIT {MAX_PEOPLE}",
        names = names_of(done.steps),
        arrays = arrays(done.steps, ""),
    );
    let begun = format!(
        "SELECT unit, first_at, first_at AS reached{columns}\nFROM ({units})\nLIMIT {MAX_PEOPLE}",
        columns = columns(1, done.steps.len()),
    );
    let reached = chain(begun, &["unit"], done, 1);
    let text = format!(
        "SELECT count() AS n, countIf(reached > 0) AS successes, count() AS n_rows\nFROM ({reached})\nLIMIT {MAX_ROWS}"
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
             FROM ({inner})\nLIMIT {MAX_PEOPLE}"
        );
        inner = format!(
            "SELECT {kept}, first_at{rest}, if(length(found) = 0, 0, arrayMin(found)) AS reached\nFROM ({found})\nLIMIT {MAX_PEOPLE}"
        );
    }
    inner
}
