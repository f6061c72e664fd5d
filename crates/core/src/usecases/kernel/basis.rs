//! What a decision rests on, put together from the state in the process that signs it.

use super::applied::applied_hash;
use super::digest::digest;
use super::unlock::Signer;
use crate::audit::{EventKind, chain_of};
use crate::domain::{
    Basis, ContextPackage, EvidenceBasis, Experiment, FlagMove, Gate, GateType, Nullable, Outcome, RecommendationBasis,
    Stored, Verdict,
};
use crate::error::{Code, Error, Result};
use crate::identity::Keyring;
use crate::ids::ExperimentId;
use crate::lifecycle::{GateAdvice, GateRules, flag_after, policy_basis};
use crate::store::Tx;
use crate::usecases::Runtime;

/// What a decision is about, beside its subject.
#[derive(Default, Clone, Copy)]
pub(in crate::usecases) struct About<'a> {
    /// The gate, with its rules.
    pub(in crate::usecases) gate: Option<(&'a Gate, &'a GateRules)>,
    /// The experiment, with its outcome.
    pub(in crate::usecases) experiment: Option<(&'a Experiment, &'a Outcome)>,
    /// SHA-256 of the difference that was computed in this process.
    pub(in crate::usecases) diff: Option<&'a str>,
}

/// Puts it together.
///
/// # Errors
/// When the database fails, or what it holds cannot be read.
pub(super) async fn basis(
    runtime: &Runtime,
    tx: &mut Tx,
    keyring: &Keyring,
    signer: &Signer,
    verdict: Verdict,
    about: About<'_>,
) -> Result<Basis> {
    let certificates = keyring.chain_of(signer.stored.id).ok_or_else(|| {
        Error::new(Code::StateTampered, "the member's key is not vouched for by the workspace's root key")
            .hint("nothing was signed; `outcome-runtime audit verify` shows what was tampered with")
    })?;
    let mut basis = Basis {
        root: keyring.root().to_owned(),
        certificates,
        requester: None,
        policy: None,
        recommendation: None,
        commit: None,
        diff: about.diff.map(ToOwned::to_owned),
        plan: None,
        scope: None,
        applied: applied_hash(runtime, tx).await?,
        flag: None,
        evidence: None,
    };
    if let Some((gate, rules)) = about.gate {
        let opened = tx.event_last_of_kind(gate.id.0, EventKind::GateOpened, i64::MAX).await?;
        basis.requester = opened.map(|line| line.principal);
        basis.policy = Some(policy_basis(rules, &gate.state));
        basis.recommendation = recommendation(gate, verdict)?;
    }
    if let Some((experiment, outcome)) = about.experiment {
        let gate_type = about.gate.map(|(gate, _)| gate.gate_type);
        basis.commit.clone_from(&experiment.state.commit);
        basis.plan.clone_from(&experiment.state.plan_hash);
        basis.scope = Some(digest(&outcome.spec.scope)?);
        basis.flag = flag(tx, experiment, gate_type, verdict).await?;
        basis.evidence = Some(evidence(tx, experiment).await?);
    }
    Ok(basis)
}

/// What the gate shows as recommended.
fn recommendation(gate: &Gate, verdict: Verdict) -> Result<Option<RecommendationBasis>> {
    let shown: ContextPackage = serde_json::from_str(&gate.context)
        .map_err(|e| Error::new(Code::StateTampered, "what the gate shows cannot be read").because(e))?;
    let Some(says) = shown.recommendation.clone() else { return Ok(None) };
    let is_against = advice(&shown)?.is_some_and(|advice| advice.is_against(gate.gate_type, verdict));
    Ok(Some(RecommendationBasis { says, is_against }))
}

/// What the runtime recommends at a gate about a result; `None` at others.
fn advice(shown: &ContextPackage) -> Result<Option<GateAdvice>> {
    if !shown.gate_type.is_about_result() {
        return Ok(None);
    }
    let facts = shown.facts.read()?;
    let result = Nullable::of(facts.result.as_ref()).map(Stored::read).transpose()?;
    let pause = Nullable::of(facts.pause.as_ref()).map(|pause| pause.cause);
    Ok(Some(GateAdvice::of_evaluation(result, pause).guarding(facts.attached.is_some())))
}

async fn flag(
    tx: &mut Tx,
    experiment: &Experiment,
    gate: Option<GateType>,
    verdict: Verdict,
) -> Result<Option<FlagMove>> {
    let Some(to_pct) = flag_after(&experiment.state, gate, verdict, &experiment.hypothesis.rollout) else {
        return Ok(None);
    };
    let phases = tx.phase_list(experiment.id).await?;
    let open = phases.last().filter(|phase| phase.ended_at.is_none());
    let from_pct = open.and_then(|phase| u8::try_from(phase.treatment_pct).ok()).unwrap_or(0);
    Ok(Some(FlagMove { key: experiment.hypothesis.flag_key.clone(), from_pct, to_pct }))
}

async fn evidence(tx: &mut Tx, experiment: &Experiment) -> Result<EvidenceBasis> {
    let result = experiment.current_result.as_ref().map(digest).transpose()?;
    Ok(EvidenceBasis { result, readings: readings_end(tx, experiment.id).await? })
}

/// The end of an experiment's chain of readings; `None` before the first.
async fn readings_end(tx: &mut Tx, experiment: ExperimentId) -> Result<Option<String>> {
    let last = tx.event_last_of_kind(experiment.0, EventKind::ExperimentMeasured, i64::MAX).await?;
    Ok(last.as_ref().map(chain_of))
}
