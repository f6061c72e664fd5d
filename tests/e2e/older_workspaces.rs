//! Workspaces that were made by older programs, one folder a version and engine in `tests/fixtures/workspaces`: today's
//! programs open them, say the same about them, and go on.

mod agree;
mod golden;
mod make;
mod names;
mod opened;
mod source;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::decisions::Script;
use opened::{GOLDEN, Opened, WORKSPACE, unpack};

/// Makes a fixture anew: see `tests/fixtures/workspaces/README.md`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes tests/fixtures/workspaces"]
async fn make_a_fixture() -> Result<()> {
    let name = std::env::var("OUTCOME_FIXTURE").context("OUTCOME_FIXTURE names the version, for example 0004")?;
    let engines = std::env::var("OUTCOME_FIXTURE_ENGINE").unwrap_or_else(|_| "sqlite postgres".to_owned());
    for engine in engines.split(' ') {
        let is_made = make::make(&fixtures().join(&name).join(engine), engine == "postgres").await?;
        ensure!(is_made, "the fixture of {engine} was not made");
    }
    Ok(())
}

/// Where fixtures are kept.
fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/workspaces")
}

/// Runs a test on every committed workspace.
async fn each_workspace(test: impl AsyncFn(&Path, Opened) -> Result<()>) -> Result<()> {
    let mut folders = Vec::new();
    for version in std::fs::read_dir(fixtures())?.flatten().filter(|entry| entry.path().is_dir()) {
        folders.extend(std::fs::read_dir(version.path())?.flatten().map(|entry| entry.path()));
    }
    folders.retain(|folder| folder.join(WORKSPACE).is_file());
    folders.sort();
    ensure!(folders.len() >= 2, "fixtures are missing: {folders:?}");
    for folder in folders {
        if let Some(opened) = Opened::open(&folder).await? {
            test(&folder, opened).await.with_context(|| folder.display().to_string())?;
        }
    }
    Ok(())
}

fn read(folder: &Path, name: &str) -> Result<Value> {
    let text = std::fs::read_to_string(folder.join(name)).with_context(|| name.to_owned())?;
    serde_json::from_str(&text).with_context(|| name.to_owned())
}

/// The JSON files below a folder, as paths from it.
fn json_files(folder: &Path) -> Result<Vec<String>> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next)?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ext| ext == "json") {
                found.push(path.strip_prefix(folder)?.display().to_string());
            }
        }
    }
    found.sort();
    Ok(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn todays_programs_say_what_the_older_ones_said_and_poll_on() -> Result<()> {
    each_workspace(async |folder, opened| {
        let (old, new) = (unpack(&folder.join(GOLDEN))?, tempfile::tempdir()?);
        golden::write(&opened, new.path()).await?;
        let mut found = Vec::new();
        let files = json_files(old.path())?;
        for name in &files {
            let differences = agree::differences(&read(old.path(), name)?, &read(new.path(), name)?);
            let named = differences.into_iter().map(|difference| format!("{name}{difference}"));
            found.extend(named.filter(|difference| !is_decided_since(difference)));
        }
        ensure!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
        ensure!(files.len() > 100, "the golden files are not all there: {files:?}");
        ensure!(
            read(new.path(), "verify.json")?["is_intact"] == true && read(new.path(), "verify.json")?["n_anchors"] == 2
        );
        ensure!(read(new.path(), "later/verify.json")?["is_intact"] == true);
        // Windows that overlap prove nothing, and that is what is said until days are read.
        for outcome in read(new.path(), "status.json")?["outcomes"].as_array().context("no outcomes")? {
            let attainment = &outcome["attainment"];
            let says = attainment["says"].as_str().unwrap_or_default();
            let is_honest = attainment["is_met"] == false && says.contains("no day has been read yet");
            ensure!(attainment.is_null() || is_honest, "{outcome}");
        }
        let log = |folder: &Path| std::fs::read_to_string(folder.join(golden::LOG));
        // Migrating adds lines.
        ensure!(log(new.path())?.starts_with(&log(old.path())?), "a line of the log is exported otherwise");
        for folder in [old.path(), new.path()] {
            check_with_scripts(folder)?;
        }
        Ok(())
    })
    .await
}

/// What is judged by other rules since, on purpose: the file, what the difference begins with, and why.
const DECIDED_SINCE: &[(&str, &str, &str)] = &[
    ("proofs/", "/version", "version 2: danger is judged apart from claims"),
    ("proofs/lopsided-form.json", "/path/", "a proven mismatch is a finding about the data"),
    ("proofs/restated-form.json", "/path/", "a correction is judged in the same poll"),
    ("proofs/slow-upsell.json", "/", "readings of a bare value count once a day"),
    ("proofs/kind-refunds.json", "/path/", "a rollout step is judged on its own data"),
    ("proofs/kinder-refunds.json", "/path/", "a rollout step is judged on its own data"),
    ("proofs/kindest-refunds.json", "/path/", "a rollout step is judged on its own data"),
    ("later/experiments/kind-refunds.json", "/current_result/guardrails/", "a rollout step is judged on its own data"),
    (
        "later/experiments/kinder-refunds.json",
        "/current_result/guardrails/",
        "a rollout step is judged on its own data",
    ),
    ("later/experiments/calmer-support.json", "/", "a constraint without a good reading pauses the experiment"),
    ("later/poll.json", "/experiments/", "a constraint without a good reading pauses the experiment"),
    ("later/status.json", "/outcomes/", "a constraint without a good reading pauses the experiment"),
    ("later/status.json", "/gates", "the pause opens a gate"),
    ("briefs/", "/definition_of_done", "a brief demands that exposures are recorded"),
    ("recompute.json", "/", "results by the rules of an earlier version are not compared"),
];

fn is_decided_since(difference: &str) -> bool {
    // Without a control group there are no arms whose units are counted, wherever the experiment stands in the list.
    let has_no_arms = ["/n_control was 0 and is null", "/n_treatment was 0 and is null"];
    if difference.starts_with("status.json/outcomes/") && has_no_arms.iter().any(|end| difference.ends_with(end)) {
        return true;
    }
    DECIDED_SINCE.iter().any(|(file, what, _)| match difference.split_once(".json") {
        Some((name, rest)) => {
            let is_file = if file.ends_with('/') { name.starts_with(file) } else { format!("{name}.json") == *file };
            is_file && rest.starts_with(what)
        }
        None => false,
    })
}

/// The independent programs must find nothing wrong with the log and the proof packs of a folder.
fn check_with_scripts(folder: &Path) -> Result<()> {
    let log = folder.join(golden::LOG);
    if !python("verify_audit_export.py", &[&log])? {
        return Ok(());
    }
    let packs = json_files(&folder.join(golden::PROOFS))?;
    ensure!(packs.len() > 15, "{} proof packs", packs.len());
    for pack in packs {
        python("verify_proof.py", &[&folder.join(golden::PROOFS).join(pack), Path::new("--log"), &log])?;
    }
    Ok(())
}

/// Runs a script of `docs`, which must succeed. False, said loudly, where there is no Python.
fn python(script: &str, args: &[&Path]) -> Result<bool> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(script);
    match Command::new("python3").arg(&script).args(args).output() {
        Ok(done) => {
            let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
            ensure!(done.status.success(), "{args:?}: {said}");
            Ok(true)
        }
        Err(error) if std::env::var_os("CI").is_some() => bail!("in CI nothing may be skipped: python3: {error}"),
        Err(error) => {
            eprintln!("SKIPPED: python3 cannot be run: {error}");
            Ok(false)
        }
    }
}

/// Gates that wait in every fixture, a verdict, and where the experiment then stands.
const DECISIONS: &[(&str, &str, &str)] = &[
    ("waiting-form", "approve", "building"),
    ("retried-form", "approve", "running"),
    ("long-form", "kill", "killed"),
    ("drifting-form", "iterate", "killed"),
    ("undecided-form", "extend", "measuring"),
    ("kind-refunds", "approve", "scaling"),
    ("soft-upsell", "ship", "awaiting_ship_gate"),
    ("shortest-form", "approve", "shipped"),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_decided_with_the_old_passphrase_and_the_log_holds() -> Result<()> {
    each_workspace(async |_, opened| {
        let open = opened.cli.json(&["gate", "list"])?;
        for (experiment, verdict, want) in DECISIONS {
            let gate = open
                .as_array()
                .into_iter()
                .flatten()
                .find(|gate| gate["context"]["experiment"] == *experiment && gate["gate_type"] != "escalation");
            let gate =
                gate.and_then(|gate| gate["gate"].as_str()).with_context(|| format!("no gate of {experiment}"))?;
            if *want == "running" {
                // Its build was approved and reported before bases were signed.
                let refused =
                    opened.decide(gate, verdict, &[]).err().map(|error| format!("{error:#}")).unwrap_or_default();
                let is_asked = ["needs a reason", "nobody signed where", "--note", "send it back for rework"];
                ensure!(is_asked.iter().all(|part| refused.contains(part)), "{refused}");
            }
            opened.decide(gate, verdict, &["--note", "decided in the fixture"])?;
            let shown = opened.cli.json(&["experiment", "show", experiment])?;
            ensure!(shown["state"]["status"] == *want, "{experiment}: {}", shown["state"]);
        }
        let asked = opened.cli.json(&["gate", "list"])?;
        let asked = asked.as_array().into_iter().flatten().find(|gate| gate["gate_type"] == "escalation");
        opened.decide(asked.and_then(|gate| gate["gate"].as_str()).context("nothing was asked")?, "approve", &[])?;
        opened.cli.signed(&["experiment", "resume", "slow-form"])?;
        opened.cli.signed(&["experiment", "kill", "calmer-support"])?;
        opened.cli.signed(&["apply"])?;
        opened.cli.signed(&["audit", "anchor"])?;
        opened.advance(jiff::SignedDuration::from_hours(golden::LATER_HOURS))?;
        opened.poll()?;
        let flags = read(&opened.root, "flags.json")?;
        ensure!(flags["flags"]["quiet"]["state"] == "DISABLED", "the message that waited was not delivered: {flags}");
        let check = opened.cli.json(&["audit", "verify", "--anchor", "anchors-elsewhere.jsonl"])?;
        ensure!(check["is_intact"] == true && check["n_anchors"].as_u64() > Some(4), "{check}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_signs_what_the_older_program_wrote() -> Result<()> {
    each_workspace(async |_, opened| {
        let check = opened.cli.json(&["audit", "verify"])?;
        let line = check["unvouched_until"].as_i64().context("nothing is said to be unsigned")?;
        ensure!(line > 1 && line <= check["n_lines"].as_i64().unwrap_or_default(), "{check}");
        let wrong = opened.cli.refused_with(&["migrate"], "another passphrase than ours")?;
        ensure!(wrong.code == "passphrase_wrong", "{wrong:?}");
        // A second `migrate` has nothing to do but this.
        let done: Value = serde_json::from_str(&opened.cli.signed(&["--json", "migrate"])?)?;
        ensure!(done["is_changed"] == false && done["unvouched_until"].is_null(), "{done}");
        let upto = done["vouched"]["upto_line"].as_i64().context("nothing was signed")?;
        ensure!(upto >= line, "{done}");
        let check = opened.cli.json(&["audit", "verify"])?;
        ensure!(check["is_intact"] == true && check.get("unvouched_until").is_none(), "{check}");
        let log = opened.root.join("log.jsonl");
        std::fs::write(&log, opened.cli.run(&["audit", "export"])?)?;
        let lines = std::fs::read_to_string(&log)?;
        let lines = lines.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
        let vouched = lines.iter().find(|entry| entry["kind"] == "audit.vouched").context("no line says so")?;
        let hash = lines.iter().find(|entry| entry["seq"] == upto).map(|entry| &entry["hash"]);
        ensure!(hash == Some(&vouched["payload"]["upto"][1]), "{vouched}");
        python("verify_audit_export.py", &[&log])?;
        let root = lines[0]["payload"]["root_fingerprint"].as_str().context("no root")?;
        if let Some(script) = Script::new(root)? {
            let said = script.run_with(&[vouched["payload"]["decision"].clone()], root, Some(&lines))?;
            ensure!(said.is_accepted, "{:?}", said.lines);
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_finds_its_work_over_mcp_and_with_its_old_token() -> Result<()> {
    each_workspace(async |_, opened| {
        let agent = opened.cli.agent().await?;
        ensure!(agent.tools().await?.len() >= 8, "{:?}", agent.tools().await?);
        let active = agent.call("get_active_outcomes", json!({})).await?.to_string();
        ensure!(active.contains("signup") && active.contains("support"), "{active}");
        agent.call("get_work_order", json!({ "outcome": "signup" })).await?;
        let brief = agent.call("get_experiment_brief", json!({ "experiment_id": "planned-form" })).await?.to_string();
        ensure!(brief.contains("Only on weekdays"), "{brief}");
        let learnings = agent.call("query_learnings", json!({ "query": "refunds" })).await?.to_string();
        ensure!(learnings.contains("refunds"), "{learnings}");
        agent.stop().await?;

        let token = std::fs::read_to_string(opened.root.join(make::TOKEN))?;
        let daemon = opened.cli.daemon().await?;
        let client = reqwest::Client::builder().no_proxy().build()?;
        let address = format!("http://{}/api/v1/outcomes", daemon.address);
        for (token, is_known) in [(token.trim(), true), ("made-up", false)] {
            let answer = client.get(&address).bearer_auth(token).send().await?;
            ensure!(answer.status().is_success() == is_known, "{} {}", answer.status(), answer.text().await?);
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_somebody_changes_is_found() -> Result<()> {
    for change in [
        "UPDATE experiment SET status = 'shipped' WHERE slug = 'waiting-form'",
        "UPDATE measurement SET raw_hash = 'another' WHERE experiment_id IS NOT NULL",
        "UPDATE gate SET context = REPLACE(context, 'telephone', 'mobile')",
        "UPDATE event SET payload = REPLACE(payload, 'Only on weekdays', 'At any time')",
        "DELETE FROM event WHERE seq = (SELECT max(seq) FROM event)",
    ] {
        each_workspace(async |_, opened| {
            let n_rows = opened.raw(change).await?;
            let done = opened.cli.try_run(&["--json", "audit", "verify"])?;
            let check: Value = serde_json::from_slice(&done.stdout)?;
            ensure!(n_rows > 0 && done.status.code() == Some(6) && check["is_intact"] == false, "{change}: {check}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}
