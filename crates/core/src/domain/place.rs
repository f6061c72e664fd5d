//! Where a source or the flag service leads.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where something of the outcome file leads: what the file does not say by itself when it refers to an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Place {
    /// What leads there: the name of a connector, or `feature_flags`.
    pub of: String,
    /// SHA-256 of its settings as they are declared.
    pub settings: String,
    /// The address without secrets: engine, user, host, port and database, or the path of a file.
    pub leads_to: String,
}
