//! What the log says about secrets: names, hints and ids of keys.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::audit::{EventKind, NewEvent};
use crate::domain::text_enum;
use crate::error::{Code, Error, Result};
use crate::principal::{Principal, PrincipalKind};
use crate::sealing::is_secret_name;
use crate::usecases::Runtime;
use crate::usecases::kernel::event::new_event;

text_enum! {
    /// Where a secret is kept.
    pub enum SecretHome {
        /// Sealed in the workspace's store.
        Store,
        /// In the keyring of the operating system.
        Keyring,
    }
}

/// What a line about one secret says.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct Logged<'l> {
    pub(super) name: &'l str,
    pub(super) home: SecretHome,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<&'l str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key_id: Option<&'l str>,
}

pub(super) fn line(runtime: &Runtime, kind: EventKind, by: &Principal, logged: &Logged<'_>) -> Result<NewEvent> {
    new_event(kind, runtime.workspace.id.into(), by, &json!(logged))
}

/// An agent has no tool for this: what it runs in a shell of the account is the account.
///
/// # Errors
/// [`Code::Forbidden`].
pub(super) fn must_not_be_an_agent(by: &Principal) -> Result<()> {
    if by.kind() != PrincipalKind::Agent {
        return Ok(());
    }
    Err(Error::new(Code::Forbidden, "an agent sets and removes no secrets")
        .hint("somebody of this account runs `outcome-runtime secrets`"))
}

/// Whether a reference can have this name; before a value is asked for.
///
/// # Errors
/// [`Code::InvalidInput`], without the name: it may be a value that somebody gave in its place.
pub fn check_secret_name(name: &str) -> Result<()> {
    named(name).map(drop)
}

/// The name that a reference can have.
///
/// # Errors
/// [`Code::InvalidInput`].
pub(super) fn named(name: &str) -> Result<&str> {
    if is_secret_name(name) {
        return Ok(name);
    }
    Err(Error::new(Code::InvalidInput, "this cannot be the name of a secret").hint(
        "a name has 1 to 64 letters, digits and `_`, and no digit first, as `PG_URL`; the file refers to it as `${secret:PG_URL}`. The \
         value is never an argument: it is asked for, or read from stdin",
    ))
}
