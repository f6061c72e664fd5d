//! Several messages in one transaction.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::super::poll::logged::log_readings;
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
    let mut known = Known::default();
    let mut refused = BTreeMap::new();
    for (index, message) in messages.iter().enumerate() {
        for (payload, _) in &message.parts {
            match known.look_up(&mut tx, payload).await {
                Ok(_) => {}
                Err(error) if is_of_message(error.code()) => {
                    refused.insert(index, error);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
    }
    // Nothing is written of a message that is refused.
    let is_refused = |index: usize| refused.contains_key(&index);
    let taken = messages.iter().enumerate().filter(|(index, _)| !is_refused(*index)).map(|(_, message)| message);
    let nonces: Vec<_> = taken.clone().map(|message| (message.nonce.clone(), message.expires_at)).collect();
    let new = tx.nonces_use("ingest", &nonces).await?;
    let mut rows = Vec::new();
    for message in taken.filter(|message| new.contains(&message.nonce)) {
        rows.extend(readings(runtime, &known, message, now));
    }
    let stored = tx.measurements_insert(&rows).await?;
    let (mut touched, mut pushed) = (BTreeSet::new(), BTreeSet::new());
    for (reading, _, _) in rows.iter().filter(|(.., key)| stored.contains(key)) {
        touched.extend(reading.experiment);
        pushed.insert((reading.outcome, reading.experiment, reading.signal.as_str()));
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
    let answer = |(index, message): (usize, &Message)| match refused.remove(&index) {
        Some(error) => Err(error),
        None => Ok(Ingested { n_stored: count(message, &stored), is_repeat: !new.contains(&message.nonce) }),
    };
    Ok(messages.iter().enumerate().map(answer).collect())
}

/// How many readings of a message were stored.
fn count(message: &Message, stored: &HashSet<String>) -> u32 {
    let of = |part: usize, (_, pushed): &(IngestPayload, Pushed)| match pushed {
        Pushed::Level(_) => vec![key(message, part, "level")],
        Pushed::ByVariant(reading) => reading.data.iter().map(|arm| key(message, part, arm.variant.as_str())).collect(),
    };
    let keys = message.parts.iter().enumerate().flat_map(|(part, said)| of(part, said));
    u32::try_from(keys.filter(|key| stored.contains(key)).count()).unwrap_or(u32::MAX)
}

/// Under which key a reading of a message is stored. The first payload of a list has the key of a message with one.
fn key(message: &Message, part: usize, arm: &str) -> String {
    match part {
        0 => format!("push/{}/{arm}", message.nonce),
        _ => format!("push/{}/{part}/{arm}", message.nonce),
    }
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
        let (outcome, experiment) = self.of(payload).ok_or_else(unknown)?;
        check_signal(outcome, payload)?;
        Ok((outcome, experiment))
    }

    /// The same of what was looked up before.
    fn of(&self, payload: &IngestPayload) -> Option<(&Outcome, Option<&Experiment>)> {
        let outcome = self.outcomes.get(payload.outcome.as_str())?;
        Some((outcome, payload.experiment.as_ref().and_then(|name| self.experiments.get(name.as_str()))))
    }
}

/// The readings of a message, each with its key.
fn readings(runtime: &Runtime, known: &Known, message: &Message, now: Timestamp) -> Vec<(Measurement, Origin, String)> {
    let mut rows = Vec::new();
    for (part, (payload, pushed)) in message.parts.iter().enumerate() {
        // Looked up before.
        let Some((outcome, experiment)) = known.of(payload) else { continue };
        match pushed {
            Pushed::Level(reading) => {
                let mut measurement = blank(runtime, outcome, payload, reading.window, reading.data, now);
                measurement.query_hash.clone_from(&reading.query_hash);
                measurement.raw_hash.clone_from(&reading.raw_hash);
                rows.push((measurement, Origin::Pushed, key(message, part, "level")));
            }
            Pushed::ByVariant(reading) => {
                for arm in &reading.data {
                    let mut measurement = blank(runtime, outcome, payload, reading.window, arm.sums, now);
                    measurement.experiment = experiment.map(|experiment| experiment.id);
                    measurement.variant = Some(arm.variant);
                    measurement.units.clone_from(&arm.units);
                    measurement.phase = Some(payload.phase.unwrap_or(0));
                    measurement.query_hash.clone_from(&reading.query_hash);
                    measurement.raw_hash.clone_from(&reading.raw_hash);
                    rows.push((measurement, Origin::Pushed, key(message, part, arm.variant.as_str())));
                }
            }
        }
    }
    rows
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
