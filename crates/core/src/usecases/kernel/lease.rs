//! The lease of measuring: only one program does it at a time.

use jiff::SignedDuration;

use crate::error::Result;
use crate::usecases::Runtime;

/// What only one program does at a time: measuring.
pub(in crate::usecases) const POLL_LEASE: &str = "poll";

/// Keeps everybody else from measuring; returns who holds the lease, or `None` while somebody else does.
pub(in crate::usecases) async fn take_poll_lease(runtime: &Runtime) -> Result<Option<String>> {
    let now = runtime.now();
    let holder = hex::encode(runtime.ids.bytes::<8>());
    let mut tx = runtime.write().await?;
    let until = now.checked_add(SignedDuration::from_mins(5)).unwrap_or(now);
    let is_ours = tx.lease_take(POLL_LEASE, &holder, until, now).await?;
    tx.commit().await?;
    Ok(is_ours.then_some(holder))
}

/// Lets others measure again.
pub(in crate::usecases) async fn release_poll_lease(runtime: &Runtime, holder: &str) -> Result<()> {
    let mut tx = runtime.write().await?;
    // Where it ran out and another program has it now, there is nothing to give back.
    let _ = tx.lease_release(POLL_LEASE, holder).await?;
    tx.commit().await
}
