//! Unleash: against a stand-in that keeps flags as 7.4.1 does, with the change requests of its Enterprise edition.

#[path = "unleash/stand_in.rs"]
mod stand_in;

use std::path::Path;

use outcome_core::Code;
use outcome_core::error::error_chain;
use outcome_core::ports::flags::{Found, drift};
use outcome_core::ports::{FlagAct, FlagError, FlagService, FlagState, Right};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use wiremock::{MockServer, ResponseTemplate};

use self::stand_in::{ENVIRONMENT, Server, TOKEN};
use super::contract::flag_service;
use super::flag_kit::{self, Answers, KEY, StandIn, Vendor, put};

const CONFIG: &str = "url: \"${URL}\", environment: production, token: \"${TOKEN}\"";

fn vendor() -> Vendor {
    Vendor {
        kind: "unleash",
        name: "Unleash",
        config: CONFIG,
        secrets: &[("${TOKEN}", TOKEN)],
        stand_in: || {
            let server = Server::default();
            StandIn { answers: server.answers(), meddling: server.meddling() }
        },
        spec: "unleash",
    }
}

/// A stand-in and the service at it.
async fn started(server: &Server) -> (MockServer, Box<dyn FlagService>) {
    vendor().serve(&server.answers()).await
}

fn open_with(config: &str, token: &str) -> Result<Box<dyn FlagService>, FlagError> {
    flag_service("unleash", config, Path::new("/"), &[("${URL}", "https://unleash.example.com"), ("${TOKEN}", token)])
}

#[tokio::test]
async fn it_does_what_every_flag_service_does() {
    flag_kit::all(&vendor()).await;
}

/// The strategy of ours, as it must be written.
fn ours(rollout: &str) -> Value {
    json!({
        "name": "flexibleRollout", "title": null, "disabled": false, "constraints": [], "segments": [], "variants": [],
        "parameters": { "rollout": rollout, "stickiness": "userId", "groupId": KEY },
    })
}

#[tokio::test]
async fn a_new_flag_is_off_and_has_our_strategy_at_nothing() {
    let server = Server::default();
    let (_held, service) = started(&server).await;
    service.ensure(KEY, "Short form").await.unwrap();
    assert_eq!(server.strategies(), [ours("0")]);
    assert_eq!(server.flag().unwrap()["description"], "Short form");
    assert_eq!(server.flag().unwrap()["type"], "experiment");
    service.set_rollout(KEY, 20).await.unwrap();
    assert_eq!(server.strategies(), [ours("20")], "one strategy, changed and not added");
    assert!(server.writes().iter().all(|path| !path.contains("development")), "{:?}", server.writes());
}

#[tokio::test]
async fn what_is_there_is_not_written_again() {
    let server = Server::default();
    let (_held, service) = started(&server).await;
    service.ensure(KEY, "Short form").await.unwrap();
    service.set_rollout(KEY, 20).await.unwrap();
    let n = server.writes().len();
    service.set_rollout(KEY, 20).await.unwrap();
    assert_eq!(server.writes().len(), n);
    service.off(KEY).await.unwrap();
    service.off(KEY).await.unwrap();
    assert_eq!(server.writes().len(), n + 1);
}

/// Switching on a flag without a strategy makes one for everybody.
#[tokio::test]
async fn our_strategy_is_there_before_the_switch() {
    let server = Server::default();
    let (_held, service) = started(&server).await;
    server.add_flag(KEY);
    assert_eq!(service.ensure(KEY, "d").await.unwrap(), FlagState::off(KEY));
    assert_eq!(server.strategies(), [] as [Value; 0], "a flag that is there stays as it is");
    put(service.as_ref(), &FlagState::on(KEY, 5)).await.unwrap();
    assert_eq!(server.strategies(), [ours("5")]);
}

#[tokio::test]
async fn what_others_set_up_is_named_and_not_touched() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 12] = [
        (
            |all| {
                all["strategies"]
                    .as_array_mut()
                    .unwrap()
                    .push(json!({ "id": "s2", "name": "default", "title": "staff" }));
            },
            "`staff` (default)",
        ),
        (|all| all["strategies"] = json!([]), "without a strategy"),
        (|all| all["strategies"][0]["name"] = json!("userWithId"), "`userWithId`"),
        (|all| all["strategies"][0]["disabled"] = json!(true), "is disabled"),
        (|all| all["strategies"][0]["constraints"] = json!([{ "contextName": "country" }]), "has constraints"),
        (|all| all["strategies"][0]["segments"] = json!([7]), "has segments"),
        (|all| all["strategies"][0]["variants"] = json!([{ "name": "red" }]), "has variants"),
        (
            |all| all["strategies"][0]["parameters"]["stickiness"] = json!("random"),
            "stickiness `random` and not `userId`",
        ),
        (
            |all| all["strategies"][0]["parameters"]["groupId"] = json!("other"),
            "groupId `other` and not `new-checkout`",
        ),
        (|all| all["strategies"][0]["parameters"]["rollout"] = json!("12.5"), "rollout `12.5`"),
        (|all| all["releasePlans"] = json!([{ "id": "p", "name": "slow start" }]), "the release plan `slow start`"),
        (|all| all["milestoneName"] = json!("ten percent"), "the release plan `ten percent`"),
    ];
    for (change, expected) in cases {
        let server = Server::default();
        let (_held, service) = started(&server).await;
        service.ensure(KEY, "d").await.unwrap();
        service.set_rollout(KEY, 10).await.unwrap();
        server.change(change);
        let before = server.flag();
        let error = service.read(KEY).await.unwrap_err();
        assert!(matches!(error, FlagError::Foreign { .. }) && error.to_string().contains(expected), "{error}");
        if expected != "without a strategy" {
            let error = service.set_rollout(KEY, 20).await.unwrap_err();
            assert!(matches!(error, FlagError::Foreign { .. }) && error.to_string().contains(expected), "{error}");
            assert_eq!(server.flag(), before);
        }
        service.off(KEY).await.unwrap();
        assert_eq!(service.read(KEY).await.unwrap(), Some(FlagState::off(KEY)), "{expected}");
    }
}

#[tokio::test]
async fn a_parent_that_decides_too_is_foreign() {
    let server = Server::default();
    let (_held, service) = started(&server).await;
    service.ensure(KEY, "d").await.unwrap();
    service.set_rollout(KEY, 10).await.unwrap();
    server
        .change_flag(|flag| flag["dependencies"] = json!([{ "feature": "payments", "enabled": true, "variants": [] }]));
    let error = service.read(KEY).await.unwrap_err();
    assert!(error.to_string().contains("it depends on `payments`"), "{error}");
}

/// A failed `test` is read again and decided again: what the other one wrote is neither lost nor overwritten.
#[tokio::test]
async fn a_second_writer_is_seen() {
    let server = Server::default();
    let (_held, service) = started(&server).await;
    service.ensure(KEY, "d").await.unwrap();
    service.set_rollout(KEY, 10).await.unwrap();
    server.before_next_patch(|all| all["strategies"][0]["parameters"]["rollout"] = json!("15"));
    assert_eq!(service.set_rollout(KEY, 20).await.unwrap(), FlagState::on(KEY, 20));
    assert_eq!(server.strategies(), [ours("20")]);
    server.before_next_patch(|all| all["strategies"][0]["constraints"] = json!([{ "contextName": "country" }]));
    let error = service.set_rollout(KEY, 30).await.unwrap_err();
    assert!(error.to_string().contains("has constraints"), "{error}");
    assert_eq!(server.strategies()[0]["constraints"], json!([{ "contextName": "country" }]), "it is kept");
    assert_eq!(server.strategies()[0]["parameters"]["rollout"], "20");
}

#[tokio::test]
async fn a_writer_who_never_stops_ends_it() {
    let server = Server::default();
    let (_held, service) = started(&server).await;
    service.ensure(KEY, "d").await.unwrap();
    server.before_each_patch();
    let error = service.set_rollout(KEY, 20).await.unwrap_err();
    assert!(error.to_string().contains("again and again"), "{error}");
}

/// A lost answer to a new strategy must not make a second one.
#[tokio::test]
async fn a_new_strategy_is_sent_once() {
    let server = Server::default();
    let (_held, service) = started(&server).await;
    server.add_flag(KEY);
    server.lose_next_strategy();
    let error = service.set_rollout(KEY, 20).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert_eq!(service.set_rollout(KEY, 20).await.unwrap(), FlagState::on(KEY, 20), "the outbox asks again");
    assert_eq!(server.strategies(), [ours("20")]);
}

#[tokio::test]
async fn names_are_of_the_whole_instance() {
    let server = Server::default();
    let (_held, service) = started(&server).await;
    service.ensure(KEY, "d").await.unwrap();
    service.set_rollout(KEY, 10).await.unwrap();
    server.move_to("payments");
    for error in [
        service.read(KEY).await.unwrap_err(),
        service.ensure(KEY, "d").await.unwrap_err(),
        service.set_rollout(KEY, 20).await.unwrap_err(),
    ] {
        let expected = "it is in the project `payments`, and not in `default`";
        assert!(matches!(error, FlagError::Foreign { .. }) && error.to_string().contains(expected), "{error}");
    }
    let found = drift(service.as_ref(), &FlagState::on(KEY, 10)).await.unwrap().unwrap();
    assert!(matches!(found.found, Found::Otherwise(_)), "{found}");
    service.off(KEY).await.unwrap();
    assert_eq!(server.environment()["enabled"], false, "whoever asks for the name gets this one");
}

#[tokio::test]
async fn an_archived_flag_keeps_its_name() {
    let server = Server::default();
    let (_held, service) = started(&server).await;
    service.ensure(KEY, "d").await.unwrap();
    server.archive();
    assert_eq!(service.read(KEY).await.unwrap(), None);
    assert_eq!(service.off(KEY).await.unwrap(), FlagState::off(KEY));
    for error in [service.ensure(KEY, "d").await.unwrap_err(), service.set_rollout(KEY, 5).await.unwrap_err()] {
        let expected = "an archived flag has this name";
        assert!(matches!(error, FlagError::Foreign { .. }) && error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_flag_that_somebody_made_meanwhile_is_read() {
    let server = Server::default();
    let (_held, service) = started(&server).await;
    server.make_before_next_create();
    assert_eq!(service.ensure(KEY, "d").await.unwrap(), FlagState::off(KEY));
    assert_eq!(server.flag().unwrap()["description"], "of somebody else");
}

#[tokio::test]
async fn absence_is_not_off() {
    let server = Server::default();
    let (_held, service) = started(&server).await;
    service.ensure(KEY, "d").await.unwrap();
    server.change_flag(|flag| flag["environments"].as_array_mut().unwrap().retain(|one| one["name"] != ENVIRONMENT));
    for error in [service.read(KEY).await.unwrap_err(), service.off(KEY).await.unwrap_err()] {
        assert!(error.to_string().contains("no environment `production`; there are `development`"), "{error}");
    }
    for missing in ["enabled", "strategies"] {
        let server = Server::default();
        let (_held, service) = started(&server).await;
        service.ensure(KEY, "d").await.unwrap();
        server.change(|all| drop(all.as_object_mut().unwrap().remove(missing)));
        let error = service.read(KEY).await.unwrap_err();
        assert!(matches!(error, FlagError::Unreadable { .. }) && error.to_string().contains(missing), "{error}");
    }
}

/// A 404 that is not about a flag says nothing of the flag.
#[tokio::test]
async fn a_wrong_address_is_no_missing_flag() {
    for body in [
        json!({ "name": "NotFoundError", "message": "The path you were looking for (/x/api/admin) is not available." }),
        json!({ "error": "no such page" }),
    ] {
        let answers: Answers = std::sync::Arc::new(move |_| ResponseTemplate::new(404).set_body_json(body.clone()));
        let (_held, service) = vendor().serve(&answers).await;
        for error in [service.read(KEY).await.unwrap_err(), service.off(KEY).await.unwrap_err()] {
            assert!(matches!(error, FlagError::Http { status: Some(404), .. }), "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_token_of_an_application_is_told_apart() {
    for token in ["default:production.abc", "*:production.abc", "[]:development.abc"] {
        let error = open_with(CONFIG, token).err().unwrap();
        assert_eq!(error.code(), Code::ConnectorConfig);
        assert!(error.to_string().contains("an application") && !error.to_string().contains("abc"), "{error}");
    }
    for token in ["user:0123", "*:*.0123", "0123456789"] {
        assert!(open_with(CONFIG, token).is_ok(), "{token}");
    }
    let said = json!({ "message": "invalid token: expected a different token type for this endpoint" });
    let answers: Answers = std::sync::Arc::new(move |_| ResponseTemplate::new(403).set_body_json(said.clone()));
    let (_held, service) = vendor().serve(&answers).await;
    for error in [service.read(KEY).await.unwrap_err(), service.rights().await.unwrap_err()] {
        assert!(error_chain(&error).contains("a client or frontend token"), "{}", error_chain(&error));
    }
}

#[test]
fn settings_that_deal_units_anew_are_refused() {
    for stickiness in ["random", "default"] {
        let error = open_with(&format!("{CONFIG}, stickiness: {stickiness}"), "user:1").err().unwrap();
        assert!(error.to_string().contains(&format!("`stickiness` is `{stickiness}`")), "{error}");
    }
    assert!(open_with(&format!("{CONFIG}, stickiness: companyId"), "user:1").is_ok());
    for (config, expected) in [
        ("url: \"https://h/api\", environment: production, token: \"${TOKEN}\"", "ends with `/api`"),
        ("url: \"https://h/api/\", environment: production, token: \"${TOKEN}\"", "ends with `/api`"),
        ("url: \"https://h\", environment: \"..\", token: \"${TOKEN}\"", "`environment` is not a name"),
        (
            "url: \"https://h\", project: \"a/b\", environment: production, token: \"${TOKEN}\"",
            "`project` is not a name",
        ),
    ] {
        let error = open_with(config, "user:1").err().unwrap();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn the_unit_is_the_one_of_the_settings() {
    let server = Server::default();
    let held = MockServer::start().await;
    let config = format!("{CONFIG}, stickiness: companyId");
    let answers = server.answers();
    wiremock::Mock::given(wiremock::matchers::any())
        .respond_with(move |request: &wiremock::Request| answers(request))
        .mount(&held)
        .await;
    let url = held.uri();
    let service = flag_service("unleash", &config, Path::new("/"), &[("${URL}", &url), ("${TOKEN}", TOKEN)]).unwrap();
    service.ensure(KEY, "d").await.unwrap();
    put(service.as_ref(), &FlagState::on(KEY, 10)).await.unwrap();
    assert_eq!(server.strategies()[0]["parameters"]["stickiness"], "companyId");
}

#[tokio::test]
async fn the_last_change_is_that_of_our_environment() {
    let server = Server::default();
    let (_held, service) = started(&server).await;
    assert_eq!(service.last_change(KEY).await.unwrap(), None);
    server.event(json!({
        "type": "feature-environment-disabled", "createdBy": "unleash_system_user", "createdAt": "2026-11-30T08:00:00Z",
        "environment": ENVIRONMENT, "summary": "**unleash_system_user** disabled **[new-checkout](http://u/x)** as the safeguard **errors** tripped",
    }));
    server.event(json!({
        "type": "feature-environment-enabled", "createdBy": "ann", "createdAt": "2026-11-30T09:00:00Z", "environment": "development",
        "summary": "**ann** enabled it",
    }));
    let said = service.last_change(KEY).await.unwrap().unwrap();
    assert_eq!(
        said,
        "unleash_system_user disabled new-checkout as the safeguard errors tripped, at 2026-11-30T08:00:00Z"
    );
    server.event(json!({
        "type": "feature-archived", "createdBy": format!("ann {TOKEN}\n"), "createdAt": "2026-11-30T10:00:00Z", "label": "Flag archived",
    }));
    let said = service.last_change(KEY).await.unwrap().unwrap();
    assert_eq!(said, "Flag archived by ann [redacted], at 2026-11-30T10:00:00Z");
}

async fn rights_of(permissions: Value) -> Vec<Right> {
    let server = Server::default();
    server.permit(permissions);
    let (_held, service) = started(&server).await;
    service.rights().await.unwrap()
}

fn allowed(rights: &[Right], act: FlagAct) -> Option<bool> {
    rights.iter().find(|right| right.act == act).unwrap().is_allowed
}

#[tokio::test]
async fn rights_are_those_of_our_project_and_environment() {
    let all = |environment: &str| {
        json!([
            { "permission": "CREATE_FEATURE", "project": "default" },
            { "permission": "CREATE_FEATURE_STRATEGY", "project": "default", "environment": environment },
            { "permission": "UPDATE_FEATURE_STRATEGY", "project": "default", "environment": environment },
            { "permission": "UPDATE_FEATURE_ENVIRONMENT", "project": "default", "environment": environment },
        ])
    };
    let rights = rights_of(all(ENVIRONMENT)).await;
    for act in [FlagAct::Read, FlagAct::Create, FlagAct::Rollout, FlagAct::Off] {
        assert_eq!(allowed(&rights, act), Some(true), "{act:?}");
    }
    assert_eq!(allowed(&rights, FlagAct::SkipReviews), Some(false));

    let rights = rights_of(all("development")).await;
    assert_eq!(allowed(&rights, FlagAct::Off), Some(false));
    let off = rights.iter().find(|right| right.act == FlagAct::Off).unwrap();
    let expected = "its role lacks UPDATE_FEATURE_ENVIRONMENT in `default`, `production`";
    assert_eq!(off.detail.as_deref(), Some(expected));

    for (permission, expected) in
        [("ADMIN", "an admin goes past change requests"), ("SKIP_CHANGE_REQUEST", "take it away")]
    {
        let rights = rights_of(json!([{ "permission": permission }])).await;
        let skips = rights.iter().find(|right| right.act == FlagAct::SkipReviews).unwrap();
        assert_eq!(skips.is_allowed, Some(true), "{permission}");
        assert!(skips.detail.as_ref().unwrap().contains(expected), "{skips:?}");
    }
}

#[tokio::test]
async fn a_project_or_environment_that_is_not_there_is_said() {
    let server = Server::default();
    let (held, _service) = started(&server).await;
    let url = held.uri();
    let values = [("${URL}", url.as_str()), ("${TOKEN}", TOKEN)];
    for (config, expected) in [
        (format!("{CONFIG}, project: nope"), "there is no project `nope`"),
        (CONFIG.replace("production", "staging"), "no environment `staging`; it has `development`, `production`"),
    ] {
        let service = flag_service("unleash", &config, Path::new("/"), &values).unwrap();
        let rights = service.rights().await.unwrap();
        assert_eq!(allowed(&rights, FlagAct::Read), Some(false));
        assert!(rights[0].detail.as_ref().unwrap().contains(expected), "{rights:?}");
    }
}

fn review(error: &FlagError) -> String {
    assert!(matches!(error, FlagError::Review { .. }), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn a_change_request_is_made_once_and_waited_for() {
    let server = Server::default();
    let (_held, service) = started(&server).await;
    server.demand_reviews();
    assert_eq!(service.ensure(KEY, "d").await.unwrap(), FlagState::off(KEY), "a new flag is off without asking");
    let said = review(&service.set_rollout(KEY, 5).await.unwrap_err());
    assert!(said.contains("change request #1 for `production` has 0 of 1 approvals"), "{said}");
    let again = review(&service.set_rollout(KEY, 5).await.unwrap_err());
    assert_eq!((again, server.n_requests()), (said, 1), "it is found again");
    assert_eq!(server.request(1)["title"], "Outcome Runtime: new-checkout on at 5 %");
    assert_eq!(service.read(KEY).await.unwrap(), Some(FlagState::off(KEY)));
    server.set_request(1, "Approved");
    let said = review(&service.set_rollout(KEY, 5).await.unwrap_err());
    assert!(said.contains("#1 for `production` is approved and waits for somebody to apply it"), "{said}");
    server.apply(1);
    assert_eq!(service.set_rollout(KEY, 5).await.unwrap(), FlagState::on(KEY, 5));
    assert_eq!(service.read(KEY).await.unwrap(), Some(FlagState::on(KEY, 5)));

    let said = review(&service.set_rollout(KEY, 20).await.unwrap_err());
    assert!(said.contains("#2"), "{said}");
    let said = review(&service.off(KEY).await.unwrap_err());
    assert!(said.contains("#3"), "{said}");
    assert_eq!(server.request(2)["state"], "Cancelled", "what was asked before must not come after the off");
    server.apply(3);
    assert_eq!(service.off(KEY).await.unwrap(), FlagState::off(KEY));
}

#[tokio::test]
async fn what_was_asked_for_is_taken_back_when_the_flag_stays_off() {
    let server = Server::default();
    let (_held, service) = started(&server).await;
    server.demand_reviews();
    service.ensure(KEY, "d").await.unwrap();
    review(&service.set_rollout(KEY, 5).await.unwrap_err());
    assert_eq!(service.off(KEY).await.unwrap(), FlagState::off(KEY), "it never was on");
    assert_eq!(server.request(1)["state"], "Cancelled");
}

#[tokio::test]
async fn drafts_of_others_are_not_sent() {
    let server = Server::default();
    let (_held, service) = started(&server).await;
    server.demand_reviews();
    service.ensure(KEY, "d").await.unwrap();
    server.draft("payments");
    let said = review(&service.set_rollout(KEY, 5).await.unwrap_err());
    assert!(said.contains("draft #1 of a change request for `production` with changes of others"), "{said}");
    assert_eq!(server.request(1)["state"], "Draft");

    // One that we left over when we ended between making and sending it.
    let server = Server::default();
    let (_held, service) = started(&server).await;
    server.demand_reviews();
    service.ensure(KEY, "d").await.unwrap();
    server.draft(KEY);
    let said = review(&service.set_rollout(KEY, 5).await.unwrap_err());
    assert!(said.contains("#2"), "{said}");
    assert_eq!(server.n_requests(), 1, "the draft is gone");
}

/// Switched on by a person in the open source edition, whose API has no change requests.
#[tokio::test]
async fn reviews_that_cannot_be_asked_for_are_said() {
    let server = Server::default();
    let (_held, service) = started(&server).await;
    service.ensure(KEY, "d").await.unwrap();
    server.demand_reviews_without_requests();
    let error = service.set_rollout(KEY, 5).await.unwrap_err();
    assert!(matches!(error, FlagError::Http { status: Some(404), .. }), "{error:?}");
}
