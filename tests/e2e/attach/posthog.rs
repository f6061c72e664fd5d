//! A server that keeps experiments and their flags as PostHog does, as far as an attachment sees it.

use std::sync::{Arc, Mutex, MutexGuard};

use anyhow::{Context as _, Result};
use outcome_tests::wiremock::matchers::any;
use outcome_tests::wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};
use serde_json::{Value, json};

/// Its memory: flags by their place, which is their id less one, and experiments with the same numbers.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) flags: Vec<Value>,
    pub(super) experiments: Vec<Value>,
    /// What was written: the action and the key.
    pub(super) writes: Vec<(String, String)>,
    /// Answers every request with this status.
    pub(super) down: Option<u16>,
    /// The key lacks the right to read experiments.
    pub(super) hides_experiments: bool,
    /// The key lacks the right to write flags.
    pub(super) may_not_write: bool,
}

/// The server.
pub(super) struct Posthog {
    server: MockServer,
    kept: Arc<Mutex<Kept>>,
}

struct Answers(Arc<Mutex<Kept>>);

impl Posthog {
    pub(super) async fn start() -> Self {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(Answers(Arc::clone(&kept))).mount(&server).await;
        Self { server, kept }
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The `feature_flags` of an outcome file; the token is in `posthog.secret`.
    pub(super) fn declared(&self) -> String {
        let url = self.server.uri();
        format!(
            "feature_flags:\n  provider: posthog\n  config: {{ url: \"{url}\", project_id: \"7\", token: \"${{file:posthog.secret}}\" }}\n"
        )
    }

    /// Somebody begins an experiment there: its number.
    pub(super) fn begin(&self, key: &str, started_at: &str, (control, treatment): (u8, u8)) -> String {
        let mut kept = self.kept();
        let id = kept.flags.len() + 1;
        kept.flags.push(json!({
            "id": id, "key": key, "name": "", "active": true, "deleted": false, "archived": false, "version": 1,
            "is_remote_configuration": false, "experiment_set": [id],
            "filters": {
                "groups": [{ "properties": [], "rollout_percentage": 100, "variant": null }],
                "multivariate": { "variants": [
                    { "key": "control", "rollout_percentage": control }, { "key": "test", "rollout_percentage": treatment },
                ] },
                "holdout": { "id": 7, "exclusion_percentage": 5 },
            },
        }));
        kept.experiments.push(json!({
            "id": id, "name": format!("Try {key}"), "feature_flag_key": key, "feature_flag": { "id": id, "key": key },
            "start_date": started_at, "end_date": null, "archived": false,
            "parameters": { "feature_flag_variants": [] },
            "metrics": [{ "name": "Came back", "kind": "ExperimentMetric" }],
        }));
        id.to_string()
    }

    /// The flag as it is there.
    pub(super) fn flag(&self, key: &str) -> Result<Value> {
        let kept = self.kept();
        kept.flags.iter().find(|flag| flag["key"] == key).cloned().with_context(|| format!("no flag {key}"))
    }

    pub(super) fn is_on(&self, key: &str) -> Result<bool> {
        Ok(self.flag(key)?["active"] == true)
    }

    /// What somebody changes there.
    pub(super) fn edit(&self, key: &str, edit: impl FnOnce(&mut Value)) {
        if let Some(flag) = self.kept().flags.iter_mut().find(|flag| flag["key"] == key) {
            edit(flag);
            flag["version"] = json!(flag["version"].as_i64().unwrap_or(0) + 1);
        }
    }
}

impl Respond for Answers {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut kept = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(status) = kept.down {
            return ResponseTemplate::new(status);
        }
        let is_known = request.headers.get("authorization").is_some_and(|value| value == "Bearer phx_s3cret");
        if !is_known {
            return ResponseTemplate::new(401);
        }
        let parts: Vec<_> = request.url.path().trim_matches('/').split('/').collect();
        let ok = |body: &Value| ResponseTemplate::new(200).set_body_json(body);
        let at = |id: &str| id.parse::<usize>().ok().and_then(|id| id.checked_sub(1));
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["api", "projects", "7", "feature_flags"]) => {
                let asked = request.url.query_pairs().find(|(key, _)| key == "search");
                let search = asked.map(|(_, value)| value.into_owned()).unwrap_or_default();
                let is_found = |flag: &&Value| flag["key"].as_str().is_some_and(|key| key.contains(&search));
                let found: Vec<_> = kept.flags.iter().filter(is_found).collect();
                ok(&json!({ "count": found.len(), "next": null, "results": found }))
            }
            ("GET", ["api", "projects", "7", "experiments", _]) if kept.hides_experiments => ResponseTemplate::new(403),
            ("GET", ["api", "projects", "7", "experiments", id]) => {
                match at(id).and_then(|at| kept.experiments.get(at)) {
                    Some(found) => ok(found),
                    None => ResponseTemplate::new(404).set_body_json(json!({ "detail": "Not found." })),
                }
            }
            ("GET", ["api", "personal_api_keys", "@current"]) => {
                let writes = if kept.may_not_write { "feature_flag:read" } else { "feature_flag:write" };
                ok(
                    &json!({ "id": "k", "label": "outcome-runtime", "scopes": [writes, "experiment:read"], "scoped_teams": [7] }),
                )
            }
            ("GET", ["api", "projects", "7", "scheduled_changes"]) => ok(&json!({ "results": [], "next": null })),
            ("GET", ["api", "projects", "7", "feature_flags", _, "activity"]) => ok(&json!({ "results": [{
                "activity": "updated", "created_at": "2026-10-02T08:00:00Z", "user": { "first_name": "Ann", "last_name": "Lee" },
            }], "next": null })),
            ("POST", ["api", "projects", "7", "feature_flags", id, action @ ("enable" | "disable")]) => {
                let Some(at) = at(id).filter(|at| *at < kept.flags.len()) else { return ResponseTemplate::new(404) };
                let key = kept.flags[at]["key"].as_str().unwrap_or_default().to_owned();
                kept.writes.push(((*action).to_owned(), key));
                kept.flags[at]["active"] = json!(*action == "enable");
                ok(&kept.flags[at])
            }
            (method, _) => {
                kept.writes.push((method.to_owned(), request.url.path().to_owned()));
                ResponseTemplate::new(404).set_body_json(json!({ "detail": "Not found." }))
            }
        }
    }
}
