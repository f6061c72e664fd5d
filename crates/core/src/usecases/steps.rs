//! Taking a step: the stored state is held against the log, the transition function decides, and state, log line and
//! effects are written together.

use serde::Serialize;
use serde_json::Value;

use super::effects::StepContext;
use super::init::new_event;
use super::runtime::Runtime;
use crate::audit::LogEntry;
use crate::domain::{
    Assurance, DecisionSubject, Experiment, ExperimentState, Gate, GateType, Outcome, OutcomeSpec, OutcomeState,
    SignedDecision,
};
use crate::error::{Code, Error, Result};
use crate::ids::{ExperimentId, GateId, OutcomeId};
use crate::lifecycle::replay::{ExperimentCreated, GateOpened, OutcomeCreated, WorkspaceCreated};
use crate::lifecycle::{
    Effect, ExperimentEvent, GateEvent, GateRules, OutcomeEvent, transition_experiment, transition_gate,
    transition_outcome,
};
use crate::principal::Principal;
use crate::signing::{Keyring, canonical_json, sha256_hex};
use crate::store::Tx;

/// Most log lines of one subject that a step reads back.
const MAX_HISTORY: i64 = 10_000;

/// SHA-256 of the canonical JSON of a value.
pub(super) fn digest<T: Serialize>(value: &T) -> Result<String> {
    canonical_json(value)
        .map(sha256_hex)
        .map_err(|e| Error::new(Code::Internal, "a value cannot be written as canonical JSON").because(e))
}

fn tampered(what: &str) -> Error {
    Error::new(Code::StateTampered, format!("{what}: somebody wrote into the database"))
        .hint("nothing was done; `outcome-runtime audit verify` shows where the log and the state part")
}

fn payload<T: serde::de::DeserializeOwned>(entry: &LogEntry) -> Result<T> {
    T::deserialize(&entry.payload).map_err(|_| tampered(&format!("line {} of the log cannot be read", entry.seq)))
}

impl Runtime {
    /// The keys that count. The root's fingerprint comes from the workspace's own file where there is one, and must agree
    /// with the log's first line.
    pub(super) async fn keyring(&self, tx: &mut Tx) -> Result<Keyring> {
        let first = tx.event_page(0, 1).await?;
        let genesis: WorkspaceCreated = match first.first() {
            Some(entry) if entry.seq == 1 && entry.kind == "workspace.created" => payload(entry)?,
            _ => return Err(tampered("the log has no beginning")),
        };
        if let Some(file) = self.settings.read_workspace_file()?
            && file.root_fingerprint != genesis.root_fingerprint
        {
            return Err(tampered("the log's root key is not the one this workspace was set up with"));
        }
        let keys = tx.key_list().await?;
        let certificates = keys.into_iter().map(|key| (key.certificate, key.revoked_at));
        Ok(Keyring::build(self.workspace.id, &genesis.root_fingerprint, certificates))
    }

    /// Takes a step of an experiment and does what follows from it.
    pub(super) async fn experiment_step(
        &self,
        tx: &mut Tx,
        outcome: &Outcome,
        experiment: &mut Experiment,
        event: ExperimentEvent,
        by: &Principal,
        context: &StepContext,
    ) -> Result<Vec<Effect>> {
        let keyring = self.keyring(tx).await?;
        self.check_outcome_of(tx, &keyring, outcome).await?;
        self.check_experiment(tx, &keyring, experiment).await?;
        let (next, effects) = transition_experiment(&experiment.state, &event, by)?;
        if next.status.occupies_slot() && !experiment.state.status.occupies_slot() {
            self.check_slots(tx, outcome).await?;
        }
        let kind = event.kind(&experiment.state).map_or("step", |kind| kind.as_str());
        let now = self.now();
        tx.event_append(new_event(&format!("experiment.{kind}"), experiment.id.into(), by, &event)?, now).await?;
        experiment.state = next;
        experiment.updated_at = now;
        self.apply_effects(tx, outcome, experiment, &effects, by, context).await?;
        tx.experiment_update(experiment).await?;
        Ok(effects)
    }

    async fn check_slots(&self, tx: &mut Tx, outcome: &Outcome) -> Result<()> {
        let counts = tx.experiment_counts_of(outcome.id).await?;
        let taken: i64 = counts.into_iter().filter(|(status, _)| status.occupies_slot()).map(|(_, count)| count).sum();
        let limit = outcome.spec.portfolio.max_concurrent;
        if taken >= i64::from(limit) {
            return Err(Error::new(
                Code::SlotsFull,
                format!("{taken} experiments of `{}` are under way and its limit is {limit}", outcome.spec.slug),
            )
            .hint("finish or kill one first, or raise portfolio.max_concurrent"));
        }
        Ok(())
    }

    /// The stored state of an experiment must be what its log lines say, with every decision verified.
    pub(super) async fn check_experiment(&self, tx: &mut Tx, keyring: &Keyring, experiment: &Experiment) -> Result<()> {
        let wrong = || tampered(&format!("experiment `{}` is not what the log says", experiment.slug));
        let mut lines = tx.event_steps_of_subject(experiment.id.0, MAX_HISTORY).await?;
        lines.reverse();
        let mut lines = lines.iter().filter(|line| line.is_step());
        let created: ExperimentCreated = payload(lines.next().ok_or_else(wrong)?)?;
        if created.hypothesis_hash != digest(&experiment.hypothesis)? || created.outcome != experiment.outcome {
            return Err(tampered(&format!("the plan of experiment `{}` was changed", experiment.slug)));
        }
        let mut state: ExperimentState = created.state;
        let mut used: Vec<String> = Vec::new();
        for line in lines {
            let event: ExperimentEvent<SignedDecision> = payload(line)?;
            let event = event.verify(keyring)?;
            if let ExperimentEvent::Decided { gate, decision } = &event {
                let signed = decision.signed();
                let fits = match (gate, signed.decision.subject) {
                    (None, DecisionSubject::Experiment(id)) => id == experiment.id,
                    (Some(gate_type), DecisionSubject::Gate(id)) => {
                        self.gate_belongs(tx, keyring, id, experiment.id).await? == Some(*gate_type)
                    }
                    _ => false,
                };
                if !fits || used.contains(&signed.signature) {
                    return Err(wrong());
                }
                used.push(signed.signature.clone());
            }
            state = transition_experiment(&state, &event, &line.principal).map_err(|_| wrong())?.0;
        }
        if state == experiment.state { Ok(()) } else { Err(wrong()) }
    }

    /// Takes a step of a gate.
    pub(super) async fn gate_step(
        &self,
        tx: &mut Tx,
        gate: &mut Gate,
        rules: &GateRules,
        event: GateEvent,
        by: &Principal,
    ) -> Result<()> {
        let keyring = self.keyring(tx).await?;
        self.check_gate(tx, &keyring, gate, rules).await?;
        let email = email_of(&keyring, by);
        let now = self.now();
        gate.state = transition_gate(rules, &gate.state, &event, by, email.as_deref())?;
        if let GateEvent::Decided { decision } = &event {
            tx.decision_insert(decision).await?;
            gate.responded_at = Some(now);
        }
        tx.event_append(new_event(&format!("gate.{}", event.name()), gate.id.into(), by, &event)?, now).await?;
        tx.gate_update(gate).await
    }

    /// The stored gate must be what its log lines say.
    pub(super) async fn check_gate(
        &self,
        tx: &mut Tx,
        keyring: &Keyring,
        gate: &Gate,
        rules: &GateRules,
    ) -> Result<()> {
        let wrong = || tampered(&format!("gate `{}` is not what the log says", gate.slug));
        let mut lines = tx.event_steps_of_subject(gate.id.0, MAX_HISTORY).await?;
        lines.reverse();
        let mut lines = lines.iter().filter(|line| line.is_step());
        let opened: GateOpened = payload(lines.next().ok_or_else(wrong)?)?;
        if opened.rules.policy.assurance < Assurance::A3 && !self.has_consent(tx, keyring, opened.outcome).await? {
            return Err(wrong());
        }
        let mut state = opened.state;
        for line in lines {
            let event: GateEvent<SignedDecision> = payload(line)?;
            let event = event.verify(keyring)?;
            let email = email_of(keyring, &line.principal);
            state = transition_gate(&opened.rules, &state, &event, &line.principal, email.as_deref())
                .map_err(|_| wrong())?;
        }
        let same = opened.rules == *rules
            && state == gate.state
            && rules.context_hash == gate.context_hash
            && sha256_hex(&gate.context) == gate.context_hash
            && opened.experiment == gate.experiment
            && opened.outcome == gate.outcome;
        if same { Ok(()) } else { Err(wrong()) }
    }

    /// The type of a gate of this experiment that is decided, in its row and in the log.
    async fn gate_belongs(
        &self,
        tx: &mut Tx,
        keyring: &Keyring,
        gate: GateId,
        experiment: ExperimentId,
    ) -> Result<Option<GateType>> {
        let Some((gate, rules)) = tx.gate_get(gate).await? else { return Ok(None) };
        if gate.experiment != Some(experiment) || !gate.state.status.is_decided() {
            return Ok(None);
        }
        self.check_gate(tx, keyring, &gate, &rules).await?;
        Ok(Some(rules.gate_type))
    }

    /// True when a human ever accepted, with their passphrase, that a gate of this outcome asks for less than that.
    async fn has_consent(&self, tx: &mut Tx, keyring: &Keyring, outcome: OutcomeId) -> Result<bool> {
        for line in tx.event_steps_of_subject(outcome.0, MAX_HISTORY).await? {
            if line.kind != "outcome.applied" {
                continue;
            }
            let event: OutcomeEvent<SignedDecision> = payload(&line)?;
            if let OutcomeEvent::Applied { consent: Some(decision), .. } = event.verify(keyring)?
                && decision.get().assurance >= Assurance::A3
                && decision.get().subject == DecisionSubject::Outcome(outcome)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes a step of an outcome. With `declared` its declaration becomes that one.
    pub(super) async fn outcome_step(
        &self,
        tx: &mut Tx,
        outcome: &mut Outcome,
        declared: Option<&OutcomeSpec>,
        event: OutcomeEvent,
        by: &Principal,
    ) -> Result<()> {
        let keyring = self.keyring(tx).await?;
        self.check_outcome(tx, &keyring, outcome).await?;
        if let Some(spec) = declared {
            outcome.spec = spec.clone();
        }
        outcome.state = transition_outcome(&outcome.state, &event, by)?;
        let now = self.now();
        outcome.updated_at = now;
        if let Some(decision) = event.decision() {
            tx.decision_insert(decision).await?;
        }
        tx.event_append(new_event(&format!("outcome.{}", event.kind()), outcome.id.into(), by, &event)?, now).await?;
        let hash = digest(&outcome.spec)?;
        tx.outcome_update(outcome, &hash).await
    }

    /// The outcome whose rules and plan a step is about to use must be the stored one, and that must be what the log says.
    pub(super) async fn check_outcome_of(&self, tx: &mut Tx, keyring: &Keyring, used: &Outcome) -> Result<()> {
        let stored = tx.outcome_get(used.id).await?.ok_or_else(|| Error::not_found("outcome", &used.id.to_string()))?;
        self.check_outcome(tx, keyring, &stored).await?;
        if stored.spec == used.spec {
            return Ok(());
        }
        Err(Error::new(Code::Conflict, format!("the declaration of `{}` was changed meanwhile", used.spec.slug))
            .hint("nothing was done; try again"))
    }

    /// The stored outcome, its declaration included, must be what its log lines say.
    pub(super) async fn check_outcome(&self, tx: &mut Tx, keyring: &Keyring, outcome: &Outcome) -> Result<()> {
        let wrong = || tampered(&format!("outcome `{}` is not what the log says", outcome.spec.slug));
        let mut lines = tx.event_steps_of_subject(outcome.id.0, MAX_HISTORY).await?;
        lines.reverse();
        let mut lines = lines.iter().filter(|line| line.is_step());
        let created: OutcomeCreated = payload(lines.next().ok_or_else(wrong)?)?;
        let (mut state, mut spec_hash): (OutcomeState, String) = (created.state, created.spec_hash);
        for line in lines {
            let event: OutcomeEvent<SignedDecision> = payload(line)?;
            let event = event.verify(keyring)?;
            state = transition_outcome(&state, &event, &line.principal).map_err(|_| wrong())?;
            if let OutcomeEvent::Applied { spec_hash: applied, .. } = event {
                spec_hash = applied;
            }
        }
        if state == outcome.state && spec_hash == digest(&outcome.spec)? { Ok(()) } else { Err(wrong()) }
    }

    /// Records that something was refused, so that it can be seen who tried.
    pub(super) async fn record_refusal(
        &self,
        subject: crate::audit::Subject,
        kind: &str,
        by: &Principal,
        detail: &Value,
    ) -> Result<()> {
        let mut tx = self.write().await?;
        tx.event_append(new_event(kind, subject, by, detail)?, self.now()).await?;
        tx.commit().await
    }
}

fn email_of(keyring: &Keyring, by: &Principal) -> Option<String> {
    match by {
        Principal::Human { member, .. } => keyring.email_of(*member).map(ToOwned::to_owned),
        Principal::Agent { .. } | Principal::System { .. } => None,
    }
}
