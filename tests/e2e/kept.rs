//! Hypotheses that get no place: nobody can leave any number of them, and none stays for ever.

use anyhow::{Result, ensure};
use jiff::SignedDuration;
use outcome_core::Code;
use outcome_core::domain::Author;
use outcome_core::usecases::{Submission, Submitted};
use outcome_tests::lab::{Lab, OUTCOME, agent, hypothesis};

use crate::journey::each_lab;

async fn submit(lab: &Lab, first: usize, n: usize) -> outcome_core::Result<Submitted> {
    let hypotheses = (first..first + n).map(|n| hypothesis(&format!("Level {n}"), &format!("level-{n}"))).collect();
    let submission = Submission { outcome: OUTCOME.to_owned(), hypotheses, author: Author::Ai };
    lab.runtime.hypotheses().submit(submission, &agent()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_hypotheses_are_kept_and_for_thirty_days() -> Result<()> {
    each_lab(async |lab| {
        let first = submit(&lab, 0, 20).await?;
        ensure!(first.proposed.len() == 3 && first.kept.len() == 17 && first.rejected.is_empty(), "{first:?}");
        submit(&lab, 20, 20).await?;
        let third = submit(&lab, 40, 20).await?;
        ensure!(third.kept.len() == 3 && third.rejected.len() == 17, "{third:?}");
        let fourth = submit(&lab, 60, 20).await.unwrap_err();
        ensure!(fourth.code() == Code::HypothesisIncomplete && fourth.message().contains("kept already"), "{fourth}");
        ensure!(lab.runtime.experiments().list(None, 1000).await?.len() == 43);

        lab.clock.advance(SignedDuration::from_hours(24 * 31));
        let later = submit(&lab, 80, 20).await?;
        ensure!(later.kept.len() == 20, "{later:?}");
        ensure!(lab.runtime.audit_log().verify(&[]).await?.is_intact);
        Ok(())
    })
    .await
}
