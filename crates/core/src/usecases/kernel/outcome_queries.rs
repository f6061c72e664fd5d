//! Trying the queries of what a file declares, before it is applied.

use std::sync::Arc;

use super::file_plan::{OutcomePlan, PlannedAction};
use super::lookup::outcome_named;
use super::query_check::{QueryProblem, check_queries, judging_signals, refuse_broken};
use super::unchecked::{keep_unchecked, unchecked};
use crate::config::Config;
use crate::domain::OutcomeSpec;
use crate::error::Result;
use crate::store::Tx;
use crate::usecases::Runtime;

/// The queries of an outcome that were tried.
pub(in crate::usecases) struct Tried {
    outcome: String,
    /// Names of their signals.
    names: Vec<String>,
    /// Those that could not be tried.
    problems: Vec<QueryProblem>,
}

/// Tries the queries of what will be stored, and again those of what is stored and could not be tried before.
pub(in crate::usecases) async fn try_queries(
    runtime: &Runtime,
    config: &Arc<Config>,
    plans: &[OutcomePlan],
) -> Result<Vec<Tried>> {
    let mut tried = Vec::new();
    for spec in &config.outcomes {
        let Some(plan) = plans.iter().find(|plan| plan.outcome == spec.slug.as_str()) else { continue };
        let is_due = match plan.action {
            PlannedAction::Create | PlannedAction::Change => true,
            PlannedAction::None => is_unchecked(runtime, spec).await?,
            PlannedAction::MissingFromFile => false,
        };
        if !is_due {
            continue;
        }
        let signals = judging_signals(spec);
        let names = signals.iter().map(|signal| signal.name.clone()).collect();
        let problems = check_queries(runtime, config, signals).await?;
        let problems = refuse_broken(problems, &format!("outcome `{}` cannot be applied", spec.slug))?;
        tried.push(Tried { outcome: spec.slug.to_string(), names, problems });
    }
    Ok(tried)
}

async fn is_unchecked(runtime: &Runtime, spec: &OutcomeSpec) -> Result<bool> {
    let mut tx = runtime.read().await?;
    let id = outcome_named(&mut tx, spec.slug.as_str()).await?.id;
    Ok(!unchecked(&mut tx, id.0).await?.is_empty())
}

/// Keeps what could not be tried. Returns it as sentences.
pub(in crate::usecases) async fn keep(runtime: &Runtime, tx: &mut Tx, tried: Vec<Tried>) -> Result<Vec<String>> {
    let mut unchecked = Vec::new();
    for Tried { outcome, names, problems } in tried {
        let id = outcome_named(tx, &outcome).await?.id;
        keep_unchecked(runtime, tx, id.0, &names, &problems).await?;
        unchecked.extend(problems.iter().map(QueryProblem::in_words));
    }
    Ok(unchecked)
}
