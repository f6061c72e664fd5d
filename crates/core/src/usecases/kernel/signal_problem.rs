//! A signal that is not well, as a sentence.

use crate::store::SignalHealth;

/// A sentence about a signal that is not well.
pub(in crate::usecases) fn problem(health: &SignalHealth) -> Option<String> {
    let error = health.last_error.as_deref()?;
    if health.failures == 0 {
        return Some(format!("`{}`: {error}", health.signal));
    }
    let since =
        health.last_ok_at.map_or_else(|| "no good reading yet".to_owned(), |at| format!("last good reading {}", at.0));
    Some(format!("`{}` failed {} times in a row ({since}): {error}", health.signal, health.failures))
}
