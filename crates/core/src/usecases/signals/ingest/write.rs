//! Several messages in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::super::poll::store::log_readings;
use super::message::{Ingested, Message, Written};
use crate::domain::{ArmSums, Experiment, Measurement, Outcome, Window};
use crate::error::{Code, Error, Result};
use crate::ids::{ExperimentId, MeasurementId, OutcomeId};
use crate::ports::push::{IngestPayload, Pushed};
use crate::store::{Origin, Tx};
use crate::usecases::Runtime;
use crate::usecases::kernel::lookup::{experiment_named, outcome_named};

/// After this what was pushed is looked at, together with what is pushed meanwhile.
const SOON: SignedDuration = SignedDuration::from_secs(1);

/// What messages name, looked up once.
#[derive(Default)]
struct Known {
    outcomes: BTreeMap<String, Outcome>,
    experiments: BTreeMap<String, Experiment>,
}

/// Writes them together; where that fails, each by itself, so that what fails then is what cannot be written.
pub(super) async fn write_each(runtime: &Runtime, messages: &[Message]) -> Written {
    match write(runtime, messages).await {
        Ok(written) => return written,
        Err(error) if messages.len() == 1 => return vec![Err(error)],
        Err(_) => {}
    }
    let mut all = Vec::with_capacity(messages.len());
    for message in messages {
        match write(runtime, std::slice::from_ref(message)).await {
            Ok(written) => all.extend(written),
            Err(error) => all.push(Err(error)),
        }
    }
    all
}

/// Writes them, with a line in the log for each experiment that has new readings. What a message says wrongly is its own answer.
///
/// # Errors
/// When the database fails: then nothing is stored of any of them.
async fn write(runtime: &Runtime, messages: &[Message]) -> Result<Written> {
    let now = runtime.now();
    let mut tx = runtime.write().await?;
    tx.nonces_expire(now).await?;
    let (mut known, mut touched, mut pushed) = (Known::default(), BTreeSet::new(), BTreeSet::new());
    let mut written = Vec::with_capacity(messages.len());
    for message in messages {
        // Nothing is written of a message that is refused.
        let answer = match known.look_up(&mut tx, &message.payload).await {
            Ok((outcome, experiment)) => {
                let taken = take(runtime, &mut tx, message, outcome, experiment, now).await?;
                if taken.n_stored > 0 {
                    touched.extend(experiment.map(|experiment| experiment.id));
                    pushed.insert((
                        outcome.id,
                        experiment.map(|experiment| experiment.id),
                        message.payload.signal.as_str(),
                    ));
                }
                Ok(taken)
            }
            Err(error) if is_of_message(error.code()) => Err(error),
            Err(error) => return Err(error),
        };
        written.push(answer);
    }
    for experiment in touched {
        log_readings(&mut tx, experiment, now, None).await?;
    }
    for (outcome, experiment, signal) in &pushed {
        look_soon(&mut tx, *outcome, *experiment, signal, now).await?;
    }
    tx.commit().await?;
    if !pushed.is_empty() {
        runtime.sooner.notify_one();
    }
    Ok(written)
}

/// What was pushed is looked at soon, whenever it would have been its turn.
async fn look_soon(
    tx: &mut Tx,
    outcome: OutcomeId,
    experiment: Option<ExperimentId>,
    signal: &str,
    now: Timestamp,
) -> Result<()> {
    let at = now.checked_add(SOON).unwrap_or(now);
    let (subject, job) = experiment.map_or((outcome.0, signal), |experiment| (experiment.0, ""));
    tx.signal_wake(subject, signal, at).await?;
    tx.job_wake_one(subject, job, at).await
}

/// Whether the message is wrong, and not the database.
fn is_of_message(code: Code) -> bool {
    matches!(code, Code::NotFound | Code::SignalShape | Code::InvalidInput)
}

impl Known {
    /// The outcome, and the experiment of readings by variant.
    async fn look_up(&mut self, tx: &mut Tx, payload: &IngestPayload) -> Result<(&Outcome, Option<&Experiment>)> {
        let outcome = payload.outcome.to_string();
        if !self.outcomes.contains_key(&outcome) {
            let found = outcome_named(tx, &outcome).await?;
            self.outcomes.insert(outcome.clone(), found);
        }
        let experiment = payload.experiment.as_ref().map(ToString::to_string);
        if let Some(name) = experiment.as_ref().filter(|name| !self.experiments.contains_key(*name)) {
            let found = experiment_named(tx, name).await?;
            self.experiments.insert(name.clone(), found);
        }
        let unknown = || Error::new(Code::Internal, "an outcome was looked up and is gone");
        let outcome = self.outcomes.get(&outcome).ok_or_else(unknown)?;
        check_signal(outcome, payload)?;
        Ok((outcome, experiment.and_then(|name| self.experiments.get(&name))))
    }
}

async fn take(
    runtime: &Runtime,
    tx: &mut Tx,
    message: &Message,
    outcome: &Outcome,
    experiment: Option<&Experiment>,
    now: Timestamp,
) -> Result<Ingested> {
    let Message { nonce, expires_at, payload, pushed } = message;
    if !tx.nonce_use("ingest", nonce, *expires_at).await? {
        return Ok(Ingested { n_stored: 0, is_repeat: true });
    }
    let mut n_stored = 0;
    match pushed {
        Pushed::Level(reading) => {
            let mut measurement = blank(runtime, outcome, payload, reading.window, reading.data, now);
            measurement.query_hash.clone_from(&reading.query_hash);
            measurement.raw_hash.clone_from(&reading.raw_hash);
            let key = format!("push/{nonce}/level");
            n_stored += u32::from(tx.measurement_insert_from(&measurement, Origin::Pushed, &key).await?);
        }
        Pushed::ByVariant(reading) => {
            for arm in &reading.data {
                let mut measurement = blank(runtime, outcome, payload, reading.window, arm.sums, now);
                measurement.experiment = experiment.map(|experiment| experiment.id);
                measurement.variant = Some(arm.variant);
                measurement.phase = Some(payload.phase.unwrap_or(0));
                measurement.query_hash.clone_from(&reading.query_hash);
                measurement.raw_hash.clone_from(&reading.raw_hash);
                let key = format!("push/{nonce}/{}", arm.variant);
                n_stored += u32::from(tx.measurement_insert_from(&measurement, Origin::Pushed, &key).await?);
            }
        }
    }
    Ok(Ingested { n_stored, is_repeat: false })
}

fn blank(
    runtime: &Runtime,
    outcome: &Outcome,
    payload: &IngestPayload,
    window: Window,
    sums: ArmSums,
    at: Timestamp,
) -> Measurement {
    Measurement {
        cohort: None,
        units: None,
        id: runtime.ids.next::<MeasurementId>(),
        outcome: outcome.id,
        experiment: None,
        signal: payload.signal.clone(),
        variant: None,
        phase: None,
        measured_at: at,
        window,
        sums,
        source: payload.source.clone(),
        query_hash: String::new(),
        raw_hash: String::new(),
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
