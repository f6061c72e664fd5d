//! Anchors: every decision leaves one, and `audit verify` says how far they reach.

use anyhow::{Context as _, Result, ensure};
use outcome_core::domain::Verdict;
use outcome_core::usecases::{AnchorPlace, Verification};
use outcome_tests::lab::{Lab, git, unlock};

async fn verified(lab: &Lab, files: &[std::path::PathBuf]) -> Result<Verification> {
    Ok(lab.runtime.audit_log().verify(files).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_decision_is_anchored_and_what_is_pushed_protects() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let root = lab.root();
    let remote = tempfile::tempdir()?;
    git(remote.path(), &["init", "-q", "--bare", "-b", "main"])?;
    // Nothing that the repository configures runs, and nobody's name is asked for.
    let hook = root.join(".git/hooks/reference-transaction");
    std::fs::write(&hook, "#!/bin/sh\ntouch hooked\n")?;
    std::os::unix::fs::PermissionsExt::set_mode(&mut std::fs::metadata(&hook)?.permissions(), 0o755);
    git(&root, &["remote", "add", "origin", &remote.path().to_string_lossy()])?;
    let reference = format!("refs/outcome-runtime/anchors/{}", lab.runtime.workspace().id);

    let before = git(&root, &["rev-parse", "HEAD"])?;
    let experiment = lab.running("Softer level", "soft").await?;
    ensure!(git(&root, &["rev-list", "--count", &reference])?.trim().parse::<usize>()? >= 2);
    ensure!(git(&root, &["rev-parse", "main"])? == before, "no branch moves");
    let found = verified(&lab, &[]).await?;
    ensure!(found.is_intact, "{:?}", found.problems);
    let (here, n_unprotected) = (found.reach.here.context("no anchor")?, found.reach.n_unprotected);
    ensure!(n_unprotected >= 3 && found.reach.pushed.is_none() && found.reach.witnessed.is_none(), "{:?}", found.reach);

    git(&root, &["push", "-q", "origin", "refs/outcome-runtime/*:refs/outcome-runtime/*"])?;
    let found = verified(&lab, &[]).await?.reach;
    ensure!(found.pushed == Some(here) && found.n_unprotected == 0, "{found:?}");
    lab.act(&experiment, Verdict::Kill).await?;
    let found = verified(&lab, &[]).await?.reach;
    ensure!(found.pushed == Some(here) && found.n_unprotected == 1 && found.here > Some(here), "{found:?}");
    ensure!(!root.join("hooked").exists());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_an_anchor_of_this_workspace_is_not_taken_for_one() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let elsewhere = tempfile::tempdir()?;
    let file = elsewhere.path().join("anchors.jsonl");
    std::fs::write(&file, "")?;
    let found = verified(&lab, std::slice::from_ref(&file)).await?;
    ensure!(found.is_intact && found.reach.not_checked.len() == 1, "{found:?}");
    lab.runtime.audit_log().anchor(&AnchorPlace::File(file.clone()), &unlock()).await?;
    let found = verified(&lab, std::slice::from_ref(&file)).await?;
    ensure!(found.reach.not_checked.is_empty() && found.reach.witnessed.is_some(), "{found:?}");
    ensure!(found.reach.n_unprotected == 0, "{found:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_rewritten_is_found_by_the_reference_of_git() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let experiment = lab.running("Softer level", "soft").await?;
    lab.act(&experiment, Verdict::Kill).await?;
    // The end of the log is taken away, as if the kill had never been.
    let line =
        lab.runtime.audit_log().page(0, 1000).await?.into_iter().rfind(|line| line.kind == "experiment.killed_by_hand");
    let seq = line.context("no kill")?.seq;
    lab.raw(&format!("DELETE FROM event WHERE seq >= {seq}")).await?;
    lab.raw(&format!(
        "UPDATE workspace SET log_seq = {0}, log_head = (SELECT hash FROM event WHERE seq = {0})",
        seq - 1
    ))
    .await?;
    let found = verified(&lab, &[]).await?.problems;
    ensure!(found.iter().any(|problem| problem.contains("refs/outcome-runtime/anchors")), "{found:?}");
    // A decision is never refused for want of an anchor.
    let other = Lab::sqlite().await?;
    std::fs::remove_dir_all(other.root().join(".git/refs"))?;
    other.runtime.outcomes().abandon(outcome_tests::lab::OUTCOME, &unlock()).await?;
    Ok(())
}
