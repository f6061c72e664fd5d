//! How often an outcome is called reached, through the public door: 300 series (2,000 with `OUTCOME_TEST_LONG=1`) of daily shares with a
//! pattern of the week, looked at every day, from `OUTCOME_TEST_SEED`.

use outcome_stats::{Alpha, AttainmentInput, Direction, attainment};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Binomial, Distribution as _, Normal};

use super::given::{cases, is_long};

const TARGET: f64 = 0.2;
const UNITS: u64 = 2_000;
/// Days that a proven level must stay.
const DWELL: usize = 7;
/// Of a weekday, in parts of the level.
const WEEKDAY: [f64; 7] = [0.10, 0.05, 0.0, 0.0, 0.05, -0.08, -0.12];

/// Series of one kind.
#[derive(Clone, Copy)]
struct Kind {
    n_before: usize,
    n_after: usize,
    /// Of the days before and after, in parts of the target.
    level: [f64; 2],
    /// Standard deviation of a day's own level, in parts of the target, and how much of it the next day keeps.
    drift: f64,
    memory: f64,
    n_series: u32,
}

impl Kind {
    fn flat() -> Self {
        let n_series = if is_long() { 2_000 } else { 300 };
        Self { n_before: 56, n_after: 120, level: [1.0, 1.0], drift: 0.0, memory: 0.0, n_series }
    }

    fn days(&self, rng: &mut ChaCha8Rng) -> Vec<Option<f64>> {
        let noise = Normal::new(0.0, 1.0).unwrap();
        let mut own = 0.0;
        let fresh = (1.0 - self.memory * self.memory).sqrt();
        (0..self.n_before + self.n_after)
            .map(|day| {
                own = self.memory * own + fresh * noise.sample(rng);
                let level = self.level[usize::from(day >= self.n_before)];
                let share = TARGET * (level + WEEKDAY[day % 7] + self.drift * own);
                let successes = Binomial::new(UNITS, share.clamp(0.0, 1.0)).unwrap().sample(rng);
                Some(successes as f64 / UNITS as f64)
            })
            .collect()
    }

    /// Share of the series that were called reached on any day, and the median of the days after the beginning on which they were.
    fn reached(self) -> (f64, Option<usize>) {
        let seed = std::env::var("OUTCOME_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_260_104);
        eprintln!("seed {seed}");
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut reached = Vec::new();
        for _ in 0..self.n_series {
            let days = self.days(&mut rng);
            let met_on = (1..=self.n_after).find(|n| {
                let blocks = &days[..self.n_before + n];
                let attempt = attainment(&input(blocks, self.n_before)).attempt;
                attempt.is_some_and(|attempt| attempt.is_proven && blocks.len() - 1 - attempt.began >= DWELL)
            });
            reached.extend(met_on);
        }
        reached.sort_unstable();
        let half = self.n_series as usize / 2;
        (reached.len() as f64 / f64::from(self.n_series), reached.get(half).copied())
    }
}

fn input(blocks: &[Option<f64>], n_before: usize) -> AttainmentInput<'_> {
    AttainmentInput {
        blocks,
        n_before,
        per_week: 7,
        target: TARGET,
        direction: Direction::Increase,
        alpha: Alpha::DEFAULT,
        least_variance: TARGET * (1.0 - TARGET) / UNITS as f64,
    }
}

#[test]
fn a_level_of_exactly_the_target_is_called_reached_no_more_often_than_stated() {
    let alpha = Alpha::DEFAULT.get();
    let (flat, short, moving) =
        (Kind::flat(), Kind { n_before: 20, ..Kind::flat() }, Kind { drift: 0.1, ..Kind::flat() });
    let kinds = [
        ("flat", flat),
        ("three weeks of history", short),
        ("no history", Kind { n_before: 0, ..flat }),
        ("just risen to the target", Kind { level: [0.8, 1.0], ..flat }),
        ("days that differ more than counting", moving),
        ("days that keep .5 of the day before", Kind { memory: 0.5, ..moving }),
        ("just risen, days that keep .5", Kind { memory: 0.5, level: [0.8, 1.0], ..moving }),
    ];
    for (name, kind) in kinds {
        let (share, _) = kind.reached();
        eprintln!("{name}: {share}");
        let limit = alpha + 2.0 * (alpha * (1.0 - alpha) / f64::from(kind.n_series)).sqrt();
        assert!(share <= limit, "{name}: {share} > {limit}");
    }
    // The limit of the method, as its page says it.
    let (lasting, _) = Kind { memory: 0.8, ..moving }.reached();
    eprintln!("days that keep .8 of the day before: {lasting}");
    assert!(lasting < 0.2, "{lasting}");
}

#[test]
fn a_level_that_is_really_beyond_the_target_is_found() {
    let found = |level: f64| Kind { level: [0.8, level], ..Kind::flat() }.reached();
    let (far, soon) = found(1.15);
    eprintln!("15 % beyond: {far} {soon:?}");
    assert!(far > 0.99 && soon.is_some_and(|day| day <= 21), "{far} {soon:?}");
    let (near, late) = found(1.05);
    eprintln!("5 % beyond: {near} {late:?}");
    let (moving, then) = Kind { level: [0.8, 1.2], drift: 0.1, memory: 0.5, ..Kind::flat() }.reached();
    eprintln!("20 % beyond, days that keep .5: {moving} {then:?}");
    assert!(moving > 0.9, "{moving} {then:?}");
    assert!(near > 0.9, "{near} {late:?}");
}

proptest! {
    #![proptest_config(cases())]

    /// Less is better where the values are turned, another unit changes nothing, and what comes later does not change what was begun.
    #[test]
    fn attempts_do_not_depend_on_the_unit_or_the_direction(
        values in prop::collection::vec(prop::option::weighted(0.9, -3.0..3.0_f64), 0..120),
        n_before in 0..60_usize,
        scale in 0.01..100.0_f64,
    ) {
        let of = |factor: f64, direction| {
            let blocks: Vec<Option<f64>> = values.iter().map(|value| value.map(|value| value * factor)).collect();
            attainment(&AttainmentInput {
                blocks: &blocks,
                n_before,
                per_week: 7,
                target: 0.0,
                direction,
                alpha: Alpha::DEFAULT,
                least_variance: 0.0,
            })
        };
        let up = of(1.0, Direction::Increase);
        for other in [of(scale, Direction::Increase), of(-1.0, Direction::Decrease)] {
            prop_assert_eq!(other.n_ended, up.n_ended);
            prop_assert_eq!(other.attempt.map(|a| (a.began, a.n, a.is_proven)), up.attempt.map(|a| (a.began, a.n, a.is_proven)));
        }
        if let Some(attempt) = up.attempt {
            prop_assert!(attempt.began >= n_before);
            prop_assert!(attempt.ln_e.is_none_or(f64::is_finite));
            prop_assert!(attempt.alpha.get() <= 0.025);
        }
    }
}

/// Days of a kind whose mean is the target, where less is better.
type SkewedDays = fn(&mut ChaCha8Rng) -> f64;

#[test]
fn days_of_which_a_few_are_far_above_the_others_are_not_taken_for_a_low_level() {
    use rand_distr::LogNormal;
    let kinds: [(&str, SkewedDays); 3] = [
        // One day of twenty is ten times the others, and one of ten twice.
        ("spikes", |rng| if rng.random_bool(0.05) { 10.0 / 1.45 } else { 1.0 / 1.45 }),
        ("doubles", |rng| if rng.random_bool(0.1) { 2.0 / 1.1 } else { 1.0 / 1.1 }),
        ("lognormal", |rng| LogNormal::new(-0.5, 1.0).unwrap().sample(rng)),
    ];
    let n_series = if is_long() { 2_000 } else { 300 };
    for (name, day) in kinds {
        let mut rng = ChaCha8Rng::seed_from_u64(20_260_105);
        let mut n_met = 0;
        for _ in 0..n_series {
            let days: Vec<Option<f64>> = (0..56 + 120).map(|_| Some(day(&mut rng))).collect();
            let is_met = (57..=days.len()).any(|n| {
                let input = AttainmentInput {
                    target: 1.0,
                    direction: Direction::Decrease,
                    least_variance: 0.0,
                    ..input(&days[..n], 56)
                };
                let attempt = attainment(&input).attempt;
                attempt.is_some_and(|attempt| attempt.is_proven && n - 1 - attempt.began >= DWELL)
            });
            n_met += u32::from(is_met);
        }
        let (share, alpha) = (f64::from(n_met) / f64::from(n_series), Alpha::DEFAULT.get());
        eprintln!("{name}: {share}");
        let limit = alpha + 2.0 * (alpha * (1.0 - alpha) / f64::from(n_series)).sqrt();
        assert!(share <= limit, "{name}: {share} > {limit}");
    }
}

#[test]
fn silence_ends_an_attempt() {
    let mut days: Vec<Option<f64>> =
        (0..80).map(|day| Some(if day < 56 { 0.1 } else { 0.3 } + 0.001 * f64::from(day % 3))).collect();
    let before = attainment(&input(&days, 56));
    assert!(before.attempt.is_some_and(|attempt| attempt.is_proven));
    days.extend([None; 30]);
    let after = attainment(&input(&days, 56));
    assert_eq!((after.week, after.attempt, after.n_ended), (None, None, 1));
}

/// What the page says about days that carry on for long: units a day, drift, memory, and how often the target is called reached.
#[test]
fn slow_drifts_are_the_limit_of_the_method() {
    let flat = Kind::flat();
    for (drift, memory) in [(0.1, 0.8), (0.1, 0.9), (0.05, 0.95)] {
        let (share, _) = Kind { drift, memory, ..flat }.reached();
        eprintln!("drift {drift}, memory {memory}: {share}");
        assert!(share < 0.45, "{share}");
    }
}
