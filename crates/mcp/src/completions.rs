//! Completions of names in addresses and prompts.

use rmcp::model::{CompleteRequestParams, CompleteResult, CompletionInfo, Reference};

use crate::lazy::LazyRuntime;
use crate::resources::Kind;

/// Names that begin with, or contain, what was typed.
pub(crate) async fn complete(workspace: &LazyRuntime, request: &CompleteRequestParams) -> CompleteResult {
    let wanted = match &request.r#ref {
        Reference::Resource(template) => Kind::ALL
            .into_iter()
            .find(|kind| template.uri == kind.template() || template.uri.starts_with(&format!("{}://", kind.scheme()))),
        Reference::Prompt(_) => match request.argument.name.as_str() {
            "outcome_id" => Some(Kind::Outcome),
            "experiment_id" => Some(Kind::Experiment),
            _ => None,
        },
        // The protocol may grow; what is not known has no completions.
        _ => None,
    };
    let names = match wanted {
        Some(kind) => names(workspace, kind).await,
        None => Vec::new(),
    };
    let typed = request.argument.value.to_lowercase();
    let mut fitting: Vec<String> = names.into_iter().filter(|name| name.contains(&typed)).collect();
    fitting.sort_by_key(|name| (!name.starts_with(&typed), name.clone()));
    let total = fitting.len();
    fitting.truncate(CompletionInfo::MAX_VALUES);
    let has_more = total > fitting.len();
    let info = CompletionInfo::with_pagination(fitting, u32::try_from(total).ok(), has_more);
    CompleteResult::new(info.unwrap_or_default())
}

async fn names(workspace: &LazyRuntime, kind: Kind) -> Vec<String> {
    let Ok(runtime) = workspace.get().await else { return Vec::new() };
    if kind == Kind::Learning {
        let found = runtime.learnings().search("", None, 100, 0).await.unwrap_or_default();
        return found.into_iter().map(|view| view.id.to_string()).collect();
    }
    let Ok(status) = runtime.workspaces().status(false).await else { return Vec::new() };
    match kind {
        Kind::Outcome | Kind::Chart => status.outcomes.into_iter().map(|line| line.outcome).collect(),
        Kind::Gate => status.gates.into_iter().map(|line| line.gate).collect(),
        Kind::Experiment | Kind::Learning => {
            status.outcomes.into_iter().flat_map(|line| line.experiments).map(|line| line.experiment).collect()
        }
    }
}
