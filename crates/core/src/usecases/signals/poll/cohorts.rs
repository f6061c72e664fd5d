//! Sealed cohorts: what is known of an allocation phase, what is left to ask of it, and whether the source still says the same.
//!
//! Source: METRICS.md 3.3 and 8.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::digest::sha256_hex;
use crate::domain::{
    ArmSums, Contract, Experiment, Reading, SealedCohort, SignalSpec, Variant, VariantReading, Window,
};
use crate::error::{Code, Error, Result};
use crate::ports::{Sealing, SignalSource, VariantRequest, reading_check};
use crate::stats::are_deletions;
use crate::usecases::Runtime;
use crate::usecases::kernel::digest::digest;
use crate::usecases::kernel::history::marks_of;

/// Fewest units of an arm in a cohort that has any, and fewest that differ in a number of the same row: none may be about one person.
const MIN_UNITS: i64 = 20;
/// Fewest units of both arms: so that one account that is closed is no correction.
const MIN_OF_BOTH: i64 = 200;
const DAY: i64 = 24 * 3600;
/// A cohort that was not compared with its source for longer is not believed.
const STALE_AFTER: SignedDuration = SignedDuration::from_hours(8 * 24);
/// Counts up with every change of what the statements of parts ask.
const STATEMENTS: u32 = 1;

/// The contract of a signal that the source reads in cohorts.
pub(super) fn sealed_contract<'s>(source: &dyn SignalSource, signal: &'s SignalSpec) -> Option<&'s Contract> {
    let contract = signal.contract.as_deref()?;
    (source.sealing() != Sealing::Never && contract.has_fixed_cohorts()).then_some(contract)
}

/// The cohorts of a signal.
pub(super) struct Series {
    /// SHA-256 of what its numbers mean: the contract, and where it is read.
    pub(super) name: String,
    /// The newest revision of each, by phase and time, without those that a human had left out.
    pub(super) cohorts: Vec<SealedCohort>,
    revisions: BTreeMap<(i32, Timestamp), i32>,
}

impl Series {
    /// What was sealed so far.
    pub(super) async fn of(
        runtime: &Runtime,
        source: &dyn SignalSource,
        experiment: &Experiment,
        signal: &SignalSpec,
    ) -> Result<Self> {
        let name = digest(&json!([STATEMENTS, signal.source, source.place(), signal.contract]))?;
        let mut tx = runtime.read().await?;
        let all = tx.cohort_list(experiment.id, &signal.name, &name).await?;
        let marks = if all.is_empty() { None } else { Some(marks_of(&mut tx, experiment.id).await?) };
        let mut series = Self { name, cohorts: Vec::new(), revisions: BTreeMap::new() };
        let mut newest: BTreeMap<(i32, Timestamp), SealedCohort> = BTreeMap::new();
        for cohort in all {
            let key = (cohort.phase, cohort.window.from);
            series.revisions.insert(key, cohort.revision);
            newest.insert(key, cohort);
        }
        let counts =
            |cohort: &SealedCohort| marks.as_ref().is_none_or(|marks| marks.count(&signal.name, cohort.read_at, None));
        series.cohorts = newest.into_values().filter(counts).collect();
        Ok(series)
    }

    /// The number of the next revision of what begins at an instant.
    pub(super) fn next_revision(&self, phase: i32, from: Timestamp) -> i32 {
        self.revisions.get(&(phase, from)).map_or(0, |last| last.saturating_add(1))
    }

    /// Whether one of them was not compared with the source for too long.
    pub(super) fn is_stale(&self, now: Timestamp) -> bool {
        self.cohorts.iter().any(|cohort| now.duration_since(cohort.checked_at) > STALE_AFTER)
    }
}

/// What is known of a phase, and the part of it that is left to ask.
pub(super) struct Known<'c> {
    cohorts: Vec<&'c SealedCohort>,
    pub(super) open: Window,
}

impl<'c> Known<'c> {
    /// What was final at the instant of a request, so many seconds after the last exposure.
    pub(super) fn of(all: &'c [SealedCohort], matures_after: i64, phase: i32, request: &VariantRequest) -> Self {
        let final_until = before(request.as_of, matures_after);
        let mut known = Self { cohorts: Vec::new(), open: request.window };
        for cohort in all.iter().filter(|cohort| cohort.phase == phase) {
            if cohort.window.from == known.open.from && cohort.window.to <= request.window.to.min(final_until) {
                known.cohorts.push(cohort);
                known.open.from = cohort.window.to;
            }
        }
        known
    }

    /// Leaves something to ask, so that a source that is dead is noticed.
    pub(super) fn opened(mut self) -> Self {
        if self.open.from == self.open.to
            && let Some(last) = self.cohorts.pop()
        {
            self.open.from = last.window.from;
        }
        self
    }

    /// Whether all of it is known.
    pub(super) fn is_whole(&self) -> bool {
        self.open.from == self.open.to
    }

    /// The reading of the whole phase: what is known, and what was said about the rest.
    pub(super) fn total(
        &self,
        signal: &str,
        window: Window,
        open: Option<Reading<Vec<VariantReading>>>,
    ) -> Result<Reading<Vec<VariantReading>>> {
        let mut data: Vec<VariantReading> = Vec::new();
        let arms = self.cohorts.iter().flat_map(|cohort| &cohort.arms).chain(open.iter().flat_map(|open| &open.data));
        add_arms(&mut data, arms, signal)?;
        // An arm of which nobody was seen is missing.
        data.retain(|arm| arm.sums.n() != Some(0));
        reading_check::by_variant(&data).map_err(|problem| misfit(signal, &problem))?;
        let mut raw: Vec<&str> = self.cohorts.iter().map(|cohort| cohort.raw_hash.as_str()).collect();
        raw.extend(open.iter().map(|open| open.raw_hash.as_str()));
        let raw_hash = sha256_hex(raw.concat());
        let mut asked: Vec<&str> = self.cohorts.iter().map(|cohort| cohort.query_hash.as_str()).collect();
        asked.extend(open.iter().map(|open| open.query_hash.as_str()));
        let query_hash = sha256_hex(asked.concat());
        Ok(Reading {
            data,
            window,
            query_hash,
            raw_hash,
            raw: None,
            warnings: open.map(|open| open.warnings).unwrap_or_default(),
        })
    }
}

/// Adds units that are in none of the arms so far. Control comes first.
fn add_arms<'r>(
    sum: &mut Vec<VariantReading>,
    arms: impl IntoIterator<Item = &'r VariantReading>,
    signal: &str,
) -> Result<()> {
    for arm in arms {
        match sum.iter_mut().find(|known| known.variant == arm.variant) {
            None => sum.push(*arm),
            Some(known) => *known = known.plus(arm).ok_or_else(|| misfit(signal, "its sums do not add up"))?,
        }
    }
    sum.sort_by_key(|arm| arm.variant);
    Ok(())
}

fn misfit(signal: &str, problem: &str) -> Error {
    Error::new(Code::SignalShape, format!("the cohorts of `{signal}` are no reading: {problem}"))
        .hint("run `outcome-runtime audit verify`; `sealed_cohorts: never` in its connector reads every unit again")
}

/// The days of a phase, by UTC, whose units are final and were not sealed yet.
pub(super) fn final_days(matures_after: i64, open: Window, as_of: Timestamp) -> Vec<Window> {
    let final_until = before(as_of, matures_after);
    let mut days = Vec::new();
    let mut from = open.from;
    while from < open.to {
        let midnight = (from.as_second().div_euclid(DAY) + 1).saturating_mul(DAY);
        let to = Timestamp::from_second(midnight).unwrap_or(open.to).min(open.to);
        // The last day of a phase that goes on is not over.
        if to > final_until || to >= as_of {
            break;
        }
        days.push(Window { from, to });
        from = to;
    }
    days
}

/// Days that are read one after the other, merged until no arm has too few units to be kept.
#[derive(Default)]
pub(super) struct Merging {
    begun: Option<Reading<Vec<VariantReading>>>,
}

impl Merging {
    /// Adds a day. Returns a reading of one or several days that may be kept.
    pub(super) fn add(
        &mut self,
        day: Reading<Vec<VariantReading>>,
        signal: &str,
    ) -> Result<Option<Reading<Vec<VariantReading>>>> {
        let merged = match self.begun.take() {
            // What was not read in between is no part of it.
            Some(begun) if begun.window.to != day.window.from => return Ok(None),
            None => day,
            Some(mut begun) => {
                add_arms(&mut begun.data, &day.data, signal)?;
                begun.raw_hash = sha256_hex(begun.raw_hash + &day.raw_hash);
                begun.raw = None;
                begun.query_hash = sha256_hex(begun.query_hash + &day.query_hash);
                begun.window.to = day.window.to;
                begun.warnings.extend(day.warnings);
                begun
            }
        };
        if may_be_kept(&merged.data) {
            return Ok(Some(merged));
        }
        self.begun = Some(merged);
        Ok(None)
    }

    /// Whether days are left that are too few to be kept.
    pub(super) fn has_rest(&self) -> bool {
        self.begun.is_some()
    }
}

/// Whether numbers of units may be kept: none of them, nor what two of them differ by, is about a few people.
pub(super) fn may_be_kept(arms: &[VariantReading]) -> bool {
    let is_many = |n: i64| n == 0 || n >= MIN_UNITS;
    let of = |sums: &ArmSums| sums.n().unwrap_or(0);
    let are_many = |arm: &VariantReading| {
        let claimed = arm.cohort.map_or(0, |cohort| of(&cohort.claimed));
        is_many(of(&arm.sums)) && is_many(claimed) && is_many(of(&arm.sums) - claimed)
    };
    arms.iter().all(are_many) && units(arms).iter().sum::<i64>() >= MIN_OF_BOTH
}

/// What a source says of a cohort that was read before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SaidAgain {
    /// The same.
    Same,
    /// A few units are gone, equally in both arms: accounts that were closed. What was sealed stays.
    Deleted,
    /// Something else: it corrected its past.
    Other,
}

/// Compares what was read before with what is said now.
pub(super) fn compared(known: &[VariantReading], now: &[VariantReading]) -> SaidAgain {
    let is_same = known.len() == now.len() && known.iter().zip(now).all(|(known, now)| known.is_near(now));
    if is_same {
        return SaidAgain::Same;
    }
    let [before, after] = [units(known), units(now)].map(|units| units.map(|n| u64::try_from(n).unwrap_or(0)));
    let is_loss =
        before != after && known.len() == now.len() && known.iter().zip(now).all(|(known, now)| known.can_lose(now));
    if is_loss && are_deletions(before, after) { SaidAgain::Deleted } else { SaidAgain::Other }
}

/// Units of control and treatment.
fn units(arms: &[VariantReading]) -> [i64; 2] {
    let of = |variant| arms.iter().find(|arm| arm.variant == variant).and_then(|arm| arm.sums.n()).unwrap_or(0);
    [Variant::Control, Variant::Treatment].map(of)
}

fn before(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ArmSums, Cohort};

    const HOUR: i64 = 3600;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(hours * HOUR).unwrap()
    }

    fn window(from: i64, to: i64) -> Window {
        Window { from: at(from), to: at(to) }
    }

    /// Values are final eight days after the exposure.
    const MATURES_AFTER: i64 = 8 * 24 * HOUR;

    fn arm(variant: Variant, n: i64, successes: i64) -> VariantReading {
        let sums = ArmSums::Proportion { n, successes };
        let cohort = Cohort { claimed: sums, n_both: 1, n_capped: 0, uncapped: None, n_unmapped: 0, n_other: 0 };
        VariantReading { cohort: Some(cohort), ..VariantReading::new(variant, sums) }
    }

    fn arms(n_control: i64, n_treatment: i64) -> Vec<VariantReading> {
        vec![arm(Variant::Control, n_control, n_control / 2), arm(Variant::Treatment, n_treatment, n_treatment / 2)]
    }

    fn reading(window: Window, data: Vec<VariantReading>) -> Reading<Vec<VariantReading>> {
        Reading { data, window, query_hash: "q".to_owned(), raw_hash: "r".to_owned(), raw: None, warnings: Vec::new() }
    }

    #[test]
    fn days_are_final_when_the_last_of_their_units_is() {
        // Launched at ten on the first day; at noon of the eleventh, units of the first two days are final.
        let days = |to: i64, as_of: i64| final_days(MATURES_AFTER, window(10, to), at(as_of));
        assert_eq!(days(10 * 24 + 12, 10 * 24 + 12), [window(10, 24), window(24, 48)]);
        assert_eq!(days(9 * 24, 9 * 24), [window(10, 24)]);
        assert_eq!(days(9 * 24 - 1, 9 * 24 - 1), []);
        // A phase that ended in the middle of a day is sealed up to its end.
        assert_eq!(days(30, 10 * 24 + 12), [window(10, 24), window(24, 30)]);
    }

    #[test]
    fn no_cohort_is_about_a_few_people() {
        let mut merging = Merging::default();
        assert_eq!(merging.add(reading(window(0, 24), arms(19, 300)), "orders").unwrap(), None);
        let merged = merging.add(reading(window(24, 48), arms(1, 2)), "orders").unwrap().unwrap();
        assert_eq!((merged.window, units(&merged.data)), (window(0, 48), [20, 302]));
        assert_eq!(
            merging.add(reading(window(48, 72), arms(90, 90)), "orders").unwrap(),
            None,
            "one is over half a percent"
        );
        assert_eq!(merging.add(reading(window(96, 120), arms(90, 90)), "orders").unwrap(), None, "a day was not read");
        // Of 300 units all but one may be claimed on: what is left is that one.
        let mut arms = arms(300, 300);
        assert!(may_be_kept(&arms));
        arms[0].cohort.as_mut().unwrap().claimed = ArmSums::Proportion { n: 299, successes: 150 };
        assert!(!may_be_kept(&arms));
        // A step to everybody has no control.
        assert!(may_be_kept(&[arm(Variant::Control, 0, 0), arm(Variant::Treatment, 300, 9)]));
    }

    #[test]
    fn a_few_deleted_accounts_are_no_correction() {
        let known = arms(1000, 1000);
        assert_eq!(compared(&known, &known), SaidAgain::Same);
        assert_eq!(compared(&known, &arms(998, 998)), SaidAgain::Deleted);
        let [control, treatment] = [arm(Variant::Control, 999, 500), arm(Variant::Treatment, 1000, 700)];
        assert_eq!(compared(&known, &[control, treatment]), SaidAgain::Other, "one is gone, and 200 others came back");
        assert_eq!(compared(&arms(9000, 9000), &arms(9000, 8970)), SaidAgain::Other, "of one arm alone");
        assert_eq!(compared(&known, &arms(900, 900)), SaidAgain::Other);
        assert_eq!(compared(&known, &arms(1001, 1000)), SaidAgain::Other);
        let [control, treatment] = [arm(Variant::Control, 1000, 499), arm(Variant::Treatment, 1000, 500)];
        assert_eq!(compared(&known, &[control, treatment]), SaidAgain::Other, "the same units with other values");
        assert_eq!(compared(&known, &known[..1]), SaidAgain::Other);
    }
}
