//! Asking for a human decision. Asking never decides.

use super::Gates;
use super::view::{GateView, gate_view};
use crate::domain::GateType;
use crate::error::{Code, Error, Result};
use crate::principal::Principal;
use crate::usecases::kernel::check::check_outcome_of;
use crate::usecases::kernel::gate_opening::{open_gate, pages};
use crate::usecases::kernel::keyring::keyring;
use crate::usecases::kernel::lookup::{experiment_named, gate_named, outcome_of};
use crate::usecases::kernel::people::People;
use crate::usecases::kernel::step_context::StepContext;
use crate::usecases::kernel::text::bounded;

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

impl Gates<'_> {
    /// Opens an escalation: a question of an agent to a human. Asking again for the same experiment, while the first is
    /// open, returns the first.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::InvalidInput`].
    #[tracing::instrument(level = "debug", name = "gates.open", skip_all)]
    pub async fn open(self, request: GateOpenRequest, by: &Principal) -> Result<GateView> {
        let question = bounded("question", &request.question, 1000)?;
        let details = request.details.as_deref().map(|text| bounded("details", text, 4000)).transpose()?;
        let mut tx = self.0.write().await?;
        let pages = pages(self.0, &mut tx).await?;
        let experiment = experiment_named(&mut tx, &request.experiment).await?;
        if experiment.state.status.is_terminal() {
            return Err(Error::new(Code::Conflict, format!("experiment `{}` has ended", experiment.slug))
                .hint("there is nothing left to decide"));
        }
        let keyring = keyring(self.0, &mut tx).await?;
        let people = People::of(&mut tx, &keyring).await?;
        for (gate, rules) in tx.gate_list_open().await? {
            if gate.experiment == Some(experiment.id) && gate.gate_type == GateType::Escalation {
                return gate_view(&pages, &people, gate, &rules, Vec::new(), false);
            }
        }
        let outcome = outcome_of(&mut tx, &experiment).await?;
        check_outcome_of(&mut tx, &keyring, &outcome).await?;
        let says = details.map_or_else(|| question.clone(), |details| format!("{question}\n\n{details}"));
        let context = StepContext { says: Some(says), ..StepContext::default() };
        let gate = open_gate(self.0, &mut tx, &outcome, Some(&experiment), GateType::Escalation, by, &context).await?;
        let (gate, rules) = gate_named(&mut tx, gate.slug.as_str()).await?;
        tx.commit().await?;
        gate_view(&pages, &people, gate, &rules, Vec::new(), false)
    }
}
