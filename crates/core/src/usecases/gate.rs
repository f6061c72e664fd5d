//! Looking at gates, and asking for one. Asking never decides.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::effects::StepContext;
use super::runtime::Runtime;
use crate::domain::{Assurance, ContextPackage, Decision, Gate, GateStatus, GateType, SignedDecision};
use crate::error::{Code, Error, Result};
use crate::ids::GateId;
use crate::lifecycle::{GateEvent, GateRules};
use crate::principal::Principal;
use crate::store::Tx;

/// A gate as it is shown.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GateView {
    /// Its name.
    pub gate: String,
    /// Its id.
    pub id: GateId,
    /// Its type.
    pub gate_type: GateType,
    /// Where it stands.
    pub status: GateStatus,
    /// The page on which a human decides.
    pub review_url: String,
    /// Who holds it.
    pub holder: Option<String>,
    /// Until when.
    #[schemars(with = "String")]
    pub due_at: Timestamp,
    /// The level that a positive decision needs.
    pub assurance: Assurance,
    /// SHA-256 of what is shown.
    pub context_hash: String,
    /// What is shown.
    pub context: ContextPackage,
    /// What was decided, oldest first.
    pub decisions: Vec<Decision>,
}

/// A human decision that an agent asks for.
#[derive(Debug, Clone)]
pub struct GateOpenRequest {
    /// Slug or id of the experiment.
    pub experiment: String,
    /// The question, in the agent's words.
    pub question: String,
    /// More, in the agent's words.
    pub details: Option<String>,
}

impl Runtime {
    /// The gate with this slug or id.
    pub(super) async fn gate_named(tx: &mut Tx, reference: &str) -> Result<(Gate, GateRules)> {
        let found = match reference.parse::<GateId>() {
            Ok(id) => tx.gate_get(id).await?,
            Err(_) => tx.gate_by_slug(reference).await?,
        };
        found.ok_or_else(|| {
            Error::not_found("gate", reference).hint("`outcome-runtime gate list` shows the gates that wait")
        })
    }

    /// The gates that wait for a human, the most urgent first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn gate_list(&self) -> Result<Vec<GateView>> {
        let mut tx = self.read().await?;
        let gates = tx.gate_list_open().await?;
        gates.into_iter().map(|(gate, rules)| self.gate_view(gate, &rules, Vec::new())).collect()
    }

    /// A gate with what it shows and what was decided.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub async fn gate_show(&self, reference: &str) -> Result<GateView> {
        let mut tx = self.read().await?;
        let (gate, rules) = Self::gate_named(&mut tx, reference).await?;
        let decisions = tx.decision_list(gate.id.0).await?;
        self.gate_view(gate, &rules, decisions)
    }

    /// Opens an escalation: a question of an agent to a human. Asking again for the same experiment, while the first is
    /// open, returns the first.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::InvalidInput`].
    pub async fn gate_open(&self, request: GateOpenRequest, by: &Principal) -> Result<GateView> {
        let question = bounded("question", &request.question, 1000)?;
        let details = request.details.as_deref().map(|text| bounded("details", text, 4000)).transpose()?;
        let mut tx = self.write().await?;
        let experiment = Self::experiment_named(&mut tx, &request.experiment).await?;
        if experiment.state.status.is_terminal() {
            return Err(Error::new(Code::Conflict, format!("experiment `{}` is over", experiment.slug))
                .hint("there is nothing left to decide"));
        }
        for (gate, rules) in tx.gate_list_open().await? {
            if gate.experiment == Some(experiment.id) && gate.gate_type == GateType::Escalation {
                return self.gate_view(gate, &rules, Vec::new());
            }
        }
        let outcome = Self::outcome_of(&mut tx, &experiment).await?;
        let keyring = self.keyring(&mut tx).await?;
        self.check_outcome_of(&mut tx, &keyring, &outcome).await?;
        let says = details.map_or_else(|| question.clone(), |details| format!("{question}\n\n{details}"));
        let context = StepContext { says: Some(says), ..StepContext::default() };
        let gate = self.open_gate(&mut tx, &outcome, Some(&experiment), GateType::Escalation, by, &context).await?;
        let (gate, rules) = Self::gate_named(&mut tx, gate.slug.as_str()).await?;
        tx.commit().await?;
        self.gate_view(gate, &rules, Vec::new())
    }

    /// Reminds, escalates and times out gates whose time has come. Silence never approves.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn gate_sweep(&self) -> Result<u32> {
        let by = Principal::system("gates");
        let now = self.now();
        let mut n_steps = 0;
        let mut tx = self.write().await?;
        for (mut gate, rules) in tx.gate_list_open().await? {
            if gate.state.status != GateStatus::Pending {
                continue;
            }
            let sla = rules.policy.sla.get();
            let half = gate.state.due_at.checked_sub(sla / 2).unwrap_or(now);
            let event = if now >= gate.state.due_at {
                if gate.state.holder + 1 < rules.holders.len() {
                    Some(GateEvent::Escalated { due_at: now.checked_add(sla).unwrap_or(now) })
                } else {
                    Some(GateEvent::TimedOut)
                }
            } else if now >= half && !gate.state.reminded {
                Some(GateEvent::Reminded)
            } else {
                None
            };
            let Some(event) = event else { continue };
            let name = event.name();
            self.gate_step(&mut tx, &mut gate, &rules, event, &by).await?;
            let holder = rules.holders.get(gate.state.holder);
            let message = serde_json::json!({ "gate": gate.slug, "what": name, "holder": holder,
                "url": self.gate_url(gate.slug.as_str()), "channel": rules.policy.channel });
            let key = format!("gate/{}/{name}/{}", gate.id, gate.state.holder);
            tx.outbox_insert(self.ids.next(), "notify", &key, &message, now).await?;
            n_steps += 1;
        }
        tx.commit().await?;
        Ok(n_steps)
    }

    fn gate_view(&self, gate: Gate, rules: &GateRules, decisions: Vec<SignedDecision>) -> Result<GateView> {
        let context = serde_json::from_str(&gate.context)
            .map_err(|e| Error::new(Code::StateTampered, "what the gate shows cannot be read").because(e))?;
        Ok(GateView {
            review_url: self.gate_url(gate.slug.as_str()),
            gate: gate.slug.to_string(),
            id: gate.id,
            gate_type: gate.gate_type,
            status: gate.state.status,
            holder: rules.holders.get(gate.state.holder).cloned(),
            due_at: gate.state.due_at,
            assurance: rules.policy.assurance,
            context_hash: gate.context_hash,
            context,
            decisions: decisions.into_iter().map(|signed| signed.decision).collect(),
        })
    }
}

/// A text of somebody else: not empty, no NUL, not too long.
pub(super) fn bounded(field: &str, text: &str, max: usize) -> Result<String> {
    let text = text.trim();
    let n_chars = text.chars().count();
    if text.is_empty() || n_chars > max || text.contains('\0') {
        return Err(Error::new(
            Code::InvalidInput,
            format!("`{field}` must have 1 to {max} characters and no NUL; it has {n_chars}"),
        ));
    }
    Ok(text.to_owned())
}
