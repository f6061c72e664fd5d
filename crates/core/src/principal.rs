//! Who acts. Four kinds that never turn into one another.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::MemberId;

/// Who asked for something. It is named by the front end that received the request, never by the request itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schemars(inline)]
pub enum Principal {
    /// A member whose signature stands behind the act.
    Human {
        /// The member.
        member: MemberId,
        /// Their e-mail, in lines of before. It stands there for ever, and nothing depends on it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// Somebody in this OS account, at a terminal or a page, without a signature: a person, or a program that acts like one.
    Local {
        /// What the system or the session calls them. It proves nothing.
        account: String,
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
    pub enum PrincipalKind { Human, Local, Agent, System }
}

impl Principal {
    /// A member.
    #[must_use]
    pub fn member(member: MemberId) -> Self {
        Self::Human { member, name: None }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> PrincipalKind {
        match self {
            Self::Human { .. } => PrincipalKind::Human,
            Self::Local { .. } => PrincipalKind::Local,
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
        Self::Agent { client: printable(client, "unknown agent") }
    }

    /// Somebody at a page on which this member signed in; what they do there without the passphrase is unsigned.
    #[must_use]
    pub fn session_of(member: MemberId) -> Self {
        Self::local(&format!("session of {member}"))
    }

    /// Somebody in this OS account; the name is cut to 80 printable characters.
    #[must_use]
    pub fn local(account: &str) -> Self {
        Self::Local { account: printable(account, "unknown account") }
    }
}

fn printable(name: &str, otherwise: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
    if name.is_empty() { otherwise.to_owned() } else { name }
}

impl std::fmt::Display for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Human { name: Some(name), .. } => write!(f, "{name} (human)"),
            Self::Human { member, name: None } => write!(f, "member {member} (human)"),
            Self::Local { account } => write!(f, "{account} (this account, unsigned)"),
            Self::Agent { client } => write!(f, "{client} (agent, self-reported)"),
            Self::System { component } => write!(f, "{component} (system)"),
        }
    }
}
