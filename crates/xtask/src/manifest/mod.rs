//! The manifests of the MCP server and its reference page, written from what the built program answers. Nothing here knows a
//! tool, a prompt or a variable by name.

pub mod bundle;
mod inventory;
mod mcpb;
mod plugins;
mod reference;
mod registry;
mod server;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::generated::Generated;
pub use server::Answers;

const PROGRAM: &str = "outcome-runtime-mcp";
/// Name of the server in clients, and of the plugins.
const PLUGIN: &str = "outcome-runtime";
const TITLE: &str = "Outcome Runtime";
const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");
const LICENSE: &str = env!("CARGO_PKG_LICENSE");
/// What a registry shows; at most 100 characters.
const DESCRIPTION: &str =
    "Agents propose and build experiments, always-valid statistics measure them, only humans decide.";
const KEYWORDS: [&str; 5] = ["experiments", "a-b-testing", "feature-flags", "statistics", "agents"];

/// The built server, in the same folder as this program. A test stands one folder deeper.
pub fn program() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let path = own.ancestors().skip(1).take(2).map(|folder| folder.join(PROGRAM)).find(|path| path.exists());
    path.with_context(|| format!("{PROGRAM} is not built: run `cargo build --workspace` first"))
}

/// Builds the server into the folder of this program, so that what is written is never from an older one.
pub fn build() -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = std::process::Command::new(cargo);
    let done = command.args(["build", "--quiet", "--package", PROGRAM]).current_dir(crate::root()).status()?;
    ensure!(done.success(), "{PROGRAM} cannot be built");
    Ok(())
}

/// Every file that is made from the server's answers.
pub fn files(program: &Path) -> Result<Vec<Generated>> {
    let answers = Answers::of(program)?;
    let mut files = vec![
        Generated { path: "mcp-manifest.json", text: pretty(&inventory::manifest(&answers)?)? },
        Generated { path: registry::PATH, text: pretty(&registry::server(&answers)?)? },
        Generated { path: mcpb::PATH, text: pretty(&mcpb::manifest(&answers, mcpb::PLATFORMS)?)? },
        Generated { path: "docs/mcp-reference.md", text: reference::page(&answers)? },
    ];
    for (path, value) in plugins::files(&answers)? {
        files.push(Generated { path, text: pretty(&value)? });
    }
    Ok(files)
}

/// JSON as it is committed.
fn pretty(value: &Value) -> Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// The text at this pointer of an answer.
fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str> {
    value.pointer(pointer).and_then(Value::as_str).with_context(|| format!("the server answered without {pointer}"))
}

/// The items of a list.
fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
