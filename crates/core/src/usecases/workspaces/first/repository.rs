//! What lies in the repository: its folders, its files, the texts that say what it is made of. Bounded, and links are not followed.

use std::path::{Path, PathBuf};

use ignore::WalkBuilder;

use crate::first_file::Layout;

/// The largest file that is read.
const MAX_BYTES: u64 = 256 * 1024;
/// How deep folders are looked at.
const DEPTH: usize = 5;
/// The most entries that are looked at.
const ENTRIES: usize = 20_000;

/// What others wrote and nobody changes.
const NOT_OURS: [&str; 12] = [
    "node_modules",
    "target",
    "vendor",
    ".git",
    ".venv",
    "venv",
    "dist",
    "build",
    ".outcome",
    "__pycache__",
    ".next",
    "tmp",
];

/// Files that name the libraries of an application.
const MANIFESTS: [&str; 8] = [
    "package.json",
    "requirements.txt",
    "pyproject.toml",
    "Gemfile",
    "go.mod",
    "composer.json",
    "mix.exs",
    "Cargo.toml",
];

/// Where a file of SQLite usually is.
const FOLDERS: [&str; 6] = ["", "db", "data", "prisma", "instance", "storage"];

/// The layout of the repository.
pub(super) fn layout(root: &Path) -> Layout {
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    let is_ours = |entry: &ignore::DirEntry| {
        entry.file_name().to_str().is_some_and(|name| entry.depth() == 0 || !NOT_OURS.contains(&name))
    };
    let mut walk = WalkBuilder::new(root);
    walk.max_depth(Some(DEPTH)).hidden(false).follow_links(false).git_global(false).sort_by_file_name(Ord::cmp);
    for entry in walk.filter_entry(is_ours).build().take(ENTRIES).flatten() {
        let Ok(path) = entry.path().strip_prefix(root) else { continue };
        let Some(path) = path.to_str().filter(|path| !path.is_empty()) else { continue };
        let path = path.replace('\\', "/");
        match entry.file_type() {
            Some(kind) if kind.is_dir() => folders.push(path),
            Some(kind) if kind.is_file() => files.push(path),
            _ => {}
        }
    }
    let manifests: Vec<String> = MANIFESTS.iter().filter_map(|file| read_text(root, file)).collect();
    Layout::of(&folders, &files, &manifests)
}

/// The text of a small file of the repository itself.
pub(super) fn read_text(root: &Path, file: &str) -> Option<String> {
    let path = root.join(file);
    let known = std::fs::symlink_metadata(&path).ok()?;
    if !known.is_file() || known.len() > MAX_BYTES {
        return None;
    }
    std::fs::read_to_string(path).ok()
}

/// A database file in the usual places, from the root.
pub(super) fn database_file(root: &Path) -> Option<String> {
    let found = FOLDERS.iter().flat_map(|folder| database_files(&root.join(folder)));
    let shown = found.filter_map(|path| Some(path.strip_prefix(root).ok()?.to_str()?.to_owned()));
    let is_other = |path: &str| ["test", "cache", "queue", "cable"].iter().any(|word| path.contains(word));
    // What an address would read as something else is no path.
    let is_plain = |path: &String| !path.contains(['?', '#', '%', '$']) && !path.chars().any(char::is_control);
    shown.filter(is_plain).min_by_key(|path| (is_other(path), path.clone()))
}

fn database_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .take(1000)
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            path.is_file() && ["db", "sqlite", "sqlite3"].contains(&ending)
        })
        .collect()
}
