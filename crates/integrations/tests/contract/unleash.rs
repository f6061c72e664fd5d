//! Unleash: against a stand-in that keeps flags as 7.4.1 does, with the change requests of its Enterprise edition.

#[path = "unleash/elsewhere.rs"]
mod elsewhere;
#[path = "unleash/reviews.rs"]
mod reviews;
#[path = "unleash/setups.rs"]
mod setups;
#[path = "unleash/stand_in.rs"]
mod stand_in;

use std::path::Path;

use outcome_core::Code;
use outcome_core::error::error_chain;
use outcome_core::ports::{FlagAct, FlagError, FlagService, FlagState, Right};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use wiremock::{MockServer, ResponseTemplate};

use self::stand_in::{ENVIRONMENT, Server, TOKEN};
use super::contract::flag_service;
use super::flag_kit::{self, Answers, KEY, StandIn, Vendor, put, settings_on_the_page};

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

#[test]
fn the_page_shows_what_can_be_copied() {
    let settings = settings_on_the_page("unleash");
    assert_eq!(settings.to_json()["environment"], "production");
    assert_eq!(settings.keeps_arms(), Some(false));
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
