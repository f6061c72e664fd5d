//! Texts with placeholders: `/stats?from={from}&to={to}`.

use std::collections::{BTreeMap, BTreeSet};

use outcome_core::domain::Window;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::api::Days;

/// The placeholders about the window.
pub(super) const TIMES: [&str; 9] =
    ["from", "to", "from_unix", "to_unix", "from_ms", "to_ms", "from_date", "to_date", "seconds"];

/// How values are written into a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An address.
    Address,
    /// JSON, inside of quotes.
    Json,
}

/// A text, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    kind: Kind,
    /// Plain texts, and names of placeholders.
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Plain(String),
    Placeholder(String),
}

/// What placeholders are replaced by.
pub(super) struct Values<'v> {
    pub(super) window: Window,
    pub(super) days: Option<&'v Days>,
    pub(super) segment: &'v BTreeMap<String, String>,
}

impl Template {
    /// # Errors
    /// The placeholder that is unknown.
    pub(super) fn parse(text: &str, kind: Kind) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            plain.push_str(before);
            let name = after.split_once('}').map(|(name, _)| name).filter(|name| is_name(name));
            // Any other brace is one of JSON.
            let Some(name) = name else {
                plain.push('{');
                rest = after;
                continue;
            };
            if !TIMES.contains(&name) && name.strip_prefix("segment.").is_none_or(str::is_empty) {
                return Err(format!("`{{{name}}}` is not a placeholder"));
            }
            if !plain.is_empty() {
                parts.push(Part::Plain(std::mem::take(&mut plain)));
            }
            parts.push(Part::Placeholder(name.to_owned()));
            rest = after.get(name.len() + 1..).unwrap_or_default();
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Plain(plain));
        }
        Ok(Self { kind, parts })
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Placeholder(name) => Some(name.as_str()),
            Part::Plain(_) => None,
        })
    }

    /// Whether whole days are asked for.
    pub(super) fn has_dates(&self) -> bool {
        self.names().any(|name| matches!(name, "from_date" | "to_date"))
    }

    /// Whether it says until when.
    pub(super) fn has_end(&self) -> bool {
        self.names().any(|name| matches!(name, "to" | "to_unix" | "to_ms" | "to_date"))
    }

    /// The keys of a segment that it uses.
    pub(super) fn segments(&self) -> BTreeSet<&str> {
        self.names().filter_map(|name| name.strip_prefix("segment.")).collect()
    }

    /// The text with its values.
    ///
    /// # Errors
    /// The placeholder that has none.
    pub(super) fn filled(&self, values: &Values<'_>) -> Result<String, String> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Plain(text) => out.push_str(text),
                Part::Placeholder(name) => {
                    let value = value_of(name, values).ok_or_else(|| format!("`{{{name}}}` has no value"))?;
                    out.push_str(&self.written(&value));
                }
            }
        }
        Ok(out)
    }

    fn written(&self, value: &str) -> String {
        match self.kind {
            Kind::Address => utf8_percent_encode(value, NON_ALPHANUMERIC).to_string(),
            Kind::Json => {
                let quoted = serde_json::Value::from(value).to_string();
                quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
            }
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

fn value_of(name: &str, values: &Values<'_>) -> Option<String> {
    let Window { from, to } = values.window;
    Some(match name {
        "from" => from.to_string(),
        "to" => to.to_string(),
        "from_unix" => from.as_second().to_string(),
        "to_unix" => to.as_second().to_string(),
        "from_ms" => from.as_millisecond().to_string(),
        "to_ms" => to.as_millisecond().to_string(),
        "seconds" => to.duration_since(from).as_secs().to_string(),
        "from_date" => values.days?.first.to_string(),
        "to_date" => values.days?.last.to_string(),
        name => values.segment.get(name.strip_prefix("segment.")?)?.clone(),
    })
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn values_are_written_as_their_place_needs() {
        let window =
            Window { from: "2026-11-14T00:00:00Z".parse().unwrap(), to: "2026-11-21T00:00:00Z".parse().unwrap() };
        let days = Days::up_to(window, &jiff::tz::TimeZone::UTC);
        let segment = BTreeMap::from([("plan".to_owned(), "a&b \"c\"".to_owned())]);
        let values = Values { window, days: days.as_ref(), segment: &segment };
        let address =
            Template::parse("/s?from={from}&d={to_date}&p={segment.plan}&n={seconds}", Kind::Address).unwrap();
        assert_eq!(
            address.filled(&values).unwrap(),
            "/s?from=2026%2D11%2D14T00%3A00%3A00Z&d=2026%2D11%2D20&p=a%26b%20%22c%22&n=604800"
        );
        assert!(address.has_dates());
        assert_eq!(address.segments(), BTreeSet::from(["plan"]));
        let body = Template::parse(r#"{"a": {}, "p": "{segment.plan}", "t": {to_ms}}"#, Kind::Json).unwrap();
        assert_eq!(body.filled(&values).unwrap(), r#"{"a": {}, "p": "a&b \"c\"", "t": 1795219200000}"#);
        assert!(!body.has_dates());
        assert_eq!(Template::parse("/s?x={until}", Kind::Address), Err("`{until}` is not a placeholder".to_owned()));
        assert!(Template::parse("/s?x={segment.}", Kind::Address).is_err());
        let missing = Template::parse("{segment.land}", Kind::Address).unwrap();
        assert_eq!(missing.filled(&values), Err("`{segment.land}` has no value".to_owned()));
    }
}
