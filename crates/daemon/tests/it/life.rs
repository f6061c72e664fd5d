//! Starting, polling, watching, stopping.

use std::time::Duration;

use outcome_core::domain::Verdict;
use outcome_tests::lab::{Lab, hypothesis};
use serde_json::Value;

use crate::support::{Daemon, program};

async fn health(daemon: &Daemon) -> Value {
    daemon.stranger().get("/healthz").await.json().await.unwrap()
}

#[tokio::test]
async fn it_polls_by_itself_and_shows_it() {
    let daemon = Daemon::start().await;
    let experiment = daemon.lab.submit(hypothesis("A", "flag-a")).await.unwrap();
    daemon.lab.decide(&experiment, Verdict::Approve).await.unwrap();
    daemon.lab.build(&experiment).await.unwrap();
    daemon.lab.arms("flag-a", (3000, 900, 3), (3000, 1100, 3)).await.unwrap();
    daemon.lab.decide(&experiment, Verdict::Approve).await.unwrap();
    daemon.lab.clock.advance(jiff::SignedDuration::from_hours(24 * 15));
    std::fs::write(daemon.lab.root().join(".clock"), daemon.lab.runtime.now().to_string()).unwrap();
    let mut status = String::new();
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        status = daemon.lab.runtime.experiments().show(&experiment).await.unwrap().experiment.state.status.to_string();
        if status == "awaiting_analysis_gate" {
            break;
        }
    }
    assert_eq!(status, "awaiting_analysis_gate");
    let gate = daemon.lab.runtime.experiments().show(&experiment).await.unwrap().gates.remove(0);
    let page = daemon.member().await.text(&format!("/gates/{gate}")).await;
    for part in
        ["By fixed rules", "Decision interval", "together", "p of success", "p of harm", "3,000", "crashes", "ship: "]
    {
        assert!(page.contains(part), "{part} is missing: {page}");
    }
    let health = health(&daemon).await;
    assert_eq!((&health["status"], &health["is_database_reachable"]), (&"ok".into(), &true.into()));
    assert!(health["last_poll_at"].is_string());
    let metrics = daemon.stranger().text("/metrics").await;
    assert!(metrics.contains("outcome_runtime_experiments{status=\"awaiting_analysis_gate\"} 1"), "{metrics}");
    assert!(metrics.contains("outcome_runtime_gates_pending 1"), "{metrics}");
    assert!(
        metrics.contains("outcome_runtime_http_requests_total{method=\"GET\",route=\"/healthz\",status=\"200\"} 1")
    );
    assert!(daemon.learnings().await.is_empty());
}

#[tokio::test]
async fn sigterm_ends_it_at_once() {
    let mut daemon = Daemon::start().await;
    let browser = daemon.member().await;
    browser.text("/").await;
    drop(browser);
    daemon.terminate();
    let (code, took) = daemon.wait();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(5), "{took:?}, where idle it takes milliseconds");
}

#[tokio::test]
async fn a_port_that_is_taken_and_a_missing_workspace_are_said_plainly() {
    let daemon = Daemon::start().await;
    let second = program()
        .args(["--listen", &daemon.address.to_string(), "--workspace"])
        .arg(daemon.lab.root())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(8));
    let text = String::from_utf8(second.stderr).unwrap();
    assert!(text.contains("error[port_taken]") && text.contains("--listen 127.0.0.1:PORT"), "{text}");
    assert!(text.contains(&daemon.address.to_string()), "{text}");

    let empty = tempfile::tempdir().unwrap();
    let none = program().args(["--listen", "127.0.0.1:0", "--workspace"]).arg(empty.path()).output().unwrap();
    assert_eq!(none.status.code(), Some(3));
    assert!(String::from_utf8(none.stderr).unwrap().contains("outcome-runtime init"));
}

#[tokio::test]
async fn trouble_with_file_or_database_is_shown_and_survived() {
    // Gone before anybody holds it open.
    let lab = Lab::sqlite().await.unwrap();
    std::fs::rename(lab.root().join("game.db"), lab.root().join("away.db")).unwrap();
    let daemon = Daemon::on(lab, &[], &[]).await;
    daemon.proposed("A", "flag-a").await;
    // What is applied counts: a file that nobody can read is the business of whoever edits it.
    std::fs::write(daemon.lab.root().join("outcome.yaml"), "outcomes: [").unwrap();
    daemon.lab.clock.advance(jiff::SignedDuration::from_hours(48));
    std::fs::write(daemon.lab.root().join(".clock"), daemon.lab.runtime.now().to_string()).unwrap();
    let mut metrics = String::new();
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        metrics = daemon.stranger().text("/metrics").await;
        if !metrics.contains("outcome_runtime_poll_source_failures_total 0\n") {
            break;
        }
    }
    assert!(!metrics.contains("outcome_runtime_poll_source_failures_total 0\n"), "{metrics}");
    assert_eq!(daemon.stranger().get("/livez").await.status(), 200, "the pages still work");

    daemon.lab.raw("ALTER TABLE workspace RENAME TO elsewhere").await.unwrap();
    let response = daemon.stranger().get("/healthz").await;
    assert_eq!(response.status(), 503);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["is_database_reachable"], false);
}

#[tokio::test]
async fn the_service_manager_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = tokio::net::UnixDatagram::bind(&path).unwrap();
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "200000")];
    let mut daemon = Daemon::start_in(&["--log-format", "json"], &environment).await;
    let mut said = String::new();
    let mut hear = async |wanted: &str| {
        while !said.contains(wanted) {
            let mut buffer = [0; 500];
            let n = tokio::time::timeout(Duration::from_secs(10), socket.recv(&mut buffer)).await.unwrap().unwrap();
            said.push_str(std::str::from_utf8(&buffer[..n]).unwrap());
        }
    };
    hear("READY=1").await;
    hear("WATCHDOG=1").await;
    daemon.terminate();
    hear("STOPPING=1").await;
    assert_eq!(daemon.wait().0, Some(0));
}
