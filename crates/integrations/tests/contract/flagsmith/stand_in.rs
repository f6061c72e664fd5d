//! A stand-in that keeps one feature as Flagsmith does, in two environments, with and without versions.

use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use super::flag_kit::{Answers, KEY, Meddles};

pub(super) const TOKEN: &str = "abcd1234.s3cretS3cret";
pub(super) const ENVIRONMENT: &str = "prodKey";
/// Of the environment that is ours, and of another.
const IDS: [u64; 2] = [12, 11];

type Change = Box<dyn Fn(&mut Value) + Send + Sync>;

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a way of the vendor")]
struct State {
    feature: Option<Value>,
    /// Of every environment.
    states: Vec<Value>,
    /// Segments by the id of their place.
    segments: Vec<Value>,
    edge: Vec<Value>,
    has_edge: bool,
    has_identities_apart: bool,
    before_patch: Option<Change>,
    audit: Option<Vec<Value>>,
    approvals: Option<u64>,
    is_versioned: bool,
    permissions: Option<(Value, Value)>,
    writes: Vec<(String, Value)>,
    n_versions: u64,
    next_id: u64,
    other_spelling: bool,
    made_meanwhile: bool,
    loses_version: bool,
    per_page: Option<usize>,
    fails_on_page: Option<usize>,
}

#[derive(Clone, Default)]
pub(super) struct Server(Arc<Mutex<State>>);

fn ok(body: impl serde::Serialize) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn detail(status: u16, text: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({ "detail": text }))
}

fn page(all: &[Value]) -> ResponseTemplate {
    ok(json!({ "count": all.len(), "next": null, "previous": null, "results": all }))
}

impl Server {
    pub(super) fn versioned() -> Self {
        let server = Self::default();
        server.state().is_versioned = true;
        server
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(super) fn answers(&self) -> Answers {
        let this = self.clone();
        Arc::new(move |request| this.answer(request))
    }

    pub(super) fn meddling(&self) -> Vec<(&'static str, Meddles)> {
        let of = |deed: fn(&Self)| -> Meddles {
            let this = self.clone();
            Arc::new(move || deed(&this))
        };
        vec![
            ("another share", of(|this| this.set_share(99.0))),
            ("switched off", of(|this| this.change(|state| state["enabled"] = json!(false)))),
            (
                "a control that is true",
                of(|this| this.change(|state| state["feature_state_value"]["boolean_value"] = json!(true))),
            ),
            ("half a percent", of(|this| this.set_share(10.5))),
            ("a segment", of(|this| this.add_segment(true))),
            ("a segment that is off", of(|this| this.add_segment(false))),
            ("an identity", of(Self::add_identity)),
            ("a second variant", of(Self::add_option)),
        ]
    }

    pub(super) fn writes(&self) -> Vec<(String, Value)> {
        self.state().writes.clone()
    }

    pub(super) fn n_versions(&self) -> u64 {
        self.state().n_versions
    }

    pub(super) fn feature(&self) -> Option<Value> {
        self.state().feature.clone()
    }

    /// The state of an environment: ours is the first.
    pub(super) fn default_of(&self, index: usize) -> Value {
        let all = self.state().states.clone();
        let is_default = |state: &&Value| {
            state["environment"] == IDS[index] && state["identity"].is_null() && state["feature_segment"].is_null()
        };
        all.iter().find(is_default).unwrap().clone()
    }

    pub(super) fn states(&self) -> Vec<Value> {
        self.state().states.clone()
    }

    pub(super) fn change(&self, change: impl Fn(&mut Value)) {
        let mut state = self.state();
        let ours = state.states.iter_mut().find(|state| {
            state["environment"] == IDS[0] && state["identity"].is_null() && state["feature_segment"].is_null()
        });
        change(ours.unwrap());
    }

    pub(super) fn change_feature(&self, change: impl Fn(&mut Value)) {
        change(self.state().feature.as_mut().unwrap());
    }

    pub(super) fn set_share(&self, pct: f64) {
        self.change(|state| state["multivariate_feature_state_values"][0]["percentage_allocation"] = json!(pct));
    }

    fn add_option(&self) {
        let second = json!({ "id": 99, "type": "unicode", "string_value": "x", "default_percentage_allocation": 50.0 });
        self.change_feature(|feature| feature["multivariate_options"].as_array_mut().unwrap().push(second.clone()));
    }

    pub(super) fn add_segment(&self, enabled: bool) {
        let mut state = self.state();
        let place = state.id();
        let segment = 500 + place;
        state.segments.push(
            json!({ "id": place, "segment": segment, "priority": 3, "environment": IDS[0], "segment_name": "staff" }),
        );
        let mut over = state.states.iter().find(|one| one["environment"] == IDS[0]).unwrap().clone();
        over["id"] = json!(state.id());
        over["feature_segment"] = json!(place);
        over["enabled"] = json!(enabled);
        over["multivariate_feature_state_values"][0]["id"] = json!(state.id());
        over["multivariate_feature_state_values"][0]["percentage_allocation"] = json!(100.0);
        state.states.push(over);
    }

    pub(super) fn add_identity(&self) {
        let mut state = self.state();
        let mut over = state.states.iter().find(|one| one["environment"] == IDS[0]).unwrap().clone();
        over["id"] = json!(state.id());
        over["identity"] = json!(77);
        over["enabled"] = json!(true);
        over["feature_state_value"] =
            json!({ "type": "bool", "boolean_value": true, "string_value": null, "integer_value": null });
        over["multivariate_feature_state_values"] = json!([]);
        state.states.push(over);
    }

    pub(super) fn add_edge_identity(&self, enabled: bool) {
        let mut state = self.state();
        state.has_edge = true;
        state.edge.push(
            json!({ "identifier": "ann@example.com", "identity_uuid": "u", "feature_state": { "enabled": enabled } }),
        );
    }

    /// Those of the core API are in a list of their own.
    pub(super) fn list_identities_apart(&self) {
        self.state().has_identities_apart = true;
    }

    /// There are some, and the API does not say what they do.
    pub(super) fn hide_edge(&self) {
        self.state().has_edge = false;
    }

    pub(super) fn before_next_patch(&self, change: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.state().before_patch = Some(Box::new(change));
    }

    pub(super) fn add_standard_feature(&self) {
        let body = json!({ "name": KEY, "type": "STANDARD", "initial_value": null, "multivariate_options": [] });
        self.state().make(&body);
        self.change(|state| state["enabled"] = json!(true));
    }

    pub(super) fn take_other_spelling(&self) {
        self.state().other_spelling = true;
    }

    pub(super) fn make_before_next_create(&self) {
        self.state().made_meanwhile = true;
    }

    pub(super) fn lose_next_version(&self) {
        self.state().loses_version = true;
    }

    pub(super) fn demand_reviews(&self, approvals: Option<u64>) {
        self.state().approvals = approvals;
    }

    /// Those of the project and of the environment, as a person's token is told.
    pub(super) fn permit(&self, project: Value, environment: Value) {
        self.state().permissions = Some((project, environment));
    }

    pub(super) fn log(&self, entries: Vec<Value>) {
        self.state().audit = Some(entries);
    }

    pub(super) fn in_pages(&self, per_page: usize, fails_on: Option<usize>) {
        let mut state = self.state();
        state.per_page = Some(per_page);
        state.fails_on_page = fails_on;
    }

    fn answer(&self, request: &Request) -> ResponseTemplate {
        assert_eq!(request.headers["authorization"], format!("Api-Key {TOKEN}").as_str());
        let path = request.url.path();
        let mut parts: Vec<_> = request.url.path_segments().unwrap().collect();
        let has_slash = parts.pop_if(|last| last.is_empty()).is_some();
        assert!(has_slash || path.ends_with("edge-identity-overrides"), "{path} has no slash at its end");
        let ["api", "v1", rest @ ..] = parts.as_slice() else { return detail(404, "Not found.") };
        let query = |name: &str| {
            let found = request.url.query_pairs().find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned())
        };
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let mut state = self.state();
        if request.method.as_str() != "GET" {
            state.writes.push((format!("{} {path}", request.method), body.clone()));
        }
        match (request.method.as_str(), rest) {
            ("GET", ["environments"]) => {
                assert_eq!(query("project").as_deref(), Some("7"));
                page(&state.environments())
            }
            ("GET", ["projects", "7", "features"]) => {
                assert_eq!(query("environment"), Some(IDS[0].to_string()));
                let at = query("page").map_or(1, |page| page.parse().unwrap());
                state.features(&query("search").unwrap(), at, request)
            }
            ("POST", ["projects", "7", "features"]) => state.create(&body),
            ("GET", ["features", "featurestates"]) => {
                assert_eq!(query("environment"), Some(IDS[0].to_string()));
                let is_told = |one: &&Value| one["identity"].is_null() || !state.has_identities_apart;
                let ours = state.states.iter().filter(|one| one["environment"] == IDS[0]).filter(is_told).cloned();
                page(&ours.collect::<Vec<_>>())
            }
            ("GET", ["environments", ENVIRONMENT, "featurestates"]) => {
                assert_eq!((query("anyIdentity").as_deref(), query("feature").as_deref()), (Some("1"), Some("40")));
                let mut all: Vec<_> = state.states.iter().filter(|one| !one["identity"].is_null()).cloned().collect();
                for one in &mut all {
                    one["identity"] = json!({ "id": one["identity"], "identifier": "ann@example.com" });
                    one["feature_state_value"] = one["feature_state_value"]["boolean_value"].clone();
                }
                page(&all)
            }
            ("GET", ["projects"]) => {
                ok(json!([{ "id": 7, "name": "Shop", "organisation": 1, "use_edge_identities": state.has_edge }]))
            }
            ("GET", ["features", "feature-segments"]) => page(&state.segments),
            ("PATCH", ["features", "featurestates", id]) => state.patch(id.parse().unwrap(), &body),
            ("POST", ["environments", "12", "features", "40", "versions"]) => state.publish(&body),
            ("GET", ["environments", ENVIRONMENT, "edge-identity-overrides"]) => match state.has_edge {
                true => ok(json!({ "results": state.edge })),
                false => detail(404, "Not found."),
            },
            ("GET", ["audit"]) => match &state.audit {
                Some(entries) => page(entries),
                None => detail(403, "You do not have permission to perform this action."),
            },
            ("GET", [kind @ ("projects" | "environments"), "7" | ENVIRONMENT, "my-permissions"]) => {
                match &state.permissions {
                    Some((project, environment)) => ok(if *kind == "projects" { project } else { environment }),
                    None => detail(400, "This endpoint can only be used with a user and not Master API Key"),
                }
            }
            _ => detail(404, "Not found."),
        }
    }
}

impl State {
    fn id(&mut self) -> u64 {
        self.next_id += 1;
        100 + self.next_id
    }

    fn environments(&self) -> Vec<Value> {
        vec![
            json!({ "id": IDS[1], "name": "Development", "api_key": "devKey", "project": 7, "use_v2_feature_versioning": false }),
            json!({
                "id": IDS[0], "name": "Production", "api_key": ENVIRONMENT, "project": 7,
                "minimum_change_request_approvals": self.approvals, "use_v2_feature_versioning": self.is_versioned,
            }),
        ]
    }

    fn features(&self, search: &str, at: usize, request: &Request) -> ResponseTemplate {
        if self.fails_on_page == Some(at) {
            return detail(500, "A server error occurred.");
        }
        let mut all: Vec<Value> = (0..5)
            .map(
                |n| json!({ "id": n, "name": format!("{search}-{n}"), "type": "STANDARD", "multivariate_options": [] }),
            )
            .collect();
        if self.other_spelling {
            all.push(
                json!({ "id": 41, "name": search.to_uppercase(), "type": "STANDARD", "multivariate_options": [] }),
            );
        }
        if let Some(feature) = &self.feature {
            let mut feature = feature.clone();
            let is_identity = |one: &&Value| one["environment"] == IDS[0] && !one["identity"].is_null();
            let n = self.states.iter().filter(is_identity).count() + self.edge.len();
            feature["num_identity_overrides"] = json!(n);
            all.push(feature);
        }
        let per_page = self.per_page.unwrap_or(100);
        let shown: Vec<_> = all.iter().skip((at - 1) * per_page).take(per_page).cloned().collect();
        let next = (at * per_page < all.len()).then(|| {
            let host = request.headers["host"].to_str().unwrap();
            let query = request.url.query().unwrap().split("&page=").next().unwrap();
            format!("http://{host}{}?{query}&page={}", request.url.path(), at + 1)
        });
        ok(json!({ "count": all.len(), "next": next, "previous": null, "results": shown }))
    }

    fn create(&mut self, body: &Value) -> ResponseTemplate {
        if std::mem::take(&mut self.made_meanwhile) {
            self.make(body);
            self.feature.as_mut().unwrap()["description"] = json!("of somebody else");
        }
        if self.feature.is_some() || self.other_spelling {
            let said =
                "Feature with that name already exists for this project. Note that feature names are case insensitive.";
            return ResponseTemplate::new(400).set_body_json(json!({ "name": [said] }));
        }
        self.make(body);
        ResponseTemplate::new(201).set_body_json(&self.feature)
    }

    fn make(&mut self, body: &Value) {
        let mut feature = body.clone();
        feature["id"] = json!(40);
        for option in feature["multivariate_options"].as_array_mut().unwrap() {
            option["id"] = json!(60);
        }
        let shares = |id: u64| -> Vec<Value> {
            let options = feature["multivariate_options"].as_array().unwrap();
            let of = |option: &Value| {
                json!({ "id": id, "multivariate_feature_option": option["id"],
                    "percentage_allocation": option["default_percentage_allocation"].as_f64().unwrap() })
            };
            options.iter().map(of).collect()
        };
        for environment in IDS {
            let (id, share) = (self.id(), self.id());
            let value = json!({ "type": "bool", "boolean_value": false, "string_value": null, "integer_value": null });
            self.states.push(json!({
                "id": id, "feature": 40, "environment": environment, "identity": null, "feature_segment": null,
                "enabled": body["default_enabled"] == true, "feature_state_value": value,
                "multivariate_feature_state_values": shares(share), "version": 1,
            }));
        }
        self.feature = Some(feature);
    }

    /// One that is left out of the list of shares is deleted.
    fn patch(&mut self, id: u64, body: &Value) -> ResponseTemplate {
        let before = self.before_patch.take();
        let state = self.states.iter_mut().find(|state| state["id"] == id).unwrap();
        if let Some(change) = before {
            change(state);
        }
        assert!(!self.is_versioned || !state["identity"].is_null(), "states change only through versions");
        if let Some(enabled) = body.get("enabled") {
            state["enabled"] = enabled.clone();
        }
        if let Some(shares) = body.get("multivariate_feature_state_values") {
            assert!(
                shares.as_array().unwrap().iter().all(|share| share["id"].is_u64()),
                "a share without its id: {shares}"
            );
            state["multivariate_feature_state_values"] = shares.clone();
        }
        ok(state.clone())
    }

    fn publish(&mut self, body: &Value) -> ResponseTemplate {
        assert!(self.is_versioned && body["publish_immediately"] == true, "{body}");
        self.n_versions += 1;
        for change in body["feature_states_to_update"].as_array().unwrap() {
            let segment = change["feature_segment"].get("segment");
            let place = segment.map(|segment| {
                let found = self.segments.iter().find(|one| one["segment"] == *segment).unwrap();
                assert_eq!(change["feature_segment"]["priority"], found["priority"]);
                found["id"].clone()
            });
            let place = place.unwrap_or_default();
            let index = self.states.iter().position(|state| {
                state["environment"] == IDS[0] && state["identity"].is_null() && state["feature_segment"] == place
            });
            let new = self.id();
            let state = &mut self.states[index.unwrap()];
            state["id"] = json!(new);
            for name in ["enabled", "feature_state_value", "multivariate_feature_state_values"] {
                state[name] = change[name].clone();
            }
        }
        for state in self.states.iter_mut().filter(|state| state["environment"] == IDS[0]) {
            for share in state["multivariate_feature_state_values"].as_array_mut().unwrap() {
                self.next_id += 1;
                share["id"] = json!(100 + self.next_id);
            }
        }
        if std::mem::take(&mut self.loses_version) {
            return ResponseTemplate::new(502);
        }
        ResponseTemplate::new(201).set_body_json(json!({ "uuid": "v", "published": true, "is_live": true }))
    }
}
