//! The default branch as it was when a human decided, and who said so: what was built is compared with it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text_enum;

/// The commit of a default branch. It is part of the signed decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct DefaultBranch {
    /// Its name.
    pub name: String,
    /// Full commit id.
    pub commit: String,
    /// The remote's address, without a password; none where the repository has no remote.
    pub remote: Option<String>,
    /// Who said where it is.
    pub said_by: BranchSource,
    /// Why the remote did not say it.
    pub problem: Option<String>,
}

text_enum! {
    /// Who says where the default branch is.
    pub enum BranchSource {
        /// The remote itself, just then.
        Remote,
        /// What this clone last knew of the remote, which did not answer.
        LastFetched,
        /// This repository's own branch: whoever works in it can move it.
        LocalBranch,
    }
}

impl DefaultBranch {
    /// The sentence for people.
    #[must_use]
    pub fn in_words(&self) -> String {
        let Self { name, commit, .. } = self;
        let because = self.problem.as_deref().map(|problem| format!(" ({problem})")).unwrap_or_default();
        match (self.said_by, &self.remote) {
            (BranchSource::Remote, Some(remote)) => format!("`{name}` at {commit}, as {remote} answered{because}"),
            (BranchSource::LastFetched, Some(remote)) => {
                format!("`{name}` of {remote} at {commit}, as it was last fetched: the remote did not say it{because}")
            }
            (BranchSource::LocalBranch, Some(remote)) => {
                format!("this repository's own `{name}` at {commit}: {remote} did not say where its branch is{because}")
            }
            (_, None) => format!("this repository's own `{name}` at {commit}: there is no remote to ask{because}"),
        }
    }
}
