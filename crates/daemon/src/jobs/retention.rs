//! Forgetting readings whose time is over.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use outcome_core::error::error_chain;
use tokio_util::sync::CancellationToken;

use super::poll::panicked;
use crate::App;

/// How often it looks. Whole days are forgotten, so once a day there is something.
const EVERY: Duration = Duration::from_mins(30);
/// How long it may take at once.
const PATIENCE: Duration = Duration::from_mins(5);

pub(super) async fn run(app: App, cancel: CancellationToken) {
    loop {
        match cancel.run_until_cancelled(AssertUnwindSafe(app.runtime.signals().thin(PATIENCE)).catch_unwind()).await {
            None => return,
            Some(Ok(Ok(done))) if done.n_levels + done.n_answers > 0 => {
                tracing::info!(
                    levels = done.n_levels,
                    answers = done.n_answers,
                    "Readings whose time is over were forgotten"
                );
            }
            Some(Ok(Ok(_))) => {}
            Some(Ok(Err(error))) => {
                tracing::error!("Readings whose time is over are kept: {}: {}", error.code(), error_chain(&error));
            }
            Some(Err(_)) => panicked(&app, "Forgetting readings"),
        }
        if cancel.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return;
        }
    }
}
