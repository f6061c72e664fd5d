//! Errors of files that are written.

use crate::error::{Code, Error};

/// `what` could not be written.
pub(in crate::usecases) fn io(what: &str, e: std::io::Error) -> Error {
    Error::new(Code::Io, format!("{what} cannot be written")).because(e)
}
