//! What is stored about an experiment is not what the log says: its flag goes off, and people are told.

use super::aim::{Aim, aim};
use crate::domain::{FlagPosition, Message, MessageKey, Notice};
use crate::error::Result;
use crate::ids::ExperimentId;
use crate::store::Tx;
use crate::usecases::Runtime;
use crate::usecases::kernel::days::{DAY, start_of};

/// Turns the flag of an experiment off about which nothing can be decided, because what is stored is not what the log says. Danger outranks
/// doubt: nobody could stop it otherwise. People are told once a day. False where there is no flag that the runtime ever set.
pub(in crate::usecases) async fn off_without_history(runtime: &Runtime, id: ExperimentId) -> Result<bool> {
    let mut tx = runtime.write().await?;
    let Some(experiment) = tx.experiment_get(id).await? else { return Ok(false) };
    let Aim::Off(position, problem) = aim(runtime, &mut tx, &experiment).await? else { return Ok(false) };
    tell_tampered(runtime, &mut tx, id, &position, &problem).await?;
    if !tx.outbox_is_flag_waiting(id).await? {
        let message = runtime.ids.next();
        let key = MessageKey::FlagAgain(id, message);
        tx.outbox_insert(message, &Message::Flag(position), &key, runtime.now()).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// Tells, once a day, that a flag is off because nothing can be decided about its experiment.
pub(super) async fn tell_tampered(
    runtime: &Runtime,
    tx: &mut Tx,
    subject: ExperimentId,
    position: &FlagPosition,
    problem: &str,
) -> Result<()> {
    let now = runtime.now();
    let detail = format!(
        "{problem}, so that nothing can be decided about it; its flag `{}` is turned off. Run `outcome-runtime audit verify`",
        position.key
    );
    let notice = Message::Notice(Notice::FlagNotOff { experiment: position.experiment.clone(), detail });
    tx.outbox_insert(runtime.ids.next(), &notice, &MessageKey::Tampered(subject, start_of(DAY, now)), now).await
}
