//! T14: false successes of a plan with a known end, where information does not come evenly and values have heavy tails.

use outcome_stats::{Alpha, ArmSums, Information, PlannedTest, ShipTest, TestPlan, known_end_constant};

use crate::report::{Section, figure, ours};
use crate::rng::{Rng, normal, stream};
use crate::runner::Runner;
use crate::t13::{ALPHAS, Conversions, daily_units, plan, ships_on};
use crate::tally::Tallies;

/// Buyers among the units.
const BUYERS: f64 = 0.2;
/// Units of an arm a day where each unit is drawn.
const DRAWN: u32 = 60;
/// 99 % quantile of what buyers spend, before the launch.
const CAP: f64 = 16.0;

#[derive(Clone, Copy)]
enum Traffic {
    Even,
    Weekdays,
    SlowStart,
    Spike,
}

impl Traffic {
    fn of(self, day: u32) -> f64 {
        match self {
            Self::Even => 1.0,
            Self::Weekdays => {
                if day % 7 < 2 {
                    0.3
                } else {
                    1.28
                }
            }
            Self::SlowStart => f64::from(day.min(14)) / 14.0,
            Self::Spike => {
                if day <= 3 {
                    4.0
                } else {
                    0.8
                }
            }
        }
    }
}

/// Sums of one arm whose units are drawn one by one.
#[derive(Clone, Copy, Default)]
struct Drawn {
    n: u64,
    y: f64,
    yy: f64,
    x: f64,
    xx: f64,
    xy: f64,
}

impl Drawn {
    /// Log-normal spending of buyers, before and after, correlated by half.
    fn add(&mut self, rng: &mut Rng, cap: f64) {
        let shared = normal(rng);
        let mut value = |is_buyer: bool| {
            let spent = (0.5_f64.sqrt() * (shared + normal(rng)) * 1.2).exp();
            if is_buyer { spent.min(cap) } else { 0.0 }
        };
        let (before, after) = (value(shared > 0.0), value(shared > -0.2));
        let thin = crate::rng::binomial(rng, 1, 2.0 * BUYERS) as f64;
        let (x, y) = (before * thin, after * thin);
        self.n += 1;
        self.y += y;
        self.yy += y * y;
        self.x += x;
        self.xx += x * x;
        self.xy += x * y;
    }

    fn sums(&self, has_covariate: bool) -> ArmSums {
        let Self { n, y, yy, x, xx, xy } = *self;
        if has_covariate {
            ArmSums::Cuped { n, sum: y, sum_squares: yy, covariate_sum: x, covariate_sum_squares: xx, cross_sum: xy }
        } else {
            ArmSums::Mean { n, sum: y, sum_squares: yy }
        }
    }
}

/// Days of the longest extension.
const LONGEST_DAYS: u32 = 60;

fn conversions(alpha: f64, traffic: Traffic, rng: &mut Rng, tallies: &mut Tallies) {
    let (plan, days) = plan(alpha, PlannedTest::KnownEnd);
    let units = daily_units();
    let mut data = Conversions::new(rng, 0.0, |day| units * traffic.of(day));
    let found = ships_on(&plan, LONGEST_DAYS, |day| data.arms(day));
    tallies.hit(0, found.is_some_and(|day| day <= days));
    tallies.hit(1, found.is_some());
}

/// A plan whose information is reached after three weeks, from the spread of values without an effect.
fn heavy_plan(alpha: f64, cap: f64) -> TestPlan {
    let mut rng = stream(1, "T14 spread", 0);
    let mut arm = Drawn::default();
    for _ in 0..200_000 {
        arm.add(&mut rng, cap);
    }
    let n = arm.n as f64;
    let unit_variance = arm.yy / n - (arm.y / n).powi(2);
    let information = 21.0 * f64::from(DRAWN) / (2.0 * unit_variance);
    let alpha = Alpha::try_new(alpha).expect("an alpha");
    let mde = (known_end_constant(alpha, 0.8).expect("a possible plan").c / information).sqrt();
    let max_information = Information::try_new(information).expect("some information");
    TestPlan {
        alpha,
        mde_abs: Some(mde),
        ship: ShipTest::KnownEnd { max_information, days: 28 },
        ..TestPlan::default()
    }
}

fn heavy_tails(plan: &TestPlan, cap: f64, has_covariate: bool, rng: &mut Rng, tallies: &mut Tallies) {
    let mut arms = [Drawn::default(); 2];
    let found = ships_on(plan, 28, |_| {
        for arm in &mut arms {
            for _ in 0..DRAWN {
                arm.add(rng, cap);
            }
        }
        arms.map(|arm| arm.sums(has_covariate))
    });
    tallies.hit(0, found.is_some());
}

pub fn run(runner: &Runner) -> Section {
    let mut rows = Vec::new();
    for (name, traffic) in [
        ("even traffic", Traffic::Even),
        ("weekends at a quarter of a weekday", Traffic::Weekdays),
        ("a slow start over two weeks", Traffic::SlowStart),
        ("a spike at the launch", Traffic::Spike),
    ] {
        let of =
            |alpha: f64| runner.run(&format!("T14 {name} {alpha:.4}"), 2, |rng, t| conversions(alpha, traffic, rng, t));
        let found = ALPHAS.map(of);
        rows.push(ours(format!("{name}, by the planned end"), found.iter().map(|t| figure(t.get(0), None)).collect()));
        rows.push(ours(format!("{name}, extended to 60 days"), found.iter().map(|t| figure(t.get(1), None)).collect()));
    }
    for (name, cap, has_covariate) in [
        ("heavy tails", f64::INFINITY, false),
        ("heavy tails, capped", CAP, false),
        ("heavy tails with a covariate", f64::INFINITY, true),
        ("heavy tails, capped, with a covariate", CAP, true),
    ] {
        let of = |alpha: f64| {
            let plan = heavy_plan(alpha, cap);
            runner.run(&format!("T14 {name} {alpha:.4}"), 1, |rng, t| heavy_tails(&plan, cap, has_covariate, rng, t))
        };
        // Each unit is drawn, so only the widest and the usual alpha are.
        let [all, .., usual] = ALPHAS;
        rows.push(ours(name, vec![figure(of(all).get(0), None), None, None, figure(of(usual).get(0), None)]));
    }
    Section {
        id: "T14",
        title: "False successes with a known end",
        scenario: format!(
            "No effect, one look a day, a known end planned for conversions of 5 % and 17 days of a fixed test (T13). Traffic that does \
             not come evenly leaves days and units of the plan as they are. Heavy tails: {DRAWN} units an arm and day for 28 days, a \
             fifth or more of which buy for log-normal amounts (standard deviation 1.2 of the logarithm), correlated with what they \
             bought before."
        ),
        columns: ALPHAS.map(|alpha| format!("alpha {alpha:.4}")).to_vec(),
        rows,
        reading: "Each is to be compared with the alpha of its column. The error is spent by observed information, so uneven traffic \
                  costs nothing."
            .to_owned(),
        pictures: Vec::new(),
    }
}
