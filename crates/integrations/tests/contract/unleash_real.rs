//! Unleash: against a real server of version 7.4.1, and what its own SDK makes of the flags. One test, because the first start takes long.

use std::path::Path;
use std::time::{Duration, Instant};

use outcome_core::error::error_chain;
use outcome_core::ports::flags::drift;
use outcome_core::ports::{FlagAct, FlagError, FlagService, FlagState};
use outcome_tests::unleash::{ADMIN_TOKEN, Unleash};
use pretty_assertions::assert_eq;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Connection as _;

use super::contract::flag_service;
use super::flag_kit::put;

fn open(server: &Unleash, environment: &str, token: &str) -> Box<dyn FlagService> {
    let config = format!("url: \"${{URL}}\", environment: {environment}, token: \"${{TOKEN}}\"");
    flag_service("unleash", &config, Path::new("/"), &[("${URL}", server.url()), ("${TOKEN}", token)]).unwrap()
}

#[tokio::test]
async fn a_real_server_does_what_the_stand_in_does() {
    let Some(server) = Unleash::start().await else { return };
    let service = open(&server, "development", ADMIN_TOKEN);
    a_whole_life(&server, service.as_ref()).await;
    strategies_are_alternatives(&server, service.as_ref()).await;
    other_environments_stay_as_they_are(&server, service.as_ref()).await;
    two_writers_lose_nothing(&server, service.as_ref()).await;
    names_that_are_taken(&server, service.as_ref()).await;
    who_may_what(&server).await;
    reviews_are_not_gone_past(&server).await;
    an_experiment_of_its_own_is_guarded(&server, service.as_ref()).await;
    server.stop().unwrap();
}

/// What an SDK is told, as soon as it is this.
async fn is_seen_as(server: &Unleash, key: &str, enabled: bool, rollout: &str) {
    let until = Instant::now() + Duration::from_secs(15);
    loop {
        let flag = server.as_sdk(key).await.unwrap().unwrap_or_default();
        if flag["enabled"] == enabled && flag["strategies"][0]["parameters"]["rollout"] == rollout {
            return;
        }
        assert!(Instant::now() < until, "{flag}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn a_whole_life(server: &Unleash, service: &dyn FlagService) {
    let key = "whole-life";
    assert_eq!(service.read(key).await.unwrap(), None);
    assert_eq!(service.off(key).await.unwrap(), FlagState::off(key));
    assert_eq!(service.read(key).await.unwrap(), None, "turning off makes none");
    for _ in 0..2 {
        assert_eq!(service.ensure(key, "Short form").await.unwrap(), FlagState::off(key));
    }
    for pct in [5, 20] {
        let on = FlagState::on(key, pct);
        assert_eq!(put(service, &on).await.unwrap(), on);
        assert_eq!(drift(service, &on).await.unwrap(), None);
    }
    is_seen_as(server, key, true, "20").await;
    let n_on = server.n_on(key, "userId", 2_000).unwrap();
    assert!((320..=480).contains(&n_on), "20 % of 2,000 units: {n_on}");
    let said = service.last_change(key).await.unwrap().unwrap();
    assert!(said.contains("admin updated whole-life") && said.contains("rollout from 5% to 20%, at 20"), "{said}");

    for _ in 0..2 {
        assert_eq!(put(service, &FlagState::off(key)).await.unwrap(), FlagState::off(key));
    }
    is_seen_as(server, key, false, "20").await;
    assert_eq!(server.n_on(key, "userId", 2_000).unwrap(), 0);
}

/// One that passes turns the flag on, so another at 100 % keeps it on when ours goes to 0.
async fn strategies_are_alternatives(server: &Unleash, service: &dyn FlagService) {
    let key = "two-strategies";
    service.ensure(key, "d").await.unwrap();
    let ten = FlagState::on(key, 10);
    put(service, &ten).await.unwrap();
    let path = format!("projects/default/features/{key}/environments/development/strategies");
    let everybody = json!({ "name": "flexibleRollout", "title": "staff",
        "parameters": { "rollout": "100", "stickiness": "default", "groupId": key } });
    assert_eq!(server.admin(Method::POST, &path, Some(&everybody)).await.unwrap().0, 200);
    let found = drift(service, &ten).await.unwrap().unwrap();
    let said = found.to_string();
    assert!(said.contains("2 strategies") && said.contains("`staff` (flexibleRollout at 100 %)"), "{said}");
    assert!(said.contains("admin"), "who did it: {said}");
    let error = service.set_rollout(key, 0).await.unwrap_err();
    assert!(matches!(error, FlagError::Foreign { .. }), "{error:?}");
    is_seen_as(server, key, true, "10").await;
    assert_eq!(server.n_on(key, "userId", 200).unwrap(), 200);
    put(service, &FlagState::off(key)).await.unwrap();
    is_seen_as(server, key, false, "10").await;
    assert_eq!(server.n_on(key, "userId", 200).unwrap(), 0);

    // Switched on by hand with all strategies gone: the server makes one for everybody.
    let key = "by-hand";
    server.admin(Method::POST, "projects/default/features", Some(&json!({ "name": key }))).await.unwrap();
    let on = format!("projects/default/features/{key}/environments/development/on");
    assert_eq!(server.admin(Method::POST, &on, None).await.unwrap().0, 200);
    let error = service.ensure(key, "d").await.unwrap_err();
    assert!(error.to_string().contains("stickiness `default` and not `userId`"), "{error}");
    put(service, &FlagState::off(key)).await.unwrap();
}

async fn flag(server: &Unleash, key: &str) -> Value {
    let path = format!("projects/default/features/{key}?variantEnvironments=true");
    server.admin(Method::GET, &path, None).await.unwrap().1
}

/// Variants of environments are an older way; they are no part of whether a flag is on.
async fn other_environments_stay_as_they_are(server: &Unleash, service: &dyn FlagService) {
    let key = "two-environments";
    let variants = json!([{ "name": "red", "weight": 1000, "weightType": "variable", "stickiness": "default" }]);
    let body = json!({ "name": key, "variants": variants });
    assert_eq!(server.admin(Method::POST, "projects/default/features", Some(&body)).await.unwrap().0, 201);
    let path = format!("projects/default/features/{key}/environments/production/strategies");
    let theirs = json!({ "name": "default", "parameters": {}, "constraints": [] });
    assert_eq!(server.admin(Method::POST, &path, Some(&theirs)).await.unwrap().0, 200);
    let before = flag(server, key).await;
    put(service, &FlagState::on(key, 20)).await.unwrap();
    put(service, &FlagState::off(key)).await.unwrap();
    let after = flag(server, key).await;
    let of = |flag: &Value, index: usize| flag["environments"][index].clone();
    assert_eq!(of(&after, 1), of(&before, 1), "production");
    assert_eq!(of(&after, 0)["variants"], of(&before, 0)["variants"]);
    assert_eq!(of(&after, 0)["variants"], variants);
}

/// Two services at one strategy, beside a person who adds a constraint: the constraint is never lost.
async fn two_writers_lose_nothing(server: &Unleash, service: &dyn FlagService) {
    let key = "two-writers";
    service.ensure(key, "d").await.unwrap();
    put(service, &FlagState::on(key, 10)).await.unwrap();
    let id = flag(server, key).await["environments"][0]["strategies"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("projects/default/features/{key}/environments/development/strategies/{id}");
    let test = json!([{ "op": "test", "path": "/parameters/rollout", "value": "11" }]);
    let (status, said) = server.admin(Method::PATCH, &path, Some(&test)).await.unwrap();
    assert!(status == 500 && said["message"].as_str().unwrap().contains("TEST_OPERATION_FAILED"), "{status}: {said}");

    let other = open(server, "development", ADMIN_TOKEN);
    let (first, second) = tokio::join!(service.set_rollout(key, 30), other.set_rollout(key, 40));
    for done in [first, second] {
        done.unwrap();
    }
    let found = service.read(key).await.unwrap().unwrap();
    assert!([30, 40].contains(&found.treatment_pct), "{found}");
    let strategies = flag(server, key).await["environments"][0]["strategies"].clone();
    assert_eq!(strategies.as_array().unwrap().len(), 1, "{strategies}");

    let constraint = json!([{ "op": "replace", "path": "/constraints",
        "value": [{ "contextName": "country", "operator": "IN", "values": ["dk"] }] }]);
    assert_eq!(server.admin(Method::PATCH, &path, Some(&constraint)).await.unwrap().0, 200);
    let error = service.set_rollout(key, 50).await.unwrap_err();
    assert!(error.to_string().contains("has constraints"), "{error}");
    let kept = flag(server, key).await["environments"][0]["strategies"][0]["constraints"].clone();
    assert_eq!(kept[0]["values"], json!(["dk"]));
    put(service, &FlagState::off(key)).await.unwrap();
}

async fn names_that_are_taken(server: &Unleash, service: &dyn FlagService) {
    let key = "archived";
    service.ensure(key, "d").await.unwrap();
    put(service, &FlagState::on(key, 10)).await.unwrap();
    let path = format!("projects/default/features/{key}");
    assert_eq!(server.admin(Method::DELETE, &path, None).await.unwrap().0, 202);
    assert_eq!(service.read(key).await.unwrap(), None);
    assert_eq!(service.off(key).await.unwrap(), FlagState::off(key));
    let error = service.ensure(key, "d").await.unwrap_err();
    assert!(error.to_string().contains("an archived flag has this name"), "{error}");

    let config = "url: \"${URL}\", project: nope, environment: development, token: \"${TOKEN}\"";
    let values = [("${URL}", server.url()), ("${TOKEN}", ADMIN_TOKEN)];
    let nowhere = flag_service("unleash", config, Path::new("/"), &values).unwrap();
    for error in [nowhere.read("whole-life").await.unwrap_err(), nowhere.ensure("whole-life", "d").await.unwrap_err()] {
        assert!(error.to_string().contains("it is in the project `default`, and not in `nope`"), "{error}");
    }
    let rights = nowhere.rights().await.unwrap();
    assert_eq!(rights[0].is_allowed, Some(false), "{rights:?}");
}

/// A user with this root role (2 is Editor, 3 Viewer), and a personal token.
async fn token_of(server: &Unleash, name: &str, role: u32) -> String {
    let password = "a-Long-pass-word-of-tests-1";
    let user = json!({ "username": name, "email": format!("{name}@example.com"), "rootRole": role, "sendEmail": false,
        "password": password });
    assert_eq!(server.admin(Method::POST, "user-admin", Some(&user)).await.unwrap().0, 201);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let login = json!({ "username": name, "password": password });
    let answer = client.post(format!("{}/auth/simple/login", server.url())).json(&login).send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let token = json!({ "description": "runtime", "expiresAt": "2099-01-01T00:00:00.000Z" });
    let request = client.post(format!("{}/api/admin/user/tokens", server.url())).header("cookie", cookie).json(&token);
    let made: Value = request.send().await.unwrap().json().await.unwrap();
    made["secret"].as_str().unwrap().to_owned()
}

async fn who_may_what(server: &Unleash) {
    let rights = async |token: &str| {
        let rights = open(server, "development", token).rights().await.unwrap();
        rights.into_iter().map(|right| (right.act, right.is_allowed.unwrap())).collect::<Vec<_>>()
    };
    let all = [FlagAct::Read, FlagAct::Create, FlagAct::Rollout, FlagAct::Off, FlagAct::SkipReviews];
    assert_eq!(rights(ADMIN_TOKEN).await, all.map(|act| (act, true)));
    let editor = token_of(server, "editor", 2).await;
    assert_eq!(rights(&editor).await, all.map(|act| (act, act != FlagAct::SkipReviews)));
    let viewer = token_of(server, "viewer", 3).await;
    assert_eq!(rights(&viewer).await, all.map(|act| (act, act == FlagAct::Read)));
    let service = open(server, "development", &viewer);
    assert!(service.read("whole-life").await.unwrap().is_some());
    let error = service.ensure("not-for-viewers", "d").await.unwrap_err();
    let shown = error_chain(&error);
    assert!(shown.contains("403") && shown.contains("CREATE_FEATURE") && !shown.contains(&viewer), "{shown}");

    // With a form that does not give it away, a token of an application is told by the answer.
    let token = json!({ "tokenName": "app", "type": "client", "environment": "development", "projects": ["*"] });
    let (status, made) = server.admin(Method::POST, "api-tokens", Some(&token)).await.unwrap();
    assert_eq!(status, 201, "{made}");
    let config = "url: \"${URL}\", environment: development, token: \"${TOKEN}\"";
    let values = [("${URL}", server.url()), ("${TOKEN}", made["secret"].as_str().unwrap())];
    let error = flag_service("unleash", config, Path::new("/"), &values).err().unwrap();
    assert!(error.to_string().contains("one of an application"), "{error}");
    let error = open(server, "development", "user:nobody").rights().await.unwrap_err();
    assert!(error_chain(&error).contains("401"), "{}", error_chain(&error));
}

/// The table of the Enterprise edition is there, and so is its refusal; its requests are not. An admin is not asked.
async fn reviews_are_not_gone_past(server: &Unleash) {
    let key = "reviewed";
    let token = token_of(server, "reviewed", 2).await;
    let service = open(server, "production", &token);
    let mut database = sqlx::PgConnection::connect(server.database()).await.unwrap();
    sqlx::query("INSERT INTO change_request_settings (project, environment, required_approvals) VALUES ('default', 'production', 1)")
        .execute(&mut database)
        .await
        .unwrap();
    assert_eq!(service.ensure(key, "d").await.unwrap(), FlagState::off(key));
    let error = service.set_rollout(key, 5).await.unwrap_err();
    assert!(matches!(error, FlagError::Http { status: Some(404), .. }), "the request was tried: {error:?}");
    assert_eq!(service.read(key).await.unwrap(), Some(FlagState::off(key)));
    let admin = open(server, "production", ADMIN_TOKEN);
    let skips = admin.rights().await.unwrap().into_iter().find(|right| right.act == FlagAct::SkipReviews).unwrap();
    assert_eq!(skips.is_allowed, Some(true));
    admin.set_rollout(key, 5).await.unwrap();
    let error = service.off(key).await.unwrap_err();
    assert!(matches!(error, FlagError::Http { .. }), "{error:?}");
}

/// A flag that somebody set up with two variants: read, turned off, and on again as it was.
async fn an_experiment_of_its_own_is_guarded(server: &Unleash, service: &dyn FlagService) {
    let key = "guarded";
    let features = "projects/default/features";
    let ask = async |method: Method, path: String, body: Value| {
        let (status, said) = server.admin(method, &path, Some(&body)).await.unwrap();
        assert!((200..300).contains(&status), "{path}: {status} {said}");
    };
    ask(Method::POST, features.to_owned(), json!({ "name": key, "type": "experiment" })).await;
    let variant = |name: &str, weight: u32| json!({ "name": name, "weight": weight, "weightType": "fix", "stickiness": "userId" });
    let at = format!("{features}/{key}/environments/development");
    let strategy = json!({ "name": "flexibleRollout", "parameters": { "rollout": "100", "stickiness": "userId", "groupId": key },
        "variants": [variant("control", 600), { "name": "new", "weight": 400, "weightType": "variable", "stickiness": "userId" }] });
    ask(Method::POST, format!("{at}/strategies"), strategy).await;
    let elsewhere = service.elsewhere().unwrap();
    assert!(elsewhere.experiment("guarded-not").await.unwrap().is_none());
    assert!(!elsewhere.experiment(key).await.unwrap().unwrap().is_on, "it is not switched on yet");
    ask(Method::POST, format!("{at}/on"), json!({})).await;
    let found = elsewhere.experiment(key).await.unwrap().unwrap();
    assert_eq!(
        (found.control.as_str(), found.treatment.as_str(), found.treatment_pct, found.is_on),
        ("control", "new", 40, true)
    );
    put(service, &FlagState::off(key)).await.unwrap();
    assert!(!elsewhere.experiment(key).await.unwrap().unwrap().is_on);
    elsewhere.switch_on(key).await.unwrap();
    assert_eq!(elsewhere.experiment(key).await.unwrap().unwrap(), found, "as it was");
}
