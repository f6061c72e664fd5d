//! Every query that will judge an experiment is tried once on an empty window, before anybody relies on it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::workspace_file::{reads_by_variant, source};
use crate::config::Config;
use crate::config::vendor::Asked;
use crate::domain::{OutcomeSpec, SignalSpec, Slug, Window};
use crate::error::{Code, Error, Result};
use crate::ports::{QueryKind, ReadError, SignalSource, VariantRequest};
use crate::usecases::Runtime;

/// How long a source has to answer about an empty window.
const LIMIT: Duration = Duration::from_secs(10);

/// A query that could not be tried, or that cannot run.
#[derive(Debug)]
pub(in crate::usecases) struct QueryProblem {
    /// Name of the signal.
    pub(in crate::usecases) signal: String,
    /// Why.
    pub(in crate::usecases) error: Error,
    /// The query cannot run; otherwise nobody knows yet, because the source did not answer.
    pub(in crate::usecases) is_broken: bool,
    /// The source refused the user or the table.
    pub(in crate::usecases) is_refused: bool,
}

impl QueryProblem {
    /// A sentence for a list.
    pub(in crate::usecases) fn in_words(&self) -> String {
        format!("`{}` is not checked yet: {}", self.signal, self.error)
    }
}

/// The signals that an outcome and its experiments are judged by.
pub(in crate::usecases) fn judging_signals(spec: &OutcomeSpec) -> Vec<SignalSpec> {
    let guards = spec.guardrails().map(|(signal, ..)| signal);
    std::iter::once(&spec.signal).chain(&spec.secondary_signals).chain(guards).cloned().collect()
}

/// Tries the queries of these signals side by side. Sources that are asked by name or that push have none.
pub(in crate::usecases) async fn check_queries(
    runtime: &Runtime,
    config: &Arc<Config>,
    signals: Vec<SignalSpec>,
) -> Result<Vec<QueryProblem>> {
    let mut asked = JoinSet::new();
    for (position, signal) in signals.into_iter().enumerate() {
        if !is_asked_with_sql(config, &signal) {
            continue;
        }
        let (runtime, config) = (runtime.clone(), Arc::clone(config));
        asked.spawn(async move { (position, check(&runtime, &config, &signal).await) });
    }
    let mut found = Vec::new();
    while let Some(answer) = asked.join_next().await {
        let (position, problem) =
            answer.map_err(|e| Error::new(Code::Internal, "trying a query ended early").because(e))?;
        found.extend(problem.map(|problem| (position, problem)));
    }
    found.sort_by_key(|(position, _)| *position);
    Ok(found.into_iter().map(|(_, problem)| problem).collect())
}

/// The first query that cannot run, as an error that says what cannot go on because of it.
///
/// # Errors
/// That one.
pub(in crate::usecases) fn refuse_broken(problems: Vec<QueryProblem>, what: &str) -> Result<Vec<QueryProblem>> {
    match problems.iter().position(|problem| problem.is_broken) {
        None => Ok(problems),
        Some(first) => {
            let mut problems = problems;
            let QueryProblem { error, .. } = problems.swap_remove(first);
            let hint = error.hint_text().unwrap_or("correct the query in the outcome file").to_owned();
            Err(Error::new(error.code(), format!("{what}: {}", error.message())).hint(hint))
        }
    }
}

/// The first problem of a signal's queries.
async fn check(runtime: &Runtime, config: &Config, signal: &SignalSpec) -> Option<QueryProblem> {
    let problem = |error: Error, is_broken, is_refused| {
        Some(QueryProblem { signal: signal.name.clone(), error, is_broken, is_refused })
    };
    // A connector that cannot be opened (a secret is missing, say) says nothing about the query.
    let source = match source(runtime, config, &signal.source).await {
        Ok(source) => source,
        Err(error) => return problem(error, config.connector(&signal.source).is_none(), false),
    };
    for query in queries(config, signal) {
        if let Err(error) = try_query(&*source, signal, query, runtime.now()).await.answer {
            let (is_broken, is_refused) = (cannot_run(&error), matches!(error, ReadError::Unauthorized { .. }));
            return problem(error.into(), is_broken, is_refused);
        }
    }
    // Where it takes too long, nothing is known.
    match timeout(LIMIT, source.fits(signal)).await {
        Ok(Err(error)) => problem_of_fit(error).and_then(|error| problem(error.into(), true, false)),
        Ok(Ok(())) | Err(_) => None,
    }
}

/// Only what was found counts: the queries themselves were answered already.
fn problem_of_fit(error: ReadError) -> Option<ReadError> {
    matches!(error, ReadError::Config { .. }).then_some(error)
}

/// Whether the query itself is at fault; otherwise its source did not answer.
pub(in crate::usecases) fn cannot_run(error: &ReadError) -> bool {
    matches!(error, ReadError::Query { .. } | ReadError::Config { .. })
}

/// The queries of a signal that its source is asked with. A signal without any is asked for its level, which says what is missing.
pub(in crate::usecases) fn queries(config: &Config, signal: &SignalSpec) -> Vec<QueryKind> {
    let by_variant = reads_by_variant(config, signal);
    let level = signal.has_level() || !by_variant;
    [(level, QueryKind::Level), (by_variant, QueryKind::ByVariant)]
        .into_iter()
        .filter_map(|(is_asked, query)| is_asked.then_some(query))
        .collect()
}

/// What a source said about a query over nobody.
pub(in crate::usecases) struct Tried {
    /// How long it took.
    pub(in crate::usecases) took: Duration,
    /// Whether the query can run.
    pub(in crate::usecases) answer: std::result::Result<(), ReadError>,
}

/// Runs a query once on an empty window.
pub(in crate::usecases) async fn try_query(
    source: &dyn SignalSource,
    signal: &SignalSpec,
    query: QueryKind,
    now: Timestamp,
) -> Tried {
    let window = Window { from: now, to: now };
    let began = Instant::now();
    let asking = async {
        match query {
            QueryKind::Level => about_the_query(source.level(signal, window).await),
            QueryKind::ByVariant => {
                let request = VariantRequest {
                    on_until: None,
                    experiment: Slug::from_title("check"),
                    flag_key: "check".to_owned(),
                    window,
                    launched_at: now,
                    as_of: now,
                };
                about_the_query(source.by_variant(signal, &request).await)
            }
        }
    };
    let late = || ReadError::Timeout {
        source_name: signal.source.clone(),
        limit: LIMIT,
        hint: format!(
            "`outcome-runtime connectors test {}` shows the query plan: add an index or read a smaller table",
            signal.source
        ),
    };
    let answer = timeout(LIMIT, asking).await.unwrap_or_else(|_| Err(late()));
    Tried { took: began.elapsed(), answer }
}

/// An unknown connector counts: that it is unknown is the finding.
fn is_asked_with_sql(config: &Config, signal: &SignalSpec) -> bool {
    config.connector(&signal.source).is_none_or(|spec| spec.asked == Asked::WithSql)
}

/// Over nobody, sums are NULL and rows are missing: only what a query of any window would meet counts.
fn about_the_query<T>(answer: std::result::Result<T, ReadError>) -> std::result::Result<(), ReadError> {
    match answer {
        Ok(_) | Err(ReadError::Shape { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
