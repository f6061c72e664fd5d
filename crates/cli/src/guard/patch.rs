//! The files that a patch of Codex's `apply_patch` touches.
//!
//! **Invariant**: reads at least as leniently as the program that applies the patch, so that no file is overlooked.

use std::path::PathBuf;

const MARKS: [&str; 3] = ["*** Add File: ", "*** Delete File: ", "*** Update File: "];
const UPDATE: &str = "*** Update File: ";
const MOVE: &str = "*** Move to: ";

/// Every path that the patch adds, updates, deletes or moves to, in order.
pub(super) fn paths(patch: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut in_update = false;
    for line in patch.lines() {
        // In an update a line that begins with a blank is context of the file; elsewhere marks may be indented.
        if in_update && line.starts_with(' ') {
            continue;
        }
        let line = line.trim();
        let path = MARKS.iter().find_map(|mark| line.strip_prefix(mark));
        if path.is_some() {
            in_update = line.starts_with(UPDATE);
        }
        found.extend(path.or_else(|| line.strip_prefix(MOVE)).map(PathBuf::from));
    }
    found
}

/// The files of a unified difference, as `diff`, `git` and `patch` write and read it.
pub(super) fn paths_of_difference(text: &str) -> Vec<PathBuf> {
    const NAMES: [&str; 6] = ["--- ", "+++ ", "rename from ", "rename to ", "copy to ", "copy from "];
    let mut found = Vec::new();
    for line in text.lines() {
        let Some(name) = NAMES.iter().find_map(|mark| line.strip_prefix(mark)) else { continue };
        let name = name.split('\t').next().unwrap_or(name).trim().trim_matches('"');
        if !name.is_empty() && name != "/dev/null" {
            let path = name.strip_prefix("a/").or_else(|| name.strip_prefix("b/")).unwrap_or(name);
            found.push(PathBuf::from(path));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn shown(patch: &str) -> Vec<String> {
        paths(patch).iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn every_kind_of_change_is_found() {
        let patch = "*** Begin Patch\n*** Add File: a.txt\n+*** Add File: not-this\n*** Delete File: b.txt\n\
                     *** Update File: c.txt\n*** Move to: d/e.txt\n@@\n-x\n+y\n *** Add File: context\n\
                     *** Add File: with blank.txt\r\n+z\n  *** Delete File:  f.txt\n*** End Patch\n";
        assert_eq!(shown(patch), ["a.txt", "b.txt", "c.txt", "d/e.txt", "with blank.txt", " f.txt"]);
        assert_eq!(shown("no patch at all\n+*** Add File: x"), Vec::<String>::new());
    }

    #[test]
    fn a_unified_difference_names_its_files() {
        let text =
            "--- a/src/x.ts\t2026-11-01\n+++ b/src/x.ts\n@@ -1 +1 @@\n-a\n+b\n--- /dev/null\n+++ b/new\nrename to c\n";
        let shown: Vec<String> = paths_of_difference(text).iter().map(|path| path.display().to_string()).collect();
        assert_eq!(shown, ["src/x.ts", "src/x.ts", "new", "c"]);
    }
}
