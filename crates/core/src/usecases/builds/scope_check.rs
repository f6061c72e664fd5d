//! The scope check anywhere: pre-push, CI, by hand. The same result as at the build report.

use super::Builds;
use crate::error::Result;
use crate::scope::{ScopeReport, ScopeRules, check};
use crate::usecases::kernel::lookup::{experiment_named, outcome_named, outcome_of};
use crate::usecases::kernel::workspace_file::checkout;

/// What is checked.
#[derive(Debug, Clone)]
pub struct ScopeCheckRequest {
    /// Slug of the outcome; the one of the experiment, or the only one of the file.
    pub outcome: Option<String>,
    /// Slug of the experiment whose outcome's scope counts.
    pub experiment: Option<String>,
    /// Base revision.
    pub base: String,
    /// Head revision.
    pub head: String,
}

impl Builds<'_> {
    /// Holds the difference between two commits against the scope of an outcome.
    ///
    /// # Errors
    /// [`crate::Code::NotFound`], git's errors. A violation is in the report, not an error.
    #[tracing::instrument(level = "debug", name = "builds.scope_check", skip_all)]
    pub async fn scope_check(self, request: &ScopeCheckRequest) -> Result<ScopeReport> {
        let mut tx = self.0.read().await?;
        let outcome = match (&request.outcome, &request.experiment) {
            (Some(outcome), _) => outcome_named(&mut tx, outcome).await?,
            (None, Some(experiment)) => {
                let experiment = experiment_named(&mut tx, experiment).await?;
                outcome_of(&mut tx, &experiment).await?
            }
            (None, None) => {
                let mut all = tx.outcome_list(None).await?;
                match (all.pop(), all.is_empty()) {
                    (Some(only), true) => only,
                    _ => {
                        return Err(crate::Error::new(
                            crate::Code::InvalidInput,
                            "several outcomes exist, and none was named",
                        )
                        .hint("set it with --outcome or --experiment"));
                    }
                }
            }
        };
        let rules = ScopeRules::parse(&outcome.spec.scope.allowed_paths, &outcome.spec.scope.forbidden_paths)?;
        let repo = checkout(self.0).await?;
        Ok(check(&repo, &rules, &request.base, &request.head, None, &[]).await?)
    }
}
