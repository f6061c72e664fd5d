//! Always-valid statistics (STATS.md section 2). **Invariant**: pure; no I/O, no clock, no randomness.
