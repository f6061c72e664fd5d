//! Guards as a person writes them: `error_rate < 1%`, `latency_p95 <= 800`, `refunded_7d not worse by 0.5%`.

use crate::characters::quotable;
use crate::config::Config;
use crate::domain::{ConstraintBound, Direction, GuardrailPlan, OutcomeSpec, Period, SignalSpec, ViolationPolicy};
use crate::error::{Code, Error, Result};
use crate::usecases::kernel::attached_guards::possible_guards;

/// How often a guard is looked at.
const HOURLY: i64 = 1;
/// Readings in a row for which a value without units must be out of bounds.
const CONSECUTIVE: u32 = 3;
const EXAMPLES: &str = "write it as in `error_rate < 1%`, `paid_7d > 0.02` or `refunded_7d not worse by 0.5%`, each in quotes for the shell";

/// The guard that a text states. Its signal is one of `metrics`, or one that the outcome has already.
///
/// # Errors
/// [`Code::InvalidInput`] with what is valid.
pub(super) fn guard(text: &str, config: &Config, outcome: &OutcomeSpec) -> Result<GuardrailPlan> {
    let wrong = |problem: &str| {
        let shown = quotable(text, 80);
        Error::new(Code::InvalidInput, format!("`{shown}` is no guard: {problem}")).hint(EXAMPLES)
    };
    if let Some((name, margin)) = text.split_once(" not worse by ") {
        let signal = signal(name, config, outcome)?;
        let direction = better(&signal).ok_or_else(|| {
            wrong("only a metric of `metrics` says which way is better; state a limit with `<` or `>`")
        })?;
        if margin.contains('%') && !signal.is_share() {
            return Err(wrong("a margin in % is one of points of a share; state it in the units of the metric"));
        }
        let margin = number(margin).filter(|margin| *margin >= 0.0).ok_or_else(|| wrong("its margin is no number"))?;
        return Ok(plan(signal, ConstraintBound::NotWorse { direction, margin, must_prove: false }));
    }
    let at = text.find(['<', '>']).ok_or_else(|| wrong("it has neither `<`, `>` nor `not worse by`"))?;
    let (name, rest) = text.split_at(at);
    let is_max = rest.starts_with('<');
    let limit = number(rest.trim_start_matches(['<', '>']).trim_start_matches('='))
        .ok_or_else(|| wrong("its limit is no number"))?;
    let bound = match is_max {
        true => ConstraintBound::Limits { min: None, max: Some(limit) },
        false => ConstraintBound::Limits { min: Some(limit), max: None },
    };
    let signal = signal(name, config, outcome)?;
    if signal.is_share() && !(limit > 0.0 && limit < 1.0) {
        return Err(wrong("a share lies between 0 and 1, so no limit beyond that is ever met; one percent is `1%`"));
    }
    Ok(plan(signal, bound))
}

/// A metric that must not get worse at all.
///
/// # Errors
/// [`Code::InvalidInput`] with what is valid.
pub(super) fn metric(name: &str, config: &Config, outcome: &OutcomeSpec) -> Result<GuardrailPlan> {
    let signal = signal(name, config, outcome)?;
    let direction = better(&signal).ok_or_else(|| {
        Error::new(Code::InvalidInput, format!("nothing says which way is better for `{}`", signal.name))
            .hint("`--metric` takes one of `metrics`; for another signal state a limit with `--guard`")
    })?;
    Ok(plan(signal, ConstraintBound::NotWorse { direction, margin: 0.0, must_prove: false }))
}

fn plan(signal: SignalSpec, bound: ConstraintBound) -> GuardrailPlan {
    let poll_interval = Period::from_hours(HOURLY).min(signal.poll_interval);
    GuardrailPlan {
        signal: SignalSpec { poll_interval, ..signal },
        bound,
        consecutive: CONSECUTIVE,
        on_violation: ViolationPolicy::Pause,
        // Whoever states a limit by hand means it, also where only the value of everybody is known.
        also_pause_on_level: Some(true),
    }
}

fn better(signal: &SignalSpec) -> Option<Direction> {
    signal.contract.as_ref().map(|contract| contract.better)
}

/// A signal by its name.
fn signal(name: &str, config: &Config, outcome: &OutcomeSpec) -> Result<SignalSpec> {
    let name = name.trim();
    let shown = quotable(name, 60);
    if name == outcome.signal.name {
        return Err(Error::new(
            Code::InvalidInput,
            format!("`{shown}` is the outcome's own signal, and is guarded already"),
        )
        .hint("leave it out: harm to it turns the flag off"));
    }
    if outcome.guardrails().any(|(signal, ..)| signal.name == name) {
        return Err(Error::new(
            Code::InvalidInput,
            format!("`{shown}` is a constraint of the outcome, and is guarded already"),
        )
        .hint("leave it out; to change its limit, change the outcome file and apply it"));
    }
    let known = || possible_guards(config, outcome);
    known().find(|signal| signal.name == name).cloned().ok_or_else(|| {
        let names: Vec<&str> = known().map(|signal| signal.name.as_str()).take(30).collect();
        let hint = match names.as_slice() {
            [] => "declare it in `metrics` or as one of `secondary_signals`, and apply the file".to_owned(),
            names => format!("what is applied has {}", names.join(", ")),
        };
        Error::new(Code::InvalidInput, format!("there is no signal `{shown}` to guard with")).hint(hint)
    })
}

/// `0.01`, `1%`, `800`.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let parse = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    match text.strip_suffix('%') {
        Some(percent) => parse(percent).map(|percent| percent / 100.0),
        None => parse(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_can_be_a_percentage() {
        for (text, expected) in [("1%", Some(0.01)), (" 0.5 % ", Some(0.005)), ("800", Some(800.0)), ("-2", Some(-2.0))]
        {
            assert_eq!(number(text), expected, "{text}");
        }
        for text in ["", "%", "1%%", "NaN", "inf", "800ms", "1,5"] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
