//! What a builder needs to know, and nothing that would let it decide.

use schemars::JsonSchema;
use serde::Serialize;

use super::Builds;
use super::example_code::{BriefCode, example_code};
use super::wiring::{BriefExposure, exposure};
use crate::domain::{EvidenceGrade, ExperimentStatus, FindingType, InterventionKind, ScopeSpec};
use crate::error::{Code, Error, Result};
use crate::lifecycle::ExperimentEventKind;
use crate::ports::FlagAnswers;
use crate::store::{LearningQuery, StoredLearning};
use crate::usecases::kernel::applied::applied;
use crate::usecases::kernel::check::check_experiment;
use crate::usecases::kernel::gate_context::conditions;
use crate::usecases::kernel::keyring::keyring;
use crate::usecases::kernel::limits::Limits;
use crate::usecases::kernel::lookup::{experiment_named, outcome_of};
use crate::usecases::kernel::past_steps::{PastStep, past_steps};
use crate::usecases::kernel::people::People;

/// The brief of an approved experiment.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Brief {
    /// Slug of the experiment.
    pub experiment: String,
    /// Slug of the outcome.
    pub outcome: String,
    /// Where it stands.
    pub status: ExperimentStatus,
    /// The commit from which to build; what is reported is compared with it.
    pub base_commit: Option<String>,
    /// The hypothesis in its author's words (`*_says`).
    pub hypothesis: BriefHypothesis,
    /// Paths that may and may not be touched.
    pub scope: ScopeSpec,
    /// Key of the flag behind which the change goes.
    pub flag_key: String,
    /// How that flag answers; absent where the outcome file names no flag service.
    pub flag: Option<FlagAnswers>,
    /// Event to emit when a unit is exposed; part of `exposure`.
    pub exposure_event: Option<String>,
    /// What to record when a unit gets its arm; absent where nothing says how exposures are found.
    pub exposure: Option<BriefExposure>,
    /// Code to begin with; absent for a language or a flag service that no page of ours is about.
    pub code: Option<BriefCode>,
    /// What is randomised.
    pub randomisation_unit: String,
    /// Limits and rules.
    pub constraints: Limits,
    /// Conditions under which it was approved.
    pub conditions: Vec<String>,
    /// Why the last build failed, in the words of whoever reported it; absent once another one was reported.
    pub last_failure_says: Option<String>,
    /// What is to be done differently, in the words of whoever sent a build back; absent once another one was reported.
    pub rework_says: Option<String>,
    /// What became of it so far, oldest first.
    pub history: Vec<PastStep>,
    /// When it is done.
    pub definition_of_done: Vec<String>,
    /// What was learnt about this before.
    pub learnings: Vec<BriefLearning>,
}

/// The hypothesis, in its author's words.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct BriefHypothesis {
    /// Paths that its author named.
    pub declared_paths: Vec<String>,
    /// What is changed.
    pub intervention: InterventionKind,
    /// What is to be done.
    pub intervention_says: String,
    /// Why it should work.
    pub mechanism_says: String,
    /// If we do this, then that will happen.
    pub statement_says: String,
    /// One line.
    pub title_says: String,
}

/// What was learnt before.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct BriefLearning {
    /// In the runtime's words.
    pub finding: String,
    /// How strong the evidence was.
    pub grade: EvidenceGrade,
    /// What kind.
    #[serde(rename = "type")]
    pub finding_type: FindingType,
}

impl Brief {
    /// How the flag answers and what is to be recorded, as sentences.
    #[must_use]
    pub fn wiring(&self) -> Vec<String> {
        let mut said = Vec::new();
        if let Some(flag) = &self.flag {
            let place = flag.place.as_ref().map(|place| format!(" (`{place}`)")).unwrap_or_default();
            said.push(format!(
                "The flag `{}` is kept by the {}{place}. Its value is a {}: {} is the treatment, {} is the control and the default.",
                self.flag_key, flag.service, flag.value_type, flag.treatment, flag.control
            ));
            said.push(format!("Ask with {}.", flag.ask));
        }
        if let Some(exposure) = &self.exposure {
            said.push(format!("Record {}.", exposure.record));
            let columns = exposure.columns.iter().map(|column| format!("`{}`: {}", column.column, column.holds));
            let columns = columns.collect::<Vec<_>>().join("; ");
            if let Some(place) = &exposure.read_from {
                let holds = if columns.is_empty() { String::new() } else { format!(" ({columns})") };
                said.push(format!("It is read in source `{}` from `{place}`{holds}.", exposure.source));
            }
        }
        said
    }
}

/// What was said at the latest step of this kind, unless another build was reported since.
fn said_since_report(history: &[PastStep], step: ExperimentEventKind) -> Option<String> {
    let since = history.iter().rev().take_while(|past| past.step != ExperimentEventKind::ReportedBuilt);
    since.filter(|past| past.step == step).find_map(|past| past.says.clone())
}

impl Builds<'_> {
    /// The brief of an experiment whose portfolio gate was approved.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::Conflict`] before the approval and after the build.
    #[tracing::instrument(level = "debug", name = "builds.brief", skip_all, fields(reference))]
    pub async fn brief(self, reference: &str) -> Result<Brief> {
        let mut tx = self.0.read().await?;
        let experiment = experiment_named(&mut tx, reference).await?;
        let outcome = outcome_of(&mut tx, &experiment).await?;
        let status = experiment.state.status;
        if matches!(status, ExperimentStatus::Hypothesis | ExperimentStatus::AwaitingPortfolioGate) {
            return Err(Error::new(
                Code::Conflict,
                format!("experiment `{}` is {status}: a human has not approved the build yet", experiment.slug),
            )
            .hint("wait for the portfolio_review gate; do not start building"));
        }
        if status.is_terminal() {
            return Err(Error::new(
                Code::Conflict,
                format!("experiment `{}` is {status}: there is nothing to build", experiment.slug),
            ));
        }
        let keyring = keyring(self.0, &mut tx).await?;
        check_experiment(&mut tx, &keyring, &experiment).await?;
        let people = People::of(&mut tx, &keyring).await?;
        let history = past_steps(&mut tx, &people, experiment.id).await?;
        let flags = applied(self.0, &mut tx).await?.and_then(|applied| applied.config.flags.clone());
        let flag = flags.map(|flags| flags.settings.answers());
        let hypothesis = &experiment.hypothesis;
        let words = format!("{} {}", hypothesis.title, hypothesis.tags.join(" "));
        let learnings = tx.learning_search(&LearningQuery { words, limit: 3, ..LearningQuery::default() }).await?;
        let spec = &outcome.spec;
        let mut done = vec![
            format!("The change is behind the flag `{}`; with the flag off, nothing changes.", hypothesis.flag_key),
            "Only paths within the scope are changed.".to_owned(),
            "What measures the experiment (events, queries, the outcome file) is not changed.".to_owned(),
            "The change is committed on a branch that descends from base_commit.".to_owned(),
            format!("report_experiment_built was called with the commit for `{}`.", experiment.slug),
        ];
        done.insert(
            1,
            format!(
                "Each {} that asks for the flag is recorded as exposed, on both arms: see `exposure`.",
                spec.randomisation_unit
            ),
        );
        Ok(Brief {
            experiment: experiment.slug.to_string(),
            outcome: spec.slug.to_string(),
            status,
            base_commit: experiment.base_commit.clone(),
            hypothesis: BriefHypothesis {
                declared_paths: hypothesis.touched_paths.clone(),
                intervention: hypothesis.intervention,
                intervention_says: hypothesis.intervention_description.clone(),
                mechanism_says: hypothesis.mechanism.clone(),
                statement_says: hypothesis.statement.clone(),
                title_says: hypothesis.title.clone(),
            },
            scope: spec.scope.clone(),
            flag_key: hypothesis.flag_key.clone(),
            code: flag.as_ref().filter(|flag| flag.is_flagd).and_then(|flag| {
                let exposures = spec.signal.contract.as_ref().map(|contract| &contract.exposures);
                example_code(&self.0.settings.real_root(), flag.place.as_deref(), exposures)
            }),
            flag,
            exposure_event: spec.exposure.clone(),
            exposure: exposure(spec, &hypothesis.flag_key),
            randomisation_unit: spec.randomisation_unit.clone(),
            constraints: Limits::of(spec),
            conditions: conditions(&mut tx, &experiment).await?,
            last_failure_says: said_since_report(&history, ExperimentEventKind::ReportedFailed),
            rework_says: said_since_report(&history, ExperimentEventKind::LaunchReworked),
            history,
            definition_of_done: done,
            learnings: learnings
                .into_iter()
                .map(|StoredLearning { learning, .. }| BriefLearning {
                    finding: learning.finding,
                    grade: learning.grade,
                    finding_type: learning.finding_type,
                })
                .collect(),
        })
    }
}
