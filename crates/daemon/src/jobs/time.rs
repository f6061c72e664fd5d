//! What comes with time: gates that are overdue, deadlines, messages to people, flags that should be off.

use outcome_core::error::error_chain;
use tokio_util::sync::CancellationToken;

use super::poll::{jittered, report};
use crate::App;

pub(super) async fn run(app: App, cancel: CancellationToken) {
    loop {
        // What has begun is finished.
        match app.runtime.signals().keep_time().await {
            Ok(done) => {
                report(&done);
                app.polls.note_failures(done.failures.len());
            }
            Err(error) => {
                tracing::error!("What is overdue was not looked at: {}: {}", error.code(), error_chain(&error))
            }
        }
        if cancel.run_until_cancelled(tokio::time::sleep(jittered(&app))).await.is_none() {
            return;
        }
    }
}
