//! The difference between the trees of two commits.

use super::{CommitId, GitRepo, command::text};
use crate::domain::{Change, ChangeKind};
use crate::scope::error::ScopeError;

const LINK_MODE: &str = "120000";
const SUBMODULE_MODE: &str = "160000";
const DIFF_TREE: &str = "diff-tree";

impl GitRepo {
    /// What differs between two commits, in git's order. Links have no target yet.
    ///
    /// # Errors
    /// When git fails, or writes more than the limit; `git_object_forged`.
    pub(in crate::scope) async fn changes(&self, base: &CommitId, head: &CommitId) -> Result<Vec<Change>, ScopeError> {
        // Renames are looked for up to 1000 candidates; one that is not found is an addition and a deletion, and both
        // sides are checked either way.
        let args = [
            DIFF_TREE,
            "-r",
            "-z",
            "--raw",
            "--no-abbrev",
            "-M",
            "-l1000",
            "--no-commit-id",
            "--no-ext-diff",
            "--no-textconv",
            "--ignore-submodules=none",
            base.as_str(),
            head.as_str(),
            "--",
        ];
        let output = self.git.run(args, None).await?;
        let changes = parse(output.success(&args)?)?;
        self.require_genuine_changes(base, head, &changes).await?;
        Ok(changes)
    }
}

impl Change {
    /// The paths that the change touches: also where a renamed file came from, which is gone.
    pub fn touched(&self) -> impl Iterator<Item = &str> {
        let source = match self.kind {
            ChangeKind::Renamed => self.old_path.as_deref(),
            ChangeKind::Added
            | ChangeKind::Modified
            | ChangeKind::Deleted
            | ChangeKind::Copied
            | ChangeKind::TypeChanged
            | ChangeKind::ModeChanged => None,
        };
        source.into_iter().chain([self.path.as_str()])
    }

    /// The entry is a symbolic link after the change.
    pub(in crate::scope) fn is_link_now(&self) -> bool {
        self.new_mode.as_deref() == Some(LINK_MODE)
    }
}

fn parse(output: &[u8]) -> Result<Vec<Change>, ScopeError> {
    let mut fields = output.split(|byte| *byte == 0);
    let mut changes = Vec::new();
    while let Some(header) = fields.next().filter(|header| !header.is_empty()) {
        let invalid = |problem: &str| ScopeError::GitOutputInvalid {
            command: DIFF_TREE.to_owned(),
            problem: format!("{problem} in `{}`", crate::scope::path::shown(&text(header))),
        };
        let header_text = std::str::from_utf8(header).map_err(|_| invalid("bytes that are not text"))?;
        let mut words = header_text.strip_prefix(':').ok_or_else(|| invalid("no colon"))?.split(' ');
        let mut word = || words.next().filter(|word| !word.is_empty()).ok_or_else(|| invalid("a missing field"));
        let (old_mode, new_mode, old_object, new_object, status) = (word()?, word()?, word()?, word()?, word()?);
        let mut path = || fields.next().filter(|path| !path.is_empty()).ok_or_else(|| invalid("a missing path"));
        let first = path()?;
        let (kind, old_path, path) = match status.as_bytes().first() {
            Some(b'A') => (ChangeKind::Added, None, first),
            Some(b'D') => (ChangeKind::Deleted, None, first),
            Some(b'T') => (ChangeKind::TypeChanged, None, first),
            Some(b'M') if old_object == new_object => (ChangeKind::ModeChanged, None, first),
            Some(b'M') => (ChangeKind::Modified, None, first),
            Some(b'R') => (ChangeKind::Renamed, Some(first), path()?),
            Some(b'C') => (ChangeKind::Copied, Some(first), path()?),
            _ => return Err(invalid("an unknown status")),
        };
        let is_utf8 = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok();
        let either = |mode: &str| old_mode == mode || new_mode == mode;
        changes.push(Change {
            kind,
            path: text(path),
            old_path: old_path.map(text),
            is_utf8: is_utf8(path) && old_path.is_none_or(is_utf8),
            old_mode: unless_zero(old_mode),
            new_mode: unless_zero(new_mode),
            old_object: unless_zero(old_object),
            new_object: unless_zero(new_object),
            is_symlink: either(LINK_MODE),
            symlink_target: None,
            is_submodule: either(SUBMODULE_MODE),
        });
    }
    Ok(changes)
}

fn unless_zero(field: &str) -> Option<String> {
    (!field.bytes().all(|byte| byte == b'0')).then(|| field.to_owned())
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_rename_has_two_paths_and_what_follows_is_read_on() {
        let a = "a".repeat(40);
        let zero = "0".repeat(40);
        let raw = format!(":100644 100755 {a} {a} R100\0old\nname\0new \"name\0:120000 000000 {a} {zero} D\0link\0");
        let changes = parse(raw.as_bytes()).unwrap();
        let brief: Vec<_> = changes.iter().map(|c| (c.kind, c.old_path.as_deref(), c.path.as_str())).collect();
        assert_eq!(
            brief,
            [(ChangeKind::Renamed, Some("old\nname"), "new \"name"), (ChangeKind::Deleted, None, "link")]
        );
        assert_eq!(changes[1].new_mode, None);
        assert!(changes[1].is_symlink && !changes[1].is_link_now());
    }

    #[test]
    fn cut_output_is_an_error_and_never_a_shorter_list() {
        let a = "a".repeat(40);
        for raw in [
            format!(":100644 100644 {a} {a}"),
            format!(":100644 100644 {a} {a} M"),
            format!(":100644 100644 {a} {a} R100\0old\0"),
            format!(":100644 100644 {a} {a} X\0path\0"),
            "fatal: no\0".to_owned(),
        ] {
            assert_eq!(parse(raw.as_bytes()).unwrap_err().code(), "git_output_invalid", "{raw:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
