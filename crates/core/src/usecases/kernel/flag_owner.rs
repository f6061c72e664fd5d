//! A flag key belongs to one experiment for ever: the exposures of another one would be counted as its own.

use crate::domain::Experiment;
use crate::error::{Code, Error, Result};
use crate::ids::ExperimentId;
use crate::store::{FlagOwner, Tx};

/// What is wrong with a key that belongs to another experiment than `of`, as the end of a sentence about it.
pub(in crate::usecases) async fn flag_problem(
    tx: &mut Tx,
    key: &str,
    of: Option<ExperimentId>,
) -> Result<Option<String>> {
    let owner = tx.experiment_flag_owner(key, of, FlagOwner::Used).await?;
    Ok(owner.map(|owner| {
        format!(
            "is `{key}`, which belongs to `{owner}` for ever, also after its end: units that saw its treatment would be counted here. \
             Choose a key that no experiment has had"
        )
    }))
}

/// Nobody proposes an experiment with the flag of another one, nor with one that another proposal waits with.
///
/// # Errors
/// [`Code::Conflict`] with whose it is.
pub(super) async fn require_unproposed_flag(tx: &mut Tx, experiment: &Experiment) -> Result<()> {
    require_free_flag(tx, experiment).await?;
    let key = &experiment.hypothesis.flag_key;
    match tx.experiment_flag_owner(key, Some(experiment.id), FlagOwner::Proposed).await? {
        None => Ok(()),
        Some(other) => {
            let message =
                format!("the `flag_key` of `{}` is `{key}`, which `{other}` waits with at its gate", experiment.slug);
            Err(Error::new(Code::Conflict, message)
                .hint("decide that one first, or submit the hypothesis with another `flag_key`"))
        }
    }
}

/// Nobody approves an experiment with the flag of another one.
///
/// # Errors
/// [`Code::Conflict`] with whose it is.
pub(super) async fn require_free_flag(tx: &mut Tx, experiment: &Experiment) -> Result<()> {
    match flag_problem(tx, &experiment.hypothesis.flag_key, Some(experiment.id)).await? {
        None => Ok(()),
        Some(problem) => Err(Error::new(Code::Conflict, format!("the `flag_key` of `{}` {problem}", experiment.slug))
            .hint("submit the hypothesis again with another `flag_key`")),
    }
}

/// Nobody guards what another experiment owns. One that was let go can be guarded again: its flag was never the runtime's.
///
/// # Errors
/// [`Code::Conflict`] with whose it is.
pub(super) async fn require_attachable_flag(tx: &mut Tx, experiment: &Experiment) -> Result<()> {
    let key = &experiment.hypothesis.flag_key;
    match tx.experiment_flag_owner(key, Some(experiment.id), FlagOwner::Held).await? {
        None => Ok(()),
        Some(owner) => {
            Err(Error::new(Code::Conflict, format!("the flag `{key}` belongs to `{owner}` here")).hint(format!(
                "`outcome-runtime experiment show {owner}` says where it stands; one experiment guards or runs a flag"
            )))
        }
    }
}

/// A key that no experiment has: the wanted one with a number behind it.
pub(super) async fn free_flag_key(tx: &mut Tx, wanted: &str) -> Result<String> {
    let stem = wanted.rsplit_once('-').filter(|(_, end)| end.parse::<u32>().is_ok()).map_or(wanted, |(stem, _)| stem);
    // A key has room for 100 characters.
    let stem = stem.get(..94).unwrap_or(stem);
    for number in 2..10_000 {
        let key = format!("{stem}-{number}");
        if !tx.experiment_flag_known(&key).await? {
            return Ok(key);
        }
    }
    Err(Error::new(Code::Conflict, format!("too many experiments have had the flag `{wanted}`"))
        .hint("propose the next one with another `flag_key`"))
}
