//! Chores of the project: `cargo xtask docs` writes what is generated; `cargo test -p xtask` fails when it is out of date or
//! when a module uses one that it may not.

mod generated;
#[cfg(test)]
mod tidy;

use std::path::{Path, PathBuf};

/// The repository's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn main() -> anyhow::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("docs") => {
            for file in generated::files()? {
                std::fs::write(root().join(file.path), &file.text)?;
            }
            Ok(())
        }
        _ => anyhow::bail!("usage: cargo xtask docs"),
    }
}
