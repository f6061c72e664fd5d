//! Verifying goes on from what the same process verified before.

use anyhow::{Result, ensure};
use outcome_core::domain::Verdict;
use outcome_core::usecases::Verified;
use outcome_tests::lab::hypothesis;

use crate::journey::each_lab;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_added_is_verified_and_what_was_cut_or_changed_is_found() -> Result<()> {
    each_lab(async |lab| {
        let mut verified = Verified::default();
        let experiment = lab.running("Louder level", "loud").await?;
        lab.arms("loud", (1200, 360, 6), (1200, 380, 7)).await?;
        lab.poll_after(6).await?;
        let first = lab.runtime.audit_log().verify_on(&mut verified, &[]).await?;
        ensure!(first.is_intact, "{first:?}");
        lab.poll_after(6).await?;
        lab.act(&experiment, Verdict::Kill).await?;
        let second = lab.runtime.audit_log().verify_on(&mut verified, &[]).await?;
        let whole = lab.runtime.audit_log().verify(&[]).await?;
        ensure!(second.is_intact && second.n_lines > first.n_lines, "{second:?}");
        ensure!((second.n_lines, &second.head) == (whole.n_lines, &whole.head));
        // A reading that is new since then, and a row of before.
        lab.submit(hypothesis("Another", "another")).await?;
        lab.raw("UPDATE learning SET finding = 'forged'").await?;
        let third = lab.runtime.audit_log().verify_on(&mut verified, &[]).await?;
        ensure!(third.problems.iter().any(|problem| problem.contains("of learning was written past")), "{third:?}");
        Ok(())
    })
    .await?;
    each_lab(async |lab| {
        let mut verified = Verified::default();
        lab.submit(hypothesis("One", "one")).await?;
        ensure!(lab.runtime.audit_log().verify_on(&mut verified, &[]).await?.is_intact);
        // The line that was verified last is another one now: everything is read again.
        lab.raw("UPDATE event SET payload = '{}' WHERE seq = 2").await?;
        let (seq, _) = lab.runtime.db().read(lab.runtime.workspace().id).await?.log_head().await?;
        lab.raw(&format!("UPDATE event SET hash = prev WHERE seq = {seq}")).await?;
        let found = lab.runtime.audit_log().verify_on(&mut verified, &[]).await?;
        ensure!(found.problems.iter().any(|problem| problem.contains("line 2 ")), "{found:?}");
        Ok(())
    })
    .await
}
