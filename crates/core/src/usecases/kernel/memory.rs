//! The memory of a program that unseals keys or secrets is its own.

/// Keeps other programs of the same account from reading this one's memory (with a debugger, or `/proc/PID/mem`), and its keys out of
/// core dumps. Called first thing by each program that unseals keys or secrets. Only Linux has it; root can read all the same.
pub fn keep_memory_private() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable) {
        tracing::debug!("This program's memory could not be closed to others: {error}");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, dumpable_behavior};

    #[test]
    fn the_memory_is_closed_to_others() {
        super::keep_memory_private();
        assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
    }
}
