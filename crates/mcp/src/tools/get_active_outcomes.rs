//! Where everything stands: the first call of every session.

use std::sync::LazyLock;

use outcome_core::domain::{ExperimentStatus, ShownInterval};
use outcome_core::present::AnswerState;
use outcome_core::usecases::{ExperimentLine, GateLine, OutcomeLine, Status};
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Call, Detail, ToolSpec, schema_of, short};
use crate::answer::{Answer, Failure, action, keep_what_fits, set};
use crate::{args, budget, cursor};

pub(super) const NAME: &str = super::names::GET_ACTIVE_OUTCOMES;

pub(super) static SPEC: ToolSpec = ToolSpec {
    name: NAME,
    title: "Active outcomes",
    description: "Start here. Active outcomes (baseline, latest value, target), their experiments (status, \
                  measured effect) and the gates that wait for a human. Returns the ids that other tools need.",
    is_read_only: true,
    search_hint: None,
    input: LazyLock::new(schema_of::<Args>),
    aliases: &[
        ("id", "outcome_id"),
        ("outcome", "outcome_id"),
        ("slug", "outcome_id"),
        ("workspace_id", ""),
        ("workspace", ""),
    ],
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Args {
    /// Only this one
    outcome_id: Option<String>,
    #[serde(default)]
    detail: Detail,
    #[schemars(range(min = 1))]
    limit: Option<usize>,
    cursor: Option<String>,
}

/// Ten outcomes with their experiments stay below 2,000 tokens.
const BUDGET: usize = 7_900;
/// Experiments of an outcome in a concise answer.
const MAX_EXPERIMENTS: usize = 3;
/// Gates in a concise answer.
const MAX_GATES: usize = 5;

pub(super) async fn call(call: &Call<'_>, arguments: Option<JsonObject>) -> Result<Answer, Failure> {
    let args: Args = args::parse(&SPEC, arguments)?;
    outcomes(call, args.outcome_id.as_deref(), args.detail, args.limit.unwrap_or(10), args.cursor.as_deref()).await
}

/// The outcomes of a page, or the one that is named.
///
/// # Errors
/// For an unknown outcome or a foreign cursor.
pub(crate) async fn outcomes(
    call: &Call<'_>,
    only: Option<&str>,
    detail: Detail,
    limit: usize,
    page: Option<&str>,
) -> Result<Answer, Failure> {
    let from = cursor::decode(page, NAME)?;
    let mut status = call.runtime.workspaces().status(only.is_none()).await?;
    if let Some(only) = only {
        status.outcomes.retain(|line| line.outcome == only);
        if status.outcomes.is_empty() {
            let unknown = Failure::from(outcome_core::Error::not_found("outcome", only));
            return Err(super::with_known(call, "outcome", unknown).await);
        }
        let slugs: Vec<&str> = own_experiments(&status).collect();
        let own: Vec<String> = slugs.into_iter().map(ToOwned::to_owned).collect();
        status.gates.retain(|gate| gate.experiment.as_ref().is_none_or(|slug| own.contains(slug)));
    }
    let n_all = status.outcomes.len();
    let mut lines: Vec<Value> =
        status.outcomes.iter().skip(from).take(limit).map(|line| outcome_line(line, detail)).collect();
    let budget = if detail == Detail::Full { budget::HARD } else { BUDGET };
    let gates = gates(&status.gates, detail);
    let next = next_actions(&status);
    // Whole outcomes go to the next page rather than parts of them being cut.
    let room = budget.saturating_sub(budget::size(&gates) + budget::size(&Value::Array(next.clone())) + 300);
    keep_what_fits(&mut lines, room);
    let until = from + lines.len();
    let n_more = n_all.saturating_sub(until);
    let mut body = json!({
        "workspace": status.workspace,
        "now": status.now,
        "outcomes": lines,
        "gates": gates,
        "n_more_gates": (detail == Detail::Concise && status.gates.len() > MAX_GATES)
            .then(|| status.gates.len() - MAX_GATES),
        "undelivered": (detail == Detail::Full && !status.undelivered.is_empty()).then_some(&status.undelivered),
        "clocks": (!status.clocks.is_empty()).then_some(&status.clocks),
        "resting_sources": (!status.resting_sources.is_empty()).then_some(&status.resting_sources),
        "n_more": (n_more > 0).then_some(n_more),
        "next_cursor": (n_more > 0).then(|| cursor::encode(until, NAME)),
    });
    if n_all == 0 {
        set(
            &mut body,
            "note",
            "no outcome is active: a human must declare one in outcome.yaml and run `outcome-runtime apply` and \
             `outcome-runtime activate`",
        );
    }
    Ok(Answer::new(body).within(budget).next_all(next))
}

fn own_experiments(status: &Status) -> impl Iterator<Item = &str> {
    status.outcomes.iter().flat_map(|outcome| &outcome.experiments).map(|line| line.experiment.as_str())
}

fn outcome_line(line: &OutcomeLine, detail: Detail) -> Value {
    let is_full = detail == Detail::Full;
    let (open, over): (Vec<_>, Vec<_>) = line.experiments.iter().partition(|e| !e.status.is_terminal());
    let n_listed = if is_full { usize::MAX } else { MAX_EXPERIMENTS };
    let listed: Vec<Value> = if is_full {
        open.iter().chain(&over).map(|experiment| experiment_line(experiment, detail)).collect()
    } else {
        open.iter().take(n_listed).map(|experiment| experiment_line(experiment, detail)).collect()
    };
    let n_more = i64::try_from(line.experiments.len() - listed.len()).unwrap_or(0) + line.n_more;
    let title: String = line.title_says.chars().take(if is_full { 1000 } else { 80 }).collect();
    json!({
        "outcome": line.outcome,
        "title_says": title,
        "status": line.status,
        "signal": line.signal.name,
        "unit": line.signal.unit,
        "direction": line.direction,
        "baseline": line.baseline.map(short),
        "value": line.signal.value.map(short),
        "target": line.target,
        "freshness": line.signal.freshness,
        "measured_at": is_full.then_some(line.signal.measured_at),
        "next_poll_at": is_full.then_some(line.signal.next_poll_at),
        "problem": line.signal.problem.as_ref().map(|text| text.chars().take(200).collect::<String>()),
        "unchecked": (is_full && !line.unchecked.is_empty()).then_some(&line.unchecked),
        "deadline": line.deadline.map(|at| at.to_string().chars().take(10).collect::<String>()),
        "experiments": listed,
        "n_more_experiments": (n_more > 0).then_some(n_more),
    })
}

fn experiment_line(line: &ExperimentLine, detail: Detail) -> Value {
    let is_full = detail == Detail::Full;
    let (name, interval) = match line.interval {
        Some(ShownInterval::ConfidenceSequence { lower, upper, .. }) => ("ci", ends(lower, upper)),
        Some(ShownInterval::Apart { at_least, at_most, .. }) => ("improvement_bounds", ends(at_least, at_most)),
        Some(ShownInterval::Decision { lower, upper, .. }) => ("decision_ci", ends(lower, upper)),
        None => ("decision_ci", Value::Null),
    };
    // Of what is too early to say, the state says enough where there is little room.
    let is_said = |answer: &&outcome_core::present::Answer| is_full || answer.state != AnswerState::TooEarly;
    json!({
        "experiment": line.experiment,
        "title_says": is_full.then_some(&line.title_says),
        "status": line.status,
        "pause_cause": line.pause_cause,
        "answer": line.answer.as_ref().map(|answer| answer.state),
        "says": line.answer.as_ref().filter(is_said).map(|answer| &answer.says),
        "sure": line.answer.as_ref().filter(|_| is_full).and_then(|answer| answer.sure.as_ref()),
        "effect": line.effect.filter(|_| is_full).map(short),
        name: Some(interval).filter(|_| is_full),
        "levels": line.interval.filter(|_| is_full).map(|shown| shown.levels()),
        "p_success": line.p.filter(|_| is_full).map(|p| short(p.better)),
        "p_harm": line.p.filter(|_| is_full).map(|p| short(p.worse)),
        "p_value": line.p_value.filter(|_| is_full && line.p.is_none()).map(short),
        "level_before": line.level_before.filter(|_| is_full).map(short),
        "level_after": line.level_after.filter(|_| is_full).map(short),
        "n": line.n_control.filter(|_| is_full).zip(line.n_treatment).map(|(control, treatment)| json!([control, treatment])),
        "e_value": line.e_value.filter(|_| is_full).map(short),
        "alpha": line.alpha.filter(|_| is_full).map(short),
        "grade": line.grade.as_ref().filter(|_| is_full),
        "health": (is_full && !line.health.is_empty()).then_some(&line.health),
        "verdict": line.verdict,
        "reason": line.reason.as_ref().filter(|_| is_full),
        "what_next": line.next.as_ref().filter(|_| is_full),
    })
}

/// Both ends; an unbounded one is null.
fn ends(lower: Option<f64>, upper: Option<f64>) -> Value {
    json!([lower.map(short), upper.map(short)])
}

fn gates(lines: &[GateLine], detail: Detail) -> Value {
    let n = if detail == Detail::Full { 20 } else { MAX_GATES };
    lines
        .iter()
        .take(n)
        .map(|line| {
            json!({
                "gate": line.gate,
                "gate_type": line.gate_type,
                "experiment": line.experiment,
                "minutes_left": line.minutes_left,
                "review_url": line.review_url,
            })
        })
        .collect()
}

/// What an agent can do now: build what is approved, propose where nothing is under way, look at what waits.
fn next_actions(status: &Status) -> Vec<Value> {
    let experiments = || status.outcomes.iter().flat_map(|outcome| &outcome.experiments);
    let building = experiments().find(|line| line.status == ExperimentStatus::Building);
    let idle = status.outcomes.iter().find(|outcome| outcome.experiments.iter().all(|line| line.status.is_terminal()));
    let mut next = Vec::new();
    next.extend(building.map(|line| action("get_experiment_brief", json!({ "experiment_id": line.experiment }))));
    next.extend(idle.map(|line| action("get_work_order", json!({ "outcome_id": line.outcome }))));
    next.extend(status.gates.first().map(|line| action("get_gate", json!({ "gate_id": line.gate }))));
    next
}
