//! Sealed cohorts: what is known of an allocation phase, what is left to ask of it, and whether the source still says the same.
//!
//! Source: METRICS.md 3.3 and 8.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::digest::sha256_hex;
use crate::domain::{Contract, Reading, SealedCohort, SignalSpec, Variant, VariantReading, Window};
use crate::error::{Code, Error, Result};
use crate::ids::ExperimentId;
use crate::ports::{Sealing, SignalSource, VariantRequest, reading_check};
use crate::stats::are_deletions;
use crate::usecases::Runtime;
use crate::usecases::kernel::digest::digest;

/// Fewest units of an arm in a cohort: no stored row may be about one person.
const MIN_UNITS: i64 = 20;
const DAY: i64 = 24 * 3600;

/// The contract of a signal that the source reads in cohorts.
pub(super) fn sealed_contract<'s>(source: &dyn SignalSource, signal: &'s SignalSpec) -> Option<&'s Contract> {
    let contract = signal.contract.as_deref()?;
    (source.sealing() != Sealing::Never && contract.has_fixed_cohorts()).then_some(contract)
}

/// The cohorts of a signal that were sealed so far, by phase and time.
pub(super) async fn sealed_of(
    runtime: &Runtime,
    experiment: ExperimentId,
    signal: &SignalSpec,
) -> Result<Vec<SealedCohort>> {
    runtime.read().await?.cohort_list(experiment, &signal.name, &series_of(signal)?).await
}

/// SHA-256 of what the numbers of a signal mean.
pub(super) fn series_of(signal: &SignalSpec) -> Result<String> {
    digest(&json!([signal.source, signal.contract]))
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
        for arm in arms {
            match data.iter_mut().find(|known| known.variant == arm.variant) {
                None => data.push(*arm),
                Some(known) => *known = known.plus(arm).ok_or_else(|| misfit(signal, "its sums do not add up"))?,
            }
        }
        data.sort_by_key(|arm| arm.variant);
        reading_check::by_variant(&data).map_err(|problem| misfit(signal, &problem))?;
        let mut raw: Vec<&str> = self.cohorts.iter().map(|cohort| cohort.raw_hash.as_str()).collect();
        raw.extend(open.iter().map(|open| open.raw_hash.as_str()));
        let raw_hash = sha256_hex(&raw.concat());
        let asked_before = self.cohorts.last().map(|cohort| cohort.query_hash.clone());
        let (asked, warnings) = open.map_or((None, Vec::new()), |open| (Some(open.query_hash), open.warnings));
        Ok(Reading { data, window, query_hash: asked.or(asked_before).unwrap_or_default(), raw_hash, warnings })
    }
}

fn misfit(signal: &str, problem: &str) -> Error {
    Error::new(Code::SignalShape, format!("the cohorts of `{signal}` are no reading: {problem}"))
        .hint("run `outcome-runtime audit verify`; `sealed_cohorts: never` in its connector reads every unit again")
}

/// Whether another day of units became final since the last poll.
pub(super) fn is_new_day(matures_after: i64, last: Option<Timestamp>, now: Timestamp) -> bool {
    let day = |at: Timestamp| before(at, matures_after).as_second().div_euclid(DAY);
    last.is_none_or(|last| day(now) > day(last))
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
            None => day,
            Some(mut begun) => {
                for arm in &day.data {
                    match begun.data.iter_mut().find(|known| known.variant == arm.variant) {
                        None => begun.data.push(*arm),
                        Some(known) => {
                            *known = known.plus(arm).ok_or_else(|| misfit(signal, "its sums do not add up"))?;
                        }
                    }
                }
                begun.data.sort_by_key(|arm| arm.variant);
                begun.raw_hash = sha256_hex(&(begun.raw_hash + &day.raw_hash));
                begun.window.to = day.window.to;
                begun.warnings.extend(day.warnings);
                begun
            }
        };
        if units(&merged.data).iter().all(|n| *n >= MIN_UNITS) {
            return Ok(Some(merged));
        }
        self.begun = Some(merged);
        Ok(None)
    }
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
    let has_lost = before != after && before.iter().zip(after).all(|(before, after)| after <= *before);
    if has_lost && are_deletions(before, after) { SaidAgain::Deleted } else { SaidAgain::Other }
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
        Reading { data, window, query_hash: "q".to_owned(), raw_hash: "r".to_owned(), warnings: Vec::new() }
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
        assert!(is_new_day(MATURES_AFTER, Some(at(9 * 24 - 1)), at(9 * 24)));
        assert!(!is_new_day(MATURES_AFTER, Some(at(9 * 24)), at(9 * 24 + 23)));
        assert!(is_new_day(MATURES_AFTER, None, at(3)));
    }

    #[test]
    fn no_cohort_is_about_a_few_people() {
        let mut merging = Merging::default();
        assert_eq!(merging.add(reading(window(0, 24), arms(19, 40)), "orders").unwrap(), None);
        let merged = merging.add(reading(window(24, 48), arms(1, 2)), "orders").unwrap().unwrap();
        assert_eq!((merged.window, units(&merged.data)), (window(0, 48), [20, 42]));
        assert_eq!(merging.add(reading(window(48, 72), vec![arm(Variant::Control, 500, 0)]), "orders").unwrap(), None);
    }

    #[test]
    fn a_few_deleted_accounts_are_no_correction() {
        let known = arms(1000, 1000);
        assert_eq!(compared(&known, &known), SaidAgain::Same);
        assert_eq!(compared(&known, &arms(997, 998)), SaidAgain::Deleted);
        assert_eq!(compared(&arms(9000, 9000), &arms(9000, 8970)), SaidAgain::Other, "of one arm alone");
        assert_eq!(compared(&known, &arms(900, 900)), SaidAgain::Other);
        assert_eq!(compared(&known, &arms(1001, 1000)), SaidAgain::Other);
        let [control, treatment] = [arm(Variant::Control, 1000, 499), arm(Variant::Treatment, 1000, 500)];
        assert_eq!(compared(&known, &[control, treatment]), SaidAgain::Other, "the same units with other values");
        assert_eq!(compared(&known, &known[..1]), SaidAgain::Other);
    }
}
