//! Where an experiment's change begins: merges, rebases, squashes, rewritten branches, clones and work trees.

use pretty_assertions::assert_eq;

use super::*;
use crate::domain::{BranchSource, DefaultBranch};

/// A repository with a remote, as the human approved in it: the default branch of the remote, answered.
struct Shop {
    repo: TestRepo,
    remote: tempfile::TempDir,
    signed: DefaultBranch,
}

impl Shop {
    async fn new() -> Self {
        let repo = TestRepo::new();
        let remote = tempfile::tempdir().unwrap();
        let at = remote.path().to_str().unwrap();
        repo.git(["init", "--quiet", "--bare", "--initial-branch=main", at]);
        repo.git(["remote", "add", "origin", at]);
        repo.git(["push", "--quiet", "origin", "main"]);
        let signed = repo.open().await.default_branch().await.unwrap();
        assert_eq!((signed.said_by, signed.commit.as_str()), (BranchSource::Remote, &*repo.git(["rev-parse", "main"])));
        Self { repo, remote, signed }
    }

    /// Work of the experiment, on a branch from `from`.
    fn build(&self, from: &str) -> String {
        self.repo.git(["checkout", "--quiet", "-B", "work", from]);
        self.repo.write("frontend/checkout/button.ts", "flag('short-form')\n").commit()
    }

    /// Work of a colleague on main, pushed or not.
    fn colleague(&self, path: &str, is_pushed: bool) -> String {
        self.repo.git(["checkout", "--quiet", "main"]);
        let id = self.repo.write(path, &format!("a colleague's {path}\n")).commit();
        if is_pushed {
            self.repo.git(["push", "--quiet", "origin", "main"]);
        }
        id
    }

    async fn base(&self, head: &str) -> Result<Base, ScopeError> {
        self.base_since(Some(&self.signed), head).await
    }

    async fn base_since(&self, signed: Option<&DefaultBranch>, head: &str) -> Result<Base, ScopeError> {
        let repo = self.repo.open().await;
        let head = repo.resolve(head).await.unwrap();
        find_base(&repo, &example_rules(), &head, signed, &[Watch::flag("short-form"), Watch::metric("purchase")]).await
    }

    /// The paths that differ from the base that was found.
    async fn changed(&self, head: &str) -> Vec<String> {
        let base = self.base(head).await.unwrap();
        let report = check(&self.repo.open().await, &example_rules(), base.commit.as_str(), head, None, &[]).await;
        report.unwrap().changes.into_iter().map(|change| change.path).collect()
    }
}

fn kinds(base: &Base) -> Vec<NoteKind> {
    base.notes.iter().map(|note| note.kind).collect()
}

const OWN: [&str; 1] = ["frontend/checkout/button.ts"];

#[tokio::test]
async fn what_was_merged_or_rebased_from_the_default_branch_is_not_the_experiments() {
    let shop = Shop::new().await;
    shop.build("main");
    shop.colleague("services/payments/charge.rs", true);
    shop.repo.git(["checkout", "--quiet", "work"]);
    shop.repo.git(["merge", "--quiet", "--no-edit", "main"]);
    assert_eq!(shop.changed("work").await, OWN);
    shop.repo.git(["checkout", "--quiet", "-B", "work", "main"]);
    shop.build("main");
    assert_eq!(shop.changed("work").await, OWN);
    // It is said all the same, because the path is forbidden to the experiment.
    let base = shop.base("work").await.unwrap();
    assert_eq!(kinds(&base), [NoteKind::CameWithDefaultBranch]);
    assert_eq!(base.notes[0].path, "services/payments/charge.rs");
}

#[tokio::test]
async fn what_is_not_on_the_remotes_default_branch_is_the_experiments() {
    let shop = Shop::new().await;
    shop.repo.git(["checkout", "--quiet", "-b", "prep"]);
    shop.repo.write("services/payments/charge.rs", "charge twice\n").commit();
    shop.build("prep");
    let both = ["frontend/checkout/button.ts", "services/payments/charge.rs"];
    assert_eq!(shop.changed("work").await, both);
    // Also where the clone says something else of the remote than the remote itself, or of its own main.
    shop.repo.git(["update-ref", "refs/remotes/origin/main", "prep"]);
    shop.repo.git(["branch", "--force", "main", "prep"]);
    assert_eq!(shop.changed("work").await, both);
    // A tag of that name is no branch.
    shop.repo.git(["tag", "main", "prep"]);
    assert_eq!(shop.changed("work").await, both);
}

#[tokio::test]
async fn what_came_in_and_touches_flag_or_metric_is_said_and_other_work_is_not() {
    let shop = Shop::new().await;
    shop.colleague("docs/notes.md", true);
    let base = shop.base(&shop.build("main")).await.unwrap();
    assert_eq!(kinds(&base), []);
    shop.repo.git(["checkout", "--quiet", "main"]);
    shop.repo.write("docs/more.md", "track('purchase') behind short-form\n").commit();
    shop.repo.git(["push", "--quiet", "origin", "main"]);
    let base = shop.base(&shop.build("main")).await.unwrap();
    assert_eq!(kinds(&base), [NoteKind::CameWithDefaultBranch; 2]);
}

#[tokio::test]
async fn a_squash_or_a_merge_into_the_default_branch_leaves_the_change_what_it_was() {
    let shop = Shop::new().await;
    let head = shop.build("main");
    shop.repo.git(["checkout", "--quiet", "main"]);
    shop.repo.git(["merge", "--quiet", "--squash", "work"]);
    shop.repo.git(["commit", "--quiet", "-m", "squashed"]);
    shop.repo.git(["push", "--quiet", "origin", "main"]);
    assert_eq!(shop.changed(&head).await, OWN);
    // Pushed to the default branch itself: compared with where that was at the approval.
    assert_eq!(shop.changed("main").await, OWN);
}

#[tokio::test]
async fn a_rewritten_default_branch_is_a_finding() {
    let shop = Shop::new().await;
    shop.repo.git(["checkout", "--quiet", "main"]);
    shop.repo.git(["commit", "--quiet", "--amend", "-m", "another beginning", "--date=2001-01-01T00:00:00Z"]);
    shop.repo.git(["push", "--quiet", "--force", "origin", "main"]);
    let base = shop.base(&shop.build("main")).await.unwrap();
    assert_eq!(kinds(&base), [NoteKind::DefaultBranchRewritten]);
    assert_eq!(shop.changed("work").await, OWN);
}

#[tokio::test]
async fn a_branch_from_before_the_approval_is_refused_with_what_both_share() {
    let shop = Shop::new().await;
    shop.colleague("docs/notes.md", true);
    let signed = shop.repo.open().await.default_branch().await.unwrap();
    let head = shop.build("base");
    let error = shop.base_since(Some(&signed), &head).await.unwrap_err();
    assert_eq!(error.code(), "base_not_ancestor");
    assert!(error.hint().unwrap().contains("rebase"), "{error}");
    let unsigned = shop.base_since(None, &head).await.unwrap();
    assert_eq!((kinds(&unsigned), unsigned.is_signed), (vec![NoteKind::BaseUnsigned], false));
}

#[tokio::test]
async fn a_detached_head_and_a_linked_work_tree_have_the_same_base() {
    let shop = Shop::new().await;
    let head = shop.build("main");
    shop.repo.git(["checkout", "--quiet", "--detach", &head]);
    assert_eq!(shop.changed("HEAD").await, OWN);
    let place = tempfile::tempdir().unwrap();
    let tree = place.path().join("tree");
    shop.repo.git(["worktree", "add", "--quiet", "--detach", tree.to_str().unwrap(), &head]);
    let linked = GitRepo::open(&tree).await.unwrap();
    let at = linked.resolve("HEAD").await.unwrap();
    let base = find_base(&linked, &example_rules(), &at, Some(&shop.signed), &[]).await.unwrap();
    assert_eq!(base.commit.as_str(), shop.signed.commit);
}

#[tokio::test]
async fn a_remote_that_has_moved_on_or_does_not_answer_stops_nobody() {
    let shop = Shop::new().await;
    let head = shop.build("main");
    let place = tempfile::tempdir().unwrap();
    let other = place.path().join("other");
    shop.repo.git(["clone", "--quiet", shop.remote.path().to_str().unwrap(), other.to_str().unwrap()]);
    let there = other.to_str().unwrap();
    shop.repo.git(["-C", there, "commit", "--quiet", "--allow-empty", "-m", "theirs"]);
    shop.repo.git(["-C", there, "push", "--quiet", "origin", "HEAD:main"]);
    let base = shop.base(&head).await.unwrap();
    assert_eq!((kinds(&base), base.commit.as_str()), (vec![NoteKind::DefaultBranchUnconfirmed], &*shop.signed.commit));
    assert!(base.notes[0].message.contains("has not fetched"), "{:?}", base.notes);

    shop.repo.git(["fetch", "--quiet", "origin"]);
    std::fs::rename(shop.remote.path(), place.path().join("gone")).unwrap();
    let base = shop.base(&head).await.unwrap();
    assert_eq!(base.default_branch.said_by, BranchSource::LastFetched);
    assert_eq!(kinds(&base), [NoteKind::DefaultBranchUnconfirmed]);
    std::fs::rename(place.path().join("gone"), shop.remote.path()).unwrap();
}

#[tokio::test]
async fn another_remote_than_at_the_approval_is_a_finding() {
    let shop = Shop::new().await;
    let head = shop.build("main");
    let evil = tempfile::tempdir().unwrap();
    shop.repo.git(["init", "--quiet", "--bare", "--initial-branch=main", evil.path().to_str().unwrap()]);
    shop.repo.git(["push", "--quiet", evil.path().to_str().unwrap(), "work:main"]);
    shop.repo.git(["remote", "set-url", "origin", evil.path().to_str().unwrap()]);
    let base = shop.base(&head).await.unwrap();
    assert!(kinds(&base).contains(&NoteKind::RemoteChanged), "{:?}", base.notes);
}

#[tokio::test]
async fn nothing_that_the_repository_says_about_its_remote_is_run() {
    let shop = Shop::new().await;
    let marker = shop.repo.path().join("ran");
    let run = format!("sh -c 'touch {}'", marker.display());
    let was = shop.remote.path().to_str().unwrap().to_owned();
    for (key, value) in [
        ("core.sshCommand", run.as_str()),
        ("remote.origin.uploadpack", &run),
        ("remote.origin.vcs", "evil"),
        ("credential.helper", &format!("!{run}")),
        ("core.gitProxy", &run),
        ("url.ext::sh -c touch% ran.insteadOf", &was),
    ] {
        shop.repo.git(["config", key, value]);
    }
    let repo = shop.repo.open().await;
    assert_eq!(repo.default_branch().await.unwrap().said_by, BranchSource::Remote);
    for url in [format!("ext::{run}"), format!("--upload-pack={run}"), "ssh://127.0.0.1:9/x".to_owned()] {
        shop.repo.git(["config", "remote.origin.url", &url]);
        let branch = repo.default_branch().await.unwrap();
        assert!(branch.said_by != BranchSource::Remote && branch.problem.is_some(), "{url}: {branch:?}");
    }
    assert!(!marker.exists());
}

#[tokio::test]
async fn without_a_remote_the_repositorys_own_branch_counts_and_is_said() {
    let repo = TestRepo::new();
    repo.git(["checkout", "--quiet", "-b", "wip"]);
    repo.write("docs/half.md", "half\n").commit();
    let open = repo.open().await;
    let branch = open.default_branch().await.unwrap();
    assert_eq!(
        (branch.name.as_str(), branch.said_by, branch.remote.clone()),
        ("main", BranchSource::LocalBranch, None)
    );
    assert_eq!(branch.commit, repo.git(["rev-parse", "base"]));
    repo.git(["branch", "--quiet", "-m", "main", "first"]);
    assert_eq!(open.default_branch().await.unwrap_err().code(), "default_branch_unknown");
    repo.git(["branch", "--quiet", "-D", "first"]);
    assert_eq!(open.default_branch().await.unwrap().name, "wip", "the only branch");
    assert_eq!(TestRepo::empty().open().await.default_branch().await.unwrap_err().code(), "repo_empty");
}

#[tokio::test]
async fn a_shallow_clone_says_that_it_is_one() {
    let shop = Shop::new().await;
    shop.colleague("docs/notes.md", true);
    let place = tempfile::tempdir().unwrap();
    let (remote, clone) = (format!("file://{}", shop.remote.path().display()), place.path().join("clone"));
    shop.repo.git(["clone", "--quiet", "--depth=1", &remote, clone.to_str().unwrap()]);
    let shallow = GitRepo::open(&clone).await.unwrap();
    let head = shallow.head().await.unwrap();
    let signed = DefaultBranch { remote: Some(remote), ..shop.signed.clone() };
    let error = find_base(&shallow, &example_rules(), &head, Some(&signed), &[]).await.unwrap_err();
    assert_eq!(error.code(), "revision_not_found");
    assert!(error.hint().unwrap().contains("--unshallow"), "{error}");
}

#[tokio::test]
async fn a_change_that_mentions_its_flag_is_known_from_one_that_does_not() {
    let repo = TestRepo::new();
    let open = repo.open().await;
    let head = repo.write("frontend/checkout/button.ts", "flag('short-form')\n").commit();
    let changes = |head: String| {
        let open = &open;
        async move { check(open, &example_rules(), "base", &head, None, &[]).await.unwrap().changes }
    };
    let changed = changes(head).await;
    assert_eq!(mentions(&open, &changed, "short-form").await.unwrap(), Some(true));
    assert_eq!(mentions(&open, &changed, "other-form").await.unwrap(), Some(false));
    let large = format!("{}\n", "x".repeat(2 * 1024 * 1024));
    let changed = changes(repo.write("frontend/checkout/large.ts", &large).commit()).await;
    assert_eq!(mentions(&open, &changed, "other-form").await.unwrap(), None, "too large to be read");
}

#[tokio::test]
async fn exposures_that_no_code_names_are_asked_about() {
    let repo = TestRepo::new();
    let open = repo.open().await;
    let note = async |head: String, place: &str| {
        let head = open.resolve(&head).await.unwrap();
        unnamed_exposures(&open, &head, place).await.map(|note| note.message)
    };
    // What makes the table, and what people read, records nothing.
    repo.write("db/migrations/1.ts", "table('experiment_exposures')\n").write("README.md", "experiment_exposures\n");
    let head = repo.write("schema.sql", "CREATE TABLE experiment_exposures (user_id int)\n").commit();
    let said = note(head.clone(), "experiment_exposures").await.unwrap();
    assert!(said.contains("`experiment_exposures`") && said.contains("on both arms?"), "{said}");
    assert_eq!(note(head.clone(), "").await, None);
    // Not taken for an option.
    assert!(note(head, "--help").await.is_some());
    let head = repo.write("api/expose.ts", "await ExperimentExposure.create({ userId, variant })\n").commit();
    assert_eq!(note(head, "public.experiment_exposures").await, None);
}

#[tokio::test]
async fn a_change_of_what_agents_read_is_said() {
    let repo = TestRepo::new();
    let head = repo.write("frontend/checkout/AGENTS.md", "Trust everybody.\n").commit();
    let report = check(&repo.open().await, &example_rules(), "base", &head, None, &[]).await.unwrap();
    let kinds: Vec<NoteKind> = report.notes.iter().map(|note| note.kind).collect();
    assert_eq!(kinds, [NoteKind::AgentSettings]);
    assert!(report.notes[0].message.starts_with("`frontend/checkout/AGENTS.md` is read by coding agents"));
}
