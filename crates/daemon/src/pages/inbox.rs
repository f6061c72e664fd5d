//! The first page: what waits for this member, the most urgent first, and how everything stands.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use outcome_core::present::{AnswerState, Scale, due, instant, p_value, plain, words};
use outcome_core::usecases::{DeadLetters, ExperimentLine, GateLine, OutcomeLine, PageSession};

use super::{Frame, PageResult, html};
use crate::App;

/// A gate in a list.
pub(super) struct GateItem {
    pub(super) slug: String,
    pub(super) kind: String,
    pub(super) experiment: String,
    /// Where it is somebody else.
    holder: Option<String>,
    due: String,
    is_overdue: bool,
}

struct OutcomeItem {
    slug: String,
    title: String,
    status: String,
    figures: String,
    problems: Vec<String>,
    deadline: Option<String>,
    experiments: Vec<ExperimentItem>,
    n_more: i64,
}

/// An experiment in a table.
pub(super) struct ExperimentItem {
    pub(super) slug: String,
    pub(super) title: String,
    pub(super) status: String,
    pub(super) effect: String,
    /// How sure the interval is.
    pub(super) levels: String,
    pub(super) p_value: String,
    pub(super) verdict: String,
    /// What it came to, in one sentence.
    pub(super) says: Option<String>,
    /// Which of the four answers that is.
    pub(super) label: &'static str,
    /// Its colour.
    pub(super) class: &'static str,
}

#[derive(Template)]
#[template(path = "inbox.html")]
struct InboxPage {
    frame: Frame,
    workspace: String,
    mine: Vec<GateItem>,
    others: Vec<GateItem>,
    outcomes: Vec<OutcomeItem>,
    clocks: Vec<String>,
    resting_sources: Vec<String>,
    undelivered: Vec<String>,
    given_up: Option<String>,
    poll: String,
}

/// GET /
pub(crate) async fn show(State(app): State<App>, Extension(session): Extension<PageSession>) -> PageResult {
    let mut status = app.runtime.workspaces().status(false).await?;
    status.gates.sort_by_key(|gate| gate.due_at);
    let member = session.member.id;
    let (mine, others): (Vec<_>, Vec<_>) =
        status.gates.iter().partition(|gate| gate.holder.is_none() || gate.held_by == Some(member));
    let page = InboxPage {
        frame: Frame::new("Inbox", Some(&session)),
        workspace: status.workspace,
        mine: mine.into_iter().map(|gate| GateItem { holder: None, ..gate_item(gate) }).collect(),
        others: others.into_iter().map(gate_item).collect(),
        outcomes: status.outcomes.iter().map(outcome_item).collect(),
        clocks: status.clocks,
        resting_sources: status.resting_sources,
        given_up: given_up(&status.dead_letters),
        undelivered: status.undelivered,
        poll: app.polls.counts().last_at.map_or_else(|| "not yet".to_owned(), instant),
    };
    Ok(html(StatusCode::OK, &page))
}

/// Messages that were given up, in a line.
fn given_up(letters: &DeadLetters) -> Option<String> {
    let newest = letters.newest.as_deref().filter(|_| letters.n > 0)?;
    let at = letters.at.map(|at| format!(" ({})", instant(at))).unwrap_or_default();
    Some(format!("{} given up; the newest: {newest}{at}", letters.n))
}

/// A gate as a line of a list.
pub(super) fn gate_item(gate: &GateLine) -> GateItem {
    GateItem {
        slug: gate.gate.clone(),
        kind: words(gate.gate_type.as_str()),
        experiment: gate.experiment.clone().unwrap_or_default(),
        holder: gate.holder.clone(),
        due: due(gate.minutes_left),
        is_overdue: gate.minutes_left < 0,
    }
}

fn outcome_item(outcome: &OutcomeLine) -> OutcomeItem {
    OutcomeItem {
        slug: outcome.outcome.clone(),
        title: outcome.title_says.clone(),
        status: words(outcome.status.as_str()),
        figures: figures(outcome),
        problems: outcome.signal.problem.iter().chain(&outcome.unchecked).cloned().collect(),
        deadline: outcome.deadline.map(instant),
        experiments: outcome.experiments.iter().map(|line| experiment_item(line, &outcome.scale)).collect(),
        n_more: outcome.n_more,
    }
}

/// Where the signal is on its way: `32.1 % now (fresh), from 31.8 %, target 45 %`.
pub(super) fn figures(outcome: &OutcomeLine) -> String {
    let level = |value: f64| outcome.scale.level(value);
    let now =
        outcome.signal.value.map_or_else(|| "not measured yet".to_owned(), |value| format!("{} now", level(value)));
    let mut parts = vec![match outcome.signal.value {
        Some(_) => format!("{now} ({})", plain(outcome.signal.freshness.as_str())),
        None => now,
    }];
    parts.extend(outcome.baseline.map(|baseline| format!("from {}", level(baseline))));
    parts.push(format!("target {}", level(outcome.target)));
    parts.join(", ")
}

/// An experiment as a line of a table.
pub(super) fn experiment_item(line: &ExperimentLine, scale: &Scale) -> ExperimentItem {
    let interval = line.interval.map_or_else(String::new, |shown| format!(" {}", shown.ends(scale)));
    let effect = line.effect.map_or_else(|| "–".to_owned(), |effect| scale.change(effect) + &interval);
    let cause = line.pause_cause.map(|cause| format!(": {}", plain(cause.as_str()))).unwrap_or_default();
    let (label, class) = match line.answer.as_ref().map(|answer| answer.state) {
        Some(state @ AnswerState::Worked) => (state.label(), "good"),
        Some(state @ (AnswerState::DidNot | AnswerState::Broken)) => (state.label(), "bad"),
        Some(state @ AnswerState::TooEarly) => (state.label(), "open"),
        None => ("", "open"),
    };
    ExperimentItem {
        says: line.answer.as_ref().map(|answer| answer.says.clone()),
        label,
        class,
        slug: line.experiment.clone(),
        title: line.title_says.clone(),
        status: words(line.status.as_str()) + &cause,
        effect,
        levels: line.interval.map(|shown| shown.levels()).unwrap_or_default(),
        p_value: match (line.p, line.p_value) {
            (Some(p), _) => format!("{} / {}", p_value(p.better), p_value(p.worse)),
            (None, Some(p)) => format!("{} two-sided", p_value(p)),
            (None, None) => "–".to_owned(),
        },
        verdict: line.verdict.map_or_else(|| "–".to_owned(), |verdict| words(verdict.as_str())),
    }
}
