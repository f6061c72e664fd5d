//! How strong the evidence for a finding is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How strong the evidence for a result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum EvidenceGrade {
    /// Randomised and healthy.
    A,
    /// Randomised, with a warning about the data.
    B,
    /// Before and after.
    C,
    /// An anecdote; also randomised data that allow no claim.
    D,
}

impl std::fmt::Display for EvidenceGrade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::str::FromStr for EvidenceGrade {
    type Err = String;
    /// # Errors
    /// A sentence that lists the valid values.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "A" => Ok(Self::A),
            "B" => Ok(Self::B),
            "C" => Ok(Self::C),
            "D" => Ok(Self::D),
            _ => Err(format!("`{}` is not one of A, B, C, D", text.chars().take(60).collect::<String>())),
        }
    }
}
