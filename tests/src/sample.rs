//! How much the random tests do. A normal run takes a smaller sample, which `tests/run` seeds by the commit, so that every
//! commit sees other cases; `OUTCOME_TEST_LONG=1` takes the whole of it. Every test runs in both.

/// True with `OUTCOME_TEST_LONG=1`.
#[must_use]
pub fn is_long() -> bool {
    std::env::var("OUTCOME_TEST_LONG").is_ok_and(|value| value == "1")
}

/// How many of something: `usual`, or `long` with `OUTCOME_TEST_LONG=1`.
#[must_use]
pub fn count<T>(usual: T, long: T) -> T {
    if is_long() { long } else { usual }
}

/// `OUTCOME_TEST_SEED`, or `default`. Name it in the message of a failure.
#[must_use]
pub fn seed(default: u64) -> u64 {
    std::env::var("OUTCOME_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
