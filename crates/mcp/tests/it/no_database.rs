//! The database goes away under a running server: the tools say what to do, and work again when it is back.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use outcome_tests::lab::{Lab, OUTCOME};
use outcome_tests::mcp::{LEGACY, MODERN, McpClient, lab_env};
use outcome_tests::postgres;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::{candidate, program, session};

/// Clients give up after about a minute; so long nobody waits here.
const PATIENCE: Duration = Duration::from_secs(30);

fn calls() -> [(&'static str, Value); 3] {
    let submitted = json!({ "outcome_id": OUTCOME, "hypotheses": [candidate("Softer level", "soft")] });
    [("get_active_outcomes", json!({})), ("query_learnings", json!({})), ("submit_hypotheses", submitted)]
}

/// Every tool fails in time, with one of these codes and a hint.
async fn assert_gone(client: &mut McpClient, codes: &[&str]) -> Result<()> {
    for (tool, arguments) in calls() {
        let began = Instant::now();
        let error = client.fails(tool, arguments).await?["error"].clone();
        assert!(codes.contains(&error["code"].as_str().unwrap()), "{tool}: {error}");
        assert!(error["hint"].as_str().is_some_and(|hint| hint.len() > 10), "{tool}: {error}");
        assert!(began.elapsed() < PATIENCE, "{tool}: {:?}", began.elapsed());
    }
    client.request("tools/list", json!({})).await?.unwrap();
    Ok(())
}

/// Every tool works, and what was tried while the database was away has happened once.
async fn assert_back(client: &mut McpClient, lab: &Lab) -> Result<()> {
    for (tool, arguments) in calls() {
        client.ok(tool, arguments).await?;
    }
    assert_eq!(lab.runtime.experiments().list(None, 10).await?.len(), 1);
    let log = lab.runtime.audit_log().verify(&[]).await?;
    assert!(log.is_intact, "{:?}", log.problems);
    Ok(())
}

/// The files of a SQLite database, moved elsewhere and back.
fn rename_all(from: &Path, to: &Path) -> Result<()> {
    for ending in ["", "-wal", "-shm"] {
        let (from, to) = (format!("{}{ending}", from.display()), format!("{}{ending}", to.display()));
        if Path::new(&from).exists() {
            std::fs::rename(from, to)?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_file_that_is_moved_away_is_missed_and_found_again() -> Result<()> {
    for version in [MODERN, LEGACY] {
        let lab = Lab::sqlite().await?;
        let mut client = session(&lab, version).await?;
        client.ok("get_active_outcomes", json!({})).await?;
        let (here, away) = (lab.root().join(".outcome/outcome.db"), lab.root().join(".outcome/away.db"));
        rename_all(&here, &away)?;
        assert_gone(&mut client, &["workspace_not_found", "database_unavailable"]).await?;
        assert!(!here.exists(), "no empty database in its place");
        rename_all(&away, &here)?;
        assert_back(&mut client, &lab).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_file_that_is_replaced_by_garbage_is_called_damaged() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let mut client = session(&lab, MODERN).await?;
    client.ok("get_active_outcomes", json!({})).await?;
    let (here, away) = (lab.root().join(".outcome/outcome.db"), lab.root().join(".outcome/away.db"));
    rename_all(&here, &away)?;
    std::fs::write(&here, "garbage ".repeat(10_000))?;
    assert_gone(&mut client, &["database_corrupt"]).await?;
    assert!(std::fs::read_to_string(&here)?.starts_with("garbage"), "left as it is");
    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{ending}", here.display()));
    }
    rename_all(&away, &here)?;
    assert_back(&mut client, &lab).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_removed_is_missed_and_found_again() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let mut client = session(&lab, MODERN).await?;
    client.ok("get_active_outcomes", json!({})).await?;
    let (here, away) = (lab.root().join(".outcome"), lab.root().join(".away"));
    std::fs::rename(&here, &away)?;
    assert_gone(&mut client, &["workspace_not_found", "database_unavailable"]).await?;
    assert!(!here.exists(), "nothing is made in its place");
    std::fs::rename(&away, &here)?;
    assert_back(&mut client, &lab).await
}

/// A way to the server that can be cut: connections that are open end, and new ones end at once.
struct Wire {
    port: u16,
    is_cut: Arc<AtomicBool>,
    open: Arc<std::sync::Mutex<CancellationToken>>,
}

impl Wire {
    async fn to(host: String) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let is_cut = Arc::new(AtomicBool::new(false));
        let open = Arc::new(std::sync::Mutex::new(CancellationToken::new()));
        let (cut, tokens) = (Arc::clone(&is_cut), Arc::clone(&open));
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                if cut.load(Ordering::SeqCst) {
                    continue;
                }
                let (host, token) = (host.clone(), tokens.lock().unwrap().clone());
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(host).await else { return };
                    tokio::select! {
                        () = token.cancelled() => {}
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    }
                });
            }
        });
        Ok(Self { port, is_cut, open })
    }

    fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        let mut open = self.open.lock().unwrap();
        open.cancel();
        *open = CancellationToken::new();
    }

    fn mend(&self) {
        self.is_cut.store(false, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_be_reached_is_missed_and_found_again() -> Result<()> {
    let server = match postgres::server() {
        Ok(server) => server,
        Err(skip) => {
            eprintln!("{skip}");
            return Ok(());
        }
    };
    let direct = server.database().await;
    let lab = Lab::on(Some(direct.clone())).await?;
    let mut url = url::Url::parse(&direct)?;
    let wire = Wire::to(format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432))).await?;
    url.set_host(Some("127.0.0.1"))?;
    url.set_port(Some(wire.port)).unwrap();
    let mut env = lab_env(&lab)?;
    env.retain(|(name, _)| *name != "OUTCOME_RUNTIME_DATABASE_URL");
    env.push(("OUTCOME_RUNTIME_DATABASE_URL", url.to_string()));
    let mut client = McpClient::start(program(), &lab.root(), &env, MODERN, json!({})).await?;
    client.ok("get_active_outcomes", json!({})).await?;
    wire.cut();
    assert_gone(&mut client, &["database_unavailable"]).await?;
    wire.mend();
    assert_back(&mut client, &lab).await?;
    // In the middle of calls: each of them is answered, and what it changed is there wholly or not.
    for n in 0..10_u64 {
        let title = format!("Level {n}");
        let arguments = json!({ "outcome_id": OUTCOME, "hypotheses": [candidate(&title, &format!("flag-{n}"))] });
        let id = client.send("tools/call", json!({ "name": "submit_hypotheses", "arguments": arguments })).await?;
        tokio::time::sleep(Duration::from_millis(4 * n)).await;
        wire.cut();
        wire.mend();
        client.answer_to(id).await?.unwrap();
    }
    client.ok("get_active_outcomes", json!({})).await?;
    let log = lab.runtime.audit_log().verify(&[]).await?;
    assert!(log.is_intact, "{:?}", log.problems);
    Ok(())
}
