//! What a tool would write, from its name and its arguments: clients, their versions and the servers beside us name the same
//! things in many ways, so words count and not whole names.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::doubt::Doubt;
use super::patch;
use super::place::MAX_PATH;
use super::shell::{self, Patches};
use crate::clients::SERVER;

/// Begin the names of tools that only look.
const LOOKS_FIRST: [&str; 9] = ["list", "get", "read", "show", "view", "describe", "count", "stat", "git"];
/// Words of tools that only look, or whose folders are none that they write to.
const LOOKS: [&str; 20] = [
    "ls",
    "glob",
    "grep",
    "search",
    "find",
    "fetch",
    "open",
    "info",
    "tree",
    "diff",
    "status",
    "query",
    "check",
    "lint",
    "validate",
    "analyze",
    "cat",
    "head",
    "diagnostics",
    "screenshot",
];
/// Words of tools that write.
const WRITES: [&str; 40] = [
    "write",
    "edit",
    "create",
    "insert",
    "append",
    "prepend",
    "replace",
    "update",
    "modify",
    "change",
    "set",
    "put",
    "save",
    "delete",
    "remove",
    "rm",
    "unlink",
    "move",
    "mv",
    "rename",
    "copy",
    "cp",
    "patch",
    "apply",
    "mkdir",
    "make",
    "touch",
    "overwrite",
    "truncate",
    "format",
    "fix",
    "refactor",
    "rewrite",
    "generate",
    "restore",
    "revert",
    "undo",
    "link",
    "symlink",
    "chmod",
];
/// Of those, the ones that move what is there.
const MOVES: [&str; 8] = ["move", "mv", "rename", "copy", "cp", "link", "symlink", "restore"];
/// Of those, the ones whose folder is the thing itself, and not a place in which anything may change.
const MAKES: [&str; 4] = ["create", "make", "mkdir", "touch"];
/// Words of tools that work on files.
const THINGS: [&str; 11] =
    ["file", "files", "notebook", "patch", "directory", "dir", "folder", "symbol", "lines", "path", "paths"];
/// Last words of the fields that name a file or a folder.
const FIELDS: [&str; 13] = [
    "path",
    "paths",
    "file",
    "files",
    "filename",
    "filenames",
    "filepath",
    "filepaths",
    "uri",
    "uris",
    "directory",
    "dir",
    "folder",
];
/// First words of fields that end like those and name something else: where the tool runs, or a name in the code.
const OTHERS: [&str; 8] = ["repo", "repository", "project", "workspace", "root", "base", "working", "name"];
/// Fields of tools that move.
const ENDS: [&str; 8] = ["source", "destination", "src", "dst", "dest", "target", "from", "to"];
/// Fields that name the folder in which a tool runs.
const RUNS_IN: [&str; 6] = ["workdir", "cwd", "working_directory", "workingDirectory", "projectPath", "project_path"];
/// Fields in which a command or a patch stands.
const TEXTS: [&str; 6] = ["command", "cmd", "input", "script", "patch", "diff"];

/// The field in which an editor with several uses says what it does.
const COMMAND: &str = "command";

/// The editors of the clients: for them a call without a file is one that is not understood.
const EDITORS: [&str; 7] =
    ["Write", "Edit", "MultiEdit", "NotebookEdit", "StrReplace", "Delete", "str_replace_based_edit_tool"];

/// How deep arguments are read, and how many texts of them.
const MAX_DEPTH: u8 = 6;

/// What a call would write.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// Relative to the folder in which it runs, where they are not absolute.
    pub(super) files: Vec<PathBuf>,
    /// The folder in which it runs, if the call names one.
    pub(super) runs_in: Option<PathBuf>,
    /// It is a tool of another server, which runs where the client's project is.
    pub(super) is_of_a_server: bool,
    /// A folder among the files is only made.
    pub(super) only_makes: bool,
    /// What is not known of it.
    pub(super) doubt: Option<Doubt>,
}

/// What the call of a tool would write.
pub(super) fn written(name: &str, given: Option<&Value>) -> Written {
    let (server, tool) = parts(name);
    if server == Some(SERVER) {
        return Written::default();
    }
    let words = words(tool);
    let is = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let null = Value::Null;
    let given = given.unwrap_or(&null);
    let mut found = Written {
        is_of_a_server: server.is_some(),
        runs_in: RUNS_IN
            .iter()
            .find_map(|field| given.get(field)?.as_str())
            .filter(|it| !it.is_empty())
            .map(PathBuf::from),
        only_makes: words.first().is_some_and(|word| MAKES.contains(&word.as_str())),
        ..Written::default()
    };
    let patches = patches_in(tool, &words, given);
    if patches.is_elsewhere {
        found.doubt = Some(Doubt::FolderUnknown { tool: name.to_owned() });
    }
    let has_patches = !patches.files.is_empty();
    found.files = patches.files;
    let only_looks = words.first().is_some_and(|word| LOOKS_FIRST.contains(&word.as_str()))
        || given.get(COMMAND).and_then(Value::as_str) == Some("view");
    let kind = match (only_looks, is(&WRITES), is(&LOOKS)) {
        (true, _, _) | (false, false, true) => Kind::Looks,
        (false, true, _) => Kind::Writes,
        (false, false, false) => Kind::Unknown,
    };
    if kind == Kind::Looks || (kind == Kind::Unknown && has_patches) {
        return found;
    }
    let mut named = Vec::new();
    let ends: &[&str] = if is(&MOVES) && is(&THINGS) { &ENDS } else { &[] };
    collect(given, ends, 0, &mut named);
    if named.is_empty() && kind == Kind::Writes && !has_patches {
        named = differences(given);
    }
    let is_remote = ["repo", "owner"].iter().all(|field| given.get(field).is_some_and(Value::is_string));
    match kind {
        _ if named.is_empty() => {
            let is_editor = EDITORS.contains(&name) || (kind == Kind::Writes && is(&THINGS));
            if is_editor && !has_patches && found.doubt.is_none() {
                found.doubt = Some(Doubt::NoFile { tool: name.to_owned() });
            }
        }
        _ if is_remote => found.doubt = Some(Doubt::Elsewhere { tool: name.to_owned() }),
        Kind::Writes => found.files.extend(named),
        Kind::Unknown | Kind::Looks => found.doubt = Some(Doubt::ToolUnknown { tool: name.to_owned() }),
    }
    found
}

/// The files that the fields of an input name, whatever its tool.
pub(super) fn named(given: Option<&Value>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(given.unwrap_or(&Value::Null), &[], 0, &mut found);
    found
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Looks,
    Writes,
    Unknown,
}

/// The server of a tool, where it is one of MCP, and its own name.
fn parts(name: &str) -> (Option<&str>, &str) {
    if let Some((server, tool)) = name.strip_prefix("mcp__").and_then(|rest| rest.split_once("__")) {
        return (Some(server), tool);
    }
    match name.strip_prefix("MCP:") {
        Some(tool) => (Some(""), tool.rsplit(':').next().unwrap_or(tool).trim()),
        None => (None, name),
    }
}

/// The words of a name, in lower case: `create_new_file`, `StrReplace`, `pathInProject`.
fn words(name: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut before = ' ';
    for c in name.chars() {
        let begins = !before.is_alphanumeric() || (c.is_uppercase() && before.is_lowercase());
        if c.is_alphanumeric() {
            match all.last_mut() {
                Some(word) if !begins => word.extend(c.to_lowercase()),
                _ => all.push(c.to_lowercase().collect()),
            }
        }
        before = c;
    }
    all
}

/// The patches that stand in a call, in whichever form the tool takes them.
fn patches_in(tool: &str, words: &[String], given: &Value) -> Patches {
    let mut found = Patches::default();
    let is_patcher = tool.eq_ignore_ascii_case("applypatch") || words.iter().any(|word| word == "patch");
    let fields = TEXTS.iter().filter_map(|field| given.get(field));
    for value in std::iter::once(given).chain(fields) {
        match value {
            Value::String(text) if is_patcher && !text.trim_start().starts_with("cd ") => {
                found.files.extend(patch::paths(text));
            }
            Value::String(text) => add(&mut found, shell::patches(text)),
            Value::Array(list) => {
                let arguments: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
                add(&mut found, shell::patches_of_arguments(&arguments));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {}
        }
    }
    found
}

fn add(found: &mut Patches, more: Patches) {
    found.files.extend(more.files);
    found.is_elsewhere |= more.is_elsewhere;
}

/// The files of the differences among the arguments.
fn differences(given: &Value) -> Vec<PathBuf> {
    let texts = TEXTS.iter().filter_map(|field| given.get(field)?.as_str());
    texts.flat_map(patch::paths_of_difference).collect()
}

fn collect(value: &Value, ends: &[&str], depth: u8, found: &mut Vec<PathBuf>) {
    if depth > MAX_DEPTH {
        return;
    }
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                if is_field(key) || ends.contains(&key.as_str()) {
                    take(value, ends, depth, found);
                } else if value.is_object() || value.is_array() {
                    collect(value, ends, depth + 1, found);
                }
            }
        }
        Value::Array(list) => {
            for value in list.iter().filter(|value| value.is_object() || value.is_array()) {
                collect(value, ends, depth + 1, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The value of a field that names a file: a text, a list, a list of objects, or an object whose keys are the files.
fn take(value: &Value, ends: &[&str], depth: u8, found: &mut Vec<PathBuf>) {
    match value {
        Value::String(text) => found.extend(path_of(text)),
        Value::Array(list) => {
            for value in list {
                match value {
                    Value::String(text) => found.extend(path_of(text)),
                    value => collect(value, ends, depth + 1, found),
                }
            }
        }
        Value::Object(object) => {
            let before = found.len();
            collect(value, ends, depth + 1, found);
            if found.len() == before {
                found.extend(keys(object));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn keys(object: &Map<String, Value>) -> impl Iterator<Item = PathBuf> + '_ {
    object.keys().filter_map(|key| path_of(key))
}

fn is_field(key: &str) -> bool {
    let words = words(key);
    let is_other = words.len() > 1 && words.first().is_some_and(|first| OTHERS.contains(&first.as_str()));
    let is_file = words.last().is_some_and(|last| FIELDS.contains(&last.as_str()));
    (is_file && !is_other) || key == "pathInProject" || key == "path_in_project"
}

/// A text as a path, where it can be one of this machine.
fn path_of(text: &str) -> Option<PathBuf> {
    let text = text.strip_prefix("file://").unwrap_or(text);
    if text.is_empty() || text.contains(['\n', '\0']) || text.contains("://") {
        return None;
    }
    if text.len() <= MAX_PATH
        && let Some(below) = text.strip_prefix("~/")
    {
        return Some(std::env::home_dir()?.join(below));
    }
    Some(PathBuf::from(text))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    fn files(name: &str, given: &Value) -> Vec<String> {
        let found = written(name, Some(given));
        assert_eq!(found.doubt, None, "{name} {given}");
        let mut files: Vec<String> = found.files.iter().map(|file| file.display().to_string()).collect();
        files.sort();
        files
    }

    #[test]
    fn editors_of_every_name_are_understood() {
        for (name, given, expected) in [
            ("Write", json!({ "file_path": "a" }), vec!["a"]),
            ("write_to_file", json!({ "TargetFile": "a" }), vec!["a"]),
            ("mcp__filesystem__write_file", json!({ "path": "a", "content": "b" }), vec!["a"]),
            (
                "mcp__filesystem__edit_file",
                json!({ "path": "a", "edits": [{ "oldText": "x", "newText": "y" }] }),
                vec!["a"],
            ),
            ("mcp__filesystem__move_file", json!({ "source": "a", "destination": "b" }), vec!["a", "b"]),
            (
                "mcp__serena__replace_symbol_body",
                json!({ "name_path": "A/b", "relative_path": "a", "body": "x" }),
                vec!["a"],
            ),
            ("mcp__jetbrains__create_new_file", json!({ "pathInProject": "a", "text": "x" }), vec!["a"]),
            (
                "mcp__x__write_files",
                json!({ "files": [{ "path": "a", "content": "x" }, { "path": "b" }] }),
                vec!["a", "b"],
            ),
            ("mcp__x__write_files", json!({ "files": { "a": "x", "b": "y" } }), vec!["a", "b"]),
            ("mcp__x__delete_files", json!({ "paths": ["a", "b"] }), vec!["a", "b"]),
            ("mcp__x__search_and_replace", json!({ "filePath": "a" }), vec!["a"]),
            ("mcp__lsp__applyEdit", json!({ "changes": [{ "textDocument": { "uri": "file:///w/a" } }] }), vec!["/w/a"]),
            ("mcp__x__apply_patch", json!({ "patch": "*** Begin Patch\n*** Add File: a\n+x" }), vec!["a"]),
            ("mcp__x__apply_diff", json!({ "diff": "--- a/x\n+++ b/x\n" }), vec!["x", "x"]),
            ("MCP:write_file", json!({ "path": "a" }), vec!["a"]),
            ("str_replace_based_edit_tool", json!({ "command": "create", "path": "a" }), vec!["a"]),
        ] {
            assert_eq!(files(name, &given), expected, "{name}");
        }
    }

    #[test]
    fn what_only_looks_or_knows_no_files_is_nothing_to_object_to() {
        for (name, given) in [
            ("Read", json!({ "file_path": "a" })),
            ("Grep", json!({ "path": "a", "pattern": "x" })),
            ("LS", json!({ "path": "a" })),
            ("TodoWrite", json!({ "todos": [{ "content": "x" }] })),
            ("Task", json!({ "prompt": "x" })),
            ("Bash", json!({ "command": "touch a" })),
            ("mcp__filesystem__read_text_file", json!({ "path": "a" })),
            ("mcp__filesystem__list_directory", json!({ "path": "a" })),
            ("mcp__git__git_add", json!({ "repo_path": "/w", "files": ["a"] })),
            ("mcp__linear__create_issue", json!({ "title": "x", "team": "y" })),
            ("mcp__gmail__move_message", json!({ "from": "INBOX", "to": "Archive" })),
            ("mcp__web__fetch", json!({ "uri": "https://example.com/a" })),
            ("mcp__outcome-runtime__report_experiment_built", json!({ "files": ["a"] })),
            ("str_replace_based_edit_tool", json!({ "command": "view", "path": "a" })),
        ] {
            assert_eq!(files(name, &given), Vec::<String>::new(), "{name}");
        }
    }

    #[test]
    fn what_is_not_understood_is_a_doubt() {
        for (name, given) in [
            ("Write", json!({})),
            ("Edit", json!("a")),
            ("mcp__x__frobnicate", json!({ "path": "a" })),
            ("mcp__x__write_file", json!({ "where": "a" })),
            ("mcp__github__create_or_update_file", json!({ "owner": "o", "repo": "r", "path": "a" })),
            ("Bash", json!({ "command": "cd $X && apply_patch '*** Begin Patch\n*** Add File: a\n+x'" })),
        ] {
            assert!(written(name, Some(&given)).doubt.is_some(), "{name}");
        }
    }
}
