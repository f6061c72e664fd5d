//! What would be written where, and writing it. **Invariant**: a file is replaced as a whole or not at all, and nothing is
//! written outside of the place to which it belongs, whatever links lead there.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use outcome_core::{Code, Error, Result};
use serde::Serialize;

use super::diff::{self, DiffLine};
use super::table::{Edit, File, Role};
use super::trouble::Trouble;
use super::{Client, Places, SERVER, Scope, json, section, toml, yaml};
use crate::links::resolved;

/// The longest file that is read; Claude Code's own may have several MiB.
const MAX_BYTES: u64 = 32 * 1024 * 1024;

/// A client's files.
#[derive(Debug)]
pub struct Planned {
    pub client: Client,
    pub scope: Scope,
    pub files: Vec<PlannedFile>,
}

/// A file and what would become of it.
#[derive(Debug)]
pub struct PlannedFile {
    pub role: Role,
    /// As it is named to people.
    pub path: PathBuf,
    /// Where it really lies.
    real: PathBuf,
    old: Option<String>,
    pub new: Result<String>,
}

/// What happens to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileChange {
    None,
    Create,
    Update,
    /// Nothing but ours was in it.
    Delete,
    /// Left alone: it cannot be read.
    Refused,
}

/// What is to be done with the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Ours is put in.
    Write,
    /// Ours is taken out.
    Remove,
}

impl PlannedFile {
    /// What would happen to it.
    #[must_use]
    pub fn change(&self) -> FileChange {
        match (&self.old, &self.new) {
            (_, Err(_)) => FileChange::Refused,
            (Some(old), Ok(new)) if old == new => FileChange::None,
            (None, Ok(new)) if new.is_empty() => FileChange::None,
            (Some(_), Ok(new)) if new.trim().is_empty() => FileChange::Delete,
            (Some(_), Ok(_)) => FileChange::Update,
            (None, Ok(_)) => FileChange::Create,
        }
    }

    /// The difference.
    #[must_use]
    pub fn diff(&self) -> Vec<DiffLine> {
        match &self.new {
            Ok(new) => diff::lines(self.old.as_deref().unwrap_or_default(), new),
            Err(_) => Vec::new(),
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`Code::Io`]; then the old file is as it was.
    pub fn write(&self) -> Result<()> {
        let Ok(new) = &self.new else { return Ok(()) };
        if self.change() == FileChange::Delete {
            return std::fs::remove_file(&self.real).map_err(|cause| {
                Error::new(Code::Io, format!("{} cannot be removed", self.path.display())).because(cause)
            });
        }
        write(&self.real, self.old.as_deref(), new).map_err(|cause| {
            Error::new(Code::Io, format!("{} cannot be written", self.path.display()))
                .hint(
                    "the file was not changed; check the permissions of the folder, or write the file by hand (--print)",
                )
                .because(cause)
        })
    }
}

/// What the clients' files would become. Where two clients share a file, the second builds on what the first would write.
///
/// # Errors
/// [`Code::InvalidInput`] for a scope that a client does not know.
pub fn plan(clients: &[Client], scope: Option<Scope>, places: &Places<'_>, act: Act) -> Result<Vec<Planned>> {
    let mut all: Vec<Planned> = Vec::new();
    for client in clients {
        if all.iter().any(|planned| planned.client == *client) {
            continue;
        }
        let scope = scope.unwrap_or(client.default_scope());
        let files = client.files(scope, places);
        if files.is_empty() {
            let other = client.default_scope();
            let name = |scope| match scope {
                Scope::Project => "project",
                Scope::User => "user",
            };
            return Err(Error::new(
                Code::InvalidInput,
                format!("{} has no {} configuration", client.id(), name(scope)),
            )
            .hint(format!("leave --scope out, or give --scope {}", name(other))));
        }
        let mut planned = Planned { client: *client, scope, files: Vec::new() };
        for file in files {
            let next = planned_file(&file, &all, &planned, act);
            planned.files.push(next);
        }
        all.push(planned);
    }
    Ok(all)
}

/// The files with settings of a client, in a project and of the user: servers and hooks, and not what the agent only reads.
pub fn settings_files(client: Client, places: &Places<'_>) -> Vec<PathBuf> {
    let files = [Scope::Project, Scope::User].into_iter().flat_map(|scope| client.files(scope, places));
    files.filter(|file| matches!(file.role, Role::Server | Role::Guard)).map(|file| file.path).collect()
}

fn planned_file(file: &File, all: &[Planned], this: &Planned, act: Act) -> PlannedFile {
    let real = resolved(&file.path);
    let path = file.path.clone();
    let earlier =
        all.iter().chain(std::iter::once(this)).flat_map(|planned| &planned.files).rfind(|other| other.real == real);
    let (old, new) = match earlier {
        Some(other) => match &other.new {
            // The other client's step removes the file.
            Ok(text) if act == Act::Remove && text.trim().is_empty() => (None, Ok(String::new())),
            Ok(text) => (Some(text.clone()), edited(file, text, act)),
            Err(_) => (None, Err(paste(file, "it was not readable for the client before"))),
        },
        None => match read(&real, &resolved(&file.base)) {
            Ok(None) if act == Act::Remove => (None, Ok(String::new())),
            Ok(old) => {
                let new = edited(file, old.as_deref().unwrap_or_default(), act);
                (old, new)
            }
            Err(problem) => (None, Err(paste(file, &problem))),
        },
    };
    PlannedFile { role: file.role, path, real, old, new }
}

/// The file's text; `None` when it is not there.
fn read(real: &Path, base: &Path) -> std::result::Result<Option<String>, String> {
    use std::io::Read as _;
    if !real.starts_with(base) {
        return Err(format!("a link leads to {}, outside of {}", real.display(), base.display()));
    }
    let meta = match std::fs::metadata(real) {
        Ok(meta) => meta,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e.to_string()),
    };
    if !meta.is_file() {
        return Err("it is not a file".to_owned());
    }
    let mut text = String::new();
    let file = std::fs::File::open(real).map_err(|e| e.to_string())?;
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|e| e.to_string())?;
    if text.len() as u64 > MAX_BYTES { Err("it is too large".to_owned()) } else { Ok(Some(text)) }
}

fn edited(file: &File, old: &str, act: Act) -> Result<String> {
    // A byte order mark is kept; the parsers do not want it.
    let (mark, body) = match old.strip_prefix('\u{feff}') {
        Some(body) => ("\u{feff}", body),
        None => ("", old),
    };
    let new = match act {
        Act::Write => merge(&file.edit, body),
        Act::Remove => removed(&file.edit, body),
    };
    let new = new.map_err(|trouble| {
        let place = trouble.line.map(|line| format!("line {line}: ")).unwrap_or_default();
        let error = paste(file, &format!("{place}{}", trouble.problem));
        match trouble.line {
            Some(line) => error.with("line", line),
            None => error,
        }
    })?;
    Ok(format!("{mark}{new}"))
}

fn merge(edit: &Edit, old: &str) -> std::result::Result<String, Trouble> {
    match edit {
        Edit::JsonServer { at, entry } => json::with_server(old, at, entry),
        Edit::JsonHook { at, entry, top } => json::with_hook(old, at, entry, top),
        Edit::TomlServer { at, entry } => toml::with_server(old, at, entry),
        Edit::YamlServer { at, entry } => yaml::with_server(old, at, entry),
        Edit::Section(text) => section::with_section(old, text),
        Edit::Own(text) => Ok(text.clone()),
    }
}

/// What is left without ours; nothing, where nothing else is in it.
fn removed(edit: &Edit, old: &str) -> std::result::Result<String, Trouble> {
    let new = match edit {
        Edit::JsonServer { at, .. } => json::without_server(old, at)?,
        Edit::JsonHook { at, .. } => json::without_hook(old, at)?,
        Edit::TomlServer { at, .. } => toml::without_server(old, at)?,
        Edit::YamlServer { at, .. } => yaml::without_server(old, at)?,
        Edit::Section(_) => section::without_section(old)?,
        Edit::Own(text) if text == old => String::new(),
        Edit::Own(_) => return Err(Trouble::new("it was changed by hand: remove it yourself".to_owned())),
    };
    // Where only ours was in it, nothing is left: neither the file that we made, nor one of empty lists.
    let is_json = matches!(edit, Edit::JsonServer { .. } | Edit::JsonHook { .. });
    let is_hollow = is_json && json::read(&new).is_ok_and(|value| json::is_hollow(&value)) && !new.contains("//");
    let is_only_ours = merge(edit, "").is_ok_and(|ours| ours == old);
    Ok(if is_only_ours || is_hollow { String::new() } else { new })
}

/// The error for a file that is left alone, with what its owner can paste.
fn paste(file: &File, problem: &str) -> Error {
    let error = Error::new(Code::ClientFileInvalid, format!("{} was not changed: {problem}", file.path.display()));
    match merge(&file.edit, "") {
        Ok(text) => error
            .hint(format!("fix the file and run this again, or add this to it yourself:\n{text}"))
            .with("paste", text),
        Err(_) => error,
    }
}

/// How a client would start the server, as its file says.
pub(super) fn server_entry(file: &File) -> Result<Option<serde_json::Value>> {
    let Some(text) = read(&resolved(&file.path), &resolved(&file.base)).map_err(|problem| paste(file, &problem))?
    else {
        return Ok(None);
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let (value, at) = match &file.edit {
        Edit::JsonServer { at, .. } => (json::read(text), at.to_vec()),
        Edit::TomlServer { at, .. } => (toml::read(text), vec![*at]),
        Edit::YamlServer { at, .. } => (yaml::read(text), vec![*at]),
        Edit::JsonHook { .. } | Edit::Section(_) | Edit::Own(_) => return Ok(None),
    };
    let value = value.map_err(|trouble| {
        let place = trouble.line.map(|line| format!("line {line}: ")).unwrap_or_default();
        paste(file, &format!("{place}{}", trouble.problem))
    })?;
    let found = at.iter().try_fold(&value, |value, key| value.get(key)).and_then(|servers| servers.get(SERVER));
    Ok(found.cloned())
}

fn write(real: &Path, old: Option<&str>, new: &str) -> std::io::Result<()> {
    let folder = real.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let now = match std::fs::read_to_string(real) {
        Ok(text) => Some(text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => return Err(e),
    };
    if now.as_deref() != old {
        return Err(std::io::Error::other("another program changed it in the meantime; run this again"));
    }
    let mut file = tempfile::Builder::new().prefix(".outcome-runtime-").tempfile_in(folder)?;
    file.write_all(new.as_bytes())?;
    match std::fs::metadata(real) {
        Ok(meta) => file.as_file().set_permissions(meta.permissions())?,
        Err(_) => readable(file.as_file())?,
    }
    file.as_file().sync_all()?;
    file.persist(real)?;
    Ok(())
}

/// A new file is readable as others are; a temporary one is its owner's alone.
#[cfg(unix)]
fn readable(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable(_: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}
