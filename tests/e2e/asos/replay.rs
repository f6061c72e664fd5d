//! One comparison through the engine, check by check, and what is kept of it.

use std::collections::BTreeMap;

use outcome_core::stats::{
    Alpha, ArmSums, DataHealth, Evaluated, Evaluation, Interval, Phase, Recommendation, Scope, Severity, SrmLevel,
    Status, TestPlan, evaluate,
};
use serde_json::{Value, json};

use super::data::Comparison;

/// Effects worth finding, relative to control, chosen from the traffic alone: see `docs/statistics/asos.md`.
pub fn mde_relative(metric: u8) -> f64 {
    if metric == 1 { 0.01 } else { 0.02 }
}

/// The same plan for all. It ends on the day of the last check; plans count whole days.
pub fn plan(comparison: &Comparison, mde_relative: f64) -> TestPlan {
    let last_day = comparison.checks.last().map_or(0.0, |c| c.day);
    TestPlan {
        alpha: Alpha::DEFAULT,
        mde_relative: Some(mde_relative),
        min_runtime_days: 7,
        max_days: Some(last_day as u32),
        n_treatments: comparison.n_treatments,
        ..TestPlan::default()
    }
}

/// The declared split is not in the file: one to one is assumed.
pub const EVEN: [f64; 2] = [1.0, 1.0];

/// One check that could be read.
pub struct Poll {
    pub day: f64,
    pub phase: Phase,
    pub result: Evaluated,
}

/// Evaluates every check that has variances.
pub fn replay(comparison: &Comparison, plan: &TestPlan, weights: [f64; 2]) -> Vec<Poll> {
    let mut polls: Vec<Poll> = Vec::with_capacity(comparison.checks.len());
    for check in &comparison.checks {
        let Some([control, treatment]) = check.arms else { continue };
        let [control_weight, treatment_weight] = weights;
        let phase = Phase { number: 1, control_weight, treatment_weight, control, treatment };
        let input = poll(plan, &phase, check.day);
        let result = evaluate(&input, polls.last().map(|p| &p.result.running));
        polls.push(Poll { day: check.day, phase, result });
    }
    polls
}

pub fn poll<'a>(plan: &'a TestPlan, phase: &'a Phase, day: f64) -> Evaluation<'a> {
    Evaluation {
        cohorts: None,
        plan,
        phases: std::slice::from_ref(phase),
        elapsed_days: day,
        as_of: (day * 86_400.0).round() as i64,
        guardrails: &[],
        health: DataHealth::default(),
        scope: Scope::default(),
    }
}

/// The first check that asks for an act, else the last one: what the experiment came to.
pub fn outcome(polls: &[Poll]) -> Option<&Poll> {
    let is_act = |p: &&Poll| {
        matches!(
            p.result.advice.recommendation,
            Recommendation::Ship | Recommendation::KillHarm | Recommendation::KillFutility
        )
    };
    polls.iter().find(is_act).or(polls.last())
}

/// One line of `asos_summary.json`.
pub fn summary(comparison: &Comparison) -> Value {
    let relative = mde_relative(comparison.metric);
    let plan = plan(comparison, relative);
    let polls = replay(comparison, &plan, EVEN);
    let (Some(decided), Some(last)) = (outcome(&polls), polls.last()) else { return Value::Null };
    let first = |test: &dyn Fn(&Evaluated) -> bool| polls.iter().find(|p| test(&p.result)).map(|p| p.day);
    let crossing = polls.iter().find(|p| p.result.running.first_crossing.is_some());
    let mut blocked = BTreeMap::new();
    for p in &polls {
        for finding in p.result.health.iter().filter(|f| f.severity == Severity::Block) {
            blocked.entry(name(json!(finding.code))).or_insert(p.day);
        }
    }
    let is_below_gate = |p: &&Poll| matches!(p.result.status, Status::InsufficientSample { .. });
    json!({
        "experiment": comparison.experiment,
        "variant": comparison.variant,
        "metric": comparison.metric,
        "n_treatments": comparison.n_treatments,
        "n_checks": comparison.checks.len(),
        "n_without_variance": comparison.checks.iter().filter(|c| c.arms.is_none()).count(),
        "n_below_gate": polls.iter().filter(is_below_gate).count(),
        "first_day": comparison.checks.first().map(|c| c.day),
        "last_day": last.day,
        "mde_relative": relative,
        "tau": last.result.tuning.map(|t| digits(t.tau.get())),
        "verdict": at(decided),
        "decision_one_check_later": polls
            .iter()
            .find(|p| p.day > decided.day)
            .map(|p| json!(p.result.advice.recommendation)),
        "crossing": crossing.map(at),
        "n_times_lost": losses(&polls),
        "end": at(last),
        "srm_warn_day": first(&|r| r.srm.level >= SrmLevel::Warn),
        "srm_block_day": first(&|r| r.srm.level == SrmLevel::Block),
        "blocked_from_day": blocked,
        "verdict_at_observed_split": at_observed_split(comparison, &plan, last),
    })
}

/// What would have come of a comparison with a mismatch, had its final split been the declared one.
fn at_observed_split(comparison: &Comparison, plan: &TestPlan, last: &Poll) -> Option<Value> {
    if last.result.srm.level < SrmLevel::Block {
        return None;
    }
    let weights = [last.phase.control.n() as f64, last.phase.treatment.n() as f64];
    outcome(&replay(comparison, plan, weights)).map(at)
}

fn at(poll: &Poll) -> Value {
    let r = &poll.result;
    let interval = |ci: Option<Interval>| ci.map(|ci| [ci.lower.map(digits), ci.upper.map(digits)]);
    json!({
        "day": poll.day,
        "decision": name(json!(r.advice.recommendation)),
        "n_control": r.n_control,
        "n_treatment": r.n_treatment,
        "control": r.control_level.map(digits),
        "effect": r.effect.map(digits),
        "standard_error": r.standard_error.map(digits),
        "ci": interval(r.ci),
        "lift": r.lift.map(digits),
        "lift_ci": interval(r.lift_ci),
        "ln_e": r.ln_e.map(digits),
        "p_running": digits(r.p_running),
        "is_significant": r.is_significant,
        "srm_ln_e": r.srm.ln_e.map(digits),
    })
}

/// How often the current interval came to cover zero again after the evidence had crossed.
fn losses(polls: &[Poll]) -> usize {
    polls.windows(2).filter(|w| w[0].result.is_significant && !w[1].result.is_significant).count()
}

/// Totals on metric 1 for other minimum detectable effects: how much hangs on that choice.
pub fn sensitivity(comparisons: &[Comparison], mde_relative: f64) -> Value {
    let mut decisions: BTreeMap<String, usize> = BTreeMap::new();
    let (mut n_crossed, mut n_at_end) = (0, 0);
    for comparison in comparisons.iter().filter(|c| c.metric == 1) {
        let polls = replay(comparison, &plan(comparison, mde_relative), EVEN);
        let (Some(decided), Some(last)) = (outcome(&polls), polls.last()) else { continue };
        *decisions.entry(name(json!(decided.result.advice.recommendation))).or_default() += 1;
        n_crossed += usize::from(polls.iter().any(|p| p.result.running.first_crossing.is_some()));
        n_at_end += usize::from(last.result.is_significant);
    }
    json!({
        "mde_relative": mde_relative,
        "decisions": decisions,
        "n_crossed": n_crossed,
        "n_significant_at_end": n_at_end,
    })
}

/// Nine digits are more than the file has, and do not depend on the machine.
fn digits(x: f64) -> f64 {
    format!("{x:.8e}").parse().unwrap_or(x)
}

fn name(word: Value) -> String {
    word.as_str().map(str::to_owned).unwrap_or_default()
}

/// The same poll of the other side: arms exchanged.
pub fn swapped(phase: &Phase) -> Phase {
    Phase {
        control_weight: phase.treatment_weight,
        treatment_weight: phase.control_weight,
        control: phase.treatment,
        treatment: phase.control,
        ..*phase
    }
}

/// A rate as the mean of zeros and ones.
pub fn as_mean(arm: &ArmSums) -> ArmSums {
    match *arm {
        ArmSums::Proportion { n, successes } => {
            ArmSums::Mean { n, sum: successes as f64, sum_squares: successes as f64 }
        }
        other => other,
    }
}
