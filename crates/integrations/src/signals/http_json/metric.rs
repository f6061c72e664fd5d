//! A metric: its keys, their checks, and what is read of an answer.

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use outcome_core::config::vendor::{At, Problem, Reporter};
use outcome_core::domain::{ArmSums, Window};
use outcome_core::yaml_map;
use serde_json::{Value, json};

use super::super::api::{Count, Days, Number, part};
use super::path::JsonPath;
use super::template::{Kind, TIMES, Template, Values};

/// Most metrics of a connector.
const MAX_METRICS: usize = 200;

yaml_map! {
    /// A number of an `http_json` source: `value`, or `n` and `successes`, or `n`, `sum` and `sum_squares`.
    HttpMetricFile("a metric of an `http_json` source") {
        /// Its name, as a signal's `metric` has it.
        required(signed) name: String,
        /// Path and query below `url`, with placeholders such as `{from}` and `{to}`.
        required(signed) path: String,
        /// JSON that is sent with POST, with placeholders in its texts; without it the question is a GET.
        optional(signed) body: String,
        /// Place of a bare value, as in `$.data.p95`.
        optional(signed) value: String,
        /// Place of the number of units.
        optional(signed) n: String,
        /// Place of the number of units that did it.
        optional(signed) successes: String,
        /// Place of the sum of the units' values.
        optional(signed) sum: String,
        /// Place of the sum of the units' squared values.
        optional(signed) sum_squares: String,
    }
}

/// Where the numbers stand.
#[derive(Debug, Clone)]
pub(super) enum Places {
    Value(JsonPath),
    Share { n: JsonPath, successes: JsonPath },
    Mean { n: JsonPath, sum: JsonPath, squares: JsonPath },
}

/// A metric, checked.
#[derive(Debug, Clone)]
pub(super) struct Metric {
    pub(super) name: String,
    pub(super) path: Template,
    pub(super) body: Option<Template>,
    pub(super) places: Places,
    /// As it was written, for the hash of the question.
    pub(super) written: Value,
}

pub(super) fn metrics(list: &At<Vec<At<HttpMetricFile>>>, reporter: &mut Reporter<'_>) -> Option<Vec<Metric>> {
    if list.value.is_empty() || list.value.len() > MAX_METRICS {
        let problem = Problem::error("config.out_of_range", list.span, "a source needs 1 to 200 metrics");
        reporter.push(problem.valid("1 to 200 metrics").help("write what is asked, with a name"));
        return None;
    }
    let mut found: Vec<Metric> = Vec::new();
    let mut is_good = true;
    for at in &list.value {
        match metric(&at.value, reporter) {
            Some(metric) if found.iter().all(|other| other.name != metric.name) => found.push(metric),
            Some(metric) => {
                let problem =
                    Problem::error("config.duplicate_key", at.span, format!("two metrics are named `{}`", metric.name));
                reporter.push(problem.valid("each name once").help("name one of them otherwise"));
                is_good = false;
            }
            None => is_good = false,
        }
    }
    is_good.then_some(found)
}

fn metric(file: &HttpMetricFile, reporter: &mut Reporter<'_>) -> Option<Metric> {
    let refuse = |at: &At<String>, message: String, valid: &str, help: &str, reporter: &mut Reporter<'_>| {
        reporter.push(Problem::error("config.unknown_value", at.span, message).valid(valid).help(help));
    };
    let template = |at: &At<String>, kind: Kind, reporter: &mut Reporter<'_>| match Template::parse(&at.value, kind) {
        Ok(template) => Some(template),
        Err(problem) => {
            let valid = TIMES.map(|name| format!("`{{{name}}}`")).join(", ");
            refuse(at, problem, &format!("{valid}, `{{segment.KEY}}`"), "write one of them", reporter);
            None
        }
    };
    let path_at = file.path.as_ref()?;
    let path = template(path_at, Kind::Address, reporter)?;
    if !path_at.value.starts_with('/') || path_at.value.contains('#') {
        let help = "write it as in `/v1/stats?from={from}&to={to}`";
        refuse(path_at, "this is not a path below `url`".to_owned(), "a path that begins with `/`", help, reporter);
        return None;
    }
    let body = match &file.body {
        None => None,
        Some(at) => {
            let body = template(at, Kind::Json, reporter)?;
            if !is_json(&body) {
                let help = "placeholders of texts stand in quotes, as in `{\"from\": \"{from}\"}`";
                refuse(
                    at,
                    "with its placeholders filled this is not JSON".to_owned(),
                    "JSON with placeholders",
                    help,
                    reporter,
                );
                return None;
            }
            Some(body)
        }
    };
    let places = places(file, reporter)?;
    let written = json!([path_at.value, file.body.as_ref().map(|body| body.value.as_str())]);
    Some(Metric { name: file.name.as_ref()?.value.clone(), path, body, places, written })
}

/// Whether a body is JSON for some window, with a segment that has all its keys.
fn is_json(body: &Template) -> bool {
    let from = jiff::Timestamp::UNIX_EPOCH;
    let Ok(to) = from.checked_add(SignedDuration::from_hours(24)) else { return false };
    let window = Window { from, to };
    let days = Days::up_to(window, &TimeZone::UTC);
    let segment = body.segments().into_iter().map(|key| (key.to_owned(), "x".to_owned())).collect();
    let filled = body.filled(&Values { window, days: days.as_ref(), segment: &segment });
    filled.is_ok_and(|text| serde_json::from_str::<Value>(&text).is_ok())
}

fn places(file: &HttpMetricFile, reporter: &mut Reporter<'_>) -> Option<Places> {
    let mut path = |at: &At<String>| match JsonPath::parse(&at.value) {
        Ok(path) => Some(path),
        Err(problem) => {
            let problem =
                Problem::error("config.unknown_value", at.span, format!("this is not a place in an answer: {problem}"));
            reporter.push(
                problem
                    .valid("`$`, names and numbers, as in `$.rows[0].n`")
                    .help("write the way from the root of the answer to the number"),
            );
            None
        }
    };
    match (&file.value, &file.n, &file.successes, &file.sum, &file.sum_squares) {
        (Some(value), None, None, None, None) => Some(Places::Value(path(value)?)),
        (None, Some(n), Some(successes), None, None) => {
            Some(Places::Share { n: path(n)?, successes: path(successes)? })
        }
        (None, Some(n), None, Some(sum), Some(squares)) => {
            Some(Places::Mean { n: path(n)?, sum: path(sum)?, squares: path(squares)? })
        }
        _ => {
            let problem = Problem::error("config.missing_key", file.at, "a metric needs the places of its numbers");
            reporter.push(
                problem
                    .valid("`value`, or `n` and `successes`, or `n`, `sum` and `sum_squares`")
                    .help("write where the numbers stand, as in `value: $.data.p95`"),
            );
            None
        }
    }
}

impl Places {
    pub(super) fn texts(&self) -> Vec<&str> {
        match self {
            Self::Value(value) => vec![value.text()],
            Self::Share { n, successes } => vec![n.text(), successes.text()],
            Self::Mean { n, sum, squares } => vec![n.text(), sum.text(), squares.text()],
        }
    }

    /// The sums in an answer.
    pub(super) fn sums(&self, answer: &Value) -> Result<ArmSums, String> {
        let count = |path: &JsonPath| {
            let count: Count = part(path.text(), path.of(answer)?)?;
            count.0.ok_or_else(|| format!("`{}` is no number", path.text()))
        };
        let number = |path: &JsonPath| {
            let number: Number = part(path.text(), path.of(answer)?)?;
            number.0.ok_or_else(|| format!("`{}` is no number", path.text()))
        };
        Ok(match self {
            Self::Value(value) => ArmSums::Value { value: number(value)? },
            Self::Share { n, successes } => ArmSums::Proportion { n: count(n)?, successes: count(successes)? },
            Self::Mean { n, sum, squares } => {
                ArmSums::Mean { n: count(n)?, sum: number(sum)?, sum_squares: number(squares)? }
            }
        })
    }
}
