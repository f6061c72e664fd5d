//! Reading the fields of a line, and writing numbers: what the functions share.

use serde_json::{Value, json};

use crate::{
    Alpha, Alternative, Estimate, Interval, InvalidInput, Moments, Settings, StatsError, Status, Tau, Variance,
};

/// Why there are no numbers.
pub(super) enum Refusal {
    /// The request does not make sense.
    Error(String),
    /// The data do not.
    Status(Status),
}

impl From<InvalidInput> for Refusal {
    fn from(reason: InvalidInput) -> Self {
        Self::Status(reason.into())
    }
}

impl From<StatsError> for Refusal {
    fn from(_: StatsError) -> Self {
        Self::Status(InvalidInput::Parameter.into())
    }
}

pub(super) type Answer = Result<Value, Refusal>;

/// The `input` object, or an object within it.
#[derive(Clone, Copy)]
pub(super) struct Input<'a>(pub(super) &'a Value);

impl<'a> Input<'a> {
    /// `None` for a missing field and for null.
    pub(super) fn get(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|v| !v.is_null())
    }

    pub(super) fn object(self, name: &str) -> Result<Self, Refusal> {
        self.get(name).filter(|v| v.is_object()).map(Self).ok_or_else(|| missing(name, "an object"))
    }

    pub(super) fn list(self, name: &str) -> Result<&'a [Value], Refusal> {
        let list = self.get(name).and_then(Value::as_array);
        list.map(Vec::as_slice).ok_or_else(|| missing(name, "a list"))
    }

    pub(super) fn optional(self, name: &str) -> Result<Option<f64>, Refusal> {
        self.get(name).map(|v| as_number(v).ok_or_else(|| missing(name, "a number"))).transpose()
    }

    pub(super) fn number(self, name: &str) -> Result<f64, Refusal> {
        self.optional(name)?.ok_or_else(|| missing(name, "a number"))
    }

    /// A variance or a width.
    pub(super) fn not_negative(self, name: &str) -> Result<f64, Refusal> {
        let value = self.number(name)?;
        if value >= 0.0 { Ok(value) } else { Err(InvalidInput::Parameter.into()) }
    }

    pub(super) fn number_or(self, name: &str, default: f64) -> Result<f64, Refusal> {
        Ok(self.optional(name)?.unwrap_or(default))
    }

    pub(super) fn numbers(self, name: &str) -> Result<Vec<f64>, Refusal> {
        let list = self.list(name)?;
        list.iter().map(|v| as_number(v).ok_or_else(|| missing(name, "a list of numbers"))).collect()
    }

    pub(super) fn count(self, name: &str) -> Result<u64, Refusal> {
        Ok(as_count(self.number(name)?)?)
    }

    pub(super) fn boolean_or(self, name: &str, default: bool) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or(default)
    }

    pub(super) fn word(self, name: &str) -> Option<&'a str> {
        self.get(name).and_then(Value::as_str)
    }

    pub(super) fn alpha(self) -> Result<Alpha, Refusal> {
        Ok(Alpha::try_new(self.number_or("alpha", Alpha::DEFAULT.get())?)?)
    }

    pub(super) fn alternative(self) -> Result<Alternative, Refusal> {
        match self.word("alternative") {
            None | Some("two_sided") => Ok(Alternative::TwoSided),
            Some("greater") => Ok(Alternative::Greater),
            Some("less") => Ok(Alternative::Less),
            Some(_) => Err(missing("alternative", "`two_sided`, `greater` or `less`")),
        }
    }

    pub(super) fn settings(self) -> Result<Settings, Refusal> {
        let alpha = self.alpha()?;
        let tau = Tau::try_new(self.number("tau")?)?;
        let null = self.number_or("null", 0.0)?;
        Ok(Settings { alpha, tau, alternative: self.alternative()?, null })
    }

    pub(super) fn estimate(self) -> Result<Estimate, Refusal> {
        let (delta, variance) = (self.number("delta")?, self.number("var")?);
        if variance.abs() <= 0.0 {
            return Err(Refusal::Status(Status::ZeroVariance));
        }
        Ok(Estimate { delta, variance: Variance::try_new(variance)? })
    }

    pub(super) fn moments(self, n: u64, sum: &str, sum_squares: &str) -> Result<Moments, Refusal> {
        Ok(Moments::try_new(n, self.number(sum)?, self.number(sum_squares)?)?)
    }
}

pub(super) fn missing(name: &str, kind: &str) -> Refusal {
    Refusal::Error(format!("`{name}` must be {kind}"))
}

pub(super) fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(x) => x.as_f64(),
        Value::String(s) if s == "inf" => Some(f64::INFINITY),
        Value::String(s) if s == "-inf" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
pub(super) fn as_count(x: f64) -> Result<u64, InvalidInput> {
    // Above 2^53 a double no longer counts.
    let is_count = (0.0..=9_007_199_254_740_992.0).contains(&x) && x.fract().abs() <= 0.0;
    if is_count { Ok(x as u64) } else { Err(InvalidInput::NotACount) }
}

pub(super) fn number(x: f64) -> Value {
    if x.is_nan() {
        Value::Null
    } else if x.is_infinite() {
        json!(if x > 0.0 { "inf" } else { "-inf" })
    } else {
        json!(x)
    }
}

pub(super) fn interval(ci: Interval) -> Value {
    json!([ci.lower, ci.upper])
}

pub(super) fn optional_interval(ci: Option<Interval>) -> Value {
    ci.map_or(Value::Null, interval)
}

/// Adds why the data are invalid.
pub(super) fn explain(fields: &mut Value, status: Status) {
    if let (Status::Invalid { reason }, Value::Object(fields)) = (status, fields) {
        fields.insert("reason".to_owned(), json!(reason));
    }
}
