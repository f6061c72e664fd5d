//! Why a signal could not be read.

use std::time::Duration;

use crate::error::{Code, Error};
use crate::file_trouble::FileTrouble;

/// Why a signal could not be read. Texts of third parties in it are redacted and cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The connector or the signal is declared in a way that cannot work.
    #[error("connector `{source_name}`: {problem}")]
    Config {
        /// Name of the connector.
        source_name: String,
        /// What is wrong.
        problem: String,
        /// What to write instead.
        hint: String,
    },
    /// The source refused the credentials, or they may not read what the query asks for.
    #[error("connector `{source_name}` rejected the credentials: {detail}")]
    Unauthorized {
        /// Name of the connector.
        source_name: String,
        /// What it said.
        detail: String,
        /// What to check, of a source of this kind.
        hint: String,
    },
    /// Nobody answered.
    #[error("connector `{source_name}` cannot be reached: {detail}")]
    Unreachable {
        /// Name of the connector.
        source_name: String,
        /// What the network or the system said.
        detail: String,
    },
    /// The file of a database cannot be used.
    #[error("connector `{source_name}` cannot be read: {trouble}")]
    File {
        /// Name of the connector.
        source_name: String,
        /// What is wrong with the file.
        trouble: FileTrouble,
    },
    /// No answer in time.
    #[error("connector `{source_name}` did not answer within {}", seconds(.limit))]
    Timeout {
        /// Name of the connector.
        source_name: String,
        /// How long it had.
        limit: Duration,
        /// What to change, of a source of this kind.
        hint: String,
    },
    /// The source has answered as often as it may, or is overloaded.
    #[error("connector `{source_name}` answers no more for now: {detail}")]
    Throttled {
        /// Name of the connector.
        source_name: String,
        /// Which limit, as the source says.
        detail: String,
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// The source refused the query.
    #[error("connector `{source_name}` refused the query of `{signal}`{}: {detail}", place(.line, .column))]
    Query {
        /// Name of the connector.
        source_name: String,
        /// Name of the signal.
        signal: String,
        /// What it said while it prepared the query; of what it said while it ran, the code and our own words.
        detail: String,
        /// What to do next.
        hint: String,
        /// Line in the query as written, from 1.
        line: Option<u32>,
        /// Column in that line, in characters, from 1.
        column: Option<u32>,
    },
    /// The source answered with columns or values that cannot be used.
    #[error("connector `{source_name}` gave an unusable answer for `{signal}`: {problem}")]
    Shape {
        /// Name of the connector.
        source_name: String,
        /// Name of the signal.
        signal: String,
        /// What is wrong, with row and column.
        problem: String,
        /// What to change.
        hint: String,
    },
    /// The source pushes its readings; there is nothing to ask.
    #[error("connector `{source_name}` pushes its readings and cannot be polled")]
    PushOnly {
        /// Name of the connector.
        source_name: String,
    },
}

fn seconds(limit: &Duration) -> String {
    format!("{} s", limit.as_secs_f64())
}

fn place(line: &Option<u32>, column: &Option<u32>) -> String {
    match (line, column) {
        (Some(line), Some(column)) => format!(" at line {line}, column {column}"),
        _ => String::new(),
    }
}

impl ReadError {
    /// A reference of the connector's settings that has no value.
    #[must_use]
    pub fn secret(source_name: &str, error: &Error) -> Self {
        Self::Config {
            source_name: source_name.to_owned(),
            problem: error.message().to_owned(),
            hint: error.hint_text().unwrap_or("set the variable or write the file that the reference names").to_owned(),
        }
    }

    /// Stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Config { .. } => Code::ConnectorConfig,
            Self::Unauthorized { .. } => Code::SignalUnauthorized,
            Self::Unreachable { .. } | Self::File { .. } | Self::Query { .. } | Self::PushOnly { .. } => {
                Code::SignalFetchFailed
            }
            Self::Timeout { .. } => Code::SignalTimeout,
            Self::Throttled { .. } => Code::SignalThrottled,
            Self::Shape { .. } => Code::SignalShape,
        }
    }

    /// What the reader can do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Config { hint, .. }
            | Self::Unauthorized { hint, .. }
            | Self::Timeout { hint, .. }
            | Self::Query { hint, .. }
            | Self::Shape { hint, .. } => hint.clone(),
            Self::Unreachable { source_name, .. } => format!(
                "check the address, that the server is running, and that this machine can reach it; then run \
                 `outcome-runtime connectors test {source_name}`"
            ),
            Self::File { source_name, trouble } => {
                format!("{}; then run `outcome-runtime connectors test {source_name}`", trouble.advice())
            }
            Self::Throttled { .. } => {
                "nothing: it is asked again when it allows; where that is often, read fewer signals from it or \
                                       raise their `poll_interval`"
                    .to_owned()
            }
            Self::PushOnly { .. } => "wait for its next push to POST /api/v1/signals/ingest".to_owned(),
        })
        .filter(|hint| !hint.is_empty())
    }

    /// True when the same question may be answered later without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::File { .. } | Self::Timeout { .. } | Self::Throttled { .. } => true,
            Self::Config { .. }
            | Self::Unauthorized { .. }
            | Self::Query { .. }
            | Self::Shape { .. }
            | Self::PushOnly { .. } => false,
        }
    }

    /// How long the source asked to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        if let Self::Throttled { retry_after, .. } = self { *retry_after } else { None }
    }

    /// Name of the connector.
    #[must_use]
    pub fn source_name(&self) -> &str {
        match self {
            Self::Config { source_name, .. }
            | Self::Unauthorized { source_name, .. }
            | Self::Unreachable { source_name, .. }
            | Self::File { source_name, .. }
            | Self::Timeout { source_name, .. }
            | Self::Throttled { source_name, .. }
            | Self::Query { source_name, .. }
            | Self::Shape { source_name, .. }
            | Self::PushOnly { source_name } => source_name,
        }
    }
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        let out = Self::new(error.code(), error.to_string()).with("source", error.source_name());
        let out = match error.retry_after() {
            Some(wait) => out.with("retry_after_s", wait.as_secs()),
            None => out,
        };
        match error.hint() {
            Some(hint) => out.hint(hint),
            None => out,
        }
    }
}
