//! Readings that a source pushes: signed, fresh, once. Aggregates only.

mod message;
mod queue;
mod write;

use serde_json::Value as Json;

use self::message::Message;
use self::write::write_each;
use super::Signals;
use crate::domain::Period;
use crate::error::{Code, Error, Result};
use crate::ports::push::{Headers, IngestPayload, verify};
use crate::usecases::Runtime;
use crate::usecases::kernel::resolver::resolver;

use crate::usecases::kernel::workspace_file::config;
pub use message::Ingested;
pub(in crate::usecases) use queue::IngestQueue;

impl Signals<'_> {
    /// Takes a pushed message. The same message again is answered the same and changes nothing.
    ///
    /// # Errors
    /// [`Code::IngestSignature`], [`Code::IngestStale`], [`Code::SignalShape`], [`Code::NotFound`].
    #[tracing::instrument(level = "debug", name = "signals.ingest", skip_all)]
    pub async fn ingest(self, headers: Headers<'_>, body: &[u8]) -> Result<Ingested> {
        let now = self.0.now();
        let signers = signers(self.0, headers, body).await?;
        let parts = IngestPayload::parse(body, now).map_err(Error::from)?;
        let named = parts.first().map(|(payload, _)| payload.source.as_str());
        // Who signs for one source says nothing about another one.
        let Signer { source, replay_window } =
            signers.into_iter().find(|signer| Some(signer.source.as_str()) == named).ok_or_else(unsigned)?;
        let expires_at = now.checked_add(replay_window.get() * 4).unwrap_or(now);
        let message = Message { nonce: format!("{source}/{}", headers.id), expires_at, parts };
        let runtime = self.0.clone();
        self.0.ingests.take(message, move |messages| async move { write_each(&runtime, &messages).await }).await
    }
}

/// A pushing source whose secret fits a message.
struct Signer {
    source: String,
    replay_window: Period,
}

/// The sources whose secret signed the message. Every pushing source is tried, since the name of the source is in the body, and
/// nothing of a body is parsed before its signature is checked.
///
/// # Errors
/// [`Code::IngestSignature`], also when no source pushes: a stranger does not learn which sources there are.
/// [`Code::IngestStale`].
async fn signers(runtime: &Runtime, headers: Headers<'_>, body: &[u8]) -> Result<Vec<Signer>> {
    headers.check().map_err(Error::from)?;
    let config = config(runtime).await?;
    let (mut found, mut stale) = (Vec::new(), None);
    for connector in &config.connectors {
        let Some(push) = connector.settings.push() else { continue };
        let resolve = resolver(runtime, &Json::from(push.secret)).await?;
        let checked = resolve(push.secret)
            .and_then(|secret| verify(headers, body, &secret, push.replay_window, runtime.now()).map_err(Error::from));
        match checked {
            Ok(()) => found.push(Signer { source: connector.name.clone(), replay_window: push.replay_window }),
            Err(error) if error.code() == Code::IngestStale => stale = Some(error),
            Err(error) if error.code() == Code::IngestSignature => {}
            // A secret that is missing concerns the operator, and not whoever sent this.
            Err(error) => {
                tracing::warn!(connector = %connector.name, "The secret of a pushing source cannot be used: {error}");
            }
        }
    }
    match (found.is_empty(), stale) {
        (false, _) => Ok(found),
        (true, Some(stale)) => Err(stale),
        (true, None) => Err(unsigned()),
    }
}

fn unsigned() -> Error {
    Error::new(Code::IngestSignature, "the signature does not match the message")
        .hint("`source` must name a connector of type webhook, signed with its secret")
}
