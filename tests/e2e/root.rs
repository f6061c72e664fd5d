//! The root key that the committed outcome file names.

use anyhow::{Context as _, Result, ensure};
use outcome_core::Code;
use outcome_tests::lab::{FILE, Lab, commit, git, local, write};

fn naming(root: &str) -> String {
    format!("{FILE}\nroot: {root}\n")
}

async fn root_of(lab: &Lab) -> Result<String> {
    let keys = lab.runtime.keys().list().await?;
    Ok(keys.into_iter().find(|key| key.is_root).context("no root")?.fingerprint)
}

async fn problems(lab: &Lab) -> Result<Vec<String>> {
    Ok(lab.runtime.audit_log().verify(&[]).await?.problems)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_another_workspace_is_not_applied() -> Result<()> {
    let lab = Lab::sqlite().await?;
    write(&lab.root(), "outcome.yaml", &naming(&"f".repeat(64)))?;
    let refused = lab.runtime.outcomes().apply(&local(), None).await.unwrap_err();
    ensure!(refused.code() == Code::RootChanged, "{refused}");
    write(&lab.root(), "outcome.yaml", &naming("of this workspace"))?;
    let refused = lab.runtime.outcomes().apply(&local(), None).await.unwrap_err();
    ensure!(refused.code() == Code::ConfigInvalid, "{refused}");
    // Its own is a change like any other that a member signs.
    write(&lab.root(), "outcome.yaml", &naming(&root_of(&lab).await?))?;
    let applied = lab.runtime.outcomes().apply(&local(), None).await?;
    ensure!(applied.gate.is_some(), "{applied:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_of_the_default_branch_counts_and_not_the_checkout() -> Result<()> {
    let (lab, remote) = (Lab::sqlite().await?, tempfile::tempdir()?);
    let (root, at) = (lab.root(), remote.path().to_string_lossy().into_owned());
    git(&root, &["init", "-q", "--bare", "-b", "main", &at])?;
    git(&root, &["remote", "add", "origin", &at])?;
    write(&root, "outcome.yaml", &naming(&root_of(&lab).await?))?;
    commit(&root, "Name the root")?;
    git(&root, &["push", "-q", "origin", "main"])?;
    // Another file lies in the work tree.
    write(&root, "outcome.yaml", &naming(&"f".repeat(64)))?;
    ensure!(problems(&lab).await?.is_empty(), "{:?}", problems(&lab).await?);
    // What the remote serves is of another workspace; the commit here is not asked.
    commit(&root, "Another root")?;
    git(&root, &["push", "-q", "origin", "main"])?;
    git(&root, &["reset", "-q", "--hard", "HEAD~1"])?;
    let found = problems(&lab).await?;
    ensure!(
        found.iter().any(|problem| problem.contains("names root key") && problem.contains("branch `main` of")),
        "{found:?}"
    );
    Ok(())
}
