//! The official inspector lints what the built server lists, in every mode of the protocol.

use anyhow::{Result, ensure};
use outcome_tests::lab::Lab;
use outcome_tests::mcp::lab_env;
use outcome_tests::peers::{node24, npm};
use outcome_tests::programs::program;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn the_inspector_has_no_warning_in_any_era() -> Result<()> {
    let Some(home) = npm("node24")? else { return Ok(()) };
    let lab = Lab::sqlite().await?;
    let server = program("outcome-runtime-mcp")?;
    for era in ["legacy", "auto", "modern"] {
        for (method, list, n_least) in [
            ("tools/list", "tools", 8),
            ("prompts/list", "prompts", 4),
            ("resources/templates/list", "resourceTemplates", 4),
            ("resources/list", "resources", 1),
        ] {
            let mut inspect = node24(&home, "mcp-inspector")?;
            inspect.arg("--cli").arg(&server);
            inspect.args(["--method", method, "--protocol-era", era, "--format", "json", "-q"]);
            inspect.arg("--cwd").arg(lab.root()).current_dir(lab.root());
            for (name, value) in lab_env(&lab)? {
                inspect.arg("-e").arg(format!("{name}={value}"));
            }
            if method == "tools/list" {
                inspect.arg("--strict");
            }
            let done = inspect.env("HOME", lab.dir.path()).output()?;
            let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
            ensure!(done.status.success(), "{method} {era}: {}\n{out}\n{err}", done.status);
            ensure!(!err.to_lowercase().contains("warn"), "{method} {era}: {err}");
            let listed: Value = serde_json::from_str(&out)?;
            let n = listed.pointer(&format!("/result/{list}")).or(listed.get(list)).and_then(Value::as_array);
            ensure!(n.is_some_and(|items| items.len() >= n_least), "{method} {era}: {out}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inspector_verifies_the_skill_and_finds_the_card() -> Result<()> {
    let Some(home) = npm("node24")? else { return Ok(()) };
    let nowhere = tempfile::tempdir()?;
    let server = program("outcome-runtime-mcp")?;
    for era in ["legacy", "auto", "modern"] {
        let inspect = |arguments: &[&str]| -> Result<Vec<Value>> {
            let mut inspect = node24(&home, "mcp-inspector")?;
            inspect.arg("--cli").arg(&server).args(arguments);
            inspect.args(["--protocol-era", era, "--format", "json", "-q", "--cwd"]).arg(nowhere.path());
            let done = inspect.current_dir(nowhere.path()).env("HOME", nowhere.path()).output()?;
            let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
            ensure!(done.status.success(), "{arguments:?} {era}: {}\n{out}\n{err}", done.status);
            out.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
        };
        let skills = inspect(&["--method", "skills/list", "--verify"])?;
        let is_verified = |skill: &Value| skill.pointer("/outcome").is_some_and(|outcome| outcome == "verified");
        ensure!(skills.len() == 1 && skills.iter().all(is_verified), "{era}: {skills:?}");
        let tools = inspect(&["--method", "tools/list", "--app-info", "--advertise-apps"])?;
        let with_card = tools.iter().filter(|tool| tool.pointer("/hasApp").is_some_and(|has| has == true));
        ensure!(with_card.count() == 2, "{era}: {tools:?}");
    }
    Ok(())
}
