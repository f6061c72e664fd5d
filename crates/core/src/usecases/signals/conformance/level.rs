//! What holds for levels, whatever they count.

use jiff::SignedDuration;

use super::check::{Check, Seen, says_no_reading};
use super::windows::{Halves, clock_changes, week};
use super::{PAGES, Trial};
use crate::domain::{ArmSums, Window};
use crate::ports::ReadError;

/// Longer ago than most sources reach.
const LONG_AGO: SignedDuration = SignedDuration::from_hours(24 * 400);

impl Trial<'_> {
    pub(super) async fn levels(&self) -> Vec<Check> {
        let halves = week(self.now);
        let first = self.level(halves.whole()).await;
        let shape = match &first {
            Ok(sums) => Seen::Right(format!("{} for the week that ended a day ago", in_words(sums))),
            Err(error) => Seen::failure(error.clone()),
        };
        let mut checks = vec![self.check("level", shape)];
        let Ok(sums) = first else { return checks };
        checks.push(self.check("level_same_answer_twice", self.same_twice(halves, &sums).await));
        checks.push(self.check("level_empty_window", self.empty_window(halves).await));
        checks.push(self.check("level_window_in_the_past", self.in_the_past(halves, &sums).await));
        checks.push(self.check("level_adjacent_windows", self.adjacent(halves, Some(sums)).await));
        checks.push(self.check("level_fraction_of_a_second", self.fraction(halves).await));
        checks.push(self.check("level_clock_change", self.clock_change().await));
        checks
    }

    async fn level(&self, window: Window) -> Result<ArmSums, ReadError> {
        self.source.level(self.signal, window).await.map(|reading| reading.data)
    }

    async fn same_twice(&self, halves: Halves, sums: &ArmSums) -> Seen {
        match self.level(halves.whole()).await {
            Ok(again) if again == *sums => Seen::Right("a week that is over has one answer".to_owned()),
            Ok(again) => Seen::wrong(
                format!("first {}, then {}, for a week that is over", in_words(sums), in_words(&again)),
                "count what lies in [from, to) and nothing else; rows that still come late need a `lag`, or an earlier end",
            ),
            Err(error) => Seen::failure(error),
        }
    }

    async fn empty_window(&self, halves: Halves) -> Seen {
        let nobody = Window { from: halves.to, to: halves.to };
        match self.level(nobody).await.map(|sums| (sums, sums.n())) {
            Ok((_, Some(0))) => Seen::Right("nobody is in an empty window".to_owned()),
            Ok((sums, Some(_))) => Seen::wrong(
                format!("{} for a window without any time in it", in_words(&sums)),
                "use both ends: at >= from and at < to",
            ),
            Ok((_, None)) => Seen::unknown("a bare value says nothing about how many it counts", NO_UNITS),
            Err(error) if says_no_reading(&error) => Seen::Right(format!("no reading for an empty window: {error}")),
            Err(error) => Seen::failure(error),
        }
    }

    async fn in_the_past(&self, halves: Halves, sums: &ArmSums) -> Seen {
        let past = self.level(halves.before(LONG_AGO).whole()).await;
        // A number may be the same by chance, but not in half of the time as well.
        let is_same = past.as_ref().is_ok_and(|past| past == sums) && sums.n().is_some_and(|n| n > 0);
        if is_same && self.level(halves.first()).await.is_ok_and(|half| half == *sums) {
            return Seen::wrong(
                format!("{} for a week of 400 days before, for the latest one, and for half of it", in_words(sums)),
                "use `window`: the answer is always of the same time",
            );
        }
        match past {
            Ok(past) => Seen::Right(format!("{} for a week of 400 days before", in_words(&past))),
            Err(error) if says_no_reading(&error) => Seen::Right(format!("no reading so old: {error}")),
            Err(error) => Seen::failure(error),
        }
    }

    /// A unit may be in both halves: together they have as many as the whole or more, and each has no more than it.
    async fn adjacent(&self, halves: Halves, whole: Option<ArmSums>) -> Seen {
        let whole = match whole {
            Some(whole) => Ok(whole),
            None => self.level(halves.whole()).await,
        };
        let found = (whole, self.level(halves.first()).await, self.level(halves.second()).await);
        let (whole, first, second) = match found {
            (Ok(whole), Ok(first), Ok(second)) => (whole, first, second),
            (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) if says_no_reading(&error) => {
                return Seen::unknown(format!("a part has no reading: {error}"), "ask where there are data");
            }
            (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => return Seen::failure(error),
        };
        let (Some(n), Some(n_first), Some(n_second)) = (whole.n(), first.n(), second.n()) else {
            return Seen::unknown("a bare value does not add up", NO_UNITS);
        };
        if n == 0 && n_first == 0 && n_second == 0 {
            return Seen::unknown(format!("nobody is in {}", shown(halves.whole())), "ask where there are data");
        }
        if n > n_first + n_second || n < n_first.max(n_second) {
            return Seen::wrong(
                format!(
                    "{n} units in {}, but {n_first} until {} and {n_second} from then on",
                    shown(halves.whole()),
                    halves.cut
                ),
                "count each unit once, in [from, to) of UTC: the first end belongs to the window, the second does not",
            );
        }
        Seen::Right(format!("{n_first} and {n_second} units of {n} in {}", shown(halves.whole())))
    }

    async fn fraction(&self, halves: Halves) -> Seen {
        let half = SignedDuration::from_millis(500);
        let earlier = |at: jiff::Timestamp| at.checked_sub(half).unwrap_or(at);
        match self.level(Window { from: earlier(halves.from), to: earlier(halves.to) }).await {
            Ok(_) => Seen::Right("it takes instants with a fraction of a second".to_owned()),
            Err(error) => {
                let seen = Seen::failure(error);
                let Seen::Wrong(what, _) = seen else { return seen };
                Seen::wrong(
                    what,
                    format!("read instants as RFC 3339, with `Z` and up to six digits of a second ({PAGES})"),
                )
            }
        }
    }

    async fn clock_change(&self) -> Seen {
        let mut said = Vec::new();
        for halves in clock_changes(self.now) {
            match self.adjacent(halves, None).await {
                Seen::Right(what) => said.push(what),
                Seen::Unknown(..) => {}
                wrong @ Seen::Wrong(..) => return wrong,
            }
        }
        if said.is_empty() {
            return Seen::unknown("nobody was there when the clocks changed", "ask where there are data");
        }
        Seen::Right(said.join("; "))
    }
}

/// What to do about a source without units.
const NO_UNITS: &str = "answer with `n` and `successes`, or `n`, `sum` and `sum_squares`, where there are units";

/// Sums, for people.
pub(super) fn in_words(sums: &ArmSums) -> String {
    match sums {
        ArmSums::Proportion { n, successes } => format!("{successes} of {n}"),
        ArmSums::Value { value } => format!("{value}"),
        ArmSums::Mean { n, .. } | ArmSums::Ratio { n, .. } | ArmSums::Cuped { n, .. } => format!("sums of {n} units"),
    }
}

pub(super) fn shown(window: Window) -> String {
    format!("[{}, {})", window.from, window.to)
}
