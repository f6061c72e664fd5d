//! An outcome: the chart of its signal and its experiments.

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use outcome_core::Error;
use outcome_core::present::{instant, words};
use outcome_core::usecases::PageSession;
use outcome_mcp::chart::{self, Chart};

use super::inbox::{ExperimentItem, GateItem, experiment_item, figures, gate_item};
use super::{Frame, PageResult, html};
use crate::App;

/// Most readings of the table beneath.
const MAX_LISTED: usize = 60;

#[derive(Template)]
#[template(path = "outcome.html")]
struct OutcomePage {
    frame: Frame,
    slug: String,
    title: String,
    status: String,
    figures: String,
    problems: Vec<String>,
    deadline: Option<String>,
    chart: Option<Chart>,
    readings: Vec<(String, String)>,
    n_readings: usize,
    experiments: Vec<ExperimentItem>,
    gates: Vec<GateItem>,
}

/// GET /outcomes/{slug}
pub(crate) async fn show(
    State(app): State<App>,
    Extension(session): Extension<PageSession>,
    Path(slug): Path<String>,
) -> PageResult {
    let status = app.runtime.workspaces().status(false).await?;
    let line = status
        .outcomes
        .into_iter()
        .find(|line| line.outcome == slug)
        .ok_or_else(|| Error::not_found("outcome", &slug))?;
    let points = chart::points(&app.runtime.outcomes().series(&slug, chart::MAX_POINTS).await?);
    let slugs: Vec<&str> = line.experiments.iter().map(|experiment| experiment.experiment.as_str()).collect();
    let is_of_outcome = |experiment: &Option<String>| experiment.as_deref().is_some_and(|slug| slugs.contains(&slug));
    let gates = status.gates.iter().filter(|gate| is_of_outcome(&gate.experiment)).map(gate_item).collect();
    let readings =
        points.iter().rev().take(MAX_LISTED).map(|point| (instant(point.at), line.scale.level(point.value))).collect();
    let page = OutcomePage {
        frame: Frame::new(line.title_says.clone(), Some(&session)),
        slug: line.outcome.clone(),
        title: line.title_says.clone(),
        status: words(line.status.as_str()),
        figures: figures(&line),
        problems: line.signal.problem.iter().chain(&line.unchecked).cloned().collect(),
        deadline: line.deadline.map(instant),
        readings,
        n_readings: points.len(),
        chart: Chart::of_outcome(&line, &points),
        experiments: line.experiments.iter().map(|experiment| experiment_item(experiment, &line.scale)).collect(),
        gates,
    };
    Ok(html(StatusCode::OK, &page))
}
