//! T2: what happens long after the planned end.

use outcome_stats::{Alpha, Estimate, Settings, Tau, Variance, mixture_test, r_star};

use crate::engine::settings;
use crate::methods::{ALPHA, Z_FIXED};
use crate::report::{Picture, Section, figure, ours, published, rival};
use crate::rng::{Rng, normal};
use crate::runner::Runner;
use crate::svg::{Lines, Series};
use crate::tally::Tallies;

const N_LOOKS: usize = 2000;
/// First and last look, in units of the plan.
const RANGE: [f64; 2] = [0.001, 100.0];
const CHECKPOINTS: [f64; 3] = [1.0, 10.0, 100.0];
/// Points of the picture.
const N_DRAWN: usize = 51;
/// Their names in the picture.
const DRAWN_AS: [&str; 4] = ["peeking", "tuned at each look", "tuned 10x early", "ours"];
const METHODS: [&str; 4] = ["peeking", "tau tuned again at each look", "tuned 10x early", "ours, tuned at the plan"];

/// Information at each look in units of `1 / tau^2`, and the share of the plan that it is.
fn looks() -> Vec<(f64, f64)> {
    let growth = (RANGE[1] / RANGE[0]).ln();
    let share = |i: usize| RANGE[0] * (growth * i as f64 / (N_LOOKS - 1) as f64).exp();
    let planned = r_star(Alpha::DEFAULT).r_star;
    (0..N_LOOKS).map(|i| (planned * share(i), share(i))).collect()
}

fn replicate(looks: &[(f64, f64)], tests: &[Settings; 2], rng: &mut Rng, tallies: &mut Tallies) {
    let critical = r_star(Alpha::DEFAULT).min_boundary;
    let [at_plan, early] = tests;
    let (mut score, mut before) = (0.0, 0.0);
    let mut rejected_at = [f64::INFINITY; METHODS.len()];
    for (information, share) in looks {
        score += (information - before).sqrt() * normal(rng);
        before = *information;
        let z = score / information.sqrt();
        let variance = Variance::try_new(1.0 / information).expect("some information");
        let estimate = Estimate { delta: score / information, variance };
        let rejects =
            |settings: &Settings| mixture_test(&estimate, settings).is_ok_and(|t| settings.alpha.rejects(t.ln_e));
        let says = [z.abs() > Z_FIXED, z.abs() >= critical, rejects(early), rejects(at_plan)];
        for (at, says) in rejected_at.iter_mut().zip(says) {
            if says && at.is_infinite() {
                *at = *share;
            }
        }
    }
    for (m, at) in rejected_at.iter().enumerate() {
        for (c, checkpoint) in CHECKPOINTS.iter().chain(&drawn()).enumerate() {
            // A look that is a checkpoint up to rounding counts.
            tallies.hit(m * (CHECKPOINTS.len() + N_DRAWN) + c, *at <= checkpoint * (1.0 + 1e-9));
        }
    }
}

fn drawn() -> Vec<f64> {
    let growth = (RANGE[1] / RANGE[0]).ln();
    (0..N_DRAWN).map(|i| RANGE[0] * (growth * i as f64 / (N_DRAWN - 1) as f64).exp()).collect()
}

pub fn run(runner: &Runner) -> Section {
    let per_method = CHECKPOINTS.len() + N_DRAWN;
    let looks = looks();
    // In units of tau; tuned ten times earlier is a tau larger by the root of ten.
    let early = Settings { tau: Tau::try_new(10.0_f64.sqrt()).expect("positive"), ..settings(1.0) };
    let tests = [settings(1.0), early];
    let tallies = runner.run("T2 long horizon", METHODS.len() * per_method, |rng, tallies| {
        replicate(&looks, &tests, rng, tallies);
    });
    let want = [
        [published(0.59, 2), None, published(0.77, 2)],
        [published(0.067, 3), published(0.086, 3), published(0.107, 3)],
        [published(0.033, 3), published(0.039, 3), published(0.042, 3)],
        [published(0.0165, 4), published(0.0326, 4), published(0.0397, 4)],
    ];
    let rows = METHODS.iter().zip(want).enumerate().map(|(m, (name, want))| {
        let figures = want.iter().enumerate().map(|(c, want)| figure(tallies.get(m * per_method + c), *want)).collect();
        if m == METHODS.len() - 1 { ours(*name, figures) } else { rival(*name, figures) }
    });
    let series = DRAWN_AS.iter().enumerate().map(|(m, name)| Series {
        name: (*name).to_owned(),
        points: drawn()
            .iter()
            .enumerate()
            .map(|(i, share)| (*share, tallies.get(m * per_method + CHECKPOINTS.len() + i).mean()))
            .collect(),
    });
    let picture = Lines {
        title: "Type I error long after the plan",
        description: "Share of experiments without an effect that were called significant, over the information in units of \
                      the planned one, on a logarithmic axis.",
        x_label: "information, in units of the plan",
        x_ticks: vec![(0.001, "0.001"), (0.01, "0.01"), (0.1, "0.1"), (1.0, "1"), (10.0, "10"), (100.0, "100")],
        y_top: 0.8,
        level: Some((ALPHA, "alpha = 0.05")),
        series: series.collect(),
        is_log: true,
    };
    Section {
        id: "T2",
        title: "A long horizon",
        scenario: "Brownian motion without drift, 2,000 looks evenly spaced in the logarithm of the information from 0.001 to 100 \
                   times the plan. The plan is the information at which the interval is narrowest (r = r*). Type I error by \
                   the end of the plan, ten and a hundred times later. Tuned again: r = r* at every look."
            .to_owned(),
        columns: ["at the plan", "10 times", "100 times"].map(str::to_owned).to_vec(),
        rows: rows.collect(),
        reading: "An always-valid test stays below alpha for ever; a test that chooses its tau at every look does not."
            .to_owned(),
        pictures: vec![Picture { file: "long-horizon.svg", title: picture.title, svg: picture.svg() }],
    }
}
