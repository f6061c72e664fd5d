//! What the figures of facts and results are: levels, differences, shares. Their names are those of the JSON that is signed.

use outcome_core::domain::{ConstraintBound, Facts, Nullable};
use outcome_core::present::{Scale, p_value, percent, signed_percent};

use crate::output::on_terminal;

/// A figure of a hypothesis, a plan or a result; `None` for one that is shown as it is.
pub fn figure(scale: &Scale, path: &[&str], x: f64) -> Option<String> {
    let (parent, name) = match *path {
        [.., parent, name] => (parent, name),
        [name] => ("", name),
        [] => return None,
    };
    let is_level = path.contains(&"level");
    Some(match (parent, name) {
        (_, "from" | "to" | "control_level" | "treatment_level" | "mean") | ("measured_baseline", "value") => {
            scale.level(x)
        }
        ("ci", "lower" | "upper") if is_level => scale.level(x),
        ("ci" | "ci_running", "lower" | "upper")
        | (
            _,
            "effect"
            | "effect_shrunken"
            | "difference"
            | "expected_improvement"
            | "success_threshold"
            | "kill_threshold"
            | "futility_upper",
        ) => scale.change(x),
        (_, "minimum_detectable_effect" | "standard_error" | "se" | "tau") => scale.size(x),
        ("lift_ci", "lower" | "upper") | (_, "lift") => signed_percent(x),
        ("hypothesis", "confidence")
        | (
            _,
            "alpha"
            | "false_alarm_rate"
            | "ship"
            | "kill_harm"
            | "kill_futility"
            | "false_guardrail_stop"
            | "inconclusive",
        ) => percent(x),
        (_, "p_running") | ("srm", "p") => p_value(x),
        _ => return None,
    })
}

/// A figure of a constraint or of its result.
pub fn bound_figure(scale: &Scale, bound: &ConstraintBound, name: &str, x: f64) -> Option<String> {
    let is_figure = ["value", "bound", "lower", "upper", "margin", "min", "max"].contains(&name);
    is_figure.then(|| match bound {
        ConstraintBound::NotWorse { .. } => scale.size(x),
        ConstraintBound::Limits { .. } => scale.level(x),
    })
}

/// A figure of a gate's facts. Facts of earlier versions do not say what their values are: those stay plain numbers.
pub fn of_facts(facts: &Facts, path: &[&str], x: f64) -> Option<String> {
    let constraint = match *path {
        ["plan", "guardrails", at, ..] => {
            let at: usize = at.parse().ok()?;
            facts.plan.as_ref().and_then(|plan| plan.guardrails.get(at))
        }
        ["result", "guardrails", at, ..] => {
            let at: usize = at.parse().ok()?;
            let result = Nullable::of(facts.result.as_ref())?.shown().ok()?;
            result.guardrails.get(at).and_then(|result| facts.constraint_of(&result.name))
        }
        _ => return figure(&facts.outcome.scale.as_ref().map(on_terminal).unwrap_or_default(), path, x),
    }?;
    let scale = constraint.scale.as_ref().map(on_terminal)?;
    bound_figure(&scale, &constraint.bound, path.last()?, x)
}
