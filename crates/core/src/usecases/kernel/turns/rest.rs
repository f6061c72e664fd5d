//! A source that fails again and again is left alone for a while, so that nobody waits for it; then one question tries it.

use jiff::{SignedDuration, Timestamp};

use crate::error::error_chain;
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
/// Longest text of a failure that is kept, in characters.
const MAX_CHARS: usize = 500;

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

impl Rest {
    pub(super) fn may(&mut self, now: Timestamp) -> May {
        let Some(until) = self.until else { return May::Ask };
        // A time far away was set by a clock that was wrong.
        let is_over = now >= until || until.duration_since(now) > LONGEST_ASKED;
        if is_over && !self.is_tried {
            self.is_tried = true;
            return May::Try;
        }
        let said = format!(
            "it failed {} times in a row since {}, and is asked again at {}; the last time: {}",
            self.failures,
            self.failing_since.map(instant).unwrap_or_default(),
            instant(until),
            self.last_error
        );
        May::Rest(until, said)
    }

    /// A question that tried it ended without an answer.
    pub(super) fn give_up_trying(&mut self) {
        self.is_tried = false;
    }

    /// What an answer says about the source. One that refuses a query works.
    pub(super) fn note(&mut self, failure: Option<&ReadError>, now: Timestamp) -> Changed {
        self.is_tried = false;
        let Some(error) = failure.filter(|error| error.is_transient()) else {
            let was_resting = self.until.is_some();
            *self = Self::default();
            return if was_resting { Changed::WorksAgain } else { Changed::Nothing };
        };
        self.failures += 1;
        let since = *self.failing_since.get_or_insert(now);
        self.last_error = error_chain(error).chars().take(MAX_CHARS).collect();
        let asked = error.retry_after().and_then(|asked| SignedDuration::try_from(asked).ok());
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn gone() -> ReadError {
        ReadError::Unreachable { source_name: "shop".to_owned(), detail: "refused".to_owned() }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn three_failures_rest_it_one_question_tries_it_and_an_answer_ends_that() {
        let mut rest = Rest::default();
        assert_eq!(rest.note(Some(&gone()), at(0)), Changed::Nothing);
        assert_eq!(rest.note(Some(&gone()), at(1)), Changed::Nothing);
        assert!(
            matches!(rest.note(Some(&gone()), at(2)), Changed::Rests { failures: 3, until, .. } if until == at(32))
        );
        assert!(matches!(rest.may(at(31)), May::Rest(until, said) if until == at(32) && said.contains("refused")));
        assert_eq!(rest.may(at(32)), May::Try);
        assert!(matches!(rest.may(at(32)), May::Rest(..)), "one question alone tries it");
        assert!(
            matches!(rest.note(Some(&gone()), at(33)), Changed::Rests { until, .. } if until == at(93)),
            "twice as long"
        );
        assert_eq!(rest.may(at(93)), May::Try);
        rest.give_up_trying();
        assert_eq!(rest.may(at(94)), May::Try, "a question that was not waited for tried nothing");
        assert_eq!(rest.note(None, at(95)), Changed::WorksAgain);
        assert_eq!(rest.may(at(95)), May::Ask);
    }

    #[test]
    fn what_a_source_asks_for_is_kept_within_bounds() {
        let throttled = |seconds| ReadError::Throttled {
            source_name: "shop".to_owned(),
            detail: "60 an hour".to_owned(),
            retry_after: Some(Duration::from_secs(seconds)),
        };
        let until = |changed| if let Changed::Rests { until, .. } = changed { until } else { at(-1) };
        assert_eq!(until(Rest::default().note(Some(&throttled(600)), at(0))), at(600), "at once, and as long");
        assert_eq!(until(Rest::default().note(Some(&throttled(90_000)), at(0))), at(3600), "an hour at most");
        assert_eq!(until(Rest::default().note(Some(&throttled(0)), at(0))), at(30));
    }

    #[test]
    fn a_source_that_refuses_a_query_works() {
        let mut rest = Rest::default();
        let refused = ReadError::PushOnly { source_name: "shop".to_owned() };
        for _ in 0..9 {
            assert_eq!(rest.note(Some(&refused), at(0)), Changed::Nothing);
        }
        assert_eq!(rest.may(at(0)), May::Ask);
    }

    #[test]
    fn longest_pause() {
        let mut rest = Rest::default();
        for _ in 0..40 {
            rest.note(Some(&gone()), at(0));
        }
        assert!(matches!(rest.may(at(1)), May::Rest(until, _) if until == at(300)));
        assert_eq!(rest.may(at(-100_000)), May::Try, "a clock that was wrong keeps nobody away");
    }
}
