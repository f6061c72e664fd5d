//! A gate that nobody answers: what it is about does not happen.

use anyhow::{Result, ensure};
use outcome_core::Code;
use outcome_core::domain::{ExperimentStatus, GateStatus, Verdict};
use outcome_tests::lab::hypothesis;

use crate::journey::each_lab;

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_nobody_answers_stops_what_it_is_about() -> Result<()> {
    each_lab(async |lab| {
        let experiment = lab.submit(hypothesis("Softer level", "soft")).await?;
        let gate = lab.runtime.experiments().show(&experiment).await?.gates.remove(0);
        let built = lab.submit(hypothesis("Louder level", "loud")).await?;
        lab.decide(&built, Verdict::Approve).await?;
        lab.build(&built).await?;
        let launch = lab.runtime.experiments().show(&built).await?.gates.pop().expect("a launch gate");
        for _ in 0..30 {
            lab.poll_after(24).await?;
        }
        for (gate, experiment, status) in [
            (&gate, &experiment, ExperimentStatus::AwaitingPortfolioGate),
            (&launch, &built, ExperimentStatus::AwaitingLaunchGate),
        ] {
            let view = lab.runtime.gates().show(gate).await?;
            ensure!(view.status == GateStatus::TimedOut, "{gate}: {:?}", view.status);
            ensure!(lab.runtime.experiments().show(experiment).await?.experiment.state.status == status, "{gate}");
        }
        let brief = lab.runtime.builds().brief(&experiment).await.unwrap_err();
        ensure!(brief.code() == Code::Conflict, "{brief}");
        // Nothing was ever written for it.
        ensure!(!lab.root().join("flags.json").exists() || !lab.is_on("loud")?, "the flag went on");
        // Late is not never: it still waits for a member, and for nobody else.
        lab.decide(&experiment, Verdict::Approve).await?;
        ensure!(lab.runtime.audit_log().verify(&[]).await?.is_intact);
        Ok(())
    })
    .await
}
