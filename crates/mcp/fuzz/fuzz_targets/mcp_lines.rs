//! Any bytes as the input of a client: the server ends in time, and what it writes are lines of the protocol.
//!
//! The first byte chooses how the session begins. The handler is the real one, on a workspace whose experiment waits at its
//! gate; every so often a new workspace takes its place, after the log of the old one has been verified.

#![no_main]

use std::cell::RefCell;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use outcome_mcp::Server;
use outcome_tests::lab::{Lab, hypothesis};
use outcome_tests::mcp::checked;
use rmcp::ServiceExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// How long a session may take from its first byte until the server has ended.
const LIMIT: Duration = Duration::from_secs(8);
/// Sessions in one workspace: what they write makes the next ones slower.
const SESSIONS: usize = 2_000;

struct Stage {
    runtime: Runtime,
    lab: Lab,
    n_sessions: usize,
}

thread_local!(static STAGE: RefCell<Option<Stage>> = const { RefCell::new(None) });

impl Stage {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let lab = runtime.block_on(async {
            let lab = Lab::sqlite().await.unwrap();
            lab.submit(hypothesis("Softer level", "soft")).await.unwrap();
            lab
        });
        Self { runtime, lab, n_sessions: 0 }
    }

    /// No session decided anything, and the log is whole.
    fn verify(&self) {
        self.runtime.block_on(async {
            let log = self.lab.runtime.audit_log().verify(&[]).await.unwrap();
            assert!(log.is_intact, "{:?}", log.problems);
            for gate in self.lab.runtime.gates().list().await.unwrap() {
                let view = self.lab.runtime.gates().show(&gate.gate).await.unwrap();
                assert!(view.decisions.is_empty(), "{} was decided", gate.gate);
            }
        });
    }
}

fn handshake() -> String {
    let client = json!({ "name": "fuzz", "version": "1" });
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
    let first = json!({ "jsonrpc": "2.0", "id": "begin", "method": "initialize", "params": params });
    format!("{first}\n{}\n", json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))
}

async fn session(server: Server, eof: CancellationToken, input: &[u8]) -> Vec<u8> {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let serve = async move {
        if let Ok(running) = server.serve(tokio::io::split(theirs)).await {
            let _ = running.waiting().await;
        }
    };
    let (mut read, mut write) = tokio::io::split::<DuplexStream>(ours);
    let talk = async move {
        // The server may leave first; then nobody reads.
        let _ = write.write_all(input).await;
        let _ = write.write_all(b"\n").await;
        let _ = write.shutdown().await;
        eof.cancel();
    };
    let mut output = Vec::new();
    let listen = async { read.read_to_end(&mut output).await.unwrap_or_default() };
    tokio::join!(serve, talk, listen);
    output
}

/// Every line is an answer of JSON-RPC, and every answer of a tool keeps the contract of tools.
fn assert_protocol(output: &[u8]) {
    let text = std::str::from_utf8(output).expect("text");
    for line in text.lines() {
        let message: Value = serde_json::from_str(line).expect("a line of JSON");
        assert_eq!(message["jsonrpc"], "2.0", "{line}");
        if message["result"]["structuredContent"].is_object() {
            let answer = checked("a tool", &message["result"]).unwrap_or_else(|error| panic!("{error:#}: {line}"));
            let error = &answer.value["error"];
            let is_whole = ["code", "message", "hint"].iter().all(|field| error[field].is_string());
            assert!(!answer.is_error || is_whole, "{line}");
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let mut input = if first % 2 == 0 { handshake().into_bytes() } else { Vec::new() };
    input.extend_from_slice(rest);
    STAGE.with_borrow_mut(|stage| {
        if stage.as_ref().is_some_and(|stage| stage.n_sessions >= SESSIONS) {
            stage.take().unwrap().verify();
        }
        let stage = stage.get_or_insert_with(Stage::new);
        stage.n_sessions += 1;
        let eof = CancellationToken::new();
        let server = Server::of(stage.lab.runtime.clone(), eof.clone());
        let limited = async { tokio::time::timeout(LIMIT, session(server, eof, &input)).await };
        let output = stage.runtime.block_on(limited);
        assert_protocol(&output.expect("the server did not end in time"));
    });
});
