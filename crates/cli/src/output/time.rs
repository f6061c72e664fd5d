//! Instants and spans as people say them.

use jiff::Timestamp;

/// `2 h ago (2026-11-20 18:36 UTC)`.
pub fn when(now: Timestamp, at: Timestamp) -> String {
    format!("{} ({})", relative(now, at), absolute(at))
}

/// `2026-11-20 18:36 UTC`.
pub fn absolute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// `2 h ago`, `in 3 days`, `just now`.
pub fn relative(now: Timestamp, at: Timestamp) -> String {
    let minutes = at.duration_since(now).as_secs() / 60;
    match minutes {
        0 => "just now".to_owned(),
        later if later > 0 => format!("in {}", span(later)),
        earlier => format!("{} ago", span(earlier)),
    }
}

/// A number of minutes: `35 min`, `5 h`, `12 days`.
pub fn span(minutes: i64) -> String {
    match minutes.unsigned_abs() {
        n @ 0..120 => format!("{n} min"),
        n @ 120..2880 => format!("{} h", n / 60),
        n => format!("{} days", n / 1440),
    }
}

/// What is left of a gate's time.
pub fn left(minutes: i64) -> String {
    if minutes < 0 { format!("{} overdue", span(minutes)) } else { format!("{} left", span(minutes)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_well() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        assert_eq!(when(now, "2026-11-20T09:00:00Z".parse().unwrap()), "3 h ago (2026-11-20 09:00 UTC)");
        assert_eq!(relative(now, "2026-12-20T12:00:00Z".parse().unwrap()), "in 30 days");
        assert_eq!(relative(now, now), "just now");
        assert_eq!(left(-90), "90 min overdue");
    }
}
