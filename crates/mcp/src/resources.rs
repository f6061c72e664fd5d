//! Resources: what the tools give, under addresses, and the chart of an outcome's signal.

use outcome_core::Code;
use outcome_core::principal::Principal;
use outcome_core::usecases::Runtime;
use rmcp::ErrorData;
use rmcp::model::{ListResourcesResult, ReadResourceResult, Resource, ResourceContents, ResourceTemplate};
use serde_json::json;

use crate::answer::{Answer, Failure};
use crate::chart::{self, Chart};
use crate::document::Document;
use crate::documents;
use crate::lazy::LazyRuntime;
use crate::protocol_error::{not_found, protocol_error};
use crate::tools::{self, Call, Detail};

const JSON: &str = "application/json";
const SVG: &str = "image/svg+xml";
/// Most resources of a list.
const MAX_LISTED: usize = 100;

/// What an address names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Outcome,
    Experiment,
    Gate,
    Learning,
    /// The chart of the outcome with this name.
    Chart,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [Self::Outcome, Self::Experiment, Self::Gate, Self::Learning, Self::Chart];

    pub(crate) fn scheme(self) -> &'static str {
        match self {
            Self::Outcome => "outcome",
            Self::Experiment => "experiment",
            Self::Gate => "gate",
            Self::Learning => "learning",
            Self::Chart => "chart",
        }
    }

    /// The variable of its template.
    pub(crate) fn variable(self) -> &'static str {
        match self {
            Self::Learning => "id",
            Self::Outcome | Self::Experiment | Self::Gate | Self::Chart => "slug",
        }
    }

    pub(crate) fn uri(self, name: &str) -> String {
        format!("{}://{name}", self.scheme())
    }

    pub(crate) fn template(self) -> String {
        self.uri(&format!("{{{}}}", self.variable()))
    }

    fn mime(self) -> &'static str {
        match self {
            Self::Outcome | Self::Experiment | Self::Gate | Self::Learning => JSON,
            Self::Chart => SVG,
        }
    }

    fn meaning(self) -> (&'static str, &'static str) {
        match self {
            Self::Outcome => ("Outcome", "An outcome with its experiments and gates, as get_active_outcomes shows it"),
            Self::Experiment => ("Experiment", "The brief of an approved experiment, as get_experiment_brief shows it"),
            Self::Gate => ("Gate", "A gate and what was decided, as get_gate shows it"),
            Self::Learning => ("Learning", "What an experiment taught, as query_learnings shows it"),
            Self::Chart => ("Chart", "The readings of an outcome's signal with its target and baseline, as SVG"),
        }
    }
}

/// What an address of ours names; `None` for any other.
pub(crate) fn parse(uri: &str) -> Option<(Kind, &str)> {
    let (scheme, name) = uri.split_once("://")?;
    let is_name = (1..=80).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let kind = Kind::ALL.into_iter().find(|kind| kind.scheme() == scheme)?;
    is_name.then_some((kind, name))
}

/// The templates.
pub(crate) fn templates() -> Vec<ResourceTemplate> {
    let one = |kind: Kind| {
        let (title, description) = kind.meaning();
        ResourceTemplate::new(kind.template(), kind.scheme())
            .with_title(title)
            .with_description(description)
            .with_mime_type(kind.mime())
    };
    Kind::ALL.into_iter().map(one).collect()
}

/// Active outcomes with their charts, open gates, and the documents. Without a workspace only these are there: the tools say
/// what is wrong.
pub(crate) async fn list(workspace: &LazyRuntime) -> ListResourcesResult {
    let documents = documents::ALL.into_iter().map(Document::resource);
    ListResourcesResult::with_all_items(of_workspace(workspace).await.into_iter().chain(documents).collect())
}

async fn of_workspace(workspace: &LazyRuntime) -> Vec<Resource> {
    let status = match workspace.get().await {
        Ok(runtime) => runtime.workspaces().status(true).await,
        Err(error) => Err(error),
    };
    let status = match status {
        Ok(status) => status,
        Err(error) => {
            tracing::warn!("Resources cannot be listed: {}", Failure::from(error).message());
            return Vec::new();
        }
    };
    let one = |kind: Kind, name: &str, about: String| {
        Resource::new(kind.uri(name), name).with_title(about).with_mime_type(kind.mime())
    };
    let outcomes =
        status.outcomes.iter().map(|line| one(Kind::Outcome, &line.outcome, format!("Outcome {}", line.outcome)));
    let gates = status.gates.iter().map(|line| one(Kind::Gate, &line.gate, format!("Pending {} gate", line.gate_type)));
    let drawn = status.outcomes.iter().filter(|line| line.signal.value.is_some());
    let charts = drawn.map(|line| one(Kind::Chart, &line.outcome, format!("Chart of {}", line.signal.name)));
    outcomes.chain(gates).chain(charts).take(MAX_LISTED).collect()
}

/// The content of an address.
///
/// # Errors
/// `-32602` with the address for what is not there.
pub(crate) async fn read(workspace: &LazyRuntime, uri: &str, by: &Principal) -> Result<ReadResourceResult, ErrorData> {
    if let Some(document) = documents::read(uri) {
        return Ok(document);
    }
    let (kind, name) = parse(uri).ok_or_else(|| not_found(uri))?;
    let failed = |failure: Failure| match failure.code() {
        Code::NotFound => not_found(uri),
        _ => protocol_error(&failure, json!({ "uri": uri, "error": failure.clone().into_value() })),
    };
    let runtime = &workspace.get().await.map_err(|error| failed(error.into()))?;
    let call = Call { runtime, by };
    let answer = match kind {
        Kind::Outcome => tools::outcomes(&call, Some(name), Detail::Full, 1, None).await,
        Kind::Gate => tools::gate(&call, name, Detail::Full).await,
        Kind::Experiment => experiment(&call, name).await,
        Kind::Learning => match tools::learning(runtime, name).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => return Err(not_found(uri)),
            Err(failure) => Err(failure),
        },
        Kind::Chart => {
            let drawing = chart(runtime, name).await.map_err(failed)?.ok_or_else(|| not_found(uri))?;
            let content = ResourceContents::text(drawing, uri).with_mime_type(SVG);
            return Ok(ReadResourceResult::new(vec![content]));
        }
    };
    let text = answer.map_err(failed)?.into_value().to_string();
    Ok(ReadResourceResult::new(vec![ResourceContents::text(text, uri).with_mime_type(JSON)]))
}

/// The chart of an outcome's signal as SVG; `None` before its first reading.
async fn chart(runtime: &Runtime, name: &str) -> Result<Option<String>, Failure> {
    let status = runtime.workspaces().status(false).await?;
    let Some(line) = status.outcomes.iter().find(|line| line.outcome == name) else { return Ok(None) };
    let points = chart::points(&runtime.outcomes().series(name, chart::MAX_POINTS).await?);
    let Some(chart) = Chart::of_outcome(line, &points) else { return Ok(None) };
    Ok(Some(chart.alone().svg()?))
}

/// The brief; before and after the time of building, why there is none and where the experiment stands.
async fn experiment(call: &Call<'_>, name: &str) -> Result<Answer, Failure> {
    match tools::brief(call, name, Detail::Full).await {
        Err(failure) if failure.code() == Code::Conflict => Ok(Answer::new(failure.into_value())),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_names_and_nothing_else() {
        assert_eq!(parse("gate://a-b"), Some((Kind::Gate, "a-b")));
        for hostile in
            ["gate://", "gate://../x", "gate://A", "file:///etc/passwd", "gate:a", "gate://a/b", "gate://a?b", ""]
        {
            assert_eq!(parse(hostile), None, "{hostile}");
        }
    }
}
