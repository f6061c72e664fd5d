//! T3: a ramp, with and without a baseline that moves.

use outcome_stats::{ArmSums, Phase};

use crate::engine::{Engine, LOOKS_PER_DAY, phase, planned, rate, rate_variance};
use crate::methods::sample_clock_rejects;
use crate::report::{Section, figure, ours, published, rival};
use crate::rng::{Rng, binomial};
use crate::runner::Runner;
use crate::tally::Tallies;

const SHARES: [f64; 4] = [0.01, 0.05, 0.20, 0.50];
/// Units of both arms per look, as in T1.
const UNITS: u64 = 932;
const RATE: f64 = 0.05;
const MDE: f64 = 0.005;
/// Days of each step before the last.
const STEP_DAYS: u32 = 7;

/// One ramp: rate of both arms in each phase, days of the last phase.
struct Ramp {
    rates: [f64; 4],
    last_days: u32,
}

/// What is counted.
const PER_PHASE: usize = 0;
const POOLED: usize = 1;
const SAMPLE_CLOCK: usize = 2;

fn replicate(ramp: &Ramp, n_fixed: f64, rng: &mut Rng, tallies: &mut Tallies) {
    let (mut engine, mut pooled_engine) = (Engine::new(MDE), Engine::new(MDE));
    let mut phases: Vec<Phase> = Vec::new();
    let mut is_rejected_by_clock = false;
    for (number, (share, p)) in (1..).zip(SHARES.iter().zip(ramp.rates)) {
        phases.push(phase(number, *share, rate(0, 0), rate(0, 0)));
        let days = if *share < 0.5 { STEP_DAYS } else { ramp.last_days };
        for _ in 0..days * LOOKS_PER_DAY {
            let treated = binomial(rng, UNITS, *share);
            if let Some(now) = phases.last_mut() {
                let x = binomial(rng, UNITS - treated, p);
                now.control = sum(now.control, rate(UNITS - treated, x));
                now.treatment = sum(now.treatment, rate(treated, binomial(rng, treated, p)));
            }
            let numbers = engine.poll(&phases).numbers;
            if let (Some(effect), Some(se)) = (numbers.effect, numbers.standard_error) {
                let n = (numbers.n_control + numbers.n_treatment) as f64;
                is_rejected_by_clock |= sample_clock_rejects(effect / se, n, n_fixed);
            }
            pooled_engine.poll(&[pooled(&phases)]);
        }
    }
    tallies.hit(PER_PHASE, engine.has_rejected());
    tallies.hit(POOLED, pooled_engine.has_rejected());
    tallies.hit(SAMPLE_CLOCK, is_rejected_by_clock);
}

/// The mistake: one phase with the sums of all.
fn pooled(phases: &[Phase]) -> Phase {
    let all = |arm: fn(&Phase) -> ArmSums| phases.iter().map(arm).fold(rate(0, 0), sum);
    phase(1, 0.5, all(|p| p.control), all(|p| p.treatment))
}

fn sum(a: ArmSums, b: ArmSums) -> ArmSums {
    match (a, b) {
        (ArmSums::Proportion { n, successes }, ArmSums::Proportion { n: m, successes: x }) => {
            rate(n + m, successes + x)
        }
        _ => a,
    }
}

pub fn run(runner: &Runner) -> Section {
    let n_fixed = planned([rate_variance(RATE), rate_variance(RATE + MDE)], 0.5, MDE).n_fixed as f64;
    let simulate =
        |label: &str, ramp: Ramp| runner.run(label, 3, |rng, tallies| replicate(&ramp, n_fixed, rng, tallies));
    let steady = simulate("T3 steady baseline", Ramp { rates: [RATE; 4], last_days: STEP_DAYS });
    let moving = simulate("T3 moving baseline", Ramp { rates: [0.05, 0.06, 0.07, 0.08], last_days: STEP_DAYS });
    let longer = simulate("T3 longer", Ramp { rates: [RATE; 4], last_days: 4 * STEP_DAYS });
    Section {
        id: "T3",
        title: "A ramp",
        scenario: format!(
            "The treatment gets 1, 5, 20, then 50 % of the traffic, a week each; {UNITS} units per look, four looks a day, 5 % \
             convert in both arms, MDE 10 % relative. Moving baseline: 5, 6, 7, 8 % convert in the four weeks, the same in both \
             arms. Longer: the last step lasts four weeks."
        ),
        columns: ["type I", "moving baseline", "longer"].map(str::to_owned).to_vec(),
        rows: vec![
            rival(
                "sums pooled over the phases",
                vec![
                    figure(steady.get(POOLED), None),
                    figure(moving.get(POOLED), published(1.0, 2)),
                    figure(longer.get(POOLED), None),
                ],
            ),
            rival(
                "sample count as clock, tuned at N_fixed, on our z",
                vec![
                    figure(steady.get(SAMPLE_CLOCK), None),
                    figure(moving.get(SAMPLE_CLOCK), None),
                    figure(longer.get(SAMPLE_CLOCK), published(0.0445, 4)),
                ],
            ),
            ours(
                "ours, scores added per phase",
                vec![
                    figure(steady.get(PER_PHASE), published(0.017, 3)),
                    figure(moving.get(PER_PHASE), None),
                    figure(longer.get(PER_PHASE), published(0.0248, 4)),
                ],
            ),
        ],
        reading: "Pooled sums call the season an effect. The sample clock runs while almost no units are treated, so it is not the \
                  clock of the information. STATS.md gives neither traffic nor steps; these are the traffic of T1 and weeks."
            .to_owned(),
        pictures: Vec::new(),
    }
}
