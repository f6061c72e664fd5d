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

    /// Lets this folder, such as another clone, belong to the workspace that its outcome file names and whose store this account has.
    ///
    /// # Errors
    /// [`Code::WorkspaceNotFound`] where no store here has the root key that the file names, [`Code::WorkspaceExists`] where the folder
    /// is a workspace already, [`Code::WorkspaceTracked`], or as [`Runtime::open`].
    pub async fn link(settings: Settings) -> Result<Runtime> {
        must_not_be_tracked(&settings).await?;
        if let Some(file) = settings.read_workspace_file()? {
            return Err(is_one(&settings, file.workspace));
        }
        let file = named(&settings).ok_or_else(|| {
            Error::new(Code::WorkspaceNotFound, format!("{OUTCOME_FILE} names no workspace whose store this account has"))
                .hint("it names one with `root:`, the fingerprint of its root key; `outcome-runtime init` makes a new workspace")
        })?;
        point_to(&settings, &file)?;
        Runtime::open(settings.of_known()).await
    }
}

/// As [`Workspaces::must_be_new`], without asking git.
pub(super) fn must_be_new(settings: &Settings, may_replace: bool) -> Result<()> {
    if let Some(file) = settings.read_pointer()? {
        return Err(is_one(settings, file.workspace));
    }
    if may_replace {
        return Ok(());
    }
    if let Some(file) = settings.read_workspace_file()? {
        return Err(is_one(settings, file.workspace));
    }
    if let Some(before) = settings.seen().and_then(|seen| seen.workspace_of(&settings.real_root())) {
        let message = format!("this folder held workspace {} before, whose data is not here now", before.workspace);
        return Err(Error::new(Code::WorkspaceExists, message).hint(
            "if it was moved or restored, put `.outcome` and its database back; `--anew` makes another workspace with another \
             root key, whose members and history are not the ones of before",
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
    Error::new(Code::WorkspaceExists, message)
        .hint("`outcome-runtime status` shows it; `outcome-runtime init --client NAME` sets up a client")
}

/// The workspace whose root key the outcome file names, where this account has its store.
fn named(settings: &Settings) -> Option<WorkspaceFile> {
    let root = load(&settings.file.value, settings.vendors).ok()?.config?.root?;
    settings.stores.as_ref()?.with_root(&root).into_iter().next()
}
