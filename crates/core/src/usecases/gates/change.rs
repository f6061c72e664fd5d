//! Approving a change of the outcome file: what would be applied is put together anew in the process that decides.

use crate::audit::AppliedBecause;
use crate::domain::{ChangeFacts, Gate};
use crate::error::{Code, Error, Result};
use crate::identity::VerifiedDecision;
use crate::principal::Principal;
use crate::store::Tx;
use crate::usecases::Runtime;
use crate::usecases::kernel::applied::{applied, read};
use crate::usecases::kernel::apply_change::{NewConfiguration, apply_change};
use crate::usecases::kernel::change_gate::supersede_change_gates;
use crate::usecases::kernel::digest::digest;
use crate::usecases::kernel::file_plan::{Proposal, compared};
use crate::usecases::kernel::outcome_queries::{Tried, keep, try_queries};
use crate::usecases::kernel::places::must_be_shown;
use crate::usecases::kernel::shown_change::{change_of, changed};

/// A change whose queries were tried.
pub(super) struct PreparedChange {
    change: ChangeFacts,
    wanted: Proposal,
    tried: Vec<Tried>,
}

/// Reads the text that the gate is about, compares it with what is applied now, and tries its queries.
///
/// # Errors
/// [`Code::ContextChanged`] when the difference is another one than the gate shows; the source's error for a query that cannot run.
pub(super) async fn prepare_change(runtime: &Runtime, gate: &Gate) -> Result<PreparedChange> {
    let change = change_of(gate)?;
    let mut tx = runtime.read().await?;
    let config = read(runtime, &mut tx, &change.hash).await?;
    let wanted = compared(runtime, &mut tx, config).await?;
    drop(tx);
    // As canonical text: what was stored has lost the difference of 1 and 1.0.
    let now: Vec<_> = wanted.differences.iter().map(changed).collect();
    if digest(&now)? != digest(&change.differences)? || change.applied != wanted.applied {
        return Err(other_difference(gate));
    }
    must_be_shown(gate.slug.as_str(), &change.places, &wanted.places)?;
    let tried = try_queries(runtime, &wanted.config, &wanted.plan.outcomes).await?;
    Ok(PreparedChange { change, wanted, tried })
}

fn other_difference(gate: &Gate) -> Error {
    Error::new(Code::ContextChanged, format!("gate `{}` shows a difference to what was applied before", gate.slug))
        .hint("run `outcome-runtime apply` again: it opens a gate with the difference of now")
}

impl PreparedChange {
    /// Applies it. Returns the queries that could not be tried, as sentences.
    pub(super) async fn follow(
        self,
        runtime: &Runtime,
        tx: &mut Tx,
        decision: &VerifiedDecision,
        by: &Principal,
    ) -> Result<Vec<String>> {
        let now = applied(runtime, tx).await?.map(|applied| applied.hash);
        if now != self.change.applied {
            return Err(Error::new(Code::ContextChanged, "another outcome file was applied in the meantime")
                .hint("run `outcome-runtime apply` again: it opens a gate with the difference of now"));
        }
        let new = NewConfiguration {
            hash: self.change.hash,
            previous: now,
            origin: self.change.origin,
            because: AppliedBecause::Signed { decision: Box::new(decision.signed().clone()) },
            config: self.wanted.config,
            places: self.change.places,
        };
        apply_change(runtime, tx, new, by).await?;
        supersede_change_gates(runtime, tx, "another text was applied").await?;
        keep(runtime, tx, self.tried).await
    }
}
