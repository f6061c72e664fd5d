//! What the outcome file would change of what is applied.

use std::collections::BTreeSet;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::applied::applied;
use super::apply_change::voids;
use super::keyring::keyring;
use super::places::{led_by_stored, moved, places};
use super::workspace_file::proposed;
use crate::config::{Config, Difference, differences};
use crate::domain::{Experiment, Outcome, OutcomeSpec, OutcomeStatus, Place, text_enum};
use crate::error::{Code, Error, Result};
use crate::store::Tx;
use crate::usecases::Runtime;

/// One difference between the file and what is applied.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Change {
    /// Path of the key, such as `target.to`.
    pub field: String,
    /// Applied value; secrets are blanked.
    pub from: Value,
    /// Value of the file.
    pub to: Value,
    /// True when a member must sign it.
    pub is_signed: bool,
}

text_enum! {
    /// What applying the file does to an outcome.
    pub enum PlannedAction {
        /// It is new.
        Create,
        /// It is changed.
        Change,
        /// It stays as it is.
        None,
        /// It is stored, and the file does not name it.
        MissingFromFile,
    }
}

/// What applying the file would do to one outcome.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OutcomePlan {
    /// Its slug.
    pub outcome: String,
    /// `create`, `change`, `none`, or `missing_from_file`.
    pub action: PlannedAction,
    /// The differences.
    pub changes: Vec<Change>,
    /// What it means beyond the fields, as sentences.
    pub consequences: Vec<String>,
}

/// What applying the file would do.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FilePlan {
    /// To each outcome.
    pub outcomes: Vec<OutcomePlan>,
    /// To what belongs to no outcome: sources, flags, channels, limits.
    pub settings: Vec<Change>,
    /// True when a member must sign it.
    pub needs_signature: bool,
}

impl FilePlan {
    /// True when applying changes something.
    #[must_use]
    pub fn is_change(&self) -> bool {
        let changes = |plan: &OutcomePlan| matches!(plan.action, PlannedAction::Create | PlannedAction::Change);
        !self.settings.is_empty() || self.outcomes.iter().any(changes)
    }
}

/// A file that is about to be applied.
pub(in crate::usecases) struct Proposal {
    pub(in crate::usecases) config: Arc<Config>,
    /// SHA-256 of what is applied now; none for the first.
    pub(in crate::usecases) applied: Option<String>,
    pub(in crate::usecases) differences: Vec<Difference>,
    /// Outcomes that are drafts, or not stored.
    pub(in crate::usecases) drafts: Vec<String>,
    pub(in crate::usecases) plan: FilePlan,
    /// Where its sources and its flag service lead here.
    pub(in crate::usecases) places: Vec<Place>,
    /// Where those of what is applied led when a member last signed.
    pub(in crate::usecases) places_before: Vec<Place>,
}

/// The file of the work tree: its text, and what it says compared with what is applied.
pub(in crate::usecases) async fn proposal(runtime: &Runtime) -> Result<(String, Proposal)> {
    let (text, config) = proposed(runtime).await?;
    let mut tx = runtime.read().await?;
    Ok((text, compared(runtime, &mut tx, config).await?))
}

/// A file that names the root key of another workspace is not applied here.
async fn must_be_of_this_workspace(runtime: &Runtime, tx: &mut Tx, config: &Config) -> Result<()> {
    let Some(root) = &config.root else { return Ok(()) };
    let keyring = keyring(runtime, tx).await?;
    if root == keyring.root() {
        return Ok(());
    }
    let message = format!("the outcome file names root key {root}, and this workspace's is {}", keyring.root());
    Err(Error::new(Code::RootChanged, message).hint(
        "this workspace was made anew, or the file is of another one: put the right `.outcome` and database back; if the new one is \
         yours, change `root` in the file",
    ))
}

/// What a text says, compared with what is applied.
pub(in crate::usecases) async fn compared(runtime: &Runtime, tx: &mut Tx, config: Arc<Config>) -> Result<Proposal> {
    must_be_of_this_workspace(runtime, tx, &config).await?;
    let applied = applied(runtime, tx).await?;
    let stored = tx.outcome_list(None).await?;
    let open = tx.experiment_list_open(None).await?;
    let before = applied.as_ref().map_or(&Value::Null, |applied| &applied.config.declared);
    let is_draft = |slug: &str| {
        let known = stored.iter().find(|outcome| outcome.spec.slug.as_str() == slug);
        known.is_none_or(|outcome| outcome.state.status == OutcomeStatus::Draft)
    };
    let mut differences = differences(before, &config.declared, &is_draft);
    let places = places(runtime, &config).await?;
    let known = applied.as_ref().map(|applied| applied.places.as_slice());
    differences.extend(moved(known, &places, &led_by_stored(&config)));
    let drafts: BTreeSet<&String> =
        differences.iter().filter_map(|found| found.outcome.as_ref()).filter(|slug| is_draft(slug)).collect();
    let mut outcomes = Vec::new();
    for spec in &config.outcomes {
        let known = stored.iter().find(|outcome| outcome.spec.slug == spec.slug);
        outcomes.push(planned(spec, known, &differences, &open)?);
    }
    for outcome in &stored {
        if !config.outcomes.iter().any(|spec| spec.slug == outcome.spec.slug) && !is_over(outcome) {
            outcomes.push(OutcomePlan {
                outcome: outcome.spec.slug.to_string(),
                action: PlannedAction::MissingFromFile,
                changes: Vec::new(),
                consequences: vec!["is not changed; `outcome-runtime abandon` ends it".to_owned()],
            });
        }
    }
    let settings = differences.iter().filter(|found| found.outcome.is_none()).map(Change::of).collect();
    let needs_signature = differences.iter().any(|found| found.is_signed);
    Ok(Proposal {
        drafts: drafts.into_iter().cloned().collect(),
        plan: FilePlan { outcomes, settings, needs_signature },
        places_before: applied.as_ref().map(|applied| applied.places.clone()).unwrap_or_default(),
        applied: applied.map(|applied| applied.hash),
        config,
        differences,
        places,
    })
}

fn planned(
    spec: &OutcomeSpec,
    known: Option<&Outcome>,
    differences: &[Difference],
    open: &[Experiment],
) -> Result<OutcomePlan> {
    let outcome = spec.slug.to_string();
    let Some(known) = known else {
        let (action, changes) = (PlannedAction::Create, Vec::new());
        return Ok(OutcomePlan { outcome, action, changes, consequences: Vec::new() });
    };
    let of_this = differences.iter().filter(|found| found.outcome.as_deref() == Some(spec.slug.as_str()));
    let changes: Vec<Change> = of_this.map(Change::of).collect();
    let action = if known.spec == *spec { PlannedAction::None } else { PlannedAction::Change };
    let mut consequences = Vec::new();
    for experiment in open.iter().filter(|experiment| experiment.outcome == known.id) {
        if voids(known, spec, experiment)? {
            consequences
                .push(format!("voids the build of `{}`, because its plan changes before the launch", experiment.slug));
        } else if experiment.state.status.is_polled() && action == PlannedAction::Change {
            consequences.push(format!("`{}` keeps the plan with which it was launched", experiment.slug));
        }
    }
    Ok(OutcomePlan { outcome, action, changes, consequences })
}

impl Change {
    /// The difference, with a path within its outcome.
    #[must_use]
    pub fn of(found: &Difference) -> Self {
        let prefix = found.outcome.as_ref().map(|slug| format!("outcomes.{slug}."));
        let field = prefix.and_then(|prefix| found.field.strip_prefix(&prefix)).unwrap_or(&found.field);
        Self { field: field.to_owned(), from: found.from.clone(), to: found.to.clone(), is_signed: found.is_signed }
    }
}

fn is_over(outcome: &Outcome) -> bool {
    !matches!(outcome.state.status, OutcomeStatus::Draft | OutcomeStatus::Active)
}
