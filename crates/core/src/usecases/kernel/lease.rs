//! The lease of recomputing: while it is held, nobody begins to read; it is taken when those who read are done.
//!
//! It is short, so that a program that died keeps nobody waiting for long, and renewed while its holder works.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::alive::{RECOMPUTING, end, is_anybody_reading};
use crate::error::{Code, Error, Result};
use crate::store::Tx;
use crate::usecases::Runtime;

/// How long those who read are waited for: the longest question of a source, and some more.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often it is looked whether they are done.
const LOOK: Duration = Duration::from_millis(200);
/// How often it is renewed; two failed renewals are survived.
const RENEWAL: Duration = Duration::from_secs(4);

/// Keeps everybody else from reading and recomputing, until it is given back or its holder has been gone for 15 s.
pub(in crate::usecases) struct Lease {
    holder: String,
    renewing: JoinHandle<()>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

/// Takes the lease, and waits until nobody reads any more: on a busy system somebody always does. `None` while somebody else has it, or
/// reads for too long.
pub(in crate::usecases) async fn take_lease(runtime: &Runtime) -> Result<Option<Lease>> {
    let now = runtime.now();
    let holder = hex::encode(runtime.ids.bytes::<8>());
    let mut tx = runtime.write().await?;
    let is_ours = tx.lease_take(RECOMPUTING, &holder, end(now), (now, end(end(now)))).await?;
    if !is_ours {
        return Ok(None);
    }
    tx.commit().await?;
    let renewing = tokio::spawn(renew(runtime.clone(), holder.clone()));
    let lease = Lease { holder, renewing };
    let until = Instant::now() + PATIENCE;
    while is_anybody_reading(runtime, &mut runtime.read().await?).await? {
        if Instant::now() >= until {
            release_lease(runtime, lease).await?;
            return Ok(None);
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(Some(lease))
}

/// Gives the lease back as a part of the holder's last transaction.
///
/// # Errors
/// [`Code::Conflict`] when the lease was lost: the transaction must not be committed.
pub(in crate::usecases) async fn release_within(tx: &mut Tx, lease: &Lease) -> Result<()> {
    if tx.lease_release(RECOMPUTING, &lease.holder).await? { Ok(()) } else { Err(lost()) }
}

/// Lets others work again.
pub(in crate::usecases) async fn release_lease(runtime: &Runtime, lease: Lease) -> Result<()> {
    lease.renewing.abort();
    let mut tx = runtime.write().await?;
    // Where it ran out and another program has it now, there is nothing to give back.
    let _ = tx.lease_release(RECOMPUTING, &lease.holder).await?;
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
            Err(error) => {
                tracing::warn!(code = %error.code(), "The lease of recomputing could not be renewed: {error}");
            }
        }
    }
}

async fn renew_once(runtime: &Runtime, holder: &str) -> Result<bool> {
    let mut tx = runtime.write().await?;
    let is_ours = tx.lease_renew(RECOMPUTING, holder, end(runtime.now())).await?;
    tx.commit().await?;
    Ok(is_ours)
}

fn lost() -> Error {
    Error::new(Code::Conflict, "this program lost the lease of recomputing, and another program may read now")
        .hint("nothing was written; try again in a moment")
}
