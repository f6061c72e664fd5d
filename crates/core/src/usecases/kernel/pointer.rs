//! The workspace's folder in the repository, which points to its store.

use std::path::Path;

use super::file::{io, make_private, write_private};
use crate::error::{Code, Error, Result};
use crate::seen::make_folder;
use crate::settings::Settings;
use crate::stores::{IDENTITY_FILE, WorkspaceFile};

/// Keeps the folder out of git.
pub(in crate::usecases) const IGNORE: &str = ".gitignore";

/// Makes the workspace's folder, which ignores itself in git and is closed to other users.
pub(in crate::usecases) fn own_folder(settings: &Settings) -> Result<()> {
    let folder = settings.folder();
    private_folder(&folder)?;
    make_private(&folder.join(IGNORE), "*\n").map(|_| ())
}

/// A folder that only this user can look into; one that is there keeps the rights that it has.
pub(in crate::usecases) fn private_folder(path: &Path) -> Result<()> {
    make_folder(path).map_err(|e| {
        io(&path.display().to_string(), e)
            .hint("where the account has no folder of its own, OUTCOME_RUNTIME_HOME names one for the runtime's data")
    })
}

/// Lets the folder point to the workspace; false where it points somewhere already.
pub(in crate::usecases) fn point_to(settings: &Settings, file: &WorkspaceFile) -> Result<bool> {
    own_folder(settings)?;
    make_private(&settings.workspace_file(), &text_of(file)?)
}

/// Lets the store and the account know whose the folder is. That it cannot be written is no reason to fail: it is only logged.
pub(in crate::usecases) fn remember(settings: &Settings, file: &WorkspaceFile) -> Result<()> {
    let store = settings.stores.as_ref().map(|stores| stores.folder_of(file.workspace)).filter(|store| store.is_dir());
    if let Some(path) = store.map(|store| store.join(IDENTITY_FILE)).filter(|path| !path.exists())
        && let Err(error) = write_private(&path, &text_of(file)?)
    {
        tracing::debug!("{} could not be written: {error}", path.display());
    }
    if let Some(seen) = settings.seen()
        && settings.known_workspace().is_none()
    {
        seen.keep_workspace(&settings.real_root(), file);
    }
    Ok(())
}

/// What points to a workspace can be written by whoever can write to the repository: it must be the one that the account knows for
/// this folder.
///
/// # Errors
/// [`Code::RootChanged`].
pub(in crate::usecases) fn must_be_known(settings: &Settings, file: &WorkspaceFile) -> Result<()> {
    let Some(known) = settings.known_workspace().filter(|known| known != file) else { return Ok(()) };
    let seen = settings.seen().map(|seen| seen.file_of_root(&settings.real_root()));
    let message = format!(
        "{} names workspace {} with another root key than that of workspace {}, which this folder held before",
        settings.workspace_file().display(),
        file.workspace,
        known.workspace
    );
    Err(Error::new(Code::RootChanged, message).hint(format!(
        "nothing was done. If somebody else changed the file, remove it, and `outcome-runtime init --link` points to the workspace of \
         before; if the new one is yours, remove {}",
        seen.unwrap_or_default().display()
    )))
}

fn text_of(file: &WorkspaceFile) -> Result<String> {
    serde_json::to_string_pretty(file)
        .map_err(|e| Error::new(Code::Internal, "the workspace file cannot be written").because(e))
}
