//! How long the machine has been up, suspend included: a clock that nobody sets.

use std::sync::LazyLock;

use jiff::SignedDuration;
use rustix::time::{ClockId, clock_gettime};

/// How long a machine has been up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uptime {
    /// Tells this start of this machine from others.
    pub boot: String,
    /// Since the start, suspend included.
    pub up: SignedDuration,
}

/// The uptime of this machine. Where its start has no name that programs share, it is told only within this process.
pub(super) fn of_this_machine() -> Uptime {
    static BOOT: LazyLock<String> = LazyLock::new(|| name().unwrap_or_else(alone));
    Uptime { boot: BOOT.clone(), up: up() }
}

/// The kernel's name for this start of the machine.
fn name() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    // A container may count from another zero.
    let zero = std::fs::read_link("/proc/self/ns/time").ok().map(|name| name.display().to_string()).unwrap_or_default();
    Some(format!("{} {zero}", boot.trim()).trim().to_owned())
}

fn alone() -> String {
    format!("process {} at {}", std::process::id(), up().as_nanos())
}

fn up() -> SignedDuration {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const SINCE_THE_START: ClockId = ClockId::Boottime;
    // Elsewhere, macOS among them, this one goes on while the machine sleeps.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const SINCE_THE_START: ClockId = ClockId::Monotonic;
    let up = clock_gettime(SINCE_THE_START);
    SignedDuration::new(up.tv_sec, i32::try_from(up.tv_nsec).unwrap_or(0))
}
