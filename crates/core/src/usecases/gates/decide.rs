//! A human decides: the only way in which a gate ends other than by being superseded.

use jiff::Timestamp;

use super::Gates;
use super::change::prepare_change;
use super::decided::Decided;
use super::launch::{LaunchQueries, check_launch_queries, launch_drift, refuse_live_flag, void_launch, void_reason};
use super::rebuild::{Rebuilt, rebuild};
use super::view::GateView;
use crate::audit::EventKind;
use crate::domain::{
    ContextPackage, DecisionSubject, Experiment, Gate, GateStatus, GateType, Outcome, RecommendationBasis, Surface,
    Verdict,
};
use crate::error::{Code, Error, Result};
use crate::identity::VerifiedDecision;
use crate::lifecycle::{ExperimentEvent, GateEvent, GateRules};
use crate::present::instant;
use crate::principal::Principal;
use crate::store::Tx;
use crate::usecases::Runtime;
use crate::usecases::kernel::anchoring::anchor_quietly;
use crate::usecases::kernel::basis::About;
use crate::usecases::kernel::built::default_branch;
use crate::usecases::kernel::decision::{ToSign, check_words, decider, note_refused_decision, sign};
use crate::usecases::kernel::experiment_step::experiment_step;
use crate::usecases::kernel::flag::refuse_moved_flag;
use crate::usecases::kernel::gate_context::{conflicts, may_spread};
use crate::usecases::kernel::gate_step::gate_step;
use crate::usecases::kernel::lookup::{gate_named, outcome_of};
use crate::usecases::kernel::proposal::require_exposures;
use crate::usecases::kernel::questions::follow_answer;
use crate::usecases::kernel::read_again::must_be_read_again;
use crate::usecases::kernel::step_context::StepContext;
use crate::usecases::kernel::unlock::{Pen, Unlock};
use crate::usecases::outbox::deliver::deliver_now;

/// A decision that is asked for.
pub struct DecideRequest {
    /// Slug or id of the gate.
    pub gate: String,
    /// What was decided.
    pub verdict: Verdict,
    /// Conditions, for `approve_with_conditions`.
    pub conditions: Vec<String>,
    /// The human's words.
    pub note: Option<String>,
    /// SHA-256 of what the human was shown; refused when the gate shows something else.
    pub context_hash: Option<String>,
    /// E-mail of the member; the first one when absent.
    pub member: Option<String>,
    /// Proof.
    pub unlock: Unlock,
    /// Where.
    pub surface: Surface,
}

impl Gates<'_> {
    /// Decides a gate with a signed decision.
    ///
    /// # Errors
    /// [`Code::PassphraseWrong`], [`Code::AssuranceTooLow`], [`Code::GateNotPending`], [`Code::NotGateHolder`],
    /// [`Code::ContextChanged`], [`Code::SlotsFull`], [`Code::StateTampered`] ... Refusals are recorded.
    #[tracing::instrument(level = "debug", name = "gates.decide", skip_all)]
    pub async fn decide(self, request: DecideRequest) -> Result<Decided> {
        let mut tx = self.0.read().await?;
        let (gate, _) = gate_named(&mut tx, &request.gate).await?;
        drop(tx);
        let done = request.unlock.signing(|| try_decide(self.0, &gate, &request)).await;
        match done {
            Ok(decided) => Ok(decided),
            Err(error) => {
                note_refused_decision(self.0, gate.id.into(), EventKind::GateRefused, Some(request.verdict), &error)
                    .await;
                Err(error)
            }
        }
    }

    /// Records that a front end refused a decision before any key was tried, for want of a human.
    #[tracing::instrument(level = "debug", name = "gates.refused", skip_all)]
    pub async fn refused(self, gate: &GateView, verdict: Option<Verdict>, error: &Error) {
        note_refused_decision(self.0, gate.id.into(), EventKind::GateRefused, verdict, error).await;
    }
}

async fn try_decide(runtime: &Runtime, gate: &Gate, request: &DecideRequest) -> Result<Decided> {
    if request.context_hash.as_ref().is_some_and(|shown| *shown != gate.context_hash) {
        return Err(Error::new(Code::ContextChanged, format!("gate `{}` has changed since it was shown", gate.slug))
            .hint("review it again, then decide"));
    }
    let shown: ContextPackage = serde_json::from_str(&gate.context)
        .map_err(|e| Error::new(Code::StateTampered, "what the gate shows cannot be read").because(e))?;
    if !shown.verdicts.contains(&request.verdict) {
        let valid: Vec<_> = shown.verdicts.iter().map(|verdict| verdict.as_str()).collect();
        return Err(Error::new(
            Code::InvalidInput,
            format!("gate `{}` ({}) does not accept `{}`", gate.slug, gate.gate_type, request.verdict),
        )
        .hint(format!("it takes {}", valid.join(", "))));
    }
    check_words(&request.conditions, request.note.as_deref(), request.verdict)?;
    let signer = decider(runtime, request.member.as_deref(), &request.unlock, request.verdict).await?;
    let is_launch = gate.gate_type == GateType::LaunchApproval && !request.verdict.is_negative();
    if is_launch {
        Box::pin(refuse_live_flag(runtime, gate)).await?;
    }
    if gives_treatment(gate.gate_type, request.verdict) {
        let experiment = match gate.experiment {
            Some(id) => runtime.read().await?.experiment_get(id).await?,
            None => None,
        };
        if let Some(experiment) = experiment {
            Box::pin(refuse_moved_flag(runtime, &experiment)).await?;
        }
    }
    let tried = if is_launch { check_launch_queries(runtime, gate).await? } else { LaunchQueries::default() };
    let head_of_branch = launch_drift(runtime, gate).await?;
    let is_change = gate.gate_type == GateType::ChangeApproval && !request.verdict.is_negative();
    let change = if is_change { Some(prepare_change(runtime, gate).await?) } else { None };
    let is_build = gate.gate_type == GateType::PortfolioReview && !request.verdict.is_negative();
    let rebuilt = if is_launch { Some(rebuild(runtime, gate, &shown).await?) } else { None };
    let base = match &rebuilt {
        Some(rebuilt) => {
            rebuilt.needs_reason(request.note.as_deref())?;
            rebuilt.base()
        }
        None if is_build => default_branch(runtime).await?,
        None => None,
    };

    let mut tx = runtime.write().await?;
    let (mut gate, rules) = gate_named(&mut tx, &request.gate).await?;
    let found = experiment_of(&mut tx, &gate).await?;
    if let (true, Some((_, outcome))) = (is_build, &found) {
        require_exposures(&outcome.spec)?;
    }
    if matches!(signer.pen, Pen::Touch(_)) {
        must_be_open(&gate)?;
    }
    let diff = rebuilt.as_ref().map(Rebuilt::diff).transpose()?.flatten();
    let about = About {
        gate: Some((&gate, &rules)),
        experiment: found.as_ref().map(|(experiment, outcome)| (experiment, outcome)),
        diff: diff.as_deref(),
    };
    let (subject, verdict) = (DecisionSubject::Gate(gate.id), request.verdict);
    let what = ToSign { subject, shown: &gate.context_hash, verdict, about };
    let decision = sign(runtime, &mut tx, &signer, what, |decision| {
        decision.conditions.clone_from(&request.conditions);
        decision.note.clone_from(&request.note);
        decision.surface = request.surface;
        decision.base.clone_from(&base);
    })
    .await?;
    let by = signer.principal();
    let void = match void_reason(&mut tx, &gate, head_of_branch).await? {
        None => rebuilt.as_ref().and_then(Rebuilt::void),
        reason => reason,
    };
    if let Some(reason) = void {
        return void_launch(runtime, tx, &mut gate, &reason).await;
    }
    needs_reason(&decision)?;
    gate_step(runtime, &mut tx, &mut gate, &rules, GateEvent::Decided { decision: decision.clone() }, &by).await?;
    let experiment = follow_decision(runtime, &mut tx, &gate, &rules, &decision, &by).await?;
    let unchecked = match (&experiment, change) {
        (Some(experiment), _) if is_launch => tried.keep(runtime, &mut tx, experiment).await?,
        (_, Some(change)) if gate.state.status == GateStatus::Approved => {
            change.follow(runtime, &mut tx, &decision, &by).await?
        }
        _ => Vec::new(),
    };
    tx.commit().await?;
    // Flags first: an anchor can wait for a slow git.
    let deliveries = deliver_now(runtime).await;
    anchor_quietly(runtime, &signer).await;
    Ok(Decided {
        gate: Some(gate.slug.to_string()),
        gate_status: Some(gate.state.status),
        verdict: request.verdict,
        decided_by: signer.member.shown(),
        assurance: decision.get().assurance,
        experiment: experiment.as_ref().map(|experiment| experiment.slug.to_string()),
        experiment_status: experiment.map(|experiment| experiment.state.status),
        deliveries,
        unchecked,
    })
}

/// Nobody is asked to touch a key for a gate that was decided meanwhile; the step itself would refuse it afterwards.
fn must_be_open(gate: &Gate) -> Result<()> {
    if !gate.state.status.is_decided() && gate.state.status != GateStatus::Superseded {
        return Ok(());
    }
    let message = format!("gate `{}` is {} and accepts no decision", gate.slug, gate.state.status);
    Err(Error::new(Code::GateNotPending, message).hint("a gate accepts only one decision"))
}

/// The experiment that a gate is about, with its outcome.
async fn experiment_of(tx: &mut Tx, gate: &Gate) -> Result<Option<(Experiment, Outcome)>> {
    let Some(id) = gate.experiment else { return Ok(None) };
    let Some(experiment) = tx.experiment_get(id).await? else { return Ok(None) };
    let outcome = outcome_of(tx, &experiment).await?;
    Ok(Some((experiment, outcome)))
}

/// What goes against the recommendation is decided with a reason: it is read again when somebody asks why.
fn needs_reason(decision: &VerifiedDecision) -> Result<()> {
    let decision = decision.get();
    let has_reason = decision.note.as_ref().is_some_and(|note| !note.trim().is_empty());
    let recommended = decision.basis.as_ref().and_then(|basis| basis.recommendation.as_ref());
    match recommended.filter(|recommended| recommended.is_against && !has_reason) {
        None => Ok(()),
        Some(RecommendationBasis { says, .. }) => Err(Error::new(
            Code::InvalidInput,
            format!("`{}` goes against what is recommended ({says})", decision.verdict),
        )
        .hint("say why in the note, or decide as recommended")),
    }
}

/// Whether the decision gives the treatment to people because of a result.
fn gives_treatment(gate_type: GateType, verdict: Verdict) -> bool {
    gate_type.is_about_result() && !verdict.is_negative() && verdict != Verdict::Detach
}

/// Nobody gives a treatment to more people while harm, a breach or bad data is present, nor on what was read long ago.
fn check_spread(
    experiment: &Experiment,
    outcome: &Outcome,
    gate_type: GateType,
    verdict: Verdict,
    now: Timestamp,
) -> Result<()> {
    let goes_on_as_it_was = matches!(verdict, Verdict::Extend | Verdict::Resume);
    if goes_on_as_it_was || !gives_treatment(gate_type, verdict) {
        return Ok(());
    }
    let result = experiment.current_result.as_ref().and_then(|result| result.read().ok());
    let limit = outcome.spec.staleness;
    let read_at = result.and_then(|result| result.polled_at);
    if let Some(read_at) = read_at.filter(|at| now.duration_since(*at) > limit.get()) {
        let message = format!("`{}` was read for the last time at {}", experiment.slug, instant(read_at));
        return Err(Error::new(Code::Conflict, message).hint(format!(
            "that is longer ago than `staleness` ({limit}): run `outcome-runtime poll --all`, and look at what it finds"
        )));
    }
    if may_spread(experiment) {
        return Ok(());
    }
    let reason = result.map_or("its result cannot be read", |result| result.advice.reason.as_str());
    Err(Error::new(Code::Conflict, format!("`{}` must not reach more people now: {reason}", experiment.slug))
        .hint("run `outcome-runtime poll`: the gate is then replaced by one that shows what was found"))
}

/// The experiment takes the step that the gate's decision stands for.
async fn follow_decision(
    runtime: &Runtime,
    tx: &mut Tx,
    gate: &Gate,
    rules: &GateRules,
    decision: &VerifiedDecision,
    by: &Principal,
) -> Result<Option<Experiment>> {
    let Some((mut experiment, outcome)) = experiment_of(tx, gate).await? else { return Ok(None) };
    let verdict = decision.get().verdict;
    if !gate.state.status.is_decided() {
        return Ok(Some(experiment));
    }
    if rules.gate_type == GateType::Escalation {
        follow_answer(runtime, tx, gate, &mut experiment, &outcome, verdict, by).await?;
        return Ok(Some(experiment));
    }
    if gives_treatment(gate.gate_type, verdict) {
        must_be_read_again(tx, &experiment).await?;
    }
    check_spread(&experiment, &outcome, gate.gate_type, verdict, runtime.now())?;
    if !verdict.is_negative() && gate.gate_type == GateType::LaunchApproval {
        // Two that wait for their launch do not block each other: the first that is approved wins.
        let conflicts = conflicts(tx, &experiment, |other| other.state.status.is_polled()).await?;
        if let Some(conflict) = conflicts.first() {
            return Err(Error::new(Code::Conflict, format!("`{}` cannot launch: {conflict}", experiment.slug))
                .hint("conclude the other experiment first, or send this one back for rework"));
        }
    }
    let context = StepContext {
        note: decision.get().note.clone(),
        base: decision.get().base.as_ref().map(|base| base.commit.clone()),
        conclusion: Some(format!("{verdict} at the {} gate", gate.gate_type)),
        ..StepContext::default()
    };
    let event = ExperimentEvent::Decided { gate: Some(gate.gate_type), decision: decision.clone() };
    experiment_step(runtime, tx, &outcome, &mut experiment, event, by, &context).await?;
    Ok(Some(experiment))
}
