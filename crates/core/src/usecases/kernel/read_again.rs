//! What was corrected is read again before anybody decides on what is left of it.

use super::history::marks_of;
use crate::domain::Experiment;
use crate::error::{Code, Error, Result};
use crate::store::Tx;

/// Whether the newest result of an experiment was judged after its newest correction.
///
/// # Errors
/// [`Code::Conflict`] when it was not.
pub(in crate::usecases) async fn must_be_read_again(tx: &mut Tx, experiment: &Experiment) -> Result<()> {
    let marks = marks_of(tx, experiment.id).await?;
    let Some(last) = marks.corrections.last() else { return Ok(()) };
    let result = experiment.current_result.as_ref().and_then(|result| result.read().ok());
    if result.and_then(|result| result.polled_at).is_some_and(|at| at > last.at) {
        return Ok(());
    }
    let signal = last.correction.signal();
    Err(Error::new(Code::Conflict, format!("`{signal}` of `{}` was corrected and not read since", experiment.slug))
        .hint("run `outcome-runtime poll --all`, and look at what it finds"))
}
