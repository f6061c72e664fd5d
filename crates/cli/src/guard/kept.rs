//! Files that stay as they are while something is being built: what measures it, what runs beside the agent, and git's own.

use std::path::{Path, PathBuf};

use clap::ValueEnum as _;
use outcome_core::checkout::Checkout;
use outcome_core::scope::{fold, relative_to};
use outcome_core::settings::Settings;

use crate::clients::{Client, Places, settings_files};
use crate::links::resolved;

/// What a file is that stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// The outcome file.
    OutcomeFile,
    /// Settings of this client.
    Client(Client),
    /// Git's own: configuration, hooks, references.
    Git,
}

/// Knows them.
pub(super) struct Keeper {
    root: PathBuf,
    outcome_file: PathBuf,
    home: Option<Checkout>,
    /// Where the client's session is, with links followed.
    sessions: Vec<PathBuf>,
    /// Settings of a project, from its root.
    of_projects: Vec<(Vec<String>, Client)>,
    /// Settings of the user, from the root of the file system.
    of_user: Vec<(Vec<String>, Client)>,
}

impl Keeper {
    /// For a workspace. `sessions`: folders in which the client works.
    pub(super) fn new(settings: &Settings, home: Option<Checkout>, sessions: &[PathBuf]) -> Self {
        let root = resolved(&settings.root.value);
        let mut of_projects = Vec::new();
        let mut of_user = Vec::new();
        if let Ok(places) = Places::here(&root) {
            for client in Client::value_variants() {
                for path in settings_files(*client, &places) {
                    if let Some(path) = relative_to(&root, &path) {
                        of_projects.push((parts(&path), *client));
                    } else if let Some(path) = relative_to(Path::new("/"), &resolved(&path)) {
                        of_user.push((parts(&path), *client));
                    }
                }
            }
        }
        let sessions = sessions.iter().map(|folder| resolved(folder)).collect();
        Self { outcome_file: resolved(&settings.file.value), root, home, sessions, of_projects, of_user }
    }

    /// What the file at `place` is, if it is one of them. `checkout`: the one in which it lies.
    pub(super) fn of(&self, place: &Path, checkout: Option<&Checkout>) -> Option<Kept> {
        let path = parts(&relative_to(Path::new("/"), place)?);
        let is_in_repository = |common: &Path| place.starts_with(common);
        let commons = checkout.into_iter().chain(self.home.as_ref()).map(|checkout| checkout.common.as_path());
        // `git~1` is how a file system with short names calls it.
        if path.iter().any(|part| part == ".git" || part == "git~1") || commons.into_iter().any(is_in_repository) {
            return Some(Kept::Git);
        }
        if self.outcome_files(checkout).iter().any(|file| file == &path) {
            return Some(Kept::OutcomeFile);
        }
        let of_user = self.of_user.iter().find(|(file, _)| path.len() == file.len() && is_settings(&path, file));
        let found = of_user.or_else(|| {
            self.of_projects.iter().find(|(file, _)| {
                // The file, or a folder on the way to it, which would take it along.
                (1..=file.len()).any(|n| {
                    let Some(at) = path.len().checked_sub(n) else { return false };
                    let (folder, rest) = path.split_at(at);
                    file.get(..n).is_some_and(|file| is_same(rest, file, n == file.len()))
                        && self.is_project(folder, checkout)
                })
            })
        });
        found.map(|(_, client)| Kept::Client(*client))
    }

    /// The outcome file, and what stands in its place in another checkout.
    fn outcome_files(&self, checkout: Option<&Checkout>) -> Vec<Vec<String>> {
        let mut all = vec![self.outcome_file.clone()];
        if let (Some(home), Some(checkout)) = (&self.home, checkout)
            && let Some(path) = relative_to(&home.top, &self.outcome_file)
        {
            all.push(checkout.top.join(path));
        }
        all.iter().filter_map(|file| relative_to(Path::new("/"), file)).map(|file| parts(&file)).collect()
    }

    /// Whether clients look for a project's settings in a folder: the workspace's, the top of a checkout, and the folders
    /// around the client's session.
    fn is_project(&self, folder: &[String], checkout: Option<&Checkout>) -> bool {
        let mut known = vec![self.root.clone()];
        if let Some(checkout) = checkout {
            known.push(checkout.top.clone());
            let below = self.home.as_ref().and_then(|home| relative_to(&home.top, &self.root));
            known.extend(below.map(|below| checkout.top.join(below)));
        }
        let as_parts = |path: &Path| relative_to(Path::new("/"), path).map(|path| parts(&path));
        known.iter().any(|known| as_parts(known).as_deref() == Some(folder))
            || self.sessions.iter().any(|session| as_parts(session).is_some_and(|session| session.starts_with(folder)))
    }
}

fn parts(path: &str) -> Vec<String> {
    path.split('/').filter(|part| !part.is_empty()).map(fold).collect()
}

fn is_settings(path: &[String], file: &[String]) -> bool {
    is_same(path, file, true)
}

/// Whether a path is a client's file. With `is_whole` its last part may also be one that the client reads beside it, such as
/// `settings.local.json` beside `settings.json`.
fn is_same(path: &[String], file: &[String], is_whole: bool) -> bool {
    match (path.split_last(), file.split_last()) {
        (Some((name, folder)), Some((expected, above))) => {
            let stem = expected.rsplit_once('.').map_or(expected.as_str(), |(stem, _)| stem);
            let is_beside = || name.strip_prefix(stem).is_some_and(|rest| rest.starts_with('.'));
            folder == above && (name == expected || (is_whole && !stem.is_empty() && is_beside()))
        }
        _ => false,
    }
}
