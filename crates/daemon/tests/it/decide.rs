//! A human decides on the page; nobody else can, and not by accident.

use outcome_tests::lab::{MEMBER, PASSPHRASE, hypothesis};
use reqwest::Method;
use serde_json::json;

use crate::support::Daemon;

#[tokio::test]
async fn a_member_signs_in_sees_the_gate_and_decides_once() {
    let daemon = Daemon::start().await;
    let (experiment, gate) = daemon.proposed("Softer level two", "soft-two").await;
    let browser = daemon.member().await;
    let inbox = browser.text("/").await;
    assert!(inbox.contains(&format!("href=\"/gates/{gate}\"")), "{inbox}");

    let form = browser.form(&gate).await;
    let wrong = browser.decide(&gate, &form, "approve", "not my passphrase").await;
    assert_eq!(wrong.status(), 401);
    let page = wrong.text().await.unwrap();
    assert!(page.contains("passphrase_wrong"), "{page}");
    assert!(page.contains("value=\"approve\" required checked"), "what was chosen is kept: {page}");
    assert!(!page.contains("not my passphrase"));

    let missing = browser.decide(&gate, &form, "approve", "").await;
    assert_eq!(missing.status(), 401);
    let none = browser.decide(&gate, &form, "", PASSPHRASE).await;
    assert_eq!(none.status(), 400);

    let done = browser.decide(&gate, &form, "approve", PASSPHRASE).await;
    assert_eq!(done.status(), 303, "{}", done.text().await.unwrap());
    let decided = browser.text(&format!("/gates/{gate}/decided")).await;
    assert!(decided.contains("Decided and signed") && decided.contains("Building"), "{decided}");
    let view = daemon.lab.runtime.experiments().show(&experiment).await.unwrap();
    assert_eq!(view.experiment.state.status.as_str(), "building");

    let again = browser.decide(&gate, &form, "reject", PASSPHRASE).await;
    assert_eq!(again.status(), 409);
    let page = again.text().await.unwrap();
    assert!(page.contains("gate_not_pending") && page.contains("This gate is closed"), "{page}");
    assert!(daemon.lab.runtime.audit_log().verify(&[]).await.unwrap().is_intact);
}

#[tokio::test]
async fn a_form_of_another_page_decides_nothing() {
    let daemon = Daemon::start().await;
    let (_, gate) = daemon.proposed("A", "flag-a").await;
    let browser = daemon.member().await;
    let form = browser.form(&gate).await;
    let path = format!("/gates/{gate}/decide");
    let fields = |csrf: &str| {
        vec![
            ("csrf", csrf.to_owned()),
            ("context_hash", form.context_hash.clone()),
            ("verdict", "approve".to_owned()),
            ("passphrase", PASSPHRASE.to_owned()),
        ]
    };
    for csrf in ["", "0000", &form.csrf[1..]] {
        let request = browser.request(Method::POST, &path).form(&fields(csrf));
        assert_eq!(request.send().await.unwrap().status(), 403, "{csrf}");
    }
    for (name, value) in [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1:1"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let request = browser.request(Method::POST, &path).header(name, value).form(&fields(&form.csrf));
        assert_eq!(request.send().await.unwrap().status(), 403, "{name}: {value}");
    }
    let stranger = daemon.stranger();
    assert_eq!(stranger.post(&path, &[("csrf", &form.csrf)]).await.status(), 401);
    assert_eq!(daemon.lab.runtime.gates().show(&gate).await.unwrap().status.as_str(), "pending");
    let own = browser.request(Method::POST, &path).header("origin", daemon.url("")).form(&fields(&form.csrf));
    assert_eq!(own.send().await.unwrap().status(), 303);
}

#[tokio::test]
async fn something_else_than_what_was_shown_is_not_signed() {
    let daemon = Daemon::start().await;
    let (_, gate) = daemon.proposed("A", "flag-a").await;
    let browser = daemon.member().await;
    let mut form = browser.form(&gate).await;
    form.context_hash = "0".repeat(64);
    let done = browser.decide(&gate, &form, "approve", PASSPHRASE).await;
    assert_eq!(done.status(), 409);
    assert!(done.text().await.unwrap().contains("context_changed"));

    daemon.lab.raw("UPDATE gate SET context = replace(context, 'Soften', 'Harden')").await.unwrap();
    let page = browser.get(&format!("/gates/{gate}")).await;
    assert_eq!(page.status(), 500);
    assert!(page.text().await.unwrap().contains("state_tampered"));
}

#[tokio::test]
async fn the_rules_are_ticked_before_a_launch_but_not_before_a_refusal() {
    let daemon = Daemon::start().await;
    let experiment = daemon.lab.submit(hypothesis("A", "flag-a")).await.unwrap();
    let portfolio = daemon.lab.runtime.experiments().show(&experiment).await.unwrap().gates.remove(0);
    let browser = daemon.member().await;
    let form = browser.form(&portfolio).await;
    let conditions = [
        ("csrf", form.csrf.as_str()),
        ("context_hash", &form.context_hash),
        ("verdict", "approve_with_conditions"),
        ("conditions", "Only level two\n\n Ask Kim first "),
        ("note", "go"),
        ("passphrase", PASSPHRASE),
    ];
    let done = browser.post(&format!("/gates/{portfolio}/decide"), &conditions).await;
    assert_eq!(done.status(), 303, "{}", done.text().await.unwrap());
    let brief = daemon.lab.runtime.builds().brief(&experiment).await.unwrap();
    assert_eq!(brief.conditions, ["Only level two", "Ask Kim first"]);

    daemon.lab.build(&experiment).await.unwrap();
    let launch = daemon.lab.runtime.experiments().show(&experiment).await.unwrap().gates.remove(0);
    let page = browser.text(&format!("/gates/{launch}")).await;
    assert!(page.contains("The save format does not change"), "{page}");
    assert!(page.contains("Condition of an earlier approval: “Ask Kim first”"), "{page}");
    assert!(page.contains("game/level.txt"), "the real difference is shown: {page}");
    let form = browser.form(&launch).await;
    let untold = browser.decide(&launch, &form, "approve", PASSPHRASE).await;
    assert_eq!(untold.status(), 400);
    assert!(untold.text().await.unwrap().contains("Confirm every rule"));
    let ticked = [
        ("csrf", form.csrf.as_str()),
        ("context_hash", &form.context_hash),
        ("verdict", "approve"),
        ("check", "0"),
        ("passphrase", PASSPHRASE),
    ];
    let done = browser.post(&format!("/gates/{launch}/decide"), &ticked).await;
    assert_eq!(done.status(), 303, "{}", done.text().await.unwrap());
    let view = daemon.lab.runtime.experiments().show(&experiment).await.unwrap();
    assert_eq!(view.experiment.state.status.as_str(), "running");
}

#[tokio::test]
async fn over_the_api_only_a_signed_in_member_with_the_passphrase_decides() {
    let daemon = Daemon::start().await;
    let (experiment, gate) = daemon.proposed("A", "flag-a").await;
    let path = format!("/api/v1/gates/{gate}/respond");
    let browser = daemon.member().await;
    let shown: serde_json::Value = browser.get(&format!("/api/v1/gates/{gate}")).await.json().await.unwrap();
    let mut body = json!({ "verdict": "approve", "context_hash": shown["context_hash"], "passphrase": PASSPHRASE });

    let agent = daemon.agent().await;
    let refused = agent.post(&path, &body).await;
    assert_eq!(refused.status(), 403);
    let problem: serde_json::Value = refused.json().await.unwrap();
    assert_eq!((&problem["code"], &problem["status"]), (&json!("forbidden"), &json!(403)));
    assert!(daemon.log_kinds().await.iter().any(|kind| kind == "agent.refused"));

    let without = browser.request(Method::POST, &path).json(&body).send().await.unwrap();
    assert_eq!(without.status(), 403, "no CSRF header");
    let session: serde_json::Value = browser.get("/api/v1/session").await.json().await.unwrap();
    assert_eq!(session["member"], MEMBER);
    let csrf = session["csrf_token"].as_str().unwrap().to_owned();
    body["passphrase"] = json!("wrong passphrase");
    let post = async |body: &serde_json::Value| {
        browser.request(Method::POST, &path).header("x-csrf-token", &csrf).json(body).send().await.unwrap()
    };
    assert_eq!(post(&body).await.status(), 401);
    body["passphrase"] = json!(PASSPHRASE);
    let done: serde_json::Value = post(&body).await.json().await.unwrap();
    assert_eq!(done["experiment_status"], "building", "{done}");
    assert_eq!(done["assurance"], "A3");
    let again: serde_json::Value = post(&body).await.json().await.unwrap();
    assert_eq!(again["code"], "gate_not_pending");
    assert_eq!(
        daemon.lab.runtime.experiments().show(&experiment).await.unwrap().experiment.state.status.as_str(),
        "building"
    );
}

#[tokio::test]
async fn passphrases_cannot_be_guessed_quickly() {
    let daemon = Daemon::start().await;
    let (_, gate) = daemon.proposed("A", "flag-a").await;
    let browser = daemon.member().await;
    let form = browser.form(&gate).await;
    for _ in 0..5 {
        assert_eq!(browser.decide(&gate, &form, "approve", "a wrong passphrase").await.status(), 401);
    }
    let sixth = browser.decide(&gate, &form, "approve", PASSPHRASE).await;
    assert_eq!(sixth.status(), 429);
    assert!(sixth.headers().contains_key("retry-after"));
    let mut other = daemon.stranger();
    let together = futures::future::join_all(
        (0..8).map(|_| other.post("/sign-in", &[("email", MEMBER), ("passphrase", "a wrong passphrase")])),
    )
    .await;
    let n_tried = together.iter().filter(|response| response.status() == 401).count();
    assert_eq!(n_tried, 5, "at once does not help");
    assert_eq!(other.sign_in("nobody@example.com", "a wrong passphrase", "/").await.status(), 401);
}
