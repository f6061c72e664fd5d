//! What LaunchDarkly tells of a flag's changes and of the token.

use std::sync::Arc;

use outcome_core::Code;
use outcome_core::ports::flags::drift;
use outcome_core::ports::{FlagAct, FlagError, FlagState};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use super::flag_kit::Answers;
use super::stand_in::{answers, world};
use super::{KEY, at_ten, open, vendor};

#[tokio::test]
async fn drift_says_who_did_it() {
    let shared = world();
    let (_server, service) = at_ten(&shared).await;
    assert_eq!(service.last_change(KEY).await.unwrap(), None);
    let entry = |who: Value| {
        let mut entry = json!({ "_id": "l1", "date": 1_790_000_000_000_i64, "titleVerb": "updated the default rule of the flag", "comment": "more\nplease" });
        entry.as_object_mut().unwrap().extend(who.as_object().unwrap().clone());
        entry
    };
    for (who, expected) in [
        (json!({ "member": { "firstName": "Ariel", "lastName": "Flores", "email": "a@x" } }), "Ariel Flores updated"),
        (json!({ "member": { "email": "a@x" }, "token": { "name": "CI" } }), "a@x (with the token `CI`) updated"),
        (json!({ "token": { "name": "DevOps" } }), "the token `DevOps` updated"),
        (json!({ "app": { "name": "Slack" } }), "the app `Slack` updated"),
        (json!({ "subject": { "name": "Guarded rollout" } }), "Guarded rollout updated"),
        (json!({}), "LaunchDarkly updated"),
    ] {
        shared.lock().unwrap().log = vec![entry(who)];
        let said = service.last_change(KEY).await.unwrap().unwrap();
        assert_eq!(
            said,
            format!(
                "{expected} the default rule of the flag at 2026-09-21T14:13:20Z, with the comment \"more please\""
            )
        );
    }
    shared.lock().unwrap().ours()["fallthrough"] = json!({ "variation": 0 });
    let drift = drift(service.as_ref(), &FlagState::on(KEY, 10)).await.unwrap().unwrap().to_string();
    assert!(drift.contains("is on at 100 %") && drift.contains("LaunchDarkly updated"), "{drift}");

    let inner = answers(&shared);
    let blind: Answers = Arc::new(move |request| match request.url.path() {
        "/api/v2/auditlog" => ResponseTemplate::new(403),
        _ => inner(request),
    });
    let (server, service) = vendor().serve(&blind).await;
    assert_eq!(service.last_change(KEY).await.unwrap(), None, "a token that may not look does not guess");
    let asked = server.received_requests().await.unwrap();
    assert_eq!(asked[0].url.query(), Some("limit=1&spec=proj%2Fshop%3Aenv%2Fproduction%3Aflag%2Fnew-checkout"));
}

#[tokio::test]
async fn rights_are_what_the_api_says_and_no_more() {
    let shared = world();
    let (_server, service) = open(&shared).await;
    let rights = async || {
        let found = service.rights().await.unwrap();
        found
            .into_iter()
            .map(|right| (right.act, right.is_allowed, right.detail.unwrap_or_default()))
            .collect::<Vec<_>>()
    };
    let unknown = rights().await;
    assert_eq!(unknown[0], (FlagAct::Read, Some(true), "the token `outcome`".to_owned()));
    assert_eq!(
        unknown[1..].iter().map(|(act, is, _)| (*act, *is)).collect::<Vec<_>>(),
        [(FlagAct::Create, None), (FlagAct::Rollout, None), (FlagAct::Off, None), (FlagAct::SkipReviews, None),]
    );

    service.ensure(KEY, "d").await.unwrap();
    let act = |name: &str| json!({ "action": name, "reason": { "effect": "allow" } });
    shared.lock().unwrap().ours()["_access"] = json!({
        "allowed": [act("updateOn"), act("updateFallthrough"), act("bypassRequiredApproval")],
        "denied": [act("updateOffVariation")],
    });
    shared.lock().unwrap().caller["serviceToken"] = json!(false);
    shared.lock().unwrap().approvals = Some(json!({ "required": true, "requiredApprovalTags": [] }));
    let told = rights().await;
    assert!(told[0].2.contains("use a service token"), "{told:?}");
    assert_eq!(
        told[1..].iter().map(|(act, is, _)| (*act, *is)).collect::<Vec<_>>(),
        [
            (FlagAct::Create, None),
            (FlagAct::Rollout, Some(true)),
            (FlagAct::Off, Some(false)),
            (FlagAct::SkipReviews, Some(true)),
        ]
    );
    assert!(told[4].2.contains("demands approvals") && told[4].2.contains("deny `bypassRequiredApproval`"), "{told:?}");
    assert_eq!(shared.lock().unwrap().writes.len(), 1, "only the flag was made");

    shared.lock().unwrap().caller = json!({ "accountId": "a1", "environmentId": "57be1db38b75bf0772d11384" });
    assert_eq!(service.rights().await.unwrap_err().code(), Code::ConnectorConfig, "a key of an environment");
    shared.lock().unwrap().caller = json!({});
    assert!(matches!(service.rights().await.unwrap_err(), FlagError::Unreadable { .. }));
}
