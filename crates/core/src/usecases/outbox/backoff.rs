//! How long a message waits for its next try.

use jiff::{SignedDuration, Timestamp};

/// Tries of a notice in a channel before it becomes a dead letter. With the waits below they take about two and a half days.
pub(super) const MAX_TRIES: i64 = 20;

/// How long a notice that was not tried in a pass waits for the next one.
pub(super) const NEXT_PASS: SignedDuration = SignedDuration::from_secs(20);

/// Longest wait that a receiver may ask for.
const LONGEST_ASKED: SignedDuration = SignedDuration::from_hours(24);

/// First and longest wait of a notice.
const NOTICE: (SignedDuration, SignedDuration) = (SignedDuration::from_secs(30), SignedDuration::from_hours(6));
/// First and longest wait of a flag that is turned off: users are in it until it is off.
const FLAG_OFF: (SignedDuration, SignedDuration) = (SignedDuration::from_secs(10), SignedDuration::from_mins(1));
/// First and longest wait of a flag that is put anywhere else.
const FLAG_ON: (SignedDuration, SignedDuration) = (SignedDuration::from_secs(10), SignedDuration::from_mins(10));

/// The wait after this many tries of a notice, or as long as the receiver asked if that is longer.
pub(super) fn notice_wait(tries: i64, random: u8, asked: Option<SignedDuration>) -> SignedDuration {
    let wait = wait(NOTICE, tries, random);
    asked.map_or(wait, |asked| wait.max(asked.min(LONGEST_ASKED)))
}

/// A message that waits longer than this was put off by a clock that was wrong.
pub(super) fn longest_wait(is_flag: bool) -> SignedDuration {
    if is_flag { FLAG_ON.1.saturating_mul(2) } else { LONGEST_ASKED.saturating_mul(2) }
}

/// The wait after this many tries of a flag.
pub(super) fn flag_wait(tries: i64, random: u8, treatment_pct: u8) -> SignedDuration {
    wait(if treatment_pct == 0 { FLAG_OFF } else { FLAG_ON }, tries, random)
}

/// Doubled after each try up to the longest, then up to a fifth shorter or longer, so that many do not come at the same instant.
fn wait((first, longest): (SignedDuration, SignedDuration), tries: i64, random: u8) -> SignedDuration {
    let doublings = u32::try_from(tries.saturating_sub(1).clamp(0, 20)).unwrap_or(0);
    let plain = first.saturating_mul(1_i32.checked_shl(doublings).unwrap_or(i32::MAX)).min(longest);
    let per_mille = 800 + 400 * i64::from(random) / 255;
    SignedDuration::from_millis(i64::try_from(plain.as_millis()).unwrap_or(i64::MAX / 2000) * per_mille / 1000)
}

/// The instant of the next try.
pub(super) fn after(now: Timestamp, wait: SignedDuration) -> Timestamp {
    now.checked_add(wait).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_differ_by_chance() {
        let middle = |tries| wait(NOTICE, tries, 128).as_secs();
        assert_eq!([1, 2, 3, 10, 11, 12, 500].map(middle), [30, 60, 120, 15_360, 21_600, 21_600, 21_600]);
        assert_eq!((wait(NOTICE, 1, 0).as_secs(), wait(NOTICE, 1, 255).as_secs()), (24, 36));
        let all: SignedDuration = (1..MAX_TRIES).map(|tries| wait(NOTICE, tries, 128)).sum();
        assert!((60..64).contains(&all.as_hours()), "{all}");
    }

    #[test]
    fn a_flag_that_is_to_be_off_is_tried_about_once_a_minute() {
        assert_eq!([1, 2, 3, 4, 50].map(|tries| flag_wait(tries, 255, 0).as_secs()), [12, 24, 48, 72, 72]);
        assert_eq!(flag_wait(50, 255, 20).as_secs(), 720);
    }

    #[test]
    fn a_receiver_is_given_the_time_that_it_asks_for_up_to_a_day() {
        assert_eq!(notice_wait(1, 0, Some(SignedDuration::from_secs(5))).as_secs(), 24);
        assert_eq!(notice_wait(1, 0, Some(SignedDuration::from_mins(7))).as_secs(), 420);
        assert_eq!(notice_wait(1, 0, Some(SignedDuration::from_hours(999))), LONGEST_ASKED);
    }
}
