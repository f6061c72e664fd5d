//! The pages: headers, escaping, sign-in and out.

use outcome_runtimed::http::outer::CONTENT_SECURITY_POLICY;
use outcome_tests::lab::{MEMBER, OUTCOME, PASSPHRASE, hypothesis};

use crate::support::{Daemon, hidden};

const EVIL: &str = "<script>alert('x')</script>\"><img src=x onerror=alert(1)> & {{ 7*7 }}";

#[tokio::test]
async fn what_an_agent_writes_stays_text_on_every_page() {
    let daemon = Daemon::start().await;
    let mut evil = hypothesis("<b>\"Bold\"</b> & 'quoted'", "flag-a");
    evil.statement = EVIL.to_owned();
    evil.mechanism = "</blockquote><form action=//evil.example>".to_owned();
    let experiment = daemon.lab.submit(evil).await.unwrap();
    let gate = daemon.lab.runtime.experiments().show(&experiment).await.unwrap().gates.remove(0);
    let agent = daemon.agent().await;
    let question = serde_json::json!({ "question": EVIL, "details": "<svg onload=alert(1)>" });
    let opened = agent.post(&format!("/api/v1/experiments/{experiment}/gates"), &question).await;
    assert_eq!(opened.status(), 201);
    let escalation = opened.json::<serde_json::Value>().await.unwrap()["gate"].as_str().unwrap().to_owned();
    let browser = daemon.member().await;
    for path in
        ["/".to_owned(), format!("/gates/{gate}"), format!("/gates/{escalation}"), format!("/outcomes/{OUTCOME}")]
    {
        let response = browser.get(&path).await;
        assert_eq!(response.headers()["content-security-policy"], CONTENT_SECURITY_POLICY);
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert_eq!(response.headers()["referrer-policy"], "no-referrer");
        let page = response.text().await.unwrap();
        for bad in ["<script", "<img", "<b>", "<svg onload", "</blockquote><form", " style=", "onerror=alert(1)>"] {
            assert!(!page.contains(bad), "{path} holds {bad}: {page}");
        }
    }
    let page = browser.text(&format!("/gates/{gate}")).await;
    assert!(page.contains("&#60;script&#62;alert(&#39;x&#39;)"), "{page}");
    let asked = browser.text(&format!("/gates/{escalation}")).await;
    assert!(asked.contains("In the agent's words") && asked.contains("not checked"), "{asked}");
}

#[tokio::test]
async fn messages_that_were_given_up_are_in_the_inbox_and_counted() {
    let daemon = Daemon::start().await;
    daemon.lab.submit(hypothesis("A", "flag-a")).await.unwrap();
    daemon.lab.runtime.outbox().deliver().await.unwrap();
    let given_up = "UPDATE outbox SET closed_as = 'dead_letter' WHERE natural_key LIKE 'gate/%'";
    assert_eq!(daemon.lab.raw(given_up).await.unwrap(), 1);
    let inbox = daemon.member().await.text("/").await;
    for part in ["Messages that were given up", "1 given up; the newest: Gate", "messages retry --all"] {
        assert!(inbox.contains(part), "{part} is missing: {inbox}");
    }
    let metrics = daemon.stranger().text("/metrics").await;
    assert!(metrics.contains("outcome_runtime_messages_dead_letters 1"), "{metrics}");
    assert!(metrics.contains("outcome_runtime_messages_waiting 0"), "{metrics}");
}

#[tokio::test]
async fn signing_in_and_out() {
    let daemon = Daemon::start().await;
    let mut browser = daemon.stranger();
    let asked = browser.get("/outcomes/retention").await;
    assert_eq!(asked.headers()["location"], "/sign-in?next=%2Foutcomes%2Fretention");
    let form = browser.text("/sign-in?next=%2Foutcomes%2Fretention").await;
    assert_eq!(hidden(&form, "next"), "/outcomes/retention");
    let wrong = browser.sign_in(MEMBER, "a wrong passphrase", "/").await;
    assert_eq!(wrong.status(), 401);
    assert!(browser.cookie.is_none());
    let done = browser.sign_in("", PASSPHRASE, "//evil.example/").await;
    assert_eq!(done.status(), 303);
    assert_eq!(done.headers()["location"], "/", "never elsewhere");
    let cookie = done.headers()["set-cookie"].to_str().unwrap();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "plain http on loopback");
    assert_eq!(browser.get("/sign-in").await.status(), 303, "already in");

    let page = browser.text("/outcomes/retention").await;
    assert!(page.contains("role=\"img\"") && page.contains("target 35 %"), "{page}");
    let csrf = hidden(&page, "csrf");
    assert_eq!(browser.post("/sign-out", &[("csrf", "wrong")]).await.status(), 403);
    assert_eq!(browser.post("/sign-out", &[("csrf", &csrf)]).await.status(), 303);
    assert_eq!(browser.get("/").await.status(), 303, "the session is over at the server, too");
    let foreign = daemon.request(reqwest::Method::POST, "/sign-in").header("origin", "http://evil.example");
    assert_eq!(foreign.form(&[("passphrase", PASSPHRASE)]).send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn the_style_sheet_is_kept_for_ever_under_its_hash() {
    let daemon = Daemon::start().await;
    let page = daemon.stranger().text("/sign-in").await;
    let path = page.split("href=\"/assets/").nth(1).unwrap().split('"').next().unwrap();
    let style = daemon.stranger().get(&format!("/assets/{path}")).await;
    assert_eq!(style.status(), 200);
    assert_eq!(style.headers()["content-type"], "text/css; charset=utf-8");
    assert!(style.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    assert_eq!(daemon.stranger().get("/assets/style-000000000000.css").await.status(), 404);
}
