//! How far the clocks of sources are behind ours, each asked once a round: a source is read up to its own clock, since what comes
//! after it is not there yet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::OnceCell;

use crate::config::Config;
use crate::usecases::Runtime;
use crate::usecases::kernel::clock_look::clock_of_source;
use crate::usecases::kernel::workspace_file::is_pushed;

/// A source that is behind by less is as good as in time.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(5);

/// The clocks of the sources in one round.
#[derive(Debug, Clone, Default)]
pub(super) struct SourceClocks(Arc<Mutex<HashMap<String, Arc<OnceCell<SignedDuration>>>>>);

impl SourceClocks {
    /// The instant up to which a source can be read: `now`, or what its clock shows where that is behind.
    pub(super) async fn until(&self, runtime: &Runtime, config: &Config, name: &str, now: Timestamp) -> Timestamp {
        if runtime.clock.is_virtual() || is_pushed(config, name) {
            return now;
        }
        let behind = self.of(name);
        let behind = behind.get_or_init(|| behind_us(runtime, config, name)).await;
        before(now, *behind)
    }

    /// The same without asking: a source that was not asked has our clock.
    pub(super) fn known(&self, name: &str, now: Timestamp) -> Timestamp {
        before(now, self.of(name).get().copied().unwrap_or_default())
    }

    fn of(&self, name: &str) -> Arc<OnceCell<SignedDuration>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(name.to_owned()).or_default())
    }
}

fn before(now: Timestamp, behind: SignedDuration) -> Timestamp {
    now.checked_sub(behind).unwrap_or(now)
}

/// How far a source's clock is behind; nothing where it has none, does not say, or is ahead.
async fn behind_us(runtime: &Runtime, config: &Config, name: &str) -> SignedDuration {
    let clock = clock_of_source(runtime, config, name).await;
    let behind = clock.map_or(SignedDuration::ZERO, |clock| runtime.now().duration_since(clock));
    if behind < TOLERANCE { SignedDuration::ZERO } else { behind }
}
