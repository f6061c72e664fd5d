//! The lease of measuring: only one program does it at a time.
//!
//! It is short, so that a program that died keeps nobody waiting for long, and renewed while its holder works, also while a
//! slow source is asked. **Invariant**: whoever measures writes through [`write_leased`], so that a holder that lost the lease
//! writes nothing more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinHandle;

use crate::error::{Code, Error, Result};
use crate::store::Tx;
use crate::usecases::Runtime;

/// What only one program does at a time: measuring.
const POLL_LEASE: &str = "poll";
/// How long nobody else can measure after the last renewal.
const LENGTH: SignedDuration = SignedDuration::from_secs(15);
/// How often it is renewed; two failed renewals are survived.
const RENEWAL: Duration = Duration::from_secs(4);

/// Keeps everybody else from measuring, until it is given back, its holder has been gone for [`LENGTH`], or it is lost.
pub(in crate::usecases) struct Lease {
    holder: String,
    is_lost: AtomicBool,
    renewing: JoinHandle<()>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

/// Takes the lease; `None` while somebody else has it.
pub(in crate::usecases) async fn take_poll_lease(runtime: &Runtime) -> Result<Option<Lease>> {
    let now = runtime.now();
    let holder = hex::encode(runtime.ids.bytes::<8>());
    let mut tx = runtime.write().await?;
    let is_ours = tx.lease_take(POLL_LEASE, &holder, end(now), (now, end(end(now)))).await?;
    tx.commit().await?;
    if !is_ours {
        return Ok(None);
    }
    let renewing = tokio::spawn(renew(runtime.clone(), holder.clone()));
    Ok(Some(Lease { holder, is_lost: AtomicBool::new(false), renewing }))
}

/// A transaction of whoever holds the lease, which it renews.
///
/// # Errors
/// [`Code::Conflict`] when the lease was lost.
pub(in crate::usecases) async fn write_leased(runtime: &Runtime, lease: &Lease) -> Result<Tx> {
    let mut tx = runtime.write().await?;
    if tx.lease_renew(POLL_LEASE, &lease.holder, end(runtime.now())).await? {
        return Ok(tx);
    }
    lease.is_lost.store(true, Ordering::Relaxed);
    Err(lost())
}

/// True when a write found that the lease was lost.
pub(in crate::usecases) fn is_lost(lease: &Lease) -> bool {
    lease.is_lost.load(Ordering::Relaxed)
}

/// Gives the lease back as a part of the holder's last transaction.
///
/// # Errors
/// [`Code::Conflict`] when the lease was lost: the transaction must not be committed.
pub(in crate::usecases) async fn release_within(tx: &mut Tx, lease: &Lease) -> Result<()> {
    if tx.lease_release(POLL_LEASE, &lease.holder).await? { Ok(()) } else { Err(lost()) }
}

/// Lets others measure again.
pub(in crate::usecases) async fn release_poll_lease(runtime: &Runtime, lease: Lease) -> Result<()> {
    lease.renewing.abort();
    let mut tx = runtime.write().await?;
    // Where it ran out and another program has it now, there is nothing to give back.
    let _ = tx.lease_release(POLL_LEASE, &lease.holder).await?;
    tx.commit().await
}

/// Renews the lease until it is given back or lost. A renewal that fails is tried again: others may not have been able to
/// take the lease either.
async fn renew(runtime: Runtime, holder: String) {
    loop {
        tokio::time::sleep(RENEWAL).await;
        match renew_once(&runtime, &holder).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => tracing::warn!(code = %error.code(), "The lease of polling could not be renewed: {error}"),
        }
    }
}

async fn renew_once(runtime: &Runtime, holder: &str) -> Result<bool> {
    let mut tx = runtime.write().await?;
    let is_ours = tx.lease_renew(POLL_LEASE, holder, end(runtime.now())).await?;
    tx.commit().await?;
    Ok(is_ours)
}

fn end(now: Timestamp) -> Timestamp {
    now.checked_add(LENGTH).unwrap_or(now)
}

fn lost() -> Error {
    Error::new(Code::Conflict, "this program lost the lease of polling, and another program may poll now")
        .hint("nothing more was written; try again in a moment")
}
