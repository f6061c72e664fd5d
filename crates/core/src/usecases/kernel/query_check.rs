//! Every query that will judge an experiment is tried once on an empty window, before anybody relies on it.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::workspace_file::{reads_by_variant, source};
use crate::config::Config;
use crate::config::vendor::Asked;
use crate::domain::{OutcomeSpec, SignalSpec, Slug, Window};
use crate::error::{Code, Error, Result};
use crate::ports::{ReadError, VariantRequest};
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

async fn check(runtime: &Runtime, config: &Config, signal: &SignalSpec) -> Option<QueryProblem> {
    let problem = |error: Error, is_broken, is_refused| {
        Some(QueryProblem { signal: signal.name.clone(), error, is_broken, is_refused })
    };
    // A connector that cannot be opened (a secret is missing, say) says nothing about the query.
    let source = match source(runtime, config, &signal.source) {
        Ok(source) => source,
        Err(error) => return problem(error, is_unknown(config, signal), false),
    };
    let now = runtime.now();
    let window = Window { from: now, to: now };
    let request = VariantRequest {
        experiment: Slug::from_title("check"),
        flag_key: "check".to_owned(),
        window,
        launched_at: now,
        as_of: now,
    };
    let asking = async {
        if signal.query.level.is_some() || !reads_by_variant(config, signal) {
            about_the_query(source.level(signal, window).await)?;
        }
        if reads_by_variant(config, signal) {
            about_the_query(source.by_variant(signal, &request).await)?;
        }
        Ok(())
    };
    match timeout(LIMIT, asking).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => {
            let is_broken = matches!(error, ReadError::Query { .. } | ReadError::Config { .. });
            let is_refused = matches!(error, ReadError::Unauthorized { .. });
            problem(error.into(), is_broken, is_refused)
        }
        Err(_) => {
            let late = ReadError::Timeout { source_name: signal.source.clone(), limit: LIMIT };
            problem(late.into(), false, false)
        }
    }
}

/// An unknown connector counts: that it is unknown is the finding.
fn is_asked_with_sql(config: &Config, signal: &SignalSpec) -> bool {
    config.connector(&signal.source).is_none_or(|spec| spec.asked == Asked::WithSql)
}

fn is_unknown(config: &Config, signal: &SignalSpec) -> bool {
    config.connector(&signal.source).is_none()
}

/// Over nobody, sums are NULL and rows are missing: only what a query of any window would meet counts.
fn about_the_query<T>(answer: std::result::Result<T, ReadError>) -> std::result::Result<(), ReadError> {
    match answer {
        Ok(_) | Err(ReadError::Shape { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
