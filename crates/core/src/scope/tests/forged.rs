//! A repository whose objects were written by hand: git believes whatever lies behind an id.

use std::path::PathBuf;

use pretty_assertions::assert_eq;

use super::*;
use crate::domain::{BranchSource, DefaultBranch};

/// Lets the object `id` have the content of another, as `git` would read it.
fn forge(repo: &TestRepo, id: &str, from: &str) {
    let (there, other) = (place(repo, id), place(repo, from));
    let bytes = std::fs::read(other).unwrap();
    // git makes its objects read only.
    std::fs::remove_file(&there).unwrap();
    std::fs::write(there, bytes).unwrap();
}

fn place(repo: &TestRepo, id: &str) -> PathBuf {
    repo.path().join(".git/objects").join(id.get(..2).unwrap()).join(id.get(2..).unwrap())
}

fn local_main(commit: &str) -> DefaultBranch {
    DefaultBranch {
        name: "main".to_owned(),
        commit: commit.to_owned(),
        remote: None,
        said_by: BranchSource::LocalBranch,
        problem: None,
    }
}

async fn checked(repo: &TestRepo, head: &str) -> Result<ScopeReport, ScopeError> {
    check(&repo.open().await, &example_rules(), "base", head, None, &[Watch::event("purchase")]).await
}

#[tokio::test]
async fn a_tree_or_a_file_behind_the_id_of_another_is_found() {
    for (object, kind) in [("HEAD:services/payments", "tree"), ("HEAD:services/payments/charge.rs", "blob")] {
        let repo = TestRepo::new();
        let honest = repo.git(["rev-parse", &object.replace("HEAD", "base")]);
        repo.write("frontend/checkout/button.ts", "track('purchase');\n")
            .write("services/payments/charge.rs", "pub fn charge() {}\n")
            .commit();
        assert!(!checked(&repo, "HEAD").await.unwrap().is_clean);
        let id = repo.git(["rev-parse", object]);
        forge(&repo, &id, &honest);
        if kind == "tree" {
            let seen = repo.git(["diff-tree", "-r", "--name-only", "base", "HEAD"]);
            assert_eq!(seen, "frontend/checkout/button.ts", "git itself is deceived");
        }
        let error = checked(&repo, "HEAD").await.unwrap_err();
        assert_eq!(error.code(), "git_object_forged", "{kind}: {error}");
        assert!(error.to_string().contains(&id), "{kind}: {error}");
    }
}

#[tokio::test]
async fn a_link_that_a_forged_tree_hides_is_found() {
    let repo = TestRepo::new();
    repo.link("docs/shared", "../services/payments").commit_index();
    let with_link = repo.git(["rev-parse", "HEAD:docs"]);
    repo.link("frontend/checkout/x", "../../docs/shared/charge.rs").commit_index();
    let base = repo.git(["rev-parse", "HEAD~1"]);
    let repository = repo.open().await;
    let found = check(&repository, &example_rules(), &base, "HEAD", None, &[]).await.unwrap();
    assert!(!found.is_clean, "the link leads into a forbidden folder");
    let plain = repo.git(["rev-parse", "HEAD:api"]);
    forge(&repo, &with_link, &plain);
    let error = check(&repository, &example_rules(), &base, "HEAD", None, &[]).await.unwrap_err();
    assert_eq!(error.code(), "git_object_forged");
}

#[tokio::test]
async fn a_link_whose_object_was_taken_away_is_no_folder() {
    let repo = TestRepo::new();
    repo.link("frontend/checkout/shared", "../../services/payments").commit_index();
    let base = repo.git(["rev-parse", "HEAD"]);
    repo.link("frontend/checkout/x", "shared/charge.rs").commit_index();
    let repository = repo.open().await;
    let is_clean = async || check(&repository, &example_rules(), &base, "HEAD", None, &[]).await.unwrap().is_clean;
    assert!(!is_clean().await, "the link leads into a forbidden folder");
    let id = repo.git(["rev-parse", "HEAD:frontend/checkout/shared"]);
    std::fs::remove_file(place(&repo, &id)).unwrap();
    assert!(!is_clean().await, "and nobody can say that it does not");
}

#[tokio::test]
async fn a_history_that_is_cut_off_moves_no_base() {
    let repo = TestRepo::new();
    let signed = repo.git(["rev-parse", "main"]);
    let before = repo.write("docs/a.md", "a\n").commit();
    let tip = repo.write("services/payments/guard.rs", "guard\n").commit();
    repo.git(["checkout", "--quiet", "-b", "work"]);
    repo.git(["rm", "--quiet", "services/payments/guard.rs"]);
    let undone = repo.write("frontend/checkout/button.ts", "x\n").commit();
    let head = repo.git(["commit-tree", "-p", &undone, "-p", &before, "-m", "m", &format!("{undone}^{{tree}}")]);

    let branch = local_main(&signed);
    let repository = repo.open().await;
    let commit = repository.resolve(&head).await.unwrap();
    let base = find_base(&repository, &example_rules(), &commit, Some(&branch), &[]).await.unwrap();
    assert_eq!(base.commit.as_str(), tip, "what main brought is undone, and that is to be seen");
    std::fs::write(repo.path().join(".git/shallow"), format!("{undone}\n")).unwrap();
    assert_eq!(repo.git(["merge-base", &head, "main"]), before, "git itself is deceived");
    for signed in [Some(&branch), None] {
        let error = find_base(&repository, &example_rules(), &commit, signed, &[]).await.unwrap_err();
        assert_eq!(error.code(), "base_not_ancestor", "{error}");
        assert!(error.to_string().contains(&tip), "{error}");
        assert!(error.hint().unwrap().contains("--unshallow"), "{error}");
    }
}

#[tokio::test]
async fn of_two_newest_commits_in_common_none_is_chosen() {
    let repo = TestRepo::new();
    let signed = repo.git(["rev-parse", "main"]);
    let one = repo.write("docs/a.md", "a\n").commit();
    repo.git(["checkout", "--quiet", "-b", "other", &signed]);
    let other = repo.write("services/payments/guard.rs", "guard\n").commit();
    repo.git(["checkout", "--quiet", "main"]);
    repo.git(["merge", "--quiet", "--no-edit", "other"]);
    // The work has both, and none of what the second brought.
    let tree = format!("{one}^{{tree}}");
    let head = repo.git(["commit-tree", "-p", &one, "-p", &other, "-m", "m", &tree]);
    let branch = local_main(&signed);
    let repository = repo.open().await;
    let commit = repository.resolve(&head).await.unwrap();
    let error = find_base(&repository, &example_rules(), &commit, Some(&branch), &[]).await.unwrap_err();
    assert_eq!(error.code(), "base_not_ancestor", "{error}");
    assert!(error.hint().unwrap().starts_with("Merge the default branch"), "{error}");

    let merged = repo.git(["commit-tree", "-p", &head, "-p", "main", "-m", "m", &tree]);
    let commit = repository.resolve(&merged).await.unwrap();
    let base = find_base(&repository, &example_rules(), &commit, Some(&branch), &[]).await.unwrap();
    assert_eq!(base.commit.as_str(), repo.git(["rev-parse", "main"]));
}

#[tokio::test]
async fn a_commit_that_a_forged_parent_puts_on_the_default_branch_is_found() {
    // Below the tip: a commit that it is asked for by name git does hash.
    for above in [1, 3] {
        let repo = TestRepo::new();
        let signed = repo.git(["rev-parse", "main"]);
        repo.write("docs/a.md", "a\n").commit();
        let parent = repo.git(["rev-parse", "main"]);
        let forged = repo.write("docs/b.md", "b\n").commit();
        for n in 0..above {
            repo.write("docs/c.md", &format!("{n}\n")).commit();
        }
        repo.git(["checkout", "--quiet", "-b", "work", &signed]);
        let theirs = repo.write("services/payments/charge.rs", "pub fn charge() {}\n").commit();
        let head = repo.write("frontend/checkout/button.ts", "x\n").commit();
        let tree = repo.git(["rev-parse", &format!("{forged}^{{tree}}")]);
        let other = repo.git(["commit-tree", "-p", &parent, "-p", &theirs, "-m", "b", &tree]);
        forge(&repo, &forged, &other);
        assert_eq!(repo.git(["merge-base", &head, "main"]), theirs, "git itself is deceived");

        let branch = local_main(&signed);
        let repository = repo.open().await;
        let head = repository.resolve(&head).await.unwrap();
        for signed in [Some(&branch), None] {
            let error = find_base(&repository, &example_rules(), &head, signed, &[]).await.unwrap_err();
            assert_eq!(error.code(), "git_object_forged", "{above}: {error}");
            assert!(error.to_string().contains(&forged), "{above}: {error}");
        }
    }
}

#[tokio::test]
async fn what_git_and_we_read_is_the_same_for_every_kind_of_change() {
    let repo = TestRepo::new();
    repo.write("a/b/c/deep.txt", "1\n").write("gone/x.txt", "a longer text that is moved and nothing else\n").commit();
    repo.write("file", "1\n").write("run.sh", "1\n").commit();
    repo.git(["tag", "--force", "base"]);
    repo.git(["mv", "gone/x.txt", "moved.txt"]);
    repo.git(["rm", "--quiet", "-r", "a", "file"]);
    repo.write("file/is/a/folder", "2\n").write("a", "a file now\n").write("käse/ü.txt", "3\n");
    repo.git(["add", "--all"]);
    repo.git(["update-index", "--chmod=+x", "run.sh"]);
    repo.link("api/link", "cart").entry("160000", &"1".repeat(40), b"vendor/sub").entry(
        "100644",
        &repo.git(["rev-parse", "base:run.sh"]),
        b"not\xffutf8",
    );
    repo.commit_index();
    let report = checked(&repo, "HEAD").await.unwrap();
    assert!(report.changes.len() >= 8, "{:?}", report.changes);
}
