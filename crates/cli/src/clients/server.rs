//! Finding the server's program as a client would.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

/// Its program.
pub const PROGRAM: &str = "outcome-runtime-mcp";

/// The server's program: beside this one, else on the `PATH`, else its bare name.
pub(super) fn program() -> PathBuf {
    let name = format!("{PROGRAM}{}", std::env::consts::EXE_SUFFIX);
    let beside = std::env::current_exe().ok().map(|this| this.with_file_name(&name)).filter(|path| is_program(path));
    let path = std::env::var("PATH").unwrap_or_default();
    beside.or_else(|| on_path(&name, &path, Path::new("/"))).unwrap_or_else(|| PathBuf::from(name))
}

/// The program that `command` means to a process with this `PATH` in the folder `cwd`.
pub(super) fn on_path(command: &str, path: &str, cwd: &Path) -> Option<PathBuf> {
    if command.contains(['/', '\\']) {
        return Some(cwd.join(command)).filter(|path| is_program(path));
    }
    let folders = std::env::split_paths(path);
    folders.map(|folder| cwd.join(folder).join(command)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    let Ok(meta) = std::fs::metadata(path) else { return false };
    meta.is_file() && is_executable(&meta)
}

#[cfg(unix)]
fn is_executable(meta: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    meta.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &std::fs::Metadata) -> bool {
    true
}

/// The keys that say what is started, in the words of the various clients.
const COMMANDS: [&str; 2] = ["command", "cmd"];
/// The keys that hold its environment.
const ENVIRONMENTS: [&str; 2] = ["env", "envs"];
/// The order in which people write an entry; what is not listed follows by name.
const ORDER: [&str; 12] =
    ["enabled", "type", "name", "description", "matcher", "cmd", "command", "args", "env", "envs", "timeout", "hooks"];

/// Our entry, with what the user set in theirs: their arguments, variables and switches stay, and so does their command, unless
/// it is a path to our program at which there is none.
pub(super) fn merged(theirs: Option<&Value>, ours: &Value) -> Value {
    let (Some(Value::Object(theirs)), Value::Object(ours)) = (theirs, ours) else { return ours.clone() };
    let mut out = theirs.clone();
    for (key, value) in ours {
        let known = theirs.get(key);
        let is_kept = match key.as_str() {
            "type" => false,
            key if COMMANDS.contains(&key) => known.is_some_and(|command| !leads_nowhere(command)),
            key if ENVIRONMENTS.contains(&key) => false,
            _ => known.is_some(),
        };
        if is_kept {
            continue;
        }
        let value = match (known, value) {
            (Some(Value::Object(known)), Value::Object(ours)) => {
                let mut both = known.clone();
                both.extend(ours.clone());
                Value::Object(both)
            }
            _ => value.clone(),
        };
        out.insert(key.clone(), value);
    }
    Value::Object(out)
}

/// True for our program by a path at which it is not (any more). Another command is a wrapper of the user's.
fn leads_nowhere(command: &Value) -> bool {
    let command = match command {
        Value::Array(words) => words.first().and_then(Value::as_str),
        other => other.as_str(),
    };
    let Some(command) = command.map(Path::new) else { return true };
    let is_ours = command.file_stem().is_some_and(|stem| stem == PROGRAM);
    is_ours && command.components().count() > 1 && !is_program(command)
}

/// The keys of an object as people would write them.
pub(super) fn in_order(object: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut all: Vec<_> = object.iter().collect();
    all.sort_by_key(|(key, _)| ORDER.iter().position(|known| known == key).unwrap_or(ORDER.len()));
    all
}
