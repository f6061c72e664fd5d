//! Any text as a line of the JSON interface: one line comes back, with the id, and with a number wherever one belongs.

#![no_main]

#[path = "../../tests/it/answer.rs"]
mod stats_answer;

use libfuzzer_sys::fuzz_target;
use outcome_stats::eval_line;
use serde_json::Value;

/// A plan of many looks takes its time; that is no finding.
fn is_slow(line: &str) -> bool {
    let request: Value = serde_json::from_str(line).unwrap_or_default();
    let is_plan = matches!(request["fn"].as_str(), Some("plan_constant" | "sample_size"));
    is_plan && !request["input"]["K"].as_f64().is_some_and(|looks| looks <= 3.0)
}

fuzz_target!(|line: &str| {
    if !is_slow(line)
        && let Some(fault) = stats_answer::broken_promise(line, &eval_line(line))
    {
        panic!("{fault}");
    }
});
