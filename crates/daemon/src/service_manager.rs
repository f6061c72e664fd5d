//! What systemd wants to know. Without it every call does nothing.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

fn say(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("The service manager could not be notified: {error}");
    }
}

/// The port is open and the workspace loaded.
pub(crate) fn ready(status: &str) {
    say(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The daemon is on its way out.
pub(crate) fn stopping() {
    say(&[NotifyState::Stopping]);
}

/// Tells the watchdog that the runtime still turns, until `cancel`.
pub(crate) async fn watchdog(cancel: CancellationToken) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let every = (limit / 2).max(Duration::from_millis(100));
    while cancel.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
        say(&[NotifyState::Watchdog]);
    }
}
