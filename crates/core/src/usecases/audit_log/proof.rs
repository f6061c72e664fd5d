//! The proof pack: everything from which another program recomputes the result of an experiment.
//!
//! Aggregates only, never a row of a unit. `docs/verify_proof.py` is such a program; docs/proof-pack.md describes the format.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::AuditLog;
use crate::audit::{EventKind, LogEntry, PollLine};
use crate::domain::{
    Conclusion, Evaluation, ExperimentStatus, PhaseStart, Plan, ReadSums, Said, Stored, Variant, Window,
};
use crate::error::{Code, Error, Result};
use crate::ids::ExperimentId;
use crate::lifecycle::ExperimentEventKind;
use crate::stats::{self, Advice, Alpha};
use crate::store::{StoredReading, Tx};
use crate::usecases::kernel::digest::digest;
use crate::usecases::kernel::history::{HistoryPoint, history_of, plan_of, unstored};
use crate::usecases::kernel::lookup::{experiment_named, outcome_of};

/// Most log lines of one experiment that a pack looks at.
const MAX_HISTORY: i64 = 1_000_000;
/// Log lines that carry what the engine said.
const STEPS: [EventKind; 5] = [
    EventKind::Experiment(ExperimentEventKind::AnalysisDue),
    EventKind::Experiment(ExperimentEventKind::Concluded),
    EventKind::Experiment(ExperimentEventKind::AutoPaused),
    EventKind::Experiment(ExperimentEventKind::KilledByRule),
    EventKind::Experiment(ExperimentEventKind::Corrected),
];

/// A proof pack. Its `hash` is the SHA-256 of the canonical JSON (RFC 8785) of all its other fields.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Proof {
    /// `outcome-runtime proof`.
    pub format: &'static str,
    /// Of the format: 2. Version 1 had one ladder of rules, and an experiment one safety process.
    pub version: u32,
    /// When the pack was made.
    #[schemars(with = "String")]
    pub made_at: Timestamp,
    /// What it is about.
    pub experiment: ProofExperiment,
    /// The plan as it was approved.
    pub plan: Value,
    /// SHA-256 of its canonical JSON, as the approval names it.
    pub plan_hash: String,
    /// What the rules take as given and the plan does not say.
    pub method: ProofMethod,
    /// How traffic was split, phase by phase.
    pub allocation: Vec<ProofPhase>,
    /// Every reading, grouped by the instant at which it was stored; oldest first.
    pub snapshots: Vec<ProofSnapshot>,
    /// Every poll and what the engine makes of it; oldest first.
    pub path: Vec<ProofPoll>,
    /// What the engine said when it was asked, as the audit log holds it; oldest first.
    pub steps: Vec<ProofStep>,
    /// What is stored with the experiment.
    pub recorded: ProofRecorded,
    /// The last word of the path.
    pub verdict: Advice,
    /// What cannot be recomputed from this pack, as sentences; usually none.
    pub limits: Vec<String>,
    /// Of everything above. Not written while it is empty: that is what is hashed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hash: String,
}

/// The experiment.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProofExperiment {
    /// Its id.
    pub id: ExperimentId,
    /// Its slug.
    pub slug: String,
    /// Slug of its outcome.
    pub outcome: String,
    /// Where it stands.
    pub status: ExperimentStatus,
    /// When it went live.
    #[schemars(with = "String")]
    pub launched_at: Timestamp,
    /// When it ended.
    #[schemars(with = "Option<String>")]
    pub concluded_at: Option<Timestamp>,
}

/// What STATS.md fixes for every experiment.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProofMethod {
    /// Error probability of the test; also in the plan.
    pub alpha: f64,
    /// Mixture width in metric units; also in the plan.
    pub tau: f64,
    /// Error probability over all guardrails together.
    pub guardrail_alpha: f64,
    /// Probability of a false finding of harm.
    pub harm_alpha: f64,
    /// Of the futility bound.
    pub futility_alpha: f64,
    /// Before a success or futility can be called.
    pub min_runtime_days: u32,
}

/// One allocation phase.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProofPhase {
    /// From 0.
    pub phase: i32,
    /// Share of the treatment in percent.
    pub treatment_pct: i32,
    /// When it began.
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// When it ended; open while absent.
    #[schemars(with = "Option<String>")]
    pub ended_at: Option<Timestamp>,
    /// How it began, which says what the safety process and the claims rest on.
    pub begins: PhaseStart,
}

/// Readings that were stored together.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProofSnapshot {
    /// When.
    #[schemars(with = "String")]
    pub measured_at: Timestamp,
    /// The line of the audit log that holds their digest.
    pub logged: Option<ProofLogged>,
    /// In the order of the digest.
    pub readings: Vec<ProofReading>,
}

/// A line of the audit log.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProofLogged {
    /// Its number.
    pub seq: i64,
    /// Its hash.
    pub hash: String,
    /// SHA-256 of the canonical JSON of the list of `[signal, phase, variant, window, sums, query_hash, raw_hash]`, with
    /// `reread_of` behind it where there is one.
    pub digest: String,
    /// What the poll made of the readings; absent in lines of before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<Said>,
}

/// One reading.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProofReading {
    /// Name of the signal.
    pub signal: String,
    /// Allocation phase.
    pub phase: Option<i32>,
    /// The arm; absent for the whole population.
    pub variant: Option<Variant>,
    /// What was asked for.
    pub window: Window,
    /// What was said.
    pub sums: ReadSums,
    /// Name of the connector.
    pub source: String,
    /// SHA-256 of the query and its parameters.
    pub query_hash: String,
    /// SHA-256 of the raw answer.
    pub raw_hash: String,
    /// True when the source pushed it: polls take the newest, whenever it came.
    pub is_pushed: bool,
    /// The past instant about which a poll asked again, after the source had restated its past.
    pub reread_of: Option<Timestamp>,
}

/// One poll.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProofPoll {
    /// When the sources were asked.
    #[schemars(with = "String")]
    pub polled_at: Timestamp,
    /// The end of the readings' window: it identifies the poll.
    #[schemars(with = "String")]
    pub as_of: Timestamp,
    /// The source doubted its own answer.
    pub is_sampled: bool,
    /// The flag was not where it had been put.
    pub has_flag_drift: bool,
    /// The evaluation, as `experiment show --json` gives it.
    pub result: Value,
}

/// What the engine said, in the audit log.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProofStep {
    /// Number of the line.
    pub seq: i64,
    /// Its hash.
    pub hash: String,
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// `experiment.analysis_due`, `.concluded`, `.auto_paused`, `.killed_by_rule` or `.corrected`.
    pub kind: String,
    /// Its data.
    pub payload: Value,
}

/// What is stored with the experiment.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProofRecorded {
    /// The latest evaluation.
    pub latest: Option<Stored<Evaluation>>,
    /// The evaluation at its end.
    pub at_end: Option<Stored<Conclusion>>,
}

impl AuditLog<'_> {
    /// The proof pack of an experiment that has been measured.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::Conflict`] before its first poll, and without a control group; [`Code::StateTampered`] for a plan that is not the
    /// approved one.
    #[tracing::instrument(level = "debug", name = "audit_log.proof", skip_all)]
    pub async fn proof(self, reference: &str) -> Result<Proof> {
        let mut tx = self.0.read().await?;
        let experiment = experiment_named(&mut tx, reference).await?;
        let plan = plan_of(&experiment)?;
        if !plan.design.has_control() {
            let message =
                format!("experiment `{}` has no control group, so there is no proof to make", experiment.slug);
            return Err(Error::new(Code::Conflict, message)
                .hint("`outcome-runtime experiment show --json` gives its levels by week, which are an observation"));
        }
        if plan.attached.is_some() {
            let message = format!(
                "experiment `{}` is only guarded: nothing is claimed of it, so there is nothing to prove",
                experiment.slug
            );
            return Err(Error::new(Code::Conflict, message)
                .hint("`outcome-runtime experiment show --json` gives its readings and what was found"));
        }
        let path = history_of(&mut tx, &experiment, &plan).await?.points()?;
        let nothing = || {
            Error::new(Code::Conflict, format!("experiment `{}` has not been measured yet", experiment.slug))
                .hint("`outcome-runtime poll --all` reads its signals now")
        };
        let last = path.last().ok_or_else(nothing)?;
        let readings = tx.measurement_of_experiment(experiment.id).await?;
        let log = tx.event_of_subject(experiment.id.0, MAX_HISTORY).await?;
        let outcome = outcome_of(&mut tx, &experiment).await?;
        let logged = logged_of(&log);
        let mut proof = Proof {
            format: "outcome-runtime proof",
            version: 2,
            made_at: self.0.now(),
            experiment: ProofExperiment {
                id: experiment.id,
                slug: experiment.slug.to_string(),
                outcome: outcome.spec.slug.to_string(),
                status: experiment.state.status,
                launched_at: last.poll.launched_at,
                concluded_at: experiment.concluded_at,
            },
            plan_hash: experiment.state.plan_hash.clone().unwrap_or_default(),
            method: method_of(&plan),
            allocation: allocation_of(&mut tx, experiment.id).await?,
            path: path.iter().map(|point| poll_of(point, &logged)).collect::<Result<_>>()?,
            snapshots: snapshots_of(&readings, &logged),
            steps: steps_of(&log),
            verdict: advice_of(last, &logged),
            limits: limits_of(&plan, &readings),
            recorded: ProofRecorded { latest: experiment.current_result, at_end: experiment.final_result },
            plan: json!(plan),
            hash: String::new(),
        };
        proof.hash = hash_of(&proof)?;
        Ok(proof)
    }
}

fn method_of(plan: &Plan) -> ProofMethod {
    let fixed = stats::TestPlan::default();
    ProofMethod {
        alpha: plan.alpha,
        tau: plan.tau,
        guardrail_alpha: fixed.guardrail_alpha.get(),
        harm_alpha: fixed.harm_alpha.get(),
        futility_alpha: Alpha::FUTILITY.get(),
        min_runtime_days: fixed.min_runtime_days,
    }
}

async fn allocation_of(tx: &mut Tx, experiment: ExperimentId) -> Result<Vec<ProofPhase>> {
    let phases = tx.phase_list(experiment).await?;
    let shown = phases.into_iter().map(|phase| ProofPhase {
        phase: phase.phase,
        treatment_pct: phase.treatment_pct,
        started_at: phase.started_at.0,
        ended_at: phase.ended_at.map(|at| at.0),
        begins: phase.begins,
    });
    Ok(shown.collect())
}

/// The digests of the log, by the instant of the readings.
fn logged_of(log: &[LogEntry]) -> BTreeMap<Timestamp, ProofLogged> {
    let line = |line: &LogEntry| {
        let PollLine { digest, said, .. } = PollLine::deserialize(&line.payload).ok()?;
        Some((line.at, ProofLogged { seq: line.seq, hash: line.hash.clone(), digest, said }))
    };
    // Newest first, so that of several lines about one instant the last one written must come last here.
    log.iter().rev().filter(|line| line.is(EventKind::ExperimentMeasured)).filter_map(line).collect()
}

fn snapshots_of(readings: &[StoredReading], logged: &BTreeMap<Timestamp, ProofLogged>) -> Vec<ProofSnapshot> {
    let mut snapshots: Vec<ProofSnapshot> = Vec::new();
    for StoredReading { measurement, origin } in readings {
        let reading = ProofReading {
            signal: measurement.signal.clone(),
            phase: measurement.phase,
            variant: measurement.variant,
            window: measurement.window,
            sums: measurement.read_sums(),
            source: measurement.source.clone(),
            query_hash: measurement.query_hash.clone(),
            raw_hash: measurement.raw_hash.clone(),
            is_pushed: origin.is_pushed(),
            reread_of: origin.reread_of(),
        };
        match snapshots.last_mut().filter(|last| last.measured_at == measurement.measured_at) {
            Some(last) => last.readings.push(reading),
            None => snapshots.push(ProofSnapshot {
                measured_at: measurement.measured_at,
                logged: logged.get(&measurement.measured_at).cloned(),
                readings: vec![reading],
            }),
        }
    }
    snapshots
}

/// An evaluation without its memory.
#[derive(Serialize)]
struct Polled<'e> {
    #[serde(rename = "verdict")]
    advice: &'e Advice,
    #[serde(flatten)]
    numbers: &'e stats::Assessment,
    guardrails: &'e [stats::GuardrailResult],
    health: &'e [stats::HealthFinding],
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<&'e stats::BeforeAfter>,
}

/// What was recommended, with the reason in the words of then.
fn advice_of(point: &HistoryPoint, logged: &BTreeMap<Timestamp, ProofLogged>) -> Advice {
    let advice = point.evaluated.advice.clone();
    let said = logged.get(&point.polled_at).and_then(|logged| logged.said.as_ref());
    let said = said.filter(|said| said.decision == Some(advice.recommendation));
    let reason = said.and_then(|said| said.reason.clone());
    Advice { reason: reason.unwrap_or(advice.reason), ..advice }
}

fn poll_of(point: &HistoryPoint, logged: &BTreeMap<Timestamp, ProofLogged>) -> Result<ProofPoll> {
    let stats::Evaluated { advice: _, numbers, guardrails, health, series, running: _ } = &point.evaluated;
    let advice = &advice_of(point, logged);
    let result = serde_json::to_value(Polled { advice, numbers, guardrails, health, series: series.as_ref() })
        .map_err(|e| Error::new(Code::Internal, "an evaluation cannot be written").because(e))?;
    Ok(ProofPoll {
        polled_at: point.polled_at,
        as_of: point.poll.as_of,
        is_sampled: point.poll.is_sampled,
        has_flag_drift: point.poll.has_flag_drift,
        result,
    })
}

fn steps_of(log: &[LogEntry]) -> Vec<ProofStep> {
    let steps = log.iter().rev().filter(|line| STEPS.iter().any(|kind| line.is(*kind)));
    let shown = steps.map(|line| ProofStep {
        seq: line.seq,
        hash: line.hash.clone(),
        at: line.at,
        kind: line.kind.clone(),
        payload: line.payload.clone(),
    });
    shown.collect()
}

/// What was looked at and is not stored.
fn limits_of(plan: &Plan, readings: &[StoredReading]) -> Vec<String> {
    let mut limits = Vec::new();
    limits.extend(unstored(plan, |name| readings.iter().any(|reading| reading.measurement.signal == name)));
    if !readings.is_empty() && readings.iter().all(|reading| reading.origin.is_pushed()) {
        limits.push("the sources only push: every push counts as a poll, even if no poll used it".to_owned());
    }
    limits
}

/// The hash of a pack that has none yet.
fn hash_of(proof: &Proof) -> Result<String> {
    let value =
        serde_json::to_value(proof).map_err(|e| Error::new(Code::Internal, "a proof cannot be written").because(e))?;
    digest(&value)
}
