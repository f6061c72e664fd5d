//! One question for many: where a vendor limits questions, the level of the same metric over the same minutes is asked for once.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use moka::future::Cache;
use sha2::{Digest as _, Sha256};

use super::urgency::Urgency;
use crate::domain::{ArmSums, Reading, SignalSpec, Window};
use crate::ports::ReadError;

/// How long an answer serves others who ask the same.
const KEPT: Duration = Duration::from_mins(2);
/// Most answers that are kept.
const MOST: u64 = 10_000;
/// Windows end at whole minutes, so that those who ask at about the same time ask the same.
const STEP: SignedDuration = SignedDuration::from_mins(1);

type Key = [u8; 32];

/// Levels that were read lately, and those that are being read.
#[derive(Debug)]
pub(super) struct SharedLevels(Cache<Key, Reading<ArmSums>>);

impl Default for SharedLevels {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MOST).time_to_live(KEPT).build())
    }
}

impl SharedLevels {
    /// The answer of somebody who asked the same, or one to `asking`. A failure is told to all who wait for it and to nobody later.
    pub(super) async fn get(
        &self,
        signal: &SignalSpec,
        window: Window,
        urgency: Urgency,
        asking: impl Future<Output = Result<Reading<ArmSums>, ReadError>>,
    ) -> Result<Reading<ArmSums>, ReadError> {
        let done = self.0.try_get_with(key(signal, window, urgency), asking).await;
        done.map_err(|error: Arc<ReadError>| ReadError::clone(&error))
    }
}

/// What is asked: everything of a signal but what it is called here and how often it is read. An experiment does not wait in the queue of
/// a level.
fn key(signal: &SignalSpec, window: Window, urgency: Urgency) -> Key {
    let asked = SignalSpec {
        name: String::new(),
        unit: None,
        poll_interval: crate::domain::Period::from_secs(0),
        ..signal.clone()
    };
    let text = serde_json_canonicalizer::to_vec(&(asked, window, urgency == Urgency::Ordinary)).unwrap_or_default();
    Sha256::digest(text).into()
}

/// The window as it is asked for: as long, and ending at a whole minute.
pub(in crate::usecases::kernel) fn aligned(window: Window) -> Window {
    let step = STEP.as_secs();
    let late =
        Timestamp::from_second(window.to.as_second() - window.to.as_second().rem_euclid(step)).unwrap_or(window.to);
    let by = window.to.duration_since(late);
    Window { from: window.from.checked_sub(by).unwrap_or(window.from), to: late }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_at_a_whole_minute_and_stays_as_long() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let window = Window { from: at("2026-11-20T10:00:41.5Z"), to: at("2026-11-21T10:00:41.5Z") };
        let aligned = aligned(window);
        assert_eq!(aligned, Window { from: at("2026-11-20T10:00:00Z"), to: at("2026-11-21T10:00:00Z") });
    }
}
