//! The windows that a source is asked about.

use jiff::tz::TimeZoneDatabase;
use jiff::{SignedDuration, Timestamp};

use crate::domain::Window;

/// A window and the instant at which it is cut in two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Halves {
    pub(super) from: Timestamp,
    pub(super) cut: Timestamp,
    pub(super) to: Timestamp,
}

impl Halves {
    pub(super) fn whole(self) -> Window {
        Window { from: self.from, to: self.to }
    }

    pub(super) fn first(self) -> Window {
        Window { from: self.from, to: self.cut }
    }

    pub(super) fn second(self) -> Window {
        Window { from: self.cut, to: self.to }
    }

    /// The same some time before.
    pub(super) fn before(self, by: SignedDuration) -> Self {
        let earlier = |at: Timestamp| at.checked_sub(by).unwrap_or(Timestamp::MIN);
        Self { from: earlier(self.from), cut: earlier(self.cut), to: earlier(self.to) }
    }
}

/// A week of whole days of UTC that ended a day ago or earlier, cut after four of them: what is in it changes no more, as far as sources go.
pub(super) fn week(now: Timestamp) -> Halves {
    let day = 24 * 3600;
    let midnight = now.as_second() - now.as_second().rem_euclid(day);
    let at = |days: i64| Timestamp::from_second(midnight - days * day).unwrap_or(now);
    Halves { from: at(8), cut: at(4), to: at(1) }
}

/// Two hours on either side of the latest change of the clocks in Europe and in North America.
pub(super) fn clock_changes(now: Timestamp) -> Vec<Halves> {
    let around = |cut: Timestamp| {
        let by = SignedDuration::from_hours(2);
        Some(Halves { from: cut.checked_sub(by).ok()?, cut, to: cut.checked_add(by).ok()? })
    };
    let latest = |zone: &str| {
        let zone = TimeZoneDatabase::bundled().get(zone).ok()?;
        // Four hours ago at least, so that the window is over.
        let cut = zone.preceding(now.checked_sub(SignedDuration::from_hours(4)).ok()?).next()?.timestamp();
        around(cut)
    };
    ["Europe/Berlin", "America/New_York"].into_iter().filter_map(latest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_change_at_the_right_instants() {
        let now = "2026-11-30T01:00:00Z".parse().unwrap();
        let cuts: Vec<_> = clock_changes(now).iter().map(|halves| halves.cut.to_string()).collect();
        assert_eq!(cuts, ["2026-10-25T01:00:00Z", "2026-11-01T06:00:00Z"]);
        assert_eq!(week(now).whole().to.to_string(), "2026-11-29T00:00:00Z");
    }
}
