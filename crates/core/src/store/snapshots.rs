//! Readings as the statistics need them: who said what about which window, without where it came from.

use std::sync::Arc;

use jiff::Timestamp;

use super::StoredReading;
use crate::domain::{ArmSums, Variant};

/// How a reading came to be stored. Its natural key begins with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A poll asked for it.
    Polled,
    /// Its source pushed it.
    Pushed,
    /// A later poll asked again what had been true at this instant, after the source had restated its past.
    Reread(Timestamp),
}

impl Origin {
    const PUSHED: &str = "push/";
    const REREAD: &str = "reread/";

    /// Of a reading with this natural key, or with the first 34 characters of it.
    pub(super) fn of_key(key: &str) -> Self {
        if key.starts_with(Self::PUSHED) {
            return Self::Pushed;
        }
        let at = key.strip_prefix(Self::REREAD).and_then(|rest| rest.split('/').next()?.parse().ok());
        at.map_or(Self::Polled, Self::Reread)
    }

    /// The natural key of a reading that was asked for again; `rest` makes it unique.
    pub(crate) fn reread_key(of: Timestamp, rest: &str) -> String {
        format!("{}{of:.6}/{rest}", Self::REREAD)
    }

    /// True when its source pushed it.
    #[must_use]
    pub fn is_pushed(self) -> bool {
        self == Self::Pushed
    }

    /// The past instant, of what was asked for again.
    #[must_use]
    pub fn reread_of(self) -> Option<Timestamp> {
        match self {
            Self::Reread(of) => Some(of),
            Self::Polled | Self::Pushed => None,
        }
    }
}

/// A reading of an experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Name of the signal.
    pub signal: Arc<str>,
    /// Allocation phase, from 0.
    pub phase: i32,
    /// The arm; `None` for the whole population.
    pub variant: Option<Variant>,
    /// When it was stored.
    pub measured_at: Timestamp,
    /// End of its window.
    pub window_to: Timestamp,
    /// What was said.
    pub sums: ArmSums,
    /// How it came.
    pub origin: Origin,
}

impl From<&StoredReading> for Snapshot {
    fn from(stored: &StoredReading) -> Self {
        let m = &stored.measurement;
        Self {
            signal: m.signal.as_str().into(),
            phase: m.phase.unwrap_or(0),
            variant: m.variant,
            measured_at: m.measured_at,
            window_to: m.window.to,
            sums: m.sums,
            origin: stored.origin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_natural_key_says_how_a_reading_came() {
        let of: Timestamp = "2026-10-01T08:00:00.25Z".parse().unwrap();
        let key = Origin::reread_key(of, "0199/came_back/0/control");
        assert!(key.starts_with("reread/2026-10-01T08:00:00.250000Z/0199"), "{key}");
        assert_eq!(Origin::of_key(&key), Origin::Reread(of));
        assert_eq!(Origin::of_key(&key[..34]), Origin::Reread(of));
        assert_eq!(Origin::of_key("push/shop/msg_1/control"), Origin::Pushed);
        assert_eq!(Origin::of_key("poll/0199/came_back/0/control/2026-10-01T08:00:00Z"), Origin::Polled);
    }
}
