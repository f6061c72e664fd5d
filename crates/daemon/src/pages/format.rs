//! Figures, instants and names for people.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Four significant digits, without trailing zeros: `0.3214`, `12340`, `-0.02`.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "unknown".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs().log10().floor();
    if magnitude < -6.0 {
        return format!("{value:.2e}");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 10")]
    let decimals = (3.0 - magnitude).clamp(0.0, 10.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// With its sign: `+0.012`.
pub(super) fn signed(value: f64) -> String {
    if value > 0.0 { format!("+{}", number(value)) } else { number(value) }
}

/// A share as a percentage: 0.0512 is `5.12 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{} %", number(share * 100.0))
}

/// A p-value, never "0".
pub(super) fn p_value(p: f64) -> String {
    if p < 0.0001 { "below 0.0001".to_owned() } else { format!("{p:.4}") }
}

/// A count with its thousands: `90,189`.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `2026-11-20 10:00 UTC`.
pub(super) fn instant(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// `due in 3 h 20 min`, `overdue by 2 days`.
pub(super) fn due(minutes_left: i64) -> String {
    let minutes = minutes_left.abs();
    let span = match minutes {
        0..60 => format!("{minutes} min"),
        60..2880 => format!("{} h {} min", minutes / 60, minutes % 60),
        _ => format!("{} days", minutes / 1440),
    };
    if minutes_left < 0 { format!("overdue by {span}") } else { format!("due in {span}") }
}

/// `approve_with_conditions` as `Approve with conditions`.
pub(super) fn words(name: &str) -> String {
    let text = name.replace('_', " ");
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().collect::<String>() + chars.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_never_lie_about_zero() {
        let shown = [0.321_44, 0.02, 12_340.4, -0.000_123_46, 1e-9, 0.0, 1.0, 100.0].map(number);
        assert_eq!(shown, ["0.3214", "0.02", "12340", "-0.0001235", "1.00e-9", "0", "1", "100"]);
        assert_eq!(number(f64::NAN), "unknown");
        assert_eq!(p_value(1e-12), "below 0.0001");
        assert_eq!(percent(0.95), "95 %");
        assert_eq!(count(90_189), "90,189");
    }

    #[test]
    fn names_and_times_read_as_words() {
        assert_eq!(words("approve_with_conditions"), "Approve with conditions");
        assert_eq!(due(200), "due in 3 h 20 min");
        assert_eq!(due(-5), "overdue by 5 min");
        assert_eq!(due(-3000), "overdue by 2 days");
        assert_eq!(instant("2026-11-20T10:00:00Z".parse().unwrap()), "2026-11-20 10:00 UTC");
    }
}
