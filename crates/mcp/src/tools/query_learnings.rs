//! What earlier experiments taught.

use std::sync::LazyLock;

use outcome_core::usecases::{LearningView, Runtime};
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Call, Detail, ToolSpec, schema_of, with_known};
use crate::answer::{Answer, Failure, keep_what_fits};
use crate::{args, cursor};

pub(super) const NAME: &str = super::names::QUERY_LEARNINGS;

pub(super) static SPEC: ToolSpec = ToolSpec {
    name: NAME,
    title: "Query learnings",
    description: "What past experiments taught, best match first (newest without words), with evidence grade A (randomised, \
                  healthy) to D (anecdote).",
    is_read_only: true,
    search_hint: Some("what past experiments taught"),
    input: LazyLock::new(schema_of::<Args>),
    aliases: &[
        ("q", "query"),
        ("search", "query"),
        ("text", "query"),
        ("words", "query"),
        ("outcome", "outcome_id"),
        ("max_results", "limit"),
        ("workspace_id", ""),
    ],
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Args {
    query: Option<String>,
    outcome_id: Option<String>,
    #[schemars(range(min = 1, max = 20))]
    limit: Option<usize>,
    cursor: Option<String>,
    #[serde(default)]
    detail: Detail,
}

/// Learnings that are looked for behind those that are shown, to say that there are more.
const AHEAD: usize = 20;

pub(super) async fn call(call: &Call<'_>, arguments: Option<JsonObject>) -> Result<Answer, Failure> {
    let args: Args = args::parse(&SPEC, arguments)?;
    let words: String = args.query.unwrap_or_default().chars().take(1000).collect();
    let filter = format!("{NAME}|{words}|{}", args.outcome_id.as_deref().unwrap_or_default());
    let from = cursor::decode(args.cursor.as_deref(), &filter)?;
    let offset = i64::try_from(from).unwrap_or(i64::MAX);
    let limit = args.limit.unwrap_or(5);
    let page = i64::try_from(limit + AHEAD).unwrap_or(i64::MAX);
    let found = match call.runtime.learnings().search(&words, args.outcome_id.as_deref(), page, offset).await {
        Ok(found) => found,
        Err(error) => return Err(with_known(call, "outcome", error.into()).await),
    };
    let mut shown: Vec<Value> = found.iter().take(limit).map(|view| line(view, args.detail)).collect();
    keep_what_fits(&mut shown, args.detail.budget() - 200);
    let n_more = found.len() - shown.len();
    let is_minimum = found.len() == limit + AHEAD;
    let body = json!({
        "n_more": (n_more > 0).then_some(n_more),
        "n_more_is_a_minimum": (is_minimum && n_more > 0).then_some(true),
        "next_cursor": (n_more > 0).then(|| cursor::encode(from + shown.len(), &filter)),
        "note": shown.is_empty().then_some("there are no learnings about this yet"),
        "learnings": shown,
    });
    Ok(Answer::new(body).within(args.detail.budget()))
}

/// One learning, all of it; `None` when there is none with this id.
///
/// # Errors
/// When the database fails.
pub(crate) async fn learning(runtime: &Runtime, id: &str) -> Result<Option<Answer>, Failure> {
    let Ok(id) = id.parse() else { return Ok(None) };
    let found = runtime.learnings().show(id).await?;
    Ok(found.map(|view| Answer::new(line(&view, Detail::Full)).within(Detail::Full.budget())))
}

fn line(view: &LearningView, detail: Detail) -> Value {
    let is_full = detail == Detail::Full;
    let cut = |text: &str| if is_full { text.to_owned() } else { text.chars().take(300).collect() };
    json!({
        "id": view.id,
        "outcome": view.outcome,
        "experiment": view.experiment,
        "finding": cut(&view.finding),
        "finding_type": view.finding_type,
        "grade": view.grade,
        "age_days": view.age_days,
        "hypothesis_says": cut(&view.hypothesis_says),
        "note_says": view.note_says.as_deref().map(cut),
        "tags_say": (!view.applies_to.is_empty()).then_some(&view.applies_to),
        "evidence": is_full.then_some(&view.evidence),
    })
}
