//! Verifies the audit log once an hour: what was added, and once a day all of it.

use std::time::Duration;

use outcome_core::error::error_chain;
use outcome_core::usecases::Verified;
use tokio_util::sync::CancellationToken;

use crate::App;

const EVERY: Duration = Duration::from_hours(1);
/// The start of the daemon is busy enough.
const FIRST: Duration = Duration::from_mins(1);

/// Rounds after which all of the log is read again.
const ROUNDS_A_DAY: u64 = 24;

pub(super) async fn run(app: App, cancel: CancellationToken) {
    let (mut wait, mut verified, mut n_rounds) = (FIRST, Verified::default(), 0);
    while cancel.run_until_cancelled(tokio::time::sleep(wait)).await.is_some() {
        wait = EVERY;
        if n_rounds % ROUNDS_A_DAY == 0 {
            verified = Verified::default();
        }
        n_rounds += 1;
        // Reading the log is interrupted without harm.
        let verifying = app.runtime.audit_log().verify_on(&mut verified, &[]);
        let Some(done) = cancel.run_until_cancelled(verifying).await else { return };
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
