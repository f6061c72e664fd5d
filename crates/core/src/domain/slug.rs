//! Names for people: short, stable, safe in a URL, a branch and a terminal.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One to 64 lower-case letters, digits and single hyphens; begins and ends with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(inline, with = "String")]
pub struct Slug(String);

/// Why a text is not a slug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{shown}` is not a slug: use 1 to 64 lower-case letters, digits and single hyphens, as in `checkout-mobile`")]
pub struct SlugError {
    shown: String,
}

impl Slug {
    /// Longest slug, in characters.
    pub const MAX: usize = 64;

    /// The nearest slug to a title: `Short sign-up!` -> `short-sign-up`; `experiment` when nothing is left.
    #[must_use]
    pub fn from_title(title: &str) -> Self {
        let mut out = String::new();
        for c in title.chars() {
            if c.is_ascii_alphanumeric() {
                out.push(c.to_ascii_lowercase());
            } else if !out.is_empty() && !out.ends_with('-') {
                out.push('-');
            }
            if out.len() >= 48 {
                break;
            }
        }
        let out = out.trim_matches('-');
        Self(if out.is_empty() { "experiment".to_owned() } else { out.to_owned() })
    }

    /// This slug with `-number` behind it, still at most [`Self::MAX`] long.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Self {
        let tail = format!("-{number}");
        let keep: String = self.0.chars().take(Self::MAX - tail.len()).collect();
        Self(format!("{}{tail}", keep.trim_end_matches('-')))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Slug {
    type Err = SlugError;
    fn from_str(text: &str) -> Result<Self, SlugError> {
        let ok = (1..=Self::MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-')
            && !text.contains("--");
        if ok { Ok(Self(text.to_owned())) } else { Err(SlugError { shown: text.chars().take(60).collect() }) }
    }
}

impl TryFrom<String> for Slug {
    type Error = SlugError;
    fn try_from(text: String) -> Result<Self, SlugError> {
        text.parse()
    }
}
impl From<Slug> for String {
    fn from(slug: Slug) -> Self {
        slug.0
    }
}
impl std::fmt::Display for Slug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}
