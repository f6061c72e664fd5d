//! The flag of an experiment: its position, and the message that puts it there.

use serde_json::{Value, json};

use crate::domain::Experiment;
use crate::error::Result;
use crate::ids::MessageId;
use crate::ports::FlagState;
use crate::store::Tx;
use crate::usecases::Runtime;

/// Puts the flag's next position in the outbox; an older one that was not delivered is overtaken.
pub(super) async fn queue_flag(runtime: &Runtime, tx: &mut Tx, experiment: &Experiment, pct: u8) -> Result<()> {
    let now = runtime.now();
    let prefix = format!("flag/{}/", experiment.id);
    tx.outbox_overtake("flag", &prefix, now).await?;
    let payload: Value = json!({
        "experiment": experiment.slug,
        "key": experiment.hypothesis.flag_key,
        "description": experiment.hypothesis.title,
        "treatment_pct": pct,
    });
    let key = format!("{prefix}{}", tx.log_head().await?.0);
    tx.outbox_insert(runtime.ids.next::<MessageId>(), "flag", &key, &payload, now).await
}

/// The flag's position for a treatment share; 0 % is off.
pub(in crate::usecases) fn flag_position(key: &str, pct: u8) -> FlagState {
    if pct == 0 { FlagState::off(key) } else { FlagState::on(key, pct) }
}
