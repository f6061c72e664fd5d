//! Packs the MCP bundle from a built server with the official program, and writes the `server.json` that names it.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use outcome_core::digest::sha256_hex;

use super::facts::{PROGRAM, pretty};
use super::server::Answers;
use super::{mcpb, registry};
use crate::root;

/// The packer; the version is pinned so that the same commit packs the same bundle.
const PACKER: &str = "@anthropic-ai/mcpb@2.1.2";
const USAGE: &str =
    "usage: cargo xtask bundle [PROGRAM [FOLDER]]   (default: target/dist/outcome-runtime-mcp target/mcpb)";

/// Stages `PROGRAM` with its manifest, validates and packs; returns the paths of the bundle and of its `server.json`.
pub fn bundle(arguments: &[String]) -> Result<[PathBuf; 2]> {
    ensure!(arguments.len() <= 2, "{USAGE}");
    let given = |at: usize, default: &str| arguments.get(at).map_or_else(|| root().join(default), PathBuf::from);
    let (program, folder) = (given(0, "target/dist/outcome-runtime-mcp"), given(1, "target/mcpb"));
    ensure!(
        program.exists(),
        "{} is not there: run `cargo build --profile dist -p outcome-runtime-mcp` first\n{USAGE}",
        program.display()
    );
    let platform = Platform::own()?;
    let answers = Answers::of(&program)?;
    let version = answers.version()?;

    let staged = folder.join("staged");
    if staged.exists() {
        std::fs::remove_dir_all(&staged)?;
    }
    std::fs::create_dir_all(staged.join(mcpb::FOLDER))?;
    std::fs::copy(&program, staged.join(mcpb::FOLDER).join(PROGRAM)).context("the program cannot be copied")?;
    std::fs::copy(root().join("LICENSE"), staged.join("LICENSE"))?;
    let manifest = staged.join("manifest.json");
    std::fs::write(&manifest, pretty(&mcpb::manifest(&answers, &[platform.system])?)?)?;

    let name = mcpb::file_name(version, &platform.name());
    let packed = folder.join(&name);
    packer(&[OsStr::new("validate"), manifest.as_os_str()])?;
    packer(&[OsStr::new("pack"), staged.as_os_str(), packed.as_os_str()])?;
    let sha256 = sha256_hex(std::fs::read(&packed)?);
    let server = folder.join("server.json");
    let published = registry::with_bundle(registry::server(&answers)?, version, &name, &sha256)?;
    std::fs::write(&server, pretty(&published)?)?;
    Ok([packed, server])
}

fn packer(arguments: &[&OsStr]) -> Result<()> {
    let done = Command::new("npx").args(["--yes", PACKER]).args(arguments).output().context("npx cannot be run")?;
    if done.status.success() {
        return Ok(());
    }
    let said = [done.stdout, done.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    bail!("npx {PACKER} {arguments:?} ended with {}:\n{said}", done.status)
}

/// The platform of this machine, in the words of Node.
struct Platform {
    system: &'static str,
    processor: &'static str,
}

impl Platform {
    fn own() -> Result<Self> {
        let system = match std::env::consts::OS {
            "linux" => "linux",
            "macos" => "darwin",
            other => bail!("the server does not run on {other}"),
        };
        let processor = match std::env::consts::ARCH {
            "x86_64" => "x64",
            "aarch64" => "arm64",
            other => other,
        };
        Ok(Self { system, processor })
    }

    fn name(&self) -> String {
        format!("{}-{}", self.system, self.processor)
    }
}
