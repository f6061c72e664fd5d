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

/// Most questions about one experiment that wait at a time: more are read by nobody.
const MAX_QUESTIONS: usize = 5;

impl Gates<'_> {
    /// Opens an escalation: a question of an agent to a human. The same question about the same experiment again, while the first is
    /// open, returns the first; another question has a gate of its own.
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
        let says = details.map_or_else(|| question.clone(), |details| format!("{question}\n\n{details}"));
        let open = tx.gate_list_open().await?;
        let own: Vec<_> = open
            .into_iter()
            .filter(|(gate, _)| gate.experiment == Some(experiment.id) && gate.gate_type == GateType::Escalation)
            .collect();
        let n_open = own.len();
        for (gate, rules) in own {
            let view = gate_view(&pages, &people, gate, &rules, Vec::new(), false)?;
            if view.context.agent_says.as_deref() == Some(says.as_str()) {
                return Ok(view);
            }
        }
        if n_open >= MAX_QUESTIONS {
            let message =
                format!("{n_open} questions about experiment `{}` wait for an answer already", experiment.slug);
            return Err(Error::new(Code::Conflict, message)
                .hint("wait until a human has answered one: `outcome-runtime gate list` shows them"));
        }
        let outcome = outcome_of(&mut tx, &experiment).await?;
        check_outcome_of(&mut tx, &keyring, &outcome).await?;
        let context = StepContext { says: Some(says), ..StepContext::default() };
        let gate = open_gate(self.0, &mut tx, &outcome, Some(&experiment), GateType::Escalation, by, &context).await?;
        let (gate, rules) = gate_named(&mut tx, gate.slug.as_str()).await?;
        tx.commit().await?;
        gate_view(&pages, &people, gate, &rules, Vec::new(), false)
    }
}
