//! A scratch package that holds the statistics module and its tests and nothing else. The module depends on five small
//! crates, so coverage, mutation and fuzz runs there rebuild in seconds, where the whole core takes minutes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::root;

/// Tables of the workspace's manifest that the package takes over.
const SHARED: [&str; 6] = [
    "workspace.package",
    "workspace.dependencies",
    "workspace.lints.rust",
    "workspace.lints.clippy",
    "profile.dev",
    "profile.dev.package.\"*\"",
];

/// Where the package is written: as deep below the root as the core, so that a test finds `../shared` from both.
pub fn folder() -> PathBuf {
    root().join("target/stats-lab")
}

/// Writes the package anew and returns its folder. Files that did not change keep their times, so nothing is rebuilt for
/// them.
pub fn write() -> Result<PathBuf> {
    let core = root().join("crates/core");
    let lab = folder();
    let mut text = copy_folder(&core.join("src/stats"), &lab.join("src/stats"), |_| true)?;
    let is_ours = |name: &str| name.starts_with("stats_");
    text += &copy_folder(&core.join("tests/it"), &lab.join("tests/it"), is_ours)?;
    // The worked cases are read by the package of all tests, which stands one step nearer to the root.
    let vectors = fs::read_to_string(root().join("tests/src/vectors.rs"))?.replace("../../shared", "../../../shared");
    put(&lab.join("tests/vectors.rs"), &vectors)?;
    text += &vectors;
    put(&lab.join("src/lib.rs"), &library(&fs::read_to_string(core.join("tests/it/main.rs"))?))?;
    let workspace = fs::read_to_string(root().join("Cargo.toml"))?;
    let packages = [core.join("Cargo.toml"), root().join("tests/Cargo.toml")].map(fs::read_to_string);
    let [package, tests] = packages;
    put(&lab.join("Cargo.toml"), &manifest(&workspace, &package?, &tests?, &text))?;
    // Cargo drops from the copy what the package does not need; the versions stay.
    fs::copy(root().join("Cargo.lock"), lab.join("Cargo.lock"))?;
    for name in ["clippy.toml", "rustfmt.toml"] {
        put(&lab.join(name), &fs::read_to_string(root().join(name))?)?;
    }
    Ok(lab)
}

/// Copies the files whose name is wanted, removes others, and returns the text of all.
fn copy_folder(from: &Path, to: &Path, is_wanted: impl Fn(&str) -> bool + Copy) -> Result<String> {
    let mut text = String::new();
    let mut names = Vec::new();
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            text += &copy_folder(&entry.path(), &to.join(&name), is_wanted)?;
        } else if is_wanted(&name) {
            let content = fs::read_to_string(entry.path())?;
            put(&to.join(&name), &content)?;
            text += &content;
            names.push(name);
        }
    }
    for entry in fs::read_dir(to).into_iter().flatten() {
        let entry = entry?;
        let is_stale = entry.file_type()?.is_file() && !names.iter().any(|name| entry.file_name() == **name);
        if is_stale {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(text)
}

fn put(path: &Path, content: &str) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    if fs::read_to_string(path).is_ok_and(|found| found == content) {
        return Ok(());
    }
    fs::write(path, content).with_context(|| path.display().to_string())
}

/// The module, and the tests that `main` names beside it: as one crate they build in half the time.
fn library(main: &str) -> String {
    let mut out = String::from(
        "//! The statistics module alone.\n\npub mod stats;\n\n\
         #[cfg(test)]\nextern crate self as outcome_core;\n#[cfg(test)]\nextern crate self as outcome_tests;\n\n\
         #[cfg(test)]\n#[path = \"../tests/vectors.rs\"]\npub mod vectors;\n",
    );
    for name in main.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';')) {
        if name.starts_with("stats_") {
            out += &format!("\n#[cfg(test)]\n#[path = \"../tests/it/{name}.rs\"]\nmod {name};\n");
        }
    }
    out
}

/// The manifest: package data, lints and versions of the workspace; of the dependencies of the core and of its tests those
/// that `text` names.
fn manifest(workspace: &str, package: &str, tests: &str, text: &str) -> String {
    let mut out = String::from(
        "[package]\nname = \"outcome-core\"\nversion.workspace = true\nedition.workspace = true\n\
         rust-version.workspace = true\nlicense.workspace = true\npublish = false\nautotests = false\n",
    );
    let is_named = |line: &&str| {
        let name = line.split(['.', ' ']).next().unwrap_or_default().replace('-', "_");
        !name.starts_with("outcome") && text.contains(&format!("{name}::"))
    };
    for line in ["\n[dependencies]"].into_iter().chain(section(package, "dependencies").filter(is_named)) {
        out += &format!("{line}\n");
    }
    let mut for_tests: Vec<&str> = section(package, "dev-dependencies").filter(is_named).collect();
    for_tests.extend(section(tests, "dependencies").filter(is_named));
    for_tests.sort_unstable();
    for_tests.dedup();
    for line in ["\n[dev-dependencies]"].into_iter().chain(for_tests) {
        out += &format!("{line}\n");
    }
    out += "\n[lints]\nworkspace = true\n\n[workspace]\n";
    for heading in SHARED {
        out += &format!("\n[{heading}]\n");
        for line in section(workspace, heading).filter(|line| !line.contains("path = \"")) {
            out += &format!("{line}\n");
        }
    }
    out
}

/// Lines of one table of a manifest.
fn section<'a>(manifest: &'a str, heading: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    let start = format!("[{heading}]");
    let lines = manifest.lines().skip_while(move |line| *line != start).skip(1);
    lines.take_while(|line| !line.starts_with('[')).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_holds_what_the_sources_name_and_no_more() {
        let workspace = "[workspace]\nmembers = [\"a\"]\n\n[workspace.package]\nedition = \"2024\"\n\n\
                         [workspace.dependencies]\nours = { path = \"a\" }\nlibm = \"0.2\"\n\n\
                         [workspace.lints.rust]\nunsafe_code = \"forbid\"\n\n[workspace.lints.clippy]\n";
        let package = "[dependencies]\nlibm.workspace = true\nsqlx.workspace = true\n\n[dev-dependencies]\n\
                       proptest.workspace = true\n";
        let got = manifest(workspace, package, "", "libm::erfc(x); proptest::bool::ANY;");
        assert!(
            got.contains("[dependencies]\nlibm.workspace = true\n\n[dev-dependencies]\nproptest.workspace = true\n")
        );
        assert!(got.contains("edition = \"2024\"") && got.contains("libm = \"0.2\"") && got.contains("unsafe_code"));
        assert!(!got.contains("sqlx") && !got.contains("path =") && !got.contains("members"));
    }

    #[test]
    fn the_tests_of_other_modules_stay_behind() {
        let got = library("//! Doc.\n\nmod stats_a;\nmod store;\n");
        assert!(got.contains("mod stats_a;") && !got.contains("store"), "{got}");
    }
}
