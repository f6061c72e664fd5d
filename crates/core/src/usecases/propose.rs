//! Hypotheses: the work order for whoever writes them, and the one door through which they come back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::effects::{StepContext, free_experiment_slug};
use super::runtime::Runtime;
use crate::domain::{Author, Design, Experiment, ExperimentStatus, Hypothesis, Outcome, OutcomeStatus, Slug};
use crate::error::{Code, Error, Result};
use crate::hypotheses::{Candidate, Problem, check_hypothesis, conflict_between, score, select_portfolio};
use crate::ids::ExperimentId;
use crate::lifecycle::ExperimentEvent;
use crate::principal::{Principal, PrincipalKind};
use crate::scope::ScopeRules;
use crate::stats;
use crate::store::{LearningQuery, StoredLearning, Tx};

/// What a writer of hypotheses needs to know.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WorkOrder {
    /// Slug of the outcome.
    pub outcome: String,
    /// How many candidates are asked for.
    pub n_candidates: u32,
    /// What to achieve: signal, target, baseline, deadline. Texts by people stand in `*_says`.
    pub goal: Value,
    /// Where a change may happen.
    pub scope: Value,
    /// What must not be crossed.
    pub constraints: Value,
    /// What was learnt before: do not repeat what was refuted.
    pub learnings: Vec<Value>,
    /// What is under way: do not get in its way.
    pub under_way: Vec<Value>,
    /// What a test can find: units a day, days, and the smallest effect that fits the horizon.
    pub feasibility: Value,
    /// What the answer looks like.
    pub answer_with: String,
}

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

/// What came of a submission.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Submitted {
    /// Slugs that wait for a human at the portfolio gate, best first.
    pub proposed: Vec<String>,
    /// Slugs that were kept as hypotheses and why they were not selected.
    pub kept: Vec<String>,
    /// Candidates that go back.
    pub rejected: Vec<Rejected>,
    /// The gates that were opened.
    pub gates: Vec<String>,
}

/// Most candidates of one submission.
const MAX_CANDIDATES: usize = 20;

impl Runtime {
    /// The work order of an active outcome.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::Conflict`] when the outcome is not active.
    pub async fn work_order(&self, outcome: &str) -> Result<WorkOrder> {
        let mut tx = self.read().await?;
        let outcome = Self::outcome_named(&mut tx, outcome).await?;
        require_active(&outcome)?;
        let spec = &outcome.spec;
        let words = format!("{} {} {}", spec.title, spec.signal.metric, spec.slug.as_str().replace('-', " "));
        let learnings = tx.learning_search(&LearningQuery { words, limit: 10, ..LearningQuery::default() }).await?;
        let open = tx.experiment_list_under_way(Some(outcome.id)).await?;
        Ok(WorkOrder {
            outcome: spec.slug.to_string(),
            n_candidates: spec.portfolio.candidates,
            goal: json!({
                "title_says": spec.title,
                "description_says": spec.description,
                "signal": { "name": spec.signal.name, "metric": spec.signal.metric, "unit": spec.signal.unit },
                "direction": spec.target.direction,
                "from": spec.target.from,
                "to": spec.target.to,
                "measured_baseline": outcome.state.baseline.as_ref().map(|baseline| baseline.value),
                "deadline": outcome.state.deadline,
                "design": spec.design,
                "randomisation_unit": spec.randomisation_unit,
                "exposure_event": spec.exposure,
            }),
            scope: json!({ "allowed_paths": spec.scope.allowed_paths, "forbidden_paths": spec.scope.forbidden_paths }),
            constraints: json!({
                "guardrails": spec.guardrails().map(|(signal, bound, _, _)| json!({ "signal": signal.name, "bound": bound }))
                    .collect::<Vec<_>>(),
                "rules_say": spec.rules().collect::<Vec<_>>(),
            }),
            learnings: learnings
                .iter()
                .map(|StoredLearning { learning, .. }| {
                    json!({ "finding": learning.finding, "type": learning.finding_type,
                    "grade": learning.grade, "hypothesis_says": learning.hypothesis_says })
                })
                .collect(),
            under_way: open
                .iter()
                .map(|experiment| {
                    json!({ "experiment": experiment.slug, "status": experiment.state.status,
                    "title_says": experiment.hypothesis.title, "touched_paths": experiment.hypothesis.touched_paths,
                    "flag_key": experiment.hypothesis.flag_key })
                })
                .collect(),
            feasibility: feasibility_hint(&outcome),
            answer_with: format!(
                "Call submit_hypotheses with outcome `{}` and {} candidates. All amounts are absolute, in the signal's \
                 units, positive = better.",
                spec.slug, spec.portfolio.candidates
            ),
        })
    }

    /// Takes candidates: checks, scores, selects, and opens a portfolio gate for each selected one.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::Conflict`] when the outcome is not active, [`Code::HypothesisIncomplete`] when every
    /// candidate goes back.
    pub async fn hypotheses_submit(&self, submission: Submission, by: &Principal) -> Result<Submitted> {
        if submission.hypotheses.is_empty() || submission.hypotheses.len() > MAX_CANDIDATES {
            return Err(Error::new(
                Code::InvalidInput,
                format!("a submission takes 1 to {MAX_CANDIDATES} hypotheses, not {}", submission.hypotheses.len()),
            ));
        }
        let mut tx = self.write().await?;
        let outcome = Self::outcome_named(&mut tx, &submission.outcome).await?;
        require_active(&outcome)?;
        let open = tx.experiment_list_open(Some(outcome.id)).await?;
        let (good, rejected) = sort_out(&outcome, submission.hypotheses)?;
        if good.is_empty() {
            let first = rejected.first().and_then(|candidate| candidate.problems.first());
            let text = first.map_or_else(String::new, |problem| format!("`{}` {}", problem.field, problem.message));
            return Err(Error::new(Code::HypothesisIncomplete, format!("no candidate can be taken: {text}"))
                .hint("mend the fields named in context.rejected and submit again")
                .with("rejected", serde_json::to_value(&rejected).unwrap_or_default()));
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
        let mut done = Submitted { proposed: vec![], kept: vec![], rejected, gates: vec![] };
        for candidate in select_portfolio(good, &under_way, slots) {
            // The same candidate again (a retried call) is the one that is there.
            if let Some(same) = open.iter().find(|known| known.hypothesis == candidate.hypothesis) {
                done.proposed.push(same.slug.to_string());
                continue;
            }
            let dropped = candidate.score.dropped_because.clone();
            let mut experiment = self.new_experiment(&mut tx, &outcome, candidate, submission.author, by).await?;
            match dropped {
                Some(reason) => done.kept.push(format!("{}: {reason}", experiment.slug)),
                None => {
                    self.propose(&mut tx, &outcome, &mut experiment, by).await?;
                    done.gates.extend(
                        tx.gate_list(Some(experiment.id), 1).await?.into_iter().map(|gate| gate.slug.to_string()),
                    );
                    done.proposed.push(experiment.slug.to_string());
                }
            }
        }
        tx.commit().await?;
        Ok(done)
    }

    /// Brings a kept hypothesis to the portfolio gate.
    ///
    /// # Errors
    /// [`Code::Conflict`] when it is no longer a hypothesis, or gets in the way of another.
    pub async fn experiment_propose(&self, reference: &str, by: &Principal) -> Result<String> {
        let mut tx = self.write().await?;
        let mut experiment = Self::experiment_named(&mut tx, reference).await?;
        let outcome = Self::outcome_of(&mut tx, &experiment).await?;
        require_active(&outcome)?;
        if by.kind() == PrincipalKind::Agent && experiment.parent.is_some() {
            return Err(Error::new(Code::Forbidden, "a successor is for its human author to propose"));
        }
        for other in tx.experiment_list_open(Some(outcome.id)).await? {
            if other.id != experiment.id
                && other.state.status.occupies_slot()
                && let Some(conflict) = conflict_between(&experiment.hypothesis, &other.hypothesis)
            {
                return Err(Error::new(
                    Code::Conflict,
                    format!("`{}` cannot be proposed: {conflict}", experiment.slug),
                )
                .hint("conclude the other one first"));
            }
        }
        self.propose(&mut tx, &outcome, &mut experiment, by).await?;
        tx.commit().await?;
        Ok(experiment.slug.to_string())
    }

    async fn propose(&self, tx: &mut Tx, outcome: &Outcome, experiment: &mut Experiment, by: &Principal) -> Result<()> {
        let context = StepContext::default();
        self.experiment_step(tx, outcome, experiment, ExperimentEvent::Proposed, by, &context).await?;
        Ok(())
    }

    async fn new_experiment(
        &self,
        tx: &mut Tx,
        outcome: &Outcome,
        candidate: Candidate,
        author: Author,
        by: &Principal,
    ) -> Result<Experiment> {
        let id = self.ids.next::<ExperimentId>();
        let slug = free_experiment_slug(tx, &Slug::from_title(&candidate.hypothesis.title)).await?;
        let draft = Experiment::draft(id, slug, outcome.id, candidate.hypothesis, by.clone(), self.now());
        let experiment = Experiment { author, score: candidate.score, ..draft };
        self.store_experiment(tx, &experiment, by).await?;
        Ok(experiment)
    }
}

fn require_active(outcome: &Outcome) -> Result<()> {
    if outcome.state.status == OutcomeStatus::Active {
        return Ok(());
    }
    Err(Error::new(Code::Conflict, format!("outcome `{}` is {}, not active", outcome.spec.slug, outcome.state.status))
        .hint(match outcome.state.status {
            OutcomeStatus::Draft => "a human runs `outcome-runtime activate` first",
            _ => "it is over; nothing more is proposed for it",
        }))
}

fn sort_out(outcome: &Outcome, hypotheses: Vec<Hypothesis>) -> Result<(Vec<Candidate>, Vec<Rejected>)> {
    let rules = ScopeRules::parse(&outcome.spec.scope.allowed_paths, &outcome.spec.scope.forbidden_paths)?;
    let (mut good, mut rejected) = (Vec::new(), Vec::new());
    for hypothesis in hypotheses {
        let mut problems = check_hypothesis(&hypothesis, &outcome.spec, &rules);
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

/// The problem of a plan that cannot find its effect in time, where the baseline and the traffic are known.
fn infeasible(outcome: &Outcome, hypothesis: &Hypothesis) -> Option<Problem> {
    if outcome.spec.design != Design::Randomised {
        return None;
    }
    let mde = hypothesis.measurement.minimum_detectable_effect;
    let found = needed(outcome, mde, hypothesis.rollout.initial_pct)?;
    (found.days_whole_weeks > u64::from(hypothesis.measurement.duration_days)).then(|| Problem {
        field: "measurement.duration_days".to_owned(),
        message: format!(
            "is {}, but finding a change of {mde} with {} % treatment takes up to {} days ({} units): state a larger \
             minimum_detectable_effect, a larger share, or more days",
            hypothesis.measurement.duration_days, hypothesis.rollout.initial_pct, found.days_whole_weeks, found.n_max
        ),
    })
}

/// Units and days that a test needs at the measured baseline and traffic; `None` where they are not known.
fn needed(outcome: &Outcome, mde: f64, treatment_pct: u8) -> Option<stats::Feasibility> {
    let baseline = outcome.state.baseline.as_ref()?;
    let variance = baseline.variance.filter(|variance| *variance > 0.0)?;
    let level = baseline.value;
    let is_share = (variance - level * (1.0 - level)).abs() < 1e-9;
    let sign = outcome.spec.target.direction.sign();
    stats::feasibility(&stats::FeasibilityInput {
        baseline: if is_share {
            stats::Baseline::Rate { rate: level }
        } else {
            stats::Baseline::Mean { mean: level, standard_deviation: variance.sqrt() }
        },
        daily_units: baseline.daily_units?,
        mde_relative: sign * mde / level.abs(),
        alpha: stats::Alpha::try_new(outcome.spec.alpha()).ok()?.budget_share(outcome.spec.planned_experiments(), 0),
        power: 0.8,
        treatment_share: f64::from(treatment_pct) / 100.0,
    })
    .ok()
}

/// What a test can find within the horizon at an even split, for the author.
fn feasibility_hint(outcome: &Outcome) -> Value {
    let Some(baseline) = &outcome.state.baseline else { return Value::Null };
    let mde = outcome.spec.minimum_detectable_effect.map(|mde| mde.absolute(baseline.value));
    json!({
        "daily_units": baseline.daily_units,
        "horizon_days": outcome.spec.horizon.as_days(),
        "default_minimum_detectable_effect": mde,
        "days_needed_at_an_even_split": mde.and_then(|mde| needed(outcome, mde, 50)).map(|found| found.days_whole_weeks),
    })
}
