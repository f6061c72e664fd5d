//! Recomputing: what the statistics remember of every experiment, once more from its stored readings.
//!
//! Ranges of experiments are read by several connections at once and worked out on the blocking pool; what differs is
//! written in one transaction. The lease of polling is held meanwhile, so that nothing is measured in between.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::AuditLog;
use crate::audit::EventKind;
use crate::domain::Evaluation;
use crate::error::{Code, Error, Result, error_chain};
use crate::ids::ExperimentId;
use crate::principal::Principal;
use crate::stats::{RULES, RunningState};
use crate::store::{Measured, Origin};
use crate::usecases::Runtime;
use crate::usecases::kernel::event::new_event;
use crate::usecases::kernel::history::{History, after, plan_from_text, unstored};
use crate::usecases::kernel::lease::{Lease, release_lease, release_within, take_lease};
use crate::usecases::kernel::lookup::experiment_named;

/// Experiments in a range: a few hundred keep every core busy to the end and a statement short.
const RANGE: i64 = 400;
/// Ranges that are read or worked out at once.
const WORKERS: usize = 4;

/// What is recomputed.
#[derive(Debug, Clone, Default)]
pub struct RecomputeRequest {
    /// Slug or id of one experiment; every one that is measured when absent.
    pub experiment: Option<String>,
    /// Only say what differs.
    pub is_check: bool,
}

/// The result of recomputing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Recomputed {
    /// Experiments that were looked at.
    pub n_experiments: u64,
    /// Of them, those with a poll.
    pub n_measured: u64,
    /// Whose stored statistics differ from those of their readings; corrected unless it was a check.
    pub changes: Vec<RecomputedExperiment>,
    /// Experiments of which too little is stored, as sentences; they were left as they are.
    pub skipped: Vec<String>,
    /// Experiments that could not be recomputed, as sentences; they were left as they are.
    pub failures: Vec<String>,
    /// Nothing was written.
    pub is_check: bool,
}

/// An experiment whose stored statistics differ from those of its readings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct RecomputedExperiment {
    /// Slug.
    pub experiment: String,
    /// Fields of the running state and of the latest evaluation that differ; empty where nothing was stored.
    pub fields: Vec<String>,
}

impl Recomputed {
    /// Whether anything was stored.
    fn is_written(&self) -> bool {
        !self.is_check && !self.changes.is_empty()
    }
}

/// What a range of experiments comes to.
#[derive(Default)]
struct Part {
    n_experiments: u64,
    n_measured: u64,
    changes: Vec<RecomputedExperiment>,
    remembered: Vec<(ExperimentId, String, String)>,
    skipped: Vec<String>,
    failures: Vec<String>,
}

/// What recomputing an experiment comes to.
enum Outcome {
    /// Nobody has polled it yet.
    NotMeasured,
    /// What is missing.
    Skipped(String),
    Remembered(Remembered),
}

impl AuditLog<'_> {
    /// Works the statistics of every experiment whose signals are read out again from its stored readings, and stores what
    /// differs.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::Conflict`] while somebody polls. Experiments that cannot be recomputed are in the result.
    #[tracing::instrument(level = "debug", name = "audit_log.recompute", skip_all)]
    pub async fn recompute(self, request: &RecomputeRequest, by: &Principal) -> Result<Recomputed> {
        let Some(lease) = take_lease(self.0).await? else {
            return Err(Error::new(Code::Conflict, "another program is reading or recomputing right now")
                .hint("nothing was done; try again in a moment"));
        };
        let done = recompute_all(self.0, request, by, &lease).await;
        if done.as_ref().is_ok_and(Recomputed::is_written) {
            return done;
        }
        release_lease(self.0, lease).await?;
        done
    }
}

async fn recompute_all(
    runtime: &Runtime,
    request: &RecomputeRequest,
    by: &Principal,
    lease: &Lease,
) -> Result<Recomputed> {
    let mut tx = runtime.read().await?;
    let ranges: Vec<(ExperimentId, ExperimentId)> = match &request.experiment {
        Some(reference) => {
            let id = experiment_named(&mut tx, reference).await?.id;
            vec![(id, after(id))]
        }
        None => {
            let begins = tx.measured_ranges(RANGE).await?;
            let ends = begins.iter().skip(1).copied().chain([ExperimentId(Uuid::max())]);
            begins.iter().copied().zip(ends).collect()
        }
    };
    drop(tx);
    let ranges = Arc::new(Mutex::new(ranges.into_iter()));
    let is_check = request.is_check;
    let (sender, mut parts) = mpsc::channel(WORKERS);
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let (runtime, ranges, sender) = (runtime.clone(), Arc::clone(&ranges), sender.clone());
        workers.spawn(async move {
            loop {
                let range = ranges.lock().await.next();
                let Some((from, until)) = range else { break };
                let part = recompute_range(&runtime, from, until, is_check).await;
                if sender.send(part).await.is_err() {
                    break;
                }
            }
        });
    }
    drop(sender);
    let mut done = Recomputed { is_check: request.is_check, ..Recomputed::default() };
    let mut open = None;
    while let Some(part) = parts.recv().await {
        let part = part?;
        if !request.is_check && !part.remembered.is_empty() {
            let tx = match &mut open {
                Some(tx) => tx,
                None => open.insert(runtime.db.write_bulk(runtime.workspace.id).await?),
            };
            tx.remember_all(&part.remembered).await?;
        }
        done.n_experiments += part.n_experiments;
        done.n_measured += part.n_measured;
        done.changes.extend(part.changes);
        done.skipped.extend(part.skipped);
        done.failures.extend(part.failures);
    }
    done.changes.sort_unstable();
    done.skipped.sort_unstable();
    done.failures.sort_unstable();
    if let Some(mut tx) = open {
        let payload = json!({
            "experiment": request.experiment,
            "n_experiments": done.n_experiments,
            "n_changed": done.changes.len(),
            "n_failed": done.failures.len(),
        });
        let event = new_event(EventKind::WorkspaceRecomputed, runtime.workspace.id.into(), by, &payload)?;
        tx.event_append(event, runtime.now()).await?;
        release_within(&mut tx, lease).await?;
        tx.commit().await?;
    }
    Ok(done)
}

async fn recompute_range(runtime: &Runtime, from: ExperimentId, until: ExperimentId, is_check: bool) -> Result<Part> {
    let mut tx = runtime.read().await?;
    let found = tx.measured_in(from, until).await?;
    drop(tx);
    tokio::task::spawn_blocking(move || part_of(&found, is_check))
        .await
        .map_err(|e| Error::new(Code::Internal, "recomputing did not finish").because(e))
}

fn part_of(found: &[Measured], is_check: bool) -> Part {
    let mut part = Part { n_experiments: found.len() as u64, ..Part::default() };
    for measured in found {
        // Rules that changed are no difference in the data.
        if is_check && rules_of(measured).is_some_and(|rules| rules < RULES) {
            let reason = "it was judged by the rules of an earlier version; the next poll judges it by today's";
            part.skipped.push(format!("`{}`: {reason}", measured.slug));
            continue;
        }
        match recomputed(measured) {
            Ok(Outcome::Remembered(remembered)) => {
                part.n_measured += 1;
                if let Some(fields) = remembered.differences(measured) {
                    part.changes.push(RecomputedExperiment { experiment: measured.slug.clone(), fields });
                    part.remembered.push((measured.id, remembered.running, remembered.result));
                }
            }
            Ok(Outcome::NotMeasured) => {}
            Ok(Outcome::Skipped(reason)) => part.skipped.push(format!("`{}`: {reason}", measured.slug)),
            Err(error) => part.failures.push(format!("`{}`: {}", measured.slug, error_chain(&error))),
        }
    }
    part
}

/// Version of the rules by which its newest poll was judged; `None` where nothing can be read.
fn rules_of(measured: &Measured) -> Option<u32> {
    let running: RunningState = serde_json::from_str(measured.running.as_deref()?).ok()?;
    Some(running.rules)
}

/// What an experiment should remember, as JSON.
struct Remembered {
    running: String,
    result: String,
}

fn recomputed(measured: &Measured) -> Result<Outcome> {
    let plan = plan_from_text(measured.plan.as_deref().unwrap_or("null"), measured.plan_hash.as_deref())?;
    if !plan.design.has_control() {
        let reason = "it has no control group: its weekly blocks are read again by `outcome-runtime poll`";
        return Ok(Outcome::Skipped(reason.to_owned()));
    }
    // What cannot be read is written again.
    let stored: Option<Evaluation> =
        measured.current_result.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let polled_at = stored.as_ref().and_then(|stored| stored.polled_at);
    let history = History {
        plan: &plan,
        launched_at: measured.launched_at,
        last_polled_at: polled_at,
        is_sampled: stored.as_ref().is_some_and(Evaluation::is_sampled),
        readings: measured.snapshots()?,
        allocation: measured.allocation.clone(),
        drifts: measured.marks.drifts.clone(),
    };
    let missing = unstored(&plan, |name| history.readings.iter().any(|reading| *reading.signal == *name));
    let Some(last) = history.latest()? else { return Ok(Outcome::NotMeasured) };
    if let Some(reason) = missing.into_iter().next() {
        return Ok(Outcome::Skipped(reason));
    }
    let n_readings = stored.as_ref().and_then(|stored| stored.n_readings).unwrap_or_else(|| {
        let of_poll = history.readings.iter().filter(|r| r.measured_at == last.polled_at && r.origin == Origin::Polled);
        of_poll.count()
    });
    let mut latest = Evaluation::of(&plan, &last.evaluated, polled_at.unwrap_or(last.polled_at), n_readings)
        .with_capped(last.capped);
    if let Some(stored) = &stored {
        latest.keep_sentences_of(stored);
    }
    let json = |e: serde_json::Error| Error::new(Code::Internal, "an evaluation cannot be written").because(e);
    Ok(Outcome::Remembered(Remembered {
        running: serde_json::to_string(&last.evaluated.running).map_err(json)?,
        result: serde_json::to_string(&latest).map_err(json)?,
    }))
}

impl Remembered {
    /// Names of the fields that differ from the stored ones; `None` if all are the same.
    fn differences(&self, stored: &Measured) -> Option<Vec<String>> {
        let mut fields = Vec::new();
        let mut is_same = true;
        for (prefix, old, new) in
            [("running.", &stored.running, &self.running), ("", &stored.current_result, &self.result)]
        {
            // The same text is the same; another text may only be written otherwise.
            if old.as_ref() == Some(new) {
                continue;
            }
            // PostgreSQL writes 3e16 as 30000000000000000, which is another number only to the reader of JSON.
            let value = |text: &str| with_floats(serde_json::from_str::<Value>(text).unwrap_or_default());
            let (old, new) = (old.as_deref().map(value).unwrap_or_default(), value(new));
            is_same &= old == new;
            if let (Value::Object(old), Value::Object(new)) = (old, new) {
                let names = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)));
                fields.extend(names.filter(|n| old.get(*n) != new.get(*n)).map(|name| format!("{prefix}{name}")));
            }
        }
        (!is_same).then_some(fields)
    }
}

/// The same with every number as a float, so that equal numbers are equal however they were written.
fn with_floats(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or(Value::Number(number), Value::from),
        Value::Array(items) => items.into_iter().map(with_floats).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, with_floats(value))).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::Remembered;
    use crate::ids::ExperimentId;
    use crate::store::{Marks, Measured};

    #[test]
    fn another_number_differs_and_another_way_to_write_it_does_not() {
        let stored = |result: &str| Measured {
            id: ExperimentId(Uuid::nil()),
            slug: "softer-level".to_owned(),
            plan: None,
            plan_hash: None,
            launched_at: None,
            running: Some(r#"{"as_of":1}"#.to_owned()),
            current_result: Some(result.to_owned()),
            readings: Vec::new(),
            allocation: Vec::new(),
            marks: Marks::default(),
        };
        let remembered =
            Remembered { running: r#"{"as_of":1}"#.to_owned(), result: r#"{"e_value":3e16,"n":[7]}"#.to_owned() };
        for (result, want) in [
            (r#"{"e_value":30000000000000000,"n":[7.0]}"#, None),
            (r#"{"e_value":30000000000000004,"n":[7]}"#, Some(vec!["e_value".to_owned()])),
            (r#"{"e_value":3e16,"n":["7"]}"#, Some(vec!["n".to_owned()])),
            (r#"{"e_value":3e16,"n":[7],"more":1}"#, Some(vec!["more".to_owned()])),
        ] {
            assert_eq!(remembered.differences(&stored(result)), want, "{result}");
        }
    }
}
