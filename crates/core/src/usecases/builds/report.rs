//! A build report: what an agent claims is recomputed from git before a human is asked.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::Builds;
use crate::audit::EventKind;
use crate::domain::{Build, Experiment, ExperimentStatus, GateType, Plan, Stored};
use crate::error::{Code, Error, Result};
use crate::lifecycle::ExperimentEvent;
use crate::principal::Principal;
use crate::scope::ScopeReport;
use crate::usecases::Runtime;
use crate::usecases::kernel::budget::budget_part;
use crate::usecases::kernel::built::{Built, MAX_LISTED, built};
use crate::usecases::kernel::caps::find_caps;
use crate::usecases::kernel::digest::digest;
use crate::usecases::kernel::event::new_event;
use crate::usecases::kernel::experiment_step::experiment_step;
use crate::usecases::kernel::flag::look_at_flag;
use crate::usecases::kernel::gate_opening::{gate_url, pages};
use crate::usecases::kernel::lookup::{experiment_named, outcome_of};
use crate::usecases::kernel::step_context::StepContext;
use crate::usecases::kernel::text::bounded;
use crate::usecases::kernel::workspace_file::checkout;

/// What a builder reports.
#[derive(Debug, Clone, Default)]
pub struct BuildReport {
    /// Slug or id of the experiment.
    pub experiment: String,
    /// What was done, in the builder's words.
    pub summary: String,
    /// Paths that the builder says it changed.
    pub files_changed: Option<Vec<String>>,
    /// Commit, branch or tag that holds the change; the repository's head when absent.
    pub head: Option<String>,
    /// Flag that was used, if the builder says so.
    pub flag_key: Option<String>,
    /// More, in the builder's words.
    pub notes: Option<String>,
}

/// The result of a report.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BuildReported {
    /// Slug of the experiment.
    pub experiment: String,
    /// Where it stands now.
    pub status: ExperimentStatus,
    /// The reported commit.
    pub commit: String,
    /// The launch gate.
    pub gate: Option<String>,
    /// The page on which a human decides it.
    pub review_url: Option<String>,
    /// Number of changed paths.
    pub n_changes: usize,
    /// Where the claim differs from git, as sentences.
    pub claim_differences: Vec<String>,
    /// Changes to what measures the experiment, as sentences.
    pub instrumentation: Vec<String>,
    /// What the human at the gate will ask about, as sentences.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Builds<'_> {
    /// Takes a build report: recomputes the difference from git, checks the scope, and opens the launch gate. Reporting the
    /// same commit again returns the same gate.
    ///
    /// # Errors
    /// [`Code::ScopeViolation`] (the experiment stays in `building`), [`Code::Conflict`], and git's errors.
    #[tracing::instrument(level = "debug", name = "builds.report", skip_all)]
    pub async fn report(self, report: BuildReport, by: &Principal) -> Result<BuildReported> {
        let summary = bounded("implementation_summary", &report.summary, 4000)?;
        let notes = report.notes.as_deref().map(|text| bounded("agent_notes", text, 4000)).transpose()?;
        let mut tx = self.0.read().await?;
        let experiment = experiment_named(&mut tx, &report.experiment).await?;
        let outcome = outcome_of(&mut tx, &experiment).await?;
        let escalated = tx
            .gate_list_open()
            .await?
            .into_iter()
            .any(|(gate, _)| gate.experiment == Some(experiment.id) && gate.gate_type == GateType::Escalation);
        drop(tx);
        let status = experiment.state.status;
        if !matches!(status, ExperimentStatus::Building | ExperimentStatus::AwaitingLaunchGate) {
            return Err(Error::new(
                Code::Conflict,
                format!(
                    "experiment `{}` is {status}; a build can be reported only while it is `building`",
                    experiment.slug
                ),
            )
            .hint("get_active_outcomes shows the current state"));
        }
        if let Some(key) = &report.flag_key
            && *key != experiment.hypothesis.flag_key
        {
            return Err(Error::new(
                Code::InvalidInput,
                format!("the change must be behind the flag `{}` of the brief", experiment.hypothesis.flag_key),
            )
            .hint("use that key in the code and report again"));
        }
        let head = report.head.as_deref().unwrap_or("HEAD");
        let mut built = built(self.0, &outcome, &experiment, head, report.files_changed.as_deref()).await?;
        built.ask_about_exposures(self.0, &outcome).await?;
        let scope = &built.scope;
        let commit = scope.head.to_string();
        if status == ExperimentStatus::AwaitingLaunchGate && experiment.state.commit.as_ref() == Some(&commit) {
            return reported(self.0, &experiment, &built).await;
        }
        if escalated {
            return Err(Error::new(
                Code::Conflict,
                format!("experiment `{}` has a question that a human has not answered yet", experiment.slug),
            )
            .hint("wait until the escalation gate is decided, then report"));
        }
        if !scope.is_clean {
            note_violation(self.0, &experiment, scope, by).await?;
            return Err(violation_error(&experiment, &built));
        }
        if scope.changes.is_empty() && notes.is_none() {
            return Err(Error::new(Code::Conflict, format!("commit {commit} holds nothing that differs from the default branch")).hint(
                "commit the change and report again; where a sandbox keeps `.git` read-only, ask the user to allow git. Where nothing                  needs to differ, say why in `agent_notes` (`--notes`)",
            ));
        }
        let branch = branch_of(self.0, report.head.as_deref(), &commit).await;
        let caps = find_caps(self.0, &outcome).await?;
        let flag = Box::pin(look_at_flag(self.0, &experiment.hypothesis.flag_key)).await;
        let mut tx = self.0.write().await?;
        let mut experiment = experiment_named(&mut tx, &report.experiment).await?;
        if experiment.state.status == ExperimentStatus::AwaitingLaunchGate {
            let event = ExperimentEvent::LaunchVoided { reason: format!("commit {commit} was reported instead") };
            let system = Principal::system("build");
            experiment_step(self.0, &mut tx, &outcome, &mut experiment, event, &system, &StepContext::default())
                .await?;
        }
        let budget_part = Some(budget_part(&mut tx, &experiment).await?);
        let plan_hash = digest(&Plan::of(&outcome.spec, &experiment.hypothesis, budget_part).with_caps(&caps))?;
        experiment.build = Some(Stored::new(build_of(&built, &summary, notes, branch, &report, by))?);
        let context = StepContext { says: Some(summary), flag, ..StepContext::default() };
        let event = ExperimentEvent::ReportedBuilt { commit, plan_hash, budget_part, caps };
        experiment_step(self.0, &mut tx, &outcome, &mut experiment, event, by, &context).await?;
        tx.commit().await?;
        reported(self.0, &experiment, &built).await
    }
}

/// The branch whose head was reported: the one that was named, or the one that is checked out.
async fn branch_of(runtime: &Runtime, named: Option<&str>, commit: &str) -> Option<String> {
    let repo = checkout(runtime).await.ok()?;
    let name = match named {
        Some(name) if name != "HEAD" => name.to_owned(),
        _ => repo.current_branch().await.ok().flatten()?,
    };
    let head = repo.resolve(&format!("refs/heads/{name}")).await.ok()?;
    (head.as_str() == commit).then_some(name)
}

async fn note_violation(runtime: &Runtime, experiment: &Experiment, scope: &ScopeReport, by: &Principal) -> Result<()> {
    let mut tx = runtime.write().await?;
    let detail =
        json!({ "commit": scope.head, "violations": scope.violations.iter().take(MAX_LISTED).collect::<Vec<_>>() });
    tx.event_append(new_event(EventKind::ExperimentScopeViolated, experiment.id.into(), by, &detail)?, runtime.now())
        .await?;
    tx.commit().await
}

async fn reported(runtime: &Runtime, experiment: &Experiment, built: &Built) -> Result<BuildReported> {
    let scope = &built.scope;
    let mut tx = runtime.read().await?;
    let gate = tx
        .gate_list_open()
        .await?
        .into_iter()
        .map(|(gate, _)| gate)
        .find(|gate| gate.experiment == Some(experiment.id) && gate.gate_type == GateType::LaunchApproval);
    let pages = pages(runtime, &mut tx).await?;
    let mut differences = Vec::new();
    if let Some(claim) = &scope.claim {
        differences.extend(
            claim.missing_from_claim.iter().take(MAX_LISTED).map(|path| format!("changed but not claimed: {path}")),
        );
        differences.extend(
            claim.claimed_but_unchanged.iter().take(MAX_LISTED).map(|path| format!("claimed but not changed: {path}")),
        );
    }
    Ok(BuildReported {
        experiment: experiment.slug.to_string(),
        status: experiment.state.status,
        commit: scope.head.to_string(),
        review_url: gate.as_ref().map(|gate| gate_url(&pages, gate.slug.as_str())),
        gate: gate.map(|gate| gate.slug.to_string()),
        n_changes: scope.changes.len(),
        claim_differences: differences,
        notes: built.advice(),
        instrumentation: scope
            .instrumentation
            .iter()
            .take(MAX_LISTED)
            .map(|flag| format!("{} changes what measures the experiment: {}", flag.path, flag.watch.text))
            .collect(),
    })
}

fn build_of(
    built: &Built,
    summary: &str,
    notes: Option<String>,
    branch: Option<String>,
    report: &BuildReport,
    by: &Principal,
) -> Build {
    Build {
        base: built.scope.base.to_string(),
        default_branch: Some(built.base.default_branch.clone()),
        commit: built.scope.head.to_string(),
        branch,
        reported_by: by.clone(),
        summary_says: summary.to_owned(),
        notes_say: notes,
        claimed_flag: report.flag_key.clone(),
        scope: built.shown(),
    }
}

fn violation_error(experiment: &Experiment, built: &Built) -> Error {
    let (scope, branch) = (&built.scope, &built.base.default_branch);
    let first = scope.violations.first().map(|violation| violation.message.clone()).unwrap_or_default();
    let more = match scope.violations.len() {
        0 | 1 => String::new(),
        n => format!(" (and {} more)", n - 1),
    };
    Error::new(Code::ScopeViolation, format!("commit {} is outside its scope: {first}{more}", scope.head))
        .hint(format!(
            "experiment `{}` is still building: undo those changes, commit, and report again; if the scope itself is wrong, \
             call request_human_gate. Commits that are not on `{}` of {} yet count as the experiment's",
            experiment.slug,
            branch.name,
            branch.remote.as_deref().unwrap_or("this repository")
        ))
        .with(
            "violations",
            serde_json::to_value(scope.violations.iter().take(20).collect::<Vec<_>>()).unwrap_or_default(),
        )
}
