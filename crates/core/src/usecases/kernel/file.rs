//! Files that are written, and their errors.

use std::io::Write as _;
use std::path::Path;

use crate::error::{Code, Error, Result};

/// `what` could not be written.
pub(in crate::usecases) fn io(what: &str, e: std::io::Error) -> Error {
    Error::new(Code::Io, format!("{what} cannot be written")).because(e)
}

/// Writes a file that only this user can read.
pub(in crate::usecases) fn write_private(path: &Path, text: &str) -> Result<()> {
    let shown = path.display().to_string();
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|e| io(&shown, e))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|e| io(&shown, e))
}
