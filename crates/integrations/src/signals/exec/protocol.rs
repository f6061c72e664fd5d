//! The questions and answers, version 1.

use std::collections::BTreeMap;

use jiff::Timestamp;
use outcome_core::domain::{ArmSums, CountedUnits, MetricMethod, SignalSpec, Variant, VariantReading, Window};
use outcome_core::ports::VariantRequest;
use outcome_core::ports::reading_check as check;
use serde::{Deserialize, Serialize};

use crate::signals::api::{Count, Number};

/// The version of the protocol. A field may be added without another number; a program ignores what it does not know.
const VERSION: u32 = 1;

/// One line of the input.
#[derive(Debug, Serialize)]
pub(super) struct Question {
    version: u32,
    ask: &'static str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    of: Option<OfSignal>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    arms: Option<OfArms>,
    /// A field that no version has yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    from_a_later_version: Option<Vec<u32>>,
}

#[derive(Debug, Serialize)]
struct OfSignal {
    metric: String,
    method: MetricMethod,
    funnel_steps: Vec<String>,
    segment: BTreeMap<String, String>,
    window: Window,
}

#[derive(Debug, Serialize)]
struct OfArms {
    experiment: String,
    flag: String,
    launched_at: Timestamp,
    as_of: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_until: Option<Timestamp>,
}

impl Question {
    fn plain(ask: &'static str) -> Self {
        Self { version: VERSION, ask, of: None, arms: None, from_a_later_version: None }
    }

    pub(super) fn test() -> Self {
        Self::plain("test")
    }

    /// What a later version may ask.
    pub(super) fn unknown() -> Self {
        Self::plain("from_a_later_version")
    }

    /// The same with a field that a program does not know.
    pub(super) fn later(self) -> Self {
        Self { from_a_later_version: Some(vec![1]), ..self }
    }

    pub(super) fn list() -> Self {
        Self::plain("list")
    }

    pub(super) fn level(signal: &SignalSpec, window: Window) -> Self {
        Self { of: Some(OfSignal::new(signal, window)), ..Self::plain("level") }
    }

    pub(super) fn by_variant(signal: &SignalSpec, request: &VariantRequest) -> Self {
        let arms = OfArms {
            experiment: request.experiment.to_string(),
            flag: request.flag_key.clone(),
            launched_at: request.launched_at,
            as_of: request.as_of,
            on_until: request.on_until,
        };
        Self { of: Some(OfSignal::new(signal, request.window)), arms: Some(arms), ..Self::plain("by_variant") }
    }
}

impl OfSignal {
    fn new(signal: &SignalSpec, window: Window) -> Self {
        Self {
            metric: signal.metric.clone(),
            method: signal.method,
            funnel_steps: signal.funnel_steps.clone(),
            segment: signal.segment.clone(),
            window,
        }
    }
}

/// An answer that is none.
#[derive(Debug, Deserialize)]
pub(super) struct Failed {
    pub(super) error: Failure,
}

#[derive(Debug, Deserialize)]
pub(super) struct Failure {
    /// `unauthorized`, `throttled`, `unreachable` or anything else.
    #[serde(default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) message: String,
    pub(super) retry_after_secs: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct About {
    pub(super) server: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    pub(super) metrics: Vec<ListedMetric>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ListedMetric {
    pub(super) name: String,
    #[serde(default)]
    pub(super) fields: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Level {
    #[serde(flatten)]
    pub(super) sums: Sums,
    pub(super) window: Option<Window>,
    #[serde(default)]
    pub(super) warnings: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ByVariant {
    arms: Vec<Arm>,
    pub(super) window: Option<Window>,
    #[serde(default)]
    pub(super) warnings: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Arm {
    variant: String,
    /// Units that saw both arms.
    n_both: Option<Count>,
    #[serde(flatten)]
    sums: Sums,
}

/// A share, a mean, or a bare value.
#[derive(Debug, Deserialize)]
pub(super) struct Sums {
    n: Option<Count>,
    successes: Option<Count>,
    sum: Option<Number>,
    sum_squares: Option<Number>,
    value: Option<Number>,
}

impl Sums {
    /// The sums.
    ///
    /// # Errors
    /// Which fields do not belong together, or are no numbers.
    pub(super) fn sums(&self) -> Result<ArmSums, String> {
        let count = |name: &str, count: Count| count.0.ok_or_else(|| format!("`{name}` is no number"));
        let number = |name: &str, number: Number| number.0.ok_or_else(|| format!("`{name}` is no number"));
        match (self.n, self.successes, self.sum, self.sum_squares, self.value) {
            (Some(n), Some(successes), None, None, None) => {
                Ok(ArmSums::Proportion { n: count("n", n)?, successes: count("successes", successes)? })
            }
            (Some(n), None, Some(sum), Some(squares), None) => Ok(ArmSums::Mean {
                n: count("n", n)?,
                sum: number("sum", sum)?,
                sum_squares: number("sum_squares", squares)?,
            }),
            (None, None, None, None, Some(value)) => Ok(ArmSums::Value { value: number("value", value)? }),
            _ => {
                Err("it has neither `n` and `successes`, nor `n`, `sum` and `sum_squares`, nor `value` alone"
                    .to_owned())
            }
        }
    }
}

impl ByVariant {
    /// The readings, the control first.
    ///
    /// # Errors
    /// What is wrong, with its place.
    pub(super) fn readings(&self) -> Result<Vec<VariantReading>, String> {
        let mut found = Vec::with_capacity(2);
        for (row, arm) in self.arms.iter().enumerate() {
            let at = |problem: String| format!("`arms[{row}]`: {problem}");
            let variant = check::variant(&arm.variant)
                .ok_or_else(|| at(format!("the variant `{}` is neither `control` nor `treatment`", arm.variant)))?;
            let sums = arm.sums.sums().map_err(at)?;
            let mut reading = VariantReading::new(variant, sums);
            if let Some(n_both) = arm.n_both {
                let n_both = n_both.0.ok_or_else(|| at("`n_both` is no number".to_owned()))?;
                check::count("n_both", n_both).map_err(at)?;
                reading.units = Some(CountedUnits { n_units: sums.n(), n_both: Some(n_both), same_as: None });
            }
            found.push(reading);
        }
        found.sort_by_key(|reading| reading.variant == Variant::Treatment);
        Ok(found)
    }
}
