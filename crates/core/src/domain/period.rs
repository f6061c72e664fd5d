//! Spans of time as people write them: `6w`, `24h`, `90m`, `P6W`, `PT4H`.

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A positive span of time of fixed length: a day has 24 hours, a week seven days. Months and years are refused, because
/// their length depends on when they begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(
    inline,
    with = "String",
    description = "A duration such as 30m, 24h, 7d, 6w, or ISO 8601 such as P6W or PT4H"
)]
pub struct Period(SignedDuration);

impl Period {
    /// A span of whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: i64) -> Self {
        Self(SignedDuration::from_secs(seconds))
    }
    /// A span of whole hours.
    #[must_use]
    pub const fn from_hours(hours: i64) -> Self {
        Self(SignedDuration::from_secs(hours * 3600))
    }
    /// A span of whole days.
    #[must_use]
    pub const fn from_days(days: i64) -> Self {
        Self::from_hours(days * 24)
    }
    /// As a duration.
    #[must_use]
    pub const fn get(self) -> SignedDuration {
        self.0
    }
    /// Length in seconds.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.as_secs()
    }
    /// Length in days, with a fraction.
    #[must_use]
    pub fn as_days(self) -> f64 {
        self.0.as_secs_f64() / 86_400.0
    }
}

impl std::str::FromStr for Period {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let shown: String = text.chars().take(40).collect();
        let span: jiff::Span = text
            .trim()
            .parse()
            .map_err(|_| format!("`{shown}` is not a duration: write 30m, 24h, 7d or 6w, or ISO 8601 as in P6W"))?;
        if span.get_months() != 0 || span.get_years() != 0 {
            return Err(format!("`{shown}` has months or years, whose length varies: write weeks or days, as in 6w"));
        }
        let duration = span
            .to_duration(jiff::SpanRelativeTo::days_are_24_hours())
            .map_err(|_| format!("`{shown}` is too long: the limit is 10 years"))?;
        if duration <= SignedDuration::ZERO {
            return Err(format!("`{shown}` must be longer than 0"));
        }
        if duration > SignedDuration::from_hours(24 * 3653) {
            return Err(format!("`{shown}` is too long: the limit is 10 years"));
        }
        Ok(Self(SignedDuration::from_secs(duration.as_secs().max(1))))
    }
}

impl TryFrom<String> for Period {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}
impl From<Period> for String {
    fn from(period: Period) -> Self {
        period.to_string()
    }
}

impl std::fmt::Display for Period {
    /// The largest whole units: `6w`, `1d12h`, `90m` is `1h30m`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut rest = self.0.as_secs();
        let mut out = String::new();
        for (unit, length) in [("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
            if unit == "w" && rest % length != 0 {
                continue;
            }
            let count = rest / length;
            rest %= length;
            if count > 0 {
                out.push_str(&format!("{count}{unit}"));
            }
        }
        f.pad(&out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_friendly_and_iso_spans_and_prints_the_shortest_form() {
        for (text, shown) in
            [("6w", "6w"), ("P6W", "6w"), ("24h", "1d"), ("PT4H", "4h"), ("90m", "1h30m"), ("10d", "10d")]
        {
            assert_eq!(text.parse::<Period>().map(|p| p.to_string()), Ok(shown.to_owned()), "{text}");
        }
    }

    #[test]
    fn refuses_what_has_no_fixed_length() {
        for text in ["", "soon", "1mo", "P1Y", "-2h", "0s", "999999w"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }
}
