//! Storing a new experiment.

use super::digest::digest;
use super::event::new_event;
use super::flag_owner::free_flag_key;
use crate::audit::EventKind;
use crate::audit::replay::ExperimentCreated;
use crate::domain::{Author, Experiment, Hypothesis, Outcome, Slug};
use crate::error::{Code, Error, Result};
use crate::ids::ExperimentId;
use crate::principal::Principal;
use crate::store::Tx;
use crate::usecases::Runtime;

/// Stores a new experiment with its first log line.
pub(in crate::usecases) async fn store_experiment(
    runtime: &Runtime,
    tx: &mut Tx,
    experiment: &Experiment,
    by: &Principal,
) -> Result<()> {
    let hypothesis_hash = digest(&experiment.hypothesis)?;
    tx.experiment_insert(experiment, &hypothesis_hash).await?;
    let created = ExperimentCreated { state: experiment.state.clone(), hypothesis_hash, outcome: experiment.outcome };
    tx.event_append(new_event(EventKind::ExperimentCreated, experiment.id.into(), by, &created)?, runtime.now())
        .await?;
    Ok(())
}

/// Stores a copy of an experiment's hypothesis as a draft that names it as its parent.
pub(super) async fn draft_successor(
    runtime: &Runtime,
    tx: &mut Tx,
    outcome: &Outcome,
    parent: &Experiment,
    by: &Principal,
) -> Result<()> {
    let id = runtime.ids.next::<ExperimentId>();
    let slug = free_experiment_slug(tx, &parent.slug).await?;
    // The parent's flag stays the parent's: whoever saw its treatment would be counted again.
    let flag_key = free_flag_key(tx, &parent.hypothesis.flag_key).await?;
    let hypothesis = Hypothesis { flag_key, ..parent.hypothesis.clone().for_design(outcome.spec.design) };
    let draft = Experiment::draft(id, slug, outcome.id, hypothesis, by.clone(), runtime.now());
    let successor =
        Experiment { author: Author::Hybrid, score: parent.score.clone(), parent: Some(parent.id), ..draft };
    store_experiment(runtime, tx, &successor, by).await
}

/// A slug that no experiment has: the wanted one, or with a number behind it.
pub(in crate::usecases) async fn free_experiment_slug(tx: &mut Tx, wanted: &Slug) -> Result<Slug> {
    if !tx.experiment_slug_taken(wanted).await? {
        return Ok(wanted.clone());
    }
    for number in 2..10_000 {
        let slug = wanted.numbered(number);
        if !tx.experiment_slug_taken(&slug).await? {
            return Ok(slug);
        }
    }
    Err(Error::new(Code::Conflict, format!("too many experiments have the name `{wanted}`"))
        .hint("choose another title"))
}
