//! Approvals of LaunchDarkly's own.

use outcome_core::error::error_chain;
use outcome_core::ports::{FlagError, FlagState};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use super::stand_in::{Shared, answers, world};
use super::{KEY, at_ten, vendor};
use crate::kit::prism::Prism;

fn required(tags: &[&str]) -> Option<Value> {
    Some(json!({ "required": true, "minNumApprovals": 1, "requiredApprovalTags": tags }))
}

fn waits(error: &FlagError) -> &str {
    match error {
        FlagError::Review { problem, .. } => problem,
        other => panic!("{}", error_chain(other)),
    }
}

fn written(world: &Shared) -> Vec<String> {
    world.lock().unwrap().writes.iter().map(|(method, path, _)| format!("{method} {path}")).collect()
}

const ASK: &str = "POST /api/v2/projects/shop/flags/new-checkout/environments/production/approval-requests";

#[tokio::test]
async fn a_change_is_asked_for_once_waited_for_and_applied() {
    for is_off in [true, false] {
        let shared = world();
        let (server, service) = at_ten(&shared).await;
        shared.lock().unwrap().approvals = required(&[]);
        let change = async || if is_off { service.off(KEY).await } else { service.set_rollout(KEY, 20).await };
        for _ in 0..3 {
            let error = change().await.unwrap_err();
            assert!(waits(&error).contains("approval request r1"), "{error}");
            assert!(!error.is_transient());
        }
        assert_eq!(written(&shared), [ASK], "it is found again");
        assert_eq!(service.read(KEY).await.unwrap(), Some(FlagState::on(KEY, 10)), "nothing has changed");
        let asked = shared.lock().unwrap().requests[0].clone();
        let expected = match is_off {
            true => json!([{ "kind": "turnFlagOff" }]),
            false => json!([{ "kind": "updateFallthroughVariationOrRollout", "rolloutContextKind": "user",
                              "rolloutWeights": { "id-treatment": 20_000, "id-control": 80_000 } }]),
        };
        assert_eq!(asked["instructions"], expected);

        shared.lock().unwrap().requests[0]["reviewStatus"] = json!("approved");
        let expected = if is_off { FlagState::off(KEY) } else { FlagState::on(KEY, 20) };
        assert_eq!(change().await.unwrap(), expected);
        assert_eq!(service.read(KEY).await.unwrap(), Some(expected.clone()));
        assert_eq!(written(&shared), [ASK.to_owned(), format!("{ASK}/r1/apply")]);
        assert_eq!(change().await.unwrap(), expected, "what is there needs no approval");
        assert_eq!(written(&shared).len(), 2);
        if let (true, Some(prism)) = (is_off, Prism::start("launchdarkly").unwrap()) {
            prism.accepts(&server).await.unwrap_or_else(|error| panic!("{error:#}"));
        }
    }
}

#[tokio::test]
async fn a_token_that_could_bypass_them_does_not() {
    let shared = world();
    let (_server, service) = at_ten(&shared).await;
    shared.lock().unwrap().approvals = required(&[]);
    shared.lock().unwrap().may_bypass = true;
    waits(&service.off(KEY).await.unwrap_err());
    waits(&service.set_rollout(KEY, 20).await.unwrap_err());
    let gone = format!("{}/r1", ASK.replace("POST", "DELETE"));
    assert_eq!(written(&shared), [ASK, &gone, ASK], "one for each, and no patch");
}

#[tokio::test]
async fn what_was_asked_for_before_is_withdrawn() {
    for may_withdraw in [true, false] {
        let shared = world();
        let (server, service) = at_ten(&shared).await;
        shared.lock().unwrap().approvals = required(&[]);
        waits(&service.set_rollout(KEY, 20).await.unwrap_err());
        let theirs = json!({ "_id": "x1", "status": "pending", "reviewStatus": "pending", "description": "rename", "instructions": [] });
        shared.lock().unwrap().requests.push(theirs);
        shared.lock().unwrap().may_withdraw = may_withdraw;
        assert!(waits(&service.off(KEY).await.unwrap_err()).contains("r2"), "it is asked for all the same");
        let left: Vec<_> = shared.lock().unwrap().requests.iter().map(|request| request["_id"].clone()).collect();
        let expected = if may_withdraw { json!(["x1", "r2"]) } else { json!(["r1", "x1", "r2"]) };
        assert_eq!(json!(left), expected, "the request of somebody else stays");
        if let (true, Some(prism)) = (may_withdraw, Prism::start("launchdarkly").unwrap()) {
            prism.accepts(&server).await.unwrap_or_else(|error| panic!("{error:#}"));
        }
    }
}

#[tokio::test]
async fn approvals_for_other_tags_are_not_ours() {
    let shared = world();
    let (_server, service) = at_ten(&shared).await;
    shared.lock().unwrap().approvals = required(&["payments"]);
    shared.lock().unwrap().may_bypass = true;
    assert_eq!(service.set_rollout(KEY, 20).await.unwrap(), FlagState::on(KEY, 20));
    shared.lock().unwrap().approvals = required(&["payments", "outcome-runtime"]);
    waits(&service.set_rollout(KEY, 30).await.unwrap_err());
}

#[tokio::test]
async fn a_flag_that_is_not_understood_is_not_turned_off_past_an_approval() {
    let shared = world();
    let (_server, service) = at_ten(&shared).await;
    shared.lock().unwrap().approvals = required(&["payments"]);
    shared.lock().unwrap().may_bypass = true;
    shared.lock().unwrap().ours().as_object_mut().unwrap().remove("on");
    // Whether it has the tag was not to be seen.
    waits(&service.off(KEY).await.unwrap_err());
    assert_eq!(written(&shared), [ASK]);
}

#[tokio::test]
async fn what_launchdarkly_refuses_for_an_approval_is_asked_for_too() {
    // Its settings do not say it: another service decides, or they changed meanwhile.
    let refusals: [fn() -> ResponseTemplate; 2] = [
        || {
            ResponseTemplate::new(405).set_body_json(json!({ "code": "method_not_allowed", "message": "Flag configuration updates require approval: action 'updateOn' not allowed" }))
        },
        || ResponseTemplate::new(409).set_body_json(json!({ "code": "conflict", "message": "Approval is required" })),
    ];
    for refusal in refusals {
        let shared = world();
        let inner = answers(&shared);
        let (_server, service) = at_ten(&shared).await;
        drop(service);
        let refusing: super::flag_kit::Answers = std::sync::Arc::new(move |request| match request.method.as_str() {
            "PATCH" => refusal(),
            _ => inner(request),
        });
        let (_server, service) = vendor().serve(&refusing).await;
        for _ in 0..2 {
            assert!(waits(&service.off(KEY).await.unwrap_err()).contains("r1"));
        }
        assert_eq!(written(&shared), [ASK]);
    }
}

#[tokio::test]
async fn requests_of_others_and_ended_ones_are_not_ours() {
    let shared = world();
    let (_server, service) = at_ten(&shared).await;
    shared.lock().unwrap().approvals = required(&[]);
    waits(&service.off(KEY).await.unwrap_err());
    let ours = shared.lock().unwrap().requests[0].clone();
    let spoiled = |key: &str, value: Value| {
        let mut other = ours.clone();
        other[key] = value;
        other["reviewStatus"] = json!("approved");
        other
    };
    for other in [
        spoiled("description", json!("turn it off")),
        spoiled("instructions", json!([{ "kind": "turnFlagOn" }])),
        spoiled("instructions", json!([{ "kind": "turnFlagOff" }, { "kind": "addRule" }])),
        spoiled("status", json!("failed")),
        spoiled("status", json!("completed")),
    ] {
        shared.lock().unwrap().requests = vec![other.clone()];
        let error = service.off(KEY).await.unwrap_err();
        assert!(waits(&error).contains("waits for a person") && !waits(&error).contains(" r1 "), "{other}: {error}");
        assert!(shared.lock().unwrap().ours()["on"] == json!(true), "{other}");
    }
    // LaunchDarkly may add to what was asked.
    let more = spoiled("instructions", json!([{ "kind": "turnFlagOff", "_id": "x" }]));
    shared.lock().unwrap().requests = vec![more];
    assert_eq!(service.off(KEY).await.unwrap(), FlagState::off(KEY));
}

#[tokio::test]
async fn a_declined_request_is_not_made_again() {
    let shared = world();
    let (_server, service) = at_ten(&shared).await;
    shared.lock().unwrap().approvals = required(&[]);
    waits(&service.off(KEY).await.unwrap_err());
    shared.lock().unwrap().requests[0]["reviewStatus"] = json!("declined");
    assert!(waits(&service.off(KEY).await.unwrap_err()).contains("was declined"));
    assert_eq!(written(&shared), [ASK]);
}

#[tokio::test]
async fn a_token_that_may_not_ask_or_apply_is_told_what_it_needs() {
    for (n_allowed, expected) in [(0, "`createApprovalRequest`"), (1, "`applyApprovalRequest`")] {
        let shared = world();
        let (_server, service) = at_ten(&shared).await;
        drop(service);
        shared.lock().unwrap().approvals = required(&[]);
        let inner = answers(&shared);
        let n = std::sync::atomic::AtomicUsize::new(0);
        let forbidding: super::flag_kit::Answers = std::sync::Arc::new(move |request| match request.method.as_str() {
            "POST" if n.fetch_add(1, std::sync::atomic::Ordering::SeqCst) >= n_allowed => ResponseTemplate::new(403),
            _ => inner(request),
        });
        let (_server, service) = vendor().serve(&forbidding).await;
        let first = service.off(KEY).await.unwrap_err();
        if n_allowed == 0 {
            assert!(waits(&first).contains(expected), "{first}");
            continue;
        }
        shared.lock().unwrap().requests[0]["reviewStatus"] = json!("approved");
        assert!(waits(&service.off(KEY).await.unwrap_err()).contains(expected));
    }
}
