//! What every tool consists of, and what the tools share.

use std::sync::LazyLock;

use outcome_core::Code;
use outcome_core::principal::Principal;
use outcome_core::usecases::Runtime;
use serde_json::{Value, json};

use super::input::undescribed;
use super::names::GET_ACTIVE_OUTCOMES;
use crate::answer::Failure;

/// What a client and a model are told about a tool.
pub(crate) struct ToolSpec {
    /// Stable name.
    pub(crate) name: &'static str,
    /// For people.
    pub(crate) title: &'static str,
    /// For the model.
    pub(crate) description: &'static str,
    /// Changes nothing.
    pub(crate) is_read_only: bool,
    /// Words by which a client that defers tools finds this one; `None` for the one that is always loaded.
    pub(crate) search_hint: Option<&'static str>,
    /// Flat schema of the arguments, made once: each call is held against it.
    pub(crate) input: LazyLock<Value>,
    /// Other names of arguments, in snake_case; an empty target drops the argument.
    pub(crate) aliases: &'static [(&'static str, &'static str)],
}

/// A call: the workspace and who asks.
pub(crate) struct Call<'a> {
    pub(crate) runtime: &'a Runtime,
    pub(crate) by: &'a Principal,
}

/// How much of an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(transform = undescribed)]
pub(crate) enum Detail {
    #[default]
    Concise,
    Full,
}

impl Detail {
    /// Bytes that the answer may have.
    pub(crate) fn budget(self) -> usize {
        match self {
            Self::Concise => crate::budget::CONCISE,
            Self::Full => crate::budget::HARD,
        }
    }
}

/// Makes "there is no such thing" useful: which ones there are, and where to look.
pub(super) async fn with_known(call: &Call<'_>, kind: &str, failure: Failure) -> Failure {
    if failure.code() != Code::NotFound {
        return failure;
    }
    let Ok(status) = call.runtime.workspaces().status(false).await else { return failure };
    let known: Vec<String> = match kind {
        "outcome" => status.outcomes.iter().map(|line| line.outcome.clone()).take(20).collect(),
        "gate" => status.gates.iter().map(|line| line.gate.clone()).take(20).collect(),
        _ => {
            let lines = status.outcomes.iter().flat_map(|outcome| &outcome.experiments);
            lines.map(|line| line.experiment.clone()).take(20).collect()
        }
    };
    let hint = if known.is_empty() {
        format!("there is no {kind} yet")
    } else {
        format!("pass one of the names in `valid`, or an id; {GET_ACTIVE_OUTCOMES} shows them in context")
    };
    failure.hint(hint).with("valid", known).next(GET_ACTIVE_OUTCOMES, json!({}))
}

/// A number with six significant digits: readings carry no more, and tokens are paid for.
pub(super) fn short(number: f64) -> Value {
    format!("{number:.5e}").parse::<f64>().map_or(Value::Null, Value::from)
}
