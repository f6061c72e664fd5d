//! A launch is approved for exactly the commit and the plan that were shown.

use super::decided::Decided;
use crate::config::Config;
use crate::domain::{Experiment, ExperimentStatus, Gate, GateType, SignalSpec};
use crate::error::{Code, Error, Result};
use crate::lifecycle::ExperimentEvent;
use crate::principal::Principal;
use crate::store::Tx;
use crate::usecases::Runtime;
use crate::usecases::kernel::attached_flag::drift_of;
use crate::usecases::kernel::attached_guards::possible_guards;
use crate::usecases::kernel::digest::digest;
use crate::usecases::kernel::experiment_step::experiment_step;
use crate::usecases::kernel::flag::{flag_position, refuse_taken_flag};
use crate::usecases::kernel::lookup::{outcome_named, outcome_of};
use crate::usecases::kernel::planned::planned;
use crate::usecases::kernel::proposal::require_exposures;
use crate::usecases::kernel::query_check::{QueryProblem, check_queries, judging_signals, refuse_broken};
use crate::usecases::kernel::step_context::StepContext;
use crate::usecases::kernel::unchecked::keep_unchecked;
use crate::usecases::kernel::workspace_file::{config, flag_service, repo};

/// For a launch gate: the commit to which the reported branch points now, where it can be seen.
pub(super) async fn launch_drift(runtime: &Runtime, gate: &Gate) -> Result<Option<String>> {
    if gate.gate_type != GateType::LaunchApproval {
        return Ok(None);
    }
    let Some(id) = gate.experiment else { return Ok(None) };
    let mut tx = runtime.read().await?;
    let Some(experiment) = tx.experiment_get(id).await? else { return Ok(None) };
    drop(tx);
    let branch = match &experiment.build {
        Some(build) => build.read()?.branch.clone(),
        None => None,
    };
    let (Some(branch), Ok(repo)) = (branch, repo(runtime).await) else { return Ok(None) };
    Ok(repo.resolve(&format!("refs/heads/{branch}")).await.ok().map(|commit| commit.to_string()))
}

/// What was tried before a launch.
#[derive(Default)]
pub(super) struct LaunchQueries {
    names: Vec<String>,
    problems: Vec<QueryProblem>,
}

impl LaunchQueries {
    /// Keeps what could not be tried with the outcome, and with the experiment whose next poll asks again. Returns it as sentences.
    pub(super) async fn keep(self, runtime: &Runtime, tx: &mut Tx, experiment: &Experiment) -> Result<Vec<String>> {
        let Self { names, problems } = self;
        keep_unchecked(runtime, tx, experiment.outcome.0, &names, &problems).await?;
        if let Some(plan) = &experiment.plan {
            let plan = plan.read()?;
            let guards = plan.guardrails.iter().map(|guardrail| guardrail.signal.name.clone());
            let polled: Vec<_> = std::iter::once(plan.signal.name.clone()).chain(guards).collect();
            keep_unchecked(runtime, tx, experiment.id.0, &polled, &problems).await?;
        }
        Ok(problems.iter().map(QueryProblem::in_words).collect())
    }
}

/// Nobody is counted who got the treatment before the launch: the flag is off, or not there.
pub(super) async fn refuse_live_flag(runtime: &Runtime, gate: &Gate) -> Result<()> {
    let Some(id) = gate.experiment else { return Ok(()) };
    let Some(experiment) = runtime.read().await?.experiment_get(id).await? else { return Ok(()) };
    match experiment.state.status {
        ExperimentStatus::AwaitingLaunchGate if experiment.state.is_attached() => {
            still_attached(runtime, &experiment).await
        }
        ExperimentStatus::AwaitingLaunchGate => refuse_taken_flag(runtime, &experiment.hypothesis.flag_key).await,
        _ => Ok(()),
    }
}

/// What runs elsewhere is what the gate shows: the same arms and shares, running.
async fn still_attached(runtime: &Runtime, experiment: &Experiment) -> Result<()> {
    let key = &experiment.hypothesis.flag_key;
    let config = config(runtime).await?;
    let Some(service) = flag_service(runtime, &config).await? else {
        return Err(Error::new(
            Code::ContextChanged,
            "no flag service is applied any more, so nothing could be turned off",
        )
        .hint("apply the outcome file with its `feature_flags`"));
    };
    must_be_declared_so(runtime, &config, experiment).await?;
    let expected = flag_position(key, experiment.hypothesis.rollout.initial_pct);
    match drift_of(service.as_ref(), experiment, &expected).await.map_err(Error::from)? {
        None => Ok(()),
        Some(drift) => {
            Err(Error::new(Code::ContextChanged, format!("it is not what the gate shows any more: {drift}"))
                .hint("reject this gate, then attach the experiment again as it is now"))
        }
    }
}

/// What guards it is declared now as it was when it was attached: a query that was mended since is not signed as it was.
async fn must_be_declared_so(runtime: &Runtime, config: &Config, experiment: &Experiment) -> Result<()> {
    let outcome = outcome_of(&mut runtime.read().await?, experiment).await?;
    let is_same = |guard: &SignalSpec| {
        possible_guards(config, &outcome.spec)
            .any(|found| SignalSpec { poll_interval: guard.poll_interval, ..found.clone() } == *guard)
    };
    let guards = experiment.state.attached.iter().flat_map(|attached| &attached.guards);
    match guards.map(|guard| &guard.signal).find(|signal| !is_same(signal)) {
        None => Ok(()),
        Some(signal) => Err(Error::new(
            Code::ContextChanged,
            format!("`{}` is declared otherwise now than when the experiment was attached", signal.name),
        )
        .hint("reject this gate, then attach the experiment again")),
    }
}

/// Nobody is exposed to what cannot be measured: every query that will judge the experiment runs once. A source that does not
/// answer now is asked again by the polls.
pub(super) async fn check_launch_queries(runtime: &Runtime, gate: &Gate) -> Result<LaunchQueries> {
    let mut tx = runtime.read().await?;
    let experiment = match gate.experiment {
        Some(id) => tx.experiment_get(id).await?,
        None => None,
    };
    let id = gate.outcome.ok_or_else(|| Error::new(Code::Internal, "a launch gate without an outcome"))?;
    let outcome = outcome_named(&mut tx, &id.to_string()).await?;
    drop(tx);
    require_exposures(&outcome.spec)?;
    let config = config(runtime).await?;
    let signals = match experiment.filter(|experiment| experiment.state.is_attached()) {
        Some(attached) => planned(&outcome.spec, &attached).signals().cloned().collect(),
        None => judging_signals(&outcome.spec),
    };
    let names = signals.iter().map(|signal: &SignalSpec| signal.name.clone()).collect();
    let mut problems = check_queries(runtime, &config, signals).await?;
    for problem in &mut problems {
        problem.is_broken |= problem.is_refused;
    }
    let problems = refuse_broken(problems, "nothing can launch that cannot be measured")?;
    Ok(LaunchQueries { names, problems })
}

/// Why a launch approval would approve something else than what was shown.
pub(super) async fn void_reason(tx: &mut Tx, gate: &Gate, branch_head: Option<String>) -> Result<Option<String>> {
    if gate.gate_type != GateType::LaunchApproval || gate.state.status.is_decided() {
        return Ok(None);
    }
    let Some(id) = gate.experiment else { return Ok(None) };
    let Some(experiment) = tx.experiment_get(id).await? else { return Ok(None) };
    if experiment.state.status != ExperimentStatus::AwaitingLaunchGate {
        return Ok(None);
    }
    let outcome = outcome_of(tx, &experiment).await?;
    let plan_hash = digest(&planned(&outcome.spec, &experiment))?;
    if experiment.state.plan_hash.as_ref() != Some(&plan_hash) {
        return Ok(Some("the outcome file changed the plan after the build was reported".to_owned()));
    }
    match (&experiment.state.commit, branch_head) {
        (Some(reported), Some(head)) if *reported != head => {
            Ok(Some(format!("the branch has moved from the reported commit {reported} to {head}")))
        }
        _ => Ok(None),
    }
}

/// The experiment goes back to building; the decision is refused.
pub(super) async fn void_launch(runtime: &Runtime, mut tx: Tx, gate: &mut Gate, reason: &str) -> Result<Decided> {
    let Some(id) = gate.experiment else {
        return Err(Error::new(Code::Internal, "a launch gate without an experiment"));
    };
    let mut experiment = tx.experiment_get(id).await?.ok_or_else(|| Error::not_found("experiment", &id.to_string()))?;
    let outcome = outcome_of(&mut tx, &experiment).await?;
    let event = ExperimentEvent::LaunchVoided { reason: reason.to_owned() };
    let by = Principal::system("launch");
    experiment_step(runtime, &mut tx, &outcome, &mut experiment, event, &by, &StepContext::default()).await?;
    tx.commit().await?;
    Err(Error::new(Code::ContextChanged, format!("gate `{}` is void: {reason}", gate.slug)).hint(
        match experiment.state.is_attached() {
            true => "attach the experiment again, then decide on the new gate",
            false => "the experiment is building again; have the build reported again, then decide on the new gate",
        },
    ))
}
