//! Moving flags as soon as the collector decided about them, and again at every tick what could not be moved. Nothing else waits for a
//! flag service that hangs, and no flag waits for anything else.

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use outcome_core::error::error_chain;
use tokio_util::sync::CancellationToken;

use super::poll::{jittered, panicked};
use crate::App;

pub(super) async fn run(app: App, cancel: CancellationToken) {
    while !cancel.is_cancelled() {
        // What has begun is finished.
        once(&app).await;
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(jittered(&app)) => {}
            () = app.runtime.until_flags_move() => {}
        }
    }
}

/// Delivers what is due.
pub(super) async fn once(app: &App) {
    match AssertUnwindSafe(app.runtime.outbox().deliver_flags()).catch_unwind().await {
        Ok(Ok(delivered)) => {
            let failed = delivered.iter().filter(|delivered| !delivered.is_done);
            let n_failed =
                failed.inspect(|failed| tracing::warn!("A flag is not moved yet: {}", failed.outcome)).count();
            app.polls.note_failures(n_failed);
        }
        Ok(Err(error)) => tracing::error!("Flags could not be delivered: {}: {}", error.code(), error_chain(&error)),
        Err(_) => panicked(app, "Delivering flags"),
    }
}
