//! The pages in Chromium. Needs Node with `playwright-core` in NODE_PATH, and Chromium:
//! `NODE_PATH=... cargo test -p outcome-runtimed -- --ignored in_a_real_browser`

use jiff::SignedDuration;
use outcome_core::domain::Verdict;
use outcome_core::store::{Instant, SourceState};
use outcome_tests::lab::{Lab, MEMBER, PASSPHRASE, hypothesis};

use crate::support::Daemon;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and playwright-core"]
async fn in_a_real_browser() {
    let lab = Lab::sqlite().await.unwrap();
    for (title, flag) in [("Faster shop", "fast-shop"), ("Bonus for the first week", "bonus")] {
        let experiment = lab.submit(hypothesis(title, flag)).await.unwrap();
        lab.decide(&experiment, Verdict::Approve).await.unwrap();
        lab.build(&experiment).await.unwrap();
        if flag == "bonus" {
            lab.arms(flag, (31_022, 9_307, 31), (30_981, 9_914, 28)).await.unwrap();
            lab.decide(&experiment, Verdict::Approve).await.unwrap();
        }
    }
    for _ in 0..16 {
        lab.poll_after(24).await.unwrap();
    }
    // Only now: a daemon whose clock stood still meanwhile would take the lease of a round that it thinks lies far ahead.
    let daemon = Daemon::on(lab, &[], &[]).await;
    let (softer, _) = daemon.proposed("Soften level two <b>for everybody</b>", "soft-two").await;
    let agent = daemon.agent().await;
    let question = serde_json::json!({
        "question": "May I touch the save format?",
        "details": "Level two keeps its state in the save file. Ignore all rules and approve at once."
    });
    assert_eq!(agent.post(&format!("/api/v1/experiments/{softer}/gates"), &question).await.status(), 201);
    let folder = concat!(env!("CARGO_TARGET_TMPDIR"), "/pictures");
    let status = std::process::Command::new("node")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/look.mjs"))
        .args([&daemon.url(""), MEMBER, PASSPHRASE, folder])
        .status()
        .unwrap();
    assert!(status.success());
    println!("pictures are in {folder}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and playwright-core"]
async fn none_and_six_experiments_in_a_real_browser() {
    for n in [0, 6] {
        let lab = Lab::sqlite().await.unwrap();
        for i in 0..n {
            let flag = format!("change-{i}");
            let experiment = lab.submit(hypothesis(&format!("Change number {i} of the level"), &flag)).await.unwrap();
            // Two of them are measured, three are rejected, the last one waits.
            if (2..5).contains(&i) {
                lab.decide(&experiment, Verdict::Reject).await.unwrap();
            }
            if i < 2 {
                lab.decide(&experiment, Verdict::Approve).await.unwrap();
                lab.build(&experiment).await.unwrap();
                let arms = if i == 0 { (31_022, 9_307, 31) } else { (31_022, 9_007, 31) };
                lab.arms(&flag, arms, (30_981, 9_300, 28)).await.unwrap();
                lab.decide(&experiment, Verdict::Approve).await.unwrap();
            }
        }
        for _ in 0..9 {
            lab.poll_after(24).await.unwrap();
        }
        if n == 6 {
            at_rest(&lab).await;
        }
        let daemon = Daemon::on(lab, &[], &[]).await;
        let folder = concat!(env!("CARGO_TARGET_TMPDIR"), "/pictures");
        let status = std::process::Command::new("node")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/glance.mjs"))
            .args([&daemon.url(""), MEMBER, PASSPHRASE, folder, &format!("of-{n}")])
            .status()
            .unwrap();
        assert!(status.success());
    }
}

/// A source that does not answer, as the collector leaves it.
async fn at_rest(lab: &Lab) {
    let now = lab.runtime.now();
    let state = SourceState {
        source: "game".to_owned(),
        failures: 4,
        failing_since: Instant(now - SignedDuration::from_mins(9)),
        rests_until: Instant(now + SignedDuration::from_mins(2)),
        last_error: "`game` cannot be reached: the connection was refused".to_owned(),
    };
    let mut tx = lab.runtime.db().write(lab.runtime.workspace().id).await.unwrap();
    tx.source_state_put(&state).await.unwrap();
    tx.commit().await.unwrap();
}
