//! From where to where.

use super::report::{Problem, Reporter};
use crate::config::file::TargetFile;
use crate::domain::{Direction, Period, Target};

pub(super) fn target(file: &TargetFile, horizon: Option<Period>, reporter: &mut Reporter<'_>) -> Option<Target> {
    check_direction(file, reporter);
    check_confidence(file, reporter);
    if let Some(tolerance) = file.baseline_tolerance.as_ref().filter(|tolerance| tolerance.value < 0.0) {
        let problem =
            Problem::error("config.out_of_range", tolerance.span, "`baseline_tolerance` must not be negative");
        reporter.push(problem.valid("0 or more; 0.2 is 20 % of `from`").help("write `baseline_tolerance: 0.2`"));
    }
    if let (Some(dwell), Some(horizon)) = (&file.dwell, horizon)
        && dwell.value >= horizon
    {
        let message = format!(
            "the value must stay at the target for {}, which is longer than the horizon of {horizon}",
            dwell.value
        );
        let problem = Problem::warning("config.dwell_too_long", dwell.span, message);
        reporter.push(problem.valid("shorter than `horizon`").help("write a shorter `dwell` or a longer `horizon`"));
    }
    Some(Target {
        direction: file.direction.as_ref()?.value,
        from: file.from.as_ref()?.value,
        to: file.to.as_ref()?.value,
        confidence: file.confidence.as_ref()?.value,
        baseline_tolerance: file.baseline_tolerance.as_ref()?.value,
        dwell: file.dwell.as_ref()?.value,
    })
}

#[expect(clippy::float_cmp, reason = "the two were written by hand; equal means written the same")]
fn check_direction(file: &TargetFile, reporter: &mut Reporter<'_>) {
    let (Some(direction), Some(from), Some(to)) = (&file.direction, &file.from, &file.to) else { return };
    let improvement = (to.value - from.value) * direction.value.sign();
    if improvement > 0.0 {
        return;
    }
    let (wants, other) = match direction.value {
        Direction::Increase => ("above", "decrease"),
        Direction::Decrease => ("below", "increase"),
    };
    let message = if from.value == to.value {
        format!("the signal is already at the target: `from` and `to` are both {}", from.value)
    } else {
        format!("the target says `{}`, but `to` ({}) is not {wants} `from` ({})", direction.value, to.value, from.value)
    };
    let help = if from.value == to.value {
        format!("write the target value as `to`; it must be {wants} {}", from.value)
    } else {
        format!("write `direction: {other}`, or swap `from` and `to`")
    };
    reporter.push(
        Problem::error("config.target_direction", to.span, message)
            .here(format!("must be {wants} `from`"))
            .also(from.span, "`from`")
            .also(direction.span, "the direction")
            .valid(format!("with `{}`: `to` {wants} `from`", direction.value))
            .help(help),
    );
}

fn check_confidence(file: &TargetFile, reporter: &mut Reporter<'_>) {
    let Some(confidence) = &file.confidence else { return };
    let value = confidence.value;
    if value > 0.5 && value < 1.0 {
        return;
    }
    let help = if value > 1.0 && value < 100.0 {
        format!("write the share, not the percentage: `confidence: {}`", value / 100.0)
    } else if value >= 1.0 {
        "no result is certain: write 0.95 or 0.99".to_owned()
    } else {
        "0.95 means that one result in twenty can be wrong".to_owned()
    };
    let message = format!("a confidence of {value} is out of range");
    let problem = Problem::error("config.out_of_range", confidence.span, message);
    reporter.push(problem.valid("above 0.5 and below 1; 0.95 is usual").help(help));
}
