//! Whether what the runtime shows of a metric is what the people of the experiment did.

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::measured::{Case, Measured};
use super::people::{People, Tally};

/// Share by which an effect may differ: sums are rounded to 15 figures in places.
const ROUNDING: f64 = 1e-9;

/// What came of a comparison.
pub(super) enum Compared {
    /// There is nothing to compare yet: no unit counts for a claim.
    Nothing,
    /// They are the same.
    Same,
    /// They are not, in a sentence.
    Different(String),
}

/// An experiment as the command line shows it, beside its people at `now`.
pub(super) fn compare(shown: &Value, people: &People, case: Case, now: i64) -> Result<Compared> {
    let [control, treatment] = people.tally(now);
    let result = &shown["current_result"];
    if result.is_null() && control.n + treatment.n == 0 {
        return Ok(Compared::Nothing);
    }
    let count = |field: &str| result[field].as_u64().with_context(|| format!("no `{field}`: {result}"));
    let (n_control, n_treatment) = (count("n_control")?, count("n_treatment")?);
    if (n_control, n_treatment) != (control.n, treatment.n) {
        return Ok(Compared::Different(format!(
            "{n_control} and {n_treatment} units are said to count for a claim, and there are {} and {}",
            control.n, treatment.n
        )));
    }
    if control.n == 0 || treatment.n == 0 {
        return Ok(Compared::Nothing);
    }
    // The covariate and several phases make another number of it, which is checked elsewhere.
    let is_plain = matches!(case.measured, Measured::Conversion | Measured::Ratio) && people.phases().len() == 1;
    let Some(effect) = result["effect"].as_f64().filter(|_| is_plain) else { return Ok(Compared::Same) };
    let level = |arm: Tally| arm.sum / arm.den;
    let real = level(treatment) - level(control);
    let is_other = (effect - real).abs() > ROUNDING * (1.0 + real.abs());
    Ok(if is_other {
        Compared::Different(format!("the effect is said to be {effect}, and is {real}"))
    } else {
        Compared::Same
    })
}
