//! What was changed between the approval of a build and its launch: whoever approved it saw other queries, limits or paths.

use super::applied::{applied, read};
use super::check::walked;
use super::keyring::keyring;
use super::shown_change::changed;
use crate::config::differences;
use crate::domain::{ChangedKey, Experiment, Outcome};
use crate::error::Result;
use crate::store::Tx;
use crate::usecases::Runtime;

/// What of the applied outcome file concerns this experiment and is another than when a member approved that it is built, as far as a
/// change of it needs a signature. Nothing where the approval is one of before and names no file.
///
/// # Errors
/// When the experiment, its decisions or the applied texts differ from the log.
pub(in crate::usecases) async fn changed_since_approval(
    runtime: &Runtime,
    tx: &mut Tx,
    outcome: &Outcome,
    experiment: &Experiment,
) -> Result<Vec<ChangedKey>> {
    let ring = keyring(runtime, tx).await?;
    // The gate may be opened in the middle of a step, so the stored state is not looked at.
    let approval = walked(tx, &ring, experiment).await?.approval;
    let (Some(then), Some(now)) = (approval.applied, applied(runtime, tx).await?) else {
        return Ok(Vec::new());
    };
    if then == now.hash {
        return Ok(Vec::new());
    }
    let before = read(runtime, tx, &then).await?;
    let found = differences(&before.declared, &now.config.declared, &|_| false);
    let slug = outcome.spec.slug.as_str();
    let concerns = |of: &Option<String>| of.as_deref().is_none_or(|of| of == slug);
    Ok(found.iter().filter(|found| found.is_signed && concerns(&found.outcome)).map(changed).collect())
}
