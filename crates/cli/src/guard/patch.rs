//! The files that a patch of Codex's `apply_patch` touches.
//!
//! **Invariant**: reads at least as leniently as the program that applies the patch, so that no file is overlooked.

use std::path::PathBuf;

const MARKS: [&str; 3] = ["*** Add File: ", "*** Delete File: ", "*** Update File: "];
const UPDATE: &str = "*** Update File: ";
const MOVE: &str = "*** Move to: ";
const BEGIN: &str = "*** Begin Patch";

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

/// The patch in a shell command that calls `apply_patch`, and the folder that the command changes to first.
pub(super) fn in_command(command: &str) -> Option<(&str, Option<PathBuf>)> {
    let at = command.find(BEGIN)?;
    let (before, patch) = command.split_at_checked(at)?;
    let call = before.find("apply_patch").or_else(|| before.find("applypatch"))?;
    let folder = before.get(..call)?.trim().strip_suffix("&&").and_then(|cd| cd.trim().strip_prefix("cd "));
    Some((patch, folder.map(|text| PathBuf::from(text.trim().trim_matches(['\'', '"'])))))
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
    fn a_patch_in_a_shell_command_is_seen() {
        let patch = "*** Begin Patch\n*** Add File: a\n+x\n*** End Patch";
        let command = format!("cd 'src/a' && apply_patch <<'EOF'\n{patch}\nEOF\n");
        let (found, folder) = in_command(&command).unwrap();
        assert_eq!((shown(found), folder), (vec!["a".to_owned()], Some(PathBuf::from("src/a"))));
        assert!(in_command(&format!("cat <<'EOF'\n{patch}\nEOF")).is_none());
        assert!(in_command("ls").is_none());
    }
}
