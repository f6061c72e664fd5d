//! How it will be judged: plan, thresholds, constraints, and the outcome it serves.

use serde_json::Value;

use super::super::format::{count, instant, number as show, percent, signed, words};
use super::super::sections::{Section, Table};
use super::{is, list, number, text};

pub(super) fn section(facts: &Value) -> Section {
    let mut section = Section::new("Plan and thresholds");
    let Some(plan) = facts.pointer("/plan").filter(|plan| plan.is_object()) else { return section };
    section.intro = Some(
        "Thresholds are absolute, in the signal's units; positive means better. The plan is frozen at launch."
            .to_owned(),
    );
    section.text("Design", text(plan, "/design").map(words));
    section.text("Confidence", number(plan, "/alpha").map(|alpha| percent(1.0 - alpha)));
    section.text("Randomisation unit", text(plan, "/randomisation_unit").map(words));
    let days = number(plan, "/measurement/duration_days");
    section.text("Duration", days.map(|days| format!("{} days", show(days))));
    let units = plan.pointer("/measurement/min_sample_size").and_then(Value::as_u64);
    section.text("Minimum sample", units.map(|units| format!("{} units in all arms", count(units))));
    section.text("Success threshold", number(plan, "/measurement/success_threshold").map(signed));
    section.text("Kill threshold", number(plan, "/measurement/kill_threshold").map(signed));
    section.text("Minimum detectable effect", number(plan, "/measurement/minimum_detectable_effect").map(show));
    let mut steps: Vec<String> =
        number(plan, "/rollout/initial_pct").into_iter().map(|pct| format!("{pct} %")).collect();
    steps.extend(list(plan, "/rollout/steps").iter().filter_map(Value::as_f64).map(|pct| format!("{pct} %")));
    section.text("Rollout", (!steps.is_empty()).then(|| steps.join(" → ")));
    section.code("Plan hash", text(plan, "/hash"));
    section
}

pub(super) fn guardrails(facts: &Value) -> Section {
    let mut section = Section::new("Constraints");
    let found = list(facts, "/plan/guardrails");
    if !found.is_empty() {
        section.table = Some(Table {
            heads: vec!["Signal", "Limit", "If crossed"],
            lines: found
                .iter()
                .map(|guard| {
                    let signal = text(guard, "/signal").unwrap_or_default().to_owned();
                    vec![signal, bound(guard), text(guard, "/on_violation").map(words).unwrap_or_default()]
                })
                .collect(),
        });
    }
    section
}

fn bound(guard: &Value) -> String {
    if let Some(margin) = number(guard, "/bound/not_worse/margin") {
        let proof = if is(guard, "/bound/not_worse/must_prove") == Some(true) {
            ", must be proven before shipping"
        } else {
            ""
        };
        return format!("at most {} worse than the control{proof}", show(margin));
    }
    match (number(guard, "/bound/limits/min"), number(guard, "/bound/limits/max")) {
        (Some(min), Some(max)) => format!("{} to {}", show(min), show(max)),
        (Some(min), None) => format!("at least {}", show(min)),
        (None, Some(max)) => format!("at most {}", show(max)),
        (None, None) => "see the JSON".to_owned(),
    }
}

pub(super) fn outcome(facts: &Value) -> Section {
    let mut section = Section::new("Outcome");
    let Some(outcome) = facts.pointer("/outcome") else { return section };
    section.quote("Title", text(outcome, "/title_says"));
    section.code("Signal", text(outcome, "/signal"));
    section.text(
        "Better is",
        text(outcome, "/direction").map(|d| if d == "decrease" { "less" } else { "more" }.to_owned()),
    );
    let target = number(outcome, "/from").zip(number(outcome, "/to"));
    section.text("Target", target.map(|(from, to)| format!("from {} to {}", show(from), show(to))));
    section.text("Measured baseline", number(outcome, "/measured_baseline/value").map(show));
    let deadline = text(outcome, "/deadline").and_then(|at| at.parse().ok());
    section.text("Deadline", deadline.map(instant));
    section
}
