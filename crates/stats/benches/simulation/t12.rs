//! T12: rules that sound sensible: decisions on point estimates, p-values that come and go, multiplied evidence.

use outcome_stats::Recommendation;

use crate::engine::{Engine, phase, planned, rate, rate_variance};
use crate::methods::Look;
use crate::report::{Section, figure, ours, rival};
use crate::rng::{Rng, binomial};
use crate::runner::Runner;
use crate::tally::Tallies;

const RATE: f64 = 0.05;
const MDE: f64 = 0.005;
const N_LOOKS: u32 = 112;
/// Looks of the first week.
const FIRST_WEEK: u32 = 28;
/// Effects, in units of the MDE.
const EFFECTS: [f64; 3] = [0.0, 1.0, -1.0];

/// What is counted.
const SHIPPED: usize = 0;
const KILLED: usize = 1;
const KILLED_BY_POINT: usize = 2;
const SHIPPED_ABOVE_MDE: usize = 3;
const PRODUCT: usize = 4;
const CAME_AND_WENT: usize = 5;
const LOOKS_SAFE: usize = 6;
const N_COUNTED: usize = 7;

fn replicate(effect: f64, n_max: f64, rng: &mut Rng, tallies: &mut Tallies) {
    let mut engine = Engine::new(MDE);
    let mut look = Look { n_a: 0, n_b: 0, x_a: 0, x_b: 0 };
    let mut seen = [false; N_COUNTED];
    let mut end = None;
    let mut ln_product = 0.0;
    let mut was_significant = false;
    for k in 1..=N_LOOKS {
        let n = (0.5 * n_max * f64::from(k) / f64::from(N_LOOKS)).round() as u64;
        look.x_a += binomial(rng, n - look.n_a, RATE);
        look.x_b += binomial(rng, n - look.n_b, RATE + effect);
        (look.n_a, look.n_b) = (n, n);
        let assessed = engine.poll(&[phase(1, 0.5, rate(n, look.x_a), rate(n, look.x_b))]);
        if end.is_none() && matches!(assessed.recommendation, Recommendation::Ship | Recommendation::KillHarm) {
            end = Some(assessed.recommendation);
        }
        let numbers = assessed.numbers;
        let (Some(ci), Some(ln_e), Some(estimate)) = (numbers.ci, numbers.ln_e, numbers.effect) else { continue };
        let is_after_week = k >= FIRST_WEEK;
        seen[KILLED_BY_POINT] |= is_after_week && estimate < 0.0;
        seen[SHIPPED_ABOVE_MDE] |= is_after_week && ci.lower.is_some_and(|lower| lower > MDE);
        ln_product += ln_e;
        seen[PRODUCT] |= ln_product >= -crate::methods::ALPHA.ln();
        let is_significant = ci.excludes(0.0);
        seen[CAME_AND_WENT] |= was_significant && !is_significant;
        was_significant |= is_significant;
        seen[LOOKS_SAFE] |= k == N_LOOKS && !ci.upper.is_some_and(|upper| upper < 0.0);
    }
    seen[SHIPPED] = end == Some(Recommendation::Ship);
    seen[KILLED] = end == Some(Recommendation::KillHarm);
    for (i, seen) in seen.iter().enumerate() {
        tallies.hit(i, *seen);
    }
}

pub fn run(runner: &Runner) -> Section {
    let n_max = planned([rate_variance(RATE), rate_variance(RATE + MDE)], 0.5, MDE).n_max as f64;
    let results = EFFECTS.map(|effect| {
        let label = format!("T12 effect {effect} MDE");
        runner.run(&label, N_COUNTED, |rng, tallies| replicate(effect * MDE, n_max, rng, tallies))
    });
    let row = |which: usize| results.iter().map(|t| figure(t.get(which), None)).collect();
    Section {
        id: "T12",
        title: "Rules that sound sensible",
        scenario: "The experiment of T1 with an effect of 0, 1 or -1 MDE, decided by the engine (thresholds 0) and by other rules. Share \
                   of experiments."
            .to_owned(),
        columns: ["no effect", "1 MDE better", "1 MDE worse"].map(str::to_owned).to_vec(),
        rows: vec![
            ours("ours: ship", row(SHIPPED)),
            ours("ours: kill_harm", row(KILLED)),
            rival("killed on a negative point estimate after a week", row(KILLED_BY_POINT)),
            rival("shipped only with the interval above the MDE", row(SHIPPED_ABOVE_MDE)),
            rival("called significant by the product of the e-values of all looks", row(PRODUCT)),
            rival("significant at a look, not at a later one", row(CAME_AND_WENT)),
            rival("\"no significant harm\" at the end", row(LOOKS_SAFE)),
        ],
        reading: "Each rule is wrong in its own column: a point estimate kills good treatments, a threshold of the MDE ships none of the \
                  effect the test was planned for, e-values of the same data do not multiply, a current interval comes and goes \
                  where the running p stays, and \"no significant harm\" is also said of a treatment that does harm. STATS.md publishes \
                  no figures for these."
            .to_owned(),
        pictures: Vec::new(),
    }
}
