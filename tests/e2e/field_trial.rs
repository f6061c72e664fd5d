//! Experiments with and without an effect through the built programs: what comes of them is what is stated, and the page tells it.

use std::path::Path;

use anyhow::Result;
use outcome_tests::field_trial::{Kind, Options, Report, page, run};
use outcome_tests::sample;
use pretty_assertions::assert_eq;

/// Six of each, in two weeks with the units of four.
#[tokio::test(flavor = "multi_thread")]
async fn twelve_experiments_end_as_stated() -> Result<()> {
    let n = sample::count(6, 20);
    let seed = sample::seed(1);
    let options = Options { n_aa: n, n_ab: n, n_engine: 400, days: 14, seed, ..Options::default() };
    let report = run(&options, &mut |_| {}).await?;
    assert_eq!(report.all_problems(), Vec::<String>::new(), "seed {seed}: {report:#?}");
    assert_eq!(report.played.len(), 2 * n);
    for played in report.of(Kind::LargeHarm) {
        assert!(played.ending.is_pause() && played.off.is_some_and(|day| day <= 3), "seed {seed}: {played:?}");
    }
    let stated = report.stated.expect("what the launch gate states");
    assert_eq!((stated.harm, stated.guardrail, stated.data), (0.025, 0.05, 0.001));
    Ok(())
}

/// The page is what the committed report says, of a trial of full size in which everything was as stated. `UPDATE=1` writes it anew
/// after its words were changed.
#[test]
fn the_page_tells_the_committed_report() -> Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let report: Report = serde_json::from_str(&std::fs::read_to_string(here.join("fixtures/field_trial.json"))?)?;
    let path = here.join("../docs/statistics/field-trial.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, page(&report))?;
    }
    let written = std::fs::read_to_string(&path)?;
    assert_eq!(page(&report), written);
    assert_eq!(report.all_problems(), Vec::<String>::new());
    let n_aa = report.played.iter().filter(|played| played.kind.is_without_effect()).count();
    assert!(n_aa >= 40 && report.played.len() >= 80, "{n_aa} of {}", report.played.len());
    assert!(report.engine.iter().map(|row| row.runs).sum::<u32>() >= 20_000);
    assert!(written.contains(&format!("--seed {}", report.seed)));
    Ok(())
}
