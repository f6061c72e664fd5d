//! GrowthBook's features, against a stand-in that behaves as its server does.

mod elsewhere;
mod stand_in;
mod told;

use std::path::Path;
use std::sync::Arc;

use outcome_core::Code;
use outcome_core::error::error_chain;
use outcome_core::ports::{FlagError, FlagService, FlagState};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use stand_in::{Edit, Server, rule};
use wiremock::{MockServer, Request, ResponseTemplate};

use super::contract::flag_service;
use super::flag_kit::{Answers, KEY, Vendor, all, contracts, put};

const VENDOR: Vendor = Vendor {
    kind: "growthbook",
    name: "GrowthBook",
    config: "url: \"${URL}\", environment: production, token: \"${KEY}\"",
    secrets: &[("${KEY}", "secret_outcome_s3cret")],
    stand_in: stand_in::fresh,
    spec: "growthbook",
};

/// A server with our flag, on at this share.
async fn at(share: u8) -> (Server, MockServer, Box<dyn FlagService>) {
    let server = Server::default();
    server.kept().refuses_with = 422;
    let (mock, service) = VENDOR.serve(&server.answers()).await;
    service.ensure(KEY, "Short form").await.unwrap();
    put(service.as_ref(), &FlagState::on(KEY, share)).await.unwrap();
    (server, mock, service)
}

#[tokio::test]
async fn it_does_what_every_flag_service_does() {
    all(&VENDOR).await;
}

#[tokio::test]
async fn a_missing_feature_is_missing_also_where_the_server_says_400() {
    let server = Server::default();
    server.kept().is_missing_400 = true;
    let (_mock, service) = VENDOR.serve(&server.answers()).await;
    assert_eq!(service.read(KEY).await.unwrap(), None);
    assert_eq!(service.off(KEY).await.unwrap(), FlagState::off(KEY));
    assert_eq!(service.ensure(KEY, "d").await.unwrap(), FlagState::off(KEY));
}

#[tokio::test]
async fn the_other_environment_stays_as_it_is_live_and_in_the_revision() {
    let (server, _mock, service) = at(10).await;
    let staging = |feature: &Value| (feature["rules"][0].clone(), feature["environments"]["staging"].clone());
    let before = staging(&server.feature());
    assert_eq!(before.0["id"], "fr_staging");
    put(service.as_ref(), &FlagState::on(KEY, 7)).await.unwrap();
    assert_eq!(staging(&server.feature()), before);
    let published = server.kept().revisions.last().unwrap().clone();
    assert_eq!((published["status"].clone(), published["rules"][0].clone()), (json!("published"), before.0.clone()));
    assert_eq!(server.feature()["revision"]["version"], published["version"]);
    put(service.as_ref(), &FlagState::off(KEY)).await.unwrap();
    assert_eq!(staging(&server.feature()), before);
    assert_eq!(server.drafts(), []);
}

#[tokio::test]
async fn a_draft_that_somebody_changed_is_not_published() {
    let edits: [(&str, Edit); 6] = [
        ("another rule", |draft| draft["rules"][0]["value"] = json!("false")),
        ("another environment", |draft| draft["environmentsEnabled"]["staging"] = json!(false)),
        ("another default", |draft| draft["defaultValue"] = json!("true")),
        ("a ramp", |draft| draft["rampActions"] = json!([{ "mode": "create" }])),
        ("a prerequisite", |draft| draft["prerequisites"] = json!([{ "id": "parent" }])),
        ("another seed", |draft| draft["rules"][1]["seed"] = json!("other")),
    ];
    for (what, edit) in edits {
        let (server, _mock, service) = at(10).await;
        server.kept().demands_reviews = true;
        service.set_rollout(KEY, 60).await.unwrap_err();
        edit(server.kept().revisions.last_mut().unwrap());
        server.approve();
        let first = server.drafts();
        assert!(matches!(service.set_rollout(KEY, 60).await, Err(FlagError::Review { .. })), "{what}");
        assert!(server.drafts()[0].0 > first[0].0, "{what}: a new one is asked for");
        assert_eq!(service.read(KEY).await.unwrap(), Some(FlagState::on(KEY, 10)), "{what}");
    }
}

#[tokio::test]
async fn what_is_published_is_compared_with_what_is_live() {
    let (server, _mock, service) = at(10).await;
    server.kept().disagrees = true;
    let error = service.set_rollout(KEY, 20).await.unwrap_err();
    assert!(
        matches!(&error, FlagError::Unreadable { problem, .. } if problem.contains("what is live is not the same")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_step_that_the_server_drops_or_refuses_is_not_published() {
    let (server, _mock, service) = at(10).await;
    let publishes = server.kept().publishes;
    server.kept().drops = true;
    let error = service.set_rollout(KEY, 20).await.unwrap_err();
    assert!(
        matches!(&error, FlagError::Unreadable { problem, .. } if problem.contains("nothing was published")),
        "{error:?}"
    );
    server.kept().drops = false;
    for status in [400, 403] {
        server.kept().refuses_rules = Some(status);
        let error = service.set_rollout(KEY, 20).await.unwrap_err();
        assert!(error_chain(&error).contains(&format!("status {status}: Unrecognized key")), "{error:?}");
    }
    assert_eq!(server.kept().publishes, publishes);
    assert_eq!(server.drafts(), [], "nothing is left over");
    assert_eq!(service.read(KEY).await.unwrap(), Some(FlagState::on(KEY, 10)));
}

#[tokio::test]
async fn a_second_writer_between_read_and_publish_makes_it_decide_again() {
    let (server, _mock, service) = at(10).await;
    server.kept().race = Some(Box::new(|feature| feature["description"] = json!("theirs")));
    assert_eq!(service.set_rollout(KEY, 20).await.unwrap(), FlagState::on(KEY, 20));
    assert_eq!(server.feature()["description"], "theirs");

    server.kept().race = Some(Box::new(|feature| rule(feature)["condition"] = json!("{\"plan\": \"pro\"}")));
    let error = service.set_rollout(KEY, 30).await.unwrap_err();
    assert!(matches!(&error, FlagError::Foreign { problem, .. } if problem.contains("has a condition")), "{error:?}");
    assert_eq!(rule(&mut server.feature())["coverage"], json!(0.2));
    assert_eq!(server.drafts(), []);

    // Somebody publishes before there is a draft.
    let (server, _mock, _) = at(10).await;
    let (answers, racing) = (server.answers(), server.clone());
    let once = std::sync::Once::new();
    let before: Answers = Arc::new(move |request: &Request| {
        if request.method.as_str() == "POST" && request.url.path().ends_with("/revisions") {
            once.call_once(|| racing.edit(|feature| rule(feature)["coverage"] = json!(0.15)));
        }
        answers(request)
    });
    let (_mock, service) = VENDOR.serve(&before).await;
    assert_eq!(service.set_rollout(KEY, 20).await.unwrap(), FlagState::on(KEY, 20));
    assert_eq!(server.drafts(), []);

    // Somebody is faster each time.
    let (server, _mock, _) = at(10).await;
    let publishes = server.kept().publishes;
    let answers = server.answers();
    let (racing, busy) = (server.clone(), server.clone());
    let always: Answers = Arc::new(move |request: &Request| {
        if request.url.path().ends_with("/publish") {
            racing.edit(|feature| feature["description"] = json!("again"));
        }
        answers(request)
    });
    let (_mock, service) = VENDOR.serve(&always).await;
    let error = service.set_rollout(KEY, 20).await.unwrap_err();
    assert!(error_chain(&error).contains("422"), "{error:?}");
    assert_eq!(busy.kept().publishes, publishes + 3);
    assert_eq!(busy.drafts(), []);
}

#[tokio::test]
async fn a_review_is_asked_for_once_and_the_draft_is_published_when_it_is_approved() {
    // As newer and older servers say it, and where the settings cannot be read.
    for (status, hides_settings) in [(422, true), (403, true), (400, true), (422, false)] {
        let (server, _mock, service) = at(10).await;
        server.kept().demands_reviews = true;
        server.kept().hides_settings = hides_settings;
        server.kept().refuses_with = status;
        for _ in 0..2 {
            let error = service.set_rollout(KEY, 60).await.unwrap_err();
            assert!(
                matches!(&error, FlagError::Review { problem, .. } if problem.contains("waits for a review")),
                "{error:?}"
            );
            let drafts = server.drafts();
            assert!(
                matches!(drafts.as_slice(), [(_, status, comment)] if status == "pending-review" && comment.ends_with("on at 60 %")),
                "{drafts:?}"
            );
        }
        assert_eq!(service.read(KEY).await.unwrap(), Some(FlagState::on(KEY, 10)), "waiting is no change");
        server.approve();
        assert_eq!(put(service.as_ref(), &FlagState::on(KEY, 60)).await.unwrap(), FlagState::on(KEY, 60));

        // Another step while one waits: the older draft is thrown away.
        assert!(matches!(service.set_rollout(KEY, 70).await, Err(FlagError::Review { .. })));
        assert!(matches!(service.set_rollout(KEY, 80).await, Err(FlagError::Review { .. })));
        assert!(matches!(server.drafts().as_slice(), [(_, _, comment)] if comment.ends_with("on at 80 %")));

        // Off while a share waits: it asks, again and again, and the share is thrown away.
        for _ in 0..2 {
            let error = service.off(KEY).await.unwrap_err();
            assert!(
                matches!(&error, FlagError::Review { problem, .. } if problem.contains("production: off")),
                "{error:?}"
            );
            assert!(matches!(server.drafts().as_slice(), [(_, _, comment)] if comment.ends_with(": off")));
        }
        assert_eq!(service.read(KEY).await.unwrap(), Some(FlagState::on(KEY, 60)), "waiting is not off");
        server.approve();
        assert_eq!(put(service.as_ref(), &FlagState::off(KEY)).await.unwrap(), FlagState::off(KEY));
    }
}

#[tokio::test]
async fn a_review_is_waited_for_even_if_the_key_may_pass_it() {
    for demands_of_all in [false, true] {
        let (server, _mock, service) = at(10).await;
        server.kept().demands_reviews = true;
        server.kept().demands_of_all = demands_of_all;
        server.kept().key_passes = true;
        let publishes = server.kept().publishes;
        assert!(matches!(service.set_rollout(KEY, 60).await, Err(FlagError::Review { .. })));
        assert_eq!(server.kept().publishes, publishes);
        server.approve();
        assert_eq!(service.set_rollout(KEY, 60).await.unwrap(), FlagState::on(KEY, 60));
    }
}

#[tokio::test]
async fn a_draft_for_what_is_no_longer_live_is_made_again_and_others_are_left_alone() {
    let (server, _mock, service) = at(10).await;
    server.kept().demands_reviews = true;
    let theirs = json!({
        "version": 900, "baseVersion": 1, "status": "draft", "comment": "mine", "rules": [], "id": "r", "featureId": KEY, "date": "",
    });
    server.kept().revisions.push(theirs);
    assert!(matches!(service.set_rollout(KEY, 60).await, Err(FlagError::Review { .. })));
    let first = server.drafts();
    server.edit(|feature| feature["description"] = json!("theirs"));
    server.approve();
    let publishes = server.kept().publishes;
    assert!(
        matches!(service.set_rollout(KEY, 60).await, Err(FlagError::Review { .. })),
        "it was approved for another feature"
    );
    assert_eq!(server.kept().publishes, publishes, "GrowthBook would merge it");
    let second = server.drafts();
    assert_eq!((first.len(), second.len()), (2, 2));
    assert_eq!(second[0].2, "mine");
    assert!(second[1].0 > first[1].0, "{first:?} {second:?}");
    service.off(KEY).await.unwrap_err();
    server.kept().demands_reviews = false;
    service.off(KEY).await.unwrap();
    assert_eq!(server.drafts().len(), 1, "only theirs is left");
}

#[tokio::test]
async fn the_published_example_of_a_switch_is_what_is_sent() {
    let path = contracts("examples/growthbook.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        return eprintln!("SKIPPED: the examples are not beside the repository");
    };
    let example: Value = serde_json::from_str::<Value>(&text).unwrap()[0]["request"].clone();
    let (_server, mock, service) = at(10).await;
    service.off(KEY).await.unwrap();
    let sent = mock.received_requests().await.unwrap().into_iter().rfind(|one| one.method.as_str() == "POST").unwrap();
    assert_eq!(sent.url.path(), example["path"].as_str().unwrap().replace("my-flag", KEY));
    let keys = |body: &Value| body.as_object().unwrap().keys().cloned().collect::<std::collections::BTreeSet<_>>();
    let body: Value = sent.body_json().unwrap();
    assert_eq!(keys(&body), keys(&example["body"]));
    assert_eq!(body["environments"], json!({ "production": false }), "only our environment");
}

#[tokio::test]
async fn a_switch_that_does_not_switch_is_not_off() {
    let (server, _mock, _) = at(10).await;
    let answers = server.answers();
    let stuck = server.clone();
    let answers: Answers =
        Arc::new(move |request: &Request| match request.url.path().ends_with("new-checkout/toggle") {
            true => ResponseTemplate::new(200).set_body_json(json!({ "feature": stuck.feature() })),
            false => answers(request),
        });
    let (_mock, service) = VENDOR.serve(&answers).await;
    assert_eq!(put(service.as_ref(), &FlagState::off(KEY)).await.unwrap(), FlagState::off(KEY), "a draft does it");
    assert_eq!(server.feature()["environments"]["production"]["enabled"], json!(false));
}

#[test]
fn a_key_of_the_wrong_kind_is_refused_with_the_reason() {
    let open = |token: &str| {
        flag_service("growthbook", "environment: production, token: \"${KEY}\"", Path::new("/"), &[("${KEY}", token)])
    };
    for (token, kind) in [("sdk-abc123", "the client key"), ("secret_readonly_abc123", "a read-only key")] {
        let Err(error) = open(token) else { panic!("{token}") };
        assert_eq!(error.code(), Code::ConnectorConfig);
        assert!(error.to_string().contains(kind) && !error.to_string().contains(token), "{error}");
    }
    assert_eq!(open("secret_abc").unwrap().place().as_deref(), Some("https://api.growthbook.io"));
}
