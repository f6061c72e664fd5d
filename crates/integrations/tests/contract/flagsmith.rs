//! Flagsmith: against a stand-in that keeps a feature as Flagsmith does, with and without versions.

#[path = "flagsmith/others.rs"]
mod others;
#[path = "flagsmith/stand_in.rs"]
mod stand_in;

use std::path::Path;
use std::sync::Arc;

use outcome_core::Code;
use outcome_core::error::error_chain;
use outcome_core::ports::{FlagAct, FlagError, FlagService, FlagState, Right};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use wiremock::{MockServer, ResponseTemplate};

use self::stand_in::{Server, TOKEN};
use super::contract::flag_service;
use super::flag_kit::{self, Answers, KEY, StandIn, Vendor, put, settings_on_the_page};

const CONFIG: &str = "url: \"${URL}\", project: \"7\", environment: prodKey, token: \"${TOKEN}\"";

fn vendor() -> Vendor {
    Vendor {
        kind: "flagsmith",
        name: "Flagsmith",
        config: CONFIG,
        secrets: &[("${TOKEN}", TOKEN)],
        stand_in: || {
            let server = Server::default();
            StandIn { answers: server.answers(), meddling: server.meddling() }
        },
        spec: "flagsmith-admin",
    }
}

fn vendor_with_versions() -> Vendor {
    Vendor {
        stand_in: || {
            let server = Server::versioned();
            StandIn { answers: server.answers(), meddling: server.meddling() }
        },
        ..vendor()
    }
}

/// A stand-in and the service at it.
async fn started(server: &Server) -> (MockServer, Box<dyn FlagService>) {
    vendor().serve(&server.answers()).await
}

#[tokio::test]
async fn it_does_what_every_flag_service_does() {
    flag_kit::all(&vendor()).await;
}

#[tokio::test]
async fn it_does_so_with_feature_versioning() {
    flag_kit::all(&vendor_with_versions()).await;
}

#[test]
fn the_page_shows_what_can_be_copied() {
    let settings = settings_on_the_page("flagsmith");
    assert_eq!(settings.to_json()["project"], "1234");
    assert_eq!(settings.keeps_arms(), Some(false));
    assert!(settings.answers().ask.contains("useBooleanConfigValue"), "isFeatureEnabled alone is everybody");
}

#[tokio::test]
async fn a_new_feature_is_off_everywhere() {
    for server in [Server::default(), Server::versioned()] {
        let (_held, service) = started(&server).await;
        service.ensure(KEY, "Short form").await.unwrap();
        let feature = server.feature().unwrap();
        assert_eq!((&feature["type"], &feature["description"]), (&json!("MULTIVARIATE"), &json!("Short form")));
        for index in [0, 1] {
            let state = server.default_of(index);
            assert_eq!(state["enabled"], false);
            assert_eq!(state["multivariate_feature_state_values"][0]["percentage_allocation"], 0.0);
        }
        let other = server.default_of(1);
        put(service.as_ref(), &FlagState::on(KEY, 20)).await.unwrap();
        put(service.as_ref(), &FlagState::off(KEY)).await.unwrap();
        assert_eq!(server.default_of(1), other, "the other environment is never sent");
    }
}

/// A write sends the fields that it changes; a share keeps its id, because one that is left out is deleted.
#[tokio::test]
async fn one_state_is_patched() {
    let server = Server::default();
    let (_held, service) = started(&server).await;
    service.ensure(KEY, "d").await.unwrap();
    server.change(|state| state["feature_state_value"]["string_value"] = json!(""));
    let before = server.default_of(0);
    service.set_rollout(KEY, 20).await.unwrap();
    let share = before["multivariate_feature_state_values"][0]["id"].clone();
    let shares = json!([{ "id": share, "multivariate_feature_option": 60, "percentage_allocation": 20.0 }]);
    let (path, body) = server.writes().pop().unwrap();
    assert_eq!(path, format!("PATCH /api/v1/features/featurestates/{}/", before["id"]));
    assert_eq!(body, json!({ "enabled": true, "multivariate_feature_state_values": shares }));
    let after = server.default_of(0);
    assert_eq!(after["feature_state_value"], before["feature_state_value"]);

    service.off(KEY).await.unwrap();
    let (_, body) = server.writes().pop().unwrap();
    assert_eq!(body["enabled"], false);
    assert_eq!(
        body["multivariate_feature_state_values"][0]["percentage_allocation"], 0.0,
        "for calls that ignore `enabled`"
    );
}

#[tokio::test]
async fn what_is_there_is_not_written_again() {
    for server in [Server::default(), Server::versioned()] {
        let (_held, service) = started(&server).await;
        service.ensure(KEY, "d").await.unwrap();
        service.set_rollout(KEY, 20).await.unwrap();
        let n = server.writes().len();
        service.set_rollout(KEY, 20).await.unwrap();
        assert_eq!(server.writes().len(), n);
        service.off(KEY).await.unwrap();
        service.off(KEY).await.unwrap();
        assert_eq!(server.writes().len(), n + 1);
    }
}

#[tokio::test]
async fn a_version_is_published_once() {
    let server = Server::versioned();
    let (_held, service) = started(&server).await;
    service.ensure(KEY, "d").await.unwrap();
    server.lose_next_version();
    let error = service.set_rollout(KEY, 20).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert_eq!(service.set_rollout(KEY, 20).await.unwrap(), FlagState::on(KEY, 20), "the outbox asks again");
    assert_eq!(server.n_versions(), 1, "older servers deal units anew with each");
}

#[tokio::test]
async fn a_feature_that_somebody_made_meanwhile_is_read() {
    let server = Server::default();
    let (_held, service) = started(&server).await;
    server.make_before_next_create();
    assert_eq!(service.ensure(KEY, "d").await.unwrap(), FlagState::off(KEY));
    assert_eq!(server.feature().unwrap()["description"], "of somebody else");
}

#[tokio::test]
async fn a_name_in_other_capitals_is_said() {
    let server = Server::default();
    let (_held, service) = started(&server).await;
    server.take_other_spelling();
    assert_eq!(service.read(KEY).await.unwrap(), None);
    let error = service.ensure(KEY, "d").await.unwrap_err();
    assert!(matches!(error, FlagError::Foreign { .. }) && error.to_string().contains("other capitals"), "{error}");
}

#[tokio::test]
async fn all_pages_are_read_and_one_that_fails_is_no_list() {
    let server = Server::default();
    let (_held, service) = started(&server).await;
    service.ensure(KEY, "d").await.unwrap();
    server.in_pages(2, None);
    assert_eq!(service.read(KEY).await.unwrap(), Some(FlagState::off(KEY)), "on the third page");
    server.in_pages(2, Some(2));
    let error = service.read(KEY).await.unwrap_err();
    assert!(matches!(error, FlagError::Http { status: Some(500), .. }), "{error:?}");
}

#[tokio::test]
async fn a_link_that_leads_elsewhere_is_not_followed() {
    let other = MockServer::start().await;
    let next = format!("{}/api/v1/environments/?page=2", other.uri());
    let answers: Answers =
        Arc::new(move |_| ResponseTemplate::new(200).set_body_json(json!({ "results": [], "next": next })));
    let (_held, service) = vendor().serve(&answers).await;
    let error = service.read(KEY).await.unwrap_err();
    assert!(error.to_string().contains("leads elsewhere"), "{error}");
    assert!(other.received_requests().await.unwrap().is_empty());
}

/// Reviews are honoured, although the API would take the change.
#[tokio::test]
async fn change_requests_are_not_gone_past() {
    for server in [Server::default(), Server::versioned()] {
        let (_held, service) = started(&server).await;
        server.demand_reviews(Some(2));
        assert_eq!(service.ensure(KEY, "d").await.unwrap(), FlagState::off(KEY), "a new feature is off without asking");
        let n = server.writes().len();
        let error = service.set_rollout(KEY, 5).await.unwrap_err();
        assert!(matches!(error, FlagError::Review { .. }), "{error:?}");
        let expected = "`Production` has change requests with 2 approvals; make one there to turn it on at 5 %";
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(service.off(KEY).await.unwrap(), FlagState::off(KEY), "it is off already");
        assert_eq!(server.writes().len(), n, "nothing was written");

        // A person did.
        server.set_share(5.0);
        server.change(|state| state["enabled"] = json!(true));
        assert_eq!(service.set_rollout(KEY, 5).await.unwrap(), FlagState::on(KEY, 5));
        assert!(matches!(service.off(KEY).await.unwrap_err(), FlagError::Review { .. }));
        assert_eq!(server.writes().len(), n, "nothing was written");
        // Switched off by hand, with the share left as it was.
        server.change(|state| state["enabled"] = json!(false));
        assert_eq!(service.off(KEY).await.unwrap(), FlagState::off(KEY));

        server.demand_reviews(None);
        assert_eq!(put(service.as_ref(), &FlagState::on(KEY, 5)).await.unwrap(), FlagState::on(KEY, 5));
    }
}

fn open_with(config: &str, token: &str) -> Result<Box<dyn FlagService>, FlagError> {
    flag_service("flagsmith", config, Path::new("/"), &[("${URL}", "https://api.flagsmith.com"), ("${TOKEN}", token)])
}

#[tokio::test]
async fn keys_of_the_wrong_kind_are_told_apart() {
    for (token, expected) in
        [("ser.abc123", "server-side environment key"), ("AbCdEf123456", "neither an organisation API key")]
    {
        let error = open_with(CONFIG, token).err().unwrap();
        assert_eq!(error.code(), Code::ConnectorConfig);
        assert!(error.to_string().contains(expected) && !error.to_string().contains(token), "{error}");
    }
    for (config, expected) in [
        (CONFIG.replace("prodKey", "ser.abc"), "server-side key"),
        (CONFIG.replace("prodKey", "a/b"), "client-side key"),
        (CONFIG.replace("\"7\"", "shop"), "number of a project"),
    ] {
        let error = open_with(&config, TOKEN).err().unwrap();
        assert!(error.to_string().contains(expected), "{error}");
    }
    // A person's token is sent in its own way.
    let hex = "0123456789abcdef0123456789abcdef01234567";
    let seen = Arc::new(std::sync::Mutex::new(String::new()));
    let keeps = Arc::clone(&seen);
    let answers: Answers = Arc::new(move |request| {
        request.headers["authorization"].to_str().unwrap().clone_into(&mut keeps.lock().unwrap());
        ResponseTemplate::new(401).set_body_json(json!({ "detail": "Invalid token." }))
    });
    let held = MockServer::start().await;
    wiremock::Mock::given(wiremock::matchers::any())
        .respond_with(move |request: &wiremock::Request| answers(request))
        .mount(&held)
        .await;
    let url = held.uri();
    let service = flag_service("flagsmith", CONFIG, Path::new("/"), &[("${URL}", &url), ("${TOKEN}", hex)]).unwrap();
    let shown = error_chain(&service.read(KEY).await.unwrap_err());
    assert!(shown.contains("401") && !shown.contains(hex), "{shown}");
    assert_eq!(*seen.lock().unwrap(), format!("Token {hex}"));
}

#[tokio::test]
async fn an_environment_that_is_not_there_is_not_off() {
    let server = Server::default();
    let held = MockServer::start().await;
    let answers = server.answers();
    wiremock::Mock::given(wiremock::matchers::any())
        .respond_with(move |request: &wiremock::Request| answers(request))
        .mount(&held)
        .await;
    let url = held.uri();
    let config = CONFIG.replace("prodKey", "otherKey");
    let service = flag_service("flagsmith", &config, Path::new("/"), &[("${URL}", &url), ("${TOKEN}", TOKEN)]).unwrap();
    for error in
        [service.read(KEY).await.unwrap_err(), service.off(KEY).await.unwrap_err(), service.rights().await.unwrap_err()]
    {
        assert!(error.to_string().contains("it can see `Development`, `Production`"), "{error}");
    }
}

#[tokio::test]
async fn the_last_change_is_that_of_our_environment() {
    let server = Server::default();
    let (_held, service) = started(&server).await;
    assert_eq!(service.last_change(KEY).await.unwrap(), None, "a role without the log");
    let entry = |id: u64, log: &str, author: Value| json!({ "created_date": "2026-11-30T08:00:00Z", "log": log, "author": author, "environment": { "id": id } });
    server.log(vec![
        entry(11, "Flag state updated for feature: new-checkout", json!({ "email": "dev@example.com" })),
        entry(
            12,
            &format!("Flag state updated for feature: new-checkout {TOKEN}\n"),
            json!({ "email": "ann@example.com" }),
        ),
    ]);
    let said = service.last_change(KEY).await.unwrap().unwrap();
    assert!(said.starts_with("Flag state updated for feature: new-checkout") && !said.contains(TOKEN), "{said}");
    assert!(said.ends_with("by ann@example.com, at 2026-11-30T08:00:00Z"), "{said}");
    server.log(vec![entry(12, "Released by a release pipeline.", Value::Null)]);
    let said = service.last_change(KEY).await.unwrap().unwrap();
    assert_eq!(said, "Released by a release pipeline, at 2026-11-30T08:00:00Z");
}

fn of(rights: &[Right], act: FlagAct) -> &Right {
    rights.iter().find(|right| right.act == act).unwrap()
}

#[tokio::test]
async fn rights_are_what_is_told() {
    let server = Server::default();
    let (_held, service) = started(&server).await;
    let rights = service.rights().await.unwrap();
    assert_eq!(of(&rights, FlagAct::Read).is_allowed, Some(true));
    for act in [FlagAct::Create, FlagAct::Rollout, FlagAct::Off, FlagAct::SkipReviews] {
        assert_eq!(of(&rights, act).is_allowed, None, "an organisation's key is not told: {act:?}");
        assert!(of(&rights, act).detail.is_some(), "{act:?}");
    }
    let all =
        |names: &[&str], admin: bool| json!({ "permissions": names, "admin": admin, "tag_based_permissions": [] });
    server.permit(
        all(&["VIEW_PROJECT", "CREATE_FEATURE"], false),
        all(&["VIEW_ENVIRONMENT", "UPDATE_FEATURE_STATE"], false),
    );
    let rights = service.rights().await.unwrap();
    assert_eq!(of(&rights, FlagAct::Create).is_allowed, Some(false), "variants need an administrator");
    assert_eq!(of(&rights, FlagAct::Off).is_allowed, Some(true));
    assert!(of(&rights, FlagAct::Off).detail.as_ref().unwrap().contains("MANAGE_SEGMENT_OVERRIDES"));
    server.demand_reviews(Some(1));
    let rights = service.rights().await.unwrap();
    let skips = of(&rights, FlagAct::SkipReviews);
    assert_eq!(skips.is_allowed, Some(true));
    assert!(skips.detail.as_ref().unwrap().contains("take the permission away"), "{skips:?}");
    assert_eq!(of(&rights, FlagAct::Off).is_allowed, Some(false), "people make it");
    server.permit(all(&["VIEW_PROJECT"], false), all(&["VIEW_ENVIRONMENT"], false));
    let rights = service.rights().await.unwrap();
    assert_eq!(of(&rights, FlagAct::SkipReviews).is_allowed, Some(false));
    server.demand_reviews(None);
    server.permit(all(&[], true), all(&[], true));
    let rights = service.rights().await.unwrap();
    for act in [FlagAct::Create, FlagAct::Rollout, FlagAct::Off] {
        assert_eq!(of(&rights, act).is_allowed, Some(true), "{act:?}");
    }
}
