//! What all manifests say, and how they read the server's answers.

use anyhow::{Context as _, Result};
use serde_json::Value;

/// Name of the program.
pub const PROGRAM: &str = "outcome-runtime-mcp";
/// Name of the server in clients, and of the plugins.
pub const PLUGIN: &str = "outcome-runtime";
/// Name of the product.
pub const TITLE: &str = "Outcome Runtime";
/// Where the source is.
pub const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");
/// Its licence.
pub const LICENSE: &str = env!("CARGO_PKG_LICENSE");
/// What a registry shows; at most 100 characters.
pub const DESCRIPTION: &str =
    "Agents propose and build experiments, always-valid statistics judge them, only humans decide.";
/// What a registry files it under.
pub const KEYWORDS: [&str; 5] = ["experiments", "a-b-testing", "feature-flags", "statistics", "agents"];

/// JSON as it is committed.
pub fn pretty(value: &Value) -> Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// The text at this pointer of an answer.
pub fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str> {
    value.pointer(pointer).and_then(Value::as_str).with_context(|| format!("the server answered without {pointer}"))
}

/// The items of a list.
pub fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
