//! Looking at gates.

use super::Gates;
use super::view::{GateView, gate_view};
use crate::error::Result;
use crate::identity::NEW;
use crate::store::Tx;
use crate::usecases::Runtime;
use crate::usecases::kernel::gate_opening::{gate_url, pages};
use crate::usecases::kernel::keyring::keyring_or_none;
use crate::usecases::kernel::lookup::gate_named;
use crate::usecases::kernel::people::People;
use crate::usecases::kernel::written::new_writers;

impl Gates<'_> {
    /// The gates that wait for a human, the most urgent first.
    ///
    /// # Errors
    /// When the database fails.
    #[tracing::instrument(level = "debug", name = "gates.list", skip_all)]
    pub async fn list(self) -> Result<Vec<GateView>> {
        let mut tx = self.0.read().await?;
        let gates = tx.gate_list_open().await?;
        let pages = pages(self.0, &mut tx).await?;
        let (people, is_touched) = known(self.0, &mut tx).await?;
        let mut views = Vec::with_capacity(gates.len());
        for (gate, rules) in gates {
            let experiment = gate.experiment;
            let view = gate_view(&pages, &people, gate, &rules, Vec::new(), is_touched)?;
            views.push(view.with_answer(&mut tx, experiment).await?);
        }
        Ok(views)
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
        let pages = pages(self.0, &mut tx).await?;
        let (people, is_touched) = known(self.0, &mut tx).await?;
        let new_writers = new_writers(&mut tx).await?;
        let experiment = gate.experiment;
        let view = gate_view(&pages, &people, gate, &rules, decisions, is_touched)?;
        Ok(GateView { new_writers, ..view.with_answer(&mut tx, experiment).await? })
    }

    /// Address of the pages on which gates are decided, without a slash at its end.
    ///
    /// # Errors
    /// When the database fails.
    #[tracing::instrument(level = "debug", name = "gates.pages", skip_all)]
    pub async fn pages(self) -> Result<String> {
        pages(self.0, &mut self.0.read().await?).await
    }

    /// The page on which a human decides a gate.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn url(self, gate_slug: &str) -> Result<String> {
        Ok(gate_url(&self.pages().await?, gate_slug))
    }
}

/// The members, and whether a key that is touched counts. A gate is shown whatever became of the log; who decides is told.
async fn known(runtime: &Runtime, tx: &mut Tx) -> Result<(People, bool)> {
    let ring = keyring_or_none(runtime, tx).await;
    Ok((People::of(tx, &ring).await?, ring.is_touched_in(NEW)))
}
