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
