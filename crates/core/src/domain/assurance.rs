//! How surely a decision came from a human.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How surely a decision came from a human (DESIGN section 6). Ordered: A1 < A2 < A3 < A4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Assurance {
    /// An answer to an elicitation: decides nothing.
    A1,
    /// A local terminal or page without a secret: "local, unverified".
    A2,
    /// A passphrase unlocked the member's signing key.
    A3,
    /// A key that needs a human touch.
    A4,
}

impl Assurance {
    /// For people: what the level means.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::A1 => "elicitation answer, cannot decide",
            Self::A2 => "local, unverified",
            Self::A3 => "passphrase-signed",
            Self::A4 => "hardware key, touched by a human",
        }
    }
}

impl std::fmt::Display for Assurance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::str::FromStr for Assurance {
    type Err = String;
    /// # Errors
    /// A sentence that lists the valid values.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "A1" => Ok(Self::A1),
            "A2" => Ok(Self::A2),
            "A3" => Ok(Self::A3),
            "A4" => Ok(Self::A4),
            _ => Err(format!("`{}` is not one of A1, A2, A3, A4", text.chars().take(60).collect::<String>())),
        }
    }
}
