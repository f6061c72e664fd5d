//! Whether the clock of this machine is to be believed.
//!
//! A clock that jumped is no reason to let an outcome expire, to end a plan or to read nothing for days; and one that was put right
//! is no reason to stop. So it is held against what cannot be set beside it: how long the machine has been up, the clock of the
//! database, the clocks of sources, and the last line of the log.
//!
//! **Invariant**: pure. A gap in which nothing ran is no jump: the machine's uptime grew by as much, or it was started anew.

use jiff::{SignedDuration, Timestamp};

use crate::clock::Uptime;
use crate::present::span;

/// Two clocks that differ by no more than this agree.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(2);

/// What the clock showed when it was last believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::usecases) struct Tick {
    /// The clock.
    pub(in crate::usecases) now: Timestamp,
    /// The machine's uptime then, for the same start of the machine.
    pub(in crate::usecases) up: SignedDuration,
}

/// What the clock is held against.
#[derive(Debug, Clone, Default)]
pub(in crate::usecases) struct Witnesses {
    /// When it was last believed since the machine was started, and the uptime now.
    pub(in crate::usecases) tick: Option<(Tick, SignedDuration)>,
    /// The database's clock, where it has one of its own.
    pub(in crate::usecases) database: Option<Timestamp>,
    /// Clocks of sources, by name.
    pub(in crate::usecases) sources: Vec<(String, Timestamp)>,
    /// When the last line of the log was written.
    pub(in crate::usecases) last_line: Option<Timestamp>,
}

/// Why the clock is not believed, and what time it is instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::usecases) struct ClockDoubt {
    /// A sentence.
    pub(in crate::usecases) reason: String,
    /// The best that is known.
    pub(in crate::usecases) now: Timestamp,
}

/// Whether a clock that shows `now` is not to be believed.
///
/// Another machine's clock rules: the database's before those of the sources. Then the uptime; a log whose last line lies ahead
/// counts only where nothing else is known.
pub(in crate::usecases) fn doubt(now: Timestamp, witnesses: &Witnesses) -> Option<ClockDoubt> {
    let differs = |from: &str, right: Timestamp| ClockDoubt {
        reason: format!("the clock of this machine is {} the {from}", apart(now, right)),
        now: right,
    };
    if let Some(database) = witnesses.database {
        return (!agree(now, database)).then(|| differs("clock of the database", database));
    }
    let by_uptime = witnesses.tick.as_ref().map(|(tick, up)| tick.now.checked_add(*up - tick.up).unwrap_or(tick.now));
    if witnesses.sources.iter().any(|(_, clock)| agree(now, *clock)) {
        return None;
    }
    match (by_uptime, witnesses.sources.first()) {
        // Two of three agree, and it is the source's clock that is wrong.
        (Some(right), _) if agree(now, right) => None,
        (_, Some((name, clock))) => Some(differs(&format!("clock of the source `{name}`"), *clock)),
        (Some(right), None) => Some(differs("time that this machine has been up", right)),
        (None, None) => {
            let last = witnesses.last_line?;
            (last.duration_since(now) > TOLERANCE).then(|| differs("last line of the log", last))
        }
    }
}

impl ClockDoubt {
    /// What people are told.
    pub(in crate::usecases) fn in_words(&self) -> String {
        format!(
            "{}; nothing is scheduled, measured or decided by it, and only danger is looked for. Put the clock right, or say \
             that it is: `outcome-runtime poll --clock-is-right`",
            self.reason
        )
    }
}

impl Witnesses {
    /// Adds what the machine's uptime says. `kept`: of the same start of the machine.
    pub(in crate::usecases) fn with_uptime(self, kept: Option<Tick>, uptime: Option<&Uptime>) -> Self {
        Self { tick: kept.zip(uptime.map(|uptime| uptime.up)), ..self }
    }
}

fn agree(one: Timestamp, other: Timestamp) -> bool {
    one.duration_since(other).abs() <= TOLERANCE
}

fn apart(now: Timestamp, right: Timestamp) -> String {
    let by = now.duration_since(right);
    format!("{} {}", span(by.as_mins()), if by.is_negative() { "behind" } else { "ahead of" })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24;

    fn at(hours: i64) -> Timestamp {
        let start: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        start + SignedDuration::from_hours(hours)
    }

    /// Believed at hour 0 after 5 hours of uptime, and looked at again after `passed` hours.
    fn up(passed: i64) -> Witnesses {
        let hours = SignedDuration::from_hours;
        Witnesses { tick: Some((Tick { now: at(0), up: hours(5) }, hours(5 + passed))), ..Witnesses::default() }
    }

    fn with(witnesses: Witnesses, source: i64) -> Witnesses {
        Witnesses { sources: vec![("shop".to_owned(), at(source))], ..witnesses }
    }

    #[test]
    fn a_gap_is_no_jump_and_a_jump_is_none_when_somebody_else_agrees() {
        for (what, now, witnesses) in [
            ("time passed", 1, up(1)),
            ("suspended for a week", 7 * DAY, up(7 * DAY)),
            ("started anew, with nothing to compare", DAY, Witnesses::default()),
            ("put right, says a source", DAY, with(up(0), DAY)),
            ("put right, says the database", DAY, Witnesses { database: Some(at(DAY)), ..up(0) }),
            ("the source is wrong", 1, with(up(1), -DAY)),
            ("a line of the future", 1, Witnesses { last_line: Some(at(3 * DAY)), ..up(1) }),
        ] {
            assert_eq!(doubt(at(now), &witnesses), None, "{what}");
        }
    }

    #[test]
    fn a_clock_that_jumped_is_not_believed_and_the_right_time_is_known() {
        for (what, now, witnesses, right) in [
            ("a day ahead", DAY, up(0), 0),
            ("a year ahead, an hour later", 365 * DAY, up(1), 1),
            ("two hours back", -2, up(0), 0),
            ("ahead of the database", DAY, Witnesses { database: Some(at(0)), ..up(DAY) }, 0),
            ("ahead of the source, after a start", DAY, with(Witnesses::default(), 0), 0),
            ("ahead of both", DAY, with(up(0), 0), 0),
            ("before the log", 0, Witnesses { last_line: Some(at(3)), ..Witnesses::default() }, 3),
        ] {
            assert_eq!(doubt(at(now), &witnesses).map(|doubt| doubt.now), Some(at(right)), "{what}");
        }
        let said = doubt(at(DAY), &up(0)).unwrap().reason;
        assert_eq!(said, "the clock of this machine is 24 h ahead of the time that this machine has been up");
    }

    #[test]
    fn small_differences_are_none() {
        let now = at(1) + SignedDuration::from_secs(90);
        assert_eq!(doubt(now, &up(1)), None);
        assert_eq!(doubt(at(1), &Witnesses { last_line: Some(now), ..Witnesses::default() }), None);
    }
}
