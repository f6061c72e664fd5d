//! What the units of a metric say about its test before any experiment: from sums by hash bucket, whether units that share a key go together,
//! and how the test behaves when the same units are split at random again and again.
//!
//! Source: METRICS.md 7.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::moments::Moments;
use super::{Alpha, Alternative, ArmSums, Settings, Tau, two_arm_test};

/// Standard errors of the effect that a fixed two-sided test at .05 finds in four of five cases.
const FOUND_AT: f64 = 1.959_963_985 + 0.841_621_234;
/// Beyond this many standard errors a twentieth of all random splits lies.
const BEYOND: f64 = 1.959_963_985;

/// What was found in the buckets of one key.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct SplitLook {
    /// Units in all buckets.
    pub n: u64,
    /// Buckets with a unit.
    pub n_buckets: u64,
    /// Variance of a bucket's mean over what units that have nothing to do with each other let expect; 1 is right. `None` for values that
    /// do not differ.
    pub inflation: Option<f64>,
    /// Splits that passed the start gate.
    pub n_splits: u32,
    /// Share of them whose effect lies beyond 1.96 standard errors; a twentieth is right.
    pub beyond: Option<f64>,
    /// The effect that a fixed two-sided test at .05 finds with these units in four of five cases.
    pub mde: Option<f64>,
    /// The same without the covariate.
    pub mde_without_covariate: Option<f64>,
    /// Correlation of the value with the covariate.
    pub correlation: Option<f64>,
}

impl SplitLook {
    /// Looks at the sums of the units in each bucket. `n_splits`: how often they are split at random; `seed`: the same one gives the same
    /// splits.
    ///
    /// Source: METRICS.md 7.
    #[must_use]
    pub fn of(buckets: &[ArmSums], is_signed: bool, n_splits: u32, seed: u64) -> Self {
        let mut buckets: Vec<ArmSums> = buckets.iter().copied().filter(|sums| sums.n() > 0).collect();
        let all = total(&buckets);
        let mut dice = Dice(seed);
        let (mut n_tested, mut n_beyond, mut variance, mut raw) = (0_u32, 0_u32, 0.0, 0.0);
        for _ in 0..n_splits {
            dice.shuffle(&mut buckets);
            let (control, treatment) = buckets.split_at(buckets.len() / 2);
            let (Some(control), Some(treatment), Some(settings)) = (total(control), total(treatment), settings())
            else {
                break;
            };
            let result = two_arm_test(&control, &treatment, is_signed, &settings);
            if let (Some(z), Some(found)) = (result.z, result.variance) {
                n_tested += 1;
                n_beyond += u32::from(z.abs() > BEYOND);
                variance += found;
                raw += result.cuped.map_or(found, |cuped| cuped.raw_variance);
            }
        }
        let tested = (n_tested > 0).then_some(f64::from(n_tested));
        let mde = |sum: f64| tested.map(|n| FOUND_AT * (sum / n).sqrt());
        let has_covariate = matches!(all, Some(ArmSums::Cuped { .. }));
        Self {
            n: all.map_or(0, |sums| sums.n()),
            n_buckets: buckets.len().try_into().unwrap_or(u64::MAX),
            inflation: all.and_then(|all| inflation(&buckets, &all)),
            n_splits: n_tested,
            beyond: tested.map(|n| f64::from(n_beyond) / n),
            mde: mde(variance),
            mde_without_covariate: mde(raw).filter(|_| has_covariate),
            correlation: all.and_then(correlation),
        }
    }
}

/// No part of what is looked at: only `z`, which depends on neither.
fn settings() -> Option<Settings> {
    let tau = Tau::try_new(1.0).ok()?;
    Some(Settings { alpha: Alpha::DEFAULT, tau, alternative: Alternative::TwoSided, null: 0.0 })
}

/// Between-bucket mean square over the variance of a unit, of what the test compares: of a ratio, each unit's numerator minus the ratio times
/// its denominator; with a covariate, the value minus what the covariate explains.
fn inflation(buckets: &[ArmSums], all: &ArmSums) -> Option<f64> {
    let n_buckets = buckets.len() as f64;
    let Parts { n, value, squares, second, second_squares, cross } = Parts::of(all);
    let centred = |products: f64, one: f64, other: f64| products - one * other / n;
    let (slope, level) = match all {
        ArmSums::Ratio { .. } => (value / second, 0.0),
        ArmSums::Cuped { .. } => {
            let spread = centred(second_squares, second, second);
            let slope = if spread > 0.0 { centred(cross, value, second) / spread } else { 0.0 };
            (slope, (value - slope * second) / n)
        }
        ArmSums::Proportion { .. } | ArmSums::Mean { .. } => (0.0, value / n),
    };
    let rest = |bucket: &ArmSums| {
        let bucket = Parts::of(bucket);
        let rest = bucket.value - slope * bucket.second - bucket.n * level;
        rest * rest / bucket.n
    };
    let between = buckets.iter().map(rest).sum::<f64>() / (n_buckets - 1.0);
    let of_unit = (squares - 2.0 * slope * cross + slope * slope * second_squares - n * level * level) / (n - 1.0);
    let is_spread = n_buckets > 1.0 && of_unit > 1e-12 * squares / n;
    is_spread.then(|| between / of_unit).filter(|found| found.is_finite())
}

fn correlation(all: ArmSums) -> Option<f64> {
    let ArmSums::Cuped { n, sum, sum_squares, covariate_sum, covariate_sum_squares, cross_sum } = all else {
        return None;
    };
    let value = Moments::try_new(n, sum, sum_squares).ok()?;
    let covariate = Moments::try_new(n, covariate_sum, covariate_sum_squares).ok()?;
    let cross = value.centred_cross(&covariate, cross_sum).ok()?;
    let both = (value.centred * covariate.centred).sqrt();
    (both > 0.0).then(|| cross / both)
}

/// The sums of any kind: of the value, and of the denominator or covariate beside it.
struct Parts {
    n: f64,
    value: f64,
    squares: f64,
    second: f64,
    second_squares: f64,
    cross: f64,
}

impl Parts {
    fn of(sums: &ArmSums) -> Self {
        let alone = |n: u64, value: f64, squares: f64| Self {
            n: n as f64,
            value,
            squares,
            second: 0.0,
            second_squares: 0.0,
            cross: 0.0,
        };
        match *sums {
            ArmSums::Proportion { n, successes } => alone(n, successes as f64, successes as f64),
            ArmSums::Mean { n, sum, sum_squares } => alone(n, sum, sum_squares),
            ArmSums::Ratio {
                n,
                numerator_sum,
                numerator_sum_squares,
                denominator_sum: second,
                denominator_sum_squares: second_squares,
                cross_sum: cross,
            } => Self { second, second_squares, cross, ..alone(n, numerator_sum, numerator_sum_squares) },
            ArmSums::Cuped {
                n,
                sum,
                sum_squares,
                covariate_sum: second,
                covariate_sum_squares: second_squares,
                cross_sum: cross,
            } => Self { second, second_squares, cross, ..alone(n, sum, sum_squares) },
        }
    }
}

/// The sums of all; `None` of none, or of two kinds.
fn total(all: &[ArmSums]) -> Option<ArmSums> {
    let (first, rest) = all.split_first()?;
    if rest.iter().any(|sums| std::mem::discriminant(sums) != std::mem::discriminant(first)) {
        return None;
    }
    let add = |of: fn(&Parts) -> f64| all.iter().map(|sums| of(&Parts::of(sums))).sum::<f64>();
    let n = all.iter().map(ArmSums::n).sum();
    let (value, squares) = (add(|parts| parts.value), add(|parts| parts.squares));
    Some(match first {
        ArmSums::Proportion { .. } => {
            let successes =
                |sums: &ArmSums| if let ArmSums::Proportion { successes, .. } = sums { *successes } else { 0 };
            ArmSums::Proportion { n, successes: all.iter().map(successes).sum() }
        }
        ArmSums::Mean { .. } => ArmSums::Mean { n, sum: value, sum_squares: squares },
        ArmSums::Ratio { .. } => ArmSums::Ratio {
            n,
            numerator_sum: value,
            numerator_sum_squares: squares,
            denominator_sum: add(|parts| parts.second),
            denominator_sum_squares: add(|parts| parts.second_squares),
            cross_sum: add(|parts| parts.cross),
        },
        ArmSums::Cuped { .. } => ArmSums::Cuped {
            n,
            sum: value,
            sum_squares: squares,
            covariate_sum: add(|parts| parts.second),
            covariate_sum_squares: add(|parts| parts.second_squares),
            cross_sum: add(|parts| parts.cross),
        },
    })
}

/// Numbers that look random and are the same for the same seed (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Fisher and Yates.
    fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            let bound = u64::try_from(last).map_or(u64::MAX, |last| last + 1);
            let other = usize::try_from(self.next() % bound).unwrap_or(0);
            all.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Units in groups of `size` that share a part of their value; hashed by group. The sums of 512 buckets.
    fn buckets(n_groups: u64, size: u64, shared: f64, seed: u64) -> Vec<ArmSums> {
        let mut dice = Dice(seed);
        // A sum of twelve uniform numbers is near enough to a normal one.
        let mut normal = move || (0..12).map(|_| dice.next() as f64 / u64::MAX as f64).sum::<f64>() - 6.0;
        let mut found = vec![ArmSums::Mean { n: 0, sum: 0.0, sum_squares: 0.0 }; 512];
        for group in 0..n_groups {
            let of_group = normal() * shared.sqrt();
            for _ in 0..size {
                let value = 10.0 + of_group + normal() * (1.0 - shared).sqrt();
                let bucket = &mut found[usize::try_from(group % 512).unwrap()];
                let more = ArmSums::Mean { n: 1, sum: value, sum_squares: value * value };
                *bucket = total(&[*bucket, more]).unwrap();
            }
        }
        found
    }

    #[test]
    fn units_that_have_nothing_to_do_with_each_other_vary_as_they_should() {
        let look = SplitLook::of(&buckets(20_000, 1, 0.0, 3), true, 2000, 1);
        assert_eq!((look.n, look.n_buckets, look.n_splits), (20_000, 512, 2000));
        // The standard deviation of the inflation is sqrt(2 / 511) = .063; of the share, .005 from the splits and the inflation's own part.
        assert!((look.inflation.unwrap() - 1.0).abs() < 0.2, "{look:?}");
        assert!((look.beyond.unwrap() - 0.05).abs() < 0.03, "{look:?}");
        // The normal quantiles of .975 and .8 together.
        let wanted = 2.801_585 * (4.0_f64 / 20_000.0).sqrt();
        assert!((look.mde.unwrap() / wanted - 1.0).abs() < 0.05, "{look:?} {wanted}");
        assert_eq!((look.mde_without_covariate, look.correlation), (None, None));
    }

    #[test]
    fn users_of_an_account_vary_too_much_when_they_are_taken_for_units() {
        let look = SplitLook::of(&buckets(5_000, 20, 0.1, 4), true, 2000, 1);
        // 1 + (20 - 1) * .1.
        assert!((look.inflation.unwrap() - 2.9).abs() < 0.5, "{look:?}");
        assert!((look.beyond.unwrap() - 0.25).abs() < 0.06, "{look:?}");
    }

    #[test]
    fn nothing_and_constants_have_no_numbers() {
        let look = SplitLook::of(&[], false, 10, 1);
        assert_eq!((look.n, look.inflation, look.beyond, look.mde), (0, None, None, None));
        let same = [ArmSums::Mean { n: 100, sum: 100.0, sum_squares: 100.0 }; 8];
        let look = SplitLook::of(&same, false, 10, 1);
        assert_eq!((look.n, look.inflation, look.beyond), (800, None, None));
    }

    /// The published first numbers of `SplitMix64` from 1234567.
    #[test]
    fn the_dice_are_those_that_are_published() {
        let mut dice = Dice(1_234_567);
        let wanted = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(wanted.map(|_| dice.next()), wanted);
    }

    #[test]
    fn every_order_comes_equally_often() {
        let mut dice = Dice(7);
        let mut n_of = std::collections::BTreeMap::new();
        for _ in 0..6000 {
            let mut order = [1, 2, 3];
            dice.shuffle(&mut order);
            *n_of.entry(order).or_insert(0) += 1;
        }
        // Each of six; the standard deviation is 29.
        assert!(n_of.len() == 6 && n_of.values().all(|n| (900..1100).contains(n)), "{n_of:?}");
    }

    #[test]
    fn values_that_differ_by_rounding_do_not_differ() {
        let look = |rounding: f64| {
            let value = 1.5e6;
            let bucket =
                ArmSums::Mean { n: 100, sum: 100.0 * value, sum_squares: 100.0 * value * value * (1.0 + rounding) };
            SplitLook::of(&[bucket; 8], true, 0, 1).inflation
        };
        assert_eq!((look(1e-13), look(1e-11)), (None, Some(0.0)));
        let one = ArmSums::Mean { n: 100, sum: 100.0, sum_squares: 200.0 };
        assert_eq!(SplitLook::of(&[one], true, 0, 1).inflation, None, "one bucket says nothing of others");
    }

    /// Sums of units, each with its bucket, its value, and the denominator or covariate beside it.
    fn sums_of(units: &[(usize, f64, f64)], is_ratio: bool) -> Vec<ArmSums> {
        let n_buckets = units.iter().map(|unit| unit.0 + 1).max().unwrap_or(0);
        let sums = |bucket: usize| {
            let of = |what: fn(f64, f64) -> f64| -> f64 {
                units.iter().filter(|unit| unit.0 == bucket).map(|unit| what(unit.1, unit.2)).sum()
            };
            let n = units.iter().filter(|unit| unit.0 == bucket).count() as u64;
            let (sum, sum_squares) = (of(|value, _| value), of(|value, _| value * value));
            let (second, second_squares) = (of(|_, second| second), of(|_, second| second * second));
            let cross_sum = of(|value, second| value * second);
            if is_ratio {
                ArmSums::Ratio {
                    n,
                    numerator_sum: sum,
                    numerator_sum_squares: sum_squares,
                    denominator_sum: second,
                    denominator_sum_squares: second_squares,
                    cross_sum,
                }
            } else {
                ArmSums::Cuped {
                    n,
                    sum,
                    sum_squares,
                    covariate_sum: second,
                    covariate_sum_squares: second_squares,
                    cross_sum,
                }
            }
        };
        (0..n_buckets).map(sums).collect()
    }

    #[test]
    fn where_each_bucket_has_one_unit_the_inflation_is_exactly_one() {
        // Two buckets have none.
        let units: Vec<(usize, f64, f64)> =
            (2..42).map(|i| (i, 5.0 + ((i * i) % 13) as f64, 3.0 + ((i * 5) % 7) as f64)).collect();
        let means = units.iter().map(|unit| ArmSums::Mean { n: 1, sum: unit.1, sum_squares: unit.1 * unit.1 });
        let rates = units.iter().map(|unit| ArmSums::Proportion { n: 1, successes: u64::from(unit.2 > 5.0) });
        for buckets in [means.collect(), rates.collect(), sums_of(&units, true), sums_of(&units, false)] {
            let look = SplitLook::of(&buckets, true, 0, 1);
            assert!((look.inflation.unwrap() - 1.0).abs() < 1e-9, "{look:?}");
            assert_eq!((look.n, look.n_buckets, look.n_splits, look.beyond), (40, 40, 0, None));
        }
        let constant: Vec<(usize, f64, f64)> = units.iter().map(|unit| (unit.0, unit.1, 2.0)).collect();
        let look = SplitLook::of(&sums_of(&constant, false), true, 0, 1);
        assert!((look.inflation.unwrap() - 1.0).abs() < 1e-9 && look.correlation.is_none(), "{look:?}");
    }

    #[test]
    fn what_the_denominator_or_the_covariate_explains_is_taken_out() {
        let mut dice = Dice(5);
        let mut normal = move || (0..12).map(|_| dice.next() as f64 / u64::MAX as f64).sum::<f64>() - 6.0;
        let mut units = Vec::new();
        for bucket in 0..512 {
            // All units of a bucket share what explains most of their value.
            let shared = 20.0 + 2.0 * normal();
            units.extend((0..20).map(|_| (bucket, 3.0 * shared + normal(), shared)));
        }
        let alone: Vec<ArmSums> = sums_of(&units, true)
            .iter()
            .map(|sums| {
                let parts = Parts::of(sums);
                ArmSums::Mean { n: sums.n(), sum: parts.value, sum_squares: parts.squares }
            })
            .collect();
        let look = |buckets: &[ArmSums]| SplitLook::of(buckets, true, 500, 1);
        let ratio = look(&sums_of(&units, true));
        // A covariate, unlike a denominator, explains what is left beside a constant.
        for unit in &mut units {
            unit.1 -= 40.0;
        }
        let (alone, cuped) = (look(&alone), look(&sums_of(&units, false)));
        assert!(alone.inflation.unwrap() > 10.0 && alone.beyond.unwrap() > 0.5, "{alone:?}");
        assert!((ratio.inflation.unwrap() - 1.0).abs() < 0.2 && ratio.beyond.unwrap() < 0.1, "{ratio:?}");
        assert!((cuped.inflation.unwrap() - 1.0).abs() < 0.2 && cuped.beyond.unwrap() < 0.1, "{cuped:?}");
        // The value varies by 9 * 4 + 1, of which the covariate leaves 1.
        let (with, without) = (cuped.mde.unwrap(), cuped.mde_without_covariate.unwrap());
        assert!((with / (2.801_585 * (4.0_f64 / 10_240.0).sqrt()) - 1.0).abs() < 0.05, "{with}");
        assert!((without / with / 37.0_f64.sqrt() - 1.0).abs() < 0.1, "{with} {without}");
        assert!((cuped.correlation.unwrap() - (36.0_f64 / 37.0).sqrt()).abs() < 0.005, "{cuped:?}");
        assert!((without / alone.mde.unwrap() - 1.0).abs() < 1e-6 && ratio.correlation.is_none(), "{alone:?}");
    }
}
