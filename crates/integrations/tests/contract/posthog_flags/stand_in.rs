//! Keeps flags as PostHog does: versions, approvals, actions that an older server lacks.

use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Map, Value, json};
use wiremock::{Request, ResponseTemplate};

use super::super::flag_kit::{KEY, StandIn};

/// What others do to a flag.
type Edit = fn(&mut Value);
/// What somebody does to a flag just before our write arrives.
type Race = Box<dyn FnOnce(&mut Value) + Send>;

/// Its memory.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) flags: Vec<Value>,
    /// An older server: only `PATCH`.
    pub(super) lacks_actions: bool,
    pub(super) race: Option<Race>,
    /// Actions that need an approval: `update`, `enable`, `disable`.
    pub(super) gated: Vec<&'static str>,
    /// Change requests: action, id of the flag, what is to be written.
    pub(super) waiting: Vec<(String, u64, Value)>,
    /// Others depend on our flag.
    pub(super) has_dependents: bool,
    pub(super) scheduled: Vec<Value>,
    pub(super) experiment: Value,
    pub(super) activity: Vec<Value>,
    pub(super) scopes: Vec<&'static str>,
    pub(super) writes: usize,
}

/// The stand-in, shared with the test.
#[derive(Clone, Default)]
pub(super) struct Server(Arc<Mutex<Kept>>);

impl Server {
    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap()
    }

    /// The flag of the tests.
    pub(super) fn flag(&self) -> Value {
        self.kept().flags.iter().find(|flag| flag["key"] == KEY).unwrap().clone()
    }

    /// What another writer does.
    pub(super) fn edit(&self, edit: impl FnOnce(&mut Value)) {
        let mut kept = self.kept();
        let flag = kept.flags.iter_mut().find(|flag| flag["key"] == KEY).unwrap();
        edit(flag);
        flag["version"] = json!(flag["version"].as_i64().unwrap() + 1);
    }

    /// Grants what waits, as PostHog does: by itself, and only for the version for which it was asked.
    pub(super) fn approve(&self) {
        let waiting = std::mem::take(&mut self.kept().waiting);
        for (_, id, change) in waiting {
            let mut kept = self.kept();
            let flag = kept.flags.iter_mut().find(|flag| flag["id"] == id).unwrap();
            apply(flag, &change);
        }
    }

    pub(super) fn answers(&self) -> super::super::flag_kit::Answers {
        let server = self.clone();
        Arc::new(move |request| server.answer(request))
    }

    fn answer(&self, request: &Request) -> ResponseTemplate {
        assert_eq!(request.headers["authorization"], "Bearer phx_s3cret");
        let path = request.url.path();
        assert!(path.ends_with('/'), "{path}: PostHog redirects");
        let parts: Vec<_> = path.trim_matches('/').split('/').collect();
        let mut kept = self.kept();
        let body: Value = request.body_json().unwrap_or_default();
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["api", "projects", "7", "feature_flags"]) => list(&kept, request),
            ("POST", ["api", "projects", "7", "feature_flags"]) => create(&mut kept, &body),
            ("PATCH", ["api", "projects", "7", "feature_flags", id]) => patch(&mut kept, id, &body),
            ("GET", ["api", "projects", "7", "feature_flags", _, "activity"]) => {
                match kept.scopes.contains(&"activity_log:read") {
                    true => ok(&json!({ "results": kept.activity, "next": null })),
                    false => denied("activity_log:read"),
                }
            }
            ("POST", ["api", "projects", "7", "feature_flags", id, action]) if !kept.lacks_actions => {
                act(&mut kept, id, action, &body)
            }
            ("GET", ["api", "projects", "7", "scheduled_changes"]) => {
                ok(&json!({ "results": kept.scheduled, "next": null }))
            }
            ("GET", ["api", "projects", "7", "experiments", _]) => match kept.scopes.contains(&"experiment:read") {
                true => ok(&kept.experiment),
                false => denied("experiment:read"),
            },
            ("GET", ["api", "personal_api_keys", "@current"]) => {
                ok(&json!({ "id": "k", "label": "outcome-runtime", "scopes": kept.scopes, "scoped_teams": [7] }))
            }
            _ => error(404, "not_found", "Not found.", None),
        }
    }
}

fn ok(body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn error(status: u16, code: &str, detail: &str, attr: Option<&str>) -> ResponseTemplate {
    let body = json!({ "type": "validation_error", "code": code, "detail": detail, "attr": attr });
    ResponseTemplate::new(status).set_body_json(body)
}

fn denied(scope: &str) -> ResponseTemplate {
    error(403, "permission_denied", &format!("API key missing required scope '{scope}'"), None)
}

fn list(kept: &Kept, request: &Request) -> ResponseTemplate {
    let asked =
        |name: &str| request.url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let search = asked("search").unwrap();
    let archived = asked("archived").is_some();
    let found: Vec<_> = kept
        .flags
        .iter()
        .filter(|flag| {
            flag["key"].as_str().unwrap().contains(&search) || flag["name"].as_str().unwrap().contains(&search)
        })
        .filter(|flag| flag["deleted"] == json!(false) && (archived || flag["archived"] == json!(false)))
        .collect();
    let offset: usize = asked("offset").unwrap().parse().unwrap();
    let page: Vec<_> = found.iter().skip(offset).take(100).collect();
    let next = (found.len() > offset + 100).then_some("http://elsewhere.example/next");
    ok(&json!({ "count": found.len(), "next": next, "previous": null, "results": page }))
}

/// A flag as the server makes it of what is sent.
pub(super) fn made(id: usize, body: &Value) -> Value {
    let mut flag = json!({
        "id": id, "name": "", "active": true, "deleted": false, "archived": false, "version": 1, "tags": [],
        "is_remote_configuration": false, "experiment_set": [], "filters": {},
    });
    apply(&mut flag, body);
    flag["version"] = json!(1);
    flag
}

fn create(kept: &mut Kept, body: &Value) -> ResponseTemplate {
    if kept.flags.iter().any(|flag| flag["key"] == body["key"] && flag["deleted"] == json!(false)) {
        return error(400, "unique", "There is already a feature flag with this key.", Some("key"));
    }
    let flag = made(kept.flags.len() + 1, body);
    kept.flags.push(flag.clone());
    ResponseTemplate::new(201).set_body_json(flag)
}

fn apply(flag: &mut Value, change: &Value) {
    for (field, value) in change.as_object().unwrap() {
        if !field.starts_with('_') && !["version", "original_flag"].contains(&field.as_str()) {
            flag[field] = value.clone();
        }
    }
    flag["version"] = json!(flag["version"].as_i64().unwrap_or(0) + 1);
}

/// Finds the flag, after somebody else was faster.
fn at(kept: &mut Kept, id: &str) -> Option<usize> {
    let id: u64 = id.parse().ok()?;
    let index = kept.flags.iter().position(|flag| flag["id"] == id)?;
    kept.writes += 1;
    if let Some(race) = kept.race.take() {
        let flag = &mut kept.flags[index];
        race(flag);
        flag["version"] = json!(flag["version"].as_i64().unwrap() + 1);
    }
    Some(index)
}

fn patch(kept: &mut Kept, id: &str, body: &Value) -> ResponseTemplate {
    let Some(index) = at(kept, id) else { return error(404, "not_found", "Not found.", None) };
    let flag = &kept.flags[index];
    let empty = Map::new();
    let original = body["original_flag"].as_object().unwrap_or(&empty);
    // The version alone protects nothing: what is sent is compared with the flag as it was read.
    let is_conflict = |field: &str| {
        original.get(field).is_some_and(|old| *old != body[field] && *old != flag[field] && body[field] != flag[field])
    };
    if body["version"] != flag["version"] && ["filters", "active"].into_iter().any(is_conflict) {
        return error(
            409,
            "conflict",
            "The feature flag was updated by ann@shop.example since you started editing it.",
            None,
        );
    }
    let mut change = body.clone();
    for field in ["version", "original_flag"] {
        change.as_object_mut().unwrap().remove(field);
    }
    write(kept, index, change)
}

fn act(kept: &mut Kept, id: &str, action: &str, body: &Value) -> ResponseTemplate {
    let Some(index) = at(kept, id) else { return error(404, "not_found", "Not found.", None) };
    let flag = &kept.flags[index];
    let change = match action {
        "enable" if flag["archived"] == json!(true) => {
            return error(400, "invalid_input", "Cannot enable an archived feature flag. Unarchive it first.", None);
        }
        "enable" => json!({ "active": true }),
        "disable" => json!({ "active": false }),
        "set_release_condition_rollout" => {
            let version = body["version"].as_i64().unwrap();
            if flag["version"] != json!(version) {
                let detail = format!("The feature flag has changed since version {version}. Read it again.");
                return error(409, "conflict", &detail, None);
            }
            let mut filters = flag["filters"].clone();
            filters["groups"][usize::try_from(body["condition_index"].as_u64().unwrap()).unwrap()]["rollout_percentage"] =
                body["rollout_percentage"].clone();
            json!({ "filters": filters })
        }
        _ => return error(404, "not_found", "Not found.", None),
    };
    write(kept, index, change)
}

fn write(kept: &mut Kept, index: usize, change: Value) -> ResponseTemplate {
    let flag = &kept.flags[index];
    let id = flag["id"].as_u64().unwrap();
    let turns = change.get("active").filter(|active| **active != flag["active"]).and_then(Value::as_bool);
    if turns == Some(false) && kept.has_dependents {
        let detail = "Cannot disable this feature flag because other flags depend on it: pricing (ID: 12)";
        return error(400, "invalid_input", detail, None);
    }
    let needs = match turns {
        Some(true) => "enable",
        Some(false) => "disable",
        None if change.get("filters").is_some_and(|filters| *filters != flag["filters"]) => "update",
        None => "",
    };
    if kept.gated.contains(&needs) {
        let is_there = kept.waiting.iter().any(|(action, of, _)| action == needs && *of == id);
        let code = if is_there { "change_request_pending" } else { "approval_required" };
        if !is_there {
            kept.waiting.push((needs.to_owned(), id, change));
        }
        let body = json!({
            "code": code, "status": "approval_required", "detail": "A change request is pending approval.",
            "change_request_id": format!("cr-{needs}"), "required_approvers": { "quorum": 1, "users": [42] },
        });
        return ResponseTemplate::new(409).set_body_json(body);
    }
    let flag = &mut kept.flags[index];
    apply(flag, &change);
    ok(flag)
}

fn stand_in(lacks_actions: bool) -> StandIn {
    let server = Server::default();
    server.kept().lacks_actions = lacks_actions;
    server.kept().scopes = vec!["feature_flag:write", "experiment:read"];
    server.kept().experiment = json!({ "id": 3, "name": "Short form", "end_date": "2026-11-20T10:00:00Z" });
    let edits: Vec<(&'static str, Edit)> = vec![
        ("another share", |flag| flag["filters"]["groups"][0]["rollout_percentage"] = json!(40)),
        ("half a percent", |flag| flag["filters"]["groups"][0]["rollout_percentage"] = json!(10.5)),
        ("no share, which is everybody", |flag| flag["filters"]["groups"][0]["rollout_percentage"] = Value::Null),
        ("off", |flag| flag["active"] = json!(false)),
        ("deleted", |flag| flag["deleted"] = json!(true)),
        ("archived", |flag| {
            flag["active"] = json!(false);
            flag["archived"] = json!(true);
        }),
        ("a second condition", |flag| {
            flag["filters"]["groups"]
                .as_array_mut()
                .unwrap()
                .push(json!({ "properties": [], "rollout_percentage": 100 }));
        }),
        ("a condition on properties", |flag| {
            flag["filters"]["groups"][0]["properties"] = json!([{ "key": "email", "type": "person", "value": "a" }]);
        }),
        ("a condition on another flag", |flag| {
            flag["filters"]["groups"][0]["properties"] = json!([{ "key": 12, "type": "flag", "value": true }]);
        }),
        ("no condition", |flag| flag["filters"]["groups"] = json!([])),
        ("variants", |flag| {
            flag["filters"]["multivariate"] = json!({ "variants": [{ "key": "test", "rollout_percentage": 100 }] });
        }),
        ("a variant", |flag| flag["filters"]["groups"][0]["variant"] = json!("test")),
        ("groups of persons", |flag| flag["filters"]["aggregation_group_type_index"] = json!(0)),
        ("groups in the condition", |flag| flag["filters"]["groups"][0]["aggregation_group_type_index"] = json!(1)),
        ("early access", |flag| flag["filters"]["feature_enrollment"] = json!(true)),
        ("old early access", |flag| {
            flag["filters"]["super_groups"] = json!([{ "properties": [], "rollout_percentage": 100 }]);
        }),
        ("a remote configuration", |flag| flag["is_remote_configuration"] = json!(true)),
        ("rules", |flag| flag["filters"] = json!({ "version": 2, "rules": [] })),
        ("an ended experiment", |flag| flag["experiment_set"] = json!([3])),
    ];
    let meddling = edits
        .into_iter()
        .map(|(what, edit)| {
            let server = server.clone();
            let meddles: super::super::flag_kit::Meddles = Arc::new(move || server.edit(edit));
            (what, meddles)
        })
        .collect();
    StandIn { answers: server.answers(), meddling }
}

pub(super) fn newer() -> StandIn {
    stand_in(false)
}

pub(super) fn older() -> StandIn {
    stand_in(true)
}
