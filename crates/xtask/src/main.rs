//! Chores of the project: `cargo xtask docs` writes what is generated; `cargo test -p xtask` fails when it is out of date or
//! when a module uses one that it may not. The other commands are proofs of the statistics (docs/testing.md).

#[cfg(feature = "generated")]
mod generated;
mod proofs;
mod stats_lab;
#[cfg(test)]
#[cfg(feature = "generated")]
mod tidy;

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The repository's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    match command.as_str() {
        #[cfg(feature = "generated")]
        "docs" => {
            for file in generated::files()? {
                std::fs::write(root().join(file.path), &file.text)?;
            }
            Ok(())
        }
        "stats-lab" => Ok(writeln!(std::io::stdout(), "{}", stats_lab::write()?.canonicalize()?.display())?),
        "coverage" => proofs::coverage(),
        "mutants" => proofs::mutants(&rest),
        "fuzz" => proofs::fuzz(&rest),
        _ => anyhow::bail!(
            "usage: cargo xtask docs | stats-lab | coverage | mutants [arguments of cargo-mutants] | fuzz [seconds [target]]"
        ),
    }
}
