//! What the daemon does without being asked. What is due, and who among several daemons does it, the use cases know.

mod audit;
mod poll;
mod record;

pub use record::PollRecord;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::App;

/// Starts every job; each ends by itself after `cancel`, at the end of the round that is under way.
pub fn spawn(tasks: &mut JoinSet<()>, app: &App, cancel: &CancellationToken) {
    tasks.spawn(poll::run(app.clone(), cancel.clone()));
    tasks.spawn(audit::run(app.clone(), cancel.clone()));
}
