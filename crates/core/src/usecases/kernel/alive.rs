//! Who is alive: how long a program counts as reading or recomputing after it last said so.

use jiff::{SignedDuration, Timestamp};

use crate::error::Result;
use crate::store::Tx;
use crate::usecases::Runtime;

/// What only one program does at a time, while nobody reads.
pub(super) const RECOMPUTING: &str = "recompute";
/// How long a program counts as alive after it last said so.
pub(super) const LENGTH: SignedDuration = SignedDuration::from_secs(15);

/// Until when somebody counts as alive who says so now.
pub(super) fn end(now: Timestamp) -> Timestamp {
    now.checked_add(LENGTH).unwrap_or(now)
}

/// Whether a program that is alive reads something now.
pub(super) async fn is_anybody_reading(runtime: &Runtime, tx: &mut Tx) -> Result<bool> {
    let alive_at = alive_at(runtime, tx).await?;
    tx.job_is_held(alive_at, end(end(alive_at))).await
}

/// Now by the clock that all programs share: that of the database's server, where there is one.
pub(super) async fn alive_at(runtime: &Runtime, tx: &mut Tx) -> Result<Timestamp> {
    let server = if runtime.clock.is_virtual() { None } else { tx.clock_of_server().await? };
    Ok(server.unwrap_or_else(|| runtime.now()))
}

/// Whether somebody recomputes.
pub(super) async fn is_recomputing(tx: &mut Tx, now: Timestamp) -> Result<bool> {
    tx.lease_is_taken(RECOMPUTING, (now, end(end(now)))).await
}
