//! Queries of the user's own: what they say about their units, and experiments that they do not tell apart.

use anyhow::{Context as _, Result, ensure};
use outcome_core::Code;
use outcome_core::domain::{EvidenceGrade, Hypothesis, Verdict};
use outcome_core::usecases::{BuildReport, RecomputeRequest};
use outcome_tests::lab::{FILE, Lab, agent, commit, git, hypothesis, local, unlock, write};
use serde_json::Value;

use crate::journey::{each_lab, each_lab_declaring};
use crate::proof::check_packs;

const QUERY: &str = "SELECT variant, n, n AS n_units, successes FROM arms";

/// The laboratory's file, whose primary query has these columns.
fn file(columns: &str) -> String {
    FILE.replace(QUERY, &format!("SELECT variant, {columns}, successes FROM arms"))
}

/// From a hypothesis to running, with a change of its own folder.
async fn launch(lab: &Lab, title: &str, flag: &str) -> Result<String> {
    launch_planned(lab, hypothesis(title, flag)).await
}

/// The same of a hypothesis of one's own.
pub async fn launch_planned(lab: &Lab, planned: Hypothesis) -> Result<String> {
    let flag = planned.flag_key.clone();
    let (flag, title) = (flag.as_str(), planned.title.clone());
    let slug = lab.submit(planned).await?;
    lab.decide(&slug, Verdict::Approve).await?;
    let root = lab.root();
    git(&root, &["checkout", "-q", "-B", flag, "main"])?;
    write(&root, &format!("game/{flag}/level.txt"), &format!("behind {flag}\n"))?;
    let head = commit(&root, &title)?;
    git(&root, &["checkout", "-q", "main"])?;
    let report = BuildReport {
        experiment: slug.clone(),
        summary: "built".to_owned(),
        head: Some(head),
        ..BuildReport::default()
    };
    lab.runtime.builds().report(report, &agent()).await?;
    lab.decide(&slug, Verdict::Approve).await?;
    Ok(slug)
}

/// What is kept of the last poll.
pub async fn result(lab: &Lab, experiment: &str) -> Result<Value> {
    let shown = lab.runtime.experiments().show(experiment).await?.experiment;
    Ok(shown.current_result.map_or(Value::Null, |result| result.json().clone()))
}

/// Codes of the findings, and the first one's words.
fn findings(result: &Value) -> (Vec<&str>, &str) {
    let all = result["health"].as_array().map_or(&[][..], Vec::as_slice);
    let codes = all.iter().filter_map(|finding| finding["code"].as_str()).collect();
    (codes, all.first().and_then(|finding| finding["message"].as_str()).unwrap_or(""))
}

/// A clear winner, ten days after its launch; what is made of it.
async fn judged(lab: &Lab) -> Result<(String, Value)> {
    let experiment = lab.running("Softer level", "soft").await?;
    lab.arms("soft", (9000, 2700, 36), (9000, 3240, 36)).await?;
    lab.poll_after(24 * 10).await?;
    let found = result(lab, &experiment).await?;
    let check = RecomputeRequest { is_check: true, ..RecomputeRequest::default() };
    let again = lab.runtime.audit_log().recompute(&check, &local()).await?;
    ensure!(again.changes.is_empty() && again.failures.is_empty(), "{again:?}");
    check_packs(lab).await?;
    Ok((experiment, found))
}

#[tokio::test(flavor = "multi_thread")]
async fn units_that_a_query_counted_as_such_are_of_grade_a() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let (_, found) = judged(&lab).await?;
    ensure!((&found["verdict"]["decision"], &found["grade"]) == (&"ship".into(), &"A".into()), "{found}");
    ensure!(findings(&found).0.is_empty(), "{found}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_counted_as_units_forbid_claims_and_both_numbers_are_named() -> Result<()> {
    each_lab_declaring(&file("n, n / 8 AS n_units"), async |lab| {
        let (_, found) = judged(&lab).await?;
        let (codes, words) = findings(&found);
        ensure!(codes == ["rows_counted_as_units"], "{found}");
        ensure!(words.contains("18,000") && words.contains("2,250"), "{words}");
        ensure!(found["verdict"]["decision"] == "hold_data_quality" && found["grade"] == "D", "{found}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_constraint_that_counts_rows_forbids_claims_too() -> Result<()> {
    let file = FILE.replace("n AS n_units, crashes AS successes", "n / 3 AS n_units, crashes AS successes");
    let lab = Lab::declaring(None, &file).await?;
    let (_, found) = judged(&lab).await?;
    let (codes, words) = findings(&found);
    ensure!(codes == ["rows_counted_as_units"] && words.contains("18,000") && words.contains("6,000"), "{found}");
    ensure!(found["verdict"]["decision"] == "hold_data_quality", "{found}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn units_that_nobody_checked_are_of_grade_b_at_most() -> Result<()> {
    each_lab_declaring(&file("n"), async |lab| {
        let (experiment, found) = judged(&lab).await?;
        ensure!(findings(&found).0 == ["units_unchecked"], "{found}");
        ensure!((&found["verdict"]["decision"], &found["grade"]) == (&"ship".into(), &"B".into()), "{found}");
        lab.decide(&experiment, Verdict::Ship).await?;
        lab.decide(&experiment, Verdict::Approve).await?;
        let learnings = lab.runtime.learnings().search("softer", None, 5, 0).await?;
        ensure!(learnings.first().is_some_and(|learning| learning.grade == EvidenceGrade::B), "{learnings:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn units_of_both_arms_lower_the_grade_and_many_of_them_forbid_claims() -> Result<()> {
    for (share, code, decision, grade) in [
        (0.009, None, "ship", "A"),
        (0.02, Some("both_arms"), "ship", "B"),
        (0.06, Some("both_arms_often"), "hold_data_quality", "D"),
    ] {
        // The same number in each row.
        let lab = Lab::declaring(None, &file(&format!("n, n AS n_units, cast(18000 * {share} AS integer) AS n_both")))
            .await?;
        let (_, found) = judged(&lab).await?;
        ensure!(findings(&found).0 == code.into_iter().collect::<Vec<_>>(), "{share}: {found}");
        ensure!(
            (&found["verdict"]["decision"], &found["grade"]) == (&decision.into(), &grade.into()),
            "{share}: {found}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_running_experiments_with_the_same_numbers_are_named_to_each_other() -> Result<()> {
    each_lab(async |lab| {
        let (first, second) = (launch(&lab, "First", "first").await?, launch(&lab, "Second", "second").await?);
        // A few units may be the same by chance.
        for flag in ["first", "second"] {
            lab.arms(flag, (40, 12, 0), (40, 14, 0)).await?;
        }
        lab.poll_after(6).await?;
        for experiment in [&first, &second] {
            ensure!(findings(&result(&lab, experiment).await?).0.is_empty(), "{experiment}");
        }
        for hours in [24, 24 * 9] {
            for flag in ["first", "second"] {
                let more = 1 + hours / 24;
                lab.arms(flag, (900 * more, 270 * more, 3), (900 * more, 324 * more, 3)).await?;
            }
            lab.poll_after(hours).await?;
        }
        for (experiment, other) in [(&first, &second), (&second, &first)] {
            let found = result(&lab, experiment).await?;
            let (codes, words) = findings(&found);
            ensure!(codes == ["numbers_of_another"] && words.contains(&format!("`{other}`")), "{experiment}: {found}");
            ensure!(found["verdict"]["decision"] == "hold_data_quality", "{experiment}: {found}");
        }
        check_packs(&lab).await?;
        // Once they differ, each is judged by its own.
        for more in 1..=2 {
            lab.arms("second", (9900 + more, 2970, 33), (9900, 2970, 33)).await?;
            lab.poll_after(6).await?;
        }
        let found = result(&lab, &second).await?;
        ensure!(findings(&found).0.is_empty(), "{found}");
        let verified = lab.runtime.audit_log().verify(&[]).await?;
        ensure!(verified.problems.is_empty(), "{:?}", verified.problems);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_does_not_tell_experiments_apart_is_not_applied() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let mixed = FILE.replace(&format!("{QUERY} WHERE flag = :flag AND"), &format!("{QUERY} WHERE"));
    ensure!(mixed != FILE, "the query is another one now");
    write(&lab.root(), "outcome.yaml", &mixed)?;
    let refused = lab.runtime.outcomes().apply(&local(), Some(&unlock())).await.err().context("it was applied")?;
    ensure!(refused.code() == Code::ConfigInvalid && refused.message().contains(":flag"), "{refused}");
    write(&lab.root(), "outcome.yaml", &mixed.replace("max_concurrent: 3", "max_concurrent: 1"))?;
    lab.runtime.outcomes().apply(&local(), Some(&unlock())).await?;
    Ok(())
}
