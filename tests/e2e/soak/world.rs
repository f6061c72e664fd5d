//! What is true: units of three experiments, hour by hour, and what each source must say about them. Everything that is stored is compared
//! with it.

use jiff::{SignedDuration, Timestamp};
use outcome_core::domain::{ArmSums, Variant, Window};

/// The flags, of which the last is harmful from some day on.
pub(super) const FLAGS: [&str; 3] = ["soft", "calm", "harsh"];
/// Units of an arm in an hour.
const N: i64 = 60;

/// The truth.
#[derive(Debug, Clone, Copy)]
pub(super) struct World {
    pub(super) began: Timestamp,
    /// From here on the treatment of the last flag crashes.
    pub(super) harm_at: Timestamp,
}

/// What one arm did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) n: i64,
    pub(super) successes: i64,
    pub(super) crashes: i64,
}

/// The units of one arm in one hour.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) flag: &'static str,
    pub(super) variant: Variant,
    pub(super) came_at: Timestamp,
    pub(super) sums: Sums,
}

impl World {
    /// Everybody who came in a window.
    pub(super) fn rows(&self, window: Window) -> Vec<Row> {
        let begin = window.from.max(self.began);
        let first = begin.duration_since(self.began).as_secs().div_euclid(3600).max(0);
        let mut rows = Vec::new();
        for hour in first.. {
            let came_at = self.began + SignedDuration::from_mins(60 * hour + 30);
            if came_at >= window.to {
                return rows;
            }
            if came_at < window.from {
                continue;
            }
            for flag in FLAGS {
                for variant in [Variant::Control, Variant::Treatment] {
                    rows.push(Row { flag, variant, came_at, sums: self.hour(hour, flag, variant, came_at) });
                }
            }
        }
        rows
    }

    fn hour(&self, hour: i64, flag: &str, variant: Variant, came_at: Timestamp) -> Sums {
        let is_harmed = flag == FLAGS[2] && variant == Variant::Treatment && came_at >= self.harm_at;
        let is_treated = i64::from(variant == Variant::Treatment);
        // A little unlike from hour to hour; the treatment has one more success in four hours, or 0.4 points.
        let effect = is_treated * i64::from(hour % 4 == 0);
        let successes = 18 + effect + (hour * 7 + is_treated * 3) % 5 - 2;
        let crashes = if is_harmed { 15 } else { i64::from(hour % 3 == 0) };
        Sums { n: N, successes, crashes }
    }

    /// One arm of a flag.
    pub(super) fn arm(&self, flag: &str, variant: Variant, window: Window) -> Sums {
        let rows = self.rows(window);
        total(rows.iter().filter(|row| row.flag == flag && row.variant == variant))
    }

    /// Everybody.
    pub(super) fn all(&self, window: Window) -> Sums {
        total(self.rows(window).iter())
    }

    /// The latency at the end of a window.
    pub(super) fn latency(&self, to: Timestamp) -> i64 {
        100 + to.as_second().div_euclid(3600).rem_euclid(24)
    }

    /// What a signal of the outcome is over a window.
    pub(super) fn level(&self, signal: &str, window: Window) -> Option<ArmSums> {
        let all = self.all(window);
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let value = |number: i64| ArmSums::Value { value: number as f64 };
        Some(match signal {
            "came_back" => ArmSums::Proportion { n: 14_000, successes: 4200 },
            "visits" => value(all.n),
            "falls" => ArmSums::Proportion { n: all.n, successes: all.crashes },
            "paid" => ArmSums::Proportion { n: all.n, successes: all.successes },
            "latency" | "load" => value(self.latency(window.to)),
            _ => return None,
        })
    }
}

fn total<'r>(rows: impl Iterator<Item = &'r Row>) -> Sums {
    rows.fold(Sums::default(), |sum, row| Sums {
        n: sum.n + row.sums.n,
        successes: sum.successes + row.sums.successes,
        crashes: sum.crashes + row.sums.crashes,
    })
}
