//! Corrections by hand of the data of an experiment that runs: a query that was wrong, a reading that was.
//!
//! **Invariant**: nothing that was stored is changed. The log says what does not count any more, and everything that is made
//! from readings leaves it out.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::Experiments;
use crate::audit::EventKind;
use crate::domain::{
    Assurance, Correction, DecisionSubject, Evaluation, Experiment, ExperimentStatus, MadeCorrection, Plan, SignalSpec,
    Stored, Surface, Verdict,
};
use crate::error::{Code, Error, Result};
use crate::lifecycle::{ExperimentEvent, shown_correction};
use crate::store::{Instant, SignalHealth, Snapshot, Tx};
use crate::usecases::Runtime;
use crate::usecases::kernel::anchoring::anchor_quietly;
use crate::usecases::kernel::applied::applied;
use crate::usecases::kernel::attached_guards::possible_guards;
use crate::usecases::kernel::basis::About;
use crate::usecases::kernel::decision::{ToSign, check_words, decider, note_refused_decision, require, sign};
use crate::usecases::kernel::digest::digest;
use crate::usecases::kernel::experiment_step::experiment_step;
use crate::usecases::kernel::history::{history_of, plan_of};
use crate::usecases::kernel::lookup::{experiment_named, outcome_of};
use crate::usecases::kernel::query_check::{QueryProblem, check_queries, refuse_broken};
use crate::usecases::kernel::step_context::StepContext;
use crate::usecases::kernel::unlock::Unlock;
use crate::usecases::kernel::workspace_file::config;

/// Most instants that an error lists.
const MAX_LISTED: usize = 5;

/// What is wrong with the data of an experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// The query of this signal. The outcome holds the right one: it comes with `apply`.
    Query {
        /// Name of the signal.
        signal: String,
    },
    /// The reading of this signal that was stored at this instant.
    Reading {
        /// Name of the signal.
        signal: String,
        /// When.
        measured_at: Timestamp,
    },
}

/// A human corrects the data of an experiment.
pub struct CorrectRequest {
    /// Slug or id of the experiment.
    pub experiment: String,
    /// What the human saw and signs.
    pub correction: Correction,
    /// Why, in the human's words.
    pub note: String,
    /// E-mail of the member; the first one when absent.
    pub member: Option<String>,
    /// Proof.
    pub unlock: Unlock,
    /// Where.
    pub surface: Surface,
}

/// What a correction would do.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct CorrectionPreview {
    /// Slug.
    pub experiment: String,
    /// What is corrected.
    pub correction: Correction,
    /// Error rate of its claims so far.
    pub alpha: f64,
    /// The same afterwards.
    pub alpha_after: f64,
    /// Readings that would not count any more.
    pub n_left_out: usize,
    /// Why the new query could not be tried yet, as a sentence.
    pub unchecked: Option<String>,
}

/// What a correction did.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Corrected {
    /// What was corrected, and what follows.
    #[serde(flatten)]
    pub corrected: CorrectionPreview,
    /// Where the experiment stands.
    pub experiment_status: ExperimentStatus,
    /// E-mail of who signed.
    pub decided_by: String,
    /// How sure that is.
    pub assurance: Assurance,
    /// Hash of the plan that counts from now on.
    pub plan_hash: String,
}

impl Experiments<'_> {
    /// What it would do to correct the data of an experiment. A new query is tried once on an empty window.
    ///
    /// # Errors
    /// [`Code::Conflict`] when there is nothing to correct, or an experiment is not measured; what the source says about a
    /// query that cannot run.
    #[tracing::instrument(level = "debug", name = "experiments.correction", skip_all)]
    pub async fn correction(self, experiment: &str, wrong: &Wrong) -> Result<CorrectionPreview> {
        let mut tx = self.0.read().await?;
        let experiment = experiment_named(&mut tx, experiment).await?;
        let plan = measured_plan(&experiment)?;
        let correction = correction_of(self.0, &mut tx, &experiment, &plan, wrong).await?;
        let n_left_out = n_left_out(&mut tx, &experiment, &plan, &correction, self.0.now()).await?;
        drop(tx);
        let unchecked = try_query(self.0, &plan, &correction).await?;
        Ok(preview(&experiment, &plan, correction, n_left_out, unchecked))
    }

    /// Corrects the data of an experiment, with a signed decision. What was measured is judged anew without what was wrong,
    /// and claims have half of their error rate from now on.
    ///
    /// # Errors
    /// As [`Self::correction`]; [`Code::Conflict`] when something else would be corrected than what was shown; as
    /// [`crate::usecases::Gates::decide`]. Always needs a passphrase.
    #[tracing::instrument(level = "debug", name = "experiments.correct", skip_all)]
    pub async fn correct(self, request: CorrectRequest) -> Result<Corrected> {
        let mut tx = self.0.read().await?;
        let experiment = experiment_named(&mut tx, &request.experiment).await?;
        drop(tx);
        // On the heap: it is large, and callers have futures of their own around it.
        match Box::pin(try_correct(self.0, &request)).await {
            Ok(corrected) => Ok(corrected),
            Err(error) => {
                let verdict = Some(verdict_of(&request.correction));
                let kind = EventKind::ExperimentRefused;
                note_refused_decision(self.0, experiment.id.into(), kind, verdict, &error).await;
                Err(error)
            }
        }
    }
}

async fn try_correct(runtime: &Runtime, request: &CorrectRequest) -> Result<Corrected> {
    let verdict = verdict_of(&request.correction);
    check_words(&[], Some(&request.note), verdict)?;
    if request.note.trim().is_empty() {
        return Err(
            Error::new(Code::InvalidInput, "a correction needs a reason").hint("say what was wrong: --note WHY")
        );
    }
    let wrong = wrong_of(&request.correction);
    let shown = Experiments(runtime).correction(&request.experiment, &wrong).await?;
    let signer = decider(runtime, request.member.as_deref(), &request.unlock, verdict).await?;
    let mut tx = runtime.write().await?;
    let mut experiment = experiment_named(&mut tx, &request.experiment).await?;
    let outcome = outcome_of(&mut tx, &experiment).await?;
    let plan = measured_plan(&experiment)?;
    let correction = correction_of(runtime, &mut tx, &experiment, &plan, &wrong).await?;
    if correction != request.correction {
        let message = "the query in the outcome was changed since it was shown";
        return Err(Error::new(Code::Conflict, message).hint("nothing was done; look at the correction again"));
    }
    let now = runtime.now();
    let n_left_out = n_left_out(&mut tx, &experiment, &plan, &correction, now).await?;
    let next = correction.applied_to(&plan);
    let plan_hash = digest(&next)?;
    let shown_hash = shown_correction(&experiment.state, &correction, &plan_hash)?;
    let subject = DecisionSubject::Experiment(experiment.id);
    let about = About { experiment: Some((&experiment, &outcome)), ..About::default() };
    let what = ToSign { subject, shown: &shown_hash, verdict, about };
    let decision = sign(runtime, &mut tx, &signer, what, |decision| {
        decision.note = Some(request.note.clone());
        decision.surface = request.surface;
    })
    .await?;
    require(&decision, Assurance::A3)?;
    tx.decision_insert(&decision).await?;
    judge_anew(&mut tx, &mut experiment, &next, &correction, now).await?;
    let by = signer.principal();
    let assurance = decision.get().assurance;
    let event = ExperimentEvent::Corrected { correction: correction.clone(), plan_hash: plan_hash.clone(), decision };
    experiment_step(runtime, &mut tx, &outcome, &mut experiment, event, &by, &StepContext::default()).await?;
    if let Some(health) = tx.signal_health_get(experiment.id.0, correction.signal()).await? {
        tx.signal_health_put(experiment.id.0, &due_now(health, now)).await?;
    }
    tx.commit().await?;
    anchor_quietly(runtime, &signer).await;
    Ok(Corrected {
        corrected: preview(&experiment, &plan, correction, n_left_out, shown.unchecked),
        experiment_status: experiment.state.status,
        decided_by: signer.member.shown(),
        assurance,
        plan_hash,
    })
}

fn verdict_of(correction: &Correction) -> Verdict {
    match correction {
        Correction::Query { .. } => Verdict::CorrectQuery,
        Correction::Reading { .. } => Verdict::ForgetReading,
    }
}

fn wrong_of(correction: &Correction) -> Wrong {
    match correction.clone() {
        Correction::Query { signal, .. } => Wrong::Query { signal },
        Correction::Reading { signal, measured_at } => Wrong::Reading { signal, measured_at },
    }
}

fn preview(
    experiment: &Experiment,
    plan: &Plan,
    correction: Correction,
    n_left_out: usize,
    unchecked: Option<String>,
) -> CorrectionPreview {
    CorrectionPreview {
        experiment: experiment.slug.to_string(),
        alpha: plan.alpha,
        alpha_after: correction.applied_to(plan).alpha,
        correction,
        n_left_out,
        unchecked,
    }
}

/// The plan of an experiment whose readings can be corrected.
fn measured_plan(experiment: &Experiment) -> Result<Plan> {
    let status = experiment.state.status;
    if !status.is_polled() {
        return Err(Error::new(
            Code::Conflict,
            format!("experiment `{}` is not measured: it is {status}", experiment.slug),
        )
        .hint("a correction needs an experiment between its launch and its end"));
    }
    let plan = plan_of(experiment)?;
    if !plan.design.has_control() {
        let message = format!(
            "experiment `{}` has no control group: its weekly blocks are read anew at each poll",
            experiment.slug
        );
        return Err(Error::new(Code::Conflict, message)
            .hint("`iterate` ends it and drafts a successor, which takes the outcome's query of today"));
    }
    Ok(plan)
}

/// The correction that is asked for, from what is stored.
async fn correction_of(
    runtime: &Runtime,
    tx: &mut Tx,
    experiment: &Experiment,
    plan: &Plan,
    wrong: &Wrong,
) -> Result<Correction> {
    match wrong {
        Wrong::Query { signal } => {
            let planned = planned_signal(plan, signal)?;
            let outcome = outcome_of(tx, experiment).await?;
            let guards = outcome.spec.guardrails().map(|(signal, ..)| signal);
            let declared = std::iter::once(&outcome.spec.signal).chain(guards).find(|found| found.name == *signal);
            // What guards an experiment that runs elsewhere can be any metric of the file.
            let applied = applied(runtime, tx).await?.filter(|_| plan.attached.is_some());
            let mut others = applied.iter().flat_map(|applied| possible_guards(&applied.config, &outcome.spec));
            let declared = declared.or_else(|| others.find(|found| found.name == *signal));
            query_correction(planned, declared)
        }
        Wrong::Reading { signal, measured_at } => {
            planned_signal(plan, signal)?;
            let readings = history_of(tx, experiment, plan).await?.readings;
            let of_signal = || readings.iter().filter(|reading| *reading.signal == *signal);
            if of_signal().any(|reading| reading.measured_at == *measured_at) {
                return Ok(Correction::Reading { signal: signal.clone(), measured_at: *measured_at });
            }
            let mut times: Vec<Timestamp> = of_signal().map(|reading| reading.measured_at).collect();
            times.dedup();
            let newest: Vec<String> = times.iter().rev().take(MAX_LISTED).map(ToString::to_string).collect();
            let hint = if newest.is_empty() {
                format!("no reading of `{signal}` counts at present")
            } else {
                format!("its newest readings: {}", newest.join(", "))
            };
            Err(Error::not_found("reading", &format!("{signal} at {measured_at}")).hint(hint))
        }
    }
}

fn planned_signal<'p>(plan: &'p Plan, name: &str) -> Result<&'p SignalSpec> {
    plan.signals().find(|signal| signal.name == name).ok_or_else(|| {
        let known: Vec<&str> = plan.signals().map(|signal| signal.name.as_str()).collect();
        Error::not_found("signal", name).hint(format!("the plan reads: {}", known.join(", ")))
    })
}

/// Only the query may differ: whatever else is measured is another metric, and needs an experiment of its own.
fn query_correction(planned: &SignalSpec, declared: Option<&SignalSpec>) -> Result<Correction> {
    let name = &planned.name;
    let declared = declared.ok_or_else(|| {
        Error::new(Code::Conflict, format!("the outcome does not declare the signal `{name}` any more"))
            .hint("declare it in the outcome file with the corrected query, and run `outcome-runtime apply`")
    })?;
    let is_same_metric =
        (&declared.source, &declared.metric, declared.method, &declared.funnel_steps, &declared.segment)
            == (&planned.source, &planned.metric, planned.method, &planned.funnel_steps, &planned.segment);
    if !is_same_metric {
        return Err(Error::new(
            Code::Conflict,
            format!("the outcome measures `{name}` otherwise than the plan, not only with another query"),
        )
        .hint("a running experiment keeps its metric: decide `iterate`, and the successor gets the new one"));
    }
    if declared.query == planned.query {
        return Err(Error::new(Code::Conflict, format!("the outcome and the plan read `{name}` with the same query"))
            .hint("correct the query in the outcome file, run `outcome-runtime apply`, then this command again"));
    }
    Ok(Correction::Query { signal: name.clone(), before: planned.query.clone(), after: declared.query.clone() })
}

/// Tries the corrected query. A source that does not answer is a sentence, a query that cannot run is an error.
async fn try_query(runtime: &Runtime, plan: &Plan, correction: &Correction) -> Result<Option<String>> {
    let Correction::Query { signal, .. } = correction else { return Ok(None) };
    let next = correction.applied_to(plan);
    let corrected = planned_signal(&next, signal)?.clone();
    let problems = check_queries(runtime, &config(runtime).await?, vec![corrected]).await?;
    let problems = refuse_broken(problems, "the corrected query cannot run")?;
    Ok(problems.first().map(QueryProblem::in_words))
}

async fn n_left_out(
    tx: &mut Tx,
    experiment: &Experiment,
    plan: &Plan,
    correction: &Correction,
    now: Timestamp,
) -> Result<usize> {
    let made = MadeCorrection { at: now, correction: correction.clone() };
    let readings = history_of(tx, experiment, plan).await?.readings;
    Ok(readings.iter().filter(|reading| is_left_out(&made, reading)).count())
}

fn is_left_out(made: &MadeCorrection, reading: &Snapshot) -> bool {
    made.leaves_out(&reading.signal, reading.measured_at, reading.origin.reread_of())
}

/// What is remembered of the experiment becomes what it had been without what was wrong.
async fn judge_anew(
    tx: &mut Tx,
    experiment: &mut Experiment,
    next: &Plan,
    correction: &Correction,
    now: Timestamp,
) -> Result<()> {
    let mut history = history_of(tx, experiment, next).await?;
    let made = MadeCorrection { at: now, correction: correction.clone() };
    history.readings.retain(|reading| !is_left_out(&made, reading));
    let latest = history.latest()?;
    experiment.plan = Some(Stored::new(next.clone())?);
    experiment.running = latest.as_ref().map(|last| Stored::new(last.evaluated.running.clone())).transpose()?;
    experiment.current_result = match &latest {
        Some(last) => {
            let n_readings = history.readings.iter().filter(|reading| reading.measured_at == last.polled_at).count();
            let result = Evaluation::of(next, &last.evaluated, last.polled_at, n_readings).with_capped(last.capped);
            Some(Stored::new(result)?)
        }
        None => None,
    };
    Ok(())
}

/// Whatever made a signal fail was corrected: it is read at the next poll.
fn due_now(health: SignalHealth, now: Timestamp) -> SignalHealth {
    SignalHealth { due_at: Instant(now), failures: 0, failing_since: None, last_error: None, ..health }
}
