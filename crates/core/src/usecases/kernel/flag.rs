//! The flag of an experiment: its position, and the message that puts it there.

use crate::domain::{Experiment, FlagPosition, Message, MessageKey};
use crate::error::Result;
use crate::ports::FlagState;
use crate::store::Tx;
use crate::usecases::Runtime;

/// Puts the flag's next position in the outbox; an older one that was not delivered is overtaken.
pub(in crate::usecases) async fn queue_flag(
    runtime: &Runtime,
    tx: &mut Tx,
    experiment: &Experiment,
    pct: u8,
) -> Result<()> {
    let now = runtime.now();
    tx.outbox_overtake_flag(experiment.id, now).await?;
    let position = Message::Flag(FlagPosition {
        experiment: experiment.slug.to_string(),
        key: experiment.hypothesis.flag_key.clone(),
        description: experiment.hypothesis.title.clone(),
        treatment_pct: pct,
    });
    let key = MessageKey::Flag(experiment.id, tx.log_head().await?.0);
    tx.outbox_insert(runtime.ids.next(), &position, &key, now).await
}

/// The flag's position for a treatment share; 0 % is off.
pub(in crate::usecases) fn flag_position(key: &str, pct: u8) -> FlagState {
    if pct == 0 { FlagState::off(key) } else { FlagState::on(key, pct) }
}
