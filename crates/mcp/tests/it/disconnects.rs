//! A client that leaves at any point: the server leaves too, and a call has happened wholly or not at all.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use outcome_core::domain::Verdict;
use outcome_core::settings::{Overrides, Settings};
use outcome_core::usecases::Runtime;
use outcome_tests::lab::{Lab, OUTCOME, commit, git, hypothesis, write};
use outcome_tests::mcp::{LEGACY, MODERN, lab_env};
use serde_json::{Value, json};

use super::candidate;
use super::raw::{Ended, Raw, left_behind, session_lines};

/// Generous for a busy machine, and far below the five seconds for which the SDK would wait.
const PROMPT: Duration = Duration::from_secs(1);

/// A workspace in which one experiment waits to be reported as built, and copies of its database.
struct Stage {
    lab: Lab,
    copies: tempfile::TempDir,
    experiment: String,
}

impl Stage {
    async fn new() -> Result<Self> {
        let lab = Lab::sqlite().await?;
        let experiment = lab.submit(hypothesis("Softer level", "soft")).await?;
        lab.decide(&experiment, Verdict::Approve).await?;
        let root = lab.root();
        git(&root, &["checkout", "-q", "-b", "work", "main"])?;
        write(&root, "game/soft/level.txt", "two\n")?;
        commit(&root, "Soften")?;
        Ok(Self { lab, copies: tempfile::tempdir()?, experiment })
    }

    /// What an agent does in one session.
    fn calls(&self) -> Vec<(&'static str, Value)> {
        let report = json!({ "experiment_id": self.experiment, "implementation_summary": "Softened", "head": "work" });
        let submitted = json!({ "outcome_id": OUTCOME, "hypotheses": [candidate("Shorter level", "short")] });
        vec![("submit_hypotheses", submitted), ("report_experiment_built", report)]
    }

    /// A database of its own for the session `name`, as it was before.
    async fn copy(&self, name: &str) -> Result<PathBuf> {
        let path = self.copies.path().join(format!("{name}.db"));
        self.lab.raw(&format!("VACUUM INTO '{}'", path.display())).await?;
        Ok(path)
    }

    fn env(&self, database: &Path) -> Result<Vec<(&'static str, String)>> {
        let mut env = lab_env(&self.lab)?;
        env.push(("OUTCOME_RUNTIME_DATABASE_URL", format!("sqlite:{}", database.display())));
        Ok(env)
    }

    fn spawn(&self, database: &Path) -> Result<Raw> {
        Raw::spawn(&self.lab.root(), &self.env(database)?)
    }

    /// What is in this database: candidates of the session, and gates for launching. The log must be whole.
    async fn state(&self, database: &Path) -> Result<(usize, usize)> {
        let database = Some(format!("sqlite:{}", database.display()));
        let settings = Settings::for_root(
            &self.lab.root(),
            &Overrides { database, ..Overrides::new(&outcome_integrations::VENDORS) },
            &|_| None,
        )?;
        let runtime = Runtime::open_with_clock(settings, Arc::new(self.lab.clock.clone())).await?;
        let log = runtime.audit_log().verify(&[]).await?;
        ensure!(log.is_intact, "{:?}", log.problems);
        let experiments = runtime.experiments().list(None, 100).await?;
        let gates = runtime.gates().list().await?;
        let n_proposed = experiments.iter().filter(|line| line.slug.as_str() != self.experiment).count();
        let n_launch = gates.iter().filter(|line| line.gate_type.as_str() == "launch_approval").count();
        let n_portfolio = gates.iter().filter(|line| line.gate_type.as_str() == "portfolio_review").count();
        ensure!(n_proposed == n_portfolio, "{n_proposed} candidates, {n_portfolio} gates");
        runtime.db().close().await;
        Ok((n_proposed, n_launch))
    }

    /// The same session again and whole: afterwards everything is there once.
    async fn repeat(&self, database: &Path) -> Result<()> {
        let mut server = self.spawn(database)?;
        server.write(session_lines(MODERN, &self.calls()).concat().as_bytes());
        answered(&server, 2).await?;
        answered(&server, 1).await?;
        let ended = server.close()?;
        ensure!(ended.result(2)?["isError"] == false, "{}", ended.stdout);
        ensure!(self.state(database).await? == (1, 1), "not once: {:?}", self.state(database).await?);
        Ok(())
    }
}

async fn answered(server: &Raw, id: i64) -> Result<()> {
    for _ in 0..2_000 {
        if server.has_answered(id) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    anyhow::bail!("no answer to {id}")
}

fn assert_clean(ended: &Ended, root: &Path, what: &str) -> Result<()> {
    ensure!(
        ended.status.success() && ended.took < PROMPT,
        "{what}: {} {:?}\n{}",
        ended.status,
        ended.took,
        ended.stderr
    );
    ended.messages()?;
    // Git may take a moment more than the server that asked it.
    for _ in 0..50 {
        if left_behind(root).is_empty() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    anyhow::bail!("{what}: left behind {:?}", left_behind(root))
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_within_a_line_leaves_nothing_behind() -> Result<()> {
    let stage = Stage::new().await?;
    let root = stage.lab.root();
    for version in [MODERN, LEGACY] {
        let text: String = session_lines(version, &stage.calls()[..1]).concat();
        let database = stage.copy(version).await?;
        // Without the last line's end nothing is asked.
        let (n_cuts, last) = (20, text.len() - 1);
        for cut in (0..=n_cuts).map(|n| last * n / n_cuts) {
            let mut server = stage.spawn(&database)?;
            server.write(&text.as_bytes()[..cut]);
            assert_clean(&server.close()?, &root, &format!("{version} after {cut} bytes"))?;
        }
        assert_eq!(stage.state(&database).await?, (0, 0));
    }
    Ok(())
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_client_leaves_or_kills_happens_wholly_or_not() -> Result<()> {
    let stage = Stage::new().await?;
    let root = stage.lab.root();
    let (mut n_none, mut n_some) = (0, 0);
    for (number, wait_ms) in [0, 50, 150, 400, 800, 1_500].into_iter().enumerate() {
        for (parity, is_killed) in [false, true].into_iter().enumerate() {
            let version = [MODERN, LEGACY][(number + parity) % 2];
            let name = format!("{version}-{number}-{is_killed}");
            let database = stage.copy(&name).await?;
            let mut server = stage.spawn(&database)?;
            server.write(session_lines(version, &stage.calls()).concat().as_bytes());
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            if is_killed {
                server.kill()?.messages()?;
            } else {
                assert_clean(&server.close()?, &root, &name)?;
            }
            let (n_proposed, n_launch) = stage.state(&database).await?;
            assert!(n_proposed <= 1 && n_launch <= 1, "{name}: {n_proposed} {n_launch}");
            n_none += usize::from(n_proposed + n_launch == 0);
            n_some += usize::from(n_proposed + n_launch > 0);
            if number % 2 == 1 {
                stage.repeat(&database).await?;
            }
        }
    }
    eprintln!("{n_none} sessions changed nothing, {n_some} something");
    Ok(())
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_no_longer_reads_is_no_reason_to_stay() -> Result<()> {
    let stage = Stage::new().await?;
    let database = stage.copy("deaf").await?;
    let mut server = Raw::spawn_deaf(&stage.lab.root(), &stage.env(&database)?)?;
    for line in session_lines(MODERN, &stage.calls()) {
        server.write(line.as_bytes());
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_clean(&server.close()?, &stage.lab.root(), "deaf")?;
    stage.repeat(&database).await
}
