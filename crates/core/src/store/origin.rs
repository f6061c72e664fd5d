//! How a reading came to be stored.

use jiff::Timestamp;

/// How a reading came to be stored.
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
    /// Of a reading with these columns.
    pub(super) fn of(is_pushed: bool, reread_of: Option<Timestamp>) -> Self {
        match reread_of {
            _ if is_pushed => Self::Pushed,
            Some(of) => Self::Reread(of),
            None => Self::Polled,
        }
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
