//! What comes with time: gates that are overdue, deadlines, messages to people, flags that should be off.

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use outcome_core::error::error_chain;
use tokio_util::sync::CancellationToken;

use super::poll::{jittered, panicked, report};
use crate::App;

pub(super) async fn run(app: App, cancel: CancellationToken) {
    loop {
        // What has begun is finished.
        match AssertUnwindSafe(app.runtime.signals().keep_time()).catch_unwind().await {
            Ok(Ok(done)) => {
                report(&done);
                app.polls.note_failures(done.failures.len());
            }
            Ok(Err(error)) => {
                tracing::error!("What is overdue was not looked at: {}: {}", error.code(), error_chain(&error));
            }
            Err(_) => panicked(&app, "Looking for what is overdue"),
        }
        if cancel.run_until_cancelled(tokio::time::sleep(jittered(&app))).await.is_none() {
            return;
        }
    }
}
