//! What a tool answers: a value, or a failure that tells the model what to do. In both cases the text block is exactly the
//! JSON of the structured content, because a client shows its model one or the other.

use outcome_core::{Code, Error, error::error_chain};
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Map, Value, json};

use crate::{budget, suspicion, tools};

/// Most calls that an answer proposes.
const MAX_ACTIONS: usize = 3;
/// Largest proposed call, in bytes.
const MAX_ACTION_BYTES: usize = 1_500;

/// A proposed call, complete.
pub(crate) fn action(tool: &str, arguments: Value) -> Value {
    json!({ "tool": tool, "arguments": arguments })
}

/// Sets a field of an object.
pub(crate) fn set(object: &mut Value, key: &str, value: impl Into<Value>) {
    if let Value::Object(map) = object {
        map.insert(key.to_owned(), value.into());
    }
}

/// A successful answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    body: Value,
    budget: usize,
    next: Vec<Value>,
}

impl Answer {
    /// An answer of at most [`budget::CONCISE`] bytes.
    pub(crate) fn new(body: Value) -> Self {
        Self { body, budget: budget::CONCISE, next: Vec::new() }
    }

    /// The answer may have this many bytes, at most [`budget::HARD`].
    pub(crate) fn within(mut self, budget: usize) -> Self {
        self.budget = budget.min(budget::HARD);
        self
    }

    /// Names the arguments that were dropped.
    pub(crate) fn ignoring(mut self, names: Vec<String>) -> Self {
        if !names.is_empty() {
            set(&mut self.body, "ignored_arguments", names);
        }
        self
    }

    /// Proposes a call.
    pub(crate) fn next(mut self, tool: &str, arguments: Value) -> Self {
        self.next.push(action(tool, arguments));
        self
    }

    /// Proposes calls.
    pub(crate) fn next_all(mut self, actions: impl IntoIterator<Item = Value>) -> Self {
        self.next.extend(actions);
        self
    }

    /// The answer as JSON: without nulls, within its budget, with its proposals.
    pub(crate) fn into_value(self) -> Value {
        finish(self.body, self.next, self.budget)
    }

    /// The answer as a result.
    pub(crate) fn into_result(self) -> CallToolResult {
        result(self.into_value(), false)
    }
}

/// Why a call was not carried out.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    code: Code,
    message: String,
    hint: Option<String>,
    details: Map<String, Value>,
    next: Vec<Value>,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, details: Map::new(), next: Vec::new() }
    }

    /// An argument that cannot be used.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidInput, message)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    pub(crate) fn next(mut self, tool: &str, arguments: Value) -> Self {
        self.next.push(action(tool, arguments));
        self
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The failure as JSON.
    pub(crate) fn into_value(self) -> Value {
        let mut error = Map::new();
        error.insert("code".to_owned(), self.code.as_str().into());
        error.insert("message".to_owned(), self.message.into());
        let hint = self.hint.unwrap_or_else(|| usual_hint(self.code).to_owned());
        error.insert("hint".to_owned(), hint.into());
        error.extend(self.details);
        finish(json!({ "error": error }), self.next, budget::CONCISE)
    }

    /// The failure as a result that the model reads.
    pub(crate) fn into_result(self) -> CallToolResult {
        result(self.into_value(), true)
    }
}

/// The hint for errors that have none of their own.
fn usual_hint(code: Code) -> &'static str {
    match code {
        Code::InvalidInput | Code::HypothesisIncomplete | Code::ScopePatternInvalid => {
            "fix what the message names and call again"
        }
        Code::NotFound | Code::Conflict | Code::SlotsFull | Code::GateNotPending | Code::ContextChanged => {
            "call get_active_outcomes to see what exists and in which state, then continue from there"
        }
        _ => "ask the user to run `outcome-runtime doctor`",
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let mut failure = Self::new(error.code(), error_chain(error));
        failure.hint = error.hint_text().map(ToOwned::to_owned);
        failure.details.clone_from(error.context());
        failure
    }
}

fn finish(body: Value, next: Vec<Value>, budget: usize) -> Value {
    let mut next: Vec<Value> = next.into_iter().map(budget::without_nulls).collect();
    next.dedup();
    // What the caller passed comes back in proposals; what is that large is nobody's name.
    next.retain(|action| budget::size(action) <= MAX_ACTION_BYTES);
    next.truncate(MAX_ACTIONS);
    let mut body = budget::without_nulls(body);
    let mut suspicious = suspicion::clean(&mut body, &is_tool);
    let marks: Vec<Value> = suspicious.iter().map(|mark| json!(mark)).collect();
    let spent = room_for(&next) + room_for(&marks);
    budget::fit(&mut body, budget.saturating_sub(spent));
    // What did not fit has no address any more.
    suspicious.retain(|mark| mark.is_in(&body));
    if let (Value::Object(map), false) = (&mut body, suspicious.is_empty()) {
        map.insert("suspicious".to_owned(), json!(suspicious));
    }
    if let (Value::Object(map), false) = (&mut body, next.is_empty()) {
        map.insert("next_actions".to_owned(), Value::Array(next));
    }
    body
}

/// Takes lines from the end until those that are left fit, with the marks of the suspicious texts in them; the first stays.
pub(crate) fn keep_what_fits(lines: &mut Vec<Value>, room: usize) {
    let marks_of = |lines: &[Value]| {
        let marks = suspicion::clean(&mut Value::Array(lines.to_vec()), &is_tool);
        room_for(&marks.iter().map(|mark| json!(mark)).collect::<Vec<_>>())
    };
    while lines.len() > 1 && budget::size(&Value::Array(lines.clone())) + marks_of(lines) > room {
        lines.pop();
    }
}

fn room_for(list: &[Value]) -> usize {
    if list.is_empty() { 0 } else { list.iter().map(|item| budget::size(item) + 1).sum::<usize>() + 40 }
}

fn is_tool(name: &str) -> bool {
    tools::names::ALL.contains(&name)
}

fn result(value: Value, is_error: bool) -> CallToolResult {
    let mut result = CallToolResult::structured(value);
    result.is_error = Some(is_error);
    debug_assert!(matches!(result.content.first(), Some(ContentBlock::Text(_))));
    result
}
