//! Files that are written, and their errors.

use std::io::Write as _;
use std::path::Path;

use crate::error::{Code, Error, Result};

/// `what` could not be written.
pub(in crate::usecases) fn io(what: &str, e: std::io::Error) -> Error {
    Error::new(Code::Io, format!("{what} cannot be written")).because(e)
}

/// Writes a file that only this user can read, whole or not at all. A link in its place is replaced and not followed.
pub(in crate::usecases) fn write_private(path: &Path, text: &str) -> Result<()> {
    let made = || beside(path, text)?.persist(path).map_err(|e| e.error).map(|_| ());
    made().map_err(|e| io(&path.display().to_string(), e))
}

/// The same for a file that is not there; false where it is.
pub(in crate::usecases) fn make_private(path: &Path, text: &str) -> Result<bool> {
    let made = || beside(path, text)?.persist_noclobber(path).map_err(|e| e.error).map(|_| ());
    match made() {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(io(&path.display().to_string(), e)),
    }
}

/// A file with this content in the folder of `path`.
fn beside(path: &Path, text: &str) -> std::io::Result<tempfile::NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}
