//! A small part of the simulation suite (`benches/simulation`), fast enough to run with every test: 400 experiments (2,000
//! with `OUTCOME_TEST_LONG=1`) with 28 looks each, through the same door as the runtime, from `OUTCOME_TEST_SEED`.

use outcome_stats::{
    Alpha, ArmSums, Blocks, Comparison, DataHealth, Evaluation, Guardrail, GuardrailReading, HarmDirection, Margin,
    Phase, PlannedTest, Recommendation, RunningState, SampleSizeInput, Scale, Scope, SeriesRules, SeriesVerdict,
    TestPlan, assess, before_after, sample_size,
};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Binomial, Distribution as _, Normal};

use super::given::is_long;

const N_LOOKS: u32 = 28;
const RATE: f64 = 0.05;
const MDE: f64 = 0.005;

fn n_replications() -> u32 {
    if is_long() { 2_000 } else { 400 }
}

/// Share of experiments called significant at any look.
struct Found {
    by_engine: f64,
    /// By |z| > 1.96 at every look, the mistake that the engine is there to avoid.
    by_peeking: f64,
}

/// Runs experiments in which the treatment adds `effect`, each to the end that the planner gives it.
fn simulate(effect: f64) -> Found {
    let seed = std::env::var("OUTCOME_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_260_101);
    eprintln!("seed {seed}");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let n_per_look = planned_units() / 2 / u64::from(N_LOOKS);
    let arrivals = |p: f64| Binomial::new(n_per_look, p).unwrap();
    let (control, treatment) = (arrivals(RATE), arrivals(RATE + effect));
    let (mut by_engine, mut by_peeking) = (0.0, 0.0);
    for _ in 0..n_replications() {
        let plan = TestPlan { mde_abs: Some(MDE), ..TestPlan::default() };
        let mut state = RunningState::default();
        let (mut x_control, mut x_treatment, mut is_peeked) = (0, 0, false);
        for look in 1..=N_LOOKS {
            x_control += control.sample(&mut rng);
            x_treatment += treatment.sample(&mut rng);
            let n = n_per_look * u64::from(look);
            let arm = |successes| ArmSums::Proportion { n, successes };
            let phases = [Phase {
                number: 1,
                control_weight: 0.5,
                treatment_weight: 0.5,
                control: arm(x_control),
                treatment: arm(x_treatment),
            }];
            let input = Evaluation {
                cohorts: None,
                plan: &plan,
                phases: &phases,
                elapsed_days: f64::from(look),
                as_of: i64::from(look) * 86_400,
                guardrails: &[],
                health: DataHealth::default(),
                scope: Scope::default(),
            };
            let numbers = assess(&input, &mut state).numbers;
            let z = numbers.effect.zip(numbers.standard_error).map_or(0.0, |(effect, se)| effect / se);
            is_peeked |= z.abs() > 1.959_964;
        }
        by_engine += f64::from(u8::from(state.first_crossing.is_some()));
        by_peeking += f64::from(u8::from(is_peeked));
    }
    let share = |count: f64| count / f64::from(n_replications());
    Found { by_engine: share(by_engine), by_peeking: share(by_peeking) }
}

fn planned_units() -> u64 {
    let variance = |p: f64| p * (1.0 - p);
    let input = SampleSizeInput {
        unit_variance_control: variance(RATE),
        unit_variance_treatment: variance(RATE + MDE),
        weight_control: 0.5,
        weight_treatment: 0.5,
        mde_abs: MDE,
        alpha: Alpha::DEFAULT,
        power: 0.8,
        test: PlannedTest::TwoSided { n_looks: N_LOOKS },
    };
    sample_size(&input).unwrap().n_max
}

/// Four Monte Carlo standard errors of a share whose true value is `p`: wrong once in 30,000 seeds.
fn four_standard_errors(p: f64) -> f64 {
    4.0 * (p * (1.0 - p) / f64::from(n_replications())).sqrt()
}

#[test]
fn looking_28_times_at_nothing_finds_something_no_more_often_than_alpha() {
    let alpha = Alpha::DEFAULT.get();
    let Found { by_engine, by_peeking } = simulate(0.0);
    let limit = alpha + four_standard_errors(alpha);
    assert!(by_engine <= limit, "{by_engine} > {limit}");
    // The same data convict a test that may look only once: this simulation is able to fail.
    assert!(by_peeking > 2.0 * limit, "{by_peeking}");
}

#[test]
fn an_effect_of_the_planned_size_is_found_as_often_as_planned() {
    let Found { by_engine, .. } = simulate(MDE);
    assert!((by_engine - 0.8).abs() <= four_standard_errors(0.8), "{by_engine}");
}

/// Share of series of 26 weeks before and 12 after, in which nothing happened, that are called moved at any of eleven looks.
/// `drift`: what was there all the time, in standard deviations of a week. `jump`: what the launch adds, in the same.
fn moved(drift: f64, jump: f64) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(20_260_102);
    let noise = Normal::new(0.0, 1.0).unwrap();
    let mut n_moved = 0.0;
    for _ in 0..n_replications() {
        let weeks: Vec<f64> = (0..38)
            .map(|week| noise.sample(&mut rng) + drift * f64::from(week) + if week < 26 { 0.0 } else { jump })
            .collect();
        let (pre, post) = weeks.split_at(26);
        let is_moved = |n: usize| {
            let blocks =
                Blocks { pre, post: &post[..n], target: 0.0, rules: SeriesRules::Adjusted, scale: &Scale::default() };
            before_after(&blocks, Alpha::DEFAULT).verdict == SeriesVerdict::Moved
        };
        n_moved += f64::from(u8::from((2..=12).any(is_moved)));
    }
    n_moved / f64::from(n_replications())
}

#[test]
fn a_steady_drift_is_no_change_and_a_jump_beside_it_is() {
    for drift in [0.0, 0.3, 1.0] {
        let (nothing, something) = (moved(drift, 0.0), moved(drift, 6.0));
        assert!(nothing <= 0.03, "drift {drift}: called moved in {nothing}");
        assert!(something >= 0.5, "drift {drift}: found in {something}");
    }
}

/// Both arms of a guardrail on a rare event, and what is tolerated.
#[derive(Clone, Copy)]
struct Rare {
    rates: [f64; 2],
    per_day: [u64; 2],
    margin: f64,
    harm_direction: HarmDirection,
}

impl Rare {
    fn alike(rate: f64, per_day: u64) -> Self {
        let harm_direction = HarmDirection::Increase;
        Self { rates: [rate; 2], per_day: [per_day; 2], margin: 0.0, harm_direction }
    }

    /// Share of experiments of 56 days whose guardrail is called crossed at any of their daily looks, and the median day. The events are
    /// counted exactly until there are enough of them for the mixture.
    fn crossings(self) -> (f64, Option<u32>) {
        let seed = std::env::var("OUTCOME_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_260_103);
        eprintln!("seed {seed}");
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let [control, treatment] = [0, 1].map(|arm| Binomial::new(self.per_day[arm], self.rates[arm]).unwrap());
        let mut days = Vec::new();
        for _ in 0..n_replications() {
            let plan = TestPlan { mde_abs: Some(MDE), ..TestPlan::default() };
            let mut state = RunningState::default();
            let mut events = [0, 0];
            let day = (1..=56_u32).find(|day| {
                events[0] += control.sample(&mut rng);
                events[1] += treatment.sample(&mut rng);
                let arm =
                    |arm: usize| ArmSums::Proportion { n: self.per_day[arm] * u64::from(*day), successes: events[arm] };
                let phases = [Phase {
                    number: 0,
                    control_weight: self.per_day[0] as f64,
                    treatment_weight: self.per_day[1] as f64,
                    control: arm(0),
                    treatment: arm(1),
                }];
                let reading = GuardrailReading::RelativeToControl(Comparison {
                    counts_rare: true,
                    ..Comparison::new(&phases, self.harm_direction, Margin::Absolute(self.margin))
                });
                let guardrails = [Guardrail { name: "crashes", must_prove: false, reading }];
                let input = Evaluation {
                    cohorts: None,
                    plan: &plan,
                    phases: &phases,
                    elapsed_days: f64::from(*day),
                    as_of: i64::from(*day) * 86_400,
                    guardrails: &guardrails,
                    health: DataHealth::default(),
                    scope: Scope::default(),
                };
                assess(&input, &mut state).recommendation == Recommendation::KillGuardrail
            });
            days.extend(day);
        }
        days.sort_unstable();
        let half = n_replications() as usize / 2;
        (days.len() as f64 / f64::from(n_replications()), days.get(half).copied())
    }
}

#[test]
fn a_rare_event_is_counted_without_more_false_stops_than_stated() {
    let fewer = HarmDirection::Decrease;
    let cells = [
        Rare::alike(0.001, 100),
        Rare::alike(0.002, 400),
        Rare::alike(0.01, 100),
        Rare { per_day: [180, 20], ..Rare::alike(0.004, 100) },
        // As harmful as is tolerated, and not more.
        Rare { rates: [0.0005, 0.0025], margin: 0.002, ..Rare::alike(0.0, 200) },
        Rare { rates: [0.0, 0.002], per_day: [18_000, 2_000], margin: 0.002, ..Rare::alike(0.0, 0) },
        Rare { rates: [0.012, 0.002], per_day: [180, 20], margin: 0.01, harm_direction: fewer },
    ];
    for (number, cell) in cells.into_iter().enumerate() {
        let (share, _) = cell.crossings();
        assert!(share <= 0.05 + four_standard_errors(0.05) / 2.0, "cell {number}: {share}");
    }
    // The start gate alone needs fifty events.
    let (found, median) = Rare { rates: [0.0001, 0.02], ..Rare::alike(0.0, 100) }.crossings();
    assert!(found > 0.9 && median.is_some_and(|day| day <= 10), "{found} {median:?}");
}
