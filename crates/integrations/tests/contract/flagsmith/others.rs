//! What others set up: segments, identities, variants, and values.

use outcome_core::ports::flags::drift;
use outcome_core::ports::{FlagError, FlagState};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::flag_kit::{KEY, put};
use super::stand_in::Server;
use super::started;

#[tokio::test]
async fn what_others_set_up_is_named_and_not_touched() {
    type Change = fn(&Server);
    let cases: [(Change, &str); 8] = [
        (
            |it| it.change(|state| state["feature_state_value"] = json!({ "type": "unicode", "string_value": "x" })),
            "not the boolean `false`",
        ),
        (
            |it| it.change(|state| state["feature_state_value"]["boolean_value"] = json!(true)),
            "not the boolean `false`",
        ),
        (|it| it.change(|state| state["multivariate_feature_state_values"] = json!([])), "shares of 0 variants"),
        (|it| it.set_share(12.5), "12.5 %"),
        (
            |it| it.change_feature(|feature| feature["multivariate_options"][0]["boolean_value"] = json!(false)),
            "not the boolean `true`",
        ),
        (|it| it.change_feature(|feature| feature["type"] = json!("STANDARD")), "of the type `STANDARD`"),
        (|it| it.add_segment(true), "on for 1 segments"),
        (Server::add_identity, "on for 1 identities"),
    ];
    for (change, expected) in cases {
        let server = Server::default();
        let (_held, service) = started(&server).await;
        service.ensure(KEY, "d").await.unwrap();
        service.set_rollout(KEY, 10).await.unwrap();
        change(&server);
        let before = server.states();
        let error = service.read(KEY).await.unwrap_err();
        assert!(matches!(error, FlagError::Foreign { .. }) && error.to_string().contains(expected), "{error}");
        let error = service.set_rollout(KEY, 20).await.unwrap_err();
        assert!(matches!(error, FlagError::Foreign { .. }), "{error:?}");
        assert_eq!(server.states(), before);
        service.off(KEY).await.unwrap();
        assert_eq!(service.read(KEY).await.unwrap(), Some(FlagState::off(KEY)), "{expected}");
    }
}

/// A feature without variants is on for everybody who looks at `enabled`.
#[tokio::test]
async fn a_standard_feature_is_foreign_and_can_be_turned_off() {
    let server = Server::default();
    let (_held, service) = started(&server).await;
    server.add_standard_feature();
    let error = service.ensure(KEY, "d").await.unwrap_err();
    assert!(error.to_string().contains("of the type `STANDARD`"), "{error}");
    put(service.as_ref(), &FlagState::off(KEY)).await.unwrap();
    let error = service.set_rollout(KEY, 5).await.unwrap_err();
    assert!(matches!(error, FlagError::Foreign { .. }), "{error:?}");
}

/// Off reaches what comes before the environment, and changes nothing else of it.
#[tokio::test]
async fn off_turns_segments_and_identities_off_too() {
    for server in [Server::default(), Server::versioned()] {
        let (_held, service) = started(&server).await;
        service.ensure(KEY, "d").await.unwrap();
        service.set_rollout(KEY, 10).await.unwrap();
        server.add_segment(true);
        server.add_segment(false);
        server.add_identity();
        put(service.as_ref(), &FlagState::off(KEY)).await.unwrap();
        let states = server.states();
        assert!(states.iter().all(|state| state["enabled"] == false), "{states:?}");
        let segments: Vec<_> = states.iter().filter(|state| !state["feature_segment"].is_null()).collect();
        assert_eq!(segments.len(), 2);
        assert!(
            segments
                .iter()
                .all(|state| state["multivariate_feature_state_values"][0]["percentage_allocation"] == 100.0),
            "their shares stay: {segments:?}"
        );
        let values: Vec<&Value> = states.iter().map(|state| &state["feature_state_value"]["boolean_value"]).collect();
        assert_eq!(values.iter().filter(|value| **value == &json!(true)).count(), 1, "the identity's own value stays");
    }
}

#[tokio::test]
async fn identities_in_a_list_of_their_own_are_found() {
    for server in [Server::default(), Server::versioned()] {
        let (_held, service) = started(&server).await;
        service.ensure(KEY, "d").await.unwrap();
        service.set_rollout(KEY, 10).await.unwrap();
        server.add_identity();
        server.list_identities_apart();
        let error = service.read(KEY).await.unwrap_err();
        assert!(error.to_string().contains("on for 1 identities"), "{error}");
        put(service.as_ref(), &FlagState::off(KEY)).await.unwrap();
        assert!(server.states().iter().all(|state| state["enabled"] == false));
    }
}

/// There is no conditional write, so what comes between is seen when the write is read back.
#[tokio::test]
async fn a_second_writer_is_seen_when_the_write_is_read_back() {
    let server = Server::default();
    let (_held, service) = started(&server).await;
    service.ensure(KEY, "d").await.unwrap();
    server.before_next_patch(|state| state["feature_state_value"]["boolean_value"] = json!(true));
    let error = put(service.as_ref(), &FlagState::on(KEY, 10)).await.unwrap_err();
    assert!(error.to_string().contains("not the boolean `false`"), "{error}");
    assert_eq!(server.default_of(0)["feature_state_value"]["boolean_value"], true, "it is kept");
}

/// An override that is removed sends no event: the next poll sees it.
#[tokio::test]
async fn an_override_that_comes_and_goes_is_seen_at_each_poll() {
    let server = Server::versioned();
    let (_held, service) = started(&server).await;
    service.ensure(KEY, "d").await.unwrap();
    let ten = FlagState::on(KEY, 10);
    put(service.as_ref(), &ten).await.unwrap();
    server.add_edge_identity(false);
    let found = drift(service.as_ref(), &ten).await.unwrap().unwrap();
    assert!(found.to_string().contains("1 identities have a state of their own"), "{found}");
}

/// The Edge API keeps what identities have somewhere else.
#[tokio::test]
async fn identities_of_the_edge_are_told_and_not_hidden() {
    let server = Server::default();
    let (_held, service) = started(&server).await;
    service.ensure(KEY, "d").await.unwrap();
    put(service.as_ref(), &FlagState::on(KEY, 10)).await.unwrap();
    server.add_edge_identity(true);
    for error in [service.read(KEY).await.unwrap_err(), service.set_rollout(KEY, 20).await.unwrap_err()] {
        assert!(matches!(error, FlagError::Foreign { .. }) && error.to_string().contains("1 identities"), "{error}");
        assert!(!error.to_string().contains("ann@"), "nobody's id is told: {error}");
    }
    let error = service.off(KEY).await.unwrap_err();
    assert!(error.to_string().contains("are off, but 1 identities have a state of their own"), "{error}");
    assert_eq!(server.default_of(0)["enabled"], false, "what can be turned off is off");
    server.hide_edge();
    let error = service.read(KEY).await.unwrap_err();
    assert!(error.to_string().contains("1 identities"), "what is not told is not taken for nothing: {error}");

    // One that is off itself is no treatment.
    let server = Server::default();
    let (_held, service) = started(&server).await;
    service.ensure(KEY, "d").await.unwrap();
    server.add_edge_identity(false);
    assert_eq!(put(service.as_ref(), &FlagState::off(KEY)).await.unwrap(), FlagState::off(KEY));
}

#[tokio::test]
async fn absence_is_not_off() {
    let server = Server::default();
    let (_held, service) = started(&server).await;
    service.ensure(KEY, "d").await.unwrap();
    for missing in ["enabled", "multivariate_feature_state_values", "feature"] {
        let server = Server::default();
        let (_held, service) = started(&server).await;
        service.ensure(KEY, "d").await.unwrap();
        server.change(|state| drop(state.as_object_mut().unwrap().remove(missing)));
        let error = service.read(KEY).await.unwrap_err();
        assert!(matches!(error, FlagError::Unreadable { .. }) && error.to_string().contains(missing), "{error}");
    }
}
