//! The scope guard: asked by a client's hook before each edit, it refuses what the active experiment may not touch.
//!
//! It is a courtesy that saves an agent the way back, not the fence: a shell command goes past it, and the build report
//! recomputes the difference from git whatever was said here. So where it cannot tell (no store, an input or a tool that it
//! does not know, a database that cannot be read) it lets the edit pass, and says so. Matching is the core's
//! (`outcome_core::scope`).

mod answer;
mod doubt;
mod input;
mod kept;
mod patch;
mod place;
mod reason;
mod shell;
mod tool;
mod words;

use std::path::{Path, PathBuf};

use outcome_core::checkout::{CheckedOut, Checkout};
use outcome_core::error::error_chain;
use outcome_core::scope::{GitRepo, PathVerdict, ScopeRules, relative_to};
use outcome_core::settings::{FOLDER, OUTCOME_FILE, Overrides, Settings, account_folders, process_env};
use outcome_core::usecases::{Building, Runtime};
use outcome_core::{Code, Error};

pub use self::answer::Answer;
use self::doubt::Doubt;
use self::input::Call;
use self::kept::Keeper;
use self::place::{MAX_PATH, touched};
use crate::args::GuardClient;
use crate::links::resolved;

/// What was asked, read once.
#[derive(Debug)]
pub struct Question(Call);

impl Question {
    /// Reads the input of a hook, of whatever shape.
    #[must_use]
    pub fn read(input: &str) -> Self {
        Self(input::read(input))
    }

    /// The client that evidently asks.
    #[must_use]
    pub fn client(&self) -> Option<GuardClient> {
        self.0.client
    }

    /// Answers it. `cwd`: the working directory of the hook; `project`: the client's project, if it says so.
    pub async fn answer(&self, cwd: &Path, project: Option<PathBuf>, overrides: &Overrides) -> Answer {
        let (call, written) = (&self.0, &self.0.written);
        let mut sessions = vec![call.folders.first().map_or_else(|| cwd.to_path_buf(), |folder| cwd.join(folder))];
        sessions.extend(call.folders.iter().skip(1).map(|folder| cwd.join(folder)));
        sessions.extend(project.clone());
        sessions.push(cwd.to_path_buf());
        let base = match (&written.runs_in, &project, sessions.first()) {
            (Some(folder), _, Some(session)) => session.join(folder),
            (None, Some(project), _) if written.is_of_a_server => project.clone(),
            (_, _, Some(session)) => session.clone(),
            (_, _, None) => cwd.to_path_buf(),
        };
        // What is longer no system opens, so nothing is written there.
        let can_be = |file: &PathBuf| file.as_os_str().len() <= MAX_PATH;
        let files: Vec<PathBuf> = written.files.iter().map(|file| base.join(file)).filter(can_be).collect();
        if files.is_empty() && written.doubt.is_none() {
            return Answer::Silent;
        }
        let of_account: Vec<PathBuf> =
            account_folders(&process_env).into_iter().flat_map(|folder| [resolved(&folder), folder]).collect();
        for file in &files {
            if let Some(path) = touched(file).iter().find(|path| is_own(path, &of_account)) {
                return Answer::Refused(reason::own_file(&path.to_string_lossy()));
            }
        }
        let parents = files.iter().filter_map(|file| file.parent().map(Path::to_path_buf));
        let folders: Vec<PathBuf> = sessions.iter().cloned().chain([base]).chain(parents).collect();
        match judged(call, &folders, &sessions, &files, overrides).await {
            Ok(answer) => answer,
            Err(doubt) => Answer::unchecked(&doubt),
        }
    }
}

/// The answer where a workspace can be asked.
async fn judged(
    call: &Call,
    folders: &[PathBuf],
    sessions: &[PathBuf],
    files: &[PathBuf],
    overrides: &Overrides,
) -> Result<Answer, Doubt> {
    let Some(runtime) = open(folders, overrides).await? else { return Ok(Answer::Silent) };
    let all = runtime.builds().building().await.map_err(|error| unreadable(&error))?;
    if all.is_empty() {
        return Ok(Answer::Silent);
    }
    let root = resolved(&runtime.settings().root.value);
    let home = Checkout::around(&root).next();
    let keeper = Keeper::new(runtime.settings(), home.clone(), sessions);
    let mut doubt = call.written.doubt.clone();
    for file in files {
        for place in touched(file) {
            let around = Checkout::around(&place).next();
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
            let Some(first) = those.first() else { continue };
            let shown = path.clone().unwrap_or_else(|| place.to_string_lossy().into_owned());
            if let Some(kept) = keeper.of(&place, checkout.as_ref().or(around.as_ref())) {
                return Ok(Answer::Refused(reason::kept(&shown, kept, first.experiment.as_str())));
            }
            if let Some(refusal) = Building::refusal(&those, path.as_deref()) {
                return Ok(Answer::Refused(reason::outside(&shown, path.is_some(), &refusal)));
            }
            if doubt.is_none() && !call.written.only_makes && place.is_dir() {
                doubt = Some(Doubt::WholeFolder { tool: call.tool.clone(), folder: shown });
            }
        }
    }
    doubt.map_or(Ok(Answer::Silent), Err)
}

/// The first workspace that one of the folders belongs to. None is no error, unless there is an outcome file without one.
async fn open(folders: &[PathBuf], overrides: &Overrides) -> Result<Option<Runtime>, Doubt> {
    let mut tried: Vec<PathBuf> = Vec::new();
    let mut not_set_up = None;
    for folder in folders {
        let settings = match Settings::discover(&resolved(folder), overrides, &process_env) {
            Ok(settings) => settings,
            Err(error) if is_absent(&error) => continue,
            Err(error) => return Err(unreadable(&error)),
        };
        let root = settings.root.value.clone();
        if tried.contains(&root) {
            continue;
        }
        tried.push(root.clone());
        match Runtime::open(settings).await {
            Ok(runtime) => return Ok(Some(runtime)),
            Err(error) if is_absent(&error) => {
                let is_meant = root.join(OUTCOME_FILE).exists() || root.join(FOLDER).exists();
                not_set_up = not_set_up.or(is_meant.then_some(root));
            }
            Err(error) => return Err(unreadable(&error)),
        }
    }
    match not_set_up {
        Some(root) => Err(Doubt::NoStore { root: root.display().to_string() }),
        None => Ok(None),
    }
}

fn unreadable(error: &Error) -> Doubt {
    let hint = error.hint_text().map(|hint| format!("; {hint}")).unwrap_or_default();
    Doubt::Unreadable(format!("{}{hint}", error_chain(error)))
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

/// The runtime's own folder, or a file in it, of whichever workspace; or one of the account's folders.
fn is_own(path: &Path, of_account: &[PathBuf]) -> bool {
    if of_account.iter().any(|own| path.starts_with(own)) {
        return true;
    }
    let Ok(rules) = ScopeRules::parse(&[], &[FOLDER.to_owned()]) else { return false };
    let path = relative_to(Path::new("/"), path);
    path.is_some_and(|path| matches!(rules.check_path(&path), PathVerdict::Forbidden { .. }))
}
