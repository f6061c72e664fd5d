//! LaunchDarkly as far as the runtime uses it: flags of one project in two environments, semantic patches, approvals, the audit log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use crate::flag_kit::{Answers, KEY, Meddles, StandIn};

pub(super) const TOKEN: &str = "api-7f3d-s3cret";
pub(super) const TREATMENT: &str = "id-treatment";
pub(super) const CONTROL: &str = "id-control";

/// What there is.
pub(super) struct World {
    pub(super) flags: BTreeMap<String, Value>,
    /// Keys, in the order of the list.
    pub(super) environments: Vec<String>,
    pub(super) approvals: Option<Value>,
    pub(super) experiment: Option<Value>,
    /// The token may change what needs an approval: LaunchDarkly then does not ask for one.
    pub(super) may_bypass: bool,
    pub(super) requests: Vec<Value>,
    pub(super) may_withdraw: bool,
    n_requests: usize,
    pub(super) log: Vec<Value>,
    /// Method, path and body of everything that was not a GET.
    pub(super) writes: Vec<(String, String, Value)>,
    /// Before a patch is looked at: another writer. An answer takes the patch's place.
    pub(super) before_patch: Option<fn(&mut World) -> Option<ResponseTemplate>>,
    pub(super) caller: Value,
}

pub(super) type Shared = Arc<Mutex<World>>;

pub(super) fn world() -> Shared {
    Arc::new(Mutex::new(World {
        flags: BTreeMap::new(),
        environments: vec!["test".to_owned(), "production".to_owned()],
        approvals: None,
        experiment: None,
        may_bypass: false,
        requests: Vec::new(),
        may_withdraw: true,
        n_requests: 0,
        log: Vec::new(),
        writes: Vec::new(),
        before_patch: None,
        caller: json!({ "accountId": "a1", "tokenName": "outcome", "authKind": "token", "serviceToken": true }),
    }))
}

fn targeting() -> Value {
    json!({
        "on": false, "archived": false, "salt": "s", "sel": "s", "lastModified": 1, "version": 1, "targets": [], "contextTargets": [],
        "rules": [], "fallthrough": { "variation": 1 }, "offVariation": 1, "prerequisites": [], "trackEvents": true,
        "trackEventsFallthrough": false, "_environmentName": "Production", "_site": { "href": "/x", "type": "text/html" }
    })
}

/// As LaunchDarkly makes it from what was sent.
pub(super) fn new_flag(sent: &Value) -> Value {
    let mut variations = sent["variations"].as_array().unwrap().clone();
    for variation in &mut variations {
        variation["_id"] = json!(if variation["value"] == json!(true) { TREATMENT } else { CONTROL });
    }
    json!({
        "key": sent["key"], "name": sent["name"], "description": sent["description"], "kind": "boolean", "archived": false,
        "_version": 1, "creationDate": 1, "tags": sent["tags"], "variations": variations, "defaults": sent["defaults"],
        "temporary": true, "_links": {}, "experiments": { "baselineIdx": 0, "items": [] }, "customProperties": { "team": "x" },
        "environments": { "production": targeting(), "test": targeting() }
    })
}

fn error(status: u16, code: &str, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({ "code": code, "message": message }))
}

fn found(body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

impl World {
    /// The flag of every test in our environment.
    pub(super) fn ours(&mut self) -> &mut Value {
        &mut self.flags.get_mut(KEY).unwrap()["environments"]["production"]
    }

    pub(super) fn patches(&self) -> Vec<&Value> {
        self.writes.iter().filter(|(method, ..)| method == "PATCH").map(|(_, _, body)| body).collect()
    }

    fn page(&self, request: &Request) -> ResponseTemplate {
        let query: BTreeMap<_, _> = request.url.query_pairs().into_owned().collect();
        let of = |name: &str, default: usize| query.get(name).map_or(default, |text| text.parse().unwrap());
        let (limit, offset) = (of("limit", 20).min(20), of("offset", 0));
        let item = |key: &String| {
            let settings = if key == "production" { self.approvals.clone() } else { None };
            json!({ "key": key, "_id": "e1", "apiKey": "sdk-n0-business", "approvalSettings": settings })
        };
        let items: Vec<_> = self.environments.iter().skip(offset).take(limit).map(item).collect();
        let next = offset + limit;
        let mut links = json!({});
        if next < self.environments.len() {
            let href = format!("/api/v2/projects/shop/environments?limit={limit}&offset={next}");
            links["next"] = json!({ "href": href, "type": "application/json" });
        }
        found(&json!({ "items": items, "totalCount": self.environments.len(), "_links": links }))
    }

    /// Does what a semantic patch says.
    fn apply(&mut self, key: &str, environment: &str, instructions: &[Value]) -> Result<(), String> {
        let flag = self.flags.get_mut(key).ok_or("no flag")?;
        let index = |id: &str| {
            let all = flag["variations"].as_array().unwrap();
            all.iter().position(|variation| variation["_id"] == json!(id)).ok_or(format!("no variation {id}"))
        };
        let mut changed = flag["environments"][environment].clone();
        for instruction in instructions {
            match instruction["kind"].as_str().unwrap() {
                "turnFlagOn" => changed["on"] = json!(true),
                "turnFlagOff" => changed["on"] = json!(false),
                "updateOffVariation" => {
                    changed["offVariation"] = json!(index(instruction["variationId"].as_str().unwrap())?);
                }
                "updateFallthroughVariationOrRollout" => {
                    let weights = instruction["rolloutWeights"].as_object().unwrap();
                    let mut variations = Vec::new();
                    for (id, weight) in weights {
                        variations.push(json!({ "variation": index(id)?, "weight": weight }));
                    }
                    let total: i64 = weights.values().map(|weight| weight.as_i64().unwrap()).sum();
                    if total != 100_000 {
                        return Err("weights must sum to 100000".to_owned());
                    }
                    let kind = &instruction["rolloutContextKind"];
                    changed["fallthrough"] = json!({ "rollout": { "variations": variations, "contextKind": kind } });
                }
                other => return Err(format!("instruction kind '{other}' unsupported")),
            }
        }
        changed["version"] = json!(changed["version"].as_i64().unwrap() + 1);
        flag["environments"][environment] = changed;
        Ok(())
    }

    fn patch(&mut self, key: &str, request: &Request) -> ResponseTemplate {
        assert_eq!(request.headers["content-type"], "application/json; domain-model=launchdarkly.semanticpatch");
        let body: Value = request.body_json().unwrap();
        assert_eq!(body["environmentKey"], "production", "only our environment is named");
        if let Some(answer) = self.before_patch.and_then(|other| other(self)) {
            return answer;
        }
        let instructions = body["instructions"].as_array().unwrap().clone();
        if self.approvals.as_ref().is_some_and(|settings| settings["required"] == json!(true)) && !self.may_bypass {
            return error(
                405,
                "method_not_allowed",
                "Flag configuration updates require approval: action 'updateOn' not allowed",
            );
        }
        match self.apply(key, "production", &instructions) {
            Ok(()) => found(&self.flags[key]),
            Err(problem) => error(400, "invalid_request", &problem),
        }
    }

    fn approvals(&mut self, rest: &[&str], request: &Request) -> ResponseTemplate {
        match (request.method.as_str(), rest) {
            ("GET", []) => found(&json!({ "items": self.requests, "_links": {} })),
            ("POST", []) => {
                let body: Value = request.body_json().unwrap();
                self.n_requests += 1;
                let made = json!({
                    "_id": format!("r{}", self.n_requests), "_version": 1, "status": "pending", "reviewStatus": "pending",
                    "description": body["description"], "instructions": body["instructions"], "allReviews": [], "conflicts": [],
                });
                self.requests.push(made.clone());
                ResponseTemplate::new(201).set_body_json(made)
            }
            ("POST", [id, "apply"]) => {
                let at = self.requests.iter().position(|request| request["_id"] == json!(id)).unwrap();
                if self.requests[at]["reviewStatus"] != json!("approved") {
                    return error(403, "forbidden", "not approved");
                }
                let instructions = self.requests[at]["instructions"].as_array().unwrap().clone();
                self.apply(KEY, "production", &instructions).unwrap();
                self.requests[at]["status"] = json!("completed");
                found(&self.requests[at])
            }
            ("DELETE", [id]) => {
                let (known, may) = (self.requests.len(), self.may_withdraw);
                self.requests.retain(|request| !may || request["_id"] != json!(id));
                ResponseTemplate::new(if self.requests.len() < known { 204 } else { 403 })
            }
            (method, rest) => panic!("{method} {rest:?}"),
        }
    }

    fn answer(&mut self, request: &Request) -> ResponseTemplate {
        assert_eq!(request.headers["authorization"], TOKEN, "bare, without Bearer");
        assert_eq!(request.headers["ld-api-version"], "20240415", "the version that a token was made with ends");
        let path = request.url.path().strip_prefix("/api/v2/").unwrap().to_owned();
        let method = request.method.as_str();
        if method != "GET" {
            let body = serde_json::from_slice(&request.body).unwrap_or_default();
            self.writes.push((method.to_owned(), request.url[url::Position::BeforePath..].to_owned(), body));
        }
        match (method, path.split('/').collect::<Vec<_>>().as_slice()) {
            ("GET", ["flags", "shop"]) => {
                let items: Vec<_> = self.flags.values().take(1).collect();
                found(&json!({ "items": items, "totalCount": self.flags.len(), "_links": {} }))
            }
            ("POST", ["flags", "shop"]) => {
                let body: Value = request.body_json().unwrap();
                let key = body["key"].as_str().unwrap().to_owned();
                if self.flags.contains_key(&key) {
                    return error(409, "conflict", "a flag with this key exists");
                }
                self.flags.insert(key.clone(), new_flag(&body));
                ResponseTemplate::new(201).set_body_json(&self.flags[&key])
            }
            ("GET", ["flags", "shop", key]) => {
                assert_eq!(request.url.query(), Some("env=production"));
                let Some(flag) = self.flags.get(*key) else { return error(404, "not_found", "Unknown flag key") };
                let mut flag = flag.clone();
                flag["environments"].as_object_mut().unwrap().retain(|environment, _| environment == "production");
                found(&flag)
            }
            ("PATCH", ["flags", "shop", key]) => self.patch(key, request),
            ("GET", ["projects", "shop", "environments"]) => self.page(request),
            (_, ["projects", "shop", "flags", KEY, "environments", "production", "approval-requests", rest @ ..]) => {
                self.approvals(rest, request)
            }
            ("GET", ["projects", "shop", "environments", "production", "experiments", key]) => match &self.experiment {
                Some(experiment) if experiment["key"] == *key => {
                    assert_eq!(request.url.query(), Some("expand=treatments"), "else they are left out");
                    found(experiment)
                }
                _ => error(404, "not_found", "Unknown experiment key"),
            },
            ("GET", ["caller-identity"]) => found(&self.caller),
            ("GET", ["auditlog"]) => found(&json!({ "items": self.log, "_links": {} })),
            _ => error(404, "not_found", "Unknown project key"),
        }
    }
}

pub(super) fn answers(world: &Shared) -> Answers {
    let world = Arc::clone(world);
    Arc::new(move |request| world.lock().unwrap().answer(request))
}

/// What people, and LaunchDarkly itself, do to a flag that the runtime set to 10 %.
pub(super) fn stand_in() -> StandIn {
    let world = world();
    let deed = |what: &'static str, change: fn(&mut Value)| {
        let world = Arc::clone(&world);
        let deed: Meddles = Arc::new(move || change(world.lock().unwrap().ours()));
        (what, deed)
    };
    let weights =
        |treated: i64| json!([{ "variation": 0, "weight": treated }, { "variation": 1, "weight": 100_000 - treated }]);
    assert_eq!(weights(10_000)[1]["weight"], 90_000);
    let archive = {
        let world = Arc::clone(&world);
        let deed: Meddles =
            Arc::new(move || world.lock().unwrap().flags.get_mut(KEY).unwrap()["archived"] = json!(true));
        ("archived", deed)
    };
    let meddling = vec![
        deed("on for everybody", |at| at["fallthrough"] = json!({ "variation": 0 })),
        deed("another share", |at| {
            at["fallthrough"]["rollout"]["variations"] =
                json!([{ "variation": 0, "weight": 50_000 }, { "variation": 1, "weight": 50_000 }]);
        }),
        deed("no whole percent", |at| {
            at["fallthrough"]["rollout"]["variations"] =
                json!([{ "variation": 0, "weight": 10_500 }, { "variation": 1, "weight": 89_500 }]);
        }),
        deed("a target", |at| at["targets"] = json!([{ "contextKind": "user", "values": ["u1"], "variation": 0 }])),
        deed("a target of another kind", |at| {
            at["contextTargets"] = json!([{ "contextKind": "device", "values": ["d1"], "variation": 0 }]);
        }),
        deed("a rule", |at| {
            at["rules"] =
                json!([{ "_id": "r1", "description": "beta", "variation": 0, "clauses": [], "trackEvents": false }]);
        }),
        deed("a rule that takes units out of the split", |at| {
            at["rules"] = json!([{ "_id": "r1", "variation": 1, "clauses": [], "trackEvents": false }]);
        }),
        deed("a rule with shares", |at| {
            let rollout = json!({ "variations": [{ "variation": 0, "weight": 100_000 }] });
            at["rules"] = json!([{ "_id": "r1", "rollout": rollout, "clauses": [], "trackEvents": false }]);
        }),
        deed("a prerequisite", |at| at["prerequisites"] = json!([{ "key": "other", "variation": 0 }])),
        deed("a guarded rollout", |at| {
            at["fallthrough"]["rollout"]["experimentAllocation"] =
                json!({ "type": "measuredRollout", "defaultVariation": 1, "canReshuffle": false });
        }),
        deed("another kind of contexts", |at| at["fallthrough"]["rollout"]["contextKind"] = json!("device")),
        deed("split by an attribute", |at| at["fallthrough"]["rollout"]["bucketBy"] = json!("country")),
        deed("off", |at| at["on"] = json!(false)),
        deed("off, which is the treatment", |at| {
            at["on"] = json!(false);
            at["offVariation"] = json!(0);
        }),
        deed("off, which is the code's default", |at| {
            at["on"] = json!(false);
            at.as_object_mut().unwrap().remove("offVariation");
        }),
        archive,
    ];
    StandIn { answers: answers(&world), meddling }
}
