//! Verifies the audit log once an hour.

use std::time::Duration;

use outcome_core::error::error_chain;
use tokio_util::sync::CancellationToken;

use crate::App;

const EVERY: Duration = Duration::from_hours(1);
/// The start of the daemon is busy enough.
const FIRST: Duration = Duration::from_mins(1);

pub(super) async fn run(app: App, cancel: CancellationToken) {
    let mut wait = FIRST;
    while cancel.run_until_cancelled(tokio::time::sleep(wait)).await.is_some() {
        wait = EVERY;
        // Reading the log is interrupted without harm.
        let Some(done) = cancel.run_until_cancelled(app.runtime.audit_log().verify(&[])).await else { return };
        match done {
            Ok(found) if found.is_intact => {
                app.metrics.audit_verified(true);
                tracing::info!(n_lines = found.n_lines, "The audit log is intact");
            }
            Ok(found) => {
                app.metrics.audit_verified(false);
                let problems = found.problems.iter().take(10).cloned().collect::<Vec<_>>().join("; ");
                tracing::error!(n_problems = found.problems.len(), "The audit log is broken: {problems}");
            }
            Err(error) => tracing::error!("The audit log could not be verified: {}", error_chain(&error)),
        }
    }
}
