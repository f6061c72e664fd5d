//! A source that fails again and again is left alone for a while, so that nobody waits for it; then one question tries it.

use jiff::{SignedDuration, Timestamp};

use crate::error::Error;
use crate::ports::ReadError;
use crate::present::instant;

/// Failures in a row from which a source is left alone.
const FAILURES: u32 = 3;
/// How long, at first; each further failure doubles it.
const FIRST: SignedDuration = SignedDuration::from_secs(30);
/// The longest: a constraint that is read every few minutes must not wait for much longer than its source is away.
const LONGEST: SignedDuration = SignedDuration::from_mins(5);
/// The longest that a source may ask for.
const LONGEST_ASKED: SignedDuration = SignedDuration::from_hours(1);

/// How a source does.
#[derive(Debug, Default)]
pub(super) struct Rest {
    failures: u32,
    failing_since: Option<Timestamp>,
    until: Option<Timestamp>,
    last_error: String,
    is_tried: bool,
}

/// Whether it may be asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum May {
    Ask,
    /// It may be, by this question alone.
    Try,
    /// Until then it is left alone, because of this.
    Rest(Timestamp, String),
}

/// What changed that everybody should see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Changed {
    Nothing,
    Rests { failures: u32, failing_since: Timestamp, until: Timestamp, last_error: String },
    WorksAgain,
}

/// How a source does for levels, and for experiments. What it asks for itself counts for both, and one answer ends both.
#[derive(Debug, Default)]
pub(super) struct Rests {
    ordinary: Rest,
    urgent: Rest,
}

impl Rests {
    fn of(&mut self, is_urgent: bool) -> &mut Rest {
        if is_urgent { &mut self.urgent } else { &mut self.ordinary }
    }

    /// Until when it rests and why, without asking for a turn.
    pub(super) fn is_resting(&mut self, is_urgent: bool, now: Timestamp) -> Option<(Timestamp, String)> {
        self.of(is_urgent).is_resting(now)
    }

    pub(super) fn may(&mut self, is_urgent: bool, now: Timestamp) -> May {
        self.of(is_urgent).may(now)
    }

    /// A question that tried it ended without an answer.
    pub(super) fn give_up_trying(&mut self, is_urgent: bool) {
        self.of(is_urgent).is_tried = false;
    }

    /// What an answer says about the source; one that refuses a query works. `is_trial`: of the question that tried it.
    pub(super) fn note(
        &mut self,
        (is_urgent, is_trial): (bool, bool),
        failure: Option<&ReadError>,
        now: Timestamp,
    ) -> Changed {
        let Some(error) = failure.filter(|error| error.is_transient()) else {
            let were_resting = self.ordinary.until.is_some() || self.urgent.until.is_some();
            *self = Self::default();
            return if were_resting { Changed::WorksAgain } else { Changed::Nothing };
        };
        if error.retry_after().is_some() {
            // The other one rests as long.
            self.of(!is_urgent).note(false, error, now);
        }
        self.of(is_urgent).note(is_trial, error, now)
    }
}

impl Rest {
    fn is_resting(&self, now: Timestamp) -> Option<(Timestamp, String)> {
        let until = self.until?;
        let may_try = is_over(until, now) && !self.is_tried;
        (!may_try).then(|| (until, self.said(until)))
    }

    fn may(&mut self, now: Timestamp) -> May {
        let Some(until) = self.until else { return May::Ask };
        if is_over(until, now) && !self.is_tried {
            self.is_tried = true;
            return May::Try;
        }
        May::Rest(until, self.said(until))
    }

    fn said(&self, until: Timestamp) -> String {
        format!(
            "it failed {} times in a row since {}, and is asked again at {}; the last time: {}",
            self.failures,
            self.failing_since.map(instant).unwrap_or_default(),
            instant(until),
            self.last_error
        )
    }

    /// A failure. Of those that were under way when it began to rest, none makes it longer.
    fn note(&mut self, is_trial: bool, error: &ReadError, now: Timestamp) -> Changed {
        let asked = error.retry_after().and_then(|asked| SignedDuration::try_from(asked).ok());
        if is_trial {
            self.is_tried = false;
        } else if self.until.is_some() && asked.is_none() {
            return Changed::Nothing;
        }
        self.failures += 1;
        let since = *self.failing_since.get_or_insert(now);
        self.last_error = Error::from(error.clone()).with_remedy();
        if self.failures < FAILURES && asked.is_none() {
            return Changed::Nothing;
        }
        let doubled = FIRST * (1 << self.failures.saturating_sub(FAILURES).min(8));
        let pause = doubled.min(LONGEST).max(asked.unwrap_or_default().min(LONGEST_ASKED));
        let until = now.checked_add(pause).unwrap_or(now);
        self.until = Some(until);
        Changed::Rests { failures: self.failures, failing_since: since, until, last_error: self.last_error.clone() }
    }
}

/// A time far away was set by a clock that was wrong.
fn is_over(until: Timestamp, now: Timestamp) -> bool {
    now >= until || until.duration_since(now) > LONGEST_ASKED
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LEVEL: (bool, bool) = (false, false);
    const TRIAL: (bool, bool) = (false, true);

    fn gone() -> ReadError {
        ReadError::Unreachable { source_name: "shop".to_owned(), detail: "refused".to_owned() }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn throttled(seconds: u64) -> ReadError {
        let retry_after = Some(Duration::from_secs(seconds));
        ReadError::Throttled { source_name: "shop".to_owned(), detail: "60 an hour".to_owned(), retry_after }
    }

    fn until(changed: Changed) -> Timestamp {
        if let Changed::Rests { until, .. } = changed { until } else { at(-1) }
    }

    #[test]
    fn three_failures_rest_it_one_question_tries_it_and_an_answer_ends_that() {
        let mut rests = Rests::default();
        assert_eq!(rests.note(LEVEL, Some(&gone()), at(0)), Changed::Nothing);
        assert_eq!(rests.note(LEVEL, Some(&gone()), at(1)), Changed::Nothing);
        assert_eq!(until(rests.note(LEVEL, Some(&gone()), at(2))), at(32));
        assert_eq!(rests.note(LEVEL, Some(&gone()), at(3)), Changed::Nothing, "it was under way already");
        assert!(
            matches!(rests.may(false, at(31)), May::Rest(until, said) if until == at(32) && said.contains("refused"))
        );
        assert_eq!(rests.is_resting(false, at(32)), None);
        assert_eq!(rests.may(false, at(32)), May::Try);
        assert!(matches!(rests.may(false, at(32)), May::Rest(..)), "one question alone tries it");
        assert_eq!(rests.note(LEVEL, Some(&gone()), at(32)), Changed::Nothing);
        assert!(matches!(rests.may(false, at(32)), May::Rest(..)), "and no other one ends its trial");
        assert_eq!(until(rests.note(TRIAL, Some(&gone()), at(33))), at(93), "twice as long");
        assert_eq!(rests.may(false, at(93)), May::Try);
        rests.give_up_trying(false);
        assert_eq!(rests.may(false, at(94)), May::Try, "a question that was not waited for tried nothing");
        assert_eq!(rests.note(TRIAL, None, at(95)), Changed::WorksAgain);
        assert_eq!(rests.may(false, at(95)), May::Ask);
    }

    #[test]
    fn levels_that_fail_keep_no_experiment_from_being_read() {
        let mut rests = Rests::default();
        for _ in 0..9 {
            rests.note(LEVEL, Some(&gone()), at(0));
        }
        assert!(matches!(rests.may(false, at(1)), May::Rest(..)));
        assert_eq!(rests.may(true, at(1)), May::Ask);
        assert_eq!(rests.note((true, false), None, at(1)), Changed::WorksAgain, "one answer ends both");
        assert_eq!(rests.may(false, at(1)), May::Ask);
    }

    #[test]
    fn what_a_source_asks_for_counts_for_all_within_bounds() {
        let mut rests = Rests::default();
        assert_eq!(until(rests.note(LEVEL, Some(&throttled(600)), at(0))), at(600), "at once, and as long");
        assert!(matches!(rests.may(true, at(599)), May::Rest(until, _) if until == at(600)));
        assert_eq!(until(Rests::default().note(LEVEL, Some(&throttled(90_000)), at(0))), at(3600), "an hour at most");
        assert_eq!(until(Rests::default().note(LEVEL, Some(&throttled(0)), at(0))), at(30));
    }

    #[test]
    fn a_source_that_refuses_a_query_works() {
        let mut rests = Rests::default();
        let refused = ReadError::PushOnly { source_name: "shop".to_owned() };
        for _ in 0..9 {
            assert_eq!(rests.note(LEVEL, Some(&refused), at(0)), Changed::Nothing);
        }
        assert_eq!(rests.may(false, at(0)), May::Ask);
    }

    #[test]
    fn the_longest_pause_is_five_minutes() {
        let mut rests = Rests::default();
        for _ in 0..40 {
            rests.note(TRIAL, Some(&gone()), at(0));
        }
        assert!(matches!(rests.may(false, at(1)), May::Rest(until, _) if until == at(300)));
        assert_eq!(rests.may(false, at(-100_000)), May::Try, "a clock that was wrong keeps nobody away");
    }
}
