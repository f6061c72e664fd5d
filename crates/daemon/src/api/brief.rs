//! The brief of an approved experiment, as JSON, or as Markdown for agents that read text.

use askama::Template;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use outcome_core::usecases::Brief;
use outcome_core::{Code, Error};
use serde::Serialize;
use serde_json::json;

use crate::App;
use crate::http::problem::Problem;

/// GET /api/v1/experiments/{id}/brief
pub(crate) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let brief = app.runtime.builds().brief(&id).await?;
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !accept.contains("text/markdown") {
        return Ok(Json(brief).into_response());
    }
    let text = Markdown::of(brief)
        .render()
        .map_err(|e| Error::new(Code::Internal, "the brief cannot be written").because(e))?;
    Ok(([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], text).into_response())
}

#[derive(Template)]
#[template(path = "brief.md", escape = "none")]
struct Markdown {
    said: Vec<(&'static str, String)>,
    base_commit: String,
    lists: Vec<(&'static str, Vec<String>)>,
    brief: Brief,
}

impl Markdown {
    fn of(brief: Brief) -> Self {
        let hypothesis = &brief.hypothesis;
        let said = [
            ("Title", &hypothesis.title_says),
            ("Statement", &hypothesis.statement_says),
            ("Mechanism", &hypothesis.mechanism_says),
            ("The change", &hypothesis.intervention_says),
        ];
        Self {
            said: said.map(|(label, text)| (label, quoted(text))).into(),
            base_commit: brief.base_commit.clone().unwrap_or_else(|| "none".to_owned()),
            lists: vec![
                ("How it is wired", brief.wiring()),
                ("Why the last build failed", brief.last_failure_says.iter().map(|says| quoted(says)).collect()),
                ("What to do differently", brief.rework_says.iter().map(|says| quoted(says)).collect()),
                ("Declared paths", codes(&hypothesis.declared_paths)),
                ("Allowed paths", codes(&brief.scope.allowed_paths)),
                ("Forbidden paths", codes(&brief.scope.forbidden_paths)),
                ("Constraints", brief.constraints.guardrails.iter().map(as_json).collect()),
                ("Rules", brief.constraints.rules_say.clone()),
                ("Conditions of the approval", brief.conditions.clone()),
                ("Definition of done", brief.definition_of_done.clone()),
                ("Learnings", brief.learnings.iter().map(as_json).collect()),
            ],
            brief,
        }
    }
}

fn as_json(value: &impl Serialize) -> String {
    json!(value).to_string()
}

fn codes(paths: &[String]) -> Vec<String> {
    paths.iter().map(|path| format!("`{path}`")).collect()
}

/// Every line is marked, so that none passes for ours.
fn quoted(text: &str) -> String {
    text.lines().map(|line| format!("> {line}")).collect::<Vec<_>>().join("\n")
}
