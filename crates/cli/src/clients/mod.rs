//! The programs in which agents live: where each keeps its configuration, what ours looks like there, and how the server is
//! started from it. `table.rs` is the one source, for `init --client`, `doctor --client` and `ide-configs/`.

mod diff;
mod files;
mod interpolate;
mod json;
mod probe;
mod section;
mod server;
mod table;
#[cfg(test)]
mod tests;
mod toml;
mod trouble;
mod yaml;

pub use server::PROGRAM;

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use outcome_core::settings::{Env, process_env};
use outcome_core::{Code, Error, Result};
use serde::Serialize;

pub use self::diff::DiffLine;
pub use self::files::{Act, FileChange, Planned, PlannedFile, plan, settings_files};
pub use self::probe::probe;
pub use self::table::Role;

/// The name under which the server is known to every client.
pub const SERVER: &str = "outcome-runtime";

/// A program in which agents live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Client {
    // Plain comments: documented values would spread the help over two pages.
    ClaudeCode,
    ClaudeDesktop,
    Cursor,
    Windsurf,
    #[value(name = "vscode")]
    #[serde(rename = "vscode")]
    VsCode,
    Codex,
    Gemini,
    Goose,
    #[value(name = "opencode")]
    #[serde(rename = "opencode")]
    OpenCode,
}

impl Client {
    /// As it is written on the command line.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::ClaudeDesktop => "claude-desktop",
            Self::Cursor => "cursor",
            Self::Windsurf => "windsurf",
            Self::VsCode => "vscode",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Goose => "goose",
            Self::OpenCode => "opencode",
        }
    }
}

/// Whose configuration: this repository's, or the user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    // Files in this repository, for everybody who works on it; files in the user's home.
    Project,
    User,
}

/// Where files go on this machine.
pub struct Places<'a> {
    /// The workspace's root.
    pub root: PathBuf,
    /// The user's home.
    pub home: PathBuf,
    /// The server's program, for clients that need its full path.
    pub server: PathBuf,
    /// The environment, for the variables that move a client's folder.
    pub env: Env<'a>,
}

impl Places<'static> {
    /// Those of this process.
    ///
    /// # Errors
    /// [`Code::Io`] when there is no home.
    pub fn here(root: &Path) -> Result<Self> {
        let home = std::env::home_dir().filter(|home| home.is_absolute()).ok_or_else(|| {
            Error::new(Code::Io, "this user has no home folder")
                .hint("set HOME to the folder where your clients keep their files")
        })?;
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_path_buf());
        Ok(Self { root, home, server: server::program(), env: &process_env })
    }
}

impl Places<'_> {
    /// The folder that a variable names, else this one in the home.
    fn folder(&self, variable: &str, otherwise: &str) -> PathBuf {
        match (self.env)(variable).map(PathBuf::from).filter(|path| path.is_absolute()) {
            Some(path) => path,
            None => self.home.join(otherwise),
        }
    }
}
