//! Where a file really lies: links followed. Read from the file system, since a person waits for each edit.

use std::path::{Component, Path, PathBuf};

use outcome_core::scope::relative_to;

use crate::links::resolved;

/// The longest path that a system opens.
pub(super) const MAX_PATH: usize = 4096;

/// What an edit of `path` touches: the entry in its folder and, where that is a link, the place to which it leads. A path
/// with `..` is taken both as the system would (links first) and as text, since programs do either.
pub(super) fn touched(path: &Path) -> Vec<PathBuf> {
    if path.as_os_str().len() > MAX_PATH {
        return vec![path.to_path_buf()];
    }
    let mut readings = vec![path.to_path_buf()];
    if path.components().any(|part| part == Component::ParentDir) {
        readings.extend(relative_to(Path::new("/"), path).map(|text| Path::new("/").join(text)));
    }
    let mut places = Vec::new();
    for reading in readings {
        let entry = match (reading.parent(), reading.file_name()) {
            (Some(parent), Some(name)) => resolved(parent).join(name),
            _ => resolved(&reading),
        };
        for place in [resolved(&reading), entry] {
            if !places.contains(&place) {
                places.push(place);
            }
        }
    }
    places
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::symlink;

    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn links_are_followed_also_to_files_that_are_not_there_yet() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("real/deep")).unwrap();
        symlink("real", root.join("link")).unwrap();
        symlink("../secret/new.txt", root.join("real/dangling")).unwrap();
        symlink("circle", root.join("circle")).unwrap();

        assert_eq!(touched(&root.join("link/a/b.txt")), [root.join("real/a/b.txt")]);
        assert_eq!(
            touched(&root.join("link/dangling")),
            [root.join("secret/new.txt"), root.join("real/dangling")],
            "where it leads, and the link itself"
        );
        // The system goes up from where the link leads, a program that reads text from where it stands.
        symlink("real/deep", root.join("far")).unwrap();
        assert_eq!(touched(&root.join("far/../x")), [root.join("real/x"), root.join("x")]);
        assert_eq!(touched(&root.join("circle")), [root.join("circle")]);
        assert_eq!(touched(&root.join("no/such/../x")), [root.join("no/x")]);
        let long = root.join("a/".repeat(5000));
        assert_eq!(touched(&long), [long]);
    }
}
