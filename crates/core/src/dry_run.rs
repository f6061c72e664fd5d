//! A dry run of an experiment's decision policy: its exact plan, poll times, guardrails and stopping rules over synthetic
//! units, before anybody is exposed.
//!
//! It stands by itself on the map, since the statistics know no synthetic units and a hypothesis no plan yet: gates and
//! `simulate` show what it finds.
//!
//! **Invariant**: pure. The same input and seed give the same report; the decisions are those of [`crate::stats`].

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Binomial, Distribution as _, Poisson, StandardNormal};
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Code, Error, Result};
use crate::stats::{
    ArmSums, DataHealth, Evaluation, Guardrail, GuardrailReading, HarmDirection, Margin, Phase, Recommendation,
    RunningState, Scope, TestPlan, assess,
};

/// What one unit's value looks like without the experiment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schemars(inline)]
pub enum Population {
    /// A share of units converts.
    Rate {
        /// In (0, 1).
        rate: f64,
    },
    /// One number per unit.
    Mean {
        /// Mean over units.
        mean: f64,
        /// Standard deviation over units, > 0.
        standard_deviation: f64,
    },
}

/// One day of the metric without the experiment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Day {
    /// What units look like.
    pub population: Population,
    /// Units that enter the experiment, both arms together, > 0.
    pub units: f64,
}

/// A metric that must not get worse, at its own stated level.
#[derive(Debug, Clone, PartialEq)]
pub struct GuardrailPolicy {
    /// Its name.
    pub name: String,
    /// What units look like.
    pub population: Population,
    /// Which way is harm.
    pub harm_direction: HarmDirection,
    /// Tolerated harm.
    pub margin: Margin,
    /// Whether shipping needs the proof.
    pub must_prove: bool,
}

/// What is run.
#[derive(Debug, Clone)]
pub struct DryRun {
    /// The frozen plan; its `max_days` ends the run.
    pub plan: TestPlan,
    /// Share of the units that get the treatment, in (0, 1).
    pub treatment_share: f64,
    /// The days of the metric, repeated from the start when the plan is longer. At least one.
    pub days: Vec<Day>,
    /// Polls a day, at least 1.
    pub polls_per_day: u32,
    /// Metrics that must not get worse; none of them does.
    pub guardrails: Vec<GuardrailPolicy>,
    /// True effects that are tried, in metric units as measured: 0 for the false-alarm rate.
    pub effects: Vec<f64>,
    /// Runs for each effect, at least 1.
    pub replications: u32,
    /// Any number; the same gives the same report.
    pub seed: u64,
}

/// What comes out for one true effect. Shares are of all runs, in [0, 1].
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct EffectReport {
    /// The true effect, in metric units.
    pub effect: f64,
    /// Runs that ended with "ship".
    pub ship: f64,
    /// Runs that ended because of harm.
    pub kill_harm: f64,
    /// Runs that ended because the declared effect was excluded.
    pub kill_futility: f64,
    /// Runs that a guardrail ended, though none was harmed: false stops.
    pub false_guardrail_stop: f64,
    /// Runs that reached the end of the plan without an answer.
    pub inconclusive: f64,
    /// Runs that were held until the end because traffic looked wrong, though it was not.
    pub held: f64,
    /// Mean days until the end of a run.
    pub expected_days: f64,
    /// Share of the runs that had ended after each day, from day 1.
    pub ended_by_day: Vec<f64>,
}

/// The report of a dry run.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct DryRunReport {
    /// Runs for each effect.
    pub replications: u32,
    /// Repeats the report.
    pub seed: u64,
    /// Looks at the data in a full run.
    pub n_polls: u32,
    /// Error rate of the test.
    pub alpha: f64,
    /// Share of runs without any effect that ended with "ship" or with "harm"; `None` when no effect of 0 was tried.
    pub false_alarm_rate: Option<f64>,
    /// Its Monte Carlo standard error at the nominal rate.
    pub standard_error: f64,
    /// By true effect, in the order given.
    pub effects: Vec<EffectReport>,
}

impl DryRun {
    /// Runs it. `progress` hears of finished runs and of how many there are.
    ///
    /// # Errors
    /// [`Code::InvalidInput`] for a share, a rate or a number of units that is out of range.
    pub fn run(&self, mut progress: impl FnMut(u64, u64)) -> Result<DryRunReport> {
        self.check()?;
        let total = self.effects.len() as u64 * u64::from(self.replications);
        let mut done = 0;
        let mut effects = Vec::new();
        for (index, effect) in self.effects.iter().enumerate() {
            let mut tally = Tally::new(*effect, self.n_days());
            for replication in 0..self.replications {
                // One stream for each run: the report of one effect does not depend on the others.
                let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
                rng.set_stream((index as u64) << 32 | u64::from(replication));
                let (decision, day) = self.play(*effect, &mut rng)?;
                tally.add(decision, day);
                done += 1;
                if done % 64 == 0 || done == total {
                    progress(done, total);
                }
            }
            effects.push(tally.report(self.replications));
        }
        let alpha = self.plan.alpha.get();
        let is_null = |report: &&EffectReport| report.effect.abs() <= 0.0;
        Ok(DryRunReport {
            replications: self.replications,
            seed: self.seed,
            n_polls: self.n_days() * self.polls_per_day,
            alpha,
            false_alarm_rate: effects.iter().find(is_null).map(|report| report.ship + report.kill_harm),
            standard_error: (alpha * (1.0 - alpha) / f64::from(self.replications)).sqrt(),
            effects,
        })
    }

    fn n_days(&self) -> u32 {
        self.plan.max_days.unwrap_or(28).max(1)
    }

    fn check(&self) -> Result<()> {
        let bad = |what: &str, valid: &str| {
            Err(Error::new(Code::InvalidInput, format!("the dry run cannot start: {what}")).hint(valid.to_owned()))
        };
        if self.days.is_empty() || self.replications == 0 || self.polls_per_day == 0 {
            return bad("it has no days, no polls or no replications", "give at least one of each");
        }
        if self.polls_per_day > 1440 || self.n_days() > 3650 {
            return bad("it has too many polls", "at most 1440 polls a day and 3650 days");
        }
        if !(self.treatment_share > 0.0 && self.treatment_share < 1.0) {
            return bad("the share of the treatment is not between 0 and 1", "0.5 splits evenly");
        }
        if self.days.iter().any(|day| !(day.units > 0.0 && day.units <= 1e9)) {
            return bad("the daily units are not between 0 and a billion", "state the traffic of the experiment");
        }
        let all = self.days.iter().map(|day| &day.population).chain(self.guardrails.iter().map(|g| &g.population));
        let is_possible = |population: &Population| match *population {
            Population::Rate { rate } => rate > 0.0 && rate < 1.0,
            Population::Mean { mean, standard_deviation: sd } => mean.is_finite() && sd > 0.0 && sd.is_finite(),
        };
        if !all.into_iter().all(is_possible) || self.effects.iter().any(|effect| !effect.is_finite()) {
            return bad("a level is impossible", "a rate lies between 0 and 1, a standard deviation above 0");
        }
        Ok(())
    }

    /// One run: the decision that ended it, and on which day, from 1.
    fn play(&self, effect: f64, rng: &mut ChaCha8Rng) -> Result<(Recommendation, u32)> {
        let mut state = RunningState::default();
        let mut arms = [Arm::default(); 2];
        let mut guards = vec![[Arm::default(); 2]; self.guardrails.len()];
        let kind = self.days.first().map_or(Population::Rate { rate: 0.5 }, |day| day.population);
        let mut last = Recommendation::Continue;
        for poll in 1..=self.n_days() * self.polls_per_day {
            let elapsed_days = f64::from(poll) / f64::from(self.polls_per_day);
            let today = (poll - 1) / self.polls_per_day;
            let Some(day) = self.days.get(today as usize % self.days.len()) else { break };
            let [n_control, n_treatment] = self.arrivals(day.units / f64::from(self.polls_per_day), rng)?;
            for (arm, n, effect) in [(0, n_control, 0.0), (1, n_treatment, effect)] {
                if let Some(arm) = arms.get_mut(arm) {
                    arm.add(&day.population, effect, n, rng)?;
                }
            }
            for (guard, policy) in guards.iter_mut().zip(&self.guardrails) {
                for (arm, n) in guard.iter_mut().zip([n_control, n_treatment]) {
                    arm.add(&policy.population, 0.0, n, rng)?;
                }
            }
            let phase = [self.phase(&kind, &arms)];
            let guard_phases: Vec<[Phase; 1]> =
                guards.iter().zip(&self.guardrails).map(|(arms, g)| [self.phase(&g.population, arms)]).collect();
            let guardrails: Vec<Guardrail<'_>> =
                self.guardrails.iter().zip(&guard_phases).map(|(policy, phases)| policy.reading(phases)).collect();
            let assessed = assess(
                &Evaluation {
                    plan: &self.plan,
                    phases: &phase,
                    elapsed_days,
                    as_of: i64::from(poll) * (86_400 / i64::from(self.polls_per_day)),
                    guardrails: &guardrails,
                    health: DataHealth::default(),
                    scope: Scope::default(),
                },
                &mut state,
            );
            last = assessed.recommendation;
            let is_going_on = matches!(last, Recommendation::Continue | Recommendation::HoldDataQuality);
            if !is_going_on {
                return Ok((last, today + 1));
            }
        }
        Ok((last, self.n_days()))
    }

    fn arrivals(&self, expected: f64, rng: &mut ChaCha8Rng) -> Result<[u64; 2]> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of at most a billion or so"
        )]
        let n = Poisson::new(expected).map_err(impossible)?.sample(rng) as u64;
        let n_treatment = Binomial::new(n, self.treatment_share).map_err(impossible)?.sample(rng);
        Ok([n - n_treatment, n_treatment])
    }

    fn phase(&self, kind: &Population, [control, treatment]: &[Arm; 2]) -> Phase {
        Phase {
            number: 0,
            control_weight: 1.0 - self.treatment_share,
            treatment_weight: self.treatment_share,
            control: control.sums(kind),
            treatment: treatment.sums(kind),
        }
    }
}

impl GuardrailPolicy {
    fn reading<'a>(&'a self, phases: &'a [Phase]) -> Guardrail<'a> {
        Guardrail {
            name: &self.name,
            must_prove: self.must_prove,
            reading: GuardrailReading::RelativeToControl {
                phases,
                harm_direction: self.harm_direction,
                margin: self.margin,
                tau: None,
                is_signed: false,
            },
        }
    }
}

fn impossible(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(Code::InvalidInput, "the stated traffic or level cannot be drawn from").because(error)
}

/// Cumulative sums of one arm; a rate keeps its successes in `sum`.
#[derive(Debug, Clone, Copy, Default)]
struct Arm {
    n: u64,
    successes: u64,
    sum: f64,
    sum_squares: f64,
}

impl Arm {
    fn add(&mut self, population: &Population, effect: f64, n: u64, rng: &mut ChaCha8Rng) -> Result<()> {
        self.n += n;
        match *population {
            Population::Rate { rate } => {
                let rate = (rate + effect).clamp(0.0, 1.0);
                self.successes += Binomial::new(n, rate).map_err(impossible)?.sample(rng);
            }
            Population::Mean { mean, standard_deviation: sd } => {
                // Sums of many units are normal; their squares follow with the fourth moment of a normal value.
                let (mean, n) = (mean + effect, n as f64);
                let noise: f64 = sd * n.sqrt() * rng.sample::<f64, _>(StandardNormal);
                let squares = (n + (2.0 * n).sqrt() * rng.sample::<f64, _>(StandardNormal)).max(0.0) * sd * sd;
                self.sum += n * mean + noise;
                self.sum_squares += n * mean * mean + 2.0 * mean * noise + squares.max(noise * noise / n.max(1.0));
            }
        }
        Ok(())
    }

    fn sums(&self, population: &Population) -> ArmSums {
        match population {
            Population::Rate { .. } => ArmSums::Proportion { n: self.n, successes: self.successes },
            Population::Mean { .. } => ArmSums::Mean { n: self.n, sum: self.sum, sum_squares: self.sum_squares },
        }
    }
}

#[derive(Debug)]
struct Tally {
    effect: f64,
    counts: [u32; 6],
    days: u64,
    ended: Vec<u32>,
}

impl Tally {
    fn new(effect: f64, n_days: u32) -> Self {
        Self { effect, counts: [0; 6], days: 0, ended: vec![0; n_days as usize] }
    }

    fn add(&mut self, decision: Recommendation, day: u32) {
        let place = match decision {
            Recommendation::Ship => 0,
            Recommendation::KillHarm => 1,
            Recommendation::KillFutility => 2,
            Recommendation::KillGuardrail | Recommendation::HoldAlert => 3,
            Recommendation::IterateInconclusive
            | Recommendation::IterateGuardrailUnproven
            | Recommendation::Continue => 4,
            Recommendation::HoldSrm | Recommendation::HoldDataQuality => 5,
        };
        if let Some(count) = self.counts.get_mut(place) {
            *count += 1;
        }
        if let Some(ended) = self.ended.get_mut((day as usize).saturating_sub(1)) {
            *ended += 1;
        }
        self.days += u64::from(day);
    }

    fn report(self, replications: u32) -> EffectReport {
        let share = |count: u32| f64::from(count) / f64::from(replications);
        let [ship, kill_harm, kill_futility, false_guardrail_stop, inconclusive, held] = self.counts.map(share);
        let mut so_far = 0;
        let ended_by_day = self
            .ended
            .iter()
            .map(|count| {
                so_far += count;
                share(so_far)
            })
            .collect();
        EffectReport {
            effect: self.effect,
            ship,
            kill_harm,
            kill_futility,
            false_guardrail_stop,
            inconclusive,
            held,
            expected_days: self.days as f64 / f64::from(replications),
            ended_by_day,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Alpha;

    fn run(effects: &[f64], change: impl FnOnce(&mut DryRun)) -> DryRunReport {
        let plan = TestPlan { mde_abs: Some(0.01), max_days: Some(28), min_runtime_days: 7, ..TestPlan::default() };
        let day = Day { population: Population::Rate { rate: 0.1 }, units: 1500.0 };
        let mut dry_run = DryRun {
            plan,
            treatment_share: 0.5,
            days: vec![day],
            polls_per_day: 1,
            guardrails: Vec::new(),
            effects: effects.to_vec(),
            replications: 300,
            seed: 7,
        };
        change(&mut dry_run);
        dry_run.run(|_, _| {}).unwrap()
    }

    #[test]
    fn without_an_effect_alarms_are_rare_and_with_a_large_one_it_ships() {
        let report = run(&[0.0, 0.03, -0.03], |_| {});
        let [none, gain, harm] = &report.effects[..] else { panic!("{report:?}") };
        assert!(report.false_alarm_rate.unwrap() <= 0.05 + 4.0 * report.standard_error, "{none:?}");
        assert!(gain.ship > 0.95 && harm.kill_harm > 0.95, "{report:?}");
        assert!(harm.expected_days < gain.expected_days, "harm waits for no minimum runtime");
        assert!((gain.ended_by_day[27] - 1.0).abs() < 1e-12 && gain.ended_by_day[5] <= 0.05);
    }

    #[test]
    fn the_same_seed_repeats_the_report_and_another_does_not() {
        let report = run(&[0.005], |_| {});
        assert_eq!(report, run(&[0.005], |_| {}));
        assert_ne!(report, run(&[0.005], |dry_run| dry_run.seed = 8));
    }

    #[test]
    fn amounts_and_guardrails_are_played_too() {
        let report = run(&[0.0, 5.0], |dry_run| {
            dry_run.days[0].population = Population::Mean { mean: 20.0, standard_deviation: 30.0 };
            dry_run.plan.mde_abs = Some(1.0);
            dry_run.guardrails.push(GuardrailPolicy {
                name: "errors".to_owned(),
                population: Population::Rate { rate: 0.02 },
                harm_direction: HarmDirection::Increase,
                margin: Margin::Absolute(0.002),
                must_prove: false,
            });
        });
        assert!(report.effects[1].ship > 0.9, "{report:?}");
        assert!(report.effects.iter().all(|effect| effect.false_guardrail_stop <= 0.07), "{report:?}");
    }

    #[test]
    fn a_looser_alpha_alarms_more_often() {
        let loose = run(&[0.0], |dry_run| dry_run.plan.alpha = Alpha::try_new(0.9).unwrap());
        assert!(loose.false_alarm_rate > run(&[0.0], |_| {}).false_alarm_rate);
    }

    #[test]
    fn impossible_input_is_refused_with_a_reason() {
        let day = Day { population: Population::Rate { rate: 1.5 }, units: 100.0 };
        let mut dry_run = DryRun {
            plan: TestPlan::default(),
            treatment_share: 0.5,
            days: vec![day],
            polls_per_day: 1,
            guardrails: Vec::new(),
            effects: vec![0.0],
            replications: 1,
            seed: 1,
        };
        assert_eq!(dry_run.run(|_, _| {}).unwrap_err().code(), Code::InvalidInput);
        dry_run.days.clear();
        assert_eq!(dry_run.run(|_, _| {}).unwrap_err().code(), Code::InvalidInput);
    }
}
