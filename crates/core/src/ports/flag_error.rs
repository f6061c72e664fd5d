//! Why a flag could not be read or written.

use super::flag_state::FlagState;
use crate::error::{Code, Error};

/// Why a flag could not be read or written. Texts of third parties in it are redacted and cut.
#[derive(Debug, thiserror::Error)]
pub enum FlagError {
    /// The service is declared in a way that cannot work.
    #[error("the flag service cannot be used: {problem}")]
    Config {
        /// What is wrong.
        problem: String,
        /// What to write instead.
        hint: String,
    },
    /// A key or a share that no service takes.
    #[error("{problem}")]
    Invalid {
        /// What is wrong.
        problem: String,
    },
    /// The service could not be asked, or refused.
    #[error("{service} could not {action} flag `{key}`")]
    Http {
        /// Name of the service.
        service: String,
        /// `read` or `write`.
        action: &'static str,
        /// The flag.
        key: String,
        /// Status of the answer, where there was one.
        status: Option<u16>,
        /// True when the same call may succeed later.
        is_transient: bool,
        /// The page that says what the service must answer and what its credentials must allow.
        page: &'static str,
        /// What happened.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file could not be read or written.
    #[error("{file}: {action} failed")]
    Io {
        /// Path as declared.
        file: String,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// Another program holds the file's lock.
    #[error("{file}: another program has held its lock for {waited_secs} s")]
    Locked {
        /// Path as declared.
        file: String,
        /// How long we waited.
        waited_secs: u64,
    },
    /// The answer or the file is not what it should be. Nothing was changed.
    #[error("{place} cannot be used: {problem}")]
    Unreadable {
        /// The file, or the service.
        place: String,
        /// What is wrong.
        problem: String,
    },
    /// The flag is there, but set up in a way that the runtime does not write. Nothing was changed.
    #[error("flag `{key}` is not set up as the runtime does it: {problem}")]
    Foreign {
        /// The flag.
        key: String,
        /// What differs.
        problem: String,
    },
    /// The service's own reviews come first: the change is asked for there, or must be.
    #[error("{service} has not changed flag `{key}`: {problem}")]
    Review {
        /// Name of the service.
        service: String,
        /// The flag.
        key: String,
        /// What is waited for, and by whom it can be given.
        problem: String,
    },
    /// The write was accepted, and the flag is elsewhere.
    #[error("{service} accepted the write, but flag `{}` is {} and not {expected}", .expected.key, shown(.found))]
    NotTaken {
        /// Name of the service.
        service: String,
        /// What was written.
        expected: FlagState,
        /// What was read back.
        found: Option<FlagState>,
    },
}

fn shown(found: &Option<FlagState>) -> String {
    found.as_ref().map_or_else(|| "not there".to_owned(), FlagState::to_string)
}

impl FlagError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Config { .. } => Code::ConnectorConfig,
            Self::Invalid { .. } => Code::InvalidInput,
            Self::Http { .. }
            | Self::Io { .. }
            | Self::Locked { .. }
            | Self::Unreadable { .. }
            | Self::Review { .. }
            | Self::NotTaken { .. } => Code::FlagFailed,
            Self::Foreign { .. } => Code::FlagDrift,
        }
    }

    /// What the reader can do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Config { hint, .. } => Some(hint.clone()),
            Self::Invalid { .. } => None,
            Self::Http { status, page, .. } => match status {
                Some(401 | 403) => Some(format!(
                    "check the service's token: `outcome-runtime flags test` says what it allows, and {page} what it needs"
                )),
                Some(_) => Some(format!("{page} says what the service must answer")),
                None => Some("check the service's address, and that this machine can reach it".to_owned()),
            },
            Self::Io { .. } => Some("check that the file's directory exists and is writable".to_owned()),
            Self::Locked { .. } => Some("end the other program, or wait for it".to_owned()),
            Self::Unreadable { .. } => Some("repair it by hand; the runtime does not overwrite it".to_owned()),
            Self::Foreign { .. } => {
                Some("undo that change in the flag service; off works however a flag is set up".to_owned())
            }
            Self::Review { .. } => Some(
                "have it approved in the flag service, or make the change there by hand; the runtime asks again until it is done"
                    .to_owned(),
            ),
            Self::NotTaken { .. } => Some("look for approvals, schedules or overrides in the flag service".to_owned()),
        }
    }

    /// True when the same call may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Http { is_transient, .. } => *is_transient,
            Self::Locked { .. } => true,
            Self::Config { .. }
            | Self::Invalid { .. }
            | Self::Io { .. }
            | Self::Unreadable { .. }
            | Self::Foreign { .. }
            | Self::Review { .. }
            | Self::NotTaken { .. } => false,
        }
    }
}

impl From<FlagError> for Error {
    fn from(error: FlagError) -> Self {
        let out = Self::new(error.code(), error.to_string());
        let out = match error.hint() {
            Some(hint) => out.hint(hint),
            None => out,
        };
        out.because(error)
    }
}
