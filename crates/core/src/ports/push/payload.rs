//! What is pushed: the aggregates of one signal in one window.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{IngestError, MAX_BODY};
use crate::domain::{ArmSums, CountedUnits, Reading, Slug, VariantReading, Window};
use crate::ports::reading_check as check;

/// Version of [`IngestPayload`].
pub const SCHEMA_VERSION: u32 = 1;
/// Most readings of a payload.
pub const MAX_READINGS: usize = 1000;
/// Most payloads of a list.
pub const MAX_PAYLOADS: usize = 500;
/// Outcome, signal, experiment and its phase.
pub type Place = (String, String, Option<String>, Option<i32>);
/// How far a window may end after our now: the sender's clock may be ahead.
const MAX_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// The body of `POST /api/v1/signals/ingest`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IngestPayload {
    /// 1.
    pub schema_version: u32,
    /// Name of the connector.
    pub source: String,
    /// Name of the signal within the outcome.
    pub signal: String,
    /// The outcome.
    pub outcome: Slug,
    /// The experiment, for readings by variant.
    #[serde(default)]
    pub experiment: Option<Slug>,
    /// Its allocation phase, from 0; needed with an experiment.
    #[serde(default)]
    pub phase: Option<i32>,
    /// `[from, to)`. Of an experiment: units exposed in it, cumulative since the start of the phase.
    pub window: Window,
    /// Of an experiment one an arm, else a single one.
    pub readings: Vec<IngestReading>,
}

/// The aggregates of one arm or of the whole population: `n` and `successes`; or `n`, `sum`, `sum_squares`; or `n` and
/// the five sums of a ratio; or `value`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
pub struct IngestReading {
    /// `control` or `treatment`; with an experiment only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Randomised units, each counted once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<i64>,
    /// Units that did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successes: Option<i64>,
    /// Different units of the arm. Where it differs from `n`, rows were counted as units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_units: Option<i64>,
    /// Units that saw both arms, the same number with each arm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_both: Option<i64>,
    /// Sum over units of each unit's value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sum: Option<f64>,
    /// Sum over units of each unit's value squared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sum_squares: Option<f64>,
    /// Sum of numerators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_sum: Option<f64>,
    /// Sum of squared numerators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_sum_squares: Option<f64>,
    /// Sum of denominators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub den_sum: Option<f64>,
    /// Sum of squared denominators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub den_sum_squares: Option<f64>,
    /// Sum of numerator times denominator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_den_sum: Option<f64>,
    /// A value without units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
}

/// A checked payload's reading.
#[derive(Debug, Clone, PartialEq)]
pub enum Pushed {
    /// Of the whole population.
    Level(Reading<ArmSums>),
    /// Of an experiment's phase, control first.
    ByVariant(Reading<Vec<VariantReading>>),
}

fn shape(problem: impl Into<String>) -> IngestError {
    let problem: String = problem.into();
    IngestError::Shape { problem: problem.chars().filter(|c| !c.is_control()).take(500).collect() }
}

impl IngestPayload {
    /// Reads and checks a body: a payload, or a list of up to [`MAX_PAYLOADS`] of one source, no two of them about the same arm.
    ///
    /// # Errors
    /// [`IngestError::Shape`], of all of them if one is wrong.
    pub fn parse(body: &[u8], now: Timestamp) -> Result<Vec<(Self, Pushed)>, IngestError> {
        if body.len() > MAX_BODY {
            return Err(shape(format!("it is larger than {MAX_BODY} bytes")));
        }
        if body.trim_ascii_start().first() != Some(&b'[') {
            let payload: Self = serde_json::from_slice(body).map_err(|error| shape(error.to_string()))?;
            let pushed = payload.check(now)?;
            return Ok(vec![(payload, pushed)]);
        }
        let payloads: Vec<Self> = serde_json::from_slice(body).map_err(|error| shape(error.to_string()))?;
        if payloads.is_empty() || payloads.len() > MAX_PAYLOADS {
            return Err(shape(format!("the list has {} payloads; 1 to {MAX_PAYLOADS} are allowed", payloads.len())));
        }
        let (mut out, mut places) = (Vec::with_capacity(payloads.len()), BTreeMap::new());
        let source = payloads.first().map(|first| first.source.clone());
        for (number, payload) in (1..).zip(payloads) {
            let at = |problem: String| shape(format!("payload {number} of the list: {problem}"));
            if Some(&payload.source) != source.as_ref() {
                return Err(at("all payloads of a list have the same `source`".to_owned()));
            }
            if let Some(first) = places.insert(payload.place(), number) {
                return Err(at(format!("it is about the same as payload {first}")));
            }
            let pushed = payload.check(now).map_err(|error| match error {
                IngestError::Shape { problem } => at(problem),
                other => other,
            })?;
            out.push((payload, pushed));
        }
        Ok(out)
    }

    /// What it is about: two readings of one place at one instant would have no order.
    #[must_use]
    pub fn place(&self) -> Place {
        let Self { outcome, signal, experiment, phase, .. } = self;
        (outcome.to_string(), signal.clone(), experiment.as_ref().map(ToString::to_string), *phase)
    }

    fn check(&self, now: Timestamp) -> Result<Pushed, IngestError> {
        if self.schema_version != SCHEMA_VERSION {
            return Err(shape(format!("`schema_version` is {}, expected {SCHEMA_VERSION}", self.schema_version)));
        }
        for (field, text) in [("source", &self.source), ("signal", &self.signal)] {
            if text.trim().is_empty() || text.chars().count() > 200 {
                return Err(shape(format!("`{field}` must have 1 to 200 characters")));
            }
        }
        if self.window.from >= self.window.to {
            return Err(shape("`window.from` must be before `window.to`"));
        }
        if self.window.to > now.checked_add(MAX_SKEW).unwrap_or(now) {
            return Err(shape(format!("`window.to` is {}, in the future", self.window.to)));
        }
        if self.readings.is_empty() || self.readings.len() > MAX_READINGS {
            return Err(shape(format!(
                "`readings` has {} entries; 1 to {MAX_READINGS} are allowed",
                self.readings.len()
            )));
        }
        match (&self.experiment, self.phase) {
            (Some(_), Some(0..)) => Ok(Pushed::ByVariant(self.reading(self.by_variant()?))),
            (Some(_), Some(phase)) => Err(shape(format!("`phase` is {phase}; the first is 0"))),
            (Some(_), None) => Err(shape("`phase` is missing; the first of an experiment is 0")),
            (None, Some(_)) => Err(shape("`phase` is present without `experiment`")),
            (None, None) => Ok(Pushed::Level(self.reading(self.level()?))),
        }
    }

    fn by_variant(&self) -> Result<Vec<VariantReading>, IngestError> {
        let mut out = Vec::new();
        for (row, reading) in (1..).zip(&self.readings) {
            let Some(name) = &reading.variant else {
                return Err(shape(format!("row {row}: `variant` is missing, but there is an `experiment`")));
            };
            let Some(variant) = check::variant(name) else {
                return Err(shape(format!("row {row}: the variant is `{name}`, expected control or treatment")));
            };
            let sums = reading.sums().map_err(|problem| shape(format!("row {row}: {problem}")))?;
            let units = CountedUnits { n_units: reading.n_units, n_both: reading.n_both, same_as: None };
            for (name, n) in [("n_units", units.n_units), ("n_both", units.n_both)] {
                n.map_or(Ok(()), |n| check::count(name, n))
                    .map_err(|problem| shape(format!("row {row}: {problem}")))?;
            }
            let units = Some(units).filter(|units| *units != CountedUnits::default());
            out.push(VariantReading { units, ..VariantReading::new(variant, sums) });
        }
        check::by_variant(&out).map_err(shape)?;
        out.sort_by_key(|reading| reading.variant);
        Ok(out)
    }

    fn level(&self) -> Result<ArmSums, IngestError> {
        let [reading] = self.readings.as_slice() else {
            return Err(shape("`readings` has several entries, but there is no `experiment`"));
        };
        if reading.variant.is_some() {
            return Err(shape("row 1: `variant` is present without `experiment`"));
        }
        let sums = reading.sums().map_err(|problem| shape(format!("row 1: {problem}")))?;
        check::sums(&sums).map_err(|problem| shape(format!("row 1: {problem}")))?;
        Ok(sums)
    }

    /// The hashes are over what was said and over what it is about: the pusher's "query" is not known here.
    fn reading<T>(&self, data: T) -> Reading<T> {
        let about = json!({
            "experiment": self.experiment, "outcome": self.outcome, "phase": self.phase, "signal": self.signal,
            "source": self.source, "window": self.window,
        });
        let hash = |value: serde_json::Value| {
            hex::encode(Sha256::digest(serde_json_canonicalizer::to_vec(&value).unwrap_or_default()))
        };
        let window = self.window;
        Reading {
            data,
            window,
            query_hash: hash(about),
            raw_hash: hash(json!(self.readings)),
            raw: None,
            warnings: Vec::new(),
        }
    }
}

impl IngestReading {
    fn sums(&self) -> Result<ArmSums, String> {
        let ratio = [self.num_sum, self.num_sum_squares, self.den_sum, self.den_sum_squares, self.num_den_sum];
        let names = ["num_sum", "num_sum_squares", "den_sum", "den_sum_squares", "num_den_sum"];
        let mut there: BTreeMap<&str, bool> = names.into_iter().zip(ratio.map(|sum| sum.is_some())).collect();
        there.extend([
            ("n", self.n.is_some()),
            ("successes", self.successes.is_some()),
            ("sum", self.sum.is_some()),
            ("sum_squares", self.sum_squares.is_some()),
            ("value", self.value.is_some()),
        ]);
        let there: Vec<_> = there.into_iter().filter_map(|(name, is_there)| is_there.then_some(name)).collect();
        match (self, there.len(), ratio) {
            (Self { n: Some(n), successes: Some(successes), .. }, 2, _) => {
                Ok(ArmSums::Proportion { n: *n, successes: *successes })
            }
            (Self { n: Some(n), sum: Some(sum), sum_squares: Some(sum_squares), .. }, 3, _) => {
                Ok(ArmSums::Mean { n: *n, sum: *sum, sum_squares: *sum_squares })
            }
            (
                Self { n: Some(n), .. },
                6,
                [Some(num), Some(num_squares), Some(den), Some(den_squares), Some(num_den)],
            ) => Ok(ArmSums::Ratio { n: *n, num, num_squares, den, den_squares, num_den }),
            (Self { value: Some(value), .. }, 1, _) => Ok(ArmSums::Value { value: *value }),
            _ => Err(format!(
                "its fields ({}) are not those of a reading: n, successes; or n, sum, sum_squares; or n, num_sum, \
                 num_sum_squares, den_sum, den_sum_squares, num_den_sum; or value",
                there.join(", ")
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::domain::Variant;

    fn parse(change: impl FnOnce(&mut Value)) -> Result<Pushed, String> {
        let mut body = json!({
            "schema_version": 1, "source": "warehouse", "signal": "paid", "outcome": "checkout",
            "experiment": "short-form",
            "phase": 0, "window": { "from": "2026-11-20T00:00:00Z", "to": "2026-11-21T00:00:00Z" },
            "readings": [
                { "variant": "treatment", "n": 10, "successes": 2 },
                { "variant": "control", "n": 11, "successes": 1 },
            ],
        });
        change(&mut body);
        let now = "2026-11-21T00:00:00Z".parse().unwrap();
        let parsed = IngestPayload::parse(body.to_string().as_bytes(), now);
        parsed
            .map(|mut parsed| parsed.remove(0).1)
            .map_err(|error| error.to_string().replace("the payload cannot be used: ", ""))
    }

    fn one(reading: Value) -> Result<ArmSums, String> {
        let pushed = parse(|body| {
            body["experiment"] = Value::Null;
            body["phase"] = Value::Null;
            body["readings"] = json!([reading]);
        })?;
        match pushed {
            Pushed::Level(reading) => Ok(reading.data),
            Pushed::ByVariant(_) => Err("by variant".to_owned()),
        }
    }

    #[test]
    fn reads_every_kind_of_sums() {
        let Ok(Pushed::ByVariant(reading)) = parse(|_| {}) else { panic!("not by variant") };
        assert_eq!(
            reading.data,
            [
                VariantReading::new(Variant::Control, ArmSums::Proportion { n: 11, successes: 1 }),
                VariantReading::new(Variant::Treatment, ArmSums::Proportion { n: 10, successes: 2 }),
            ]
        );
        assert_eq!(
            one(json!({ "n": 2, "sum": 3, "sum_squares": 5 })),
            Ok(ArmSums::Mean { n: 2, sum: 3.0, sum_squares: 5.0 })
        );
        assert_eq!(
            one(json!({ "n": 2, "num_sum": 3, "num_sum_squares": 5,
                "den_sum": 4, "den_sum_squares": 10, "num_den_sum": 7 })),
            Ok(ArmSums::Ratio { n: 2, num: 3.0, num_squares: 5.0, den: 4.0, den_squares: 10.0, num_den: 7.0 })
        );
        assert_eq!(one(json!({ "value": 0.25 })), Ok(ArmSums::Value { value: 0.25 }));
    }

    #[test]
    fn says_what_is_wrong_with_a_payload() {
        let problem = |change: fn(&mut Value)| parse(change).expect_err("unusable");
        for (got, expected) in [
            (problem(|body| body["schema_version"] = json!(2)), "`schema_version` is 2, expected 1"),
            (problem(|body| body["extra"] = json!(1)), "unknown field `extra`"),
            (problem(|body| body["signal"] = json!("")), "`signal` must have"),
            (problem(|body| body["outcome"] = json!("No Slug")), "`No Slug` is not a slug"),
            (problem(|body| body["window"]["to"] = json!("2026-11-20T00:00:00Z")), "`window.from` must be before"),
            (
                problem(|body| body["window"]["to"] = json!("2026-11-22T00:00:00Z")),
                "`window.to` is 2026-11-22T00:00:00Z, in the",
            ),
            (problem(|body| body["readings"] = json!([])), "`readings` has 0 entries"),
            (problem(|body| body["phase"] = Value::Null), "`phase` is missing"),
            (problem(|body| body["phase"] = json!(-1)), "`phase` is -1"),
            (problem(|body| body["experiment"] = Value::Null), "`phase` is present without"),
            (problem(|body| body["readings"][0]["variant"] = Value::Null), "row 1: `variant` is missing"),
            (problem(|body| body["readings"][1]["variant"] = json!("b")), "row 2: the variant is `b`"),
            (problem(|body| body["readings"][1]["variant"] = json!("on")), "row 2: a second row for `treatment`"),
            (problem(|body| body["readings"][1]["n"] = json!(0)), "row 2 (`control`): `successes` is 1"),
            (problem(|body| body["readings"][1]["sum"] = json!(0)), "row 2: its fields (n, successes, sum) are not"),
            (problem(|body| body["readings"][0]["rows"] = json!(0)), "unknown field `rows`"),
        ] {
            assert!(got.starts_with(expected), "{got}\n{expected}");
        }
        assert!(one(json!({ "n": -1, "successes": 0 })).unwrap_err().starts_with("row 1: `n` is -1"));
        assert!(
            one(json!({ "variant": "control", "value": 1 })).unwrap_err().starts_with("row 1: `variant` is present")
        );
        assert!(one(json!({})).unwrap_err().starts_with("row 1: its fields () are not"));
        let many = parse(|body| body["readings"] = json!(vec![json!({ "value": 1 }); 1001]));
        assert!(many.unwrap_err().starts_with("`readings` has 1001 entries"));
        let now = "2026-11-21T00:00:00Z".parse().unwrap();
        for body in [&b"{"[..], b"[]", b"\xff", &vec![b' '; MAX_BODY + 1]] {
            assert!(IngestPayload::parse(body, now).is_err());
        }
    }

    #[test]
    fn a_list_is_taken_as_a_whole_or_not_at_all() {
        let now = "2026-11-21T00:00:00Z".parse().unwrap();
        let one = |signal: &str, source: &str, n: i64| {
            json!({ "schema_version": 1, "source": source, "signal": signal, "outcome": "checkout",
                "window": { "from": "2026-11-20T00:00:00Z", "to": "2026-11-21T00:00:00Z" },
                "readings": [{ "n": n, "successes": 2 }] })
        };
        let parse = |list: Value| {
            let parsed = IngestPayload::parse(list.to_string().as_bytes(), now);
            parsed
                .map(|parts| parts.len())
                .map_err(|error| error.to_string().replace("the payload cannot be used: ", ""))
        };
        assert_eq!(parse(json!([one("paid", "shop", 9), one("returned", "shop", 9)])), Ok(2));
        for (list, said) in [
            (json!([one("paid", "shop", 9), one("returned", "shop", 1)]), "payload 2 of the list: row 1: `successes`"),
            (json!([one("paid", "shop", 9), one("returned", "mail", 9)]), "payload 2 of the list: all payloads"),
            (json!([one("paid", "shop", 9), one("paid", "shop", 8)]), "payload 2 of the list: it is about the same as"),
            (json!([]), "the list has 0 payloads"),
            (json!(vec![one("paid", "shop", 9); MAX_PAYLOADS + 1]), "the list has 501 payloads"),
        ] {
            let problem = parse(list).unwrap_err();
            assert!(problem.starts_with(said), "{problem}");
        }
    }

    #[test]
    fn the_hashes_tell_what_was_said_and_what_it_is_about() {
        let hashes = |change: fn(&mut Value)| match parse(change) {
            Ok(Pushed::ByVariant(reading)) => (reading.query_hash, reading.raw_hash),
            other => panic!("{other:?}"),
        };
        let (query, raw) = hashes(|_| {});
        let (query_2, raw_2) = hashes(|body| body["readings"][0]["n"] = json!(12));
        assert_eq!((query == query_2, raw == raw_2), (true, false));
        let (query_3, raw_3) = hashes(|body| body["phase"] = json!(1));
        assert_eq!((query == query_3, raw == raw_3), (false, true));
    }
}
