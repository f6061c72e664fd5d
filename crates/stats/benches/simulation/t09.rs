//! T9: before against after, without a control.

use outcome_stats::{Alpha, pre_post};

use crate::report::{Section, figure, ours, published, rival};
use crate::rng::{Rng, normal};
use crate::runner::Runner;
use crate::tally::Tallies;

const WEEKS_BEFORE: usize = 8;
/// Looks after 2 to 12 weeks.
const WEEKS_AFTER: usize = 12;
const N_LOOKS: f64 = 11.0;
/// Autocorrelation from day to day, and drift per week in standard deviations of a day.
const CASES: [(f64, f64); 5] = [(0.0, 0.0), (0.5, 0.0), (0.8, 0.0), (0.9, 0.0), (0.0, 0.1)];

/// What is counted.
const NAIVE: usize = 0;
const BONFERRONI: usize = 1;
const OURS: usize = 2;

fn replicate(case: (f64, f64), critical: [f64; 2], rng: &mut Rng, tallies: &mut Tallies) {
    let (phi, drift) = case;
    let mut state = normal(rng);
    let days: Vec<f64> = (0..7 * (WEEKS_BEFORE + WEEKS_AFTER))
        .map(|day| {
            let value = state + drift * (day / 7) as f64;
            state = phi * state + (1.0 - phi * phi).sqrt() * normal(rng);
            value
        })
        .collect();
    let weeks: Vec<f64> = days.chunks(7).map(|week| week.iter().sum::<f64>() / 7.0).collect();
    let (days_before, days_after) = days.split_at(7 * WEEKS_BEFORE);
    let (before, after) = weeks.split_at(WEEKS_BEFORE);
    let mut rejected = [false; 3];
    for weeks in 2..=WEEKS_AFTER {
        let t = pooled_t(days_before, &days_after[..7 * weeks]).abs();
        rejected[NAIVE] |= t > critical[NAIVE];
        rejected[BONFERRONI] |= t > critical[BONFERRONI];
        let test = pre_post(before, &after[..weeks], Alpha::DEFAULT);
        rejected[OURS] |= test.ln_e.is_some_and(|ln_e| Alpha::DEFAULT.rejects(ln_e));
    }
    for (i, rejected) in rejected.iter().enumerate() {
        tallies.hit(i, *rejected);
    }
}

/// Two-sample t over days, as if they were independent.
fn pooled_t(a: &[f64], b: &[f64]) -> f64 {
    let moments = |x: &[f64]| {
        let n = x.len() as f64;
        let mean = x.iter().sum::<f64>() / n;
        (n, mean, x.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>())
    };
    let ((n_a, mean_a, ss_a), (n_b, mean_b, ss_b)) = (moments(a), moments(b));
    let variance = (ss_a + ss_b) / (n_a + n_b - 2.0) * (1.0 / n_a + 1.0 / n_b);
    (mean_b - mean_a) / variance.sqrt()
}

pub fn run(runner: &Runner) -> Section {
    let student = |tail: f64| {
        use statrs::distribution::{ContinuousCDF as _, StudentsT};
        let freedom = (7 * (WEEKS_BEFORE + WEEKS_AFTER) - 2) as f64;
        StudentsT::new(0.0, 1.0, freedom).expect("degrees of freedom").inverse_cdf(1.0 - tail)
    };
    let critical = [student(0.025), student(0.025 / N_LOOKS)];
    let results = CASES.map(|case| {
        let label = format!("T9 autocorrelation {}, drift {}", case.0, case.1);
        runner.run(&label, 3, |rng, tallies| replicate(case, critical, rng, tallies))
    });
    let row =
        |which: usize, want: [_; 5]| results.iter().zip(want).map(|(t, want)| figure(t.get(which), want)).collect();
    let naive = [published(0.03, 2), published(0.30, 2), published(0.68, 2), published(0.82, 2), None];
    let engine =
        [published(0.006, 3), published(0.011, 3), published(0.033, 3), published(0.064, 3), published(0.46, 2)];
    Section {
        id: "T9",
        title: "Before against after",
        scenario: format!(
            "Daily values with a given autocorrelation from day to day (AR(1), stationary), {WEEKS_BEFORE} weeks before and looks after 2 to \
             {WEEKS_AFTER} weeks, 11 in all. Nothing happened in between. Last column: independent days on a drift of 0.1 daily \
             standard deviations per week that was there all the time. Share of series called moved."
        ),
        columns: ["AR 0", "AR 0.5", "AR 0.8", "AR 0.9", "drift"].map(str::to_owned).to_vec(),
        rows: vec![
            rival("daily t test at each look", row(NAIVE, [None; 5])),
            rival("daily t test, Bonferroni over looks", row(BONFERRONI, naive)),
            ours("ours, weekly blocks", row(OURS, engine)),
        ],
        reading: "Weekly blocks with an estimated autocorrelation hold up to 0.8 and are slightly too eager at 0.9. No test of one \
                  series can tell a drift from an effect; that is why the engine calls it observational. STATS.md does not say \
                  which critical value its naive t test used: its figures lie just above a Bonferroni correction over the \
                  looks and far below plain peeking."
            .to_owned(),
        pictures: Vec::new(),
    }
}
