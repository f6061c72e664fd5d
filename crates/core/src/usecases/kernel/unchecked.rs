//! Queries that could not be tried because their source did not answer or a secret is missing: kept with the health of their
//! signal, so that `status` names them, until somebody has an answer.
//!
//! Of an outcome they are asked again by the next `apply`, before each launch, and by the polls of its experiments; of an
//! experiment by its next poll.

use uuid::Uuid;

use super::query_check::QueryProblem;
use crate::error::Result;
use crate::store::{Instant, SignalHealth, Tx};
use crate::usecases::Runtime;

/// Keeps which of these signals are unchecked, and forgets it of those that were tried. `names`: all that were to be tried.
pub(in crate::usecases) async fn keep_unchecked(
    runtime: &Runtime,
    tx: &mut Tx,
    subject: Uuid,
    names: &[String],
    problems: &[QueryProblem],
) -> Result<()> {
    for name in names {
        let problem = problems.iter().find(|problem| problem.signal == *name);
        let known = tx.signal_health_get(subject, name).await?;
        let last_error = problem.map(|problem| format!("not checked yet: {}", problem.error));
        let health = match (known, &last_error) {
            // It fails, or is fine already.
            (Some(known), _) if known.failures > 0 || known.last_error == last_error => continue,
            (None, None) => continue,
            (Some(known), _) => SignalHealth { last_error, ..known },
            (None, Some(_)) => SignalHealth {
                signal: name.clone(),
                due_at: Instant(runtime.now()),
                last_ok_at: None,
                failures: 0,
                breaches: 0,
                failing_since: None,
                last_error,
            },
        };
        tx.signal_health_put(subject, &health).await?;
    }
    Ok(())
}

/// What is unchecked, as sentences.
pub(in crate::usecases) async fn unchecked(tx: &mut Tx, subject: Uuid) -> Result<Vec<String>> {
    let health = tx.signal_health_list(subject).await?;
    Ok(health
        .into_iter()
        .filter(|health| health.failures == 0)
        .filter_map(|health| Some(format!("`{}` is {}", health.signal, health.last_error?)))
        .collect())
}
