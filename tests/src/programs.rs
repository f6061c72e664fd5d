//! The programs of this workspace, as `cargo build` left them.

use std::path::PathBuf;

/// Path of a built program, beside the directory of the running test.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn bin(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the running test has a path");
    let target = test.ancestors().nth(2).expect("a test lies two directories below the programs");
    let program = target.join(name);
    assert!(program.is_file(), "{} is not built: run `cargo build` first", program.display());
    program
}
