//! Who acts. Three kinds that never turn into one another.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::MemberId;

/// Who asked for something. It is named by the front end that received the request, never by the request itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schemars(inline)]
pub enum Principal {
    /// A member at a terminal or a page. What they may decide depends on a signature, not on this value.
    Human {
        /// The member.
        member: MemberId,
        /// Name or e-mail, for people who read the log.
        name: String,
    },
    /// A coding agent. `client` is what it says of itself, hence self-reported.
    Agent {
        /// Self-reported name of the client program.
        client: String,
    },
    /// The runtime itself.
    System {
        /// The part that acted, for example `poll`.
        component: String,
    },
}

crate::text_enum::text_enum! {
    /// The kind of a principal, as the transition tables name it.
    pub enum PrincipalKind { Human, Agent, System }
}

impl Principal {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> PrincipalKind {
        match self {
            Self::Human { .. } => PrincipalKind::Human,
            Self::Agent { .. } => PrincipalKind::Agent,
            Self::System { .. } => PrincipalKind::System,
        }
    }

    /// The runtime's own part `component`.
    #[must_use]
    pub fn system(component: &str) -> Self {
        Self::System { component: component.to_owned() }
    }

    /// An agent; its self-reported name is cut to 80 printable characters.
    #[must_use]
    pub fn agent(client: &str) -> Self {
        let client: String = client.chars().filter(|c| !c.is_control()).take(80).collect();
        Self::Agent { client: if client.is_empty() { "unknown agent".to_owned() } else { client } }
    }
}

impl std::fmt::Display for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Human { name, .. } => write!(f, "{name} (human)"),
            Self::Agent { client } => write!(f, "{client} (agent, self-reported)"),
            Self::System { component } => write!(f, "{component} (system)"),
        }
    }
}
