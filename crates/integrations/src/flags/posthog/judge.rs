//! What a flag's set-up means for units. The runtime writes one: a boolean flag with one release condition for everybody.
//!
//! **Invariant**: nothing here asks anybody.

use serde_json::{Map, Value, json};

use super::wire::Flag;

/// The share of units that the flag gives `true` while it is active, or how it is set up otherwise.
///
/// A holdout is no difference: who is held out gets its name and not `true`, whatever the share.
pub(super) fn share(flag: &Flag) -> Result<u8, String> {
    let filters = &flag.filters;
    let set = |name: &str| filters.get(name).filter(|value| !value.is_null());
    if let Some(version) = set("version").filter(|version| version.as_f64() != Some(1.0)) {
        return Err(format!("its `filters` are of version {version}, which have rules"));
    }
    if flag.is_remote_configuration == Some(true) {
        return Err("it is a remote configuration, which is not rolled out by a share".to_owned());
    }
    if let Some(variants) =
        set("multivariate").and_then(|value| value.get("variants")?.as_array()).filter(|all| !all.is_empty())
    {
        return Err(format!("it has variants: {}", names(variants, "key")));
    }
    if set("feature_enrollment") == Some(&json!(true)) {
        return Err("it belongs to an early access feature (`feature_enrollment`), and who enrolled gets it".to_owned());
    }
    if set("super_groups").is_some_and(|groups| groups != &json!([])) {
        return Err(
            "it belongs to an early access feature (`super_groups`), which goes before its percentage".to_owned()
        );
    }
    if let Some(index) = set("aggregation_group_type_index") {
        return Err(format!("it is rolled out to groups (type {index}), not to persons"));
    }
    match set("groups").and_then(Value::as_array).map(Vec::as_slice) {
        None | Some([]) => Err("it has no release condition: add one for everybody at 0 %".to_owned()),
        Some([one]) => share_of(one),
        Some(all) => Err(format!("it has {} release conditions, and each of them turns it on", all.len())),
    }
}

fn share_of(condition: &Value) -> Result<u8, String> {
    let set = |name: &str| condition.get(name).filter(|value| !value.is_null());
    if let Some(properties) = set("properties").and_then(Value::as_array).filter(|all| !all.is_empty()) {
        let depends = properties.iter().any(|property| property["type"] == "flag");
        let what = if depends { "on other flags" } else { "on properties" };
        return Err(format!("its release condition depends {what}: {}", names(properties, "key")));
    }
    if let Some(index) = set("aggregation_group_type_index") {
        return Err(format!("its release condition is for groups (type {index}), not for persons"));
    }
    if let Some(variant) = set("variant").and_then(Value::as_str).filter(|variant| !variant.is_empty()) {
        return Err(format!("its release condition gives the variant `{variant}`"));
    }
    // Without a percentage a condition is for everybody.
    let Some(share) = set("rollout_percentage") else { return Ok(100) };
    let whole = (0..=100_u8).find(|whole| share.as_f64() == Some(f64::from(*whole)));
    whole.ok_or_else(|| format!("its percentage is {share}, and not a whole one from 0 to 100"))
}

fn names(all: &[Value], key: &str) -> String {
    let name = |value: &Value| match value.get(key) {
        Some(Value::String(name)) => format!("`{name}`"),
        Some(other) => format!("`{other}`"),
        None => "one without a name".to_owned(),
    };
    all.iter().take(5).map(name).collect::<Vec<_>>().join(", ")
}

/// The same filters with this percentage in each release condition.
pub(super) fn with_share(filters: &Map<String, Value>, treatment_pct: u8) -> Map<String, Value> {
    let mut filters = filters.clone();
    for condition in filters.get_mut("groups").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(condition) = condition.as_object_mut() {
            condition.insert("rollout_percentage".to_owned(), json!(treatment_pct));
        }
    }
    filters
}
