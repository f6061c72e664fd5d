//! LaunchDarkly's own experiments.

use outcome_core::ports::elsewhere::Elsewhere;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::super::elsewhere::{cannot, found, is_not_there, without_deal};
use super::stand_in::{CONTROL, Shared, TREATMENT, world};
use super::{KEY, Prism, at_ten, open};

/// By what the experiment is found.
const REFERENCE: &str = "checkout";

/// What somebody changes.
type Change = fn(&mut Value);

/// A world with an experiment that runs on our flag.
async fn running() -> Shared {
    let world = world();
    let _made = at_ten(&world).await;
    let treatment = |name: &str, percent: &str, is_baseline: bool, variation: &str| {
        json!({ "_id": name, "name": name, "allocationPercent": percent, "baseline": is_baseline,
            "parameters": [{ "flagKey": KEY, "variationId": variation }] })
    };
    let mut held = world.lock().unwrap();
    held.ours()["fallthrough"]["rollout"]["experimentAllocation"] =
        json!({ "type": "experiment", "defaultVariation": 1 });
    held.experiment = Some(json!({
        "_id": "e1", "key": "checkout", "name": "New checkout", "maintainerId": "m", "creationDate": 1, "environmentKey": "production",
        "_links": {},
        "currentIteration": {
            "hypothesis": "h", "status": "running", "createdAt": 1, "startedAt": 1_793_696_400_000_i64,
            "flags": { KEY: { "targetingRule": "fallthrough", "flagConfigVersion": 2, "_links": {} } },
            "primaryMetric": { "key": "orders", "name": "Orders", "kind": "custom", "_links": {} },
            "treatments": [treatment("New", "10", false, TREATMENT), treatment("Before", "40", true, CONTROL)],
        },
    }));
    drop(held);
    world
}

fn edit(world: &Shared, edit: impl FnOnce(&mut Value)) {
    edit(world.lock().unwrap().experiment.as_mut().unwrap());
}

#[tokio::test]
async fn shares_are_those_among_the_two_treatments() {
    let world = running().await;
    let (server, service) = open(&world).await;
    let expected = Elsewhere {
        reference: "checkout".to_owned(),
        name: "New checkout".to_owned(),
        flag_key: KEY.to_owned(),
        control: "Before".to_owned(),
        treatment: "New".to_owned(),
        treatment_pct: 20,
        started_at: Some("2026-11-03T09:00:00Z".parse().unwrap()),
        is_on: true,
        idle: None,
        deal: String::new(),
        off_problem: None,
        metrics: vec!["Orders".to_owned()],
        page: None,
    };
    assert_eq!(without_deal(found(service.as_ref(), "checkout").await), expected);
    is_not_there(service.as_ref(), &["", "other", "../../flags", "a b"]).await;
    if let Some(prism) = Prism::start("launchdarkly").unwrap() {
        prism.accepts(&server).await.unwrap_or_else(|error| panic!("{error:#}"));
    }
}

#[tokio::test]
async fn off_must_be_the_baseline_and_two_treatments_must_be_dealt() {
    let world = running().await;
    world.lock().unwrap().ours()["offVariation"] = json!(0);
    let (_server, service) = open(&world).await;
    let problem = found(service.as_ref(), REFERENCE).await.off_problem.unwrap_or_default();
    assert!(problem.contains("another variation than the baseline"), "{problem}");
    world.lock().unwrap().ours().as_object_mut().unwrap().remove("offVariation");
    let problem = found(service.as_ref(), REFERENCE).await.off_problem.unwrap_or_default();
    assert!(problem.contains("give the flag an off variation"), "{problem}");
    // Whatever was set up meanwhile, off is the baseline.
    service.elsewhere().unwrap().switch_off(KEY, REFERENCE).await.unwrap();
    assert_eq!(world.lock().unwrap().ours()["offVariation"], json!(1));
    let off = found(service.as_ref(), REFERENCE).await;
    assert!(!off.is_on && off.off_problem.is_none());
    let cases: [(Change, &str); 6] = [
        (|it| drop(it.as_object_mut().unwrap().remove("currentIteration")), "has not begun"),
        (|it| it["currentIteration"]["flags"] = json!({}), "0 flags"),
        (|it| it["currentIteration"]["treatments"].as_array_mut().unwrap().truncate(1), "1 treatments"),
        (|it| it["currentIteration"]["treatments"][1]["baseline"] = json!(false), "is the baseline"),
        (|it| it["currentIteration"]["treatments"][0]["allocationPercent"] = json!("33"), "no whole percent"),
        (|it| it["currentIteration"]["treatments"][0]["allocationPercent"] = json!("many"), "no whole percent"),
    ];
    for (change, words) in cases {
        let world = running().await;
        edit(&world, change);
        let (_server, service) = open(&world).await;
        cannot(service.as_ref(), "checkout", words).await;
    }
    let world = running().await;
    edit(&world, |it| it["currentIteration"]["status"] = json!("stopped"));
    let (_server, service) = open(&world).await;
    assert_eq!(found(service.as_ref(), "checkout").await.idle.as_deref(), Some("was stopped"));
}

/// A banner is removed: the baseline is `true`, and off must not be `false`.
#[tokio::test]
async fn off_is_the_baseline_also_where_that_is_true() {
    let world = running().await;
    edit(&world, |it| {
        it["currentIteration"]["treatments"][0]["parameters"][0]["variationId"] = json!(CONTROL);
        it["currentIteration"]["treatments"][1]["parameters"][0]["variationId"] = json!(TREATMENT);
    });
    world.lock().unwrap().ours()["offVariation"] = json!(0);
    let (_server, service) = open(&world).await;
    assert_eq!(found(service.as_ref(), REFERENCE).await.off_problem, None);
    service.elsewhere().unwrap().switch_off(KEY, REFERENCE).await.unwrap();
    let ours = world.lock().unwrap().ours().clone();
    assert_eq!((&ours["on"], &ours["offVariation"]), (&json!(false), &json!(0)));
    assert_eq!(found(service.as_ref(), REFERENCE).await.off_problem, None);
}

#[tokio::test]
async fn off_and_on_again_are_the_switch_alone_with_its_approvals() {
    let world = running().await;
    let (_server, service) = open(&world).await;
    service.elsewhere().unwrap().switch_off(KEY, REFERENCE).await.unwrap();
    assert!(!found(service.as_ref(), "checkout").await.is_on);
    service.elsewhere().unwrap().switch_on(KEY).await.unwrap();
    assert!(found(service.as_ref(), "checkout").await.is_on);
    let kinds: Vec<Value> = world.lock().unwrap().patches().iter().map(|body| body["instructions"].clone()).collect();
    assert_eq!(kinds, [json!([{ "kind": "turnFlagOff" }]), json!([{ "kind": "turnFlagOn" }])]);
    service.elsewhere().unwrap().switch_off(KEY, REFERENCE).await.unwrap();
    world.lock().unwrap().approvals = Some(json!({ "required": true, "requiredApprovalTags": [] }));
    let error = service.elsewhere().unwrap().switch_on(KEY).await.unwrap_err();
    assert!(
        error.to_string().contains("on again as it was") && error.to_string().contains("waits for a person"),
        "{error}"
    );
    assert!(!found(service.as_ref(), "checkout").await.is_on);
}
