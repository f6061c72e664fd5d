//! A gate as it is shown.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::{Assurance, ContextPackage, Decision, Gate, GateStatus, GateType, SignedDecision};
use crate::error::{Code, Error, Result};
use crate::ids::{ExperimentId, GateId, MemberId};
use crate::lifecycle::{GateRules, least_at};
use crate::present::{Answer, Values};
use crate::store::Tx;
use crate::usecases::kernel::gate_opening::gate_url;
use crate::usecases::kernel::people::People;
use crate::usecases::kernel::written::NewWriter;

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
    /// The member who holds it.
    #[serde(skip)]
    #[schemars(skip)]
    pub held_by: Option<MemberId>,
    /// Until when.
    #[schemars(with = "String")]
    pub due_at: Timestamp,
    /// The level that a positive decision needs.
    pub assurance: Assurance,
    /// SHA-256 of what is shown.
    pub context_hash: String,
    /// What the experiment came to when the gate was opened, in one sentence; absent at gates that show no result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// What is shown.
    pub context: ContextPackage,
    /// What was decided, oldest first.
    pub decisions: Vec<Decision>,
    /// Accounts that write the log and that no member has vouched for yet: whoever decides here does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub new_writers: Vec<NewWriter>,
}

/// `is_touched`: whether a key that is touched counts in the workspace.
pub(super) fn gate_view(
    pages: &str,
    people: &People,
    gate: Gate,
    rules: &GateRules,
    decisions: Vec<SignedDecision>,
    is_touched: bool,
) -> Result<GateView> {
    let context = serde_json::from_str(&gate.context)
        .map_err(|e| Error::new(Code::StateTampered, "what the gate shows cannot be read").because(e))?;
    let holder = rules.holders.get(gate.state.holder);
    Ok(GateView {
        review_url: gate_url(pages, gate.slug.as_str()),
        gate: gate.slug.to_string(),
        id: gate.id,
        gate_type: gate.gate_type,
        status: gate.state.status,
        holder: holder.map(|holder| people.holder_shown(holder)),
        held_by: holder.and_then(|holder| people.holding(holder)).map(|person| person.id),
        due_at: gate.state.due_at,
        assurance: rules.policy.assurance.max(least_at(gate.gate_type, is_touched)),
        context_hash: gate.context_hash,
        answer: None,
        context,
        decisions: decisions.into_iter().map(SignedDecision::into_decision).collect(),
        new_writers: Vec::new(),
    })
}

impl GateView {
    /// The same with the sentence that it is about.
    pub(super) async fn with_answer(self, tx: &mut Tx, experiment: Option<ExperimentId>) -> Result<Self> {
        let Some(experiment) = experiment.filter(|_| self.gate_type.is_about_result()) else { return Ok(self) };
        let Some(experiment) = tx.experiment_get(experiment).await? else { return Ok(self) };
        let plan = experiment.plan.as_ref().and_then(|plan| plan.shown().ok());
        let values = plan.map(|plan| Values::of(&plan.signal, experiment.launched_at));
        let answer = values.and_then(|values| Answer::at_gate(&self.context, values));
        Ok(Self { answer, ..self })
    }
}
