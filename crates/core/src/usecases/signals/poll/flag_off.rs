//! Off is proven at each poll: a flag that is on although it was turned off is turned off again, loudly.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::timeout;

use crate::domain::{Experiment, ExperimentStatus, Message, MessageKey, Notice};
use crate::error::{Error, Result, error_chain};
use crate::ports::FlagService;
use crate::ports::flags::{self, Found};
use crate::store::Tx;
use crate::usecases::Runtime;
use crate::usecases::kernel::attached_flag::drift_of;
use crate::usecases::kernel::days::{DAY, start_of};
use crate::usecases::kernel::flag::{flag_position, queue_flag};
use crate::usecases::kernel::phases::is_on;
use crate::usecases::kernel::workspace_file::{config, flag_service};

/// How long reading them back may take in a round.
const PATIENCE: Duration = Duration::from_secs(10);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Queues the flag's position again, and tells people.
pub(super) async fn put_off_again(
    runtime: &Runtime,
    tx: &mut Tx,
    experiment: &Experiment,
    drift: &str,
) -> Result<String> {
    let now = runtime.now();
    queue_flag(runtime, tx, experiment, 0).await?;
    let detail = format!("{drift}; it is turned off again");
    let notice =
        Message::Notice(Notice::FlagNotOff { experiment: experiment.slug.to_string(), detail: detail.clone() });
    // Who turns it on again and again is told of once an hour.
    let key = MessageKey::FlagNotOff(experiment.id, start_of(HOUR, now));
    tx.outbox_insert(runtime.ids.next(), &notice, &key, now).await?;
    tracing::error!(experiment = %experiment.slug, "{detail}");
    Ok(format!("`{}`: {detail}", experiment.slug))
}

/// Looks at the flags that are off without being read by a poll: of experiments that were killed after they had gone live, and of
/// those that wait for a gate with their flag off. A key that another experiment uses again is not theirs any more. Returns what
/// was found, as sentences.
pub(super) async fn check_off(runtime: &Runtime) -> Vec<String> {
    match timeout(PATIENCE, look(runtime)).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => vec![format!("flags that are off could not be read back: {}", error_chain(&error))],
        Err(_) => vec![format!("flags that are off could not all be read back within {} s", PATIENCE.as_secs())],
    }
}

/// Whether the key of an experiment's flag is its own for ever: what is only proposed owns none yet.
fn owns_its_flag(experiment: &Experiment) -> bool {
    let is_built = matches!(
        experiment.state.status,
        ExperimentStatus::Building | ExperimentStatus::FailedBuild | ExperimentStatus::AwaitingLaunchGate
    );
    is_built || experiment.launched_at.is_some()
}

async fn look(runtime: &Runtime) -> Result<Vec<String>> {
    let mut tx = runtime.read().await?;
    let (mut ours, shipped): (Vec<_>, Vec<_>) = tx
        .experiment_list_ended_live()
        .await?
        .into_iter()
        .partition(|experiment| experiment.state.status == ExperimentStatus::Killed);
    let open = tx.experiment_list_under_way(None).await?;
    let may_be_off = |status: ExperimentStatus| status.is_waiting() || status == ExperimentStatus::Paused;
    for waiting in open.iter().filter(|experiment| may_be_off(experiment.state.status)) {
        if waiting.launched_at.is_some() && !is_on(&tx.phase_list(waiting.id).await?) {
            ours.push(waiting.clone());
        }
    }
    drop(tx);
    ours.retain(|ours| {
        let mut others = open.iter().chain(&shipped).filter(|other| other.id != ours.id && owns_its_flag(other));
        !others.any(|other| other.hypothesis.flag_key == ours.hypothesis.flag_key)
    });
    if ours.is_empty() && shipped.is_empty() {
        return Ok(Vec::new());
    }
    let Some(service) = flag_service(runtime, &*config(runtime).await?).await? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for experiment in &ours {
        let key = &experiment.hypothesis.flag_key;
        let drift = match drift_of(service.as_ref(), experiment, &flag_position(key, 0)).await.map_err(Error::from) {
            Ok(drift) => drift,
            Err(error) => {
                found.push(format!("`{}`: the flag `{key}` could not be read back: {error}", experiment.slug));
                continue;
            }
        };
        let Some(drift) = drift else { continue };
        let mut tx = runtime.write().await?;
        // A human may have turned it on meanwhile.
        let is_still_off = !is_on(&tx.phase_list(experiment.id).await?);
        if is_still_off && !tx.outbox_is_flag_waiting(experiment.id).await? {
            found.push(put_off_again(runtime, &mut tx, experiment, &drift.to_string()).await?);
        }
        tx.commit().await?;
    }
    for experiment in &shipped {
        found.extend(look_at_shipped(runtime, service.as_ref(), experiment).await?);
    }
    Ok(found)
}

/// What was shipped is everybody's: nothing is written, but people hear of it once a day if it is elsewhere.
async fn look_at_shipped(
    runtime: &Runtime,
    service: &dyn FlagService,
    experiment: &Experiment,
) -> Result<Option<String>> {
    let expected = flag_position(&experiment.hypothesis.flag_key, 100);
    let Ok(Some(drift)) = flags::drift(service, &expected).await else { return Ok(None) };
    // Who has removed the flag has removed it from the code.
    if drift.found == Found::Nothing {
        return Ok(None);
    }
    let detail = format!("{drift}, because it was shipped; nothing is changed");
    let now = runtime.now();
    let mut tx = runtime.write().await?;
    if tx.outbox_is_flag_waiting(experiment.id).await? {
        return Ok(None);
    }
    let notice =
        Message::Notice(Notice::FlagNotSet { experiment: experiment.slug.to_string(), detail: detail.clone() });
    let key = MessageKey::FlagElsewhere(experiment.id, start_of(DAY, now));
    tx.outbox_insert(runtime.ids.next(), &notice, &key, now).await?;
    tx.commit().await?;
    Ok(Some(format!("`{}`: {detail}", experiment.slug)))
}
