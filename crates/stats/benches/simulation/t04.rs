//! T4: revenue with few buyers and a 90/10 split, with different rules for when a test may start.

use outcome_stats::{ArmSums, Estimate, Settings, Variance, mixture_test};
use rand_distr::{Distribution as _, LogNormal};

use crate::engine::{Engine, phase, settings};
use crate::report::{Section, figure, ours, published, rival};
use crate::rng::{Rng, binomial};
use crate::runner::Runner;
use crate::tally::Tallies;

const BUYERS: f64 = 0.03;
const SIGMA: f64 = 1.5;
const SHARE: f64 = 0.1;
const MDE_RELATIVE: f64 = 0.5;
const N_LOOKS: u64 = 112;

/// One arm so far.
#[derive(Debug, Clone, Copy, Default)]
struct Arm {
    n: u64,
    buyers: u64,
    sum: f64,
    sum_squares: f64,
}

impl Arm {
    fn grow(&mut self, rng: &mut Rng, amount: &LogNormal<f64>, n: u64) {
        let buyers = binomial(rng, n - self.n, BUYERS);
        (self.n, self.buyers) = (n, self.buyers + buyers);
        for _ in 0..buyers {
            let value = amount.sample(rng);
            self.sum += value;
            self.sum_squares += value * value;
        }
    }

    fn sums(&self) -> ArmSums {
        ArmSums::Mean { n: self.n, sum: self.sum, sum_squares: self.sum_squares }
    }

    fn mean_and_variance(&self) -> (f64, f64) {
        let n = self.n as f64;
        (self.sum / n, (self.sum_squares - self.sum * self.sum / n) / (n - 1.0) / n)
    }
}

/// Starts of the test, in the order counted; then ours, then whether a false rejection says "worse".
const RULES: [&str; 6] = [
    "no gate",
    "25 buyers in each arm",
    "100 buyers in each arm",
    "100 units in each arm",
    "50 effective units in the smaller arm",
    "100 effective units in the smaller arm",
];
const OURS: usize = RULES.len();
const SAYS_WORSE: usize = OURS + 1;

fn replicate(mde: f64, n_total: f64, rng: &mut Rng, tallies: &mut Tallies) {
    let amount = LogNormal::new(0.0, SIGMA).expect("a positive sigma");
    let settings = settings(mde);
    let mut engine = Engine::new(mde);
    let (mut control, mut treatment) = (Arm::default(), Arm::default());
    let mut rejected = [false; RULES.len()];
    let mut says_worse = None;
    for k in 1..=N_LOOKS {
        let n = n_total * k as f64 / N_LOOKS as f64;
        control.grow(rng, &amount, (n * (1.0 - SHARE)).round() as u64);
        treatment.grow(rng, &amount, (n * SHARE).round() as u64);
        engine.poll(&[phase(1, SHARE, control.sums(), treatment.sums())]);
        let Some(delta) = ungated(&control, &treatment, &settings) else { continue };
        says_worse = says_worse.or(Some(delta < 0.0));
        let buyers = control.buyers.min(treatment.buyers);
        let effective = effective_units(&control, &treatment);
        let starts = [true, buyers >= 25, buyers >= 100, treatment.n >= 100, effective >= 50.0, effective >= 100.0];
        for (rejected, may_start) in rejected.iter_mut().zip(starts) {
            *rejected |= may_start;
        }
    }
    for (i, rejected) in rejected.iter().enumerate() {
        tallies.hit(i, *rejected);
    }
    tallies.hit(OURS, engine.has_rejected());
    if let Some(is_worse) = says_worse {
        tallies.hit(SAYS_WORSE, is_worse);
    }
}

/// Kish size of the pooled amounts, as expected in the smaller arm (STATS.md 2.1): what the gate of the engine judges.
fn effective_units(control: &Arm, treatment: &Arm) -> f64 {
    let sum = control.sum + treatment.sum;
    let share = treatment.n as f64 / (control.n + treatment.n) as f64;
    sum * sum / (control.sum_squares + treatment.sum_squares) * share
}

/// The effect, when our formula without a gate rejects.
fn ungated(control: &Arm, treatment: &Arm, settings: &Settings) -> Option<f64> {
    let ((mean_a, var_a), (mean_b, var_b)) = (control.mean_and_variance(), treatment.mean_and_variance());
    let (delta, variance) = (mean_b - mean_a, Variance::try_new(var_a + var_b).ok()?);
    let test = mixture_test(&Estimate { delta, variance }, settings).ok()?;
    settings.alpha.rejects(test.ln_e).then_some(delta)
}

pub fn run(runner: &Runner) -> Section {
    let mean = BUYERS * (0.5 * SIGMA * SIGMA).exp();
    let simulate = |label: &str, mde_relative: f64, n_total: f64| {
        runner.run(label, SAYS_WORSE + 1, |rng, tallies| replicate(mde_relative * mean, n_total, rng, tallies))
    };
    let base = simulate("T4 revenue", MDE_RELATIVE, 100_000.0);
    let longer = simulate("T4 revenue, longer", 0.3, 500_000.0);
    let want = [published(0.23, 2), published(0.14, 2), published(0.065, 3), None, None, None];
    let mut rows: Vec<_> = RULES
        .iter()
        .zip(want)
        .enumerate()
        .map(|(i, (name, want))| rival(*name, vec![figure(base.get(i), want), figure(longer.get(i), None)]))
        .collect();
    let measured = vec![figure(base.get(OURS), published(0.036, 3)), figure(longer.get(OURS), None)];
    rows.push(ours("ours, 25 effective units in the smaller arm", measured));
    rows.push(rival(
        "false rejections without a gate that say \"worse\"",
        vec![figure(base.get(SAYS_WORSE), None), figure(longer.get(SAYS_WORSE), None)],
    ));
    Section {
        id: "T4",
        title: "Revenue with few buyers",
        scenario: "3 % of the units buy, for an amount that is lognormal with sigma 1.5; 90 % control, 10 % treatment, no effect, \
                   112 evenly spaced looks. First column: up to 100,000 units, MDE 50 % of the mean. Second: up to 500,000 \
                   units, MDE 30 %."
            .to_owned(),
        columns: ["type I, 100,000 units", "type I, 500,000 units"].map(str::to_owned).to_vec(),
        rows,
        reading: "Until enough buyers came, the small arm has not met its rare large amounts: mean and variance are both too \
                  small, and the treatment looks worse. The gate on effective units brings the error below alpha at 100,000 \
                  units, not to the usual 0.02. **It is not below alpha everywhere**: with a smaller MDE and a longer run \
                  (second column) the error of the engine is above 0.05. Amounts this skewed at a split this uneven need a \
                  larger gate, as the rows with 50 and 100 show (STATS.md 6 leaves it open), or amounts capped at the source. \
                  STATS.md gives neither looks nor horizon."
            .to_owned(),
        pictures: Vec::new(),
    }
}
