//! Lines for the audit log.

use serde::Serialize;
use serde_json::{Value, to_value};

use crate::audit::{EventKind, NewEvent};
use crate::error::{Code, Error, Result};
use crate::principal::Principal;
use crate::usecases::Runtime;

/// A line for the log with its data as JSON.
pub(in crate::usecases) fn new_event<T: Serialize>(
    kind: EventKind,
    subject: crate::audit::Subject,
    by: &Principal,
    payload: &T,
) -> Result<NewEvent> {
    let payload = to_value(payload).map_err(|e| Error::new(Code::Internal, "an event cannot be written").because(e))?;
    Ok(NewEvent { kind, subject, principal: by.clone(), payload })
}

/// Records that something was refused, so that it can be seen who tried.
pub(in crate::usecases) async fn record_refusal(
    runtime: &Runtime,
    subject: crate::audit::Subject,
    kind: EventKind,
    by: &Principal,
    detail: &Value,
) -> Result<()> {
    let mut tx = runtime.write().await?;
    tx.event_append(new_event(kind, subject, by, detail)?, runtime.now()).await?;
    tx.commit().await
}
