//! Keeps features as GrowthBook does: a live revision, drafts that are merged or refused, reviews, ramps.

use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use super::super::flag_kit::{Answers, KEY, Meddles, StandIn};

/// What others do to the feature.
pub(super) type Edit = fn(&mut Value);
/// What somebody does to the feature just before a draft is published.
type Race = Box<dyn FnOnce(&mut Value) + Send>;

/// Its memory.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) feature: Option<Value>,
    pub(super) experiment: Option<Value>,
    /// The newest number of a revision.
    pub(super) version: i64,
    pub(super) revisions: Vec<Value>,
    /// A missing feature is a 400, as older servers say it.
    pub(super) is_missing_400: bool,
    /// Reviews are demanded; for switches too.
    pub(super) demands_reviews: bool,
    /// The server enforces reviews by itself; else the key passes them.
    pub(super) key_passes: bool,
    /// The organization demands them of all, as older ones do.
    pub(super) demands_of_all: bool,
    /// The key may not read the settings.
    pub(super) hides_settings: bool,
    pub(super) bypasses: Option<bool>,
    /// The status of what a missing review refuses.
    pub(super) refuses_with: u16,
    pub(super) ramps: Vec<Value>,
    pub(super) is_locked: bool,
    /// Changes of a rule are accepted and dropped.
    pub(super) drops: bool,
    /// Changes of a rule are refused with this status.
    pub(super) refuses_rules: Option<u16>,
    /// What is published does not arrive.
    pub(super) disagrees: bool,
    pub(super) race: Option<Race>,
    pub(super) publishes: usize,
}

#[derive(Clone, Default)]
pub(super) struct Server(Arc<Mutex<Kept>>);

impl Server {
    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap()
    }

    pub(super) fn feature(&self) -> Value {
        self.kept().feature.clone().unwrap()
    }

    /// What a person publishes.
    pub(super) fn edit(&self, edit: impl FnOnce(&mut Value)) {
        edit_by(&mut self.kept(), json!({ "type": "dashboard", "name": "Ann Lee", "email": "ann@shop.example" }), edit);
    }

    /// What GrowthBook does by itself.
    pub(super) fn ramp(&self, edit: impl FnOnce(&mut Value)) {
        edit_by(&mut self.kept(), json!({ "type": "system" }), edit);
    }

    /// Open drafts: version, status, comment.
    pub(super) fn drafts(&self) -> Vec<(i64, String, String)> {
        let text = |draft: &Value, key: &str| draft[key].as_str().unwrap().to_owned();
        let kept = self.kept();
        let open = kept.revisions.iter().filter(|draft| is_open(draft));
        open.map(|draft| (draft["version"].as_i64().unwrap(), text(draft, "status"), text(draft, "comment"))).collect()
    }

    /// Approves every draft that waits.
    pub(super) fn approve(&self) {
        for draft in self.kept().revisions.iter_mut().filter(|draft| draft["status"] == "pending-review") {
            draft["status"] = json!("approved");
        }
    }

    pub(super) fn answers(&self) -> Answers {
        let server = self.clone();
        Arc::new(move |request| server.answer(request))
    }

    fn answer(&self, request: &Request) -> ResponseTemplate {
        assert_eq!(request.headers["authorization"], "Bearer secret_outcome_s3cret");
        let parts: Vec<_> = request.url.path().trim_start_matches('/').split('/').collect();
        let mut kept = self.kept();
        let body: Value = request.body_json().unwrap_or_default();
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["api", "v1", "environments"]) => {
                let named = |id: &str| json!({ "id": id, "description": "", "toggleOnList": true, "defaultState": true, "projects": [] });
                ok(&json!({ "environments": [named("production"), named("staging")] }))
            }
            ("GET", ["api", "v1", "settings"]) if kept.hides_settings => refused(403, "You do not have permission"),
            ("GET", ["api", "v1", "settings"]) => {
                let rules = json!([{ "requireReviewOn": kept.demands_reviews, "projects": [], "environments": ["production"] }]);
                let rules = if kept.demands_of_all { json!(kept.demands_reviews) } else { rules };
                ok(&json!({ "settings": { "requireReviews": rules, "restApiBypassesReviews": kept.bypasses } }))
            }
            ("GET", ["api", "v1", "experiments", id]) => match &kept.experiment {
                Some(found) if found["id"] == *id => ok(&json!({ "experiment": found })),
                _ => refused(404, "Could not find experiment with that id"),
            },
            ("GET", ["api", "v1", "experiments"]) => {
                let asked = request
                    .url
                    .query_pairs()
                    .find(|(key, _)| key == "trackingKey")
                    .map(|(_, value)| value.into_owned());
                let found: Vec<_> =
                    kept.experiment.iter().filter(|it| it["trackingKey"].as_str() == asked.as_deref()).collect();
                ok(&json!({ "experiments": found, "hasMore": false }))
            }
            ("GET", ["api", "v1", "ramp-schedules"]) => ok(&json!({ "rampSchedules": kept.ramps })),
            ("POST", ["api", "v2", "features"]) => create(&mut kept, &body),
            (_, ["api", "v2", "features", key, ..]) if kept.feature.is_none() || *key != KEY => missing(&kept),
            ("GET", ["api", "v2", "features", _]) => ok(&json!({ "feature": kept.feature })),
            ("POST", ["api", "v2", "features", _, "toggle"]) => toggle(&mut kept, &body),
            ("GET", ["api", "v2", "features", _, "revisions"]) => {
                let open: Vec<_> = kept.revisions.iter().filter(|draft| is_open(draft)).collect();
                ok(&json!({ "revisions": open, "hasMore": false }))
            }
            ("POST", ["api", "v2", "features", _, "revisions"]) => draft(&mut kept, &body),
            (_, ["api", "v2", "features", _, "revisions", version, what @ ..]) => {
                revise(&mut kept, version, what, &body)
            }
            _ => refused(404, "Unknown"),
        }
    }
}

fn edit_by(kept: &mut Kept, by: Value, edit: impl FnOnce(&mut Value)) {
    kept.version += 1;
    let version = kept.version;
    let feature = kept.feature.as_mut().unwrap();
    edit(feature);
    feature["revision"] =
        json!({ "version": version, "comment": "more", "date": "2026-11-28T08:00:00Z", "publishedBy": by });
}

fn is_open(draft: &Value) -> bool {
    ["draft", "pending-review", "approved", "changes-requested"].contains(&draft["status"].as_str().unwrap())
}

fn ok(body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn refused(status: u16, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({ "message": message }))
}

fn missing(kept: &Kept) -> ResponseTemplate {
    refused(if kept.is_missing_400 { 400 } else { 404 }, "Could not find a feature with that key")
}

/// With a rule of another environment, which nobody may lose.
fn create(kept: &mut Kept, body: &Value) -> ResponseTemplate {
    if kept.feature.is_some() {
        return refused(400, "Feature id 'new-checkout' already exists.");
    }
    let mut rules = body["rules"].clone();
    rules[0]["id"] = json!("fr_ours");
    rules[0]["seed"] = json!("fr_ours");
    rules.as_array_mut().unwrap().insert(0, json!({
        "id": "fr_staging", "type": "force", "description": "", "value": "true", "enabled": true, "condition": "{\"team\": \"qa\"}",
        "allEnvironments": false, "environments": ["staging"],
    }));
    kept.version += 1;
    kept.feature = Some(json!({
        "id": body["id"], "archived": false, "description": body["description"], "owner": "", "project": "", "tags": [],
        "valueType": body["valueType"], "defaultValue": body["defaultValue"], "rules": rules,
        "environments": {
            "production": { "enabled": body["environments"]["production"]["enabled"], "defaultValue": "false" },
            "staging": { "enabled": true, "defaultValue": "false" },
        },
        "revision": { "version": kept.version, "comment": "", "date": "2026-11-01T00:00:00Z" },
    }));
    ok(&json!({ "feature": kept.feature }))
}

fn needs_review(kept: &Kept) -> bool {
    kept.demands_reviews && !kept.key_passes
}

fn toggle(kept: &mut Kept, body: &Value) -> ResponseTemplate {
    if needs_review(kept) {
        let message = "This feature requires a review for kill switch changes and the API key being used does not have permission";
        return refused(kept.refuses_with, message);
    }
    if kept.is_locked {
        return refused(422, "The feature is locked by a running ramp");
    }
    let environments = body["environments"].clone();
    edit_by(kept, json!({ "type": "api_key", "name": "outcome" }), |feature| {
        for (name, is_on) in environments.as_object().unwrap() {
            feature["environments"][name]["enabled"] = is_on.clone();
        }
    });
    ok(&json!({ "feature": kept.feature }))
}

fn draft(kept: &mut Kept, body: &Value) -> ResponseTemplate {
    kept.version += 1;
    let feature = kept.feature.as_ref().unwrap();
    let draft = json!({
        "id": "rev", "featureId": KEY, "version": kept.version, "baseVersion": feature["revision"]["version"], "status": "draft",
        "comment": body["comment"], "date": "2026-11-28T08:00:00Z", "rules": feature["rules"], "defaultValue": "false",
    });
    kept.revisions.push(draft.clone());
    ok(&json!({ "revision": draft }))
}

fn revise(kept: &mut Kept, version: &str, what: &[&str], body: &Value) -> ResponseTemplate {
    let version: i64 = version.parse().unwrap();
    let Some(index) = kept.revisions.iter().position(|draft| draft["version"] == version) else {
        return refused(404, "Could not find feature revision");
    };
    if !is_open(&kept.revisions[index]) {
        return refused(400, "Cannot edit a revision with this status");
    }
    match what {
        ["rules", id] => {
            if let Some(status) = kept.refuses_rules {
                return refused(status, "Unrecognized key: coverage");
            }
            let drops = kept.drops;
            let rules = kept.revisions[index]["rules"].as_array_mut().unwrap();
            let rule = rules.iter_mut().find(|rule| rule["id"] == *id).unwrap();
            for (key, value) in body["rule"].as_object().unwrap().iter().filter(|_| !drops) {
                rule[key] = value.clone();
            }
            as_told(rule);
        }
        ["toggle"] => {
            let name = body["environment"].as_str().unwrap();
            kept.revisions[index]["environmentsEnabled"][name] = body["enabled"].clone();
        }
        ["discard"] => kept.revisions[index]["status"] = json!("discarded"),
        ["request-review"] if kept.revisions[index]["status"] == "draft" => {
            kept.revisions[index]["status"] = json!("pending-review");
        }
        ["request-review"] => return refused(400, "Can only request review on a draft"),
        ["publish"] => return publish(kept, index),
        _ => return refused(404, "Unknown"),
    }
    ok(&json!({ "revision": kept.revisions[index] }))
}

/// A rollout to everybody becomes a rule that forces its value, and is told without what is by hash.
fn as_told(rule: &mut Value) {
    let is_forced = rule["coverage"].as_f64().unwrap() >= 1.0;
    rule["type"] = json!(if is_forced { "force" } else { "rollout" });
    if is_forced {
        for key in ["coverage", "hashAttribute", "seed"] {
            rule.as_object_mut().unwrap().remove(key);
        }
    } else {
        assert!(rule["hashAttribute"].is_string(), "it is demanded");
        rule["seed"] = json!("fr_ours");
    }
}

fn publish(kept: &mut Kept, index: usize) -> ResponseTemplate {
    if let Some(race) = kept.race.take() {
        edit_by(kept, json!({ "type": "dashboard", "name": "Ann Lee" }), race);
    }
    kept.publishes += 1;
    let gate = |kind: &str, message: &str| {
        let gate = json!({ "type": kind, "severity": "blocker", "messages": [message], "override": null });
        ResponseTemplate::new(422)
            .set_body_json(json!({ "message": format!("Publish blocked: {message}"), "gates": [gate] }))
    };
    let draft = kept.revisions[index].clone();
    if needs_review(kept) && draft["status"] != "approved" {
        return match kept.refuses_with {
            422 => gate("approval-required", "This revision needs an approval."),
            status => refused(status, "This revision requires approval before publishing"),
        };
    }
    if kept.is_locked {
        return gate("ramp-locked", "The ramp `slowly` is running.");
    }
    let feature = kept.feature.as_mut().unwrap();
    if draft["baseVersion"] != feature["revision"]["version"] {
        return gate("stale-base", "The revision is behind what is live.");
    }
    if !kept.disagrees {
        feature["rules"] = draft["rules"].clone();
    }
    for (name, is_on) in draft["environmentsEnabled"].as_object().into_iter().flatten() {
        feature["environments"][name]["enabled"] = is_on.clone();
    }
    feature["revision"] =
        json!({ "version": draft["version"], "comment": draft["comment"], "date": "2026-11-28T09:00:00Z" });
    kept.revisions[index]["status"] = json!("published");
    ok(&json!({ "revision": kept.revisions[index] }))
}

/// Our rule, in the feature.
pub(super) fn rule(feature: &mut Value) -> &mut Value {
    feature["rules"].as_array_mut().unwrap().iter_mut().find(|rule| rule["id"] == "fr_ours").unwrap()
}

pub(super) fn fresh() -> StandIn {
    let server = Server::default();
    let edits: Vec<(&'static str, Edit)> = vec![
        ("another share", |feature| rule(feature)["coverage"] = json!(0.4)),
        ("half a percent", |feature| rule(feature)["coverage"] = json!(0.105)),
        ("off", |feature| feature["environments"]["production"]["enabled"] = json!(false)),
        ("archived", |feature| feature["archived"] = json!(true)),
        ("our rule is off", |feature| rule(feature)["enabled"] = json!(false)),
        ("our rule is gone", |feature| feature["rules"] = json!([])),
        ("another rule", |feature| {
            let other =
                json!({ "id": "fr_2", "type": "force", "value": "true", "enabled": true, "allEnvironments": true });
            feature["rules"].as_array_mut().unwrap().push(other);
        }),
        ("a rule before ours", |feature| {
            let other = json!({ "id": "fr_2", "type": "force", "value": "false", "enabled": true, "environments": ["production"] });
            feature["rules"].as_array_mut().unwrap().insert(0, other);
        }),
        ("a condition", |feature| rule(feature)["condition"] = json!("{\"plan\": \"pro\"}")),
        ("a saved group", |feature| {
            rule(feature)["savedGroupTargeting"] = json!([{ "matchType": "all", "savedGroups": ["g"] }]);
        }),
        ("a schedule", |feature| rule(feature)["scheduleRules"] = json!([{ "timestamp": null, "enabled": true }])),
        ("a ramp", |feature| rule(feature)["rampScheduleId"] = json!("rs_1")),
        ("the other value", |feature| rule(feature)["value"] = json!("false")),
        ("an experiment", |feature| rule(feature)["type"] = json!("experiment-ref")),
        ("another unit", |feature| rule(feature)["hashAttribute"] = json!("company")),
        ("all environments", |feature| rule(feature)["allEnvironments"] = json!(true)),
        ("another default", |feature| feature["defaultValue"] = json!("true")),
        ("another default here", |feature| feature["environments"]["production"]["defaultValue"] = json!("true")),
        ("another type", |feature| feature["valueType"] = json!("string")),
        ("another feature is needed", |feature| feature["prerequisites"] = json!(["parent"])),
        ("a holdout", |feature| feature["holdout"] = json!({ "id": "hld_1", "value": "false" })),
    ];
    let meddles = |edit: Edit| {
        let server = server.clone();
        let deed: Meddles = Arc::new(move || server.edit(edit));
        deed
    };
    let mut meddling: Vec<_> = edits.into_iter().map(|(what, edit)| (what, meddles(edit))).collect();
    let deleted = server.clone();
    meddling.push(("deleted", Arc::new(move || deleted.kept().feature = None)));
    StandIn { answers: server.answers(), meddling }
}
