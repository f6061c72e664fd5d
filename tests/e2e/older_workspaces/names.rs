//! Members of before: their certificates hold the e-mail, and what they are called is committed to with their next key.

use anyhow::{Context as _, Result, ensure};

use super::each_workspace;
use super::opened::{MEMBER, Opened};

async fn is_intact(opened: &Opened) -> Result<()> {
    let found = opened.cli.json(&["audit", "verify"])?;
    ensure!(found["is_intact"] == true, "{found}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_of_before_is_committed_to_with_their_next_key() -> Result<()> {
    each_workspace(async |_, opened| {
        let of_row = "SELECT email FROM member WHERE email IS NOT NULL";
        ensure!(opened.column(of_row).await? == [MEMBER]);
        ensure!(opened.column("SELECT email FROM member_opening").await?.is_empty());
        opened.cli.exchanged_key()?;
        ensure!(opened.column(of_row).await?.is_empty(), "the row of before is not emptied");
        ensure!(opened.column("SELECT email FROM member_opening").await? == [MEMBER]);
        let newest = "SELECT certificate FROM member_key ORDER BY created_at DESC LIMIT 1";
        let newest = opened.column(newest).await?.pop().context("no key")?;
        ensure!(!newest.contains(MEMBER) && newest.contains("commitments"), "{newest}");
        ensure!(opened.cli.json(&["key", "list"])?[0]["member"] == MEMBER);
        is_intact(&opened).await?;

        // Whoever renames them is found by what the certificate of before says, and by what the new one commits to.
        opened.raw("UPDATE member_opening SET name = 'Mallory'").await?;
        ensure!(opened.cli.run(&["audit", "verify"]).is_err());
        opened.raw("UPDATE member_opening SET name = 'Dana'").await?;
        is_intact(&opened).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_of_before_is_removed_and_what_they_decided_verifies() -> Result<()> {
    each_workspace(async |_, opened| {
        let said = opened.cli.signed(&["member", "forget", MEMBER, "--even-the-last"])?;
        ensure!(said.contains("older lines still hold the e-mail"), "{said}");
        ensure!(
            opened.column("SELECT email FROM member WHERE email IS NOT NULL OR name IS NOT NULL").await?.is_empty()
        );
        let listed = opened.cli.json(&["key", "list"])?;
        ensure!(listed[0]["member"].as_str().is_some_and(|shown| shown.starts_with("a removed member (")), "{listed}");
        is_intact(&opened).await?;
        // Gates of before name their holder by the e-mail, which their certificate of before says.
        let gates = opened.cli.json(&["gate", "list"])?;
        let gate = gates.as_array().into_iter().flatten().find(|gate| gate["context"]["experiment"] == "waiting-form");
        let gate = gate.and_then(|gate| gate["gate"].as_str()).context("no gate")?;
        opened.decide(gate, "approve", &[])?;
        opened.cli.exchanged_key()?;
        is_intact(&opened).await
    })
    .await
}
