//! Windows in whole days of a project's time zone, for sources that take dates.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use outcome_core::config::vendor::{At, Problem, Reporter};
use outcome_core::domain::{Period, Window};

/// Whole days, first and last included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Days {
    /// The first day.
    pub(crate) first: Date,
    /// The last day, which is counted.
    pub(crate) last: Date,
    /// From the beginning of the first to the end of the last.
    pub(crate) window: Window,
}

impl Days {
    /// As many whole days as the window is long, at least one, the last of which was over at the end of the window. A window of whole
    /// days stays what it is.
    pub(crate) fn up_to(window: Window, zone: &TimeZone) -> Option<Self> {
        let seconds = window.to.duration_since(window.from).as_secs();
        // The nearest number: a day may have 23 or 25 hours.
        let n = ((seconds + 43_200) / 86_400).max(1);
        let end = window.to.to_zoned(zone.clone()).date();
        let first = end.checked_sub(n.days()).ok()?;
        Self::between(first, end, zone)
    }

    /// The whole days that lie inside of the window; `None` where there is none yet.
    pub(crate) fn inside(window: Window, zone: &TimeZone) -> Option<Self> {
        let day = window.from.to_zoned(zone.clone()).date();
        let first = if start_of(day, zone)? < window.from { day.tomorrow().ok()? } else { day };
        Self::between(first, window.to.to_zoned(zone.clone()).date(), zone)
    }

    /// As many whole days before these as a time takes, for a level of units whose time is over at the end of these.
    pub(crate) fn earlier(&self, by: Period, zone: &TimeZone) -> Option<Self> {
        let n = by.as_secs().div_euclid(86_400) + i64::from(by.as_secs().rem_euclid(86_400) > 0);
        let back = |day: Date| day.checked_sub(n.days()).ok();
        Self::between(back(self.first)?, back(self.last)?.tomorrow().ok()?, zone)
    }

    /// From the beginning of a day to the beginning of another.
    fn between(first: Date, end: Date, zone: &TimeZone) -> Option<Self> {
        if first >= end {
            return None;
        }
        let window = Window { from: start_of(first, zone)?, to: start_of(end, zone)? };
        Some(Self { first, last: end.yesterday().ok()?, window })
    }
}

fn start_of(day: Date, zone: &TimeZone) -> Option<Timestamp> {
    Some(day.to_zoned(zone.clone()).ok()?.timestamp())
}

/// The time zone that a key names, such as `Europe/Amsterdam`; an unknown one is reported.
pub(crate) fn time_zone(at: &At<String>, reporter: &mut Reporter<'_>) -> Option<TimeZone> {
    if let Ok(zone) = TimeZone::get(at.value.trim()) {
        return Some(zone);
    }
    reporter.push(
        Problem::error("config.unknown_value", at.span, "this is not the name of a time zone")
            .valid("a name of the IANA list, as in `UTC` or `Europe/Amsterdam`")
            .help("write the time zone of the project, as its settings show it"),
    );
    None
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn window(from: &str, to: &str) -> Window {
        Window { from: from.parse().unwrap(), to: to.parse().unwrap() }
    }

    fn days(first: &str, last: &str, from: &str, to: &str) -> Option<Days> {
        Some(Days { first: first.parse().unwrap(), last: last.parse().unwrap(), window: window(from, to) })
    }

    #[test]
    fn a_level_is_read_over_as_many_days_that_are_over() {
        let utc = TimeZone::UTC;
        let day = window("2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z");
        assert_eq!(
            Days::up_to(day, &utc),
            days("2026-11-20", "2026-11-20", "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z")
        );
        let rolling = window("2026-11-14T15:30:00Z", "2026-11-21T15:30:00Z");
        assert_eq!(
            Days::up_to(rolling, &utc),
            days("2026-11-14", "2026-11-20", "2026-11-14T00:00:00Z", "2026-11-21T00:00:00Z")
        );
        // 15:30 of New York is still the same day; the day of the change to winter time has 25 hours.
        let zone = TimeZone::get("America/New_York").unwrap();
        let rolling = window("2026-11-01T20:30:00Z", "2026-11-02T20:30:00Z");
        assert_eq!(
            Days::up_to(rolling, &zone),
            days("2026-11-01", "2026-11-01", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z")
        );
    }

    #[test]
    fn whole_days_are_moved_back() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let day = Days::up_to(window("2026-11-02T20:30:00Z", "2026-11-03T20:30:00Z"), &zone).unwrap();
        assert_eq!(day.window, window("2026-11-02T05:00:00Z", "2026-11-03T05:00:00Z"));
        for by in [Period::from_hours(24), Period::from_hours(2)] {
            let found = day.earlier(by, &zone);
            assert_eq!(found, days("2026-11-01", "2026-11-01", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"));
        }
        assert_eq!(day.earlier(Period::from_hours(0), &zone), Some(day.clone()));
    }

    #[test]
    fn of_a_phase_only_days_inside_are_read() {
        let utc = TimeZone::UTC;
        let phase = window("2026-11-14T15:30:00Z", "2026-11-21T15:30:00Z");
        assert_eq!(
            Days::inside(phase, &utc),
            days("2026-11-15", "2026-11-20", "2026-11-15T00:00:00Z", "2026-11-21T00:00:00Z")
        );
        assert_eq!(Days::inside(window("2026-11-14T15:30:00Z", "2026-11-15T23:59:59Z"), &utc), None);
        let whole = window("2026-11-14T00:00:00Z", "2026-11-15T00:00:00Z");
        assert_eq!(Days::inside(whole, &utc).map(|days| days.window), Some(whole));
    }
}
