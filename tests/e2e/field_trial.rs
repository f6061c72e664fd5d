//! Experiments with and without an effect through the built programs: what comes of them is what is stated, and the page tells it.

use std::path::Path;

use anyhow::Result;
use outcome_tests::field_trial::{Group, Kind, Measured, Options, Report, page, run};
use outcome_tests::sample;
use pretty_assertions::assert_eq;

/// Five of each, by queries and by metrics, in three weeks with the units of four.
#[tokio::test(flavor = "multi_thread")]
async fn ten_experiments_end_as_stated() -> Result<()> {
    let n = sample::count(5, 20);
    let seed = sample::seed(1);
    let options = Options { n_aa: n, n_ab: n, n_engine: 400, days: 21, seed, ..Options::default() };
    let report = run(&options, &mut |_| {}).await?;
    assert_eq!(report.all_problems(), Vec::<String>::new(), "seed {seed}: {report:#?}");
    assert_eq!(report.played.len(), 2 * n);
    for played in report.of(Kind::LargeHarm) {
        assert!(played.ending.is_pause() && played.off.is_some_and(|day| day <= 3), "seed {seed}: {played:?}");
    }
    for group in Group::ALL {
        let stated = report.stated_to(group).expect("what the launch gates state");
        assert_eq!((stated.harm, stated.guardrail, stated.data), (0.025, 0.05, 0.001));
    }
    for played in report.of_group(Group::Contract) {
        let units = played.units.expect("the units of a metric");
        // Three days and six hours after the first ones came, the first ones count.
        assert!(played.n_compared + 4 >= played.day, "seed {seed}: {played:?}");
        // Six in a thousand have a second identity.
        assert!(units.both > 0 || units.all < 2000, "seed {seed}: {played:?}");
        assert!(100 * units.both < units.all || played.kind == Kind::BothArms, "seed {seed}: {played:?}");
        // Windows that a ramp cuts make units that are not whole, and nothing else does.
        let is_cut = units.first_step_whole < units.first_step;
        assert_eq!(played.ramp.is_some(), is_cut, "seed {seed}: {played:?}");
    }
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
    let by_metric = report.of_group(Group::Contract).count();
    assert!(2 * by_metric >= report.played.len(), "{by_metric} of {} have a metric", report.played.len());
    for measured in Measured::ALL {
        assert!(report.played.iter().any(|played| played.measured == measured), "none has {measured:?}");
    }
    assert!(
        report.played.iter().filter(|played| played.ramp.is_some()).count() >= 4,
        "users who come back after a ramp"
    );
    assert!(report.engine.iter().map(|row| row.runs).sum::<u32>() >= 20_000);
    assert!(written.contains(&format!("--seed {}", report.seed)));
    Ok(())
}
