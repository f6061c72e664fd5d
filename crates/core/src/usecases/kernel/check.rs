//! The stored state of an outcome, an experiment and a gate is compared with the log before it is used.

use super::digest::digest;
use super::keyring::email_of_before;
use super::tampered::{payload, tampered};
use super::written::Writers;
use crate::audit::replay::{ExperimentCreated, GateOpened, OutcomeCreated};
use crate::audit::{EventKind, LogEntry};
use crate::digest::sha256_hex;
use crate::domain::{
    Assurance, Decision, DecisionSubject, DefaultBranch, Experiment, ExperimentState, Gate, GateType, Outcome,
    OutcomeState, SignedDecision,
};
use crate::error::{Code, Error, Result};
use crate::identity::Keyring;
use crate::ids::{ExperimentId, GateId, OutcomeId};
use crate::lifecycle::{
    Effect, ExperimentEvent, GateEvent, GateRules, OutcomeEvent, OutcomeEventKind, transition_experiment,
    transition_gate, transition_outcome,
};
use crate::store::Tx;

/// Most log lines of one subject that a step reads back.
const MAX_HISTORY: i64 = 10_000;

/// The log lines that changed a subject's state, oldest first, as the runtime wrote them. `writers`: those that the log knows.
async fn steps_of(tx: &mut Tx, writers: &Writers, subject: uuid::Uuid) -> Result<Vec<LogEntry>> {
    let mut steps = Vec::new();
    for line in tx.event_steps_of_subject(subject, MAX_HISTORY).await?.into_iter().rev() {
        let kind = line.event_kind().map_err(|unknown| {
            Error::new(Code::AuditBroken, format!("line {} of the audit log cannot be read", line.seq))
                .hint("update this program, or run `outcome-runtime audit verify` if no newer one was used here")
                .because(unknown)
        })?;
        if kind.is_step() {
            steps.push(line);
        }
    }
    writers.must_have_written(&steps)?;
    Ok(steps)
}

/// The stored state of an experiment must be what its log lines say, with every decision verified.
pub(in crate::usecases) async fn check_experiment(
    tx: &mut Tx,
    keyring: &Keyring,
    experiment: &Experiment,
) -> Result<()> {
    approval(tx, keyring, experiment).await.map(drop)
}

/// What was signed when the build was approved.
#[derive(Debug, Default)]
pub(in crate::usecases) struct Approval {
    /// The default branch. There is none in decisions of before, and where the repository had no commit.
    pub(in crate::usecases) base: Option<DefaultBranch>,
    /// SHA-256 of the outcome file that was applied. There is none in decisions of before.
    pub(in crate::usecases) applied: Option<String>,
}

/// The same; gives what was signed when the build was approved, and nothing where it was not yet.
pub(in crate::usecases) async fn approval(tx: &mut Tx, keyring: &Keyring, experiment: &Experiment) -> Result<Approval> {
    let Walked { state, approval, .. } = walked(tx, keyring, experiment).await?;
    let is_base_right = approval.base.as_ref().is_none_or(|base| experiment.base_commit.as_ref() == Some(&base.commit));
    if state == experiment.state && is_base_right { Ok(approval) } else { Err(differs(experiment)) }
}

fn differs(experiment: &Experiment) -> Error {
    tampered(&format!("experiment `{}` differs from the log", experiment.slug))
}

/// Where the flag of an experiment belonged by the lines of the log, with every decision verified: the shares of the treatment in percent,
/// 0 for off, the present one last. The stored state must be what they say.
pub(in crate::usecases) async fn flag_shares(
    tx: &mut Tx,
    keyring: &Keyring,
    experiment: &Experiment,
) -> Result<Vec<u8>> {
    let walked = walked(tx, keyring, experiment).await?;
    if walked.state == experiment.state { Ok(walked.shares) } else { Err(differs(experiment)) }
}

/// What follows from the lines of the log about an experiment.
pub(super) struct Walked {
    /// Its state.
    pub(super) state: ExperimentState,
    /// What was signed when the build was approved.
    pub(super) approval: Approval,
    /// Where its flag belonged, in percent, the present share last; 0 is off.
    shares: Vec<u8>,
}

/// What follows from the lines of the log, with every decision verified.
pub(super) async fn walked(tx: &mut Tx, keyring: &Keyring, experiment: &Experiment) -> Result<Walked> {
    let mut approval: Option<Approval> = None;
    let wrong = || differs(experiment);
    // Read once: an experiment has many gates.
    let writers = Writers::of(tx).await?;
    let lines = steps_of(tx, &writers, experiment.id.0).await?;
    let mut lines = lines.iter();
    let created: ExperimentCreated = payload(lines.next().ok_or_else(wrong)?)?;
    if created.hypothesis_hash != digest(&experiment.hypothesis)? || created.outcome != experiment.outcome {
        return Err(tampered(&format!("the plan of experiment `{}` was changed", experiment.slug)));
    }
    let mut state: ExperimentState = created.state;
    let mut shares = vec![0];
    let mut used: Vec<String> = Vec::new();
    for line in lines {
        let event: ExperimentEvent<SignedDecision> = payload(line)?;
        let event = event.verify(keyring, line.seq)?;
        if let Some((gate, decision)) = event.decision() {
            let signed = decision.signed();
            let fits = match (gate, signed.decision().subject) {
                (None, DecisionSubject::Experiment(id)) => id == experiment.id,
                (Some(gate_type), DecisionSubject::Gate(id)) => {
                    gate_belongs(tx, keyring, &writers, id, experiment.id).await? == Some(gate_type)
                }
                _ => false,
            };
            if !fits || used.contains(&signed.name()) {
                return Err(wrong());
            }
            used.push(signed.name());
            if gate == Some(GateType::PortfolioReview) {
                approval = approval.or_else(|| Some(Approval::of(signed.decision())));
            }
        }
        let (next, effects) = transition_experiment(&state, &event, &line.principal).map_err(|_| wrong())?;
        state = next;
        shares.extend(effects.iter().filter_map(|effect| match effect {
            Effect::SetFlag | Effect::WatchFlag => Some(experiment.hypothesis.rollout.pct(state.step).unwrap_or(0)),
            Effect::SetFlagFull => Some(100),
            Effect::FlagOff => Some(0),
            _ => None,
        }));
    }
    Ok(Walked { state, approval: approval.unwrap_or_default(), shares })
}

impl Approval {
    fn of(decision: &Decision) -> Self {
        Self { base: decision.base.clone(), applied: decision.basis.as_ref().and_then(|basis| basis.applied.clone()) }
    }
}

/// The type of a gate of this experiment that is decided, in its row and in the log.
async fn gate_belongs(
    tx: &mut Tx,
    keyring: &Keyring,
    writers: &Writers,
    gate: GateId,
    experiment: ExperimentId,
) -> Result<Option<GateType>> {
    let Some((gate, rules)) = tx.gate_get(gate).await? else { return Ok(None) };
    if gate.experiment != Some(experiment) || !gate.state.status.is_decided() {
        return Ok(None);
    }
    check_gate_with(tx, keyring, writers, &gate, &rules).await?;
    Ok(Some(rules.gate_type))
}

/// The stored gate must be what its log lines say.
pub(super) async fn check_gate(tx: &mut Tx, keyring: &Keyring, gate: &Gate, rules: &GateRules) -> Result<()> {
    let writers = Writers::of(tx).await?;
    check_gate_with(tx, keyring, &writers, gate, rules).await
}

async fn check_gate_with(
    tx: &mut Tx,
    keyring: &Keyring,
    writers: &Writers,
    gate: &Gate,
    rules: &GateRules,
) -> Result<()> {
    let wrong = || tampered(&format!("gate `{}` differs from the log", gate.slug));
    let lines = steps_of(tx, writers, gate.id.0).await?;
    let mut lines = lines.iter();
    let opened: GateOpened = payload(lines.next().ok_or_else(wrong)?)?;
    if opened.rules.policy.assurance < Assurance::A3 && !has_consent(tx, keyring, opened.outcome).await? {
        return Err(wrong());
    }
    let mut state = opened.state;
    for line in lines {
        let event: GateEvent<SignedDecision> = payload(line)?;
        let event = event.verify(keyring, line.seq)?;
        let email = email_of_before(keyring, &line.principal);
        state =
            transition_gate(&opened.rules, &state, &event, &line.principal, email.as_deref()).map_err(|_| wrong())?;
    }
    let same = opened.rules == *rules
        && state == gate.state
        && rules.context_hash == gate.context_hash
        && sha256_hex(&gate.context) == gate.context_hash
        && opened.experiment == gate.experiment
        && opened.outcome == gate.outcome;
    if same { Ok(()) } else { Err(wrong()) }
}

/// True when a human ever accepted, with their passphrase, that a gate of this outcome asks for less than that.
async fn has_consent(tx: &mut Tx, keyring: &Keyring, outcome: Option<OutcomeId>) -> Result<bool> {
    let Some(outcome) = outcome else { return Ok(false) };
    for line in tx.event_steps_of_subject(outcome.0, MAX_HISTORY).await? {
        if !line.is(EventKind::Outcome(OutcomeEventKind::Applied)) {
            continue;
        }
        let event: OutcomeEvent<SignedDecision> = payload(&line)?;
        if let OutcomeEvent::Applied { consent: Some(decision), .. } = event.verify(keyring, line.seq)?
            && decision.get().assurance >= Assurance::A3
            && decision.get().subject == DecisionSubject::Outcome(outcome)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The outcome whose rules and plan a step is about to use must be the stored one, and that must be what the log says.
pub(in crate::usecases) async fn check_outcome_of(tx: &mut Tx, keyring: &Keyring, used: &Outcome) -> Result<()> {
    let stored = tx.outcome_get(used.id).await?.ok_or_else(|| Error::not_found("outcome", &used.id.to_string()))?;
    check_outcome(tx, keyring, &stored).await?;
    if stored.spec == used.spec {
        return Ok(());
    }
    Err(Error::new(Code::Conflict, format!("the declaration of `{}` was changed in the meantime", used.spec.slug))
        .hint("nothing was done; try again"))
}

/// The stored outcome, its declaration included, must be what its log lines say.
pub(super) async fn check_outcome(tx: &mut Tx, keyring: &Keyring, outcome: &Outcome) -> Result<()> {
    let wrong = || tampered(&format!("outcome `{}` differs from the log", outcome.spec.slug));
    let writers = Writers::of(tx).await?;
    let lines = steps_of(tx, &writers, outcome.id.0).await?;
    let mut lines = lines.iter();
    let created: OutcomeCreated = payload(lines.next().ok_or_else(wrong)?)?;
    let (mut state, mut spec_hash): (OutcomeState, String) = (created.state, created.spec_hash);
    for line in lines {
        let event: OutcomeEvent<SignedDecision> = payload(line)?;
        let event = event.verify(keyring, line.seq)?;
        state = transition_outcome(&state, &event, &line.principal).map_err(|_| wrong())?;
        if let OutcomeEvent::Applied { spec_hash: applied, .. } = event {
            spec_hash = applied;
        }
    }
    if state == outcome.state && spec_hash == digest(&outcome.spec)? { Ok(()) } else { Err(wrong()) }
}
