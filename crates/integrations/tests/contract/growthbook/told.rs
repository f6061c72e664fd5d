//! What GrowthBook does by itself, who changed a feature, and what a key may do.

use std::path::Path;

use outcome_core::ports::flags::{Found, drift};
use outcome_core::ports::{FlagAct, FlagError, FlagState};
use pretty_assertions::assert_eq;
use serde_json::json;

use super::super::contract::flag_service;
use super::super::flag_kit::KEY;
use super::stand_in::{Server, rule};
use super::{VENDOR, at};

#[tokio::test]
async fn a_ramp_that_rolls_back_is_one_finding_with_its_cause_and_nothing_is_pushed_over_it() {
    let (server, mock, service) = at(50).await;
    let fifty = FlagState::on(KEY, 50);
    assert_eq!(drift(service.as_ref(), &fifty).await.unwrap(), None);
    let writes =
        async || mock.received_requests().await.unwrap().iter().filter(|one| one.method.as_str() != "GET").count();
    let before = writes().await;
    server.ramp(|feature| rule(feature)["coverage"] = json!(0));
    server.kept().ramps = vec![json!({
        "id": "rs_1", "name": "slowly\u{7}", "status": "rolled-back", "currentStepIndex": 2, "dateUpdated": "2026-11-28T08:00:00Z",
        "lastRollbackReason": "guardrail `errors` failing",
    })];
    let found = drift(service.as_ref(), &fifty).await.unwrap().unwrap();
    assert_eq!(found.found, Found::At(FlagState::on(KEY, 0)));
    let cause = found.cause.unwrap();
    assert!(cause.contains("is rolled-back at its step 3 (guardrail `errors` failing)"), "{cause}");
    assert!(cause.contains("by GrowthBook itself at 2026-11-28") && !cause.contains('\u{7}'), "{cause:?}");
    let error = service.set_rollout(KEY, 50).await.unwrap_err();
    assert!(matches!(&error, FlagError::Foreign { problem, .. } if problem.contains("is rolled-back")), "{error:?}");
    assert_eq!(writes().await, before, "nothing was sent");

    // It holds, or is at work at our share: its coverage does not tell who gets what.
    for status in ["running", "paused"] {
        server.ramp(|feature| rule(feature)["coverage"] = json!(0.5));
        server.kept().ramps[0]["status"] = json!(status);
        let found = drift(service.as_ref(), &fifty).await.unwrap().unwrap();
        assert!(matches!(&found.found, Found::Otherwise(what) if what.contains(&format!("is {status}"))), "{found}");
    }
    server.ramp(|feature| rule(feature)["coverage"] = json!(0));
    for status in ["pending", "ready", "running", "paused"] {
        server.kept().ramps[0]["status"] = json!(status);
        assert!(matches!(service.set_rollout(KEY, 50).await, Err(FlagError::Foreign { .. })), "{status}");
    }
    server.kept().ramps[0]["status"] = json!("completed");
    server.edit(|feature| rule(feature)["coverage"] = json!(0));
    assert_eq!(service.set_rollout(KEY, 50).await.unwrap(), fifty);
}

#[tokio::test]
async fn a_feature_that_a_ramp_locks_is_not_changed_and_off_tells_people() {
    let (server, _mock, service) = at(10).await;
    server.kept().is_locked = true;
    let error = service.set_rollout(KEY, 20).await.unwrap_err();
    assert!(
        matches!(&error, FlagError::Foreign { problem, .. } if problem.contains("a ramp of GrowthBook locks it")),
        "{error:?}"
    );
    let error = service.off(KEY).await.unwrap_err();
    assert!(matches!(&error, FlagError::Review { problem, .. } if problem.contains("end the ramp there")), "{error:?}");
    assert_eq!(server.drafts(), []);
    server.kept().is_locked = false;
    assert_eq!(service.off(KEY).await.unwrap(), FlagState::off(KEY));
}

#[tokio::test]
async fn it_tells_who_changed_a_feature_last() {
    let (server, _mock, service) = at(10).await;
    server.edit(|feature| rule(feature)["coverage"] = json!(0.9));
    let found = drift(service.as_ref(), &FlagState::on(KEY, 10)).await.unwrap().unwrap();
    let cause = found.cause.unwrap();
    assert!(cause.starts_with("revision ") && cause.ends_with("by Ann Lee at 2026-11-28T08:00:00Z: more"), "{cause}");
}

#[tokio::test]
async fn it_tells_what_the_key_may_do_and_who_lets_it_pass_reviews() {
    let server = Server::default();
    let (mock, service) = VENDOR.serve(&server.answers()).await;
    let skips = async |bypasses: Option<bool>, hides: bool| {
        server.kept().bypasses = bypasses;
        server.kept().hides_settings = hides;
        let rights = service.rights().await.unwrap();
        assert_eq!(rights.iter().find(|right| right.act == FlagAct::Read).unwrap().is_allowed, Some(true));
        assert_eq!(rights.iter().find(|right| right.act == FlagAct::Off).unwrap().is_allowed, None);
        rights.into_iter().find(|right| right.act == FlagAct::SkipReviews).unwrap()
    };
    let right = skips(Some(true), false).await;
    assert!(right.is_allowed == Some(true) && right.detail.unwrap().contains("REST API always bypasses"));
    assert_eq!(skips(Some(false), false).await.is_allowed, None);
    assert_eq!(skips(None, true).await.is_allowed, None);
    assert!(mock.received_requests().await.unwrap().iter().all(|one| one.method.as_str() == "GET"));

    let config = "url: \"${URL}\", environment: prod, token: \"${KEY}\"";
    let values = [("${URL}", mock.uri()), ("${KEY}", "secret_outcome_s3cret".to_owned())];
    let values: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let error = flag_service("growthbook", config, Path::new("/"), &values).unwrap().rights().await.unwrap_err();
    assert!(error.to_string().contains("no environment `prod`, but `production`, `staging`"), "{error}");
}
