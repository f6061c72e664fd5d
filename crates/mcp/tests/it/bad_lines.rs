//! Lines that are no requests, and lines that are too long: they cost the client its line, never the session.

use std::time::{Duration, Instant};

use anyhow::Result;
use outcome_tests::lab::Lab;
use outcome_tests::mcp::{LEGACY, MODERN, lab_env};
use serde_json::{Value, json};

use super::raw::{Raw, session_lines};

/// The server reads a line of at most 16 MiB; growing a buffer to that takes up to twice as much, and it may stay allocated.
const MAX_PEAK_KIB: u64 = 112 * 1024;

fn peak_kib(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    Ok(line.split_whitespace().nth(1).unwrap().parse()?)
}

fn garbage() -> Vec<Vec<u8>> {
    let texts = [
        "",
        " ",
        "garbage",
        "{",
        "}",
        "[]",
        "[{}]",
        "null",
        "0",
        "\"text\"",
        "{}",
        "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"tools/list\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"tools/list\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":77,\"result\":{}}",
        "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":1,\"message\":\"m\"}}",
        "{\"jsonrpc\":\"2.0\",\"id\":78,\"method\":\"\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":79,\"method\":\"no/such/method\",\"params\":{}}",
        "{\"jsonrpc\":\"2.0\",\"id\":80,\"method\":\"tools/call\",\"params\":[1,2]}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":\"nobody\"}}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":1,\"progress\":\"x\"}}",
        "Content-Length: 20\r\n\r",
        "GET / HTTP/1.1",
    ];
    let mut lines: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    lines.extend([
        vec![0; 100],
        vec![0xff, 0xfe, b'{', b'}'],
        vec![b'['; 50_000],
        b"{\"a\":".repeat(20_000),
        vec![0xe2, 0x82],
    ]);
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_request_after_garbage_is_answered_and_nothing_else_is_written() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let before = lab.runtime.audit_log().position().await?;
    for version in [MODERN, LEGACY] {
        let lines = session_lines(version, &[("get_active_outcomes", json!({})), ("get_work_order", json!({}))]);
        let (last, first) = lines.split_last().unwrap();
        let mut server = Raw::spawn(&lab.root(), &lab_env(&lab)?)?;
        for line in first {
            server.write(line.as_bytes());
        }
        for mut line in garbage() {
            line.push(b'\n');
            server.write(&line);
        }
        server.write(last.as_bytes());
        let ended = answered(server, 2).await?;
        assert!(ended.status.success(), "{}", ended.status);
        for message in ended.messages()? {
            let is_ours =
                message["id"].is_null() || message["id"].as_i64().is_some_and(|id| [0, 1, 2, 78, 79, 80].contains(&id));
            assert!(is_ours, "{message}");
        }
        for id in [1, 2] {
            assert_eq!(ended.result(id)?["isError"], Value::from(false));
        }
    }
    assert_eq!(lab.runtime.audit_log().position().await?, before);
    Ok(())
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_20_mib_is_dropped_with_a_word_on_standard_error() -> Result<()> {
    let lab = Lab::sqlite().await?;
    for version in [MODERN, LEGACY] {
        let lines = session_lines(version, &[("get_active_outcomes", json!({})), ("get_work_order", json!({}))]);
        let (last, first) = lines.split_last().unwrap();
        let mut server = Raw::spawn(&lab.root(), &lab_env(&lab)?)?;
        for line in first {
            server.write(line.as_bytes());
        }
        let began = Instant::now();
        let call = json!({ "name": "query_learnings", "arguments": { "query": "A".repeat(20 << 20) } });
        let line = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": call });
        server.write(format!("{line}\n").as_bytes());
        // Just below the limit of a line, far above the one of arguments.
        let near = json!({ "name": "query_learnings", "arguments": { "query": "A".repeat(15 << 20) } });
        let line = json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": near });
        server.write(format!("{line}\n").as_bytes());
        server.write(last.as_bytes());
        let pid = server.pid();
        let peak = std::cell::Cell::new(0);
        let ended = answered_watching(server, 2, || peak.set(peak_kib(pid).unwrap_or(peak.get()))).await?;
        assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());
        assert!(ended.status.success(), "{}", ended.status);
        assert!(ended.stderr.contains("maximum line length"), "{}", ended.stderr);
        assert!(ended.messages()?.iter().all(|message| message["id"] != 9));
        assert_eq!(ended.result(2)?["isError"], Value::from(false));
        assert!((1..=MAX_PEAK_KIB).contains(&peak.get()), "{} KiB", peak.get());
    }
    Ok(())
}

/// Ends the session when the request with this id has been answered.
async fn answered(server: Raw, id: i64) -> Result<super::raw::Ended> {
    answered_watching(server, id, || ()).await
}

async fn answered_watching(server: Raw, id: i64, mut look: impl FnMut()) -> Result<super::raw::Ended> {
    let until = Instant::now() + Duration::from_secs(30);
    while !server.has_answered(id) {
        anyhow::ensure!(Instant::now() < until, "no answer to {id}");
        tokio::time::sleep(Duration::from_millis(10)).await;
        look();
    }
    look();
    server.close()
}
