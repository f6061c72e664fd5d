//! What was built is compared with the default branch that was signed, at the report and again where a human decides.

use anyhow::{Context as _, Result, ensure};
use outcome_core::domain::{BranchSource, ExperimentStatus, NoteKind, Verdict};
use outcome_core::usecases::{BuildReport, BuildReported, DecideRequest};
use outcome_core::{Code, Error};
use outcome_tests::lab::{Lab, agent, commit, decision, git, hypothesis, write};

/// An experiment whose build was approved, in a laboratory with a remote.
struct Shop {
    lab: Lab,
    /// Where the remote is.
    remote: tempfile::TempDir,
    experiment: String,
}

impl Shop {
    async fn approved() -> Result<Self> {
        let (lab, remote) = (Lab::sqlite().await?, tempfile::tempdir()?);
        let (root, at) = (lab.root(), remote.path().to_string_lossy().into_owned());
        git(&root, &["init", "-q", "--bare", "-b", "main", &at])?;
        git(&root, &["remote", "add", "origin", &at])?;
        git(&root, &["push", "-q", "origin", "main"])?;
        let experiment = lab.submit(hypothesis("New level", "new-level")).await?;
        // Somebody's half-done work is checked out as the human approves.
        git(&root, &["checkout", "-q", "-b", "wip"])?;
        write(&root, "game/payments/charge.txt", "half done\n")?;
        commit(&root, "Half done")?;
        lab.decide(&experiment, Verdict::Approve).await?;
        Ok(Self { lab, remote, experiment })
    }

    /// Commits a change of the file on a branch from `from`.
    fn commit_on(&self, branch: &str, from: &str, path: &str, text: &str) -> Result<String> {
        let root = self.lab.root();
        git(&root, &["checkout", "-q", "-B", branch, from])?;
        write(&root, path, text)?;
        commit(&root, branch)
    }

    async fn report(&self, head: &str) -> Result<BuildReported, Error> {
        self.report_with(head, None).await
    }

    async fn report_with(&self, head: &str, notes: Option<&str>) -> Result<BuildReported, Error> {
        let report = BuildReport {
            notes: notes.map(ToOwned::to_owned),
            experiment: self.experiment.clone(),
            summary: "built".to_owned(),
            head: Some(head.to_owned()),
            ..BuildReport::default()
        };
        self.lab.runtime.builds().report(report, &agent()).await
    }

    async fn launch(&self, note: Option<&str>) -> Result<Result<ExperimentStatus, Error>> {
        let view = self.lab.runtime.experiments().show(&self.experiment).await?;
        let gate = view.gates.first().context("no gate waits")?;
        let request = DecideRequest { note: note.map(ToOwned::to_owned), ..decision(gate, Verdict::Approve) };
        let done = self.lab.runtime.gates().decide(request).await;
        Ok(done.map(|done| done.experiment_status.unwrap_or(ExperimentStatus::Hypothesis)))
    }

    async fn status(&self) -> Result<ExperimentStatus> {
        Ok(self.lab.runtime.experiments().show(&self.experiment).await?.experiment.state.status)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signed_base_is_the_remotes_default_branch_and_not_what_is_checked_out() -> Result<()> {
    let shop = Shop::approved().await?;
    let root = shop.lab.root();
    let brief = shop.lab.runtime.builds().brief(&shop.experiment).await?;
    ensure!(brief.base_commit == Some(git(&root, &["rev-parse", "main"])?), "{brief:?}");
    let signed = {
        let mut tx = shop.lab.runtime.db().read(shop.lab.runtime.workspace().id).await?;
        let experiment = tx.experiment_list_under_way(None).await?.pop().context("none is under way")?;
        let gate = tx.gate_list(Some(experiment.id), 10).await?.pop().context("no gate")?;
        tx.decision_list(gate.id.0).await?.pop().context("no decision")?.into_decision()
    };
    let base = signed.base.context("the decision names no base")?;
    ensure!(base.said_by == BranchSource::Remote && base.name == "main", "{base:?}");
    ensure!(base.remote.as_deref() == Some(&*shop.remote.path().to_string_lossy()), "{base:?}");
    // What lay on the branch that was checked out is the experiment's, as soon as it is reported with it.
    let head = shop.commit_on("work", "wip", "game/level.txt", "new-level\n")?;
    let refused = shop.report(&head).await.unwrap_err();
    ensure!(refused.code() == Code::ScopeViolation, "{refused}");
    let head = shop.commit_on("work", "main", "game/level.txt", "new-level\n")?;
    ensure!(shop.report(&head).await?.n_changes == 1);
    ensure!(shop.launch(None).await?? == ExperimentStatus::Running);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_process_that_decides_compares_again() -> Result<()> {
    let shop = Shop::approved().await?;
    let root = shop.lab.root();
    let before = git(&root, &["rev-parse", "main"])?;
    // A change of a forbidden path that was on the default branch when the build was reported, and is not any more.
    shop.commit_on("main", "main", "game/payments/charge.txt", "charge twice\n")?;
    git(&root, &["push", "-q", "origin", "main"])?;
    let head = shop.commit_on("work", "main", "game/level.txt", "new-level\n")?;
    shop.report(&head).await?;
    git(&root, &["push", "-q", "--force", "origin", &format!("{before}:main")])?;
    let refused = shop.launch(None).await?.unwrap_err();
    ensure!(refused.code() == Code::ContextChanged && refused.message().contains("outside its scope"), "{refused}");
    ensure!(shop.status().await? == ExperimentStatus::Building);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_in_with_the_default_branch_after_the_report_is_shown_before_a_launch() -> Result<()> {
    let shop = Shop::approved().await?;
    let root = shop.lab.root();
    shop.commit_on("main", "main", "game/payments/charge.txt", "a colleague's\n")?;
    let head = shop.commit_on("work", "main", "game/level.txt", "new-level\n")?;
    git(&root, &["push", "-q", "origin", "main"])?;
    shop.report(&head).await?;
    let view = shop.lab.runtime.experiments().show(&shop.experiment).await?;
    let build = view.experiment.build.as_ref().context("no build")?.read()?.clone();
    let note = build.scope.notes.first().context("what came in is not shown")?;
    ensure!(note.path == "game/payments/charge.txt" && note.message.contains("came in"), "{note:?}");
    ensure!(build.default_branch.is_some_and(|branch| branch.said_by == BranchSource::Remote));
    // A remote that is gone by then stops nobody who says so: the gate shows its answer, and now only this clone knows it.
    std::fs::remove_dir_all(shop.remote.path())?;
    let refused = shop.launch(None).await?.unwrap_err();
    ensure!(refused.code() == Code::InvalidInput && refused.message().contains("did not say it"), "{refused}");
    ensure!(shop.launch(Some("On a train")).await?? == ExperimentStatus::Running);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_that_does_not_answer_stops_no_change_that_began_at_the_signed_commit() -> Result<()> {
    let shop = Shop::approved().await?;
    let head = shop.commit_on("work", "main", "game/level.txt", "new-level\n")?;
    shop.report(&head).await?;
    std::fs::remove_dir_all(shop.remote.path())?;
    ensure!(shop.launch(None).await?? == ExperimentStatus::Running);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_this_clone_calls_the_default_branch_is_told_to_the_one_who_decides() -> Result<()> {
    let shop = Shop::approved().await?;
    let (root, remote) = (shop.lab.root(), shop.remote.path().to_string_lossy().into_owned());
    // The gate says that the remote answered, as a program that lies would write it. Nothing of it is within the rules that
    // are listed, so the gate has no word about it.
    let before = git(&root, &["rev-parse", "main"])?;
    let theirs = shop.commit_on("theirs", "main", "elsewhere/login.txt", "let me in\n")?;
    git(&root, &["push", "-q", "origin", &format!("{theirs}:main")])?;
    let head = shop.commit_on("work", &theirs, "game/level.txt", "new-level\n")?;
    shop.report(&head).await?;
    git(&root, &["push", "-q", "--force", "origin", &format!("{before}:main")])?;
    // What the remote really has is a colleague's commit that this clone never fetched.
    let colleague = tempfile::tempdir()?;
    let at = colleague.path();
    git(at, &["clone", "-q", &remote, "."])?;
    write(at, "README.txt", "hello\n")?;
    commit(at, "A colleague's")?;
    git(at, &["push", "-q", "origin", "main"])?;
    git(&root, &["update-ref", "refs/remotes/origin/main", &theirs])?;

    let refused = shop.launch(None).await?.unwrap_err();
    ensure!(refused.code() == Code::InvalidInput && refused.message().contains("has not fetched"), "{refused}");
    ensure!(refused.hint_text().is_some_and(|hint| hint.contains("git fetch")), "{refused:?}");
    ensure!(shop.status().await? == ExperimentStatus::AwaitingLaunchGate);
    git(&root, &["fetch", "-q", "origin"])?;
    let refused = shop.launch(None).await?.unwrap_err();
    ensure!(refused.code() == Code::ContextChanged && refused.message().contains("elsewhere/login.txt"), "{refused}");
    ensure!(shop.status().await? == ExperimentStatus::Building);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_notes_push_none_about_the_default_branch_off_the_gate() -> Result<()> {
    let shop = Shop::approved().await?;
    let root = shop.lab.root();
    git(&root, &["checkout", "-q", "-B", "work", "main"])?;
    for n in 0..120 {
        let entry = format!("160000,{},game/sub/{n}", "1".repeat(40));
        git(&root, &["update-index", "--add", "--cacheinfo", &entry])?;
    }
    git(&root, &["commit", "-q", "-m", "Many submodules"])?;
    let head = git(&root, &["rev-parse", "HEAD"])?;
    git(&root, &["config", "remote.origin.url", "/nowhere"])?;
    shop.report(&head).await?;
    let view = shop.lab.runtime.experiments().show(&shop.experiment).await?;
    let notes = view.experiment.build.as_ref().context("no build")?.read()?.scope.notes.clone();
    let kinds: Vec<NoteKind> = notes.iter().map(|note| note.kind).collect();
    ensure!(kinds.contains(&NoteKind::RemoteChanged), "{kinds:?}");
    let last = notes.last().context("no note")?;
    ensure!(last.kind == NoteKind::NotListed && last.message.contains("22 more"), "{last:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_without_a_repository_is_told_at_the_launch() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let root = lab.root();
    let experiment = lab.submit(hypothesis("New level", "new-level")).await?;
    std::fs::rename(root.join(".git"), root.join("away"))?;
    lab.decide(&experiment, Verdict::Approve).await?;
    std::fs::rename(root.join("away"), root.join(".git"))?;
    lab.build(&experiment).await?;
    let view = lab.runtime.experiments().show(&experiment).await?;
    let notes = view.experiment.build.as_ref().context("no build")?.read()?.scope.notes.clone();
    ensure!(notes.iter().any(|note| note.kind == NoteKind::BaseUnsigned), "{notes:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_of_nothing_or_without_the_flag_needs_a_reason() -> Result<()> {
    for (path, text) in [(None, ""), (Some("game/level.txt"), "another level\n")] {
        let shop = Shop::approved().await?;
        let head = match path {
            Some(path) => shop.commit_on("work", "main", path, text)?,
            None => {
                git(&shop.lab.root(), &["checkout", "-q", "-B", "work", "main"])?;
                commit(&shop.lab.root(), "Nothing")?
            }
        };
        if path.is_none() {
            let refused = shop.report(&head).await.unwrap_err();
            ensure!(refused.code() == Code::Conflict && refused.message().contains("holds nothing"), "{refused}");
            ensure!(shop.status().await? == ExperimentStatus::Building, "a build of nothing leaves it as it is");
        }
        shop.report_with(&head, path.is_none().then_some("The code is deployed already")).await?;
        for note in [None, Some("  ")] {
            let refused = shop.launch(note).await?.unwrap_err();
            ensure!(refused.code() == Code::InvalidInput && refused.message().contains("reason"), "{refused}");
        }
        ensure!(shop.status().await? == ExperimentStatus::AwaitingLaunchGate);
        let launched = shop.launch(Some("The key is read from a table that is deployed already")).await??;
        ensure!(launched == ExperimentStatus::Running);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_somebody_wrote_into_the_row_is_found() -> Result<()> {
    let shop = Shop::approved().await?;
    let head = shop.commit_on("work", "wip", "game/level.txt", "new-level\n")?;
    for base in [format!("'{head}'"), "NULL".to_owned()] {
        shop.lab.raw(&format!("UPDATE experiment SET base_commit = {base}")).await?;
        let refused = shop.report(&head).await.unwrap_err();
        ensure!(refused.code() == Code::StateTampered, "{base}: {refused}");
    }
    Ok(())
}
