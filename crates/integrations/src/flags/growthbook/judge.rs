//! What a feature's set-up means for units of one environment, and whether a draft is what was wished. The runtime writes one set-up:
//! a boolean feature, false by default, with one `rollout` rule that is for this environment alone.
//!
//! **Invariant**: nothing here asks anybody.

use serde_json::{Map, Value, json};

use super::settings::Place;
use super::wire::{Feature, Revision};

/// What is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// On, for this share.
    Share(u8),
    /// On, as it is set up.
    On,
    /// Off.
    Off,
}

/// Our rule, and its share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ours {
    pub(super) rule: String,
    pub(super) treatment_pct: u8,
}

/// True when units of the environment get the application's own default.
pub(super) fn is_off(feature: &Feature, at: &Place) -> Result<bool, String> {
    let Some(environment) = feature.environments.get(&at.environment) else {
        return Err(format!("it has no environment `{}`", at.environment));
    };
    Ok(feature.archived || !environment.enabled)
}

/// Our rule, if the feature is set up as the runtime does it; whether the environment is on does not matter here.
pub(super) fn ours(feature: &Feature, at: &Place) -> Result<Ours, String> {
    if feature.value_type != "boolean" {
        return Err(format!("its values are of the type `{}`, not boolean", feature.value_type));
    }
    let special = feature.environments.get(&at.environment).and_then(|one| one.default_value.as_deref());
    if feature.default_value != "false" || special.is_some_and(|value| value != "false") {
        return Err(format!("its default value is `{}`, not `false`", special.unwrap_or(&feature.default_value)));
    }
    if let Some(needed) = feature.prerequisites.as_deref().and_then(<[_]>::first) {
        return Err(format!("it needs another feature: {needed}"));
    }
    if let Some(holdout) = &feature.holdout {
        return Err(format!("it is in the holdout {}", holdout.get("id").unwrap_or(holdout)));
    }
    let here: Vec<_> = feature.rules.iter().filter(|rule| applies(rule, at)).collect();
    match here.as_slice() {
        [] => Err(format!("it has no rule that is on in `{}`", at.environment)),
        [one] => ours_by(one, at),
        all => {
            let names: Vec<_> = all.iter().take(5).map(|rule| named(rule)).collect();
            Err(format!("it has {} rules in `{}`: {}", all.len(), at.environment, names.join(", ")))
        }
    }
}

fn applies(rule: &Value, at: &Place) -> bool {
    let everywhere = rule.get("allEnvironments").and_then(Value::as_bool) == Some(true);
    let listed =
        || rule.get("environments").and_then(Value::as_array).is_some_and(|all| all.contains(&json!(at.environment)));
    rule.get("enabled").and_then(Value::as_bool) != Some(false) && (everywhere || listed())
}

fn named(rule: &Value) -> String {
    let text = |key: &str| rule.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let name = text("description").or_else(|| text("id")).unwrap_or("without a name");
    format!("`{name}` ({})", text("type").unwrap_or("of no type"))
}

fn ours_by(rule: &Value, at: &Place) -> Result<Ours, String> {
    let name = named(rule);
    let set = |key: &str| rule.get(key).filter(|value| !value.is_null() && **value != json!([]));
    let text = |key: &str| set(key).and_then(Value::as_str).unwrap_or_default();
    // At 100 % GrowthBook turns a rollout into a rule that forces its value, and may leave out what is by hash.
    let is_forced = text("type") == "force";
    if !is_forced && text("type") != "rollout" {
        return Err(format!("its rule {name} is not a percentage rollout"));
    }
    if text("value") != "true" {
        return Err(format!("its rule {name} gives `{}`, not `true`", text("value")));
    }
    if !matches!(text("condition").trim(), "" | "{}") {
        return Err(format!("its rule {name} has a condition"));
    }
    if let Some(key) = ["savedGroupTargeting", "savedGroups", "prerequisites", "scheduleRules"]
        .into_iter()
        .find(|key| set(key).is_some())
    {
        return Err(format!("its rule {name} has `{key}`"));
    }
    if set("rampScheduleId").is_some() || text("scheduleType") == "ramp" {
        return Err(format!("its rule {name} is moved by a ramp of GrowthBook"));
    }
    if set("allProjects") == Some(&json!(false)) {
        return Err(format!("its rule {name} is for some projects alone"));
    }
    if rule.get("allEnvironments") == Some(&json!(true)) || set("environments") != Some(&json!([at.environment])) {
        return Err(format!("its rule {name} is for other environments too"));
    }
    let hashed_by = text("hashAttribute");
    if hashed_by != at.hash_attribute && !(is_forced && hashed_by.is_empty()) {
        return Err(format!("its rule {name} goes by `{hashed_by}`, not by `{}`", at.hash_attribute));
    }
    let id = Some(text("id")).filter(|id| !id.is_empty()).ok_or_else(|| format!("its rule {name} has no id"))?;
    let told = rule.get("coverage").and_then(Value::as_f64).or(is_forced.then_some(1.0));
    let Some(coverage) = told else {
        return Err(format!("its rule {name} has no coverage"));
    };
    let whole = (0..=100_u8).find(|whole| (coverage * 100.0 - f64::from(*whole)).abs() < 1e-9);
    let treatment_pct =
        whole.ok_or_else(|| format!("the coverage of its rule {name} is {coverage}, which is no whole percent"))?;
    Ok(Ours { rule: id.to_owned(), treatment_pct })
}

/// A share as GrowthBook writes it.
pub(super) fn coverage(treatment_pct: u8) -> f64 {
    f64::from(treatment_pct) / 100.0
}

/// What of a rule decides who gets what. Drafts and live features leave out different things that mean nothing.
fn essence(rule: &Value) -> Value {
    let keys = [
        "id",
        "type",
        "value",
        "coverage",
        "hashAttribute",
        "hashVersion",
        "seed",
        "condition",
        "environments",
        "allEnvironments",
        "prerequisites",
        "savedGroupTargeting",
        "enabled",
        "variations",
        "experimentId",
    ];
    let means = |value: &&Value| !value.is_null() && ![json!([]), json!(""), json!("{}")].contains(value);
    let mut kept: Map<_, _> =
        keys.into_iter().filter_map(|key| Some((key.to_owned(), rule.get(key).filter(means)?.clone()))).collect();
    for (key, default) in [("enabled", true), ("allEnvironments", false)] {
        kept.entry(key).or_insert(json!(default));
    }
    Value::Object(kept)
}

/// True when each rule of the draft is as it is live, but for ours, which has the wished share and deals units as before.
fn are_wished(draft: &[Value], live: &[Value], at: &Place, wish: Wish, ours: Option<&str>) -> bool {
    let is_ours = |rule: &Value| matches!(wish, Wish::Share(_)) && rule.get("id").and_then(Value::as_str) == ours;
    let seeds_agree = |draft: &Value, live: &Value| match (draft.get("seed"), live.get("seed")) {
        (Some(draft), Some(live)) => draft == live,
        _ => true,
    };
    draft.len() == live.len()
        && draft.iter().zip(live).all(|(draft, live)| match wish {
            Wish::Share(treatment_pct) if is_ours(live) => {
                draft.get("id") == live.get("id")
                    && seeds_agree(draft, live)
                    && ours_by(draft, at).is_ok_and(|ours| ours.treatment_pct == treatment_pct)
            }
            Wish::Share(_) | Wish::On | Wish::Off => essence(draft) == essence(live),
        })
}

/// True when publishing the draft would do what was wished to the feature as it is live, and nothing else.
pub(super) fn is_wished(draft: &Revision, feature: &Feature, at: &Place, wish: Wish, ours: Option<&str>) -> bool {
    let changes = draft.environments_enabled.clone().unwrap_or_default();
    let others_stay = changes
        .iter()
        .filter(|(name, _)| **name != at.environment)
        .all(|(name, is_on)| feature.environments.get(name).is_some_and(|one| one.enabled == *is_on));
    let was_on = feature.environments.get(&at.environment).is_some_and(|one| one.enabled);
    let is_on = changes.get(&at.environment).copied().unwrap_or(was_on);
    let n = |list: &Option<Vec<Value>>| list.as_ref().map_or(0, Vec::len);
    draft.base_version == feature.revision.version
        && others_stay
        && is_on == (wish != Wish::Off)
        && draft.default_value.as_ref().is_none_or(|value| *value == feature.default_value)
        && draft.prerequisites.as_ref().is_none_or(|_| n(&draft.prerequisites) == n(&feature.prerequisites))
        && n(&draft.ramp_actions) == 0
        && draft.archived != Some(true)
        && are_wished(&draft.rules, &feature.rules, at, wish, ours)
}

/// True when the live feature has the rules of the revision that was published.
pub(super) fn is_live(feature: &Feature, published: &Revision) -> bool {
    let rules = |rules: &[Value]| rules.iter().map(essence).collect::<Vec<_>>();
    feature.revision.version == published.version && rules(&feature.rules) == rules(&published.rules)
}
