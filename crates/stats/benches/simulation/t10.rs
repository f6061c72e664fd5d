//! T10: intervals of the relative lift, and futility.

use outcome_stats::{Contrast, delta_method_lift, two_arm_test};

use crate::engine::{Engine, phase, planned, rate, rate_variance, settings};
use crate::methods::Look;
use crate::report::{Section, between, figure, ours, published, rival};
use crate::rng::{Rng, binomial};
use crate::runner::Runner;
use crate::tally::Tallies;

const RATE: f64 = 0.05;
const MDE: f64 = 0.005;
const LIFTS: [f64; 4] = [-0.2, 0.0, 0.2, 0.5];
const N_LOOKS: u64 = 400;
const N_LOOKS_FUTILITY: u64 = 112;

/// What is counted.
const FIELLER: usize = 0;
const DELTA: usize = 1;
const CONTRADICTS_FIELLER: usize = 2;
const CONTRADICTS_DELTA: usize = 3;

fn grow(rng: &mut Rng, look: &mut Look, n: u64, treatment_rate: f64) {
    look.x_a += binomial(rng, n - look.n_a, RATE);
    look.x_b += binomial(rng, n - look.n_b, treatment_rate);
    (look.n_a, look.n_b) = (n, n);
}

fn units_per_arm(n_max: f64, k: u64, n_looks: u64) -> u64 {
    (0.5 * n_max * k as f64 / n_looks as f64).round() as u64
}

fn coverage(lift: f64, n_max: f64, rng: &mut Rng, tallies: &mut Tallies) {
    let settings = settings(MDE);
    let mut look = Look { n_a: 0, n_b: 0, x_a: 0, x_b: 0 };
    let mut seen = [false; 4];
    for k in 1..=N_LOOKS {
        grow(rng, &mut look, units_per_arm(n_max, k, N_LOOKS), RATE * (1.0 + lift));
        let (control, treatment) = (rate(look.n_a, look.x_a), rate(look.n_b, look.x_b));
        let test = two_arm_test(&control, &treatment, false, &settings);
        let (Some(boundary), Some(ci), Some(fieller)) = (test.boundary, test.ci, test.lift_ci) else { continue };
        let Some(delta) = delta_method_lift(&contrast(&look), boundary) else { continue };
        seen[FIELLER] |= fieller.excludes(lift);
        seen[DELTA] |= delta.ci.excludes(lift);
        seen[CONTRADICTS_FIELLER] |= fieller.excludes(0.0) != ci.excludes(0.0);
        seen[CONTRADICTS_DELTA] |= delta.ci.excludes(0.0) != ci.excludes(0.0);
    }
    for (i, seen) in seen.iter().enumerate() {
        tallies.hit(i, *seen);
    }
}

fn contrast(look: &Look) -> Contrast {
    let level = |n: u64, x: u64| {
        let (n, x) = (n as f64, x as f64);
        (x / n, rate_variance(x / n) / (n - 1.0))
    };
    let ((control, var_control), (treatment, var_treatment)) = (level(look.n_a, look.x_a), level(look.n_b, look.x_b));
    Contrast { treatment, control, var_treatment, var_control, covariance: 0.0 }
}

/// Whether futility was ever called although the effect is exactly the MDE.
fn futility(n_max: f64, rng: &mut Rng, tallies: &mut Tallies) {
    let mut engine = Engine::new(MDE);
    let mut look = Look { n_a: 0, n_b: 0, x_a: 0, x_b: 0 };
    let mut is_excluded = false;
    for k in 1..=N_LOOKS_FUTILITY {
        grow(rng, &mut look, units_per_arm(n_max, k, N_LOOKS_FUTILITY), RATE + MDE);
        let numbers = engine.poll(&[phase(1, 0.5, rate(look.n_a, look.x_a), rate(look.n_b, look.x_b))]).numbers;
        is_excluded |= numbers.futility_upper.is_some_and(|upper| upper < MDE);
    }
    tallies.hit(0, is_excluded);
}

pub fn run(runner: &Runner) -> Section {
    let n_max = planned([rate_variance(RATE), rate_variance(RATE + MDE)], 0.5, MDE).n_max as f64;
    let results = LIFTS.map(|lift| {
        let label = format!("T10 lift {lift}");
        runner.run(&label, 4, |rng, tallies| coverage(lift, n_max, rng, tallies))
    });
    let futility = runner.run("T10 futility", 1, |rng, tallies| futility(n_max, rng, tallies));
    let row = |which: usize, want| {
        let mut cells: Vec<_> = results.iter().map(|t| figure(t.get(which), want)).collect();
        cells.push(None);
        cells
    };
    let wrong = figure(futility.get(0), published(0.05, 2));
    Section {
        id: "T10",
        title: "Relative lift, and futility",
        scenario: format!(
            "5 % convert in control, an even split, the traffic of T1. Lift: {N_LOOKS} looks up to N_max; share of experiments whose \
             interval missed the true lift at any look, and in which it contradicted the absolute test at any look (one \
             excludes 0, the other does not). Futility: {N_LOOKS_FUTILITY} looks, an effect of exactly the MDE; share in which the bound at \
             0.10 ever excluded it."
        ),
        columns: ["lift -20 %", "lift 0", "lift 20 %", "lift 50 %", "effect = MDE"].map(str::to_owned).to_vec(),
        rows: vec![
            ours("Fieller misses the lift", row(FIELLER, between(0.019, 0.024, 3))),
            rival("delta method misses the lift", row(DELTA, between(0.024, 0.028, 3))),
            ours("Fieller contradicts the test", row(CONTRADICTS_FIELLER, None)),
            rival("delta method contradicts the test", row(CONTRADICTS_DELTA, None)),
            ours("futility wrongly called", vec![None, None, None, None, wrong]),
        ],
        reading: "Both cover. Only Fieller's interval never contradicts the absolute test. Futility is wrong half as often as its \
                  budget of 0.10 allows."
            .to_owned(),
        pictures: Vec::new(),
    }
}
