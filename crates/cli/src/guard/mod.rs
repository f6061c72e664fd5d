//! The scope guard: asked by a client's hook before each edit, it refuses what the active experiment may not touch.
//!
//! It is a courtesy that saves an agent the way back, not the fence: a shell command goes past it, and the build report
//! recomputes the difference from git whatever was said here. So where it cannot tell (no workspace, an input it does not
//! know, a database that cannot be read) it lets the edit pass. Matching is the core's (`outcome_core::scope`).

mod answer;
mod input;
mod patch;
mod place;
mod reason;

use std::path::{Path, PathBuf};

use outcome_core::checkout::{CheckedOut, Checkout};
use outcome_core::error::error_chain;
use outcome_core::scope::{GitRepo, PathVerdict, ScopeRules, relative_to};
use outcome_core::settings::{FOLDER, Overrides, Settings, process_env};
use outcome_core::usecases::{Building, Runtime};
use outcome_core::{Code, Error, Result};

pub use self::answer::Answer;
use self::input::Call;
use self::place::touched;
use crate::args::GuardClient;
use crate::links::resolved;

/// What was asked, read once.
#[derive(Debug)]
pub struct Question(Option<Call>);

impl Question {
    /// Reads the input of a hook, of whatever shape.
    #[must_use]
    pub fn read(input: &str) -> Self {
        Self(input::read(input))
    }

    /// The client that evidently asks.
    #[must_use]
    pub fn client(&self) -> Option<GuardClient> {
        self.0.as_ref().and_then(|call| call.client)
    }

    /// Answers it. `cwd`: the working directory of the hook; `project`: the client's project, if it says so.
    pub async fn answer(&self, cwd: &Path, project: Option<PathBuf>, overrides: &Overrides) -> Answer {
        let Some(call) = self.0.as_ref().filter(|call| !call.files.is_empty()) else { return Answer::Silent };
        let base = call.folders.first().map_or_else(|| cwd.to_path_buf(), |folder| cwd.join(folder));
        let files: Vec<PathBuf> = call.files.iter().map(|file| base.join(file)).collect();
        for file in &files {
            if let Some(path) = touched(file).iter().find(|path| is_own(path)) {
                return Answer::Refused(reason::own_file(&path.to_string_lossy()));
            }
        }
        let mut folders = vec![base];
        folders.extend(call.folders.iter().skip(1).map(|folder| cwd.join(folder)));
        folders.extend(project);
        folders.push(cwd.to_path_buf());
        folders.extend(files.iter().filter_map(|file| file.parent().map(Path::to_path_buf)));
        match within_scope(&folders, &files, overrides).await {
            Ok(None) => Answer::Silent,
            Ok(Some(reason)) => Answer::Refused(reason),
            Err(error) => Answer::Unchecked(format!(
                "Outcome Runtime could not check this edit, so it was allowed; the build report will check it. {}",
                error_chain(&error)
            )),
        }
    }
}

/// The reason against the first file that may not be touched.
async fn within_scope(folders: &[PathBuf], files: &[PathBuf], overrides: &Overrides) -> Result<Option<String>> {
    let Some(runtime) = open(folders, overrides).await? else { return Ok(None) };
    let all = runtime.builds().building().await?;
    if all.is_empty() {
        return Ok(None);
    }
    let root = resolved(&runtime.settings().root.value);
    let home = Checkout::around(&root).next();
    for file in files {
        for place in touched(file) {
            let checkout =
                home.as_ref().and_then(|home| Checkout::around(&place).find(|checkout| checkout.common == home.common));
            let top = match (&home, &checkout) {
                (Some(_), Some(checkout)) => Some(checkout.top.as_path()),
                (Some(_), None) => None,
                (None, _) => Some(root.as_path()),
            };
            let path = top.and_then(|top| relative_to(top, &place));
            let hint = checkout.as_ref().or(home.as_ref());
            let branch = match hint {
                Some(at) => branch_of(at).await,
                None => None,
            };
            let hinted = all
                .iter()
                .filter(|building| hint.is_some_and(|at| building.is_built_on(branch.as_deref(), at.folder())));
            let mut those: Vec<&Building> = hinted.collect();
            if those.is_empty() {
                those = all.iter().filter(|building| !building.is_reported).collect();
            }
            if let Some(refusal) = Building::refusal(&those, path.as_deref()) {
                let shown = path.clone().unwrap_or_else(|| place.to_string_lossy().into_owned());
                return Ok(Some(reason::outside(&shown, path.is_some(), &refusal)));
            }
        }
    }
    Ok(None)
}

/// The first workspace that one of the folders belongs to. None is no error.
async fn open(folders: &[PathBuf], overrides: &Overrides) -> Result<Option<Runtime>> {
    let mut tried: Vec<PathBuf> = Vec::new();
    for folder in folders {
        let settings = match Settings::discover(&resolved(folder), overrides, &process_env) {
            Ok(settings) => settings,
            Err(error) if is_absent(&error) => continue,
            Err(error) => return Err(error),
        };
        if tried.contains(&settings.root.value) {
            continue;
        }
        tried.push(settings.root.value.clone());
        match Runtime::open(settings).await {
            Ok(runtime) => return Ok(Some(runtime)),
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// The branch of a checkout. Git is started only where it alone knows.
async fn branch_of(checkout: &Checkout) -> Option<String> {
    match &checkout.head {
        CheckedOut::Branch(branch) => Some(branch.clone()),
        CheckedOut::Detached => None,
        CheckedOut::Untold => GitRepo::open(&checkout.top).await.ok()?.current_branch().await.ok()?,
    }
}

fn is_absent(error: &Error) -> bool {
    error.code() == Code::WorkspaceNotFound
}

/// A file of the runtime's own folder, of whichever workspace.
fn is_own(path: &Path) -> bool {
    let Ok(rules) = ScopeRules::parse(&[], &[format!("{FOLDER}/")]) else { return false };
    let path = relative_to(Path::new("/"), path);
    path.is_some_and(|path| matches!(rules.check_path(&path), PathVerdict::Forbidden { .. }))
}
