//! Every query that will judge an experiment is tried before anybody relies on it, and again where nobody had an answer.

use anyhow::{Context as _, Result, ensure};
use outcome_core::Code;
use outcome_core::domain::Verdict;
use outcome_core::usecases::{QueryState, SignalRole};
use outcome_tests::lab::{FILE, Lab, hypothesis, write};
use pretty_assertions::assert_eq;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

const BY_VARIANT: &str =
    "SELECT variant, n, n AS n_units, crashes AS successes FROM arms WHERE flag = :flag AND :from < :to";

#[tokio::test(flavor = "multi_thread")]
async fn testing_a_connector_tries_every_query_and_says_whether_an_index_helps() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let found = lab.runtime.signals().connector_test("game", None).await?;
    ensure!(found.problem.is_none() && found.source.is_some_and(|source| source.is_read_only));
    let queries: Vec<_> = found
        .queries
        .iter()
        .map(|query| (query.signal.as_str(), query.role, query.query.as_str(), query.state, query.index.as_deref()))
        .collect();
    assert_eq!(
        queries,
        [
            ("came_back", SignalRole::Primary, "level", QueryState::Ok, Some("reads no table")),
            ("came_back", SignalRole::Primary, "by_variant", QueryState::Ok, Some("uses an index")),
            ("crashes", SignalRole::Constraint, "by_variant", QueryState::Ok, Some("uses an index")),
        ]
    );
    let is_told = |query: &outcome_core::usecases::QueryReport| {
        query.seconds.is_some_and(|seconds| seconds < 10.0)
            && query.plan.as_ref().is_some_and(|plan| !plan.lines.is_empty())
    };
    ensure!(found.queries.iter().all(is_told), "{:?}", found.queries);

    // One broken query is named, and the others are tried all the same.
    let broken = FILE
        .replace(BY_VARIANT, "SELECT variant, n, crashed AS successes FROM arms WHERE flag = :flag AND :from < :to");
    write(&lab.root(), "outcome.yaml", &broken)?;
    let found = lab.runtime.signals().connector_test("game", None).await?;
    let refused = found.refused().context("nothing is refused")?;
    let problem = refused.problem.as_ref().context("no reason")?;
    ensure!(refused.signal == "crashes" && problem.message.contains("no such column: crashed"), "{refused:?}");
    assert_eq!(problem.kind, Code::SignalFetchFailed);
    assert_eq!(found.queries.iter().filter(|query| query.state == QueryState::Ok).count(), 2);

    // Nobody knows what a database would say that is not there, or whose address is a secret that is missing.
    for url in ["sqlite:gone.db", "${OUTCOME_TEST_NO_SUCH_SECRET}"] {
        write(&lab.root(), "outcome.yaml", &FILE.replace("sqlite:game.db", url))?;
        if url.starts_with("${") {
            // A secret goes nowhere that nobody approved.
            let refused = lab.runtime.signals().connector_test("game", None).await.unwrap_err();
            assert_eq!(refused.code(), Code::PassphraseNeeded);
        }
        let unlock = outcome_tests::lab::unlock();
        let found = lab.runtime.signals().connector_test("game", Some(&unlock)).await?;
        ensure!(found.problem.is_some() && found.refused().is_none(), "{url}: {found:?}");
        assert_eq!(found.queries.iter().filter(|query| query.state == QueryState::Unchecked).count(), 3, "{url}");
    }
    let unknown = lab.runtime.signals().connector_test("nope", None).await.unwrap_err();
    assert_eq!(unknown.code(), Code::ConnectorUnknown);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_nobody_could_try_is_named_and_asked_again() -> Result<()> {
    let late = "  - { name: late, type: sql, config: { url: \"sqlite:late.db\" } }\nfeature_flags:";
    let file = FILE
        .replace("signal: crashes\n        source: game", "signal: crashes\n        source: late")
        .replace("feature_flags:", late);
    ensure!(file.contains("source: late"), "the fixture has changed");
    let lab = Lab::declaring(None, &file).await?;
    let human = outcome_tests::lab::local();
    let unchecked = async || -> Result<Vec<String>> {
        Ok(lab.runtime.workspaces().status(false).await?.outcomes.remove(0).unchecked)
    };
    // Nothing changed, and it is asked again.
    let applied = lab.runtime.outcomes().apply(&human, Some(&outcome_tests::lab::unlock())).await?;
    ensure!(
        matches!(applied.unchecked.as_slice(), [one] if one.contains("`crashes` is not checked yet")),
        "{applied:?}"
    );
    let named = unchecked().await?;
    ensure!(matches!(named.as_slice(), [one] if one.contains("`crashes` is not checked yet")), "{named:?}");

    // It does not keep anybody from launching, and it is said there too.
    let experiment = lab.submit(hypothesis("Softer level", "soft")).await?;
    lab.decide(&experiment, Verdict::Approve).await?;
    lab.build(&experiment).await?;
    let decided = lab.decide(&experiment, Verdict::Approve).await?;
    ensure!(decided.unchecked.iter().any(|one| one.contains("`crashes`")), "{decided:?}");
    let health = async || -> Result<Vec<String>> {
        let mut outcome = lab.runtime.workspaces().status(false).await?.outcomes.remove(0);
        Ok(outcome.experiments.remove(0).health)
    };
    ensure!(health().await?.iter().any(|one| one.contains("`crashes`: not checked yet")), "{:?}", health().await?);

    // The next poll asks, and then it is a failure like any other.
    let failures = lab.poll_after(1).await?.failures;
    ensure!(failures.iter().any(|failure| failure.contains("`crashes`")), "{failures:?}");
    ensure!(health().await?.iter().any(|one| one.contains("`crashes` failed 1 times")), "{:?}", health().await?);

    // The source is there: both the next poll and the next `apply` have their answer.
    let path = lab.root().join("late.db");
    let mut source =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&path).create_if_missing(true)).await?;
    sqlx::raw_sql("CREATE TABLE arms (flag TEXT, variant TEXT, n INTEGER, crashes INTEGER)")
        .execute(&mut source)
        .await?;
    lab.poll_after(1).await?;
    ensure!(!health().await?.iter().any(|one| one.contains("`crashes`")), "{:?}", health().await?);
    assert_eq!(unchecked().await?, Vec::<String>::new());
    assert_eq!(
        lab.runtime.outcomes().apply(&human, Some(&outcome_tests::lab::unlock())).await?.unchecked,
        Vec::<String>::new()
    );
    Ok(())
}
