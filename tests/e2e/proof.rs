//! What was measured explains every verdict: the statistics are replayed from the stored readings, and an independent
//! program recomputes them from a proof pack.

use anyhow::{Result, ensure};
use outcome_tests::lab::Lab;
use serde_json::{Value, json};

use crate::journey::each_lab;

/// Every measured experiment's latest evaluation must follow from its stored readings alone. Returns how many there were.
pub async fn check_paths(lab: &Lab) -> Result<usize> {
    let mut n_measured = 0;
    for experiment in lab.runtime.experiment_list(None, 1000).await? {
        let (Some(mut recorded), Some(running)) = (experiment.current_result, experiment.running) else { continue };
        let path = lab.runtime.experiment_path(experiment.slug.as_str()).await?;
        let Some(last) = path.last() else { anyhow::bail!("`{}` was evaluated and has no path", experiment.slug) };
        let mut replayed = json!(last.evaluated);
        let remembered = replayed.as_object_mut().and_then(|fields| fields.remove("running"));
        for extra in ["polled_at", "n_readings"] {
            recorded.as_object_mut().map(|fields| fields.remove(extra));
        }
        ensure!(replayed == recorded, "`{}`: {}", experiment.slug, first_difference("", &recorded, &replayed));
        ensure!(remembered == Some(running), "`{}` remembers something else", experiment.slug);
        n_measured += 1;
    }
    Ok(n_measured)
}

fn first_difference(path: &str, want: &Value, got: &Value) -> String {
    if let (Value::Object(want), Value::Object(got)) = (want, got)
        && let Some((name, value)) = want.iter().find(|(name, value)| got.get(*name) != Some(value))
    {
        return first_difference(&format!("{path}.{name}"), value, got.get(name).unwrap_or(&Value::Null));
    }
    format!("{path} is {want} in the record and {got} in the replay")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stored_readings_explain_the_latest_evaluation_after_every_poll() -> Result<()> {
    each_lab(async |lab| {
        let experiment = lab.running("Softer level", "soft").await?;
        let steps = [
            ((40, 12, 1), (41, 15, 1), 6),
            ((500, 150, 2), (500, 170, 2), 18),
            ((3000, 900, 12), (3000, 1080, 12), 24),
            // The source restates its past, and goes on.
            ((2500, 750, 12), (2500, 900, 12), 24),
            ((6000, 1800, 20), (6000, 2160, 21), 48),
            ((9000, 2700, 36), (9000, 3240, 36), 24 * 7),
        ];
        for (i, (control, treatment, hours)) in steps.into_iter().enumerate() {
            lab.arms("soft", control, treatment).await?;
            lab.poll_after(hours).await?;
            assert_eq!(check_paths(&lab).await?, 1);
            let path = lab.runtime.experiment_path(&experiment).await?;
            assert_eq!(path.len(), i + 1);
        }
        let epochs: Vec<u32> =
            lab.runtime.experiment_path(&experiment).await?.iter().map(|poll| poll.evaluated.epoch).collect();
        assert_eq!(epochs, [1, 1, 1, 2, 2, 2]);
        Ok(())
    })
    .await
}
