//! Which workspace a folder belongs to, before a new one is made: one that it was, or the one that its outcome file names.

use super::Workspaces;
use crate::config::load;
use crate::error::{Code, Error, Result};
use crate::ids::WorkspaceId;
use crate::settings::{OUTCOME_FILE, Settings};
use crate::stores::WorkspaceFile;
use crate::usecases::Runtime;
use crate::usecases::kernel::pointer::point_to;
use crate::usecases::kernel::tracked::must_not_be_tracked;

impl Workspaces<'_> {
    /// Refuses a folder that is a workspace, was one, or whose outcome file names one that this account has.
    ///
    /// # Errors
    /// [`Code::WorkspaceExists`], with what to do; [`Code::WorkspaceTracked`].
    pub async fn must_be_new(settings: &Settings, may_replace: bool) -> Result<()> {
        must_not_be_tracked(settings).await?;
        must_be_new(settings, may_replace)
    }

    /// Lets this folder belong to a workspace of this account: the one that it held before its pointer was removed, or, in another
    /// clone, the one that its outcome file names. An act of the member's: a repository that names somebody's root key joins by itself
    /// nowhere.
    ///
    /// # Errors
    /// [`Code::WorkspaceNotFound`] where there is none; [`Code::RootChanged`] where the folder held another workspace than the one that
    /// the file names; [`Code::WorkspaceExists`] where the folder is one already, [`Code::WorkspaceTracked`], or as [`Runtime::open`].
    pub async fn link(settings: Settings) -> Result<Runtime> {
        must_not_be_tracked(&settings).await?;
        if let Some(file) = settings.read_workspace_file()? {
            return Err(is_one(&settings, file.workspace));
        }
        let root = root_in_file(&settings);
        let file = match settings.known_workspace() {
            Some(known) if root.as_ref().is_some_and(|root| *root != known.root_fingerprint) => {
                let message = format!(
                    "this folder held workspace {}, and {OUTCOME_FILE} names the root key of another one",
                    known.workspace
                );
                return Err(Error::new(Code::RootChanged, message).hint(
                    "another repository lies where the workspace's was: `outcome-runtime init --anew` makes a workspace for it",
                ));
            }
            Some(known) => known,
            None => named(&settings).ok_or_else(|| {
                let message = format!("{OUTCOME_FILE} names no workspace whose store this account has");
                Error::new(Code::WorkspaceNotFound, message).hint(
                    "it names one with `root:`, the fingerprint of its root key; `outcome-runtime init` makes a new workspace",
                )
            })?,
        };
        if !point_to(&settings, &file)? {
            return Err(is_one(&settings, file.workspace));
        }
        let pointer = settings.workspace_file();
        let opened = Runtime::open(settings.of_known()).await;
        if opened.is_err()
            && let Err(error) = std::fs::remove_file(&pointer)
        {
            tracing::warn!("{} could not be removed: {error}", pointer.display());
        }
        opened
    }
}

/// As [`Workspaces::must_be_new`], without asking git.
pub(super) fn must_be_new(settings: &Settings, may_replace: bool) -> Result<()> {
    if let Some(file) = settings.read_workspace_file()? {
        return Err(is_one(settings, file.workspace));
    }
    if may_replace {
        return Ok(());
    }
    if let Some(before) = settings.known_workspace() {
        let message = format!("this folder held workspace {} before", before.workspace);
        return Err(Error::new(Code::WorkspaceExists, message).hint(
            "`outcome-runtime init --link` points to it again, if its database is where it was; `--anew` makes another workspace with \
             another root key, whose members and history are not the ones of before",
        ));
    }
    if let Some(file) = named(settings) {
        let message = format!("{OUTCOME_FILE} names workspace {}, whose store this account has", file.workspace);
        return Err(Error::new(Code::WorkspaceExists, message).hint(
            "`outcome-runtime init --link` lets this folder belong to it; `--anew` makes another workspace, and then `root` in the \
             file must be changed",
        ));
    }
    Ok(())
}

fn is_one(settings: &Settings, workspace: WorkspaceId) -> Error {
    let message = format!("{} is already a workspace ({workspace})", settings.root.value.display());
    let hint = if settings.database.value.path().is_none_or(std::path::Path::exists) {
        "`outcome-runtime status` shows it; `outcome-runtime init --client NAME` sets up a client".to_owned()
    } else {
        format!(
            "its database is not here ({}): put it back. If it is lost, remove {} and run `outcome-runtime init --anew`",
            settings.database_shown(),
            settings.workspace_file().display()
        )
    };
    Error::new(Code::WorkspaceExists, message).hint(hint)
}

fn root_in_file(settings: &Settings) -> Option<String> {
    load(&settings.file.value, settings.vendors).ok()?.config?.root
}

/// The workspace whose root key the outcome file names, where this account has its store.
fn named(settings: &Settings) -> Option<WorkspaceFile> {
    settings.stores.as_ref()?.with_root(&root_in_file(settings)?).into_iter().next()
}
