//! What is being built right now, and where it may be built: what an editor's hook asks before each edit.

use super::Builds;
use crate::domain::{Experiment, ExperimentStatus, Slug, Stored};
use crate::error::Result;
use crate::scope::{PathVerdict, ScopeRules};
use crate::usecases::kernel::lookup::outcome_of;

/// An experiment that is being built, or whose build waits for its launch.
#[derive(Debug, Clone)]
pub struct Building {
    /// Slug of the experiment.
    pub experiment: Slug,
    /// The branch of a report, if there was one.
    pub branch: Option<String>,
    /// It waits for its launch: its rules count only where it is evidently built, and not for the work of others.
    pub is_reported: bool,
    /// The scope of its outcome: the rules to which its build report will be held.
    pub rules: ScopeRules,
}

/// A path that no experiment in question may touch. The first that refuses says why.
#[derive(Debug, Clone)]
pub struct Refusal<'a> {
    /// The experiment that speaks.
    pub by: &'a Building,
    /// What its rules say.
    pub verdict: PathVerdict,
}

impl Building {
    /// True when a checkout on this branch, in a folder of this name, is evidently where it is built: the branch was
    /// reported, or one of the parts between its slashes, or the folder, is called like the experiment.
    #[must_use]
    pub fn is_built_on(&self, branch: Option<&str>, folder: Option<&str>) -> bool {
        let slug = self.experiment.as_str();
        folder == Some(slug)
            || branch.is_some_and(|branch| {
                self.branch.as_deref() == Some(branch) || branch.split('/').any(|part| part == slug)
            })
    }

    /// Why none of `those` may touch `path` (`None`: it lies outside of the repository), or nothing when one of them may.
    /// Where the checkout gives no hint, any of them may be the one that is being built.
    #[must_use]
    pub fn refusal<'a>(those: &[&'a Self], path: Option<&str>) -> Option<Refusal<'a>> {
        let verdict = |building: &Self| match path {
            Some(path) => building.rules.check_path(path),
            None => PathVerdict::Outside,
        };
        if those.iter().any(|building| verdict(building) == PathVerdict::Allowed) {
            return None;
        }
        those.first().map(|building| Refusal { by: building, verdict: verdict(building) })
    }
}

impl Builds<'_> {
    /// The experiments that are being built or wait for their launch, newest first, with their scopes.
    ///
    /// # Errors
    /// When the database fails, or a stored scope cannot be read.
    #[tracing::instrument(level = "debug", name = "builds.building", skip_all)]
    pub async fn building(self) -> Result<Vec<Building>> {
        let mut tx = self.0.read().await?;
        let mut all = Vec::new();
        let under_way = tx.experiment_list_under_way(None).await?;
        let is_built = |experiment: &Experiment| {
            matches!(experiment.state.status, ExperimentStatus::Building | ExperimentStatus::AwaitingLaunchGate)
        };
        for experiment in under_way.into_iter().rev().filter(is_built) {
            let outcome = outcome_of(&mut tx, &experiment).await?;
            let scope = &outcome.spec.scope;
            let build = experiment.build.as_ref().map(Stored::read).transpose()?;
            all.push(Building {
                branch: build.and_then(|build| build.branch.clone()),
                is_reported: experiment.state.status == ExperimentStatus::AwaitingLaunchGate,
                rules: ScopeRules::parse(&scope.allowed_paths, &scope.forbidden_paths)?,
                experiment: experiment.slug,
            });
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn building(slug: &str, allowed: &[&str], forbidden: &[&str]) -> Building {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Building {
            experiment: slug.parse().unwrap(),
            branch: None,
            is_reported: false,
            rules: ScopeRules::parse(&owned(allowed), &owned(forbidden)).unwrap(),
        }
    }

    #[test]
    fn a_path_is_refused_only_when_every_experiment_refuses_it() {
        let (a, b) = (building("a-form", &["src/a/"], &[]), building("b-form", &["src/b/"], &["src/b/secret/"]));
        let both = [&a, &b];
        assert!(Building::refusal(&both, Some("src/b/x.rs")).is_none());
        assert!(Building::refusal(&both, Some("src/a/x.rs")).is_none());
        let refusal = Building::refusal(&both, Some("src/b/secret/x.rs")).unwrap();
        assert_eq!((refusal.by.experiment.as_str(), refusal.verdict), ("a-form", PathVerdict::Outside));
        assert!(Building::refusal(&both, None).is_some(), "outside of the repository");
        assert!(Building::refusal(&[], Some("x")).is_none(), "nothing is being built");
    }

    #[test]
    fn a_checkout_names_its_experiment_by_branch_or_folder() {
        let mut one = building("short-form", &[], &[]);
        assert!(one.is_built_on(Some("kim/short-form"), None) && one.is_built_on(None, Some("short-form")));
        assert!(!one.is_built_on(Some("short-form-2"), Some("shop")) && !one.is_built_on(None, None));
        one.branch = Some("try-2".to_owned());
        assert!(one.is_built_on(Some("try-2"), None));
    }
}
