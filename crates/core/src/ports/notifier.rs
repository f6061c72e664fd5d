//! Telling people: a [`Notifier`] for each kind of channel, and what it is told.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secrets::Opening;

/// The checked settings of a declared channel; references such as `${ENV}` are not resolved yet.
pub trait ChannelSettings: std::fmt::Debug + Send + Sync {
    /// The settings as they were declared, references unresolved.
    fn to_json(&self) -> serde_json::Value;

    /// Opens the channel.
    ///
    /// # Errors
    /// [`NotifyError::Config`] when the settings cannot work or a secret is missing.
    fn open(&self, opening: &Opening<'_>) -> Result<Box<dyn Notifier>, NotifyError>;
}

/// A way to tell people something.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Name for people: `webhook`.
    fn name(&self) -> &str;

    /// Delivers the text once; the key is the same whenever the same message is tried again, so that a receiver can drop
    /// what it already has. `at`: the instant of this attempt. Returns what the receiver answered, in a few words.
    async fn send(&self, letter: &Letter, at: Timestamp) -> Result<String, NotifyError>;
}

/// One message as a channel delivers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Letter {
    /// Identifies the message over all attempts.
    pub key: String,
    /// What happened, as a stable word: `gate_opened`.
    pub kind: String,
    /// When it was decided to tell people.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// What it is about.
    pub about: LetterAbout,
    /// One line.
    pub subject: String,
    /// A few plain sentences.
    pub text: String,
    /// Where to read more or to decide.
    pub link: Option<String>,
    /// E-mail of the person it is for, where it is for one.
    pub recipient: Option<String>,
    /// The rest of the channel's name in the file, as `#checkout` of `slack:#checkout`.
    pub place: Option<String>,
}

/// What a message is about, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LetterAbout {
    /// Slug of the gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// Slug of the experiment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experiment: Option<String>,
    /// Name of the signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
}

/// Why a message was not delivered. Texts of third parties in it are redacted and cut.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The channel is declared in a way that cannot work.
    #[error("channel `{channel}` cannot be used: {problem}")]
    Config {
        /// Name of the channel.
        channel: String,
        /// What is wrong.
        problem: String,
    },
    /// The receiver refused the message; trying again without a change will not help.
    #[error("channel `{channel}` refused the message: {problem}")]
    Refused {
        /// Name of the channel.
        channel: String,
        /// What it said.
        problem: String,
    },
    /// The receiver wants neither this message nor another one: it is not tried again.
    #[error("channel `{channel}` wants no more messages: {problem}")]
    Gone {
        /// Name of the channel.
        channel: String,
        /// What it said.
        problem: String,
    },
    /// The receiver did not answer, or asked to wait.
    #[error("channel `{channel}` could not be reached: {problem}")]
    Unreachable {
        /// Name of the channel.
        channel: String,
        /// What happened.
        problem: String,
        /// How long the receiver asked to wait.
        retry_after: Option<SignedDuration>,
    },
}

impl NotifyError {
    /// True when the same message may be taken later without a change.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Config { .. } | Self::Refused { .. } | Self::Gone { .. } => false,
        }
    }

    /// True when the message must not be tried again.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Gone { .. } => true,
            Self::Config { .. } | Self::Refused { .. } | Self::Unreachable { .. } => false,
        }
    }

    /// How long the receiver asked to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<SignedDuration> {
        match self {
            Self::Unreachable { retry_after, .. } => *retry_after,
            Self::Config { .. } | Self::Refused { .. } | Self::Gone { .. } => None,
        }
    }
}
