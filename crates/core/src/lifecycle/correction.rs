//! What a human signs with a correction: it counts as a whole, for the state that it was shown in.

use super::TransitionError;
use crate::digest::{canonical_json, sha256_hex};
use crate::domain::{Correction, ExperimentState};
use crate::identity::VerifiedDecision;

/// Digest of what a human sees before they sign a correction: where the experiment stands, what is corrected, and the plan
/// that follows.
///
/// # Errors
/// [`TransitionError::WrongDecision`] when it cannot be written as JSON.
pub fn shown_correction(
    state: &ExperimentState,
    correction: &Correction,
    plan_hash: &str,
) -> Result<String, TransitionError> {
    canonical_json(&(state, correction, plan_hash))
        .map(sha256_hex)
        .map_err(|_| TransitionError::WrongDecision("the correction cannot be written".to_owned()))
}

/// Another query or reading than the one on the screen does not count.
pub(super) fn must_be_shown(
    state: &ExperimentState,
    correction: &Correction,
    plan_hash: &str,
    decision: &VerifiedDecision,
) -> Result<(), TransitionError> {
    if decision.get().context_hash == shown_correction(state, correction, plan_hash)? {
        return Ok(());
    }
    Err(TransitionError::WrongDecision("another correction than this one was signed".to_owned()))
}
