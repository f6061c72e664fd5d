//! Turns at an account whose vendor limits how often it is asked, counted in the database: all programs of all workspaces that ask
//! there share them. A quarter of what may be asked is left to experiments.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::config::Config;
use crate::error::Result;
use crate::ports::{Budget, ReadError, SourceLimits};
use crate::usecases::Runtime;

use super::urgency::Urgency;

/// A question that takes longer belongs to a program that died.
const LONGEST: SignedDuration = SignedDuration::from_mins(2);
/// How often somebody who waits for a place looks.
const LOOK: Duration = Duration::from_millis(250);
/// How long somebody waits for a place.
const PATIENCE: Duration = Duration::from_mins(1);

/// The name under which an account is shared: of where its source leads, whatever its connector is called. Nothing of the address can be
/// read in it.
pub(super) fn name_of(config: &Config, name: &str, place: Option<String>) -> String {
    let kind = config.connector(name).map(|spec| spec.kind);
    hex::encode(Sha256::digest(format!("{kind:?} {place:?}")))
}

/// A turn that was taken.
///
/// It is given back when it is dropped, also where a question is not waited for.
pub(super) struct Place {
    runtime: Runtime,
    account: String,
    id: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let (account, id) = (std::mem::take(&mut self.account), std::mem::take(&mut self.id));
        let runtime = self.runtime.clone();
        tokio::spawn(async move {
            if let Err(error) = leave(&runtime, &account, &id).await {
                tracing::warn!("A turn was not given back, and is free in some minutes: {error}");
            }
        });
    }
}

async fn leave(runtime: &Runtime, account: &str, id: &str) -> Result<()> {
    let mut tx = runtime.write().await?;
    tx.turn_end(account, id, runtime.now()).await?;
    tx.commit().await
}

/// Waits for a turn.
///
/// # Errors
/// [`ReadError::Throttled`] where the budget is used up, or no place gets free.
pub(super) async fn take(
    runtime: &Runtime,
    source_name: &str,
    account: &str,
    (limits, budget): (SourceLimits, Budget),
    urgency: Urgency,
) -> Result<Result<Place, ReadError>> {
    let until = tokio::time::Instant::now() + PATIENCE;
    let throttled = |detail: String, retry_after| {
        Ok(Err(ReadError::Throttled { source_name: source_name.to_owned(), detail, retry_after: Some(retry_after) }))
    };
    loop {
        let now = runtime.now();
        let per = SignedDuration::try_from(budget.per).unwrap_or(SignedDuration::MAX);
        let (since, open_since) = (before(now, per), before(now, LONGEST));
        let mut tx = runtime.write().await?;
        tx.account_lock(account, since.min(open_since)).await?;
        let begun = tx.turns_begun(account, since).await?;
        if let Some(free_at) = next_free(&begun, allowed(budget.n, urgency), per) {
            let wait = Duration::try_from(free_at.duration_since(now)).unwrap_or_default();
            let detail = format!("its {} questions within {} s are used up", budget.n, budget.per.as_secs());
            return throttled(detail, wait);
        }
        if tx.turns_open(account, open_since).await? < places(limits.at_once, urgency) {
            let id = hex::encode(runtime.ids.bytes::<8>());
            tx.turn_begin(account, &id, now).await?;
            tx.commit().await?;
            return Ok(Ok(Place { runtime: runtime.clone(), account: account.to_owned(), id }));
        }
        drop(tx);
        if tokio::time::Instant::now() >= until {
            let detail = format!("{} questions are under way, and none of them ended", limits.at_once);
            return throttled(detail, PATIENCE);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// How many questions may be under way; one place is left to experiments.
fn places(at_once: u16, urgency: Urgency) -> i64 {
    let at_once = i64::from(at_once.max(1));
    if urgency == Urgency::Ordinary { (at_once - 1).max(1) } else { at_once }
}

fn allowed(n: u32, urgency: Urgency) -> usize {
    let n = n.max(1);
    let n = match urgency {
        Urgency::Person | Urgency::Urgent => n,
        Urgency::Ordinary => (n - n / 4).max(1),
    };
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// When the next turn is free; `None` where one is free now. `begun`: the oldest first, all within `per`.
fn next_free(begun: &[Timestamp], allowed: usize, per: SignedDuration) -> Option<Timestamp> {
    let first = begun.len().checked_sub(allowed)?;
    begun.get(first)?.checked_add(per).ok()
}

fn before(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.checked_sub(by).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_is_left_to_experiments() {
        assert_eq!((allowed(60, Urgency::Urgent), allowed(60, Urgency::Ordinary)), (60, 45));
        assert_eq!((allowed(1, Urgency::Urgent), allowed(1, Urgency::Ordinary)), (1, 1));
        assert_eq!(allowed(0, Urgency::Ordinary), 1);
    }

    #[test]
    fn the_next_turn_is_free_when_the_oldest_that_counts_is_over() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let per = SignedDuration::from_secs(100);
        assert_eq!(next_free(&[], 2, per), None);
        assert_eq!(next_free(&[at(1)], 2, per), None);
        assert_eq!(next_free(&[at(1), at(5)], 2, per), Some(at(101)));
        assert_eq!(next_free(&[at(1), at(5), at(7)], 2, per), Some(at(105)), "experiments went beyond");
    }
}
