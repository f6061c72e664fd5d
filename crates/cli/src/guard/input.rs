//! What a client's hook says it is about to do. Unknown fields, tools and shapes are nothing to object to.

use std::path::PathBuf;

use serde_json::Value;

use super::patch;
use crate::args::GuardClient;

/// Tools that write the file that a field names; every client's own names, which do not collide.
const WRITERS: [&str; 6] = ["Write", "Edit", "MultiEdit", "NotebookEdit", "StrReplace", "Delete"];
/// The fields in which they name it.
const FILES: [&str; 4] = ["file_path", "notebook_path", "path", "target_file"];
/// Tools that take a whole patch, or a shell command in which one may stand.
const PATCHERS: [&str; 5] = ["apply_patch", "ApplyPatch", "Bash", "shell", "Shell"];

/// Most files of one call that are looked at: a person waits.
const MAX_FILES: usize = 10_000;

/// What is about to happen.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// Who asks, if its input shows it.
    pub(super) client: Option<GuardClient>,
    /// Folders from which the workspace may be found, the likeliest first.
    pub(super) folders: Vec<PathBuf>,
    /// The files that it writes; relative to the first folder, where they are not absolute.
    pub(super) files: Vec<PathBuf>,
}

/// Reads the input of a hook; `None` when it is not an object.
pub(super) fn read(input: &str) -> Option<Call> {
    let input: Value = serde_json::from_str(input.trim_start_matches('\u{feff}')).ok()?;
    input.is_object().then(|| {
        let mut files = match text(&input, "agent_action_name") {
            Some("pre_write_code") => files_named(input.get("tool_info")),
            Some(_) => Vec::new(),
            None => files_of(&input),
        };
        files.truncate(MAX_FILES);
        Call { client: client_of(&input), folders: folders_of(&input), files }
    })
}

fn client_of(input: &Value) -> Option<GuardClient> {
    match text(input, "hook_event_name") {
        _ if input.get("agent_action_name").is_some() => Some(GuardClient::Windsurf),
        Some("preToolUse") => Some(GuardClient::Cursor),
        Some("PreToolUse") => Some(GuardClient::ClaudeCode),
        _ if input.get("workspace_roots").is_some() => Some(GuardClient::Cursor),
        _ => None,
    }
}

fn folders_of(input: &Value) -> Vec<PathBuf> {
    let roots = input.get("workspace_roots").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    text(input, "cwd").into_iter().chain(roots).filter(|text| !text.is_empty()).map(PathBuf::from).collect()
}

fn files_of(input: &Value) -> Vec<PathBuf> {
    let tool = text(input, "tool_name").unwrap_or_default();
    let given = input.get("tool_input");
    if WRITERS.contains(&tool) {
        return files_named(given);
    }
    if !PATCHERS.contains(&tool) {
        return Vec::new();
    }
    let mut files = files_named(given);
    for command in given.into_iter().flat_map(texts) {
        if ["apply_patch", "ApplyPatch"].contains(&tool) {
            files.extend(patch::paths(command));
        } else if let Some((patch, folder)) = patch::in_command(command) {
            let folder = folder.unwrap_or_default();
            files.extend(patch::paths(patch).into_iter().map(|path| folder.join(path)));
        }
    }
    files
}

/// The texts in which a patch can stand: the input itself or one of its fields, whole or as a list of arguments.
fn texts(given: &Value) -> Vec<&str> {
    let fields = ["command", "input", "patch"].into_iter().filter_map(|name| given.get(name));
    std::iter::once(given)
        .chain(fields)
        .flat_map(|value| match value {
            Value::String(text) => vec![text.as_str()],
            Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        })
        .collect()
}

fn files_named(given: Option<&Value>) -> Vec<PathBuf> {
    let given = given.unwrap_or(&Value::Null);
    FILES.iter().filter_map(|name| text(given, name)).filter(|path| !path.is_empty()).map(PathBuf::from).collect()
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}
