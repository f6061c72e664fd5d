//! Applying the outcome file: at once where nothing in it needs a signature, else by opening a gate.

use schemars::JsonSchema;
use serde::Serialize;

use super::Outcomes;
use crate::audit::AppliedBecause;
use crate::domain::{ConfigurationOrigin, Surface, Verdict};
use crate::error::{Error, Result};
use crate::principal::Principal;
use crate::usecases::gates::DecideRequest;
use crate::usecases::kernel::applied::applied;
use crate::usecases::kernel::apply_change::{NewConfiguration, apply_change};
use crate::usecases::kernel::change_gate::open_change_gate;
use crate::usecases::kernel::file_plan::{FilePlan, Proposal, proposal};
use crate::usecases::kernel::gate_opening::tell_opened;
use crate::usecases::kernel::outcome_queries::{keep, try_queries};
use crate::usecases::kernel::unlock::Unlock;
use crate::usecases::kernel::workspace_file::{origin, sends_secrets_elsewhere};

/// What applying did.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Applied {
    /// What it does to each outcome.
    #[serde(flatten)]
    pub plan: FilePlan,
    /// False when a member has to approve it first.
    pub is_applied: bool,
    /// The gate that waits, or at which it was approved.
    pub gate: Option<String>,
    /// Queries that could not be tried because their source did not answer, or is not approved yet, as sentences. They are tried
    /// again by the next `apply` and before a launch.
    pub unchecked: Vec<String>,
}

impl Outcomes<'_> {
    /// Applies the file of the work tree. What needs a signature waits at a gate, where `unlock` decides at once. Applying the same
    /// file again changes nothing.
    ///
    /// # Errors
    /// [`crate::Code::ConfigInvalid`], [`crate::Code::Conflict`] for an outcome that is over, and the source's error for a query that
    /// cannot run: nothing is stored then.
    #[tracing::instrument(level = "debug", name = "outcomes.apply", skip_all)]
    pub async fn apply(self, by: &Principal, unlock: Option<&Unlock>) -> Result<Applied> {
        let (text, wanted) = proposal(self.0).await?;
        let origin = origin(self.0, &text).await;
        if wanted.plan.needs_signature {
            return self.propose_change(&text, wanted, origin, by, unlock).await;
        }
        let tried = try_queries(self.0, &wanted.config, &wanted.plan.outcomes).await?;
        let mut tx = self.0.write().await?;
        let now = applied(self.0, &mut tx).await?.map(|applied| applied.hash);
        if now != wanted.applied {
            return Err(changed_meanwhile());
        }
        let hash = tx.configuration_insert(&text, self.0.now()).await?;
        if now.as_ref() != Some(&hash) || wanted.plan.is_change() {
            let because = AppliedBecause::Free { drafts: wanted.drafts };
            let (previous, config, places) = (wanted.applied, wanted.config, wanted.places_before);
            let new = NewConfiguration { hash, previous, origin, because, config, places };
            apply_change(self.0, &mut tx, new, by).await?;
        }
        let unchecked = keep(self.0, &mut tx, tried).await?;
        tx.commit().await?;
        Ok(Applied { plan: wanted.plan, is_applied: true, gate: None, unchecked })
    }

    async fn propose_change(
        self,
        text: &str,
        wanted: Proposal,
        origin: ConfigurationOrigin,
        by: &Principal,
        unlock: Option<&Unlock>,
    ) -> Result<Applied> {
        // A source that nobody approved is not asked, unless nothing is told to it.
        let is_safe = !sends_secrets_elsewhere(self.0, &wanted.config).await?;
        if is_safe {
            try_queries(self.0, &wanted.config, &wanted.plan.outcomes).await?;
        }
        let mut tx = self.0.write().await?;
        let hash = tx.configuration_insert(text, self.0.now()).await?;
        let change = (hash.as_str(), wanted.applied.as_deref());
        let shown = (wanted.differences.as_slice(), wanted.places.as_slice());
        let (gate, rules) = open_change_gate(self.0, &mut tx, change, origin, shown, by).await?;
        if unlock.is_none() {
            tell_opened(self.0, &mut tx, &gate, &rules).await?;
        }
        tx.commit().await?;
        let mut applied =
            Applied { plan: wanted.plan, is_applied: false, gate: Some(gate.slug.to_string()), unchecked: Vec::new() };
        if let Some(unlock) = unlock {
            let request = DecideRequest {
                gate: gate.id.to_string(),
                verdict: Verdict::Approve,
                conditions: Vec::new(),
                note: None,
                context_hash: Some(gate.context_hash.clone()),
                member: None,
                unlock: unlock.clone(),
                surface: Surface::Terminal,
            };
            match self.0.gates().decide(request).await {
                Ok(decided) => applied.unchecked = decided.unchecked,
                Err(error) => {
                    let mut tx = self.0.write().await?;
                    tell_opened(self.0, &mut tx, &gate, &rules).await?;
                    tx.commit().await?;
                    return Err(error);
                }
            }
            applied.is_applied = true;
        }
        Ok(applied)
    }
}

fn changed_meanwhile() -> Error {
    Error::new(crate::Code::Conflict, "another outcome file was applied in the meantime")
        .hint("nothing was done; try again")
}
