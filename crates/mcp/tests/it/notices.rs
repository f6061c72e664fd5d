//! Whoever listens hears of a human's decision, in both eras.

use std::time::Duration;

use anyhow::Result;
use outcome_core::domain::Verdict;
use outcome_tests::lab::{Lab, hypothesis};
use outcome_tests::mcp::{LEGACY, MODERN};
use serde_json::json;

use super::session;

const SOON: Duration = Duration::from_secs(20);
const UPDATED: &str = "notifications/resources/updated";

#[tokio::test(flavor = "multi_thread")]
async fn a_modern_subscriber_hears_of_a_decision() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let experiment = lab.submit(hypothesis("New level", "new")).await?;
    let uri = format!("gate://{}", lab.runtime.gates().list().await?[0].gate);
    let mut client = session(&lab, MODERN).await?;
    client.ok("get_active_outcomes", json!({})).await?;
    let filter = json!({
        "resourcesListChanged": true, "toolsListChanged": true, "resourceSubscriptions": [uri, "file:///x"],
    });
    client.send("subscriptions/listen", json!({ "notifications": filter })).await?;
    let ack = client.notification("notifications/subscriptions/acknowledged", SOON).await?;
    let accepted = &ack["params"]["notifications"];
    assert_eq!(accepted["resourceSubscriptions"], json!([uri]), "{ack}");
    assert!(accepted["toolsListChanged"].is_null(), "{ack}");
    tokio::time::sleep(Duration::from_millis(500)).await;
    lab.decide(&experiment, Verdict::Approve).await?;
    let heard = client.notification(UPDATED, SOON).await?;
    assert_eq!(heard["params"]["uri"], uri);
    client.notification("notifications/resources/list_changed", SOON).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_legacy_subscriber_hears_of_a_decision_until_it_unsubscribes() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let experiment = lab.submit(hypothesis("New level", "new")).await?;
    let mut client = session(&lab, LEGACY).await?;
    client.ok("get_active_outcomes", json!({})).await?;
    let uri = format!("experiment://{experiment}");
    assert!(client.request("resources/subscribe", json!({ "uri": "file:///x" })).await?.is_err());
    assert!(client.request("resources/subscribe", json!({ "uri": uri })).await?.is_ok());
    tokio::time::sleep(Duration::from_millis(500)).await;
    lab.decide(&experiment, Verdict::Approve).await?;
    let heard = client.notification(UPDATED, SOON).await?;
    assert_eq!(heard["params"]["uri"], uri);
    assert!(client.request("resources/unsubscribe", json!({ "uri": uri })).await?.is_ok());
    client.notifications.clear();
    lab.build(&experiment).await?;
    assert!(client.notification(UPDATED, Duration::from_secs(5)).await.is_err());
    Ok(())
}
