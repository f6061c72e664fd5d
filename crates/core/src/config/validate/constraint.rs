//! Constraints: measured limits, and rules for people.

use super::report::{At, Context, Problem, Reporter, at_least_one};
use super::signal::{Parts, Role, signal};
use crate::config::file::{ConstraintFile, TargetFile};
use crate::domain::{Constraint, ConstraintBound, Direction, SignalSpec};

/// The checked constraint.
pub(super) fn constraint(file: &ConstraintFile, context: &Context, reporter: &mut Reporter<'_>) -> Option<Constraint> {
    if let Some(rule) = &file.rule {
        refuse_keys_beside_rule(file, rule, reporter);
        return Some(Constraint::Rule { text: rule.value.clone() });
    }
    check_keys(file, context, reporter);
    let bound = bound(file, reporter);
    let role = if file.not_worse.is_some() { Role::NotWorse } else { Role::Limit };
    let signal = signal(&Parts::of_constraint(file, role), context, reporter);
    let help = "leave it out: the default is 3 polls";
    let consecutive = at_least_one(file.consecutive.as_ref(), "`consecutive`", help, reporter);
    Some(Constraint::Signal {
        signal: signal?,
        bound: bound?,
        consecutive: consecutive?,
        on_violation: file.on_violation.as_ref()?.value,
        also_pause_on_level: file.also_pause_on_level.as_ref()?.value,
    })
}

fn refuse_keys_beside_rule(file: &ConstraintFile, rule: &At<String>, reporter: &mut Reporter<'_>) {
    let beside = [&file.signal, &file.source, &file.metric].into_iter().flatten().map(|at| at.span);
    let limits = [&file.min, &file.max].into_iter().flatten().map(|at| at.span);
    let not_worse = file.not_worse.iter().map(|at| at.span);
    if let Some(other) = beside.chain(limits).chain(not_worse).next() {
        reporter.push(
            Problem::error(
                "config.rule_with_signal",
                rule.span,
                "a rule has no other keys: people read it, and it is not measured",
            )
            .here("the rule")
            .also(other, "a key of a measured constraint")
            .valid("either `rule`, or `signal` with a limit")
            .help("split it into two constraints, each with its own hyphen"),
        );
    }
}

fn check_keys(file: &ConstraintFile, context: &Context, reporter: &mut Reporter<'_>) {
    let metric = file.metric.as_ref().or(file.signal.as_ref());
    if metric.is_some_and(|metric| context.metrics.contains_key(&metric.value)) {
        return;
    }
    let missing = match (&file.signal, &file.source) {
        (None, None) => "neither a `rule` nor a `signal` with its `source`",
        (None, Some(_)) => "no `signal`, which names the guarded metric",
        (Some(_), None) => "no `source`, which says where the signal is read",
        (Some(_), Some(_)) => return,
    };
    reporter.push(
        Problem::error("config.missing_key", file.at, format!("this constraint has {missing}"))
            .valid("`rule`, or `signal` and `source` with `min`, `max` or `not_worse`")
            .help("write it as in\n- signal: payment_success_rate\n  source: shop\n  min: 0.97"),
    );
}

fn bound(file: &ConstraintFile, reporter: &mut Reporter<'_>) -> Option<ConstraintBound> {
    if let Some(not_worse) = &file.not_worse {
        if let Some(limit) = file.min.as_ref().or(file.max.as_ref()) {
            reporter.push(
                Problem::error("config.two_bounds", limit.span, "a constraint has either fixed limits or `not_worse`")
                    .also(not_worse.span, "`not_worse`")
                    .valid("`min` and `max`, or `not_worse`")
                    .help("split it into two constraints, with two names in `signal`"),
            );
        }
        if let Some(margin) = not_worse.margin.as_ref().filter(|margin| margin.value < 0.0) {
            reporter.push(
                Problem::error("config.out_of_range", margin.span, "the tolerated harm must not be negative")
                    .valid("0 or more, in the signal's units")
                    .help("write its size: `direction` already says which way is better"),
            );
        }
        return Some(ConstraintBound::NotWorse {
            direction: not_worse.direction.as_ref()?.value,
            margin: not_worse.margin.as_ref()?.value,
            must_prove: not_worse.must_prove.as_ref()?.value,
        });
    }
    match (&file.min, &file.max) {
        (None, None) => {
            if file.signal.is_some() || file.source.is_some() {
                reporter.push(
                    Problem::error("config.constraint_without_bound", file.at, "this constraint has no limit")
                        .valid("`min`, `max`, both, or `not_worse`")
                        .help("state the limit, as in `min: 0.97`"),
                );
            }
            return None;
        }
        (Some(min), Some(max)) if min.value > max.value => {
            let message = format!("`min` ({}) is above `max` ({}): no value can meet this", min.value, max.value);
            let problem = Problem::error("config.min_above_max", min.span, message).also(max.span, "`max`");
            reporter.push(problem.valid("`min` at or below `max`").help("swap the two"));
            return None;
        }
        (Some(_), _) | (None, Some(_)) => {}
    }
    Some(ConstraintBound::Limits {
        min: file.min.as_ref().map(|at| at.value),
        max: file.max.as_ref().map(|at| at.value),
    })
}

/// Reports limits on the primary metric that forbid the target, or that the baseline breaks already.
pub(super) fn against_target(
    constraint: &ConstraintFile,
    primary: Option<&SignalSpec>,
    target: Option<&TargetFile>,
    reporter: &mut Reporter<'_>,
) {
    let (Some(primary), Some(target)) = (primary, target) else { return };
    let metric = constraint.metric.as_ref().or(constraint.signal.as_ref());
    let is_same = metric.is_some_and(|metric| metric.value == primary.metric)
        && constraint.source.as_ref().is_some_and(|source| source.value == primary.source);
    let (Some(direction), Some(from), Some(to)) = (&target.direction, &target.from, &target.to) else { return };
    if !is_same {
        return;
    }
    let ahead = match direction.value {
        Direction::Increase => {
            constraint.max.as_ref().filter(|max| max.value < to.value).map(|max| (max, "max", "above"))
        }
        Direction::Decrease => {
            constraint.min.as_ref().filter(|min| min.value > to.value).map(|min| (min, "min", "below"))
        }
    };
    if let Some((limit, name, side)) = ahead {
        let message = format!("this limit on the primary metric excludes the target: {} is {side} `{name}`", to.value);
        reporter.push(
            Problem::error("config.constraint_forbids_target", limit.span, message)
                .also(to.span, "the target")
                .valid(format!("a `{name}` at or beyond {}", to.value))
                .help("remove the constraint, or guard another metric with it"),
        );
        return;
    }
    let crossed = match (&constraint.min, &constraint.max) {
        (Some(min), _) if from.value < min.value => Some((min, "below `min`")),
        (_, Some(max)) if from.value > max.value => Some((max, "above `max`")),
        _ => None,
    };
    if let Some((limit, side)) = crossed {
        let message = format!("the baseline is already {side}: every experiment would be paused at once");
        reporter.push(
            Problem::warning("config.constraint_crossed_at_start", limit.span, message)
                .also(from.span, "the baseline")
                .valid("a limit that the baseline meets")
                .help("move the limit to the other side of the baseline"),
        );
    }
}
