//! Wrong passphrases make the next try wait: longer with each, and never longer than some seconds.
//!
//! The count is a small file in the workspace's folder, so that starting a program again does not forget it. It is one for all members
//! and also counts e-mails that nobody has: how long an answer takes says nothing about who is a member. It slows guesses through our
//! programs. Whoever can read the sealed key guesses without us, and is slowed by its derivation alone.
//! **Invariant**: nobody is locked out; a file that cannot be read or written changes nothing.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::file::write_private;
use crate::usecases::Runtime;

/// Wrong ones that cost nothing: everybody mistypes.
const FREE: u32 = 2;
/// The wait after the first that costs; each further one doubles it.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(5);

/// What the file holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Wrong {
    /// In a row.
    n: u32,
    /// The latest.
    at: Timestamp,
}

impl Wrong {
    /// How long the next try waits from `now` on. A clock that went back makes nobody wait longer.
    fn wait(self, now: Timestamp) -> Duration {
        if self.n <= FREE {
            return Duration::ZERO;
        }
        let doublings = (self.n - FREE - 1).min(10);
        let whole = FIRST.saturating_mul(1 << doublings).min(LONGEST);
        let passed = Duration::try_from(now.duration_since(self.at)).unwrap_or_default();
        whole.saturating_sub(passed)
    }
}

/// Waits as long as earlier wrong passphrases demand.
pub(in crate::usecases) async fn wait(runtime: &Runtime) {
    let wait = read(runtime).wait(runtime.now());
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
}

/// Counts a wrong one.
pub(in crate::usecases) fn was_wrong(runtime: &Runtime) {
    let n = read(runtime).n.saturating_add(1);
    let text = serde_json::to_string(&Wrong { n, at: runtime.now() }).unwrap_or_default();
    if let Err(error) = write_private(&file(runtime), &text) {
        tracing::debug!("A wrong passphrase could not be counted: {error}");
    }
}

/// Forgets them after a right one.
pub(in crate::usecases) fn was_right(runtime: &Runtime) {
    // That there is no file is the usual case.
    let _ = std::fs::remove_file(file(runtime));
}

fn file(runtime: &Runtime) -> PathBuf {
    runtime.settings.folder().join("tries.json")
}

fn read(runtime: &Runtime) -> Wrong {
    let text = std::fs::read(file(runtime)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_and_ends() {
        let at: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let after = |n| Wrong { n, at }.wait(at).as_millis();
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 7, u32::MAX].map(after), [0, 0, 0, 500, 1000, 2000, 4000, 5000, 5000]);
        let later = |ms: i64| Wrong { n: 4, at }.wait(at + jiff::SignedDuration::from_millis(ms)).as_millis();
        assert_eq!([400, 1000, 100_000, -100_000].map(later), [600, 0, 0, 1000]);
    }
}
