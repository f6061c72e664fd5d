//! The poll loop. A failure is logged and the next round tries again.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use outcome_core::error::error_chain;
use outcome_core::usecases::{PollRequest, Polled};
use tokio_util::sync::CancellationToken;

use crate::App;

/// Polls at once, then at every tick. A round that has begun is finished.
pub(super) async fn run(app: App, cancel: CancellationToken) {
    let mut is_failing = false;
    loop {
        is_failing = round(&app, is_failing).await;
        if cancel.run_until_cancelled(tokio::time::sleep(jittered(&app))).await.is_none() {
            return;
        }
    }
}

/// Up to a tenth more than the tick, so that several daemons do not knock at the same instant.
fn jittered(app: &App) -> Duration {
    let [random] = app.runtime.ids().bytes::<1>();
    app.tick + app.tick / 2560 * u32::from(random)
}

/// One round; true when it failed as a whole. A failure that lasts is said once.
async fn round(app: &App, was_failing: bool) -> bool {
    let request = PollRequest::default();
    let done = AssertUnwindSafe(app.runtime.signals().poll(&request)).catch_unwind().await;
    let failed = match done {
        Ok(Ok(polled)) => {
            report(&polled);
            app.polls.note(&polled, app.runtime.now());
            if was_failing {
                tracing::info!("Polling works again");
            }
            return false;
        }
        Ok(Err(error)) => format!("{}: {}", error.code(), error_chain(&error)),
        Err(_) => "the round panicked, which is a bug in this program".to_owned(),
    };
    app.polls.note_failed();
    if !was_failing {
        tracing::error!("Polling failed and is retried at every tick: {failed}");
    }
    true
}

fn report(polled: &Polled) {
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
