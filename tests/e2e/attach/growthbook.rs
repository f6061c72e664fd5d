//! A server that keeps one experiment and its feature as GrowthBook does, as far as an attachment sees it: a switch of the environment,
//! and drafts that are published.

use std::sync::{Arc, Mutex, MutexGuard};

use anyhow::Result;
use outcome_tests::wiremock::matchers::any;
use outcome_tests::wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};
use serde_json::{Value, json};

pub(super) struct Kept {
    pub(super) feature: Value,
    pub(super) experiment: Value,
    drafts: Vec<Value>,
    version: i64,
}

pub(super) struct Growthbook {
    server: MockServer,
    kept: Arc<Mutex<Kept>>,
}

struct Answers(Arc<Mutex<Kept>>);

impl Growthbook {
    /// With an experiment that runs since then.
    pub(super) async fn running(key: &str, started_at: &str) -> Self {
        let rule = json!({ "id": "fr_1", "type": "experiment-ref", "experimentId": "exp_1", "enabled": true,
            "allEnvironments": false, "environments": ["production"], "condition": "",
            "variations": [{ "variationId": "v0", "value": "false" }, { "variationId": "v1", "value": "true" }] });
        let feature = json!({ "id": key, "archived": false, "project": "", "valueType": "boolean", "defaultValue": "false",
            "rules": [rule], "environments": { "production": { "enabled": true }, "staging": { "enabled": true } },
            "prerequisites": [], "revision": { "version": 1, "comment": "", "date": started_at } });
        let metric = |id: &str| json!({ "metricId": id, "overrides": {} });
        let experiment = json!({ "id": "exp_1", "trackingKey": "soft-start", "name": "Softer start", "type": "standard",
            "archived": false, "status": "running", "hashAttribute": "id", "linkedFeatures": [key],
            "variations": [{ "variationId": "v0", "key": "0", "name": "As before" }, { "variationId": "v1", "key": "1", "name": "Softer" }],
            "phases": [{ "name": "Main", "dateStarted": started_at, "dateEnded": "", "coverage": 1,
                "trafficSplit": [{ "variationId": "v0", "weight": 0.5 }, { "variationId": "v1", "weight": 0.5 }] }],
            "settings": { "goals": [metric("met_came_back")], "secondaryMetrics": [], "guardrails": [] } });
        let kept = Arc::new(Mutex::new(Kept { feature, experiment, drafts: Vec::new(), version: 1 }));
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(Answers(Arc::clone(&kept))).mount(&server).await;
        Self { server, kept }
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn declared(&self) -> String {
        let url = self.server.uri();
        format!(
            "feature_flags:\n  provider: growthbook\n  config: {{ url: \"{url}\", environment: production, token: \"${{file:growthbook.secret}}\" }}\n"
        )
    }

    pub(super) fn is_on(&self) -> Result<bool> {
        Ok(self.kept().feature["environments"]["production"]["enabled"] == true)
    }
}

impl Respond for Answers {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut kept = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_known =
            request.headers.get("authorization").is_some_and(|value| value == "Bearer secret_outcome_s3cret");
        if !is_known {
            return ResponseTemplate::new(401);
        }
        let body: Value = request.body_json().unwrap_or_default();
        let parts: Vec<_> = request.url.path().trim_matches('/').split('/').collect();
        let ok = |body: Value| ResponseTemplate::new(200).set_body_json(body);
        let unknown = || ResponseTemplate::new(404).set_body_json(json!({ "message": "Could not find it" }));
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["api", "v1", "experiments", "exp_1"]) => {
                let experiment = kept.experiment.clone();
                ok(json!({ "experiment": experiment }))
            }
            ("GET", ["api", "v1", "experiments"]) => {
                let asked = request
                    .url
                    .query_pairs()
                    .find(|(key, _)| key == "trackingKey")
                    .map(|(_, value)| value.into_owned());
                let is_it = asked.as_deref() == kept.experiment["trackingKey"].as_str();
                let found: Vec<_> = is_it.then(|| kept.experiment.clone()).into_iter().collect();
                ok(
                    json!({ "experiments": found, "limit": 10, "offset": 0, "count": found.len(), "total": found.len(), "hasMore": false }),
                )
            }
            ("GET", ["api", "v1", "settings"]) => ok(json!({ "settings": { "requireReviews": false } })),
            ("GET", ["api", "v1", "ramp-schedules"]) => ok(json!({ "rampSchedules": [] })),
            ("GET", ["api", "v2", "features", key]) if *key == kept.feature["id"] => {
                ok(json!({ "feature": kept.feature }))
            }
            ("POST", ["api", "v2", "features", _, "toggle"]) => {
                kept.feature["environments"]["production"]["enabled"] = body["environments"]["production"].clone();
                kept.version += 1;
                kept.feature["revision"]["version"] = json!(kept.version);
                ok(json!({ "feature": kept.feature }))
            }
            ("GET", ["api", "v2", "features", _, "revisions"]) => {
                let open: Vec<_> = kept.drafts.iter().filter(|draft| draft["status"] == "draft").collect();
                ok(json!({ "revisions": open, "hasMore": false }))
            }
            ("POST", ["api", "v2", "features", _, "revisions"]) => {
                kept.version += 1;
                let draft = json!({ "version": kept.version, "baseVersion": kept.feature["revision"]["version"], "status": "draft",
                    "comment": body["comment"], "rules": kept.feature["rules"] });
                kept.drafts.push(draft.clone());
                ok(json!({ "revision": draft }))
            }
            ("POST", ["api", "v2", "features", _, "revisions", _, "toggle"]) => {
                let Some(draft) = kept.drafts.last_mut() else { return unknown() };
                draft["environmentsEnabled"] = json!({ "production": body["enabled"] });
                ok(json!({ "revision": draft }))
            }
            ("POST", ["api", "v2", "features", _, "revisions", _, "publish"]) => {
                let Some(draft) = kept.drafts.last_mut() else { return unknown() };
                draft["status"] = json!("published");
                let draft = draft.clone();
                kept.feature["environments"]["production"]["enabled"] =
                    draft["environmentsEnabled"]["production"].clone();
                kept.feature["revision"]["version"] = draft["version"].clone();
                ok(json!({ "revision": draft }))
            }
            _ => unknown(),
        }
    }
}
