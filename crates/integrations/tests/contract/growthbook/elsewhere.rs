//! GrowthBook's own experiments.

use outcome_core::ports::elsewhere::Elsewhere;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::super::elsewhere::{cannot, found, is_not_there, without_deal};
use super::super::flag_kit::KEY;
use super::super::kit::prism::Prism;
use super::VENDOR;
use super::stand_in::Server;

/// By what the experiment is found.
const REFERENCE: &str = "exp_1";

/// What somebody changes.
type Change = fn(&mut Value);

/// A server with an experiment that runs.
async fn running() -> Server {
    let server = Server::default();
    server.kept().refuses_with = 422;
    let (_mock, service) = VENDOR.serve(&server.answers()).await;
    service.ensure(KEY, "New checkout").await.unwrap();
    server.edit(|feature| {
        feature["environments"]["production"]["enabled"] = json!(true);
        feature["rules"] = json!([{ "id": "fr_x", "type": "experiment-ref", "experimentId": "exp_1", "enabled": true,
            "allEnvironments": false, "environments": ["production"],
            "variations": [{ "variationId": "v0", "value": "false" }, { "variationId": "v1", "value": "true" }] }]);
    });
    let split = |control: f64| json!([{ "variationId": "v0", "weight": control }, { "variationId": "v1", "weight": 1.0 - control }]);
    let phase = |started: &str, control: f64| {
        json!({ "name": "Main", "dateStarted": started, "dateEnded": "", "reasonForStopping": "", "seed": "s", "coverage": 0.5,
            "trafficSplit": split(control), "targetingCondition": "" })
    };
    let metric = |id: &str| json!({ "metricId": id, "overrides": {} });
    server.kept().experiment = Some(json!({
        "id": "exp_1", "trackingKey": "checkout", "name": "New checkout", "type": "standard", "archived": false, "status": "running",
        "hashAttribute": "id", "linkedFeatures": [KEY], "hasVisualChangesets": false, "hasURLRedirects": false,
        "variations": [{ "variationId": "v0", "key": "0", "name": "Control" }, { "variationId": "v1", "key": "1", "name": "New" }],
        "phases": [phase("2026-10-01T00:00:00.000Z", 0.9), phase("2026-11-03T09:00:00.000Z", 0.7)],
        "settings": { "goals": [metric("met_orders")], "secondaryMetrics": [], "guardrails": [metric("met_errors")] },
    }));
    server
}

#[tokio::test]
async fn it_is_found_by_id_and_by_tracking_key_as_its_newest_phase_deals() {
    let server = running().await;
    let (mock, service) = VENDOR.serve(&server.answers()).await;
    let expected = Elsewhere {
        reference: "exp_1".to_owned(),
        name: "New checkout".to_owned(),
        flag_key: KEY.to_owned(),
        control: "0".to_owned(),
        treatment: "1".to_owned(),
        treatment_pct: 30,
        started_at: Some("2026-11-03T09:00:00Z".parse().unwrap()),
        is_on: true,
        idle: None,
        deal: String::new(),
        off_problem: None,
        metrics: vec!["met_orders".to_owned(), "met_errors".to_owned()],
        page: None,
    };
    assert_eq!(without_deal(found(service.as_ref(), "exp_1").await), expected);
    assert_eq!(without_deal(found(service.as_ref(), "checkout").await), expected);
    is_not_there(service.as_ref(), &["", "exp_2", "../features", "a b"]).await;
    if let Some(prism) = Prism::start("growthbook").unwrap() {
        prism.accepts(&mock).await.unwrap_or_else(|error| panic!("{error:#}"));
    }
}

#[tokio::test]
async fn what_a_feature_does_not_deal_or_turn_off_cannot_be_guarded() {
    let cases: [(Change, &str); 7] = [
        (|it| it["type"] = json!("multi-armed-bandit"), "changes its shares by itself"),
        (|it| it["hasVisualChangesets"] = json!(true), "does not turn that off"),
        (|it| it["hasURLRedirects"] = json!(true), "does not turn that off"),
        (|it| it["linkedFeatures"] = json!([]), "linked to 0 features"),
        (|it| it["variations"].as_array_mut().unwrap().truncate(1), "1 variations"),
        (|it| it["phases"] = json!([]), "no phase"),
        (|it| it["phases"][1]["trafficSplit"][0]["weight"] = json!(0.3334), "no whole percent"),
    ];
    for (change, words) in cases {
        let server = running().await;
        change(server.kept().experiment.as_mut().unwrap());
        let (_mock, service) = VENDOR.serve(&server.answers()).await;
        cannot(service.as_ref(), "exp_1", words).await;
    }
    for (field, value, says) in [
        ("status", json!("stopped"), "was stopped"),
        ("status", json!("draft"), "is `draft`"),
        ("archived", json!(true), "is archived"),
    ] {
        let server = running().await;
        server.kept().experiment.as_mut().unwrap()[field] = value;
        let (_mock, service) = VENDOR.serve(&server.answers()).await;
        assert_eq!(found(service.as_ref(), "exp_1").await.idle.as_deref(), Some(says));
    }
}

#[tokio::test]
async fn another_phase_or_another_value_is_another_deal_and_another_name_is_not() {
    let server = running().await;
    let (_mock, service) = VENDOR.serve(&server.answers()).await;
    let before = found(service.as_ref(), REFERENCE).await;
    server.kept().experiment.as_mut().unwrap()["variations"][1]["name"] = json!("Newest");
    assert_eq!(found(service.as_ref(), REFERENCE).await, before);
    server.kept().experiment.as_mut().unwrap()["phases"][1]["seed"] = json!("another");
    let deal = found(service.as_ref(), REFERENCE).await.deal;
    assert_ne!(deal, before.deal);
    server.edit(|feature| feature["rules"][0]["variations"][1]["value"] = json!("false"));
    assert_ne!(found(service.as_ref(), REFERENCE).await.deal, deal);
}

#[tokio::test]
async fn off_and_on_again_change_nothing_but_the_switch_and_wait_for_reviews() {
    let server = running().await;
    let (_mock, service) = VENDOR.serve(&server.answers()).await;
    let rules = server.feature()["rules"].clone();
    service.elsewhere().unwrap().switch_off(KEY, REFERENCE).await.unwrap();
    assert!(!found(service.as_ref(), "exp_1").await.is_on);
    service.elsewhere().unwrap().switch_on(KEY).await.unwrap();
    assert!(found(service.as_ref(), "exp_1").await.is_on);
    assert_eq!(server.feature()["rules"], rules);
    service.elsewhere().unwrap().switch_off(KEY, REFERENCE).await.unwrap();
    server.kept().demands_reviews = true;
    let error = service.elsewhere().unwrap().switch_on(KEY).await.unwrap_err();
    assert!(error.to_string().contains("waits for a review"), "{error}");
    assert!(!found(service.as_ref(), "exp_1").await.is_on);
    server.approve();
    service.elsewhere().unwrap().switch_on(KEY).await.unwrap();
    assert!(found(service.as_ref(), "exp_1").await.is_on);
}
