//! Statsig, against a stand-in that keeps gates as it does.

mod reviews;
mod stand_in;

use std::path::Path;
use std::sync::Arc;

use outcome_core::Code;
use outcome_core::error::error_chain;
use outcome_core::ports::{FlagAct, FlagError, FlagService, FlagState};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use wiremock::{MockServer, ResponseTemplate};

use super::contract::flag_service;
use super::flag_kit::{self, Answers, KEY, Vendor, foreign, put};
use super::kit::prism::Prism;
use stand_in::{Shared, TOKEN, answers, new_gate, rule, stand_in, world};

fn vendor() -> Vendor {
    Vendor {
        kind: "statsig",
        name: "Statsig",
        config: "url: \"${URL}\", token: \"${TOKEN}\"",
        secrets: &[("${TOKEN}", TOKEN)],
        stand_in,
        spec: "statsig-console",
    }
}

async fn open(world: &Shared) -> (MockServer, Box<dyn FlagService>) {
    vendor().serve(&answers(world)).await
}

/// A gate at 10 %.
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
    let Some(prism) = Prism::start("statsig-console").unwrap() else { return };
    let service = vendor().open(prism.url());
    assert_eq!(service.read(KEY).await.unwrap(), Some(FlagState::on(KEY, 10)));
    assert_eq!(service.set_rollout(KEY, 10).await.unwrap(), FlagState::on(KEY, 10));
}

#[tokio::test]
async fn a_rule_is_added_once_even_if_statsig_stumbles() {
    let shared = world();
    let (server, service) = open(&shared).await;
    let sent = json!({ "id": KEY, "idType": "userID", "isEnabled": false });
    shared.lock().unwrap().gates.insert(KEY.to_owned(), new_gate(&sent));
    drop((server, service));
    let inner = answers(&shared);
    let losing: Answers = Arc::new(move |request| match (request.method.as_str(), inner(request)) {
        ("POST", _) => ResponseTemplate::new(502),
        (_, answer) => answer,
    });
    let (_server, service) = vendor().serve(&losing).await;
    assert!(service.set_rollout(KEY, 10).await.unwrap_err().is_transient());
    assert_eq!(
        shared.lock().unwrap().ours()["rules"].as_array().unwrap().len(),
        1,
        "its answer was lost, and it is not added again"
    );
    assert_eq!(service.set_rollout(KEY, 10).await.unwrap(), FlagState::on(KEY, 10));
    assert_eq!(shared.lock().unwrap().calls(), ["POST gates/new-checkout/rule", "PUT gates/new-checkout/enable"]);
}

#[tokio::test]
async fn a_gate_is_made_off_and_its_share_is_set_before_it_is_switched_on() {
    let world = world();
    let (_server, service) = open(&world).await;
    assert_eq!(service.ensure(KEY, &"long ".repeat(400)).await.unwrap(), FlagState::off(KEY));
    service.set_rollout(KEY, 10).await.unwrap();
    service.set_rollout(KEY, 20).await.unwrap();
    service.set_rollout(KEY, 20).await.unwrap();
    service.off(KEY).await.unwrap();
    service.off(KEY).await.unwrap();
    let world = world.lock().unwrap();
    assert_eq!(
        world.calls(),
        [
            "POST gates",
            "PATCH gates/new-checkout/rules/r0:10.00:1",
            "PUT gates/new-checkout/enable",
            "PATCH gates/new-checkout/rules/r0:10.00:1",
            "PUT gates/new-checkout/disable",
        ]
    );
    let mut made = world.writes[0].2.clone();
    assert_eq!(made["description"].as_str().unwrap().len(), 1000, "no longer than Statsig takes");
    made.as_object_mut().unwrap().remove("description");
    let ours = json!({ "name": "Outcome Runtime", "passPercentage": 0, "conditions": [{ "type": "public" }], "environments": null });
    let expected =
        json!({ "id": KEY, "name": KEY, "idType": "userID", "isEnabled": false, "type": "TEMPORARY", "rules": [ours] });
    assert_eq!(made, expected);
    assert_eq!(world.writes[1].2, json!({ "passPercentage": 10 }), "nothing else is sent");
}

#[tokio::test]
async fn a_rule_above_ours_decides_first_and_is_refused_with_its_name() {
    for (above, expected) in [
        (rule("everyone", 100.0, "public"), None),
        (
            rule("staff", 100.0, "email"),
            Some("its first rule `staff` is for email and decides before any other (100 % of them pass)"),
        ),
        (rule("hidden", 0.0, "email"), Some("its first rule `hidden` is for email")),
    ] {
        let shared = world();
        let (_server, service) = open(&shared).await;
        service.ensure(KEY, "d").await.unwrap();
        shared.lock().unwrap().ours()["rules"].as_array_mut().unwrap().insert(0, above.clone());
        shared.lock().unwrap().writes.clear();
        if let Some(expected) = expected {
            let error = service.set_rollout(KEY, 10).await.unwrap_err();
            assert!(foreign(&error).contains(expected), "{error}");
            assert_eq!(shared.lock().unwrap().calls(), Vec::<String>::new());
        }
        // Whatever is above, off ends in a disabled gate.
        let gate = {
            let mut world = shared.lock().unwrap();
            world.ours()["isEnabled"] = json!(true);
            world.ours()["status"] = json!("In Progress");
            world.ours().clone()
        };
        assert_ne!(service.read(KEY).await.ok(), Some(Some(FlagState::off(KEY))), "{gate}");
        assert_eq!(put(service.as_ref(), &FlagState::off(KEY)).await.unwrap(), FlagState::off(KEY));
        let mut world = shared.lock().unwrap();
        let off = world.ours().clone();
        assert_eq!((&off["isEnabled"], &off["status"]), (&json!(false), &json!("Disabled")));
        assert_eq!(world.ours()["rules"][0], above, "rules of others stay as they are");
        assert_eq!(world.calls(), ["PUT gates/new-checkout/disable"], "in one write");
    }
}

#[tokio::test]
async fn a_public_rule_at_100_above_ours_is_what_units_get() {
    let shared = world();
    let (_server, service) = at_ten(&shared).await;
    shared.lock().unwrap().ours()["rules"].as_array_mut().unwrap().insert(0, rule("everyone", 100.0, "public"));
    assert_eq!(service.read(KEY).await.unwrap(), Some(FlagState::on(KEY, 100)));
    // What comes after a public rule is never reached.
    shared.lock().unwrap().ours()["rules"].as_array_mut().unwrap().remove(0);
    shared.lock().unwrap().ours()["rules"].as_array_mut().unwrap().push(rule("staff", 100.0, "email"));
    assert_eq!(service.read(KEY).await.unwrap(), Some(FlagState::on(KEY, 10)));
}

#[tokio::test]
async fn a_gate_that_is_not_enabled_is_off_only_if_it_is_disabled() {
    let shared = world();
    let (_server, service) = at_ten(&shared).await;
    for (status, expected) in [
        ("Launched", "it is launched, so everybody gets `true`"),
        ("Archived", "it is archived"),
        ("In Progress", "its status is `In Progress` while `isEnabled` is false"),
        ("Shipped", "its status is `Shipped`"),
    ] {
        shared.lock().unwrap().ours()["isEnabled"] = json!(false);
        shared.lock().unwrap().ours()["status"] = json!(status);
        assert!(foreign(&service.read(KEY).await.unwrap_err()).contains(expected));
        assert!(foreign(&service.set_rollout(KEY, 20).await.unwrap_err()).contains(expected));
    }
}

#[tokio::test]
async fn refused_attempts_count_so_they_are_few_and_off_takes_one() {
    let shared = world();
    let (_server, service) = at_ten(&shared).await;
    shared.lock().unwrap().quota = 30;
    for pct in 11..=31 {
        service.set_rollout(KEY, pct).await.unwrap();
    }
    assert_eq!(shared.lock().unwrap().writes.len(), 21, "a step of a gate that is on is one write");
    service.off(KEY).await.unwrap();
    assert_eq!(shared.lock().unwrap().writes.len(), 22, "a storm of ramps leaves room for an off");

    let shared = world();
    let (_server, service) = at_ten(&shared).await;
    shared.lock().unwrap().quota = 0;
    for pct in 11..=20 {
        assert!(service.set_rollout(KEY, pct).await.unwrap_err().is_transient());
    }
    assert_eq!(shared.lock().unwrap().writes.len(), 10, "each refused ramp costs one attempt");
    assert!(service.off(KEY).await.unwrap_err().is_transient());
    assert_eq!(shared.lock().unwrap().writes.len(), 11);
    shared.lock().unwrap().quota = 12;
    assert_eq!(
        service.off(KEY).await.unwrap(),
        FlagState::off(KEY),
        "the first attempt that is let through turns it off"
    );
}

#[tokio::test]
async fn what_somebody_adds_meanwhile_is_not_switched_on() {
    let shared = world();
    let (_server, service) = open(&shared).await;
    service.ensure(KEY, "d").await.unwrap();
    shared.lock().unwrap().after_write = Some(|gate| {
        gate["rules"].as_array_mut().unwrap().insert(0, rule("staff", 100.0, "email"));
    });
    let error = service.set_rollout(KEY, 10).await.unwrap_err();
    assert!(foreign(&error).contains("`staff`"), "{error}");
    let mut world = shared.lock().unwrap();
    assert_eq!(world.ours()["isEnabled"], json!(false));
    assert_eq!(world.calls().last().unwrap(), "PATCH gates/new-checkout/rules/r0:10.00:1");
    assert_eq!(world.ours()["rules"][0]["name"], "staff", "nothing of theirs is lost");
}

#[tokio::test]
async fn one_environment_has_a_rule_of_its_own() {
    let ours = Vendor {
        config: "url: \"${URL}\", token: \"${TOKEN}\", environment: production, id_type: companyID",
        ..vendor()
    };
    let shared = world();
    let (_server, service) = ours.serve(&answers(&shared)).await;
    let mut staging = rule("staging", 100.0, "public");
    staging["environments"] = json!(["staging"]);
    let sent = json!({ "id": KEY, "idType": "companyID", "isEnabled": false, "rules": [staging] });
    shared.lock().unwrap().gates.insert(KEY.to_owned(), new_gate(&sent));
    put(service.as_ref(), &FlagState::on(KEY, 10)).await.unwrap();
    let added = json!({ "name": "Outcome Runtime", "passPercentage": 10, "conditions": [{ "type": "public" }], "environments": ["production"] });
    assert_eq!(shared.lock().unwrap().writes[0].2, added);
    assert_eq!(shared.lock().unwrap().calls(), ["POST gates/new-checkout/rule", "PUT gates/new-checkout/enable"]);
    // One for everywhere is not ours to change.
    shared.lock().unwrap().ours()["rules"][1]["environments"] = json!(null);
    let error = service.set_rollout(KEY, 20).await.unwrap_err();
    assert!(foreign(&error).contains("is for every environment, and the runtime writes one for production"), "{error}");
    // An override elsewhere changes nothing here.
    shared.lock().unwrap().ours()["rules"][1]["environments"] = json!(["Production"]);
    shared.lock().unwrap().overrides["environmentOverrides"] =
        json!([{ "environment": "staging", "passingIDs": ["u"] }]);
    assert_eq!(service.read(KEY).await.unwrap(), Some(FlagState::on(KEY, 10)));
}

#[tokio::test]
async fn what_else_decides_is_named() {
    let shared = world();
    let (_server, service) = at_ten(&shared).await;
    {
        let mut world = shared.lock().unwrap();
        world.ours()["holdoutIDs"] = json!(["q4", "long-term"]);
        world.ours()["idType"] = json!("stableID");
        world.ours()["rules"][0]["pendingAutomatedRollouts"] = json!([{ "time": 1, "passPercent": 50 }]);
        world.overrides = json!({ "passingUserIDs": ["a", "b"], "failingUserIDs": ["c"] });
    }
    let error = service.set_rollout(KEY, 20).await.unwrap_err();
    for expected in [
        "it is in the holdouts q4, long-term",
        "ids of the type `stableID`, and `id_type` is `userID`",
        "make 2 ids pass and 1 fail",
        "Statsig will change the share of its rule `Outcome Runtime` by itself",
    ] {
        assert!(foreign(&error).contains(expected), "{error}");
    }
    assert_eq!(foreign(&service.read(KEY).await.unwrap_err()), foreign(&error));
    assert_eq!(shared.lock().unwrap().calls(), Vec::<String>::new());
}

#[tokio::test]
async fn an_answer_without_its_parts_is_not_a_gate_and_can_be_turned_off() {
    for missing in ["rules", "status", "isEnabled", "idType"] {
        let shared = world();
        let (_server, service) = at_ten(&shared).await;
        shared.lock().unwrap().ours().as_object_mut().unwrap().remove(missing);
        let error = service.read(KEY).await.unwrap_err();
        assert!(matches!(error, FlagError::Unreadable { .. }), "{missing}: {error}");
        service.off(KEY).await.unwrap();
        assert_eq!(shared.lock().unwrap().ours()["isEnabled"], json!(false), "{missing}");
    }
}

#[tokio::test]
async fn an_address_that_is_not_statsigs_does_not_say_that_there_is_no_gate() {
    let nothing: Answers = Arc::new(|_| ResponseTemplate::new(404).set_body_json(json!({ "message": "no such page" })));
    let (_server, service) = vendor().serve(&nothing).await;
    for error in [service.read(KEY).await.unwrap_err(), service.off(KEY).await.unwrap_err()] {
        assert!(error_chain(&error).contains("check that `url` is the Console API's"), "{}", error_chain(&error));
    }
    let shared = world();
    let (_server, service) = open(&shared).await;
    assert!(foreign(&service.set_rollout(KEY, 5).await.unwrap_err()).contains("no such gate"));
    let error = service.ensure("ab", "d").await.unwrap_err();
    assert!(error.to_string().contains("3 to 100 characters"), "{error}");
}

#[tokio::test]
async fn a_gate_that_somebody_else_just_made_is_read() {
    let shared = world();
    let (inner, both) = (answers(&shared), Arc::clone(&shared));
    let racing: Answers = Arc::new(move |request| {
        if request.method.as_str() == "POST" {
            let sent =
                json!({ "id": KEY, "idType": "userID", "isEnabled": true, "rules": [rule("all", 7.0, "public")] });
            both.lock().unwrap().gates.insert(KEY.to_owned(), new_gate(&sent));
        }
        inner(request)
    });
    let (_server, service) = vendor().serve(&racing).await;
    assert_eq!(service.ensure(KEY, "d").await.unwrap(), FlagState::on(KEY, 7));
    // A gate that cannot be made for another reason is not there.
    let inner = answers(&world());
    let refusing: Answers = Arc::new(move |request| match request.method.as_str() {
        "POST" => ResponseTemplate::new(400).set_body_json(json!({ "message": "Invalid idType" })),
        _ => inner(request),
    });
    let (_server, service) = vendor().serve(&refusing).await;
    assert!(error_chain(&service.ensure(KEY, "d").await.unwrap_err()).contains("Invalid idType"));
}

#[test]
fn a_key_that_changes_no_gate_is_refused_with_the_reason() {
    let open = |token: &str| flag_service("statsig", "token: \"${TOKEN}\"", Path::new("/"), &[("${TOKEN}", token)]);
    for (token, expected) in [
        ("client-4x", "a client key"),
        ("secret-4x", "a server secret key"),
        ("4x-unknown", "not a key of the Console API"),
    ] {
        let Err(error) = open(token) else { panic!("{token} was opened") };
        assert_eq!(error.code(), Code::ConnectorConfig);
        assert!(error.to_string().contains(expected) && !format!("{error:?}").contains("4x"), "{error:?}");
    }
    assert!(open("console-4x").is_ok());
}

#[tokio::test]
async fn drift_says_who_did_it() {
    let shared = world();
    let (server, service) = at_ten(&shared).await;
    let said = async || service.last_change(KEY).await.unwrap();
    assert_eq!(said().await.as_deref(), Some("CONSOLE API changed the gate at 2026-09-21T14:13:20Z"));
    let entry = |name: &str, who: Value| json!({ "name": name, "changeLog": "Edited\nRules", "date": "Mon Sep 21 2026", "time": "14:13:20 GMT", "updatedBy": who });
    shared.lock().unwrap().log = vec![entry("other", json!("X")), entry(KEY, json!("Jane Doe"))];
    assert_eq!(said().await.as_deref(), Some("Jane Doe: Edited Rules (Mon Sep 21 2026 14:13:20 GMT)"));
    shared.lock().unwrap().log = vec![entry(KEY, json!(null))];
    assert_eq!(said().await.as_deref(), Some("Statsig: Edited Rules (Mon Sep 21 2026 14:13:20 GMT)"));
    shared.lock().unwrap().log.clear();
    shared.lock().unwrap().ours().as_object_mut().unwrap().remove("lastModifierName");
    assert_eq!(said().await, None);
    shared.lock().unwrap().gates.clear();
    assert_eq!(said().await, None);
    let asked = server.received_requests().await.unwrap();
    assert!(asked.iter().any(|request| request.url.query() == Some("id=new-checkout&limit=10")));
}

#[tokio::test]
async fn rights_say_that_the_api_passes_reviews_by() {
    let shared = world();
    let (_server, service) = open(&shared).await;
    for (is_required, expected) in [(true, "the project requires reviews"), (false, "the project requires no reviews")]
    {
        shared.lock().unwrap().requires_reviews = is_required;
        let rights = service.rights().await.unwrap();
        let found: Vec<_> = rights.iter().map(|right| (right.act, right.is_allowed)).collect();
        assert_eq!(
            found,
            [
                (FlagAct::Read, Some(true)),
                (FlagAct::Create, None),
                (FlagAct::Rollout, None),
                (FlagAct::Off, None),
                (FlagAct::SkipReviews, Some(true)),
            ]
        );
        let detail = rights[4].detail.as_deref().unwrap();
        assert!(detail.starts_with(expected) && detail.contains("`x-respect-review-settings`"), "{detail}");
    }
    assert_eq!(shared.lock().unwrap().calls(), Vec::<String>::new(), "nothing was changed to find out");
}
