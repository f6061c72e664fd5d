//! Starting, ending, and lines that are none.

use std::time::Duration;

use anyhow::Result;
use outcome_tests::lab::Lab;
use outcome_tests::mcp::{LEGACY, MODERN, McpClient};
use serde_json::json;

use super::{program, session};

/// Generous for a busy machine; the defect that this guards against takes 5 s.
const PROMPT: Duration = Duration::from_millis(1_500);

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_at_once_with_an_open_subscription() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let mut client = session(&lab, MODERN).await?;
    let filter = json!({ "resourcesListChanged": true, "resourceSubscriptions": ["outcome://retention"] });
    client.send("subscriptions/listen", json!({ "notifications": filter })).await?;
    client.notification("notifications/subscriptions/acknowledged", Duration::from_secs(10)).await?;
    client.ok("get_active_outcomes", json!({})).await?;
    let (status, took) = client.close().await?;
    assert!(status.success() && took < PROMPT, "{status} {took:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_at_once_when_the_subscription_has_only_just_begun() -> Result<()> {
    let lab = Lab::sqlite().await?;
    for _ in 0..5 {
        let mut client = session(&lab, MODERN).await?;
        client.send("subscriptions/listen", json!({ "notifications": { "resourcesListChanged": true } })).await?;
        let (status, took) = client.close().await?;
        assert!(status.success() && took < PROMPT, "{status} {took:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_client_that_leaves_before_it_speaks_is_no_error() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let client = McpClient::spawn(program(), dir.path(), &[], LEGACY, json!({}))?;
    let (status, took) = client.close().await?;
    assert!(status.success() && took < PROMPT, "{status} {took:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_end_it_cleanly() -> Result<()> {
    let lab = Lab::sqlite().await?;
    for signal in ["-INT", "-TERM"] {
        let mut client = session(&lab, LEGACY).await?;
        client.ok("get_active_outcomes", json!({})).await?;
        let pid = client.pid().unwrap().to_string();
        assert!(std::process::Command::new("kill").args([signal, &pid]).status()?.success());
        let status = client.wait().await?;
        assert!(status.success(), "{signal}: {status}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_are_not_of_the_protocol_do_not_end_the_session() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let mut client = session(&lab, LEGACY).await?;
    for line in ["", "garbage", "{", "[]", "null", "{\"jsonrpc\":\"1.0\"}", "\u{feff}{}", &"[".repeat(10_000)] {
        client.line(line).await?;
    }
    let error = client.request("tools/call", json!({ "name": "get_gate", "arguments": "text" })).await?.unwrap_err();
    assert_eq!(error["code"], -32602, "{error}");
    client.ok("get_active_outcomes", json!({})).await?;
    Ok(())
}

#[tokio::test]
async fn version_and_help_are_printed_and_nothing_else_is_taken() -> Result<()> {
    let run = |argument: &str| std::process::Command::new(program()).arg(argument).output();
    let version = run("--version")?;
    assert_eq!(String::from_utf8(version.stdout)?, format!("outcome-runtime-mcp {}\n", env!("CARGO_PKG_VERSION")));
    let help = run("--help")?;
    assert!(help.status.success() && String::from_utf8(help.stdout)?.contains("OR_WORKSPACE"));
    let other = run("serve")?;
    assert_eq!((other.status.code(), other.stdout.len()), (Some(2), 0));
    Ok(())
}
