//! What holds for readings by variant: each unit belongs to one arm, at its first exposure.

use jiff::{SignedDuration, Timestamp};

use super::check::{Check, Seen, says_no_reading};
use super::level::{in_words, shown};
use super::windows::{Halves, clock_changes, week};
use super::{PAGES, Trial};
use crate::domain::{Variant, VariantReading, Window};
use crate::ports::{ReadError, VariantRequest};

/// A flag that nobody has.
const NO_FLAG: &str = "outcome-conformance-no-such-flag";
/// How long ago an experiment is said to have been launched.
const LAUNCHED: SignedDuration = SignedDuration::from_hours(24 * 400);

impl Trial<'_> {
    pub(super) async fn variants(&self) -> Vec<Check> {
        let halves = week(self.now);
        let mut checks = vec![self.check("by_variant_unknown_flag", self.unknown_flag(halves).await)];
        let Some(flag) = self.flag else {
            let what = "no flag with exposures was named";
            let seen = Seen::unknown(what, "name one that people were exposed to lately: `--flag KEY`");
            checks.push(self.check("by_variant", seen));
            return checks;
        };
        let first = self.arms(flag, halves.whole(), halves).await;
        let shape = match &first {
            Ok(arms) if arms.is_empty() => Seen::unknown(
                format!("nobody was exposed to `{flag}` in {}", shown(halves.whole())),
                "name a flag that people were exposed to lately: `--flag KEY`",
            ),
            Ok(arms) => Seen::Right(arms_in_words(arms)),
            Err(error) => Seen::failure(error.clone()),
        };
        checks.push(self.check("by_variant", shape));
        let Ok(arms) = first else { return checks };
        checks.push(self.check("by_variant_same_answer_twice", self.arms_twice(flag, halves, &arms).await));
        checks.push(self.check("by_variant_empty_window", self.nobody_exposed(flag, halves).await));
        checks.push(self.check("by_variant_before_anybody", self.before_anybody(flag, halves).await));
        checks.push(self.check("by_variant_adjacent_windows", self.arms_add_up(flag, halves).await));
        checks.push(self.check("by_variant_clock_change", self.arms_at_clock_change(flag).await));
        checks
    }

    /// `around`: its end is the instant up to which values count.
    async fn arms(&self, flag: &str, window: Window, around: Halves) -> Result<Vec<VariantReading>, ReadError> {
        let launched_at = around.from.checked_sub(LAUNCHED).unwrap_or(Timestamp::MIN);
        let request = VariantRequest {
            experiment: self.experiment.clone(),
            flag_key: flag.to_owned(),
            window,
            launched_at,
            as_of: around.to,
            on_until: None,
        };
        self.source.by_variant(self.signal, &request).await.map(|reading| reading.data)
    }

    async fn unknown_flag(&self, halves: Halves) -> Seen {
        match self.arms(NO_FLAG, halves.whole(), halves).await {
            Ok(arms) if n_of(&arms) == 0 => Seen::Right("nobody has a flag that does not exist".to_owned()),
            Ok(arms) => Seen::wrong(
                format!("{} for a flag that does not exist", arms_in_words(&arms)),
                "count the exposures of `flag` alone; leave out an arm that nobody saw",
            ),
            // It may be about the flag, or about something else that is wrong.
            Err(error) if says_no_reading(&error) => Seen::unknown(
                error.to_string(),
                "an error is right where it is about the flag; no arms are right as well",
            ),
            Err(error) => Seen::failure(error),
        }
    }

    async fn arms_twice(&self, flag: &str, halves: Halves, arms: &[VariantReading]) -> Seen {
        match self.arms(flag, halves.whole(), halves).await {
            Ok(again) if again == arms => Seen::Right("a step that is over has one answer".to_owned()),
            Ok(again) => Seen::wrong(
                format!("first {}, then {}", arms_in_words(arms), arms_in_words(&again)),
                "count units exposed in [from, to), and what they did before `as_of`",
            ),
            Err(error) => Seen::failure(error),
        }
    }

    async fn nobody_exposed(&self, flag: &str, halves: Halves) -> Seen {
        let nobody = Window { from: halves.cut, to: halves.cut };
        match self.arms(flag, nobody, halves).await {
            Ok(arms) if n_of(&arms) == 0 => Seen::Right("nobody is exposed in an empty window".to_owned()),
            Ok(arms) => Seen::wrong(
                format!("{} for a window without any time in it", arms_in_words(&arms)),
                "use both ends of `window` on the first exposure: first_at >= from and first_at < to",
            ),
            Err(error) => Seen::failure(error),
        }
    }

    async fn before_anybody(&self, flag: &str, halves: Halves) -> Seen {
        let past = halves.before(LAUNCHED + LAUNCHED);
        match self.arms(flag, past.whole(), past).await {
            Ok(arms) if arms.is_empty() => Seen::Right("an arm that nobody saw yet is left out".to_owned()),
            Ok(arms) if n_of(&arms) == 0 => Seen::wrong(
                format!("{} of a time in which nobody was exposed", arms_in_words(&arms)),
                "leave out an arm that nobody saw, instead of a zero: zero means that you counted and found none",
            ),
            Ok(arms) => Seen::wrong(
                format!("{} two years before the week that was asked for first", arms_in_words(&arms)),
                "use `window` on the first exposure",
            ),
            Err(error) if says_no_reading(&error) => Seen::Right(format!("no reading so old: {error}")),
            Err(error) => Seen::failure(error),
        }
    }

    /// A unit has one first exposure, so steps that follow each other add up exactly.
    async fn arms_add_up(&self, flag: &str, halves: Halves) -> Seen {
        let whole = self.arms(flag, halves.whole(), halves).await;
        let found =
            (whole, self.arms(flag, halves.first(), halves).await, self.arms(flag, halves.second(), halves).await);
        let (whole, first, second) = match found {
            (Ok(whole), Ok(first), Ok(second)) => (whole, first, second),
            (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => return Seen::failure(error),
        };
        if whole.is_empty() && first.is_empty() && second.is_empty() {
            return Seen::unknown(
                format!("nobody was exposed in {}", shown(halves.whole())),
                "ask where there are data",
            );
        }
        for variant in [Variant::Control, Variant::Treatment] {
            let [all, one, two] = [&whole, &first, &second].map(|arms| n_of_arm(arms, variant));
            if all != one + two {
                return Seen::wrong(
                    format!(
                        "{all} units of {variant} in {}, but {one} until {} and {two} from then on",
                        shown(halves.whole()),
                        halves.cut
                    ),
                    format!(
                        "a unit belongs to the window of its first exposure since `launched_at`, in [from, to) of UTC ({PAGES})"
                    ),
                );
            }
        }
        Seen::Right(format!("{} are those of both halves", arms_in_words(&whole)))
    }

    async fn arms_at_clock_change(&self, flag: &str) -> Seen {
        let mut said = Vec::new();
        for halves in clock_changes(self.now) {
            match self.arms_add_up(flag, halves).await {
                Seen::Right(what) => said.push(what),
                Seen::Unknown(..) => {}
                wrong @ Seen::Wrong(..) => return wrong,
            }
        }
        if said.is_empty() {
            return Seen::unknown("nobody was exposed when the clocks changed", "ask where there are data");
        }
        Seen::Right(said.join("; "))
    }
}

fn n_of(arms: &[VariantReading]) -> i64 {
    arms.iter().filter_map(|arm| arm.sums.n()).sum()
}

fn n_of_arm(arms: &[VariantReading], variant: Variant) -> i64 {
    arms.iter().filter(|arm| arm.variant == variant).filter_map(|arm| arm.sums.n()).sum()
}

fn arms_in_words(arms: &[VariantReading]) -> String {
    let said: Vec<_> = arms.iter().map(|arm| format!("{} {}", arm.variant, in_words(&arm.sums))).collect();
    if said.is_empty() { "no arm".to_owned() } else { said.join(", ") }
}
