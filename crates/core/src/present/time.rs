//! Instants and spans of time.

use jiff::Timestamp;

/// `2026-11-20 18:36 UTC`.
#[must_use]
pub fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// `2 h ago (2026-11-20 18:36 UTC)`.
#[must_use]
pub fn when(now: Timestamp, at: Timestamp) -> String {
    format!("{} ({})", relative(now, at), instant(at))
}

/// `2 h ago`, `in 3 days`, `just now`.
#[must_use]
pub fn relative(now: Timestamp, at: Timestamp) -> String {
    let minutes = at.duration_since(now).as_secs() / 60;
    match minutes {
        0 => "just now".to_owned(),
        later if later > 0 => format!("in {}", span(later)),
        earlier => format!("{} ago", span(earlier)),
    }
}

/// How long a number of minutes is, whatever its sign: `35 min`, `5 h`, `12 days`. The last unit is cut, not rounded.
#[must_use]
pub fn span(minutes: i64) -> String {
    match minutes.unsigned_abs() {
        n @ 0..120 => format!("{n} min"),
        n @ 120..2880 => format!("{} h", n / 60),
        n => format!("{} days", n / 1440),
    }
}

/// What is left until a gate is due: `due in 3 h`, `overdue by 2 days`.
#[must_use]
pub fn due(minutes_left: i64) -> String {
    let span = span(minutes_left);
    if minutes_left < 0 { format!("overdue by {span}") } else { format!("due in {span}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_and_spans_read_well() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        assert_eq!(when(now, "2026-11-20T09:00:00Z".parse().unwrap()), "3 h ago (2026-11-20 09:00 UTC)");
        assert_eq!(relative(now, "2026-12-20T12:00:00Z".parse().unwrap()), "in 30 days");
        assert_eq!(relative(now, now), "just now");
        assert_eq!([due(200), due(-90), due(-3000)], ["due in 3 h", "overdue by 90 min", "overdue by 2 days"]);
    }
}
