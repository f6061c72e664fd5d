//! PostHog's feature flags, against a stand-in that behaves as its server does.

mod elsewhere;
mod stand_in;

use std::path::Path;

use outcome_core::Code;
use outcome_core::error::error_chain;
use outcome_core::ports::flags::{Found, drift};
use outcome_core::ports::{FlagAct, FlagError, FlagService, FlagState};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use stand_in::{Server, made};
use wiremock::MockServer;

use super::contract::flag_service;
use super::flag_kit::{KEY, Vendor, all, contracts, put};

const NEWER: Vendor = Vendor {
    kind: "posthog",
    name: "PostHog",
    config: "url: \"${URL}\", project_id: \"7\", token: \"${KEY}\"",
    secrets: &[("${KEY}", "phx_s3cret")],
    stand_in: stand_in::newer,
    spec: "posthog",
};

async fn serve(server: &Server) -> (MockServer, Box<dyn FlagService>) {
    NEWER.serve(&server.answers()).await
}

/// A server with our flag, on at this share.
async fn at(share: u8) -> (Server, MockServer, Box<dyn FlagService>) {
    let server = Server::default();
    server.kept().scopes = vec!["feature_flag:write"];
    let (mock, service) = serve(&server).await;
    service.ensure(KEY, "Short form").await.unwrap();
    put(service.as_ref(), &FlagState::on(KEY, share)).await.unwrap();
    (server, mock, service)
}

#[tokio::test]
async fn it_does_what_every_flag_service_does() {
    all(&NEWER).await;
}

#[tokio::test]
async fn an_older_server_without_actions_does_too() {
    all(&Vendor { stand_in: stand_in::older, ..NEWER }).await;
}

/// With everything that the runtime does not own.
fn filters() -> Value {
    json!({
        "groups": [{ "properties": [], "rollout_percentage": 10, "variant": null, "description": "all", "sort_key": "a" }],
        "multivariate": null,
        "payloads": { "true": "{\"copy\": \"a\"}" },
        "holdout": { "id": 7, "exclusion_percentage": 5 },
        "holdout_groups": [{ "properties": [], "rollout_percentage": 5, "variant": "holdout-7" }],
        "invented": { "n": 1.50, "z": [null] },
    })
}

#[tokio::test]
async fn only_the_percentage_differs_after_a_change() {
    for lacks_actions in [false, true] {
        let (server, _mock, service) = at(10).await;
        server.kept().lacks_actions = lacks_actions;
        server.edit(|flag| flag["filters"] = filters());
        let before = server.flag();
        put(service.as_ref(), &FlagState::on(KEY, 20)).await.unwrap();
        let mut expected = filters();
        expected["groups"][0]["rollout_percentage"] = json!(20);
        assert_eq!(server.flag()["filters"], expected, "{lacks_actions}");
        put(service.as_ref(), &FlagState::off(KEY)).await.unwrap();
        assert_eq!(server.flag()["filters"], expected, "{lacks_actions}");
        for field in ["key", "name", "tags", "archived"] {
            assert_eq!(server.flag()[field], before[field]);
        }
    }
}

#[tokio::test]
async fn a_flag_from_before_versions_were_kept_is_changed_too() {
    let (server, mock, service) = at(10).await;
    server.edit(|_| {});
    server.kept().flags[0]["version"] = Value::Null;
    assert_eq!(service.set_rollout(KEY, 20).await.unwrap(), FlagState::on(KEY, 20));
    let last = mock.received_requests().await.unwrap().pop().unwrap();
    let body: Value = last.body_json().unwrap();
    assert_eq!((last.method.as_str(), &body["version"]), ("PATCH", &Value::Null));
    assert_eq!(body["original_flag"]["filters"]["groups"][0]["rollout_percentage"], json!(10));
}

#[tokio::test]
async fn a_second_writer_between_read_and_write_makes_it_decide_again() {
    for lacks_actions in [false, true] {
        // It stays ours: the change is decided again on what is there now, and nothing of the other's is lost.
        let (server, _mock, service) = at(10).await;
        server.kept().lacks_actions = lacks_actions;
        server.kept().race = Some(Box::new(|flag| {
            flag["filters"]["groups"][0]["rollout_percentage"] = json!(15);
            flag["filters"]["payloads"] = json!({ "true": "2" });
        }));
        assert_eq!(service.set_rollout(KEY, 20).await.unwrap(), FlagState::on(KEY, 20), "{lacks_actions}");
        assert_eq!(server.flag()["filters"]["payloads"], json!({ "true": "2" }), "{lacks_actions}");
        assert_eq!(server.flag()["filters"]["groups"][0]["rollout_percentage"], json!(20), "{lacks_actions}");

        // It no longer is: the other's audience does not get our percentage.
        let (server, _mock, service) = at(10).await;
        server.kept().lacks_actions = lacks_actions;
        let theirs =
            json!([{ "properties": [{ "key": "plan", "type": "person", "value": "pro" }], "rollout_percentage": 100 }]);
        let audience = theirs.clone();
        server.kept().race = Some(Box::new(move |flag| flag["filters"]["groups"] = audience));
        let error = service.set_rollout(KEY, 20).await.unwrap_err();
        assert!(matches!(&error, FlagError::Foreign { problem, .. } if problem.contains("`plan`")), "{error:?}");
        assert_eq!(server.flag()["filters"]["groups"], theirs, "{lacks_actions}");
    }
}

#[tokio::test]
async fn a_flag_that_is_changed_while_it_is_turned_on_is_off_again() {
    let (server, _mock, service) = at(10).await;
    service.off(KEY).await.unwrap();
    server.kept().race = Some(Box::new(|flag| {
        flag["filters"]["groups"].as_array_mut().unwrap().push(json!({ "properties": [], "rollout_percentage": 100 }));
    }));
    let error = service.set_rollout(KEY, 10).await.unwrap_err();
    assert!(
        matches!(&error, FlagError::Foreign { problem, .. } if problem.contains("2 release conditions")),
        "{error:?}"
    );
    assert_eq!(server.flag()["active"], json!(false));
}

#[tokio::test]
async fn it_gives_up_when_others_are_always_faster() {
    let (server, mock, service) = at(10).await;
    let before = mock.received_requests().await.unwrap().len();
    let answers = server.answers();
    let (racing, racing_service) = NEWER
        .serve(
            &(std::sync::Arc::new(move |request: &wiremock::Request| {
                if request.method.as_str() == "POST" {
                    server.edit(|flag| flag["name"] = json!("renamed"));
                }
                answers(request)
            }) as super::flag_kit::Answers),
        )
        .await;
    let error = racing_service.set_rollout(KEY, 20).await.unwrap_err();
    assert!(error_chain(&error).contains("409"), "{error:?}");
    let posts = racing.received_requests().await.unwrap().iter().filter(|one| one.method.as_str() == "POST").count();
    assert_eq!(posts, 3);
    assert_eq!(mock.received_requests().await.unwrap().len(), before);
    drop(service);
}

#[tokio::test]
async fn the_exact_key_is_found_on_whatever_page() {
    let server = Server::default();
    for n in 0..250 {
        server.kept().flags.push(made(n + 1, &json!({ "key": format!("{KEY}-{n}"), "name": KEY })));
    }
    let (mock, service) = serve(&server).await;
    assert_eq!(service.read(KEY).await.unwrap(), None, "others have it in their keys and names");
    server.kept().flags.push(made(
        251,
        &json!({
            "key": KEY, "active": true, "filters": { "groups": [{ "rollout_percentage": 30 }] },
        }),
    ));
    assert_eq!(service.read(KEY).await.unwrap(), Some(FlagState::on(KEY, 30)));
    assert!(mock.received_requests().await.unwrap().iter().all(|one| one.url.path().ends_with("/feature_flags/")));

    // A page that fails is no list.
    let answers = server.answers();
    let failing: super::flag_kit::Answers =
        std::sync::Arc::new(move |request| match request.url.query().unwrap_or_default().contains("offset=100") {
            true => wiremock::ResponseTemplate::new(500),
            false => answers(request),
        });
    let (_mock, service) = NEWER.serve(&failing).await;
    assert!(service.read(KEY).await.is_err());
    assert!(service.ensure(KEY, "d").await.is_err());
    assert!(service.off(KEY).await.is_err(), "a page that failed is no flag that is off");
}

#[tokio::test]
async fn an_approval_is_waited_for_and_asked_for_once() {
    for lacks_actions in [false, true] {
        let (server, _mock, service) = at(10).await;
        server.kept().lacks_actions = lacks_actions;
        server.kept().gated = vec!["update", "enable", "disable"];
        let error = service.set_rollout(KEY, 60).await.unwrap_err();
        assert!(
            matches!(&error, FlagError::Review { problem, .. } if problem.contains("cr-update waits")),
            "{error:?}"
        );
        let error = service.set_rollout(KEY, 60).await.unwrap_err();
        assert!(
            matches!(&error, FlagError::Review { problem, .. } if problem.contains("asked for before")),
            "{error:?}"
        );
        assert_eq!(service.read(KEY).await.unwrap(), Some(FlagState::on(KEY, 10)), "waiting is no change");
        assert_eq!(server.kept().waiting.len(), 1);
        server.approve();
        let writes = server.kept().writes;
        assert_eq!(put(service.as_ref(), &FlagState::on(KEY, 60)).await.unwrap(), FlagState::on(KEY, 60));
        assert_eq!(server.kept().writes, writes, "PostHog applied it by itself");

        // Off asks too, and goes on asking.
        assert!(matches!(service.off(KEY).await, Err(FlagError::Review { .. })));
        assert!(matches!(service.off(KEY).await, Err(FlagError::Review { .. })));
        assert_eq!(service.read(KEY).await.unwrap(), Some(FlagState::on(KEY, 60)), "{lacks_actions}");
        server.approve();
        assert_eq!(put(service.as_ref(), &FlagState::off(KEY)).await.unwrap(), FlagState::off(KEY));

        // On again: the share first, without effect, and then the switch.
        assert!(matches!(service.set_rollout(KEY, 5).await, Err(FlagError::Review { .. })));
        server.approve();
        assert_eq!(service.read(KEY).await.unwrap(), Some(FlagState::off(KEY)));
        assert!(matches!(service.set_rollout(KEY, 5).await, Err(FlagError::Review { .. })));
        server.approve();
        assert_eq!(service.set_rollout(KEY, 5).await.unwrap(), FlagState::on(KEY, 5));
    }
}

#[tokio::test]
async fn a_flag_that_others_depend_on_lets_nobody_in_and_people_hear_of_it() {
    let (server, _mock, service) = at(10).await;
    server.kept().has_dependents = true;
    server.edit(|flag| {
        flag["filters"]["groups"].as_array_mut().unwrap().push(json!({ "properties": [], "rollout_percentage": 100 }));
    });
    let error = service.off(KEY).await.unwrap_err();
    let shown = error.to_string();
    assert!(matches!(error, FlagError::Review { .. }), "{shown}");
    assert!(shown.contains("pricing (ID: 12)") && shown.contains("each of its percentages is 0"), "{shown}");
    let shares: Vec<_> = server.flag()["filters"]["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["rollout_percentage"].clone())
        .collect();
    assert_eq!(shares, [json!(0), json!(0)]);
    server.kept().has_dependents = false;
    assert_eq!(put(service.as_ref(), &FlagState::off(KEY)).await.unwrap(), FlagState::off(KEY));
}

#[tokio::test]
async fn a_change_that_posthog_will_make_by_itself_is_no_base_for_a_share() {
    let (server, _mock, service) = at(10).await;
    server.kept().scheduled = vec![
        json!({ "executed_at": "2026-11-01T00:00:00Z", "payload": { "operation": "update_status" } }),
        json!({ "executed_at": null, "scheduled_at": "2026-12-01T00:00:00Z", "payload": { "operation": "add_release_condition" } }),
    ];
    let error = service.set_rollout(KEY, 20).await.unwrap_err();
    let FlagError::Foreign { problem, .. } = &error else { panic!("{error:?}") };
    assert!(problem.contains("`add_release_condition` is scheduled for 2026-12-01"), "{problem}");
    assert_eq!(service.read(KEY).await.unwrap(), Some(FlagState::on(KEY, 10)), "it has not moved yet");
    assert_eq!(service.off(KEY).await.unwrap(), FlagState::off(KEY), "off is off");
    server.kept().scheduled.pop();
    assert_eq!(service.set_rollout(KEY, 20).await.unwrap(), FlagState::on(KEY, 20));
}

#[tokio::test]
async fn an_experiment_that_ended_and_left_its_flag_on_is_drift() {
    let (server, _mock, service) = at(10).await;
    server.kept().scopes.push("experiment:read");
    let ten = FlagState::on(KEY, 10);
    server.edit(|flag| flag["experiment_set"] = json!([3]));
    server.kept().experiment = json!({ "id": 3, "name": "Short form", "end_date": null });
    assert_eq!(drift(service.as_ref(), &ten).await.unwrap(), None, "it runs");
    server.kept().experiment["end_date"] = json!("2026-11-20T10:00:00Z");
    let found = drift(service.as_ref(), &ten).await.unwrap().unwrap();
    assert!(
        matches!(&found.found, Found::Otherwise(what) if what.contains("`Short form` ended at 2026-11-20")),
        "{found}"
    );
    put(service.as_ref(), &FlagState::off(KEY)).await.unwrap();
    assert_eq!(server.flag()["active"], json!(false));
    assert_eq!(drift(service.as_ref(), &FlagState::off(KEY)).await.unwrap(), None);

    // Without the scope nothing is known of it, and the flag can be used.
    let (server, _mock, service) = at(10).await;
    server.edit(|flag| flag["experiment_set"] = json!([3]));
    assert_eq!(drift(service.as_ref(), &ten).await.unwrap(), None);
}

#[tokio::test]
async fn it_tells_who_or_what_changed_a_flag_last() {
    let (server, _mock, service) = at(10).await;
    assert_eq!(service.last_change(KEY).await.unwrap(), None, "the key may not see it");
    server.kept().scopes.push("activity_log:read");
    assert_eq!(service.last_change(KEY).await.unwrap(), None, "there is nothing");
    server.kept().activity = vec![json!({
        "activity": "updated", "created_at": "2026-11-28T08:00:00Z", "is_system": false,
        "user": { "first_name": "Ann\u{7}", "last_name": "Lee", "email": "ann@shop.example" },
        "detail": { "changes": [{ "field": "filters", "before": 1, "after": 2 }, { "field": "active" }] },
    })];
    server.edit(|flag| flag["filters"]["groups"][0]["rollout_percentage"] = json!(90));
    let found = drift(service.as_ref(), &FlagState::on(KEY, 10)).await.unwrap().unwrap();
    let cause = found.cause.unwrap();
    assert!(
        cause.starts_with("Ann") && cause.ends_with("Lee updated: `filters`, `active` at 2026-11-28T08:00:00Z"),
        "{cause}"
    );
    assert!(!cause.contains('\u{7}'), "{cause:?}");
    server.kept().activity = vec![json!({
        "activity": "updated", "created_at": "2026-11-28T08:00:00Z",
        "user": { "first_name": "Ann", "last_name": "", "email": "" },
        "detail": { "changes": [{ "field": "active" }], "trigger": { "job_type": "scheduled_change", "job_id": "4" } },
    })];
    let cause = service.last_change(KEY).await.unwrap().unwrap();
    assert_eq!(cause, "PostHog itself (`scheduled_change`) updated: `active` at 2026-11-28T08:00:00Z");
}

#[tokio::test]
async fn the_key_says_what_it_may_do() {
    let server = Server::default();
    let (mock, service) = serve(&server).await;
    let allowed = async |scopes: &[&'static str]| {
        server.kept().scopes = scopes.to_vec();
        let rights = service.rights().await.unwrap();
        let of = |act| rights.iter().find(|right| right.act == act).unwrap().is_allowed;
        [FlagAct::Read, FlagAct::Create, FlagAct::Rollout, FlagAct::Off, FlagAct::SkipReviews].map(of)
    };
    let yes = Some(true);
    assert_eq!(allowed(&["feature_flag:write"]).await, [yes, yes, yes, yes, None]);
    assert_eq!(allowed(&["feature_flag:read"]).await, [yes, Some(false), Some(false), Some(false), None]);
    assert_eq!(allowed(&["*"]).await, [yes; 5]);
    assert_eq!(allowed(&["feature_flag:write", "approvals:write"]).await, [yes; 5]);
    assert!(mock.received_requests().await.unwrap().iter().all(|one| one.method.as_str() == "GET"));
    assert!(server.kept().flags.is_empty());
}

#[tokio::test]
async fn a_flag_that_the_list_does_not_show_is_not_made_again() {
    // An archived one is off, stays archived and gets no share.
    let (server, _mock, service) = at(10).await;
    server.edit(|flag| {
        flag["active"] = json!(false);
        flag["archived"] = json!(true);
    });
    assert_eq!(service.ensure(KEY, "d").await.unwrap(), FlagState::off(KEY));
    assert_eq!(service.off(KEY).await.unwrap(), FlagState::off(KEY));
    assert!(matches!(service.set_rollout(KEY, 5).await, Err(FlagError::Foreign { .. })));
    assert_eq!(server.kept().flags.len(), 1);
}

#[tokio::test]
async fn the_published_example_is_read() {
    let Ok(text) = std::fs::read_to_string(contracts("specs/posthog.openapi.json")) else {
        return eprintln!("SKIPPED: the specifications are not beside the repository");
    };
    let spec: Value = serde_json::from_str(&text).unwrap();
    let example = spec["paths"]["/api/projects/{project_id}/feature_flags/"]["get"]["responses"]["200"]["content"]
        ["application/json"]["example"]
        .clone();
    let answers: super::flag_kit::Answers =
        std::sync::Arc::new(move |_| wiremock::ResponseTemplate::new(200).set_body_json(&example));
    let (_mock, service) = NEWER.serve(&answers).await;
    let key = "checkout-new-flow";
    assert_eq!(service.read(key).await.unwrap(), Some(FlagState::on(key, 10)));
    assert_eq!(service.read("checkout-new").await.unwrap(), None);
}

#[test]
fn a_key_of_the_wrong_kind_is_refused_with_the_reason() {
    let open = |project: &str, token: &str| {
        let config = "project_id: \"${ID}\", token: \"${KEY}\"";
        flag_service("posthog", config, Path::new("/"), &[("${ID}", project), ("${KEY}", token)])
    };
    for (token, kind) in [("phc_abc", "the project's own key"), ("phs_abc", "a secret key of the project")] {
        let Err(error) = open("7", token) else { panic!("{token}") };
        assert_eq!(error.code(), Code::ConnectorConfig);
        assert!(error.to_string().contains(kind) && !error.to_string().contains(token), "{error}");
    }
    for project in ["", "7/8", "a b"] {
        assert!(open(project, "phx_abc").is_err(), "{project}");
    }
    assert_eq!(open("7", "phx_abc").unwrap().place().as_deref(), Some("https://us.posthog.com"));
}
