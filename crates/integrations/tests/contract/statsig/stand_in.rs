//! Statsig's Console API as far as the runtime uses it: gates with rules in their order, overrides, reviews, and a quota in which
//! refused attempts count.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use crate::flag_kit::{Answers, KEY, Meddles, StandIn};

pub(super) const TOKEN: &str = "console-7f3d-s3cret";

/// What there is.
pub(super) struct World {
    pub(super) gates: BTreeMap<String, Value>,
    pub(super) overrides: Value,
    pub(super) log: Vec<Value>,
    /// Method, path and body of everything that was not a GET, refused or not.
    pub(super) writes: Vec<(String, String, Value)>,
    /// Writes that are answered; those beyond are refused.
    pub(super) quota: usize,
    pub(super) requires_reviews: bool,
    /// Whether a write that needs a review makes one by itself, as a success.
    pub(super) makes_reviews: bool,
    pub(super) has_review_calls: bool,
    /// After the next write: another writer.
    pub(super) after_write: Option<fn(&mut Value)>,
    n_reviews: usize,
    proposed: Value,
}

pub(super) type Shared = Arc<Mutex<World>>;

pub(super) fn world() -> Shared {
    Arc::new(Mutex::new(World {
        gates: BTreeMap::new(),
        overrides: json!({ "passingUserIDs": [], "failingUserIDs": [], "passingCustomIDs": [], "failingCustomIDs": [] }),
        log: Vec::new(),
        writes: Vec::new(),
        quota: usize::MAX,
        requires_reviews: false,
        makes_reviews: false,
        has_review_calls: true,
        after_write: None,
        n_reviews: 0,
        proposed: Value::Null,
    }))
}

/// As Statsig makes it from what was sent.
pub(super) fn new_gate(sent: &Value) -> Value {
    let mut rules = sent["rules"].as_array().cloned().unwrap_or_default();
    for (n, rule) in rules.iter_mut().enumerate() {
        rule["id"] = json!(format!("r{n}:10.00:1"));
        rule["baseID"] = json!(format!("r{n}"));
    }
    json!({
        "id": sent["id"], "name": sent["name"], "description": sent["description"], "idType": sent["idType"], "isEnabled": sent["isEnabled"],
        "status": if sent["isEnabled"] == json!(true) { "In Progress" } else { "Disabled" }, "rules": rules, "holdoutIDs": [], "tags": [],
        "type": sent["type"], "typeReason": "NONE", "checksPerHour": 0, "lastModifierName": "CONSOLE API", "lastModifierID": "k1",
        "lastModifiedTime": 1_790_000_000_000_i64, "reviewSettings": { "requiredReview": false, "allowedReviewers": [] }, "team": null,
    })
}

fn error(status: u16, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({ "status": status, "message": message }))
}

fn found(status: u16, data: &Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({ "message": "Gate updated successfully.", "data": data }))
}

fn put(gate: &mut Value, is_enabled: bool) {
    gate["isEnabled"] = json!(is_enabled);
    gate["status"] = json!(if is_enabled { "In Progress" } else { "Disabled" });
}

impl World {
    /// The gate of every test.
    pub(super) fn ours(&mut self) -> &mut Value {
        self.gates.get_mut(KEY).unwrap()
    }

    pub(super) fn calls(&self) -> Vec<String> {
        self.writes.iter().map(|(method, path, _)| format!("{method} {path}")).collect()
    }

    fn needs_review(&self, gate: &Value) -> bool {
        self.requires_reviews || gate["reviewSettings"]["requiredReview"] == json!(true)
    }

    fn change(&mut self, key: &str, verb: &[&str], body: &Value) -> ResponseTemplate {
        let Some(gate) = self.gates.get(key) else { return error(404, "Gate not found") };
        if self.needs_review(gate) {
            if self.makes_reviews {
                self.n_reviews += 1;
                let review = json!({ "reviewID": format!("v{}", self.n_reviews), "reviewStatus": "pending", "description": "by Statsig" });
                let gate = self.gates.get_mut(key).unwrap();
                gate["activeReview"] = review;
                return found(200, gate);
            }
            return error(403, "This change requires review");
        }
        let gate = self.gates.get_mut(key).unwrap();
        match verb {
            ["enable"] => put(gate, true),
            ["disable"] => put(gate, false),
            ["rule"] => {
                let mut rule = body.clone();
                rule["id"] = json!("added");
                gate["rules"].as_array_mut().unwrap().push(rule);
            }
            ["rules", id] => {
                let id = id.replace("%3A", ":");
                let rules = gate["rules"].as_array_mut().unwrap();
                let Some(rule) = rules.iter_mut().find(|rule| rule["id"] == json!(id)) else {
                    return error(404, "Rule not found");
                };
                rule.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
            }
            other => panic!("{other:?}"),
        }
        if let Some(other) = self.after_write.take() {
            other(gate);
        }
        found(200, gate)
    }

    fn review(&mut self, key: &str, method: &str, rest: &[&str], body: &Value) -> ResponseTemplate {
        if !self.has_review_calls {
            return error(404, "Cannot POST");
        }
        match (method, rest) {
            ("POST", []) => {
                self.n_reviews += 1;
                let id = format!("v{}", self.n_reviews);
                self.proposed = body["change"].clone();
                let gate = self.gates.get_mut(key).unwrap();
                if gate.get("activeReview").is_some() {
                    return error(400, "a review is open");
                }
                gate["activeReview"] =
                    json!({ "reviewID": id, "reviewStatus": "pending", "description": body["description"] });
                found(201, &json!({ "review_id": id, "status": "pending", "type": "update" }))
            }
            ("DELETE", [_]) => {
                self.gates.get_mut(key).unwrap().as_object_mut().unwrap().remove("activeReview");
                ResponseTemplate::new(200).set_body_json(json!({ "message": "cancelled" }))
            }
            ("PUT", [_, "commit"]) => {
                let gate = self.gates.get_mut(key).unwrap();
                if gate["activeReview"]["reviewStatus"] != json!("accepted") {
                    return error(400, "not accepted");
                }
                gate.as_object_mut().unwrap().remove("activeReview");
                if let Some(is_enabled) = self.proposed["is_enabled"].as_bool() {
                    put(gate, is_enabled);
                } else {
                    gate["rules"] = self.proposed["rules"].clone();
                }
                ResponseTemplate::new(200).set_body_json(json!({ "message": "Gate review committed successfully" }))
            }
            other => panic!("{other:?}"),
        }
    }

    fn answer(&mut self, request: &Request) -> ResponseTemplate {
        assert_eq!(request.headers["statsig-api-key"], TOKEN);
        assert_eq!(request.headers["statsig-api-version"], "20240601");
        assert_eq!(request.headers["x-respect-review-settings"], "true", "reviews are not bypassed");
        let path = request.url.path().strip_prefix("/console/v1/").unwrap().to_owned();
        let method = request.method.as_str();
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        if method != "GET" {
            self.writes.push((method.to_owned(), path.clone(), body.clone()));
            if self.writes.len() > self.quota {
                return error(429, "Too Many Requests");
            }
        }
        match (method, path.split('/').collect::<Vec<_>>().as_slice()) {
            ("GET", ["gates"]) => found(200, &json!(self.gates.values().take(1).collect::<Vec<_>>())),
            ("POST", ["gates"]) => {
                let key = body["id"].as_str().unwrap().to_owned();
                if self.gates.contains_key(&key) {
                    return error(400, "Gate with this name already exists");
                }
                self.gates.insert(key.clone(), new_gate(&body));
                found(201, &self.gates[&key])
            }
            ("GET", ["gates", key]) => {
                self.gates.get(*key).map_or(error(404, "Gate not found"), |gate| found(200, gate))
            }
            ("GET", ["gates", _, "overrides"]) => found(201, &self.overrides),
            (method, ["gates", key, "reviews", rest @ ..]) => self.review(key, method, rest, &body),
            ("PUT" | "POST" | "PATCH", ["gates", key, verb @ ..]) => self.change(key, verb, &body),
            ("GET", ["settings", "reviews"]) => {
                found(200, &json!({ "is_config_review_required": self.requires_reviews }))
            }
            ("GET", ["audit_logs"]) => found(200, &json!(self.log)),
            _ => error(404, "Not found"),
        }
    }
}

pub(super) fn answers(world: &Shared) -> Answers {
    let world = Arc::clone(world);
    Arc::new(move |request| world.lock().unwrap().answer(request))
}

pub(super) fn rule(name: &str, pct: f64, condition: &str) -> Value {
    json!({ "id": name, "name": name, "passPercentage": pct, "conditions": [{ "type": condition }], "environments": null })
}

/// What people, and Statsig itself, do to a gate that the runtime set to 10 %.
pub(super) fn stand_in() -> StandIn {
    let world = world();
    let deed = |what: &'static str, change: fn(&mut World)| {
        let world = Arc::clone(&world);
        let deed: Meddles = Arc::new(move || change(&mut world.lock().unwrap()));
        (what, deed)
    };
    let meddling = vec![
        deed("a rule above ours", |world| {
            world.ours()["rules"].as_array_mut().unwrap().insert(0, rule("everyone", 100.0, "public"));
        }),
        deed("a rule above ours that nobody passes", |world| {
            world.ours()["rules"].as_array_mut().unwrap().insert(0, rule("nobody", 0.0, "public"));
        }),
        deed("a rule for some above ours", |world| {
            world.ours()["rules"].as_array_mut().unwrap().insert(0, rule("staff", 100.0, "email"));
        }),
        deed("another share", |world| world.ours()["rules"][0]["passPercentage"] = json!(50)),
        deed("no whole percent", |world| world.ours()["rules"][0]["passPercentage"] = json!(10.25)),
        deed("a condition", |world| {
            world.ours()["rules"][0]["conditions"] = json!([{ "type": "public" }, { "type": "country" }]);
        }),
        deed("one environment", |world| world.ours()["rules"][0]["environments"] = json!(["staging"])),
        deed("a planned change", |world| {
            world.ours()["rules"][0]["pendingAutomatedRollouts"] = json!([{ "time": 1, "passPercent": 50 }]);
        }),
        deed("no rule", |world| world.ours()["rules"] = json!([])),
        deed("other ids", |world| world.ours()["idType"] = json!("stableID")),
        deed("a holdout", |world| world.ours()["holdoutIDs"] = json!(["h1"])),
        deed("somebody on the pass list", |world| world.overrides["passingUserIDs"] = json!(["u1"])),
        deed("somebody on the fail list", |world| world.overrides["failingCustomIDs"] = json!(["c1"])),
        deed("an override in one environment", |world| {
            world.overrides["environmentOverrides"] =
                json!([{ "environment": "production", "unitID": "userID", "passingIDs": ["u1"] }]);
        }),
        deed("launched", |world| {
            world.ours()["isEnabled"] = json!(false);
            world.ours()["status"] = json!("Launched");
        }),
        deed("archived", |world| world.ours()["status"] = json!("Archived")),
        deed("disabled", |world| put(world.ours(), false)),
    ];
    StandIn { answers: answers(&world), meddling }
}
