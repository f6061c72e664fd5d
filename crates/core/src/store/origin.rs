//! How a reading came to be stored: its natural key says it.

use jiff::Timestamp;

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
