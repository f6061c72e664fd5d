//! What a check of a source's answers came to.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::text_enum;
use crate::error::Error;
use crate::ports::ReadError;

text_enum! {
    /// What a check came to.
    pub enum CheckState {
        /// The source does as it should.
        Passed,
        /// It does not.
        Failed,
        /// It could not be tried.
        Skipped,
    }
}

/// A check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Check {
    /// Stable name, as in `level_adjacent_windows`.
    pub check: &'static str,
    /// The signal that was asked for; absent for a check of the source itself.
    pub signal: Option<String>,
    /// What it came to.
    pub state: CheckState,
    /// What was seen.
    pub what: String,
    /// What to do; absent where it passed.
    pub hint: Option<String>,
}

/// What was seen, and what to do about it.
pub(super) enum Seen {
    Right(String),
    Wrong(String, String),
    Unknown(String, String),
}

impl Seen {
    pub(super) fn wrong(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Wrong(what.into(), hint.into())
    }

    pub(super) fn unknown(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Unknown(what.into(), hint.into())
    }

    /// A question that should have been answered and was not.
    pub(super) fn failure(error: ReadError) -> Self {
        let is_busy = matches!(error, ReadError::Throttled { .. });
        let error = Error::from(error);
        let hint = error.hint_text().unwrap_or("look at what the source says").to_owned();
        let what = format!("{} ({})", error.message(), error.code().as_str());
        if is_busy { Self::Unknown(what, hint) } else { Self::Wrong(what, hint) }
    }

    /// The check that this belongs to.
    pub(super) fn of(self, check: &'static str, signal: Option<&str>) -> Check {
        let signal = signal.map(str::to_owned);
        let (state, what, hint) = match self {
            Self::Right(what) => (CheckState::Passed, what, None),
            Self::Wrong(what, hint) => (CheckState::Failed, what, Some(hint)),
            Self::Unknown(what, hint) => (CheckState::Skipped, what, Some(hint)),
        };
        Check { check, signal, state, what, hint }
    }
}

/// Whether an error says that there is no reading, as a source may for a window without data.
pub(super) fn says_no_reading(error: &ReadError) -> bool {
    matches!(error, ReadError::Query { .. })
}
