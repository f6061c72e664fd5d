//! `init --client`: shows what would change in each file, asks, writes.

use std::path::Path;

use outcome_core::error::error_chain;
use outcome_core::{Code, Error, Result};
use serde::Serialize;
use serde_json::Value;

use crate::args::InitClients;
use crate::clients::{Act, DiffLine, FileChange, Places, Planned, PlannedFile, Role, Scope, plan};
use crate::cx::{Cx, Exit};
use crate::output::{Page, safe};

/// The result for one client.
#[derive(Debug, Serialize)]
pub struct ClientDone {
    client: &'static str,
    scope: Scope,
    files: Vec<FileDone>,
    notes: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct FileDone {
    role: Role,
    path: String,
    change: FileChange,
    /// False where it was only shown, or declined.
    is_written: bool,
    /// Of a new file, the whole text, with `--print`.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Of a file that is there, what changes: it may be long, and others' secrets stand in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    diff: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
}

/// Everything that would change, computed before anything is written.
pub fn planned(root: &Path, args: &InitClients) -> Result<Vec<Planned>> {
    let act = if args.remove { Act::Remove } else { Act::Write };
    plan(&args.client, args.scope, &Places::here(root)?, act)
}

/// Fails early where nobody can be asked.
pub fn require_consent(cx: &Cx, args: &InitClients) -> Result<()> {
    if args.print || args.yes || cx.terminal.may_ask() {
        return Ok(());
    }
    Err(Error::new(Code::InvalidInput, "--yes is missing, and there is no terminal to ask for confirmation")
        .hint("review the files with --print, then pass --yes"))
}

/// Shows, asks, writes. Files that are left alone do not hinder the others.
pub fn write(cx: &Cx, root: &Path, planned: &[Planned], args: &InitClients) -> Result<Vec<ClientDone>> {
    let mut all = Vec::new();
    for client in planned {
        let mut files = Vec::new();
        for file in &client.files {
            let change = file.change();
            let path = shown(root, file);
            cx.out.show(|page| announce(page, &path, file, args.print))?;
            let is_wanted =
                !args.print && matches!(change, FileChange::Create | FileChange::Update | FileChange::Delete);
            let is_written = is_wanted
                && (args.yes
                    || cx.terminal.confirm(
                        &format!("{} {path}?", if change == FileChange::Delete { "Remove" } else { "Write" }),
                        "--yes",
                    )?);
            if is_written {
                file.write()?;
            }
            files.push(FileDone {
                role: file.role,
                path: file.path.to_string_lossy().into_owned(),
                change,
                is_written,
                text: file.new.as_ref().ok().filter(|_| args.print && change == FileChange::Create).cloned(),
                diff: if change == FileChange::Update { file.diff().iter().map(marked).collect() } else { Vec::new() },
                error: file.new.as_ref().err().map(Error::to_json),
            });
        }
        let id = client.client.id();
        all.push(ClientDone {
            client: id,
            scope: client.scope,
            files,
            notes: client.client.notes(client.scope).to_vec(),
        });
    }
    Ok(all)
}

/// What to say at the end.
pub fn after(page: &mut Page, done: &[ClientDone], is_removal: bool) {
    for client in done {
        let n_written = client.files.iter().filter(|file| file.is_written).count();
        let title = match n_written {
            0 => format!("{}: nothing was written", client.client),
            n => format!("{}: {n} file(s) written", client.client),
        };
        page.line(&page.bold(&title));
        if is_removal {
            page.hint("restart the client, so that it stops the server");
            continue;
        }
        for note in &client.notes {
            page.item(note);
        }
        page.hint(&format!("next: outcome-runtime doctor --client {}", client.client));
    }
}

/// 0, or 2 when a file was left alone.
pub fn exit(done: &[ClientDone]) -> Exit {
    let is_refused = done.iter().flat_map(|client| &client.files).any(|file| file.change == FileChange::Refused);
    if is_refused { Exit::of(Code::ClientFileInvalid) } else { Exit::OK }
}

fn announce(page: &mut Page, path: &str, file: &PlannedFile, is_print: bool) {
    let path = page.bold(&safe(path));
    match (&file.new, file.change()) {
        (Err(error), _) => {
            let word = page.red("not changed");
            page.line(&format!("{path}: {word}"));
            page.line(&format!("  {}", safe(&error_chain(error))));
            for line in error.hint_text().unwrap_or_default().lines() {
                page.line(&format!("  {}", safe(line)));
            }
        }
        (Ok(_), FileChange::None) => page.line(&format!("{path}: up to date")),
        (Ok(text), FileChange::Create) if is_print => {
            page.line(&format!("{path}:"));
            for line in text.lines() {
                page.line(&safe(line));
            }
        }
        (Ok(_), change) => {
            let word = match change {
                FileChange::Create => "new",
                FileChange::Delete => "removed",
                FileChange::None | FileChange::Update | FileChange::Refused => "changes",
            };
            page.line(&format!("{path}: {word}"));
            for line in file.diff() {
                let text = format!("  {}", safe(&marked(&line)));
                page.line(&match line {
                    DiffLine::Added(_) => page.green(&text),
                    DiffLine::Removed(_) => page.red(&text),
                    DiffLine::Same(_) | DiffLine::Gap => text,
                });
            }
        }
    }
    page.line("");
}

fn marked(line: &DiffLine) -> String {
    match line {
        DiffLine::Same(text) => format!("  {text}"),
        DiffLine::Added(text) => format!("+ {text}"),
        DiffLine::Removed(text) => format!("- {text}"),
        DiffLine::Gap => "  ...".to_owned(),
    }
}

fn shown(root: &Path, file: &PlannedFile) -> String {
    file.path.strip_prefix(root).unwrap_or(&file.path).display().to_string()
}
