//! T13: how long a success takes: the tests behind `ship`, at the alphas of an outcome's budget.

use outcome_stats::{
    Alpha, ArmSums, DataHealth, Evaluation, Information, Phase, PlannedTest, Recommendation, RunningState, SampleSize,
    SampleSizeInput, Scope, ShipTest, TestPlan, assess, known_end_constant, sample_size,
};

use crate::engine::{phase, planned, rate, rate_variance};
use crate::methods::{Look, gbstats_sequential};
use crate::report::{Row, Section, figure, ours, published, rival};
use crate::rng::{Rng, binomial};
use crate::runner::Runner;
use crate::tally::Tallies;

const RATE: f64 = 0.05;
const MDE: f64 = 0.005;
/// Days that the fixed two-sided test at alpha 0.05 takes.
const FIXED_DAYS: u32 = 17;
/// The longest extension, in fixed tests.
const LONGEST: f64 = 3.5;
/// Of one experiment: all of 0.05, half of it, a third, and the default share of three planned.
pub const ALPHAS: [f64; 4] = [0.05, 0.025, 1.0 / 60.0, 0.015];

/// Units a day, both arms together.
pub fn daily_units() -> f64 {
    fixed_units() / f64::from(FIXED_DAYS)
}

/// Units of the fixed two-sided test at alpha 0.05 and power 0.8.
fn fixed_units() -> f64 {
    planned([rate_variance(RATE), rate_variance(RATE + MDE)], 0.5, MDE).n_fixed as f64
}

fn size(alpha: f64, test: PlannedTest) -> SampleSize {
    sample_size(&SampleSizeInput {
        unit_variance_control: rate_variance(RATE),
        unit_variance_treatment: rate_variance(RATE + MDE),
        weight_control: 1.0,
        weight_treatment: 1.0,
        mde_abs: MDE,
        alpha: Alpha::try_new(alpha).expect("an alpha"),
        power: 0.8,
        test,
    })
    .expect("a possible plan")
}

/// The plan of an experiment, and the days until its end.
pub fn plan(alpha: f64, test: PlannedTest) -> (TestPlan, u32) {
    let end = size(alpha, test).n_max as f64 / daily_units();
    let days = end.ceil() as u32;
    let alpha = Alpha::try_new(alpha).expect("an alpha");
    let ship = match test {
        PlannedTest::TwoSided { .. } => ShipTest::TwoSided,
        PlannedTest::CutNormal => ShipTest::CutNormal,
        PlannedTest::KnownEnd => {
            let constant = known_end_constant(alpha, 0.8).expect("a possible plan");
            let max_information = Information::try_new(constant.c / (MDE * MDE)).expect("some information");
            // In whole weeks, as hypotheses state it.
            ShipTest::KnownEnd { max_information, days: days.div_ceil(7) * 7 }
        }
    };
    (TestPlan { alpha, mde_abs: Some(MDE), ship, ..TestPlan::default() }, days)
}

/// One experiment, looked at once a day; the day on which it was recommended to ship. `units`: of a day, from 1.
pub fn ships_on(plan: &TestPlan, days: u32, mut arms: impl FnMut(u32) -> [ArmSums; 2]) -> Option<u32> {
    let mut state = RunningState::default();
    (1..=days).find(|day| {
        let [control, treatment] = arms(*day);
        let phases: [Phase; 1] = [phase(0, 0.5, control, treatment)];
        let input = Evaluation {
            cohorts: None,
            plan,
            phases: &phases,
            elapsed_days: f64::from(*day),
            as_of: i64::from(*day) * 86_400,
            guardrails: &[],
            health: DataHealth::default(),
            scope: Scope::default(),
        };
        assess(&input, &mut state).recommendation == Recommendation::Ship
    })
}

/// Conversions of two arms, day by day; `units` of a day is both arms together.
pub struct Conversions<'r, U> {
    rng: &'r mut Rng,
    effect: f64,
    units: U,
    look: Look,
}

impl<'r, U: Fn(u32) -> f64> Conversions<'r, U> {
    pub fn new(rng: &'r mut Rng, effect: f64, units: U) -> Self {
        Self { rng, effect, units, look: Look { n_a: 0, n_b: 0, x_a: 0, x_b: 0 } }
    }

    fn arrive(&mut self, day: u32) -> &Look {
        let n = (self.units)(day).round() as u64;
        let treated = binomial(self.rng, n, 0.5);
        self.look.n_a += n - treated;
        self.look.n_b += treated;
        self.look.x_a += binomial(self.rng, n - treated, RATE);
        self.look.x_b += binomial(self.rng, treated, RATE + self.effect);
        &self.look
    }

    pub fn arms(&mut self, day: u32) -> [ArmSums; 2] {
        let look = self.arrive(day);
        [rate(look.n_a, look.x_a), rate(look.n_b, look.x_b)]
    }
}

const TESTS: [(&str, Option<PlannedTest>); 4] = [
    ("ours before: one end of the two-sided mixture", Some(PlannedTest::TwoSided { n_looks: 100 })),
    ("gbstats sequential, tuned to the fixed test", None),
    ("ours, open end: the normal around the MDE, cut at 0", Some(PlannedTest::CutNormal)),
    ("ours, known end with reserve", Some(PlannedTest::KnownEnd)),
];

/// What is counted: days at the MDE, at twice the MDE; power; false success by the planned end, and when extended.
const AT_MDE: usize = 0;
const AT_DOUBLE: usize = 1;
const POWER: usize = 2;
const FALSE_PLANNED: usize = 3;
const FALSE_EXTENDED: usize = 4;

fn replicate(alpha: f64, test: Option<PlannedTest>, rng: &mut Rng, tallies: &mut Tallies) {
    let units = daily_units();
    let longest = (LONGEST * f64::from(FIXED_DAYS)).ceil() as u32;
    // A rival without a plan of its own ends as ours did before.
    let (plan, days) = plan(alpha, test.unwrap_or(PlannedTest::TwoSided { n_looks: 100 }));
    let mut first = |effect: f64, days: u32| -> Option<u32> {
        let mut data = Conversions::new(rng, effect, |_| units);
        match test {
            Some(_) => ships_on(&plan, days, |day| data.arms(day)),
            None => (1..=days).find(|day| gbstats_sequential(data.arrive(*day), alpha, fixed_units()) && *day >= 7),
        }
    };
    let found = first(MDE, days);
    tallies.add(AT_MDE, f64::from(found.unwrap_or(days)) / f64::from(FIXED_DAYS));
    tallies.hit(POWER, found.is_some());
    let found = first(2.0 * MDE, days);
    tallies.add(AT_DOUBLE, f64::from(found.unwrap_or(days)) / f64::from(FIXED_DAYS));
    let found = first(0.0, longest);
    tallies.hit(FALSE_PLANNED, found.is_some_and(|day| day <= days));
    tallies.hit(FALSE_EXTENDED, found.is_some());
}

/// E[N] at the MDE over the fixed test, by test and alpha (METRICS.md 4.1); its alpha .015 is the share of three planned.
const PUBLISHED: [[Option<f64>; 4]; 4] = [
    [Some(1.10), Some(1.27), Some(1.37), Some(1.40)],
    [None; 4],
    [Some(0.83), Some(0.98), Some(1.08), Some(1.10)],
    [Some(0.63), Some(0.78), Some(0.89), Some(0.90)],
];

pub fn run(runner: &Runner) -> Section {
    let mut rows: Vec<Row> = Vec::new();
    for ((name, test), published_of) in TESTS.into_iter().zip(PUBLISHED) {
        for (alpha, expected) in ALPHAS.into_iter().zip(published_of) {
            let t = runner.run(&format!("T13 {name} {alpha:.4}"), 5, |rng, t| replicate(alpha, test, rng, t));
            let figures = vec![
                figure(t.get(AT_MDE), expected.and_then(|expected| published(expected, 2))),
                figure(t.get(AT_DOUBLE), None),
                figure(t.get(POWER), None),
                figure(t.get(FALSE_PLANNED), None),
                figure(t.get(FALSE_EXTENDED), None),
            ];
            let name = format!("{name}, alpha {alpha:.4}");
            rows.push(if name.starts_with("ours") { ours(name, figures) } else { rival(name, figures) });
        }
    }
    Section {
        id: "T13",
        title: "How long a success takes",
        scenario: format!(
            "Conversions of 5 %, an MDE of 10 % relative, {FIXED_DAYS} days for a two-sided test at alpha 0.05 with one look at its \
             end and power 0.8, one look a day, nothing claimed in the first week. Each test runs to its own planned end at power \
             0.8. Times are means over runs in fixed tests: the day of the success, or the planned end. Alphas: all of 0.05, a half, \
             a third, and what one of three planned experiments gets. False successes are counted without an effect, by the planned \
             end and until {LONGEST} fixed tests."
        ),
        columns: ["E[N] at the MDE", "at twice the MDE", "power", "false by the end", "false when extended"]
            .map(str::to_owned)
            .to_vec(),
        rows,
        reading: "Half of the two-sided test's error was spent on the other side, and its interval had to hold for ever. With a known \
                  end and the default of three planned experiments, an effect of the MDE takes less than the fixed test at the whole \
                  alpha takes. The published figures are of Brownian motion; here the first look of each day comes at its end, and \
                  a success is counted in whole days."
            .to_owned(),
        pictures: Vec::new(),
    }
}
