//! Reviews of Statsig's own.

use outcome_core::error::error_chain;
use outcome_core::ports::{FlagError, FlagState};
use pretty_assertions::assert_eq;
use serde_json::json;

use super::stand_in::{Shared, rule, world};
use super::{KEY, at_ten, put};
use crate::kit::prism::Prism;

fn waits(error: &FlagError) -> &str {
    match error {
        FlagError::Review { problem, .. } => problem,
        other => panic!("{}", error_chain(other)),
    }
}

fn accept(world: &Shared) {
    world.lock().unwrap().ours()["activeReview"]["reviewStatus"] = json!("accepted");
}

const ASK: &str = "POST gates/new-checkout/reviews";

#[tokio::test]
async fn an_off_is_asked_for_once_waited_for_and_committed() {
    for is_of_the_gate in [true, false] {
        let shared = world();
        let (server, service) = at_ten(&shared).await;
        match is_of_the_gate {
            true => shared.lock().unwrap().ours()["reviewSettings"]["requiredReview"] = json!(true),
            false => shared.lock().unwrap().requires_reviews = true,
        }
        for _ in 0..3 {
            let error = service.off(KEY).await.unwrap_err();
            assert!(
                waits(&error).contains("the review v1 (\"Outcome Runtime: turn `new-checkout` off\") waits"),
                "{error}"
            );
        }
        assert_eq!(service.read(KEY).await.unwrap(), Some(FlagState::on(KEY, 10)), "nothing has changed");
        accept(&shared);
        assert_eq!(put(service.as_ref(), &FlagState::off(KEY)).await.unwrap(), FlagState::off(KEY));
        let mut calls = shared.lock().unwrap().calls();
        if !is_of_the_gate {
            assert_eq!(
                calls.remove(0),
                "PUT gates/new-checkout/disable",
                "Statsig refused it once, and then it was known"
            );
        }
        assert_eq!(calls, [ASK, "PUT gates/new-checkout/reviews/v1/commit"]);
        if let (true, Some(prism)) = (is_of_the_gate, Prism::start("statsig-console").unwrap()) {
            prism.accepts(&server).await.unwrap_or_else(|error| panic!("{error:#}"));
        }
    }
}

#[tokio::test]
async fn a_share_takes_a_review_for_each_of_its_changes_and_keeps_what_is_not_ours() {
    let shared = world();
    let (server, service) = at_ten(&shared).await;
    service.off(KEY).await.unwrap();
    let mut theirs = rule("staff", 100.0, "email");
    theirs["invented"] = json!({ "kept": [1, "two"] });
    {
        let mut world = shared.lock().unwrap();
        world.writes.clear();
        world.requires_reviews = true;
        world.ours()["rules"].as_array_mut().unwrap().push(theirs.clone());
        world.ours()["reviewSettings"]["requiredReview"] = json!(true);
    }
    let mut expected = shared.lock().unwrap().ours()["rules"].clone();
    expected[0]["passPercentage"] = json!(20);
    waits(&service.set_rollout(KEY, 20).await.unwrap_err());
    assert_eq!(shared.lock().unwrap().writes[0].2["change"], json!({ "rules": expected }), "only the share differs");
    accept(&shared);
    waits(&service.set_rollout(KEY, 20).await.unwrap_err());
    accept(&shared);
    assert_eq!(put(service.as_ref(), &FlagState::on(KEY, 20)).await.unwrap(), FlagState::on(KEY, 20));
    assert_eq!(
        shared.lock().unwrap().calls(),
        [ASK, "PUT gates/new-checkout/reviews/v1/commit", ASK, "PUT gates/new-checkout/reviews/v2/commit",]
    );
    assert_eq!(shared.lock().unwrap().writes[2].2["change"], json!({ "is_enabled": true }));
    if let Some(prism) = Prism::start("statsig-console").unwrap() {
        prism.accepts(&server).await.unwrap_or_else(|error| panic!("{error:#}"));
    }
}

#[tokio::test]
async fn an_off_takes_the_place_of_what_the_runtime_asked_for_before() {
    let shared = world();
    let (_server, service) = at_ten(&shared).await;
    shared.lock().unwrap().requires_reviews = true;
    waits(&service.set_rollout(KEY, 20).await.unwrap_err());
    shared.lock().unwrap().writes.clear();
    assert!(waits(&service.off(KEY).await.unwrap_err()).contains("off"));
    assert_eq!(shared.lock().unwrap().calls(), ["DELETE gates/new-checkout/reviews/v1", ASK]);
}

#[tokio::test]
async fn a_review_of_somebody_else_comes_first_and_does_not_hold_up_an_off() {
    let shared = world();
    let (_server, service) = at_ten(&shared).await;
    shared.lock().unwrap().ours()["activeReview"] =
        json!({ "reviewID": "v9", "reviewStatus": "pending", "description": "rename" });
    let error = service.set_rollout(KEY, 20).await.unwrap_err();
    assert!(waits(&error).contains("the review v9 (\"rename\") is open on the gate and comes first"), "{error}");
    assert_eq!(shared.lock().unwrap().calls(), Vec::<String>::new());
    assert_eq!(service.set_rollout(KEY, 10).await.unwrap(), FlagState::on(KEY, 10), "what is there needs none");
    assert_eq!(service.off(KEY).await.unwrap(), FlagState::off(KEY), "where no review is required");
}

#[tokio::test]
async fn a_rejected_review_is_not_asked_for_again() {
    let shared = world();
    let (_server, service) = at_ten(&shared).await;
    shared.lock().unwrap().requires_reviews = true;
    waits(&service.off(KEY).await.unwrap_err());
    for status in ["rejected", "changes_requested"] {
        shared.lock().unwrap().ours()["activeReview"]["reviewStatus"] = json!(status);
        assert!(waits(&service.off(KEY).await.unwrap_err()).contains("was rejected"));
    }
    assert_eq!(shared.lock().unwrap().calls().iter().filter(|call| *call == ASK).count(), 1);
}

#[tokio::test]
async fn a_success_that_only_made_a_review_is_not_a_change() {
    let shared = world();
    let (_server, service) = at_ten(&shared).await;
    shared.lock().unwrap().requires_reviews = true;
    shared.lock().unwrap().makes_reviews = true;
    assert!(waits(&service.off(KEY).await.unwrap_err()).contains("the review v1 (\"by Statsig\") waits"));
    assert!(waits(&service.set_rollout(KEY, 20).await.unwrap_err()).contains("v1"));
}

#[tokio::test]
async fn where_no_review_can_be_asked_for_a_person_is_told_to() {
    let shared = world();
    let (_server, service) = at_ten(&shared).await;
    shared.lock().unwrap().requires_reviews = true;
    shared.lock().unwrap().has_review_calls = false;
    let error = service.off(KEY).await.unwrap_err();
    assert!(waits(&error).contains("make the change in Statsig"), "{error}");
}
