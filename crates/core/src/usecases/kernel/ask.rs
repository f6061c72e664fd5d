//! What somebody without a signature wants and cannot do: it is written down, and a member is told, once a day for each wish.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::days::{DAY, start_of};
use super::event::new_event;
use crate::audit::{EventKind, Subject};
use crate::domain::{ExperimentStatus, Message, MessageKey, Notice, Verdict};
use crate::error::Result;
use crate::principal::Principal;
use crate::store::Tx;
use crate::usecases::Runtime;

/// What came of an act without a signature.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct UnsignedAct {
    /// What was wanted.
    pub verdict: Verdict,
    /// True when it was done; false when a member was asked.
    pub is_done: bool,
    /// Slug of the gate.
    pub gate: Option<String>,
    /// Slug of the experiment.
    pub experiment: Option<String>,
    /// Where the experiment stands now.
    pub experiment_status: Option<ExperimentStatus>,
    /// What the runtime did about flags at once, or why it will be tried again.
    pub deliveries: Vec<String>,
}

/// Writes a wish down and tells it.
pub(in crate::usecases) async fn note_asked(
    runtime: &Runtime,
    tx: &mut Tx,
    (subject, kind): (Subject, EventKind),
    (verdict, note): (Verdict, Option<&str>),
    by: &Principal,
    notice: impl FnOnce(String) -> Notice,
) -> Result<()> {
    let now = runtime.now();
    let said = json!({ "asks_for": verdict, "note": note });
    tx.event_append(new_event(kind, subject, by, &said)?, now).await?;
    let why = note.map_or_else(String::new, |note| format!(": {note}"));
    let detail = format!("{by} asks for `{verdict}`{why}. Only a member's signature decides");
    let key = MessageKey::Asked(subject.id, verdict, start_of(DAY, now));
    tx.outbox_insert(runtime.ids.next(), &Message::Notice(notice(detail)), &key, now).await
}
