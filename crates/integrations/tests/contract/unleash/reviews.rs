//! Change requests of the Enterprise edition.

use outcome_core::ports::{FlagError, FlagState};
use pretty_assertions::assert_eq;

use super::flag_kit::KEY;
use super::stand_in::Server;
use super::started;

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
