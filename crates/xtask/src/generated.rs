//! Files that are made from the code.

use std::fmt::Write as _;

use anyhow::Result;
use outcome_core::Code;

/// A generated file.
pub struct Generated {
    /// Path from the root.
    pub path: &'static str,
    /// Content.
    pub text: String,
}

/// Every generated file.
pub fn files() -> Result<Vec<Generated>> {
    Ok(vec![
        Generated { path: "docs/lifecycle.md", text: outcome_core::lifecycle::lifecycle_markdown() },
        Generated { path: "docs/errors.md", text: errors() },
        Generated {
            path: "docs/outcome.schema.json",
            text: format!("{}\n", serde_json::to_string_pretty(&outcome_core::config::schema())?),
        },
    ])
}

fn errors() -> String {
    let mut out = String::from(
        "# Error codes\n\nGenerated from the table in `crates/core/src/error.rs` by `cargo xtask docs`; do not edit.\n\n\
         The same code leaves through MCP (in the error of a tool), REST (`code` of the problem document, with this status) \
         and the command line (with this exit code).\n\n| code | HTTP | exit | meaning |\n|---|---|---|---|\n",
    );
    for code in Code::ALL {
        let _ = writeln!(out, "| `{code}` | {} | {} | {} |", code.http_status(), code.exit_code(), code.meaning());
    }
    out
}
