//! The environment variables that the server reads: one table behind `--help`, `--describe`, the manifests and the reference
//! page.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::json;

/// A variable; none is needed, and a value that still contains `${` counts as absent.
#[derive(Serialize)]
struct Variable {
    name: &'static str,
    /// A sentence without its full stop.
    meaning: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<&'static str>,
    /// `string` or `filepath`, the words of the registry's `server.json`.
    format: &'static str,
    /// The value may hold a password.
    is_secret: bool,
    /// A person may set it; others are set by a client or a demonstration.
    is_setting: bool,
}

const TEXT: &str = "string";
const PATH: &str = "filepath";

const ALL: [Variable; 8] = [
    Variable {
        name: "OR_WORKSPACE",
        meaning: "Root of the workspace (otherwise found from the working directory)",
        default: None,
        format: PATH,
        is_secret: false,
        is_setting: true,
    },
    Variable {
        name: "OUTCOME_RUNTIME_DATABASE_URL",
        meaning: "Database: postgres://... or sqlite:PATH (default: a file of your account)",
        default: None,
        format: TEXT,
        is_secret: true,
        is_setting: true,
    },
    Variable {
        name: "DATABASE_URL",
        meaning: "Your application's; used only where an earlier `init` put the workspace",
        default: None,
        format: TEXT,
        is_secret: true,
        is_setting: false,
    },
    Variable {
        name: "OUTCOME_RUNTIME_HOME",
        meaning: "Folder of outcome.db (otherwise your account's), unless the database is named",
        default: None,
        format: PATH,
        is_secret: false,
        is_setting: true,
    },
    Variable {
        name: "OUTCOME_RUNTIME_ELICIT",
        meaning: "`off` never offers a gate's page through elicitation",
        default: Some("on"),
        format: TEXT,
        is_secret: false,
        is_setting: true,
    },
    Variable {
        name: "OUTCOME_RUNTIME_LOG",
        meaning: "Log filter for standard error (otherwise RUST_LOG)",
        default: Some("warn"),
        format: TEXT,
        is_secret: false,
        is_setting: true,
    },
    Variable {
        name: "CLAUDE_PROJECT_DIR",
        meaning: "Set by Claude Code: the workspace, if the working directory has none",
        default: None,
        format: PATH,
        is_secret: false,
        is_setting: false,
    },
    Variable {
        name: "OUTCOME_RUNTIME_CLOCK_FILE",
        meaning: "Virtual clock of a demonstration",
        default: None,
        format: PATH,
        is_secret: false,
        is_setting: false,
    },
];

/// The lines of `--help`.
pub(crate) fn help() -> String {
    let width = ALL.iter().map(|variable| variable.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for Variable { name, meaning, default, .. } in &ALL {
        let default = default.map(|value| format!(" (default {value})")).unwrap_or_default();
        let _ = writeln!(out, "  {name:width$}  {meaning}{default}");
    }
    out
}

/// What the protocol cannot say about this program, for the programs that write its manifests.
pub(crate) fn describe() -> String {
    json!({ "variables": ALL }).to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Names in calls like `process_env("NAME")`.
    fn names_read(text: &str) -> Vec<String> {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        ["env(\"", "variable(\"", "var(\"", "_VARIABLE: &str = \""]
            .iter()
            .flat_map(|call| code.split(call).skip(1))
            .filter_map(|rest| rest.split('"').next())
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'))
            .map(ToOwned::to_owned)
            .collect()
    }

    #[test]
    fn every_variable_that_is_read_is_in_the_table() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = vec![root.join("../core/src/settings.rs")];
        files.extend(std::fs::read_dir(root.join("src")).unwrap().map(|entry| entry.unwrap().path()));
        let mut read: Vec<String> = files
            .iter()
            .filter(|path| path.is_file())
            .flat_map(|path| names_read(&std::fs::read_to_string(path).unwrap()))
            // It stands beside OUTCOME_RUNTIME_LOG, as the usual name of the same thing; cargo's own is no setting.
            .filter(|name| name != "RUST_LOG" && !name.starts_with("CARGO_"))
            .collect();
        read.sort();
        read.dedup();
        let mut known: Vec<&str> = ALL.iter().map(|variable| variable.name).collect();
        known.sort_unstable();
        assert_eq!(read, known);
    }

    #[test]
    fn the_help_fits_a_terminal() {
        for line in help().lines() {
            assert!(line.chars().count() <= 110, "{line}");
        }
    }
}
