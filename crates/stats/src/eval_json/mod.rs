//! The statistics as JSON lines, for people and programs that want to check them (STATS.md section 3).
//!
//! `{"id": .., "fn": .., "input": {..}}` in, `{"id": .., <fields>}` out; an unknown function or a missing field gives
//! `{"id": .., "error": ..}`. Unbounded is `null`; the one literal infinity is `"-inf"` of `adjust_running_max`.

mod advice;
mod comparison;
mod io;
mod lift;
mod one_arm;
mod planning;
mod ship;

use serde_json::{Map, Value, json};

use crate::{Status, adjust_running_max, benjamini_hochberg, bonferroni, holm};

use advice::{adjusted, e_bh, guardrail, recommendation, srm};
use comparison::{ab, core, counts, cuped_adjustment, phases, quantile, running};
use io::{Answer, Input, Refusal, explain, missing, number};
use lift::{fieller, lift_delta};
use one_arm::{before_after, level, rate};
use planning::{constant, narrowest, size};

/// Answers one line. Never fails: what is wrong with the line becomes the answer's `error`.
///
/// Source: STATS.md section 3.
#[must_use]
pub fn eval_line(line: &str) -> String {
    let (id, result) = match serde_json::from_str::<Value>(line) {
        Ok(request) => {
            let id = request.get("id").cloned().unwrap_or(Value::Null);
            (id, answer(&request))
        }
        Err(error) => (Value::Null, Err(Refusal::Error(format!("not a JSON line: {error}")))),
    };
    let mut fields = Map::new();
    fields.insert("id".to_owned(), id);
    match result {
        Ok(Value::Object(output)) => fields.extend(output),
        Ok(other) => {
            fields.insert("result".to_owned(), other);
        }
        Err(Refusal::Error(message)) => {
            fields.insert("error".to_owned(), Value::String(message));
        }
        Err(Refusal::Status(status)) => {
            if let Value::Object(output) = without_numbers(status) {
                fields.extend(output);
            }
        }
    }
    Value::Object(fields).to_string()
}

fn answer(request: &Value) -> Answer {
    let name = request.get("fn").and_then(Value::as_str);
    let name = name.ok_or_else(|| Refusal::Error("missing `fn`".to_owned()))?;
    let input = match request.get("input") {
        None | Some(Value::Null) => Input(&Value::Null),
        Some(input) if input.is_object() => Input(input),
        Some(_) => return Err(missing("input", "an object")),
    };
    match name {
        "ab" => ab(input),
        "adjust_running_max" => Ok(json!({ "log_e": number(adjust_running_max(input.number("log_e_max")?)) })),
        "bh" => adjusted(input, benjamini_hochberg),
        "bonferroni" => adjusted(input, bonferroni),
        "core" => core(input),
        "count_test" => counts(input),
        "cuped" => cuped_adjustment(input),
        "cut_normal" => ship::cut_normal(input),
        "decide" => recommendation(input),
        "e_bh" => e_bh(input),
        "fieller" => fieller(input),
        "guardrail" => guardrail(input),
        "known_end" => ship::known_end(input),
        "known_end_constant" => ship::constant(input),
        "holm" => adjusted(input, holm),
        "level_vs_target" => level(input),
        "lift_delta" => lift_delta(input),
        "phases" => phases(input),
        "plan_constant" => constant(input),
        "pre_post" => before_after(input),
        "quantile" => quantile(input),
        "r_star" => narrowest(input),
        "rate_cs" => rate(input),
        "running" => running(input),
        "sample_size" => size(input),
        "srm" => srm(input),
        unknown => Err(Refusal::Error(format!("unknown function `{unknown}`"))),
    }
}

fn without_numbers(status: Status) -> Value {
    let mut fields = json!({ "status": status.code(), "p": 1.0, "log_p": 0.0, "ci": null, "lift_ci": null });
    explain(&mut fields, status);
    fields
}
