//! What was measured: effect, confidence sequence, p-value, units, health, constraints.

use serde_json::Value;

use super::super::format::{count, instant, number as show, p_value, percent, signed, words};
use super::super::sections::{Section, Table};
use super::{interval, is, list, number, text, yes};

pub(super) fn section(facts: &Value) -> Section {
    let mut section = Section::new("Result so far");
    let Some(result) = facts.pointer("/result").filter(|result| result.is_object()) else { return section };
    section.intro = Some(
        "Treatment minus control. The result is always valid: looking often does not make an error more likely. The runtime \
         computed all figures from the readings."
            .to_owned(),
    );
    let health = list(result, "/health").iter().map(|finding| {
        let weight = if text(finding, "/severity") == Some("block") { "Blocks a decision" } else { "Warning" };
        format!("{weight}: {}", text(finding, "/message").unwrap_or("unhealthy data"))
    });
    section.warnings.extend(health);
    let reason = text(result, "/verdict/reason").map(|reason| format!(": {reason}")).unwrap_or_default();
    section.text("Recommendation", text(result, "/verdict/decision").map(|verdict| words(verdict) + &reason));
    section.text("Effect", number(result, "/effect").map(signed));
    let ci = interval(result, "/ci_running", signed).or_else(|| interval(result, "/ci", signed));
    section.text("Confidence sequence", ci);
    section.text("Relative lift", number(result, "/lift").map(percent_signed));
    section.text("Its interval", interval(result, "/lift_ci", percent_signed));
    section.text("p-value (running)", number(result, "/p_running").map(p_value));
    section.text("Evidence (e-value)", number(result, "/e_value").map(show));
    section.text("Alpha of this test", number(result, "/alpha").map(percent));
    section.text("Evidence grade", text(result, "/grade").map(ToOwned::to_owned));
    section.text("Significant", yes(is(result, "/is_significant")));
    section.text("Needed for a decision", text(result, "/verdict/next").map(ToOwned::to_owned));
    let units = |pointer: &str| result.pointer(pointer).and_then(Value::as_u64).map(count);
    let arms = [("Control", "/n_control", "/control_level"), ("Treatment", "/n_treatment", "/treatment_level")];
    section.table = Some(Table {
        heads: vec!["Arm", "Units", "Level"],
        lines: arms
            .iter()
            .map(|(arm, n, level)| {
                let level = number(result, level).map_or_else(|| "unknown".to_owned(), show);
                vec![(*arm).to_owned(), units(n).unwrap_or_else(|| "0".to_owned()), level]
            })
            .collect(),
    });
    section.text("Minimum sample reached", yes(is(result, "/is_min_sample_reached")));
    section.text("Traffic split as declared", text(result, "/srm/level").map(split));
    section.text("Rollout step", number(facts, "/rollout_step").map(|step| show(step + 1.0)));
    section.text("Read at", text(result, "/polled_at").and_then(|at| at.parse().ok()).map(instant));
    section
}

fn percent_signed(share: f64) -> String {
    let sign = if share > 0.0 { "+" } else { "" };
    format!("{sign}{}", percent(share))
}

fn split(level: &str) -> String {
    match level {
        "clean" => "yes".to_owned(),
        "warn" => "doubtful: units may not arrive in the declared shares".to_owned(),
        _ => "no: units do not arrive in the declared shares, so nothing can be concluded".to_owned(),
    }
}

pub(super) fn guardrails(facts: &Value) -> Section {
    let mut section = Section::new("Measured constraints");
    let found = list(facts, "/result/guardrails");
    if !found.is_empty() {
        section.table = Some(Table {
            heads: vec!["Constraint", "Value", "Bound", "State"],
            lines: found.iter().map(line).collect(),
        });
    }
    section
}

fn line(guard: &Value) -> Vec<String> {
    let figure = |pointer: &str| number(guard, pointer).map_or_else(|| "unknown".to_owned(), show);
    let state = if is(guard, "/breached") == Some(true) {
        "crossed"
    } else if is(guard, "/is_alerting") == Some(true) {
        "beyond its limit for several polls"
    } else if is(guard, "/non_inferior") == Some(true) {
        "proven to be met"
    } else if is(guard, "/must_prove") == Some(true) {
        "not crossed, not proven yet"
    } else if number(guard, "/value").is_none() {
        "no reading"
    } else {
        "not crossed"
    };
    vec![text(guard, "/name").unwrap_or_default().to_owned(), figure("/value"), figure("/bound"), state.to_owned()]
}
