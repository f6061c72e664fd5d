//! T11: the planner's recursion against simulation.

use outcome_stats::{Alpha, Estimate, Settings, Variance, mixture_test, plan_constant, sample_size};

use crate::engine::settings;
use crate::report::{Section, figure, ours, published};
use crate::rng::{Rng, normal};
use crate::runner::Runner;
use crate::tally::Tallies;

const N_LOOKS: u32 = 100;
/// Alpha, power, and the published expected sample at the MDE in units of the fixed one.
const PLANS: [(f64, f64, f64); 6] =
    [(0.10, 0.8, 1.05), (0.05, 0.8, 1.02), (0.05, 0.9, 0.82), (0.05, 0.95, 0.68), (0.01, 0.8, 0.98), (0.01, 0.9, 0.81)];

/// `end`: information at the last look, in units of `1 / MDE^2`.
fn replicate(end: f64, inflation: f64, settings: &Settings, rng: &mut Rng, tallies: &mut Tallies) {
    let step = end / f64::from(N_LOOKS);
    let mut score = 0.0;
    let mut found_at = None;
    for k in 1..=N_LOOKS {
        score += step + step.sqrt() * normal(rng);
        let information = step * f64::from(k);
        let variance = Variance::try_new(1.0 / information).expect("some information");
        let test = mixture_test(&Estimate { delta: score / information, variance }, settings);
        if test.is_ok_and(|test| settings.alpha.rejects(test.ln_e)) {
            found_at = Some(k);
            break;
        }
    }
    tallies.hit(0, found_at.is_some());
    tallies.add(1, inflation * f64::from(found_at.unwrap_or(N_LOOKS)) / f64::from(N_LOOKS));
}

pub fn run(runner: &Runner) -> Section {
    let rows = PLANS.map(|(alpha, power, expected)| {
        let alpha = Alpha::try_new(alpha).expect("an alpha");
        let end = plan_constant(alpha, power, N_LOOKS).expect("a possible plan").c;
        let inflation = inflation(alpha, power);
        let settings = Settings { alpha, ..settings(1.0) };
        let label = format!("T11 alpha {}, power {power}", alpha.get());
        let tallies = runner.run(&label, 2, |rng, tallies| replicate(end, inflation, &settings, rng, tallies));
        ours(
            format!("alpha {}, power {power}, C = {end:.2}, N_max/N_fixed = {inflation:.3}", alpha.get()),
            vec![figure(tallies.get(0), published(power, 2)), figure(tallies.get(1), published(expected, 2))],
        )
    });
    Section {
        id: "T11",
        title: "Planning",
        scenario: format!(
            "An effect of exactly the MDE, {N_LOOKS} evenly spaced looks up to the N_max that the planner of the engine computes by \
             recursion. The published power is the one that was asked for."
        ),
        columns: ["power", "E[N]/N_fixed"].map(str::to_owned).to_vec(),
        rows: rows.into(),
        reading: "The plan keeps what it promises.".to_owned(),
        pictures: Vec::new(),
    }
}

/// `N_max / N_fixed`, from sizes large enough that rounding to whole units does not matter.
fn inflation(alpha: Alpha, power: f64) -> f64 {
    let size = sample_size(&outcome_stats::SampleSizeInput {
        unit_variance_control: 1.0,
        unit_variance_treatment: 1.0,
        weight_control: 1.0,
        weight_treatment: 1.0,
        mde_abs: 1e-3,
        alpha,
        power,
        test: outcome_stats::PlannedTest::TwoSided { n_looks: N_LOOKS },
    })
    .expect("a possible plan");
    size.n_max as f64 / size.n_fixed as f64
}
