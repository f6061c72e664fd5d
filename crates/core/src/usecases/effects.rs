//! What follows from a step, done in the same transaction: gates, flags (through the outbox), plans, results, learnings.

use serde_json::{Value, json};

use super::init::new_event;
use super::runtime::Runtime;
use super::steps::digest;
use crate::domain::{Author, Experiment, Gate, GateState, GateStatus, GateType, Outcome, Slug};
use crate::error::{Code, Error, Result};
use crate::hypotheses::Plan;
use crate::ids::{ExperimentId, GateId, MessageId};
use crate::lifecycle::replay::{ExperimentCreated, GateOpened};
use crate::lifecycle::{Effect, GateEvent, GateRules};
use crate::principal::Principal;
use crate::signing::{canonical_json, sha256_hex};
use crate::store::Tx;

/// What a step brings with it besides its event.
#[derive(Debug, Clone, Default)]
pub(super) struct StepContext {
    /// An agent's or author's words, shown as a quotation at the gate.
    pub says: Option<String>,
    /// The human's words, kept with the learning.
    pub note: Option<String>,
    /// Commit at the head of the repository, for a brief that is published.
    pub head: Option<String>,
    /// What the runtime recommends at the gate, with its reason.
    pub recommendation: Option<String>,
    /// Why the experiment ends, for the learning.
    pub conclusion: Option<String>,
}

impl Runtime {
    pub(super) async fn apply_effects(
        &self,
        tx: &mut Tx,
        outcome: &Outcome,
        experiment: &mut Experiment,
        effects: &[Effect],
        by: &Principal,
        context: &StepContext,
    ) -> Result<()> {
        let now = self.now();
        for effect in effects {
            match effect {
                Effect::OpenGate(gate_type) => {
                    self.open_gate(tx, outcome, Some(experiment), *gate_type, by, context).await?;
                }
                Effect::SupersedeGates => self.supersede_gates(tx, experiment.id, "the experiment moved on").await?,
                Effect::PublishBrief => {
                    if experiment.base_commit.is_none() {
                        experiment.base_commit.clone_from(&context.head);
                    }
                    experiment.build = None;
                }
                Effect::SetFlag => {
                    let pct = experiment.hypothesis.rollout.pct(experiment.state.step).unwrap_or(0);
                    self.queue_flag(tx, experiment, pct).await?;
                    let is_same = tx
                        .phase_list(experiment.id)
                        .await?
                        .last()
                        .is_some_and(|phase| phase.ended_at.is_none() && phase.treatment_pct == i32::from(pct));
                    if !is_same {
                        tx.phase_begin(experiment.id, i32::from(pct), now).await?;
                    }
                }
                Effect::SetFlagFull => {
                    self.queue_flag(tx, experiment, 100).await?;
                    tx.phase_end(experiment.id, now).await?;
                }
                Effect::FlagOff => {
                    self.queue_flag(tx, experiment, 0).await?;
                    tx.phase_end(experiment.id, now).await?;
                }
                Effect::FreezePlan => {
                    let plan = Plan::of(&outcome.spec, &experiment.hypothesis, experiment.state.budget_part);
                    experiment.plan = Some(
                        serde_json::to_value(&plan)
                            .map_err(|e| Error::new(Code::Internal, "the plan cannot be written").because(e))?,
                    );
                    experiment.launched_at = Some(now);
                }
                Effect::FreezeResult => {
                    experiment.concluded_at = Some(now);
                    let conclusion = context.conclusion.clone().unwrap_or_default();
                    experiment.final_result =
                        Some(json!({ "conclusion": conclusion, "result": experiment.current_result.clone() }));
                }
                Effect::StoreLearning => self.store_learning(tx, outcome, experiment, context).await?,
                Effect::DraftSuccessor => self.draft_successor(tx, outcome, experiment, by).await?,
                Effect::Notify => {
                    let subject = json!({ "experiment": experiment.slug, "status": experiment.state.status });
                    let key = format!("notify/{}/{}", experiment.id, tx.log_head().await?.0);
                    tx.outbox_insert(self.ids.next::<MessageId>(), "notify", &key, &subject, now).await?;
                }
            }
        }
        Ok(())
    }

    /// Opens a gate and shows it what there is to see.
    pub(super) async fn open_gate(
        &self,
        tx: &mut Tx,
        outcome: &Outcome,
        experiment: Option<&Experiment>,
        gate_type: GateType,
        by: &Principal,
        context: &StepContext,
    ) -> Result<Gate> {
        let now = self.now();
        let id = self.ids.next::<GateId>();
        let policy = outcome.spec.gate_policy(gate_type);
        let package = self.context_package(tx, id, outcome, experiment, gate_type, context).await?;
        let text = canonical_json(&package)
            .map_err(|e| Error::new(Code::Internal, "a gate's context cannot be written").because(e))?;
        let rules = GateRules {
            id,
            gate_type,
            context_hash: sha256_hex(&text),
            holders: self.holders(tx, &policy.assigned_to, &policy.escalation).await?,
            policy: policy.clone(),
        };
        let due_at = now.checked_add(policy.sla.get()).unwrap_or(now);
        let base = experiment.map_or(&outcome.spec.slug, |experiment| &experiment.slug);
        let gate = Gate {
            id,
            slug: free_gate_slug(tx, base, gate_type).await?,
            gate_type,
            outcome: outcome.id,
            experiment: experiment.map(|experiment| experiment.id),
            policy,
            state: GateState { status: GateStatus::Pending, holder: 0, due_at, reminded: false, votes: Vec::new() },
            context: text,
            context_hash: rules.context_hash.clone(),
            created_at: now,
            responded_at: None,
        };
        let opened = GateOpened {
            rules: rules.clone(),
            state: gate.state.clone(),
            outcome: gate.outcome,
            experiment: gate.experiment,
        };
        tx.gate_insert(&gate, &rules).await?;
        tx.event_append(new_event("gate.opened", id.into(), by, &opened)?, now).await?;
        let message = json!({ "gate": gate.slug, "type": gate_type, "url": self.gate_url(gate.slug.as_str()),
            "channel": gate.policy.channel, "holder": rules.holders.first() });
        tx.outbox_insert(self.ids.next::<MessageId>(), "notify", &format!("gate/{id}/opened"), &message, now).await?;
        Ok(gate)
    }

    /// E-mails that hold a gate, in order. Where the file names nobody who is a member, the first member holds it, so that
    /// a gate can always be decided by somebody.
    async fn holders(&self, tx: &mut Tx, assigned: &Option<String>, escalation: &[String]) -> Result<Vec<String>> {
        let members = tx.member_list().await?;
        let is_member = |email: &str| members.iter().any(|member| member.email.eq_ignore_ascii_case(email));
        let mut holders: Vec<String> =
            assigned.iter().chain(escalation).filter(|email| is_member(email)).cloned().collect();
        if holders.is_empty()
            && let Some(first) = members.first()
        {
            holders.push(first.email.clone());
        }
        Ok(holders)
    }

    /// Closes the open gates of an experiment.
    pub(super) async fn supersede_gates(&self, tx: &mut Tx, experiment: ExperimentId, reason: &str) -> Result<()> {
        let by = Principal::system("lifecycle");
        for (mut gate, rules) in tx.gate_list_open().await? {
            if gate.experiment == Some(experiment) && gate.gate_type != GateType::Escalation {
                let event = GateEvent::Superseded { reason: reason.to_owned() };
                self.gate_step(tx, &mut gate, &rules, event, &by).await?;
            }
        }
        Ok(())
    }

    /// Puts the flag's next position in the outbox; an older one that was not delivered is overtaken.
    async fn queue_flag(&self, tx: &mut Tx, experiment: &Experiment, pct: u8) -> Result<()> {
        let now = self.now();
        let prefix = format!("flag/{}/", experiment.id);
        tx.outbox_overtake("flag", &prefix, now).await?;
        let payload: Value = json!({
            "experiment": experiment.slug,
            "key": experiment.hypothesis.flag_key,
            "description": experiment.hypothesis.title,
            "treatment_pct": pct,
        });
        let key = format!("{prefix}{}", tx.log_head().await?.0);
        tx.outbox_insert(self.ids.next::<MessageId>(), "flag", &key, &payload, now).await
    }

    async fn draft_successor(&self, tx: &mut Tx, outcome: &Outcome, parent: &Experiment, by: &Principal) -> Result<()> {
        let id = self.ids.next::<ExperimentId>();
        let slug = free_experiment_slug(tx, &parent.slug).await?;
        let draft = Experiment::draft(id, slug, outcome.id, parent.hypothesis.clone(), by.clone(), self.now());
        let successor =
            Experiment { author: Author::Hybrid, score: parent.score.clone(), parent: Some(parent.id), ..draft };
        self.store_experiment(tx, &successor, by).await
    }

    /// Stores a new experiment with its first log line.
    pub(super) async fn store_experiment(&self, tx: &mut Tx, experiment: &Experiment, by: &Principal) -> Result<()> {
        let hypothesis_hash = digest(&experiment.hypothesis)?;
        tx.experiment_insert(experiment, &hypothesis_hash).await?;
        let created =
            ExperimentCreated { state: experiment.state.clone(), hypothesis_hash, outcome: experiment.outcome };
        tx.event_append(new_event("experiment.created", experiment.id.into(), by, &created)?, self.now()).await?;
        Ok(())
    }
}

/// A slug that no experiment has: the wanted one, or with a number behind it.
pub(super) async fn free_experiment_slug(tx: &mut Tx, wanted: &Slug) -> Result<Slug> {
    if !tx.experiment_slug_taken(wanted).await? {
        return Ok(wanted.clone());
    }
    for number in 2..10_000 {
        let slug = wanted.numbered(number);
        if !tx.experiment_slug_taken(&slug).await? {
            return Ok(slug);
        }
    }
    Err(Error::new(Code::Conflict, format!("too many experiments are called `{wanted}`")).hint("choose another title"))
}

async fn free_gate_slug(tx: &mut Tx, base: &Slug, gate_type: GateType) -> Result<Slug> {
    let short = gate_type.as_str().split('_').next().unwrap_or("gate");
    let base: String = base.as_str().chars().take(48).collect();
    let wanted = Slug::from_title(&format!("{short} {base}"));
    for number in 1..10_000 {
        let slug = if number == 1 { wanted.clone() } else { wanted.numbered(number) };
        if !tx.gate_slug_taken(&slug).await? {
            return Ok(slug);
        }
    }
    Err(Error::new(Code::Conflict, "too many gates have this name"))
}
