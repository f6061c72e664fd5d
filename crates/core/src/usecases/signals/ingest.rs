//! Readings that a source pushes: signed, fresh, once. Aggregates only.

use schemars::JsonSchema;
use serde::Serialize;

use super::Signals;
use super::poll::store::log_readings;
use crate::domain::{Measurement, Outcome, Period, Window};
use crate::error::{Code, Error, Result};
use crate::ids::MeasurementId;
use crate::ports::push::{Headers, IngestPayload, Pushed, verify};
use crate::store::Origin;
use crate::usecases::Runtime;
use crate::usecases::kernel::lookup::{experiment_named, outcome_named};
use crate::usecases::kernel::resolver::resolver;
use crate::usecases::kernel::workspace_file::config;

/// The result of a pushed message.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Ingested {
    /// Readings that were new.
    pub n_stored: u32,
    /// True when this message had been taken before; then nothing was done.
    pub is_repeat: bool,
}

impl Signals<'_> {
    /// Takes a pushed message. The same message again is answered the same and changes nothing.
    ///
    /// # Errors
    /// [`Code::IngestSignature`], [`Code::IngestStale`], [`Code::SignalShape`], [`Code::NotFound`].
    #[tracing::instrument(level = "debug", name = "signals.ingest", skip_all)]
    pub async fn ingest(self, headers: Headers<'_>, body: &[u8]) -> Result<Ingested> {
        let now = self.0.now();
        let signers = signers(self.0, headers, body).await?;
        let (payload, pushed) = IngestPayload::parse(body, now).map_err(Error::from)?;
        // Who signs for one source says nothing about another one.
        let Signer { source, replay_window } =
            signers.into_iter().find(|signer| signer.source == payload.source).ok_or_else(unsigned)?;
        let mut tx = self.0.write().await?;
        let expires = now.checked_add(replay_window.get() * 4).unwrap_or(now);
        let nonce = format!("{source}/{}", headers.id);
        if !tx.nonce_use("ingest", &nonce, expires, now).await? {
            return Ok(Ingested { n_stored: 0, is_repeat: true });
        }
        let outcome = outcome_named(&mut tx, payload.outcome.as_str()).await?;
        check_signal(&outcome, &payload)?;
        let n_stored = match pushed {
            Pushed::Level(reading) => {
                let blank = Blank { runtime: self.0, outcome: &outcome, payload: &payload, window: reading.window };
                let mut measurement = blank.measurement(reading.data, now);
                (measurement.query_hash, measurement.raw_hash) = (reading.query_hash, reading.raw_hash);
                let key = format!("push/{nonce}/level");
                u32::from(tx.measurement_insert_from(&measurement, Origin::Pushed, &key).await?)
            }
            Pushed::ByVariant(reading) => {
                let name = payload.experiment.as_ref().map(ToString::to_string).unwrap_or_default();
                let experiment = experiment_named(&mut tx, &name).await?;
                let mut n_stored = 0;
                for arm in &reading.data {
                    let blank = Blank { runtime: self.0, outcome: &outcome, payload: &payload, window: reading.window };
                    let mut measurement = blank.measurement(arm.sums, now);
                    measurement.experiment = Some(experiment.id);
                    measurement.variant = Some(arm.variant);
                    measurement.phase = Some(payload.phase.unwrap_or(0));
                    measurement.query_hash.clone_from(&reading.query_hash);
                    measurement.raw_hash.clone_from(&reading.raw_hash);
                    let key = format!("push/{nonce}/{}", arm.variant);
                    n_stored += u32::from(tx.measurement_insert_from(&measurement, Origin::Pushed, &key).await?);
                }
                log_readings(&mut tx, experiment.id, now, None).await?;
                n_stored
            }
        };
        tx.commit().await?;
        Ok(Ingested { n_stored, is_repeat: false })
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
    let resolve = resolver(runtime);
    let (mut found, mut stale) = (Vec::new(), None);
    for connector in &config.connectors {
        let Some(push) = connector.settings.push() else { continue };
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

struct Blank<'a> {
    runtime: &'a Runtime,
    outcome: &'a Outcome,
    payload: &'a IngestPayload,
    window: Window,
}

impl Blank<'_> {
    fn measurement(&self, sums: crate::domain::ArmSums, at: jiff::Timestamp) -> Measurement {
        Measurement {
            cohort: None,
            units: None,
            id: self.runtime.ids.next::<MeasurementId>(),
            outcome: self.outcome.id,
            experiment: None,
            signal: self.payload.signal.clone(),
            variant: None,
            phase: None,
            measured_at: at,
            window: self.window,
            sums,
            source: self.payload.source.clone(),
            query_hash: String::new(),
            raw_hash: String::new(),
        }
    }
}

/// The signal must be one of the outcome's that this source feeds.
fn check_signal(outcome: &Outcome, payload: &IngestPayload) -> Result<()> {
    let spec = &outcome.spec;
    let known = std::iter::once(&spec.signal)
        .chain(&spec.secondary_signals)
        .chain(spec.guardrails().map(|(signal, ..)| signal))
        .any(|signal| signal.name == payload.signal && signal.source == payload.source);
    if known {
        return Ok(());
    }
    Err(Error::new(Code::SignalShape, format!("outcome `{}` has no signal of this name from this source", spec.slug))
        .hint("use the `signal` and `source` of the outcome file"))
}
