//! What the daemon does without being asked. What is due, and who among several daemons does it, the use cases know.

mod audit;
mod deliver;
mod poll;
mod record;
mod retention;
mod time;

pub use record::PollRecord;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::App;

/// Delivers the flags that were decided about while everything ended: off is off before nobody is there any more.
pub async fn deliver_last(app: &App) {
    deliver::once(app).await;
}

/// Starts every job; each ends by itself after `cancel`, at the end of what is under way.
pub fn spawn(tasks: &mut JoinSet<()>, app: &App, cancel: &CancellationToken) {
    tasks.spawn(poll::run(app.clone(), cancel.clone()));
    tasks.spawn(deliver::run(app.clone(), cancel.clone()));
    tasks.spawn(time::run(app.clone(), cancel.clone()));
    tasks.spawn(retention::run(app.clone(), cancel.clone()));
    tasks.spawn(audit::run(app.clone(), cancel.clone()));
}
