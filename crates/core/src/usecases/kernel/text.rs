//! Texts that come from outside: bounded before anything is done with them.

use crate::error::{Code, Error, Result};

/// A text of somebody else: not empty, no NUL, not too long.
pub(in crate::usecases) fn bounded(field: &str, text: &str, max: usize) -> Result<String> {
    let text = text.trim();
    let n_chars = text.chars().count();
    if text.is_empty() || n_chars > max || text.contains('\0') {
        return Err(Error::new(
            Code::InvalidInput,
            format!("`{field}` must have 1 to {max} characters and no NUL; it has {n_chars}"),
        ));
    }
    Ok(text.to_owned())
}
