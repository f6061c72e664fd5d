//! What an answer of the JSON interface must look like, whatever the request was. The property tests and the fuzz targets
//! share it.

use serde_json::Value;

/// Fields that may be null in an answer without an error and with numbers: unbounded ends, and what does not exist.
const NULLABLE: &[(&str, &[&str])] = &[
    ("ab", &["boundary", "ci", "lift", "lift_ci"]),
    ("core", &["boundary", "ci"]),
    ("count_test", &["rr", "rr_ci"]),
    ("cuped", &["variance_reduction"]),
    ("fieller", &["lift_ci"]),
    ("guardrail", &["harm_ci_lower", "harm_ci_upper"]),
    ("level_vs_target", &["ci"]),
    ("lift_delta", &["ci", "lift", "var"]),
    ("pre_post", &["ci"]),
    ("quantile", &["boundary", "ci"]),
    ("rate_cs", &["rate"]),
    ("running", &["ci", "ci_running", "first_rejection"]),
];

/// What is wrong with the answer to `line`; `None` when it keeps its promises.
pub fn broken_promise(line: &str, answer: &str) -> Option<String> {
    let fault = |what: &str| Some(format!("{what}\nrequest {line}\nanswer  {answer}"));
    if answer.contains('\n') {
        return fault("more than one line");
    }
    let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(answer) else {
        return fault("not a JSON object");
    };
    let request: Value = serde_json::from_str(line).unwrap_or(Value::Null);
    if fields.get("id") != Some(request.get("id").unwrap_or(&Value::Null)) {
        return fault("another id");
    }
    if let Some(error) = fields.get("error") {
        let is_alone = fields.len() == 2 && error.as_str().is_some_and(|text| !text.is_empty());
        return if is_alone { None } else { fault("an error beside numbers, or without words") };
    }
    let name = request.get("fn").and_then(Value::as_str).unwrap_or_default();
    let status = fields.get("status").and_then(Value::as_str).unwrap_or("ok");
    let nullable = NULLABLE.iter().find(|(function, _)| *function == name).map_or(&[][..], |(_, fields)| *fields);
    for (field, value) in fields.iter().filter(|(field, _)| *field != "id") {
        let may_be_null = status != "ok" || nullable.contains(&field.as_str());
        let may_be_infinite = name == "adjust_running_max";
        if let Some(text) = wrong_value(field, value, may_be_null, may_be_infinite) {
            return fault(&format!("`{field}` {text}"));
        }
    }
    if status != "ok" && name != "srm" {
        let is_silent = fields.get("p").and_then(Value::as_f64) == Some(1.0) && fields.get("ci") == Some(&Value::Null);
        if !is_silent {
            return fault("numbers without data");
        }
    }
    if status == "invalid" && name != "srm" && !fields.get("reason").is_some_and(Value::is_string) {
        return fault("invalid without a reason");
    }
    None
}

fn wrong_value(name: &str, value: &Value, may_be_null: bool, may_be_infinite: bool) -> Option<String> {
    match value {
        Value::Null if !may_be_null => Some("is null".to_owned()),
        Value::String(text) if matches!(text.as_str(), "inf" | "-inf" | "NaN") && !may_be_infinite => {
            Some(format!("is {text}"))
        }
        Value::Number(x) => {
            let x = x.as_f64().unwrap_or(f64::NAN);
            let is_right = match name {
                "p" => (0.0..=1.0).contains(&x),
                "log_p" | "log_p_running" => x.is_finite() && x <= 0.0,
                "var" | "var_raw" | "se" | "r" | "boundary" => x.is_finite() && x >= 0.0,
                _ => x.is_finite(),
            };
            (!is_right).then(|| format!("is {x}"))
        }
        Value::Array(list) if matches!(name, "ci" | "lift_ci" | "rr_ci" | "ci_running") => ends(list),
        Value::Array(list) => list.iter().find_map(|item| wrong_value(name, item, may_be_null, may_be_infinite)),
        Value::Object(fields) => fields.iter().find_map(|(inner, item)| {
            let may_be_null = may_be_null || inner.starts_with("ci");
            wrong_value(inner, item, may_be_null, may_be_infinite)
        }),
        _ => None,
    }
}

/// An interval is two ends in order, each a number or null.
fn ends(list: &[Value]) -> Option<String> {
    let [lower, upper] = list else {
        return Some("does not have two ends".to_owned());
    };
    let is_end = |end: &Value| end.is_null() || end.as_f64().is_some_and(f64::is_finite);
    if !(is_end(lower) && is_end(upper)) {
        return Some("has an end that is not a number".to_owned());
    }
    match (lower.as_f64(), upper.as_f64()) {
        (Some(lower), Some(upper)) if lower > upper => Some("is turned around".to_owned()),
        _ => None,
    }
}
