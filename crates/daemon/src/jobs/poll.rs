//! The collector. A failure is logged and the next look tries again.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use outcome_core::Result;
use outcome_core::error::error_chain;
use outcome_core::usecases::Polled;
use tokio_util::sync::CancellationToken;

use crate::App;

/// How long the collector rests after it panicked.
const REST: Duration = Duration::from_secs(5);

/// Reads what is due until it is stopped. What is under way then is finished.
pub(super) async fn run(app: App, cancel: CancellationToken) {
    let is_failing = Arc::new(AtomicBool::new(false));
    while !cancel.is_cancelled() {
        let (told_by, failing) = (app.clone(), Arc::clone(&is_failing));
        let told = Box::new(move |looked| note(&told_by, looked, &failing));
        let stop = Box::pin(cancel.clone().cancelled_owned());
        let collecting = app.runtime.signals().collect(jittered(&app), stop, told);
        if AssertUnwindSafe(collecting).catch_unwind().await.is_err() {
            panicked(&app, "Polling");
            let _ = cancel.run_until_cancelled(tokio::time::sleep(REST)).await;
        }
    }
}

/// Counts a loop that panicked; it goes on.
pub(super) fn panicked(app: &App, what: &str) {
    app.polls.note_failed();
    tracing::error!("{what} panicked, which is a bug in this program; it is tried again");
}

/// Up to a tenth more than the tick, so that several daemons do not knock at the same instant.
pub(super) fn jittered(app: &App) -> Duration {
    let [random] = app.runtime.ids().bytes::<1>();
    app.tick + app.tick / 2560 * u32::from(random)
}

/// Counts a look at the queue. A failure that lasts is said once.
fn note(app: &App, looked: Result<Polled>, is_failing: &AtomicBool) {
    match looked {
        Ok(polled) => {
            report(&polled);
            app.polls.note(&polled, app.runtime.now());
            if is_failing.swap(false, Ordering::Relaxed) {
                tracing::info!("Polling works again");
            }
        }
        Err(error) => {
            app.polls.note_failed();
            if !is_failing.swap(true, Ordering::Relaxed) {
                let chain = error_chain(&error);
                tracing::error!("Polling failed and is retried at every tick: {}: {chain}", error.code());
            }
        }
    }
}

/// Says what was done.
pub(super) fn report(polled: &Polled) {
    if let Some(problem) = &polled.clock_problem {
        tracing::warn!("{problem}");
    }
    for experiment in &polled.experiments {
        tracing::info!(experiment = %experiment.experiment, status = %experiment.status, verdict = experiment.verdict,
            "Polled `{}`", experiment.experiment);
    }
    for outcome in &polled.expired {
        tracing::warn!(%outcome, "The deadline of `{outcome}` passed");
    }
    for failure in &polled.failures {
        tracing::warn!("A reading or message failed and is retried: {failure}");
    }
}
