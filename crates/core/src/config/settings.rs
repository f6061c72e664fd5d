//! What a checked file says.

use serde::{Deserialize, Serialize};

use super::{ChannelSpec, ConnectorSpec, FlagServiceSpec};
use crate::domain::{OutcomeSpec, Period, SignalSpec};

/// A checked file.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// The outcomes, in the order of the file.
    pub outcomes: Vec<OutcomeSpec>,
    /// The metrics of `metrics`, whether or not an outcome names them.
    #[serde(skip)]
    pub metrics: Vec<SignalSpec>,
    /// The sources.
    pub connectors: Vec<ConnectorSpec>,
    /// The flag service.
    pub flags: Option<FlagServiceSpec>,
    /// Language models.
    pub llm: LlmSpec,
    /// Where messages are sent.
    pub notifications: NotificationSpec,
    /// Limits of the workspace.
    pub limits: Limits,
    /// How long readings are kept.
    pub retention: Retention,
    /// Address of the pages, for links.
    pub review_url: Option<String>,
    /// Fingerprint of the root key of the workspace that the file belongs to.
    pub root: Option<String>,
    /// Every key with its value, in one fixed form: what two files are compared by. It may hold secrets that stand in the file.
    #[serde(skip)]
    pub declared: serde_json::Value,
}

impl Config {
    /// The source with this name.
    #[must_use]
    pub fn connector(&self, name: &str) -> Option<&ConnectorSpec> {
        self.connectors.iter().find(|connector| connector.name == name)
    }

    /// The outcome with this slug.
    #[must_use]
    pub fn outcome(&self, slug: &str) -> Option<&OutcomeSpec> {
        self.outcomes.iter().find(|outcome| outcome.slug.as_str() == slug)
    }
}

/// Language models.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LlmSpec {
    /// The provider for outcomes that name none.
    pub default_provider: Option<String>,
    /// Writes hypotheses.
    pub hypothesis_model: Option<String>,
    /// Summarises results.
    pub analysis_model: Option<String>,
}

/// Where messages are sent.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NotificationSpec {
    /// A Slack app.
    pub slack: Option<SlackSpec>,
    /// The channels of the vendors' table.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<ChannelSpec>,
}

/// A Slack app; secrets are `${...}` references.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlackSpec {
    /// Bot token.
    pub bot_token: String,
    /// Signing secret of incoming actions.
    pub signing_secret: Option<String>,
    /// Where messages go if the gate has no channel.
    pub default_channel: Option<String>,
}

/// Limits of the workspace.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Maximum number of active outcomes at the same time.
    pub max_active_outcomes: Option<u32>,
}

/// How long readings are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// After this time the last level of each day is kept of secondary signals.
    pub levels: Period,
    /// For this time answers of sources about experiments are kept after they were last said.
    pub raw_answers: Period,
}

impl Default for Retention {
    fn default() -> Self {
        Self { levels: Period::from_days(90), raw_answers: Period::from_days(30) }
    }
}
