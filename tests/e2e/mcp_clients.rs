//! The official Python and TypeScript clients call every tool of the built MCP server, in every mode of the protocol.
//!
//! They are fetched once into `target/clients`. Without Python or Node the test says loudly that it was skipped; with `CI`
//! set that is a failure.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use outcome_core::domain::Verdict;
use outcome_tests::lab::{Lab, OUTCOME, commit, git, hypothesis, write};
use outcome_tests::mcp::lab_env;
use outcome_tests::programs::program;
use serde_json::{Value, json};

/// Sources of the clients.
fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// Where a client's packages are kept.
fn home(client: &str) -> Result<PathBuf> {
    let target = program("outcome-runtime-mcp")?;
    let target = target.ancestors().nth(2).context("no target directory")?.to_path_buf();
    let home = target.join("clients").join(client);
    std::fs::create_dir_all(&home)?;
    Ok(home)
}

pub(crate) fn skip(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what}: nothing may be skipped in CI");
    eprintln!("SKIPPED: {what}");
}

pub(crate) fn runs(program: &str) -> bool {
    let done = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    done.is_ok_and(|status| status.success())
}

pub(crate) fn run(command: &mut Command) -> Result<String> {
    let done = command.output().with_context(|| format!("{command:?}"))?;
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    ensure!(done.status.success(), "{command:?}: {}\n{out}\n{err}", done.status);
    Ok(out.into_owned())
}

/// A laboratory in which every tool has something to do, and what the clients should call.
async fn laboratory() -> Result<(Lab, Value)> {
    let lab = Lab::sqlite().await?;
    let root = lab.root();
    let old = lab.submit(hypothesis("Old level", "old")).await?;
    lab.decide(&old, Verdict::Reject).await?;
    let building = lab.submit(hypothesis("Built level", "built")).await?;
    lab.decide(&building, Verdict::Approve).await?;
    git(&root, &["checkout", "-q", "-b", "work", "main"])?;
    write(&root, "game/level.txt", "built\n")?;
    let head = commit(&root, "Build")?;
    let candidate = json!({
        "title": "New level", "statement": "It is friendlier", "mechanism": "Fewer give up", "expected_improvement": 0.02,
        "confidence": 0.5, "intervention_description": "Soften it", "touched_paths": ["game/new/"], "flag_key": "new",
        "duration_days": 28, "min_sample_size": 2000, "success_threshold": 0.0, "kill_threshold": 0.0,
        "minimum_detectable_effect": 0.02, "initial_pct": 50, "effort_hours": 3, "risk": "low",
    });
    let env: serde_json::Map<String, Value> =
        lab_env(&lab)?.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
    let call =
        |tool: &str, arguments: Value, expect: Value| json!({ "tool": tool, "arguments": arguments, "expect": expect });
    let report = json!({ "experiment_id": building, "implementation_summary": "Built", "head": head });
    let question =
        json!({ "experiment_id": building, "gate_type": "escalation", "question": "May level three change?" });
    let gate = format!("launch-{building}");
    let plan = json!({
        "command": program("outcome-runtime-mcp")?,
        "cwd": root,
        "env": env,
        "gate": gate,
        "uri": format!("gate://{gate}"),
        "calls": [
            call("get_active_outcomes", json!({}), json!({})),
            call("get_work_order", json!({ "outcome_id": OUTCOME }), json!({ "outcome": OUTCOME })),
            call("submit_hypotheses", json!({ "outcome_id": OUTCOME, "hypotheses": [candidate] }), json!({ "proposed": ["new-level"] })),
            call("get_experiment_brief", json!({ "experiment_id": building }), json!({ "experiment": building })),
            call("query_learnings", json!({ "query": "old level" }), json!({})),
            call("report_experiment_built", report, json!({ "gate": gate, "status": "awaiting_launch_gate" })),
            call("get_gate", json!({ "gate_id": gate }), json!({ "status": "pending", "is_pending": true })),
            call("request_human_gate", question, json!({ "status": "pending" })),
        ],
    });
    Ok((lab, plan))
}

/// Nothing that a client did or answered decided a gate.
async fn assert_undecided(lab: &Lab) -> Result<()> {
    let gates = lab.runtime.gate_list().await?;
    ensure!(gates.len() == 3, "{} gates are open", gates.len());
    ensure!(gates.iter().all(|gate| gate.decisions.is_empty()));
    let check = lab.runtime.audit_verify(&[]).await?;
    ensure!(check.is_intact, "{:?}", check.problems);
    Ok(())
}

async fn with_plan(client: impl FnOnce(&Path) -> Result<String>) -> Result<()> {
    let (lab, plan) = laboratory().await?;
    let path = lab.dir.path().join(".outcome/plan.json");
    std::fs::write(&path, plan.to_string())?;
    let said = client(&path)?;
    ensure!(said.lines().count() == 3, "{said}");
    eprint!("{said}");
    assert_undecided(&lab).await
}

/// A virtual environment with the packages of `clients/CLIENT/requirements.txt`; `None` where there is no Python, which is
/// said loudly.
pub(crate) fn python_home(client: &str) -> Result<Option<PathBuf>> {
    if !runs("python3") {
        skip(&format!("the Python packages of `{client}`: there is no python3"));
        return Ok(None);
    }
    let home = home(client)?;
    // Two tests may want the same packages.
    let _turn = PYTHON.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let requirements = sources().join(client).join("requirements.txt");
    let wanted = std::fs::read_to_string(&requirements)?;
    let mark = home.join("installed");
    if std::fs::read_to_string(&mark).ok().as_ref() != Some(&wanted) {
        if let Err(error) = run(Command::new("python3").args(["-m", "venv"]).arg(&home)) {
            skip(&format!("the Python packages of `{client}`: no virtual environment can be made ({error:#})"));
            return Ok(None);
        }
        run(Command::new(home.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(&requirements))?;
        std::fs::write(&mark, wanted)?;
    }
    Ok(Some(home))
}

static PYTHON: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_calls_every_tool() -> Result<()> {
    let Some(home) = python_home("python")? else { return Ok(()) };
    let script = sources().join("python/call_all_tools.py");
    with_plan(|plan| run(Command::new(home.join("bin/python")).arg(script).arg(plan))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_typescript_client_calls_every_tool() -> Result<()> {
    if !runs("node") || !runs("npm") {
        skip("the TypeScript client: there is no node with npm");
        return Ok(());
    }
    let home = home("typescript")?;
    // Node looks for packages beside the script.
    for file in ["package.json", "package-lock.json", "call_all_tools.mjs"] {
        std::fs::copy(sources().join("typescript").join(file), home.join(file))?;
    }
    let wanted = std::fs::read_to_string(home.join("package-lock.json"))?;
    let mark = home.join("installed");
    if std::fs::read_to_string(&mark).ok().as_ref() != Some(&wanted) {
        run(Command::new("npm").args(["ci", "--silent", "--no-audit", "--no-fund"]).current_dir(&home))?;
        std::fs::write(&mark, wanted)?;
    }
    let script = home.join("call_all_tools.mjs");
    with_plan(|plan| run(Command::new("node").arg(script).arg(plan).current_dir(&home))).await
}
