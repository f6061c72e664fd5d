//! The files of the repository, read once for all rules.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::source::Source;

/// Folders that hold what is not written here.
const SKIPPED: &[&str] = &["target", "node_modules", ".git", "fixtures", "golden", "snapshots"];
/// Endings of the other files that rules read.
const ENDINGS: &[&str] = &["toml", "sql", "sh", "py", "js", "mjs", "css", "html", "yml", "yaml", "md"];

/// The files of the repository.
#[derive(Debug, Default)]
pub struct Tree {
    /// Rust files, by path.
    pub sources: Vec<Source>,
    /// Other texts, by path from the root.
    pub texts: BTreeMap<String, String>,
}

impl Tree {
    /// Reads the tree under a folder.
    pub fn read(root: &Path) -> Result<Self> {
        let mut paths = Vec::new();
        walk(root, "", &mut paths).with_context(|| root.display().to_string())?;
        let mut files = Vec::new();
        for path in paths {
            // A name without content is an editor's or another checkout's; binary files have none of these endings.
            if let Ok(text) = std::fs::read_to_string(root.join(&path)) {
                files.push((path, text));
            }
        }
        Ok(Self::of(files))
    }

    /// The tree of these paths and texts.
    #[expect(clippy::case_sensitive_file_extension_comparisons, reason = "the names are ours")]
    pub fn of(files: Vec<(String, String)>) -> Self {
        let (rust, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|(path, _)| path.ends_with(".rs"));
        let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
        let n_each = rust.len().div_ceil(n_threads).max(1);
        let mut sources: Vec<Source> = std::thread::scope(|scope| {
            let read = |part: &[(String, String)]| -> Vec<Source> {
                part.iter().map(|(path, text)| Source::read(path, text)).collect()
            };
            let parts: Vec<_> = rust.chunks(n_each).map(|part| scope.spawn(move || read(part))).collect();
            parts
                .into_iter()
                .flat_map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        Self { sources, texts: others.into_iter().collect() }
    }

    /// A small tree for a rule's tests.
    #[cfg(test)]
    pub fn with(files: &[(&str, &str)]) -> Self {
        let tree = Self::of(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect());
        for source in &tree.sources {
            assert_eq!(source.error, None, "{}", source.path);
        }
        tree
    }

    /// The number of the Rust file with this path.
    pub fn index(&self, path: &str) -> Option<usize> {
        self.sources.binary_search_by(|source| source.path.as_str().cmp(path)).ok()
    }
}

/// Whether a rule reads this file.
fn is_read(path: &str) -> bool {
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
    ending == "rs" || ENDINGS.contains(&ending) || (ending == "json" && path.starts_with("docs/"))
}

fn walk(folder: &Path, before: &str, out: &mut Vec<String>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if before.is_empty() { name.clone() } else { format!("{before}/{name}") };
        if entry.file_type()?.is_dir() {
            let is_hidden = name.starts_with('.') && name != ".github";
            if !is_hidden && !SKIPPED.contains(&name.as_str()) {
                walk(&entry.path(), &path, out)?;
            }
        } else if is_read(&path) {
            out.push(path);
        }
    }
    Ok(())
}
