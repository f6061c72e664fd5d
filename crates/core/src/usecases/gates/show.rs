//! Looking at gates.

use super::Gates;
use super::view::{GateView, gate_view};
use crate::error::Result;
use crate::usecases::kernel::gate_opening::gate_url;
use crate::usecases::kernel::lookup::gate_named;

impl Gates<'_> {
    /// The gates that wait for a human, the most urgent first.
    ///
    /// # Errors
    /// When the database fails.
    #[tracing::instrument(level = "debug", name = "gates.list", skip_all)]
    pub async fn list(self) -> Result<Vec<GateView>> {
        let mut tx = self.0.read().await?;
        let gates = tx.gate_list_open().await?;
        gates.into_iter().map(|(gate, rules)| gate_view(self.0, gate, &rules, Vec::new())).collect()
    }

    /// A gate with what it shows and what was decided.
    ///
    /// # Errors
    /// [`crate::Code::NotFound`].
    #[tracing::instrument(level = "debug", name = "gates.show", skip_all, fields(reference))]
    pub async fn show(self, reference: &str) -> Result<GateView> {
        let mut tx = self.0.read().await?;
        let (gate, rules) = gate_named(&mut tx, reference).await?;
        let decisions = tx.decision_list(gate.id.0).await?;
        gate_view(self.0, gate, &rules, decisions)
    }

    /// The page on which a human decides a gate.
    #[must_use]
    pub fn url(self, gate_slug: &str) -> String {
        gate_url(self.0, gate_slug)
    }
}
