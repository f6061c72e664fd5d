//! The one door through which hypotheses come back.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Hypotheses;
use super::feasibility::infeasible;
use crate::domain::{Author, Experiment, ExperimentStatus, FlagFacts, FlagFound, Hypothesis, Outcome, Slug};
use crate::error::{Code, Error, Result};
use crate::hypotheses::{
    Candidate, Problem, check_hypothesis, check_sizes, is_flag_key, read_hypothesis, score, select_portfolio,
};
use crate::ids::ExperimentId;
use crate::lifecycle::ExperimentEvent;
use crate::principal::Principal;
use crate::scope::ScopeRules;
use crate::store::Tx;
use crate::usecases::Runtime;
use crate::usecases::kernel::experiment_step::experiment_step;
use crate::usecases::kernel::flag::look_at_flag;
use crate::usecases::kernel::flag_owner::flag_problem;
use crate::usecases::kernel::lookup::outcome_named;
use crate::usecases::kernel::new_experiment::{free_experiment_slug, store_experiment};
use crate::usecases::kernel::proposal::{propose, require_active, require_exposures};
use crate::usecases::kernel::step_context::StepContext;

/// Candidates that are handed in.
#[derive(Debug, Clone)]
pub struct Submission {
    /// Slug or id of the outcome.
    pub outcome: String,
    /// The candidates.
    pub hypotheses: Vec<Hypothesis>,
    /// Who wrote them.
    pub author: Author,
}

/// A candidate that goes back to its author.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Rejected {
    /// Its title.
    pub title: String,
    /// What is wrong, field by field.
    pub problems: Vec<Problem>,
}

/// The result of a submission.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Submitted {
    /// Slugs that wait for a human at the portfolio gate, best first.
    pub proposed: Vec<String>,
    /// Slugs that were kept as hypotheses and why they were not selected.
    pub kept: Vec<String>,
    /// Slugs of candidates that were approved before, with where they stand.
    pub under_way: Vec<String>,
    /// Candidates that go back.
    pub rejected: Vec<Rejected>,
    /// The gates that were opened.
    pub gates: Vec<String>,
}

/// What a candidate is called, whatever else is wrong with it.
#[derive(Deserialize)]
struct Titled {
    title: String,
}

/// The candidates that these objects describe.
///
/// # Errors
/// [`Code::HypothesisIncomplete`] with every missing or mistyped field of every candidate.
pub fn read_candidates(values: &[Value]) -> Result<Vec<Hypothesis>> {
    let (mut good, mut rejected) = (Vec::new(), Vec::new());
    for value in values {
        match read_hypothesis(value) {
            Ok(hypothesis) => good.push(hypothesis),
            Err(problems) => {
                let title = Titled::deserialize(value).map_or_else(|_| "(no title)".to_owned(), |titled| titled.title);
                rejected.push(Rejected { title: title.chars().take(120).collect(), problems });
            }
        }
    }
    if rejected.is_empty() { Ok(good) } else { Err(none_accepted(&rejected)) }
}

fn none_accepted(rejected: &[Rejected]) -> Error {
    let first = rejected.first().and_then(|candidate| candidate.problems.first());
    let text = first.map_or_else(String::new, |problem| format!("`{}` {}", problem.field, problem.message));
    Error::new(Code::HypothesisIncomplete, format!("no candidate was accepted: {text}"))
        .hint("fix the fields named in context.rejected and submit again")
        .with("rejected", serde_json::to_value(rejected).unwrap_or_default())
}

/// Most candidates of one submission.
const MAX_CANDIDATES: usize = 20;
/// Most hypotheses that are kept for an outcome, whoever wrote them: more are not looked at by anybody.
const MAX_KEPT: usize = 40;
/// How long one is kept that gets no place.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

impl Hypotheses<'_> {
    /// Takes candidates: checks, scores, selects, and opens a portfolio gate for each selected one.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::Conflict`] when the outcome is not active or cannot be measured, [`Code::HypothesisIncomplete`] when every
    /// candidate goes back.
    #[tracing::instrument(level = "debug", name = "hypotheses.submit", skip_all)]
    pub async fn submit(self, submission: Submission, by: &Principal) -> Result<Submitted> {
        if submission.hypotheses.is_empty() || submission.hypotheses.len() > MAX_CANDIDATES {
            return Err(Error::new(
                Code::InvalidInput,
                format!("submit 1 to {MAX_CANDIDATES} hypotheses, not {}", submission.hypotheses.len()),
            ));
        }
        let flags = Box::pin(Flags::look(self.0, &submission.hypotheses)).await;
        let mut tx = self.0.write().await?;
        let outcome = outcome_named(&mut tx, &submission.outcome).await?;
        require_active(&outcome)?;
        require_exposures(&outcome.spec)?;
        let mut open = expire(self.0, &mut tx, &outcome).await?;
        let (good, mut rejected) = sort_out(&outcome, submission.hypotheses)?;
        let good = with_free_flags(&mut tx, good, &open, &mut rejected).await?;
        if good.is_empty() {
            return Err(none_accepted(&rejected));
        }
        let under_way: Vec<Hypothesis> = open
            .iter()
            .filter(|experiment| {
                !matches!(experiment.state.status, ExperimentStatus::Hypothesis | ExperimentStatus::FailedBuild)
            })
            .map(|experiment| experiment.hypothesis.clone())
            .collect();
        let limit = usize::try_from(outcome.spec.portfolio.max_concurrent).unwrap_or(usize::MAX);
        let slots = limit.saturating_sub(under_way.len());
        let mut n_kept = open.iter().filter(|known| known.state.status == ExperimentStatus::Hypothesis).count();
        let mut done = Submitted { proposed: vec![], kept: vec![], under_way: vec![], rejected, gates: vec![] };
        for candidate in select_portfolio(good, &under_way, slots) {
            // The same candidate again (a retried call) is the one that is there.
            if let Some(same) = open.iter_mut().find(|known| known.hypothesis == candidate.hypothesis) {
                done.again(self.0, &mut tx, &outcome, same, candidate.score.dropped_because, (by, &flags)).await?;
                continue;
            }
            let dropped = candidate.score.dropped_because.clone();
            if dropped.is_some() {
                if n_kept >= MAX_KEPT {
                    done.rejected.push(too_many(candidate.hypothesis.title));
                    continue;
                }
                n_kept += 1;
            }
            let mut experiment = new_experiment(self.0, &mut tx, &outcome, candidate, submission.author, by).await?;
            match dropped {
                Some(reason) => done.kept.push(format!("{}: {reason}", experiment.slug)),
                None => done.propose(self.0, &mut tx, &outcome, &mut experiment, (by, &flags)).await?,
            }
        }
        if done.proposed.is_empty() && done.kept.is_empty() && done.under_way.is_empty() {
            return Err(none_accepted(&done.rejected));
        }
        tx.commit().await?;
        Ok(done)
    }
}

impl Submitted {
    /// Brings an experiment to its portfolio gate.
    async fn propose(
        &mut self,
        runtime: &Runtime,
        tx: &mut Tx,
        outcome: &Outcome,
        experiment: &mut Experiment,
        (by, flags): (&Principal, &Flags),
    ) -> Result<()> {
        let flag = flags.of(&experiment.hypothesis.flag_key);
        propose(runtime, tx, outcome, experiment, by, flag).await?;
        self.proposed_at_gate(tx, experiment).await
    }

    async fn proposed_at_gate(&mut self, tx: &mut Tx, experiment: &Experiment) -> Result<()> {
        let gates = tx.gate_list(Some(experiment.id), 1).await?;
        self.gates.extend(gates.into_iter().map(|gate| gate.slug.to_string()));
        self.proposed.push(experiment.slug.to_string());
        Ok(())
    }

    /// Takes a candidate that is known: one that was kept comes to its gate as soon as a place is free.
    async fn again(
        &mut self,
        runtime: &Runtime,
        tx: &mut Tx,
        outcome: &Outcome,
        known: &mut Experiment,
        dropped_because: Option<String>,
        by: (&Principal, &Flags),
    ) -> Result<()> {
        match (known.state.status, dropped_because) {
            (ExperimentStatus::Hypothesis, None) => self.propose(runtime, tx, outcome, known, by).await,
            (ExperimentStatus::Hypothesis, Some(reason)) => {
                self.kept.push(format!("{}: {reason}", known.slug));
                Ok(())
            }
            (ExperimentStatus::AwaitingPortfolioGate, _) => self.proposed_at_gate(tx, known).await,
            (status, _) => {
                self.under_way.push(format!("{} is {status}", known.slug));
                Ok(())
            }
        }
    }
}

/// What the flag service says of the keys of a submission.
struct Flags(BTreeMap<String, FlagFacts>);

impl Flags {
    /// Asks for each key once. A service that does not answer is not waited for again.
    async fn look(runtime: &Runtime, hypotheses: &[Hypothesis]) -> Self {
        let mut found: BTreeMap<String, FlagFacts> = BTreeMap::new();
        for hypothesis in hypotheses {
            let key = &hypothesis.flag_key;
            let is_silent = found.values().any(|facts| matches!(facts.found, FlagFound::NotRead { .. }));
            if is_silent || found.contains_key(key) || !is_flag_key(key) {
                continue;
            }
            let Some(facts) = look_at_flag(runtime, key).await else { break };
            found.insert(key.clone(), facts);
        }
        Self(found)
    }

    fn of(&self, key: &str) -> Option<FlagFacts> {
        self.0.get(key).cloned()
    }
}

/// The open experiments of an outcome, without hypotheses that were kept for long and got no place: those end.
async fn expire(runtime: &Runtime, tx: &mut Tx, outcome: &Outcome) -> Result<Vec<Experiment>> {
    let mut open = tx.experiment_list_open(Some(outcome.id)).await?;
    let now = runtime.now();
    let by = Principal::system("submit");
    for experiment in &mut open {
        let is_kept = experiment.state.status == ExperimentStatus::Hypothesis;
        if is_kept && now.duration_since(experiment.created_at) > KEPT_FOR {
            let event = ExperimentEvent::PortfolioSuperseded { reason: "it got no place in 30 days".to_owned() };
            experiment_step(runtime, tx, outcome, experiment, event, &by, &StepContext::default()).await?;
        }
    }
    open.retain(|experiment| !experiment.state.status.is_terminal());
    Ok(open)
}

/// The candidates whose flag is not that of another experiment. A candidate that is known keeps its own.
async fn with_free_flags(
    tx: &mut Tx,
    candidates: Vec<Candidate>,
    open: &[Experiment],
    rejected: &mut Vec<Rejected>,
) -> Result<Vec<Candidate>> {
    let mut free = Vec::new();
    for candidate in candidates {
        let known = open.iter().find(|known| known.hypothesis == candidate.hypothesis).map(|known| known.id);
        match flag_problem(tx, &candidate.hypothesis.flag_key, known).await? {
            None => free.push(candidate),
            Some(message) => rejected.push(Rejected {
                title: candidate.hypothesis.title.chars().take(120).collect(),
                problems: vec![Problem { field: "flag_key".to_owned(), message }],
            }),
        }
    }
    Ok(free)
}

fn too_many(title: String) -> Rejected {
    let message = format!(
        "no place is free, and {MAX_KEPT} hypotheses are kept already: they end after 30 days, or a member ends some"
    );
    let problems = vec![Problem { field: "portfolio".to_owned(), message }];
    Rejected { title: title.chars().take(120).collect(), problems }
}

async fn new_experiment(
    runtime: &Runtime,
    tx: &mut Tx,
    outcome: &Outcome,
    candidate: Candidate,
    author: Author,
    by: &Principal,
) -> Result<Experiment> {
    let id = runtime.ids.next::<ExperimentId>();
    let slug = free_experiment_slug(tx, &Slug::from_title(&candidate.hypothesis.title)).await?;
    let draft = Experiment::draft(id, slug, outcome.id, candidate.hypothesis, by.clone(), runtime.now());
    let experiment = Experiment { author, score: candidate.score, ..draft };
    store_experiment(runtime, tx, &experiment, by).await?;
    Ok(experiment)
}

fn sort_out(outcome: &Outcome, hypotheses: Vec<Hypothesis>) -> Result<(Vec<Candidate>, Vec<Rejected>)> {
    let rules = ScopeRules::parse(&outcome.spec.scope.allowed_paths, &outcome.spec.scope.forbidden_paths)?;
    let (mut good, mut rejected) = (Vec::new(), Vec::new());
    for hypothesis in hypotheses {
        let hypothesis = hypothesis.for_design(outcome.spec.design);
        let mut problems = check_hypothesis(&hypothesis, &outcome.spec, &rules);
        problems.extend(check_sizes(&hypothesis, &outcome.spec, outcome.state.baseline.as_ref()));
        if problems.is_empty()
            && let Some(problem) = infeasible(outcome, &hypothesis)
        {
            problems.push(problem);
        }
        if problems.is_empty() {
            let score = score(&hypothesis, &outcome.spec);
            good.push(Candidate { hypothesis, score });
        } else {
            rejected.push(Rejected { title: hypothesis.title.chars().take(120).collect(), problems });
        }
    }
    Ok((good, rejected))
}
