//! Moving flags as soon as the collector decided about them, and again at every tick what could not be moved. Nothing else waits for a
//! flag service that hangs, and no flag waits for anything else.

use outcome_core::error::error_chain;
use tokio_util::sync::CancellationToken;

use super::poll::jittered;
use crate::App;

pub(super) async fn run(app: App, cancel: CancellationToken) {
    while !cancel.is_cancelled() {
        // What has begun is finished.
        match app.runtime.outbox().deliver_flags().await {
            Ok(delivered) => {
                let failed = delivered.iter().filter(|delivered| !delivered.is_done);
                let n_failed =
                    failed.inspect(|failed| tracing::warn!("A flag is not moved yet: {}", failed.outcome)).count();
                app.polls.note_failures(n_failed);
            }
            Err(error) => tracing::error!("Flags could not be delivered: {}: {}", error.code(), error_chain(&error)),
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(jittered(&app)) => {}
            () = app.runtime.until_flags_move() => {}
        }
    }
}
