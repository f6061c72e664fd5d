//! What is written to a flag, and what others did to it.

use outcome_core::ports::flags::{Found, drift};
use outcome_core::ports::{FlagError, FlagState};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::flag_kit::{KEY, put};
use super::stand_in::{ENVIRONMENT, Server};
use super::started;

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
