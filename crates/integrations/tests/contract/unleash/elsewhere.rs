//! Experiments that run on a flag of Unleash.

use outcome_core::ports::elsewhere::Elsewhere;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::super::elsewhere::{cannot, found, is_not_there, without_deal};
use super::flag_kit::KEY;
use super::stand_in::Server;
use super::started;

/// What somebody changes.
type Change = fn(&mut Value);

fn variant(name: &str, weight: u32) -> Value {
    json!({ "name": name, "weight": weight, "weightType": "variable", "stickiness": "default" })
}

/// A flag with two variants, on.
async fn running() -> Server {
    let server = Server::default();
    let (_held, service) = started(&server).await;
    service.ensure(KEY, "New checkout").await.unwrap();
    server.change(|at| {
        at["enabled"] = json!(true);
        at["strategies"][0]["parameters"]["rollout"] = json!("100");
        at["strategies"][0]["constraints"] = json!([{ "contextName": "country", "operator": "IN", "values": ["NL"] }]);
        at["strategies"][0]["variants"] = json!([variant("control", 700), variant("new", 300)]);
    });
    server
}

fn expected(control: &str, treatment: &str, treatment_pct: u8) -> Elsewhere {
    Elsewhere {
        reference: KEY.to_owned(),
        name: KEY.to_owned(),
        flag_key: KEY.to_owned(),
        control: control.to_owned(),
        treatment: treatment.to_owned(),
        treatment_pct,
        started_at: None,
        is_on: true,
        idle: None,
        deal: String::new(),
        off_problem: None,
        metrics: Vec::new(),
        page: None,
    }
}

#[tokio::test]
async fn two_variants_or_a_rollout_of_everybody_are_two_arms() {
    let server = running().await;
    let (_held, service) = started(&server).await;
    assert_eq!(without_deal(found(service.as_ref(), KEY).await), expected("control", "new", 30));
    server.change(|at| {
        at["strategies"][0]["variants"] = json!([]);
        at["strategies"][0]["constraints"] = json!([]);
        at["strategies"][0]["parameters"]["rollout"] = json!("25");
    });
    assert_eq!(without_deal(found(service.as_ref(), KEY).await), expected("off", "on", 25));
    is_not_there(service.as_ref(), &["", "other", "../admin"]).await;
}

#[tokio::test]
async fn what_is_not_dealt_by_one_gradual_rollout_cannot_be_guarded() {
    let cases: [(Change, &str); 7] = [
        (|at| at["strategies"] = json!([]), "0 strategies"),
        (
            |at| at["strategies"].as_array_mut().unwrap().push(json!({ "name": "default", "parameters": {} })),
            "2 strategies",
        ),
        (|at| at["strategies"][0]["name"] = json!("userWithId"), "not a gradual rollout"),
        (|at| at["strategies"][0]["variants"][0]["name"] = json!("before"), "called `control`"),
        (|at| at["strategies"][0]["variants"][1]["weight"] = json!(333), "no whole percent"),
        (|at| at["strategies"][0]["variants"] = json!([]), "never dealt an arm"),
        (|at| at["releasePlans"] = json!([{ "name": "Slowly" }]), "release plan"),
    ];
    for (change, words) in cases {
        let server = running().await;
        server.change(change);
        let (_held, service) = started(&server).await;
        cannot(service.as_ref(), KEY, words).await;
    }
    // One that is disabled deals nobody.
    let server = running().await;
    server.change(|at| {
        at["strategies"].as_array_mut().unwrap().push(json!({ "name": "default", "disabled": true, "parameters": {} }));
    });
    let (_held, service) = started(&server).await;
    assert_eq!(found(service.as_ref(), KEY).await.treatment_pct, 30);
}

#[tokio::test]
async fn on_again_is_the_switch_alone_and_waits_for_a_change_request() {
    let server = running().await;
    let (_held, service) = started(&server).await;
    let before = server.strategies();
    service.off(KEY).await.unwrap();
    assert!(!found(service.as_ref(), KEY).await.is_on);
    service.elsewhere().unwrap().switch_on(KEY).await.unwrap();
    assert!(found(service.as_ref(), KEY).await.is_on);
    assert_eq!(server.strategies(), before);
    service.off(KEY).await.unwrap();
    server.demand_reviews();
    let error = service.elsewhere().unwrap().switch_on(KEY).await.unwrap_err();
    assert!(error.to_string().contains("change request"), "{error}");
    assert!(!found(service.as_ref(), KEY).await.is_on);
}
