//! PostHog's own experiments.

use outcome_core::ports::elsewhere::Elsewhere;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::super::elsewhere::{cannot, found, is_not_there, without_deal};
use super::super::flag_kit::KEY;
use super::super::kit::prism::Prism;
use super::serve;
use super::stand_in::{Server, made};

/// By what the experiment is found.
const REFERENCE: &str = "3";

/// What somebody changes.
type Change = fn(&mut Value);

const FLAG: u64 = 1;

/// A server with an experiment that runs.
fn running() -> Server {
    let server = Server::default();
    let filters = json!({
        "groups": [{ "properties": [{ "key": "country", "type": "person", "value": "NL" }], "rollout_percentage": 80, "variant": null }],
        "multivariate": { "variants": [{ "key": "test", "rollout_percentage": 40 }, { "key": "control", "rollout_percentage": 60 }] },
        "payloads": { "test": "{}" },
    });
    let flag = made(1, &json!({ "key": KEY, "active": true, "filters": filters }));
    let mut kept = server.kept();
    kept.scopes = vec!["feature_flag:write", "experiment:read"];
    kept.flags.push(flag);
    kept.experiment = json!({
        "id": 3, "name": "New checkout", "feature_flag_key": KEY, "feature_flag": { "id": FLAG, "key": KEY, "active": true },
        "start_date": "2026-11-03T09:00:00.123456Z", "end_date": null, "archived": false,
        // Out of date: the flag says what is dealt.
        "parameters": { "feature_flag_variants": [{ "key": "control", "rollout_percentage": 50 }, { "key": "old", "rollout_percentage": 50 }] },
        "metrics": [{ "name": "Orders" }, { "name": null }], "metrics_secondary": [{ "name": "Refunds" }],
    });
    drop(kept);
    server
}

#[tokio::test]
async fn arms_and_shares_are_those_of_the_flag() {
    let server = running();
    let (mock, service) = serve(&server).await;
    let expected = Elsewhere {
        reference: "3".to_owned(),
        name: "New checkout".to_owned(),
        flag_key: KEY.to_owned(),
        control: "control".to_owned(),
        treatment: "test".to_owned(),
        treatment_pct: 40,
        started_at: Some("2026-11-03T09:00:00.123456Z".parse().unwrap()),
        is_on: true,
        idle: None,
        deal: String::new(),
        off_problem: None,
        metrics: vec!["Orders".to_owned(), "Refunds".to_owned()],
        page: Some(format!("{}/project/7/experiments/3", mock.uri())),
    };
    assert_eq!(without_deal(found(service.as_ref(), "3").await), expected);
    is_not_there(service.as_ref(), &["", "new-checkout", "3/../4", "-3", "३"]).await;
    if let Some(prism) = Prism::start("posthog").unwrap() {
        prism.accepts(&mock).await.unwrap_or_else(|error| panic!("{error:#}"));
    }
}

#[tokio::test]
async fn what_does_not_run_is_said() {
    let server = running();
    let (_mock, service) = serve(&server).await;
    for (field, value, says) in [
        ("end_date", json!("2026-11-20T10:00:00Z"), "ended at 2026-11-20"),
        ("archived", json!(true), "is archived"),
        ("start_date", Value::Null, "has not begun"),
    ] {
        let before = server.kept().experiment[field].clone();
        server.kept().experiment[field] = value;
        let idle = found(service.as_ref(), "3").await.idle.unwrap_or_default();
        assert!(idle.contains(says), "{idle}");
        server.kept().experiment[field] = before;
    }
}

#[tokio::test]
async fn only_two_arms_that_are_dealt_in_whole_percents_can_be_guarded() {
    let cases: [(Change, &str); 7] = [
        (|flag| flag["filters"]["multivariate"] = Value::Null, "no variants"),
        (|flag| flag["filters"]["multivariate"]["variants"].as_array_mut().unwrap().truncate(1), "1 variants"),
        (
            |flag| flag["filters"]["multivariate"]["variants"][1]["key"] = json!("before"),
            "none of its variants is `control`",
        ),
        (|flag| flag["filters"]["multivariate"]["variants"][0]["rollout_percentage"] = json!(33.3), "no whole percent"),
        (|flag| flag["filters"]["multivariate"]["variants"][0]["rollout_percentage"] = json!(0), "no whole percent"),
        (|flag| flag["filters"]["groups"][0]["variant"] = json!("test"), "without dealing it"),
        (|flag| flag["filters"]["groups"][0]["rollout_percentage"] = json!(0), "let nobody in"),
    ];
    for (change, words) in cases {
        let server = running();
        server.edit(change);
        let (_mock, service) = serve(&server).await;
        cannot(service.as_ref(), "3", words).await;
    }
}

#[tokio::test]
async fn off_and_on_again_change_nothing_but_the_switch() {
    let server = running();
    let (_mock, service) = serve(&server).await;
    let filters = server.flag()["filters"].clone();
    service.elsewhere().unwrap().switch_off(KEY, REFERENCE).await.unwrap();
    let off = found(service.as_ref(), "3").await;
    assert!(!off.is_on && off.idle.is_none());
    service.elsewhere().unwrap().switch_on(KEY).await.unwrap();
    assert!(found(service.as_ref(), "3").await.is_on);
    assert_eq!(server.flag()["filters"], filters);
    // A policy that demands an approval is waited for.
    service.elsewhere().unwrap().switch_off(KEY, REFERENCE).await.unwrap();
    server.kept().gated = vec!["enable"];
    let error = service.elsewhere().unwrap().switch_on(KEY).await.unwrap_err();
    assert!(error.to_string().contains("waits for approval"), "{error}");
    assert!(!found(service.as_ref(), "3").await.is_on);
}

#[tokio::test]
async fn a_key_without_the_right_to_read_experiments_is_told() {
    let server = running();
    server.kept().scopes = vec!["feature_flag:write"];
    let (_mock, service) = serve(&server).await;
    let error = service.elsewhere().unwrap().experiment("3").await.unwrap_err();
    assert!(outcome_core::error::error_chain(&error).contains("experiment:read"), "{error:?}");
}
