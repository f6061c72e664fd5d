//! Opening repositories, naming revisions, and git that does not behave.

use std::{path::PathBuf, time::Duration};

use pretty_assertions::assert_eq;

use super::*;

/// A stand-in for git: a shell script.
#[cfg(unix)]
fn fake_git(dir: &Path, script: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = dir.join("fake-git");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test]
async fn a_directory_without_a_repository_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().to_owned(), dir.path().join("absent")] {
        let error = GitRepo::open(&path).await.unwrap_err();
        assert_eq!(error.code(), "repo_not_found");
        assert_eq!(error.to_string(), format!("`{}` is not in a git repository", path.display()));
    }
}

#[tokio::test]
async fn a_repository_is_found_from_below_and_a_bare_one_too() {
    let repo = TestRepo::new();
    let open = GitRepo::open(&repo.path().join("api/cart")).await.unwrap();
    assert_eq!(open.root(), repo.path().canonicalize().unwrap());
    assert_eq!(GitRepo::open(&repo.path().join(".git")).await.unwrap_err().code(), "repo_not_found");

    let bare = tempfile::tempdir().unwrap();
    repo.git([
        OsStr::new("clone"),
        OsStr::new("--quiet"),
        OsStr::new("--bare"),
        repo.path().as_os_str(),
        bare.path().as_os_str(),
    ]);
    let open = GitRepo::open(bare.path()).await.unwrap();
    assert_eq!(open.head().await.unwrap().as_str(), repo.git(["rev-parse", "HEAD"]));
    assert_eq!(open.uncommitted().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_repository_without_commits_says_so() {
    let repo = TestRepo::empty();
    let open = repo.open().await;
    assert_eq!(open.head().await.unwrap_err().code(), "repo_empty");
    assert_eq!(open.current_branch().await.unwrap().as_deref(), Some("main"));
    let error = check(&open, &example_rules(), "main", "HEAD", None, &[]).await.unwrap_err();
    assert_eq!(error.code(), "repo_empty");
}

#[tokio::test]
async fn a_revision_that_does_not_exist_is_named() {
    let repo = TestRepo::new();
    let open = repo.open().await;
    for revision in
        ["nowhere", "", "HEAD~99", "^HEAD", "base..HEAD", "HEAD:outcome.yaml", "a\nb", "a\0b", &"0".repeat(40)]
    {
        let error = open.resolve(revision).await.unwrap_err();
        assert_eq!(error.code(), "revision_not_found", "{revision:?}");
    }
    let text = open.resolve("nowhere").await.unwrap_err().to_string();
    assert_eq!(text, "`nowhere` does not name a commit of this repository");
}

#[tokio::test]
async fn a_revision_is_never_an_option() {
    let repo = TestRepo::new();
    let open = repo.open().await;
    let marker = repo.path().join("pwned");
    for revision in [
        format!("--upload-pack=touch {}", marker.display()),
        format!("--output={}", marker.display()),
        "--all".to_owned(),
        "--git-dir".to_owned(),
        "-h".to_owned(),
        "--".to_owned(),
    ] {
        assert_eq!(open.resolve(&revision).await.unwrap_err().code(), "revision_not_found", "{revision}");
        let error = check(&open, &example_rules(), "base", &revision, None, &[]).await.unwrap_err();
        assert_eq!(error.code(), "revision_not_found", "{revision}");
    }
    assert!(!marker.exists());
}

#[tokio::test]
async fn a_revision_names_its_commit_whatever_kind_it_is() {
    let repo = TestRepo::new();
    let commit = repo.git(["rev-parse", "HEAD"]);
    repo.git(["tag", "--annotate", "--message", "m", "v1"]);
    let open = repo.open().await;
    for revision in ["HEAD", "main", "v1", "refs/tags/v1", &commit, &commit[..12]] {
        assert_eq!(open.resolve(revision).await.unwrap().as_str(), commit, "{revision}");
    }
    repo.git(["checkout", "--quiet", "--detach"]);
    assert_eq!(open.current_branch().await.unwrap(), None);
}

#[tokio::test]
async fn a_base_that_the_head_does_not_descend_from_is_an_error_with_the_common_commit() {
    let repo = TestRepo::new();
    let common = repo.git(["rev-parse", "HEAD"]);
    repo.git(["switch", "--quiet", "--create", "work"]);
    repo.write("api/cart/work.rs", "x").commit();
    repo.git(["switch", "--quiet", "main"]);
    repo.write("api/cart/main.rs", "x").commit();
    let open = repo.open().await;
    let error = check(&open, &example_rules(), "main", "work", None, &[]).await.unwrap_err();
    assert_eq!(error.code(), "base_not_ancestor");
    assert!(error.hint().unwrap().contains(&common));

    repo.git(["switch", "--quiet", "--orphan", "other"]);
    repo.commit();
    let error = check(&open, &example_rules(), "main", "other", None, &[]).await.unwrap_err();
    assert_eq!(error.code(), "base_not_ancestor");
    assert!(error.hint().unwrap().contains("share no history"));
}

#[tokio::test]
async fn a_shallow_clone_is_told_to_fetch_more() {
    let repo = TestRepo::new();
    repo.write("api/cart/x.rs", "x").commit();
    let clone = TestRepo { dir: tempfile::tempdir().unwrap() };
    let url = format!("file://{}", repo.path().display());
    clone.git(["clone", "--quiet", "--depth=1", &url, "."]);
    let error = clone.open().await.resolve("HEAD~1").await.unwrap_err();
    assert!(error.hint().unwrap().contains("--unshallow"));
}

#[tokio::test]
async fn uncommitted_paths_are_listed_as_they_are() {
    let repo = TestRepo::new();
    let open = repo.open().await;
    assert_eq!(open.uncommitted().await.unwrap(), Vec::<String>::new());
    repo.write("api/cart/total.rs", "changed").write("new \"file\".txt", "x").write("newdir/a", "x");
    repo.git(["mv", "outcome.yaml", "moved.yaml"]);
    let mut paths = open.uncommitted().await.unwrap();
    paths.sort();
    assert_eq!(paths, ["api/cart/total.rs", "moved.yaml", "new \"file\".txt", "newdir/", "outcome.yaml"]);
}

#[tokio::test]
async fn what_the_repository_configures_is_not_run() {
    let repo = TestRepo::new();
    let marker = repo.path().join("pwned");
    let touch = format!("touch {}; false", marker.display());
    repo.git(["config", "filter.e=vil.required", "true"]);
    for key in [
        "core.fsmonitor",
        "filter.e=vil.clean",
        "filter.e=vil.process",
        "diff.external",
        "diff.evil.command",
        "diff.evil.textconv",
        "core.pager",
    ] {
        repo.git(["config", key, &touch]);
    }
    let before: Vec<_> = std::fs::read(repo.path().join(".git/index")).unwrap();
    std::fs::write(repo.path().join(".git/info/attributes"), "* diff=evil filter=e=vil\n").unwrap();
    repo.write("api/cart/total.rs", "changed");
    let open = repo.open().await;
    open.uncommitted().await.unwrap();
    check(&open, &example_rules(), "base", "HEAD", Some(&[]), &[Watch::event("x")]).await.unwrap();
    assert!(!marker.exists());
    assert_eq!(std::fs::read(repo.path().join(".git/index")).unwrap(), before, "the index is not refreshed");
}

#[tokio::test]
async fn a_missing_git_is_said_to_be_missing() {
    let repo = TestRepo::new();
    let options = GitOptions { program: Some(PathBuf::from("no-such-git-anywhere")), ..GitOptions::default() };
    let error = GitRepo::open_with(repo.path(), options).await.unwrap_err();
    assert_eq!(error.code(), "git_unavailable");
    assert_eq!(error.to_string(), "could not start git");
    assert!(error.hint().unwrap().contains("package manager"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_git_that_hangs_is_stopped() {
    let repo = TestRepo::new();
    let options = GitOptions {
        program: Some(fake_git(repo.path(), "exec sleep 600")),
        timeout: Duration::from_millis(200),
        ..GitOptions::default()
    };
    assert_eq!(GitRepo::open_with(repo.path(), options).await.unwrap_err().code(), "git_timed_out");
}

#[cfg(unix)]
#[tokio::test]
async fn a_git_that_fails_or_floods_is_reported() {
    let repo = TestRepo::new();
    let fail = fake_git(repo.path(), "echo 'fatal: the disk is on fire' >&2; exit 128");
    let options = GitOptions { program: Some(fail), ..GitOptions::default() };
    let error = GitRepo::open_with(repo.path(), options).await.unwrap_err();
    assert_eq!(error.code(), "git_failed");
    assert_eq!(error.to_string(), "`git rev-parse` failed with status 128: fatal: the disk is on fire");

    let flood = fake_git(repo.path(), "exec cat /dev/zero");
    let options = GitOptions { program: Some(flood), max_output_bytes: 1000, ..GitOptions::default() };
    assert_eq!(GitRepo::open_with(repo.path(), options).await.unwrap_err().code(), "git_output_too_large");
}

#[cfg(unix)]
#[tokio::test]
async fn a_repository_of_another_user_is_opened_only_if_the_user_trusts_it() {
    let repo = TestRepo::new();
    let home = tempfile::tempdir().unwrap();
    let script = format!(
        "HOME='{}'; unset XDG_CONFIG_HOME; GIT_TEST_ASSUME_DIFFERENT_OWNER=1; \
         export HOME GIT_TEST_ASSUME_DIFFERENT_OWNER; exec git \"$@\"",
        home.path().display()
    );
    let tools = tempfile::tempdir().unwrap();
    let options = GitOptions { program: Some(fake_git(tools.path(), &script)), ..GitOptions::default() };
    // The repository's own word does not count.
    repo.git(["config", "safe.directory", "*"]);
    let error = GitRepo::open_with(repo.path(), options.clone()).await.unwrap_err();
    assert_eq!(error.code(), "repo_not_trusted");

    let root = repo.path().canonicalize().unwrap();
    let config = format!("[safe]\n\tdirectory = {}\n", root.display());
    std::fs::write(home.path().join(".gitconfig"), config).unwrap();
    let open = GitRepo::open_with(repo.path(), options).await.unwrap();
    assert_eq!(open.head().await.unwrap().as_str(), repo.git(["rev-parse", "HEAD"]));
}
