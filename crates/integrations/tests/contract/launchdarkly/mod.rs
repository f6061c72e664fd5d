//! LaunchDarkly, against a stand-in that keeps flags as it does.

mod approvals;
mod elsewhere;
mod stand_in;
mod told;

use std::sync::Arc;

use outcome_core::Code;
use outcome_core::error::error_chain;
use outcome_core::ports::{FlagError, FlagService, FlagState};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use wiremock::{MockServer, ResponseTemplate};

use super::flag_kit::{self, KEY, Vendor, foreign, put};
use super::kit::prism::Prism;
use stand_in::{CONTROL, Shared, TOKEN, TREATMENT, answers, new_flag, stand_in, world};

const CONFIG: &str = "url: \"${URL}\", project: shop, environment: production, token: \"${TOKEN}\"";

fn vendor() -> Vendor {
    Vendor {
        kind: "launchdarkly",
        name: "LaunchDarkly",
        config: CONFIG,
        secrets: &[("${TOKEN}", TOKEN)],
        stand_in,
        spec: "launchdarkly",
    }
}

async fn open(world: &Shared) -> (MockServer, Box<dyn FlagService>) {
    vendor().serve(&answers(world)).await
}

/// A flag at 10 %.
async fn at_ten(world: &Shared) -> (MockServer, Box<dyn FlagService>) {
    let (server, service) = open(world).await;
    service.ensure(KEY, "Short form").await.unwrap();
    put(service.as_ref(), &FlagState::on(KEY, 10)).await.unwrap();
    world.lock().unwrap().writes.clear();
    (server, service)
}

#[tokio::test]
async fn it_does_what_every_flag_service_does() {
    flag_kit::all(&vendor()).await;
}

#[tokio::test]
async fn the_published_example_is_understood() {
    let Some(prism) = Prism::start("launchdarkly").unwrap() else { return };
    let config = "url: \"${URL}\", project: shop, environment: my-environment, token: \"${TOKEN}\"";
    let service = Vendor { config, ..vendor() }.open(prism.url());
    assert_eq!(service.read(KEY).await.unwrap(), Some(FlagState::off(KEY)));
    let said = service.last_change(KEY).await.unwrap().unwrap();
    assert!(said.starts_with("Ariel Flores (with the token `DevOps token`) turned on the flag"), "{said}");
}

#[tokio::test]
async fn a_new_flag_is_boolean_and_gives_the_control_however_it_is_switched() {
    let world = world();
    let (_server, service) = open(&world).await;
    assert_eq!(service.ensure(KEY, "Short form").await.unwrap(), FlagState::off(KEY));
    let made = world.lock().unwrap().writes.clone();
    let expected = json!({
        "key": KEY, "name": KEY, "description": "Short form", "tags": ["outcome-runtime"],
        "variations": [{ "value": true, "name": "Treatment" }, { "value": false, "name": "Control" }],
        "defaults": { "onVariation": 1, "offVariation": 1 },
    });
    assert_eq!(made, [("POST".to_owned(), "/api/v2/flags/shop".to_owned(), expected)]);
    world.lock().unwrap().ours()["on"] = json!(true);
    assert_eq!(service.read(KEY).await.unwrap(), Some(FlagState::on(KEY, 0)), "on, and nobody is treated");
}

#[tokio::test]
async fn a_share_is_written_by_the_ids_of_the_values_whatever_their_order() {
    let world = world();
    let (_server, service) = open(&world).await;
    let sent = json!({
        "key": KEY, "name": KEY, "description": "", "tags": [], "defaults": {},
        "variations": [{ "value": false }, { "value": true }],
    });
    let mut flag = new_flag(&sent);
    flag["environments"]["production"]["offVariation"] = json!(0);
    flag["environments"]["production"]["fallthrough"] = json!({ "variation": 0 });
    let before = flag.clone();
    world.lock().unwrap().flags.insert(KEY.to_owned(), flag);
    put(service.as_ref(), &FlagState::on(KEY, 10)).await.unwrap();
    let world = world.lock().unwrap();
    let expected = json!({
        "environmentKey": "production",
        "comment": "Outcome Runtime: give the treatment of `new-checkout` to 10 %",
        "instructions": [
            { "kind": "updateFallthroughVariationOrRollout", "rolloutContextKind": "user", "rolloutWeights": { TREATMENT: 10_000, CONTROL: 90_000 } },
            { "kind": "turnFlagOn" },
        ],
    });
    assert_eq!(world.patches(), [&expected], "what is not ours is not sent");
    let after = &world.flags[KEY];
    assert_eq!(after["environments"]["test"], before["environments"]["test"], "another environment stays as it was");
    for kept in ["variations", "customProperties", "tags", "defaults", "description"] {
        assert_eq!(after[kept], before[kept]);
    }
}

#[tokio::test]
async fn what_is_there_is_not_written_again() {
    let world = world();
    let (_server, service) = at_ten(&world).await;
    service.set_rollout(KEY, 10).await.unwrap();
    assert_eq!(world.lock().unwrap().writes, []);
    service.off(KEY).await.unwrap();
    service.off(KEY).await.unwrap();
    let world = world.lock().unwrap();
    let [(_, path, body)] = world.writes.as_slice() else { panic!("{:?}", world.writes) };
    assert_eq!(path, "/api/v2/flags/shop/new-checkout?ignoreConflicts=true", "a planned change does not keep it on");
    assert_eq!(body["instructions"], json!([{ "kind": "turnFlagOff" }]));
}

#[tokio::test]
async fn a_share_that_is_not_ours_is_named_and_not_touched() {
    for (meddle, expected) in [
        (
            json!({ "rules": [{ "_id": "r1", "description": "beta testers", "variation": 0, "clauses": [], "trackEvents": false }] }),
            "the rule `beta testers` gives `true`",
        ),
        (
            json!({ "targets": [{ "values": ["a", "b"], "variation": 0 }] }),
            "2 individual targets of the kind `user` get `true`",
        ),
        (json!({ "prerequisites": [{ "key": "login", "variation": 0 }] }), "the prerequisite `login`"),
        (
            json!({ "fallthrough": { "rollout": { "variations": [{ "variation": 0, "weight": 100_000 }], "experimentAllocation": { "type": "progressiveRollout" } } } }),
            "a `progressiveRollout` on the default rule",
        ),
        (json!({ "offVariation": 0 }), "its off variation is `true`"),
        (json!({ "offVariation": null }), "it has no off variation"),
    ] {
        let world = world();
        let (_server, service) = at_ten(&world).await;
        for (key, value) in meddle.as_object().unwrap() {
            world.lock().unwrap().ours()[key] = value.clone();
        }
        let error = service.set_rollout(KEY, 20).await.unwrap_err();
        assert!(foreign(&error).contains(expected), "{error}");
        assert_eq!(world.lock().unwrap().writes, [], "{expected}");
    }
    let world = world();
    let (_server, service) = open(&world).await;
    assert!(foreign(&service.set_rollout(KEY, 20).await.unwrap_err()).contains("there is no such flag"));
    let text = json!({ "key": KEY, "tags": [], "variations": [{ "value": "a" }, { "value": "b" }, { "value": "c" }] });
    world.lock().unwrap().flags.insert(KEY.to_owned(), new_flag(&text));
    assert!(foreign(&service.set_rollout(KEY, 20).await.unwrap_err()).contains("are not `true` and `false`"));
}

#[tokio::test]
async fn a_flag_whose_off_variation_is_not_the_control_is_not_off_until_it_is() {
    for (off_variation, expected) in
        [(json!(0), "everybody gets the treatment while it is off"), (json!(null), "whatever the code gives")]
    {
        let shared = world();
        let (_server, service) = open(&shared).await;
        service.ensure(KEY, "d").await.unwrap();
        shared.lock().unwrap().ours()["offVariation"] = off_variation;
        assert!(foreign(&service.read(KEY).await.unwrap_err()).contains(expected));
        assert!(
            foreign(&service.ensure(KEY, "d").await.unwrap_err()).contains(expected),
            "it is there, and is not off"
        );
        shared.lock().unwrap().writes.clear();
        assert_eq!(put(service.as_ref(), &FlagState::off(KEY)).await.unwrap(), FlagState::off(KEY));
        let control = json!([{ "kind": "updateOffVariation", "variationId": CONTROL }]);
        assert_eq!(shared.lock().unwrap().patches()[0]["instructions"], control);
        // On and off in one patch.
        shared.lock().unwrap().ours()["on"] = json!(true);
        shared.lock().unwrap().ours()["offVariation"] = json!(0);
        service.off(KEY).await.unwrap();
        let both = json!([{ "kind": "turnFlagOff" }, control[0]]);
        assert_eq!(shared.lock().unwrap().patches()[1]["instructions"], both);
    }
}

#[tokio::test]
async fn a_rule_that_is_switched_off_gives_nothing() {
    let world = world();
    let (_server, service) = at_ten(&world).await;
    world.lock().unwrap().ours()["rules"] =
        json!([{ "_id": "r1", "disabled": true, "variation": 0, "clauses": [], "trackEvents": false }]);
    assert_eq!(service.read(KEY).await.unwrap(), Some(FlagState::on(KEY, 10)));
}

#[tokio::test]
async fn an_answer_without_the_targeting_is_not_an_answer_and_can_be_turned_off() {
    // A list in this version of the API is like this; so was the flag in which a rule gave the treatment unseen.
    for missing in ["rules", "targets", "fallthrough", "on"] {
        let world = world();
        let (_server, service) = at_ten(&world).await;
        world.lock().unwrap().ours().as_object_mut().unwrap().remove(missing);
        let error = service.read(KEY).await.unwrap_err();
        assert!(matches!(error, FlagError::Unreadable { .. }), "{missing}: {error}");
        service.off(KEY).await.unwrap();
        assert_eq!(world.lock().unwrap().ours()["on"], json!(false), "{missing}");
    }
    let world = world();
    let (_server, service) = at_ten(&world).await;
    world.lock().unwrap().flags.get_mut(KEY).unwrap()["environments"] = json!({});
    assert!(matches!(service.read(KEY).await.unwrap_err(), FlagError::Unreadable { .. }));
}

#[tokio::test]
async fn another_writer_is_seen_and_decided_on_again() {
    let shared = world();
    let (_server, service) = at_ten(&shared).await;
    shared.lock().unwrap().before_patch = Some(|world| {
        world.before_patch = None;
        world.ours()["rules"] = json!([{ "_id": "r9", "variation": 0, "clauses": [], "trackEvents": false }]);
        Some(stale())
    });
    let error = service.set_rollout(KEY, 20).await.unwrap_err();
    assert!(foreign(&error).contains("the rule `r9` gives `true`"), "{error}");
    assert_eq!(shared.lock().unwrap().patches().len(), 1, "it is not repeated blindly");

    // Another writer has done it.
    let shared = world();
    let (_server, service) = at_ten(&shared).await;
    shared.lock().unwrap().before_patch = Some(|world| {
        world.ours()["on"] = json!(false);
        Some(stale())
    });
    assert_eq!(service.off(KEY).await.unwrap(), FlagState::off(KEY));
    assert_eq!(shared.lock().unwrap().patches().len(), 1);

    let shared = world();
    let (_server, service) = at_ten(&shared).await;
    shared.lock().unwrap().before_patch = Some(|_| Some(stale()));
    let error = service.set_rollout(KEY, 20).await.unwrap_err();
    assert!(matches!(error, FlagError::Http { status: Some(409), .. }), "{error}");
    assert_eq!(shared.lock().unwrap().patches().len(), 3);
}

fn stale() -> ResponseTemplate {
    let said = "Conflict. Optimistic lock error. Try again later.";
    ResponseTemplate::new(409).set_body_json(json!({ "code": "optimistic_locking_error", "message": said }))
}

#[tokio::test]
async fn a_flag_that_somebody_else_just_made_is_read() {
    let shared = world();
    let twin = json!({ "key": KEY, "tags": [], "variations": [{ "value": true }, { "value": false }] });
    let inner = answers(&shared);
    let both = Arc::clone(&shared);
    let racing: flag_kit::Answers = Arc::new(move |request| {
        if request.method.as_str() == "POST" {
            let mut flag = new_flag(&twin);
            flag["environments"]["production"]["on"] = json!(true);
            flag["environments"]["production"]["fallthrough"] = json!({ "variation": 0 });
            both.lock().unwrap().flags.insert(KEY.to_owned(), flag);
        }
        inner(request)
    });
    let (_server, service) = vendor().serve(&racing).await;
    assert_eq!(service.ensure(KEY, "d").await.unwrap(), FlagState::on(KEY, 100), "it is shown as it is, and stays so");
}

#[tokio::test]
async fn a_flag_is_missing_only_where_its_environment_is_seen() {
    let environments = |world: &Shared| world.lock().unwrap().environments = (0..44).map(|n| format!("e{n}")).collect();
    let shared = world();
    let (server, service) = open(&shared).await;
    environments(&shared);
    let error = service.off(KEY).await.unwrap_err();
    assert!(error_chain(&error).contains("has no environment `production`"), "{}", error_chain(&error));
    // 45 in pages of 20: ours is on the last one.
    shared.lock().unwrap().environments.push("production".to_owned());
    assert_eq!(service.read(KEY).await.unwrap(), None);
    let asked = server.received_requests().await.unwrap();
    assert!(asked.iter().any(|request| request.url.query() == Some("limit=20&offset=40")));

    // A page that is not there is no list.
    let inner = answers(&shared);
    let broken: flag_kit::Answers = Arc::new(move |request| match request.url.query() {
        Some("limit=20&offset=20") => ResponseTemplate::new(500),
        _ => inner(request),
    });
    let (_server, service) = vendor().serve(&broken).await;
    assert!(service.read(KEY).await.unwrap_err().is_transient());

    // Fewer than it says it has.
    let short = json!({ "items": [{ "key": "test" }], "totalCount": 45, "_links": {} });
    let error = with_environments(&short).await.read(KEY).await.unwrap_err();
    assert!(error.to_string().contains("ends too early"), "{error}");
}

async fn with_environments(page: &Value) -> Box<dyn FlagService> {
    let (inner, page) = (answers(&world()), page.clone());
    let answers: flag_kit::Answers = Arc::new(move |request| match request.url.path() {
        "/api/v2/projects/shop/environments" => ResponseTemplate::new(200).set_body_json(&page),
        _ => inner(request),
    });
    let (server, service) = vendor().serve(&answers).await;
    // It lives as long as the test.
    std::mem::forget(server);
    service
}

#[tokio::test]
async fn a_link_elsewhere_is_not_followed_with_the_token() {
    let other = MockServer::start().await;
    let elsewhere = format!("{}/api/v2/projects/shop/environments?offset=20", other.uri());
    for href in [elsewhere.as_str(), "//example.com/api/v2/x", "https://user@app.launchdarkly.com/"] {
        let page = json!({ "items": [], "totalCount": 40, "_links": { "next": { "href": href } } });
        let error = with_environments(&page).await.read(KEY).await.unwrap_err();
        assert!(error.to_string().contains("a link in it leads elsewhere"), "{href}: {error}");
    }
    assert!(other.received_requests().await.unwrap().is_empty());
    // One that leads to itself ends.
    let page = json!({ "items": [], "_links": { "next": { "href": "/api/v2/projects/shop/environments" } } });
    assert!(with_environments(&page).await.read(KEY).await.unwrap_err().to_string().contains("does not end"));
}

#[tokio::test]
async fn a_status_is_looked_at_before_the_text_is() {
    let page = ResponseTemplate::new(502).set_body_raw("<html>{\"on\": true</html>", "text/html");
    let answers: flag_kit::Answers = Arc::new(move |_| page.clone());
    let (_server, service) = vendor().serve(&answers).await;
    let error = service.read(KEY).await.unwrap_err();
    assert!(error.is_transient() && error_chain(&error).contains("status 502"), "{}", error_chain(&error));
}

#[test]
fn a_key_that_changes_no_flag_is_refused_with_the_reason() {
    let open = |token: &str| {
        let values = [("${URL}", "https://app.launchdarkly.com"), ("${TOKEN}", token)];
        super::contract::flag_service("launchdarkly", CONFIG, std::path::Path::new("/"), &values)
    };
    for (token, expected) in [
        ("sdk-0aa1-b2", "an SDK key"),
        ("mob-0aa1-b2", "a mobile key"),
        ("rel-0aa1-b2", "Relay Proxy"),
        ("57be1db38b75bf0772d11384", "a client-side id"),
    ] {
        let Err(error) = open(token) else { panic!("{token} was opened") };
        assert_eq!(error.code(), Code::ConnectorConfig);
        assert!(error.to_string().contains(expected) && !format!("{error:?}").contains(token), "{error:?}");
    }
    assert!(open("api-0aa1-b2").is_ok());
    for config in ["project: \"a/b\", environment: production", "project: shop, environment: \"..\""] {
        let config = format!("token: \"${{TOKEN}}\", {config}");
        let values = [("${TOKEN}", "api-x")];
        let found = super::contract::flag_service("launchdarkly", &config, std::path::Path::new("/"), &values);
        assert!(found.is_err(), "{config}");
    }
}

#[tokio::test]
async fn the_kind_of_contexts_is_what_exposures_count() {
    let shared = world();
    let organisations = Vendor {
        config: "url: \"${URL}\", project: shop, environment: production, token: \"${TOKEN}\", context_kind: organization",
        ..vendor()
    };
    let (_server, service) = organisations.serve(&answers(&shared)).await;
    service.ensure(KEY, "d").await.unwrap();
    put(service.as_ref(), &FlagState::on(KEY, 10)).await.unwrap();
    assert_eq!(shared.lock().unwrap().patches()[0]["instructions"][0]["rolloutContextKind"], "organization");
    // A rollout that names no kind splits users.
    shared.lock().unwrap().ours()["fallthrough"]["rollout"].as_object_mut().unwrap().remove("contextKind");
    assert!(
        foreign(&service.read(KEY).await.unwrap_err())
            .contains("of the kind `user`, and `context_kind` is `organization`")
    );
}
