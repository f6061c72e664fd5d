//! The workspace's folder in the repository, which points to its store.

use std::path::Path;

use super::file::{io, write_private};
use crate::error::{Code, Error, Result};
use crate::seen::{SeenWorkspace, make_folder};
use crate::settings::Settings;
use crate::stores::{IDENTITY_FILE, WorkspaceFile};

/// Keeps the folder out of git.
pub(in crate::usecases) const IGNORE: &str = ".gitignore";

/// Makes the workspace's folder, which ignores itself in git and is closed to other users.
pub(in crate::usecases) fn own_folder(settings: &Settings) -> Result<()> {
    let folder = settings.folder();
    private_folder(&folder)?;
    let ignore = folder.join(IGNORE);
    if !ignore.exists() {
        std::fs::write(&ignore, "*\n").map_err(|e| io(&ignore.display().to_string(), e))?;
    }
    Ok(())
}

/// A folder that only this user can look into; one that is there keeps the rights that it has.
pub(in crate::usecases) fn private_folder(path: &Path) -> Result<()> {
    make_folder(path).map_err(|e| io(&path.display().to_string(), e))
}

/// Lets the folder point to the workspace, and the store and the account know it.
pub(in crate::usecases) fn point_to(settings: &Settings, file: &WorkspaceFile) -> Result<()> {
    let text = serde_json::to_string_pretty(file)
        .map_err(|e| Error::new(Code::Internal, "the workspace file cannot be written").because(e))?;
    own_folder(settings)?;
    write_private(&settings.workspace_file(), &text)?;
    if let Some(stores) = &settings.stores {
        let folder = stores.folder_of(file.workspace);
        if folder.is_dir() {
            write_private(&folder.join(IDENTITY_FILE), &text)?;
        }
    }
    if let Some(seen) = settings.seen() {
        let found = SeenWorkspace { workspace: file.workspace, root_fingerprint: file.root_fingerprint.clone() };
        seen.keep_workspace(&settings.real_root(), &found);
    }
    Ok(())
}

/// Puts the pointer back where it was removed and the account knows the workspace, and says in the store whose it is where that was
/// moved there. That nothing can be written harms nobody.
pub(in crate::usecases) fn put_back(settings: &Settings) -> Result<()> {
    let Some(file) = settings.read_workspace_file()? else { return Ok(()) };
    let store = settings.stores.as_ref().map(|stores| stores.folder_of(file.workspace));
    let is_named = store.is_none_or(|store| !store.is_dir() || store.join(IDENTITY_FILE).exists());
    if (!is_named || settings.read_pointer()?.is_none())
        && let Err(error) = point_to(settings, &file)
    {
        tracing::debug!("{} could not be put back: {error}", settings.workspace_file().display());
    }
    Ok(())
}
