//! Is the level of a series beyond its target? Attempt by attempt, each with a part of the error, and forward only from its beginning.
//!
//! An attempt begins with the block at which the mean of a week first reaches the target. That is a stopping time, so that it costs
//! nothing; what made the mean reach the target is not evidence, so that only the blocks after it are. It ends when the mean of a
//! week is short of the target again, or when there was none for a week.

use super::interval::finite;
use super::moments::DEGENERATE;
use super::series::{MIN_BLOCKS, Spread, ln_e_student_above, mean};
use super::{Alpha, Direction};

/// Weeks before an attempt whose weekdays are looked at.
const WEEKS_BEFORE: usize = 8;
/// Distances of a weekday from its week that make an effect.
const MIN_OF_WEEKDAY: usize = 2;
/// Blocks of a week that must have a value for the week to have a mean, of seven.
const MIN_OF_WEEK: usize = 4;
/// How far ahead a proof is looked for, in blocks.
const MAX_MORE: usize = 366;

/// A series against its target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttainmentInput<'a> {
    /// The level of each block in time order; `None` where it has no value.
    pub blocks: &'a [Option<f64>],
    /// How many of them are history, with which no attempt begins.
    pub n_before: usize,
    /// Blocks of a week: 7 where a block is a day, 1 where it is a week or longer.
    pub per_week: usize,
    /// The level to be reached.
    pub target: f64,
    /// Which way is better.
    pub direction: Direction,
    /// Error of all attempts together.
    pub alpha: Alpha,
    /// The least variance that a block can have where the level is the target, such as that of counting; 0 where nobody knows.
    pub least_variance: f64,
}

/// How a series stands against its target. Observational: it does not say why.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttainmentTest {
    /// Mean of the newest week, where there is one.
    pub week: Option<f64>,
    /// Attempts that ended.
    pub n_ended: u32,
    /// The attempt under way.
    pub attempt: Option<Attempt>,
}

/// The time since the mean of a week reached the target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attempt {
    /// Position of the block at which it began. The blocks after it count.
    pub began: usize,
    /// Its part of the error: the k-th attempt has `alpha 2^-k`.
    pub alpha: Alpha,
    /// Blocks with a value since then.
    pub n: usize,
    /// Whether the pattern of the week was known and taken out. Where it was not, whole weeks are compared.
    pub is_adjusted: bool,
    /// Evidence against "the level is at most the target" at the latest look; `None` before the first one and where the values do not
    /// vary at all.
    pub ln_e: Option<f64>,
    /// Whether the evidence has been enough at a look of this attempt.
    pub is_proven: bool,
    /// Further blocks like those since the beginning until it is enough; `None` where they prove nothing within a year, and where it is.
    pub n_more: Option<u32>,
}

/// Finds the attempts in a series and judges the one under way.
///
/// Source: METRICS.md 6.3, STATS.md 2.9.
#[must_use]
pub fn attainment(input: &AttainmentInput<'_>) -> AttainmentTest {
    let series = Series::of(input);
    let (mut began, mut n_ended, mut week, mut n_silent) = (None, 0_u32, None, 0);
    for at in 0..series.values.len() {
        week = series.week_until(at);
        let Some(mean) = week.filter(|_| at >= input.n_before) else {
            n_silent += 1;
            // Nobody knows what the level was meanwhile: silence holds no target.
            if began.is_some() && n_silent >= series.per_week {
                began = None;
                n_ended = n_ended.saturating_add(1);
            }
            continue;
        };
        n_silent = 0;
        match began {
            None if mean >= 0.0 => began = Some(at),
            Some(_) if mean < 0.0 => {
                began = None;
                n_ended = n_ended.saturating_add(1);
            }
            None | Some(_) => {}
        }
    }
    let attempt = began.map(|began| series.attempt(began, input.alpha.halved(n_ended.saturating_add(1))));
    AttainmentTest { week: week.map(|mean| series.level(mean)), n_ended, attempt }
}

/// Distances from the target, in the good direction.
struct Series<'a> {
    input: &'a AttainmentInput<'a>,
    values: Vec<Option<f64>>,
    per_week: usize,
}

impl<'a> Series<'a> {
    fn of(input: &'a AttainmentInput<'a>) -> Self {
        let sign = sign(input.direction);
        let beyond = |value: &Option<f64>| value.map(|value| sign * (value - input.target)).and_then(finite);
        Self { input, values: input.blocks.iter().map(beyond).collect(), per_week: input.per_week.max(1) }
    }

    /// A distance as a level.
    fn level(&self, distance: f64) -> f64 {
        self.input.target + sign(self.input.direction) * distance
    }

    /// Mean of the week that ends with a block.
    fn week_until(&self, at: usize) -> Option<f64> {
        let from = (at + 1).checked_sub(self.per_week)?;
        let values: Vec<f64> = self.values.get(from..=at)?.iter().flatten().copied().collect();
        (values.len() >= MIN_OF_WEEK.min(self.per_week)).then(|| mean(&values))
    }

    fn attempt(&self, began: usize, alpha: Alpha) -> Attempt {
        let pattern = self.pattern_until(began);
        let since = self.values.get(began + 1..).unwrap_or_default();
        let (values, span) = match &pattern {
            Some(pattern) => {
                let adjusted = |(at, value): (usize, &Option<f64>)| Some((*value)? - pattern.at(at));
                ((began + 1..).zip(since).filter_map(adjusted).collect(), 1)
            }
            None => (self.weeks_of(since), self.per_week),
        };
        let mut attempt = Attempt {
            began,
            alpha,
            n: since.iter().flatten().count(),
            is_adjusted: pattern.is_some(),
            ln_e: None,
            is_proven: false,
            n_more: None,
        };
        let before = pattern.as_ref().and_then(|pattern| self.history_before(began, pattern)).unwrap_or_default();
        let least = Least {
            variance: (self.input.least_variance / span as f64).max(before.variance),
            inflation: before.inflation.max(1.0),
        };
        let mut latest = None;
        for n in MIN_BLOCKS..=values.len() {
            latest = values.get(..n).and_then(|values| Look::of(values, &least));
            attempt.ln_e = latest.as_ref().and_then(|look| look.ln_e(n));
            attempt.is_proven |= attempt.ln_e.is_some_and(|ln_e| alpha.rejects(ln_e));
        }
        if !attempt.is_proven {
            let more = latest.and_then(|look| look.more(values.len(), span, alpha));
            attempt.n_more = more.map(|more| more - (since.len() % span)).and_then(|more| u32::try_from(more).ok());
        }
        attempt
    }

    /// How much days vary and how much of one the next keeps, from the eight weeks that ended a week before an attempt, around their straight
    /// line. A few days after its beginning say too little of it: where most days are alike and a few are not, days without such a one
    /// look certain. The week in which the mean reached the target is not like the others.
    fn history_before(&self, began: usize, pattern: &Pattern) -> Option<Least> {
        let end = (began + 1).saturating_sub(self.per_week);
        let first = end.saturating_sub(WEEKS_BEFORE * self.per_week);
        let days = (first..end).zip(self.values.iter().skip(first));
        let known: Vec<(f64, f64)> =
            days.filter_map(|(at, value)| Some((at as f64, (*value)? - pattern.at(at)))).collect();
        if known.len() < MIN_BLOCKS {
            return None;
        }
        let (at, height) = (mean_of(&known, |day| day.0), mean_of(&known, |day| day.1));
        let width: f64 = known.iter().map(|(x, _)| (x - at) * (x - at)).sum();
        let slope = known.iter().map(|(x, y)| (x - at) * (y - height)).sum::<f64>() / width;
        let rest: Vec<f64> = known.iter().map(|(x, y)| y - height - slope * (x - at)).collect();
        let spread = Spread::of(&[&rest]);
        let scale: f64 = known.iter().map(|(_, y)| y * y).sum();
        if spread.centred() <= DEGENERATE * scale {
            return None;
        }
        let variance = spread.centred() / (rest.len().saturating_sub(2).max(1)) as f64;
        let weeks: Vec<f64> = rest.chunks_exact(self.per_week).map(mean).collect();
        // Of days that keep nothing of each other the means of weeks vary a seventh as much. Counting hides slow drifts from day to day, and
        // not from week to week.
        let of_weeks = match weeks.len() >= MIN_BLOCKS {
            true => Spread::of(&[&weeks]).centred() / (weeks.len() - 1) as f64 * self.per_week as f64 / variance,
            false => 0.0,
        };
        let memory = spread.autocorrelation();
        Some(Least { variance, inflation: ((1.0 + memory) / (1.0 - memory)).max(of_weeks) })
    }

    /// Means of the whole weeks.
    fn weeks_of(&self, values: &[Option<f64>]) -> Vec<f64> {
        let weeks = values.chunks_exact(self.per_week).map(|week| week.iter().flatten().copied().collect::<Vec<f64>>());
        weeks.filter(|week| week.len() >= MIN_OF_WEEK).map(|week| mean(&week)).collect()
    }

    /// The weekdays' distances from their week, of the weeks before an attempt and the block at which it began.
    ///
    /// From the centred mean of seven days, so that a level that rises or has just risen makes no pattern.
    fn pattern_until(&self, began: usize) -> Option<Pattern> {
        let week = self.per_week;
        let half = week / 2;
        if week == 1 {
            return Some(Pattern { effects: vec![0.0] });
        }
        let first = (began + 1).saturating_sub(WEEKS_BEFORE * week);
        let mut found: Vec<Vec<f64>> = vec![Vec::new(); week];
        for at in first + half..=began.saturating_sub(half) {
            let around: Option<Vec<f64>> = self.values.get(at - half..=at + half)?.iter().copied().collect();
            if let (Some(around), Some(of_weekday)) = (around, found.get_mut(at % week)) {
                let value = around.get(half).copied().unwrap_or_default();
                of_weekday.push(value - mean(&around));
            }
        }
        if found.iter().any(|of_weekday| of_weekday.len() < MIN_OF_WEEKDAY) {
            return None;
        }
        let effects: Vec<f64> = found.iter().map(|of_weekday| mean(of_weekday)).collect();
        let middle = mean(&effects);
        Some(Pattern { effects: effects.into_iter().map(|effect| effect - middle).collect() })
    }
}

/// A level has no interval to orient: it is its distance from the target that turns.
fn sign(direction: Direction) -> f64 {
    match direction {
        Direction::Increase => 1.0,
        Direction::Decrease => -1.0,
    }
}

fn mean_of(days: &[(f64, f64)], of: fn(&(f64, f64)) -> f64) -> f64 {
    mean(&days.iter().map(of).collect::<Vec<f64>>())
}

/// What each weekday is above or below its week.
struct Pattern {
    effects: Vec<f64>,
}

impl Pattern {
    fn at(&self, position: usize) -> f64 {
        self.effects.get(position % self.effects.len().max(1)).copied().unwrap_or_default()
    }
}

/// What is known about blocks before they are looked at: they vary no less, and repeat each other no less.
#[derive(Debug, Default)]
struct Least {
    variance: f64,
    inflation: f64,
}

/// What the blocks of an attempt say about their level.
struct Look {
    mean: f64,
    /// Standard deviation of a block, widened for autocorrelation.
    deviation: f64,
    /// By how much neighbouring blocks repeat each other.
    inflation: f64,
}

impl Look {
    /// `None` where the values do not vary.
    fn of(values: &[f64], least: &Least) -> Option<Self> {
        let spread = Spread::of(&[values]);
        let is_constant = spread.is_constant();
        let free = values.len().saturating_sub(1).max(1) as f64;
        let variance = if is_constant { 0.0 } else { spread.centred() / free }.max(least.variance);
        let phi = if is_constant { 0.0 } else { spread.autocorrelation() };
        let inflation = ((1.0 + phi) / (1.0 - phi)).max(least.inflation);
        let deviation = finite((variance * inflation).sqrt()).filter(|deviation| *deviation > 0.0)?;
        Some(Self { mean: mean(values), deviation, inflation })
    }

    /// Evidence of `n` blocks like these.
    fn ln_e(&self, n: usize) -> Option<f64> {
        let n = n as f64;
        let nu = ((n - 1.0) / self.inflation).max(1.0);
        finite(ln_e_student_above(self.mean / self.deviation * n.sqrt(), nu, n / self.inflation))
    }

    /// How many more blocks are enough, where `span` of them make one of these `n`.
    fn more(&self, n: usize, span: usize, alpha: Alpha) -> Option<usize> {
        if self.mean <= 0.0 {
            return None;
        }
        let found = (1..=MAX_MORE / span).find(|more| self.ln_e(n + more).is_some_and(|ln_e| alpha.rejects(ln_e)));
        found.map(|more| more * span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOISE: [f64; 11] = [0.3, -0.2, 0.1, -0.3, 0.2, -0.1, 0.25, -0.25, 0.05, -0.15, 0.1];

    /// A day of each weekday's own height, with noise.
    fn days(n: usize, level: impl Fn(usize) -> f64) -> Vec<Option<f64>> {
        let weekday = [0.0, 1.0, 1.0, 0.5, 0.5, -1.0, -2.0];
        (0..n).map(|day| Some(level(day) + weekday[day % 7] + NOISE[day % 11])).collect()
    }

    fn found(blocks: &[Option<f64>], n_before: usize, direction: Direction) -> AttainmentTest {
        let target = match direction {
            Direction::Increase => 10.0,
            Direction::Decrease => -10.0,
        };
        let alpha = Alpha::DEFAULT;
        attainment(&AttainmentInput { blocks, n_before, per_week: 7, target, direction, alpha, least_variance: 0.0 })
    }

    #[test]
    fn a_level_beyond_the_target_is_proven_from_where_the_week_reached_it() {
        let jump = days(80, |day| if day < 60 { 8.0 } else { 11.0 });
        let attempt = found(&jump, 56, Direction::Increase).attempt.unwrap();
        // Five days of eleven and two of eight are more than ten.
        assert_eq!((attempt.began, attempt.n, attempt.is_adjusted), (64, 15, true), "{attempt:?}");
        assert!(attempt.is_proven && attempt.n_more.is_none() && (attempt.alpha.get() - 0.025).abs() < 1e-12);
        let down: Vec<Option<f64>> = jump.iter().map(|value| value.map(|value| -value)).collect();
        assert_eq!(found(&down, 56, Direction::Decrease).attempt.unwrap(), attempt, "less is better");
        // The noise of the last seven days is -.05 together.
        let week = |blocks, direction| found(blocks, 56, direction).week.unwrap();
        let up = week(&jump, Direction::Increase);
        assert!((up - (11.0 - 0.05 / 7.0)).abs() < 1e-9, "{up}");
        assert!((week(&down, Direction::Decrease) + up).abs() < 1e-9, "less is better");
        assert_eq!(found(&days(80, |_| 8.0), 56, Direction::Increase).attempt, None);
    }

    #[test]
    fn each_attempt_has_half_of_what_the_one_before_had() {
        let waves = days(100, |day| if day % 40 < 20 { 8.0 } else { 12.0 });
        let test = found(&waves, 14, Direction::Increase);
        assert_eq!(test.n_ended, 2);
        assert_eq!(test.attempt, None, "the last days are short of the target");
        let third = found(&waves[..79], 14, Direction::Increase);
        assert!((third.attempt.unwrap().alpha.get() - 0.0125).abs() < 1e-12, "{third:?}");
    }

    #[test]
    fn what_reached_the_target_is_no_evidence_and_a_proof_says_how_far_it_is() {
        let just = days(67, |day| if day < 60 { 8.0 } else { 10.4 });
        let attempt = found(&just, 56, Direction::Increase).attempt.unwrap();
        assert!(attempt.n < 7 && !attempt.is_proven, "{attempt:?}");
        let more = attempt.n_more.or_else(|| found(&just[..66], 56, Direction::Increase).attempt?.n_more);
        assert!(more.is_none_or(|more| more > 0));
        let at_target = days(90, |day| if day < 60 { 8.0 } else { 10.02 });
        assert!(!found(&at_target, 56, Direction::Increase).attempt.unwrap().is_proven);
    }

    #[test]
    fn without_a_history_whole_weeks_are_compared() {
        let all = days(42, |_| 11.0);
        let after = |n: usize| found(&all[..n], 0, Direction::Increase).attempt.unwrap();
        let first = after(13);
        assert_eq!((first.began, first.n, first.is_adjusted, first.ln_e), (6, 6, false, None));
        assert_eq!((after(34).ln_e, after(35).ln_e.is_some(), after(36).ln_e), (None, true, after(35).ln_e));
        assert!(after(42).is_proven);
    }

    #[test]
    fn values_that_do_not_vary_prove_nothing_unless_it_is_known_how_much_they_could() {
        let flat = vec![Some(0.0); 56];
        let of = |least_variance| {
            let input = AttainmentInput {
                blocks: &flat,
                n_before: 0,
                per_week: 7,
                target: 0.01,
                direction: Direction::Decrease,
                alpha: Alpha::DEFAULT,
                least_variance,
            };
            attainment(&input).attempt.unwrap()
        };
        assert_eq!((of(0.0).ln_e, of(0.0).is_proven), (None, false));
        assert!(of(0.01 * 0.99 / 1000.0).is_proven);
        assert!(!of(0.01 * 0.99 / 2.0).is_proven, "two units a day say little");
    }

    #[test]
    fn days_without_a_value_are_left_out() {
        let mut holes = days(90, |day| if day < 60 { 8.0 } else { 11.0 });
        for day in [30, 63, 70, 71] {
            holes[day] = None;
        }
        let attempt = found(&holes, 56, Direction::Increase).attempt.unwrap();
        assert!(attempt.is_proven && attempt.n < 90 - attempt.began - 1, "{attempt:?}");
        let nothing = found(&vec![None; 90], 56, Direction::Increase);
        assert_eq!((nothing.week, nothing.attempt), (None, None));
        assert_eq!(found(&[], 0, Direction::Increase).attempt, None);
    }

    #[test]
    fn a_week_is_a_block_of_its_own() {
        let blocks: Vec<Option<f64>> = (0..12).map(|week| Some(10.5 + NOISE[week % 11])).collect();
        let input = AttainmentInput {
            blocks: &blocks,
            n_before: 0,
            per_week: 1,
            target: 9.5,
            direction: Direction::Increase,
            alpha: Alpha::DEFAULT,
            least_variance: 0.0,
        };
        let attempt = attainment(&input).attempt.unwrap();
        assert_eq!((attempt.began, attempt.n, attempt.is_proven), (0, 11, true));
    }

    #[test]
    fn a_silence_of_a_week_ends_an_attempt_and_a_shorter_one_does_not() {
        let after = |n_missing: usize| {
            let mut blocks = days(90, |day| if day < 60 { 8.0 } else { 11.0 });
            blocks[72..72 + n_missing].fill(None);
            let test = found(&blocks, 56, Direction::Increase);
            (test.n_ended, test.attempt.unwrap().began)
        };
        // With the fourth missing day its week has no mean, and has one again with the fourth day that has a value.
        assert_eq!((after(6), after(7)), ((0, 64), (1, 82)));
    }

    #[test]
    fn a_level_of_exactly_the_target_holds_the_attempt() {
        let test = found(&vec![Some(10.0); 40], 14, Direction::Increase);
        assert_eq!((test.n_ended, test.attempt.unwrap().began), (0, 14));
    }

    #[test]
    fn a_pattern_of_the_week_changes_no_evidence() {
        let noise = |day: usize| NOISE[day % 11];
        let level = |day: usize| if day < 60 { 8.0 } else { 10.1 } + noise(day);
        let plain: Vec<Option<f64>> = (0..74).map(|day| Some(level(day))).collect();
        let weekday = [0.0, 2.0, -1.0, 0.5, 0.5, -1.0, -1.0];
        let with_pattern: Vec<Option<f64>> = (0..74).map(|day| Some(level(day) + weekday[day % 7])).collect();
        let of = |blocks: &[Option<f64>]| found(blocks, 56, Direction::Increase).attempt.unwrap();
        let (plain, with_pattern) = (of(&plain), of(&with_pattern));
        assert_eq!((plain.began, plain.n), (with_pattern.began, with_pattern.n));
        let (plain, with_pattern) = (plain.ln_e.unwrap(), with_pattern.ln_e.unwrap());
        assert!((plain - with_pattern).abs() < 1e-9, "{plain} {with_pattern}");
    }

    fn series<R>(blocks: &[Option<f64>], per_week: usize, look: impl Fn(&Series<'_>) -> R) -> R {
        let (direction, alpha) = (Direction::Increase, Alpha::DEFAULT);
        let input =
            AttainmentInput { blocks, n_before: 0, per_week, target: 0.0, direction, alpha, least_variance: 0.0 };
        look(&Series::of(&input))
    }

    #[test]
    fn the_weekdays_of_a_pattern_balance_each_other() {
        let mut holes = days(60, |day| 0.01 * (day * day) as f64);
        holes[30] = None;
        let effects = series(&holes, 7, |series| series.pattern_until(59).unwrap().effects);
        assert!(effects.iter().sum::<f64>().abs() < 1e-9 && effects[6] < -1.5, "{effects:?}");
    }

    #[test]
    fn a_pattern_is_of_the_eight_weeks_until_the_beginning_and_a_rise_makes_none() {
        let rise: Vec<Option<f64>> = (0..90).map(|day| Some(0.5 * f64::from(day))).collect();
        let effects = |blocks: &[Option<f64>]| series(blocks, 7, |series| series.pattern_until(80).unwrap().effects);
        let flat = effects(&rise);
        assert!(flat.iter().all(|effect| effect.abs() < 1e-9), "{flat:?}");
        let is_seen = |day: usize| {
            let mut changed = rise.clone();
            changed[day] = Some(500.0);
            effects(&changed).iter().any(|effect| effect.abs() > 1.0)
        };
        assert_eq!([24, 25, 80, 81].map(is_seen), [false, true, true, false]);
        // Two of each weekday, three days from the nearest end.
        let until = |began| series(&rise, 7, |series| series.pattern_until(began).is_some());
        assert_eq!((until(18), until(19)), (false, true));
    }

    /// What days were like before an attempt that began with day 70, where no weekday differs.
    fn history(values: &[Option<f64>]) -> Option<Least> {
        series(values, 7, |series| series.history_before(70, &Pattern { effects: vec![0.0; 7] }))
    }

    /// By the normal equations of a straight line and sums by hand, in Python.
    #[test]
    fn how_days_vary_and_repeat_each_other_is_of_the_eight_weeks_that_ended_a_week_before() {
        let of = |day_of: &dyn Fn(usize) -> f64| {
            let day = |day: usize| if (8..64).contains(&day) { 0.05 * day as f64 + day_of(day) } else { 1000.0 };
            history(&(0..80).map(|at| Some(day(at))).collect::<Vec<_>>()).unwrap()
        };
        let sign = |is_up: bool| if is_up { 1.0 } else { -1.0 };
        let three_days = of(&|day| sign(day / 3 % 2 == 1) + NOISE[day % 11]);
        let weeks = of(&|day| sign((day - 8) / 7 % 2 == 1) + 2.0 * sign(day % 2 == 1));
        for (found, variance, inflation) in [
            (three_days, 1.093_452_736_956_026_5, 1.646_076_248_613_446_4),
            (weeks, 5.697_395_002_658_162, 2.210_641_847_393_026),
        ] {
            assert!((found.variance - variance).abs() < 1e-9, "{found:?}");
            assert!((found.inflation - inflation).abs() < 1e-9, "{found:?}");
        }
    }

    #[test]
    fn a_history_needs_four_days_that_differ() {
        let only = |n: usize| {
            let value = |day: usize| (64 - n..64).contains(&day).then(|| NOISE[day % 11]);
            history(&(0..80).map(value).collect::<Vec<_>>()).is_some()
        };
        assert_eq!((only(3), only(4)), (false, true));
        let around = |level: f64, noise: f64| {
            let day = |day: usize| Some(level + 0.05 * day as f64 + noise * NOISE[day % 11]);
            history(&(0..80).map(day).collect::<Vec<_>>()).is_some()
        };
        assert!(!around(1e6, 0.0) && around(1.0, 0.1));
        assert!(!around(1e6, 0.1), "by less than a millionth of their height");
    }

    /// The sums of eight days by hand.
    #[test]
    fn days_that_repeat_each_other_count_as_fewer() {
        let nothing = Least { variance: 0.0, inflation: 1.0 };
        let look = Look::of(&[1.0, 1.2, 1.4, 1.1, 0.6, 0.5, 0.9, 1.3], &nothing).unwrap();
        assert!((look.mean - 1.0).abs() < 1e-12 && (look.inflation - 2.428_571_428_571_427_5).abs() < 1e-9);
        assert!((look.deviation - 0.499_795_876_701_025_65).abs() < 1e-9);
        // Of 41 such days as much is known as of ten and a quarter that do not.
        let of = |inflation| Look { mean: 0.6, deviation: 1.0, inflation };
        let t = 0.6 * 41.0_f64.sqrt();
        assert_eq!(of(4.0).ln_e(41), Some(ln_e_student_above(t, 10.0, 10.25)));
        assert_eq!(of(1.0).ln_e(41), Some(ln_e_student_above(t, 40.0, 41.0)));
    }

    #[test]
    fn so_many_more_days_like_these_are_just_enough() {
        let alpha = Alpha::DEFAULT;
        let look = Look { mean: 0.5, deviation: 1.0, inflation: 1.0 };
        let more = look.more(8, 1, alpha).unwrap();
        let rejects = |n: usize| alpha.rejects(look.ln_e(n).unwrap());
        assert!(rejects(8 + more) && !rejects(8 + more - 1), "{more}");
        assert_eq!(look.more(8, 7, alpha), Some(7 * more), "where seven days make one of the blocks");
        // A year of days is looked ahead, which is 52 weeks.
        let slow = Look { mean: 0.25, ..look };
        let days = slow.more(8, 1, alpha).unwrap();
        assert!((53..=366).contains(&days) && slow.more(8, 7, alpha).is_none(), "{days}");
        assert_eq!(Look { mean: -0.5, ..look }.more(8, 1, alpha), None);
    }

    #[test]
    fn the_days_until_a_proof_are_counted_from_today_where_weeks_are_compared() {
        let all = days(42, |_| 11.0);
        let more = |n: usize| found(&all[..n], 0, Direction::Increase).attempt.unwrap().n_more.unwrap();
        assert_eq!((more(36), more(37), more(41)), (6, 5, 1));
    }

    #[test]
    fn chance_in_a_week_is_a_seventh_of_that_in_a_day() {
        let ln_e = |n_blocks: usize, per_week: usize, least_variance: f64| {
            let blocks = vec![Some(0.5); n_blocks];
            let (direction, alpha) = (Direction::Increase, Alpha::DEFAULT);
            let input = AttainmentInput {
                blocks: &blocks,
                n_before: 0,
                per_week,
                target: 0.0,
                direction,
                alpha,
                least_variance,
            };
            attainment(&input).attempt.unwrap().ln_e.unwrap()
        };
        // Five weeks of days, after the week that reached the target; and five weeks that are blocks themselves.
        let (days, weeks) = (ln_e(7 + 35, 7, 0.7), ln_e(1 + 5, 1, 0.1));
        assert!((days - weeks).abs() < 1e-9, "{days} {weeks}");
    }
}
