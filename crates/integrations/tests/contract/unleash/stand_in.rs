//! A stand-in that keeps one flag as Unleash 7.4.1 does, and change requests as its Enterprise edition does.

use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use super::flag_kit::{Answers, KEY, Meddles};

pub(super) const TOKEN: &str = "user:0123abcd";
pub(super) const ENVIRONMENT: &str = "production";

type Change = Box<dyn Fn(&mut Value) + Send + Sync>;

struct State {
    flag: Option<Value>,
    is_archived: bool,
    events: Vec<Value>,
    permissions: Value,
    requests: Vec<Value>,
    has_reviews: bool,
    has_requests: bool,
    writes: Vec<String>,
    before_patch: Option<Change>,
    before_each_patch: bool,
    before_create: bool,
    lose_strategy: bool,
    n_strategies: u32,
    n_requests: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            flag: None,
            is_archived: false,
            events: vec![],
            permissions: json!([{ "permission": "ADMIN" }]),
            requests: vec![],
            has_reviews: false,
            has_requests: true,
            writes: vec![],
            before_patch: None,
            before_each_patch: false,
            before_create: false,
            lose_strategy: false,
            n_strategies: 0,
            n_requests: 0,
        }
    }
}

#[derive(Clone, Default)]
pub(super) struct Server(Arc<Mutex<State>>);

fn problem(status: u16, name: &str, message: &str) -> ResponseTemplate {
    let body = json!({ "id": "x", "name": name, "message": message, "details": [{ "message": message }] });
    ResponseTemplate::new(status).set_body_json(body)
}

fn no_path() -> ResponseTemplate {
    problem(404, "NotFoundError", "The path you were looking for is not available.")
}

fn ok(body: impl serde::Serialize) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn skip_reviews() -> ResponseTemplate {
    problem(
        403,
        "PermissionError",
        "You don't have the required permissions. To perform this action, you need the \"SKIP_CHANGE_REQUEST\" permission.",
    )
}

fn fresh(key: &str, description: &Value) -> Value {
    let environment =
        |name: &str| json!({ "name": name, "enabled": false, "type": name, "sortOrder": 1, "strategies": [] });
    json!({
        "name": key, "type": "experiment", "description": description, "project": "default", "archived": false, "stale": false,
        "environments": [environment("development"), environment(ENVIRONMENT)], "variants": [], "dependencies": [], "children": [],
    })
}

fn environment_of<'a>(flag: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    flag["environments"].as_array_mut()?.iter_mut().find(|one| one["name"] == name)
}

impl Server {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(super) fn answers(&self) -> Answers {
        let this = self.clone();
        Arc::new(move |request| this.answer(request))
    }

    pub(super) fn meddling(&self) -> Vec<(&'static str, Meddles)> {
        let of = |change: fn(&mut Value)| -> Meddles {
            let this = self.clone();
            Arc::new(move || this.change(change))
        };
        vec![
            ("another share", of(|all| all["strategies"][0]["parameters"]["rollout"] = json!("99"))),
            ("switched off", of(|all| all["enabled"] = json!(false))),
            (
                "a second strategy for everybody",
                of(|all| {
                    all["strategies"]
                        .as_array_mut()
                        .unwrap()
                        .push(json!({ "id": "s9", "name": "default", "parameters": {} }));
                }),
            ),
            ("no strategy, which is everybody", of(|all| all["strategies"] = json!([]))),
            ("a constraint", of(|all| all["strategies"][0]["constraints"] = json!([{ "contextName": "x" }]))),
            ("a segment", of(|all| all["strategies"][0]["segments"] = json!([1]))),
            ("strategy variants", of(|all| all["strategies"][0]["variants"] = json!([{ "name": "x" }]))),
            ("a disabled strategy", of(|all| all["strategies"][0]["disabled"] = json!(true))),
            ("a release plan", of(|all| all["releasePlans"] = json!([{ "name": "plan" }]))),
            ("other stickiness", of(|all| all["strategies"][0]["parameters"]["stickiness"] = json!("sessionId"))),
        ]
    }

    pub(super) fn flag(&self) -> Option<Value> {
        self.state().flag.clone()
    }

    pub(super) fn environment(&self) -> Value {
        let mut flag = self.flag().unwrap();
        environment_of(&mut flag, ENVIRONMENT).unwrap().clone()
    }

    /// Without their ids and order.
    pub(super) fn strategies(&self) -> Vec<Value> {
        let mut all = self.environment()["strategies"].as_array().unwrap().clone();
        for one in &mut all {
            one.as_object_mut().unwrap().retain(|key, _| key != "id" && key != "sortOrder");
        }
        all
    }

    pub(super) fn writes(&self) -> Vec<String> {
        self.state().writes.clone()
    }

    pub(super) fn add_flag(&self, key: &str) {
        self.state().flag = Some(fresh(key, &json!("by hand")));
    }

    pub(super) fn change(&self, change: impl Fn(&mut Value)) {
        self.change_flag(|flag| change(environment_of(flag, ENVIRONMENT).unwrap()));
    }

    pub(super) fn change_flag(&self, change: impl Fn(&mut Value)) {
        change(self.state().flag.as_mut().unwrap());
    }

    pub(super) fn before_next_patch(&self, change: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.state().before_patch = Some(Box::new(change));
    }

    pub(super) fn before_each_patch(&self) {
        self.state().before_each_patch = true;
    }

    pub(super) fn make_before_next_create(&self) {
        self.state().before_create = true;
    }

    pub(super) fn lose_next_strategy(&self) {
        self.state().lose_strategy = true;
    }

    pub(super) fn move_to(&self, project: &str) {
        self.change_flag(|flag| flag["project"] = json!(project));
    }

    pub(super) fn archive(&self) {
        self.state().is_archived = true;
    }

    pub(super) fn event(&self, event: Value) {
        self.state().events.insert(0, event);
    }

    pub(super) fn permit(&self, permissions: Value) {
        self.state().permissions = permissions;
    }

    pub(super) fn demand_reviews(&self) {
        self.state().has_reviews = true;
    }

    pub(super) fn demand_reviews_without_requests(&self) {
        let mut state = self.state();
        state.has_reviews = true;
        state.has_requests = false;
    }

    pub(super) fn n_requests(&self) -> usize {
        self.state().requests.len()
    }

    pub(super) fn request(&self, id: u64) -> Value {
        self.state().requests.iter().find(|one| one["id"] == id).unwrap().clone()
    }

    pub(super) fn set_request(&self, id: u64, state: &str) {
        self.state().requests.iter_mut().find(|one| one["id"] == id).unwrap()["state"] = json!(state);
    }

    /// A draft of the same account, with a change of this flag.
    pub(super) fn draft(&self, key: &str) {
        let change = json!({ "feature": key, "action": "updateEnabled", "payload": { "enabled": false } });
        self.state().add_changes(&[change]);
    }

    /// What a person does after the approvals.
    pub(super) fn apply(&self, id: u64) {
        self.set_request(id, "Applied");
        let changes = self.request(id)["features"][0]["changes"].as_array().unwrap().clone();
        self.change(|all| {
            for change in &changes {
                let payload = &change["payload"];
                match change["action"].as_str().unwrap() {
                    "updateEnabled" => all["enabled"] = payload["enabled"].clone(),
                    "updateStrategy" => all["strategies"][0] = payload.clone(),
                    "addStrategy" => {
                        let mut added = payload.clone();
                        added["id"] = json!("added");
                        all["strategies"].as_array_mut().unwrap().push(added);
                    }
                    other => panic!("{other}"),
                }
            }
        });
    }

    fn answer(&self, request: &Request) -> ResponseTemplate {
        assert_eq!(request.headers["authorization"], TOKEN);
        let parts: Vec<_> = request.url.path_segments().unwrap().collect();
        let ["api", "admin", rest @ ..] = parts.as_slice() else { return no_path() };
        let method = request.method.as_str();
        let mut state = self.state();
        if method != "GET" {
            state.writes.push(format!("{method} {}", request.url.path()));
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        match (method, rest) {
            ("GET", ["user"]) => ok(json!({
                "user": { "username": "runtime", "secret": TOKEN }, "permissions": state.permissions, "feedback": [], "splash": {},
            })),
            ("GET", ["search", "events"]) => {
                let query: Vec<_> = request.url.query_pairs().map(|(name, value)| format!("{name}={value}")).collect();
                assert!(query.contains(&format!("feature=IS:{KEY}")), "{query:?}");
                ok(json!({ "events": state.events, "total": state.events.len() }))
            }
            ("GET", ["projects", project, "overview"]) => match *project {
                "default" => {
                    ok(json!({ "environments": [{ "environment": "development" }, { "environment": ENVIRONMENT }] }))
                }
                _ => problem(404, "NotFoundError", "No project found"),
            },
            ("POST", ["projects", "default", "features"]) => state.create(&body),
            (_, ["projects", project, "features", key, rest @ ..]) => {
                let at = state.flag.as_ref().filter(|flag| flag["name"] == *key).map(|flag| flag["project"].clone());
                match at {
                    Some(at) if at == *project && !state.is_archived => state.flag_call(method, rest, &body),
                    Some(at) if at == *project && method == "GET" => {
                        problem(404, "NotFoundError", &format!("Could not find feature flag with name {key}"))
                    }
                    Some(at) if at == *project => {
                        problem(400, "ArchivedFeatureError", "Cannot perform this operation on archived features")
                    }
                    Some(at) => {
                        let at = at.as_str().unwrap();
                        let there = format!(", but there's a feature with that name in project \"{at}\"");
                        problem(
                            404,
                            "NotFoundError",
                            &format!("There's no feature named \"{key}\" in project \"{project}\"{there}"),
                        )
                    }
                    None => problem(
                        404,
                        "NotFoundError",
                        &format!("There's no feature named \"{key}\" in project \"{project}\"."),
                    ),
                }
            }
            (_, ["projects", "default", rest @ ..]) if state.has_reviews && state.has_requests => {
                state.request_call(method, rest, &body)
            }
            _ => no_path(),
        }
    }
}

impl State {
    fn create(&mut self, body: &Value) -> ResponseTemplate {
        let key = body["name"].as_str().unwrap();
        if std::mem::take(&mut self.before_create) {
            self.flag = Some(fresh(key, &json!("of somebody else")));
        }
        if self.flag.is_some() {
            let archived = if self.is_archived { "An archived" } else { "A" };
            return problem(409, "NameExistsError", &format!("{archived} flag with that name already exists"));
        }
        let flag = fresh(key, &body["description"]);
        self.flag = Some(flag.clone());
        ResponseTemplate::new(201).set_body_json(flag)
    }

    fn flag_call(&mut self, method: &str, rest: &[&str], body: &Value) -> ResponseTemplate {
        let flag = self.flag.as_mut().unwrap();
        if let ("GET", []) = (method, rest) {
            return ok(flag);
        }
        let ["environments", name, rest @ ..] = rest else { panic!("{method} {rest:?} does not name an environment") };
        let key = flag["name"].as_str().unwrap().to_owned();
        if self.has_reviews && *name == ENVIRONMENT {
            return skip_reviews();
        }
        let Some(all) = environment_of(flag, name) else {
            return problem(404, "NotFoundError", &format!("Could not find environment {name} for feature: {key}"));
        };
        match (method, rest) {
            ("POST", ["off"]) => all["enabled"] = json!(false),
            ("POST", ["on"]) => {
                let strategies = all["strategies"].as_array_mut().unwrap();
                if strategies.iter().all(|one| one["disabled"] == true) {
                    let parameters = json!({ "rollout": "100", "stickiness": "default", "groupId": key });
                    strategies.push(
                        json!({ "id": "made", "name": "flexibleRollout", "disabled": false, "parameters": parameters }),
                    );
                }
                all["enabled"] = json!(true);
            }
            ("POST", ["strategies"]) => {
                self.n_strategies += 1;
                let mut strategy = body.clone();
                for (name, value) in
                    [("id", json!(format!("s{}", self.n_strategies))), ("title", Value::Null), ("sortOrder", json!(0))]
                {
                    strategy[name] = value;
                }
                all["strategies"].as_array_mut().unwrap().push(strategy.clone());
                if std::mem::take(&mut self.lose_strategy) {
                    return ResponseTemplate::new(502);
                }
                return ok(strategy);
            }
            ("PATCH", ["strategies", id]) => {
                if let Some(change) = self.before_patch.take() {
                    change(all);
                }
                if self.before_each_patch {
                    let pct: u32 = all["strategies"][0]["parameters"]["rollout"].as_str().unwrap().parse().unwrap();
                    all["strategies"][0]["parameters"]["rollout"] = json!((pct + 1).to_string());
                }
                let strategy =
                    all["strategies"].as_array_mut().unwrap().iter_mut().find(|one| one["id"] == *id).unwrap();
                for step in body.as_array().unwrap() {
                    let target = strategy.pointer_mut(step["path"].as_str().unwrap());
                    match (step["op"].as_str().unwrap(), target) {
                        ("test", Some(found)) if *found == step["value"] => {}
                        ("test", _) => {
                            let message = "Test operation failed\nname: TEST_OPERATION_FAILED\nindex: 0";
                            return problem(500, "UnknownError", message);
                        }
                        ("replace", Some(found)) => *found = step["value"].clone(),
                        other => panic!("{other:?}"),
                    }
                }
                return ok(strategy.clone());
            }
            other => panic!("{other:?}"),
        }
        ResponseTemplate::new(200)
    }

    fn add_changes(&mut self, changes: &[Value]) -> Value {
        let draft = self.requests.iter().position(|one| one["state"] == "Draft");
        let index = draft.unwrap_or_else(|| {
            self.n_requests += 1;
            self.requests.push(json!({
                "id": self.n_requests, "environment": ENVIRONMENT, "state": "Draft", "title": "", "minApprovals": 1, "approvals": [],
                "features": [], "segments": [], "createdBy": { "username": "runtime" },
            }));
            self.requests.len() - 1
        });
        let request = &mut self.requests[index];
        for change in changes {
            let entry = json!({ "id": 1, "action": change["action"], "payload": change["payload"] });
            let features = request["features"].as_array_mut().unwrap();
            match features.iter_mut().find(|one| one["name"] == change["feature"]) {
                Some(feature) => feature["changes"].as_array_mut().unwrap().push(entry),
                None => features.push(json!({ "name": change["feature"], "changes": [entry] })),
            }
        }
        request.clone()
    }

    fn request_call(&mut self, method: &str, rest: &[&str], body: &Value) -> ResponseTemplate {
        match (method, rest) {
            ("GET", ["change-requests", "pending"]) => ok(&self.requests),
            ("POST", ["environments", name, "change-requests"]) => {
                assert_eq!(*name, ENVIRONMENT);
                ok(self.add_changes(body.as_array().unwrap()))
            }
            ("DELETE", ["change-requests", id]) => {
                self.requests.retain(|one| one["id"] != id.parse::<u64>().unwrap());
                ResponseTemplate::new(200)
            }
            ("PUT", ["change-requests", id, field @ ("title" | "state")]) => {
                let request = self.requests.iter_mut().find(|one| one["id"] == id.parse::<u64>().unwrap()).unwrap();
                request[*field] = body[*field].clone();
                ok(request.clone())
            }
            other => panic!("{other:?}"),
        }
    }
}
