//! What a dry run of a plan is made from: the outcome's own history, or a stated baseline; and the short run of a launch
//! gate.

use std::collections::BTreeMap;

use super::budget::budget_part;
use crate::domain::{
    ArmSums, ConstraintBound, Design, Direction, DryRunEffect, DryRunFacts, DryRunSummary, Experiment, Measurement,
    Outcome, Plan, Window,
};
use crate::dry_run::{Day, DryRun, GuardrailPolicy, Population};
use crate::error::{Code, Error, Result};
use crate::evaluation::stats_plan;
use crate::present::whole;
use crate::stats::{HarmDirection, Margin};
use crate::store::Tx;

/// Readings of the past that are looked at.
const MAX_HISTORY: i64 = 400;
/// Looks at the data that the run beside a launch gate takes altogether: a fraction of a second.
const GATE_LOOKS: u32 = 20_000;
/// Most polls a day that are played.
const MAX_POLLS_PER_DAY: f64 = 24.0;

/// What is run, where it differs from what is known.
#[derive(Debug, Clone)]
pub struct DryRunRequest {
    /// Runs for each effect.
    pub replications: u32,
    /// Repeats the report.
    pub seed: u64,
    /// True effects in metric units as measured; none, half, once and twice the minimum detectable one, and its opposite when
    /// absent.
    pub effects: Option<Vec<f64>>,
    /// What units look like; the outcome's history when absent.
    pub population: Option<Population>,
    /// Units a day, both arms together; from the history when absent.
    pub daily_units: Option<f64>,
    /// Rates of constraints whose level is not known, by name.
    pub guardrail_rates: BTreeMap<String, f64>,
}

impl Default for DryRunRequest {
    fn default() -> Self {
        Self {
            replications: 2000,
            seed: 1,
            effects: None,
            population: None,
            daily_units: None,
            guardrail_rates: BTreeMap::new(),
        }
    }
}

/// A dry run that is ready to be played.
pub(in crate::usecases) struct Prepared {
    pub(in crate::usecases) dry_run: DryRun,
    pub(in crate::usecases) basis: String,
    pub(in crate::usecases) assumptions: Vec<String>,
}

/// The short run that a launch gate shows; where none can be made, why.
pub(super) async fn dry_run_facts(tx: &mut Tx, outcome: &Outcome, experiment: &Experiment) -> Result<DryRunFacts> {
    let sign = outcome.spec.target.direction.sign();
    let mde = experiment.hypothesis.measurement.minimum_detectable_effect;
    let effects = vec![0.0, sign * mde, -sign * mde];
    let request = DryRunRequest { effects: Some(effects), ..DryRunRequest::default() };
    let found = match prepare(tx, outcome, experiment, &request).await {
        Ok(Prepared { mut dry_run, basis, assumptions }) => {
            let n_looks = dry_run.plan.max_days.unwrap_or(28) * dry_run.polls_per_day * 3;
            dry_run.replications = (GATE_LOOKS / n_looks.max(1)).clamp(20, 1000);
            dry_run.run(|_, _| {}).map(|report| {
                let effects = report.effects.iter().map(|of| DryRunEffect {
                    effect: of.effect,
                    ship: of.ship,
                    kill_harm: of.kill_harm,
                    kill_futility: of.kill_futility,
                    false_guardrail_stop: of.false_guardrail_stop,
                    inconclusive: of.inconclusive,
                    expected_days: of.expected_days,
                });
                DryRunFacts::Run(DryRunSummary {
                    basis,
                    assumptions,
                    replications: report.replications,
                    seed: report.seed,
                    alpha: report.alpha,
                    false_alarm_rate: report.false_alarm_rate,
                    effects: effects.collect(),
                    more: format!("outcome-runtime simulate {}", experiment.slug),
                })
            })
        }
        Err(error) => Err(error),
    };
    Ok(found.unwrap_or_else(|error| DryRunFacts::NotRun { not_run: error.to_string() }))
}

/// Collects what a dry run needs. Nothing is played here.
pub(in crate::usecases) async fn prepare(
    tx: &mut Tx,
    outcome: &Outcome,
    experiment: &Experiment,
    request: &DryRunRequest,
) -> Result<Prepared> {
    let spec = &outcome.spec;
    if spec.design != Design::Randomised {
        return Err(Error::new(
            Code::InvalidInput,
            format!("`{}` has no control group, so there is no policy to simulate", spec.slug),
        )
        .hint("a dry run needs `design: randomised`"));
    }
    let budget_part = budget_part(tx, experiment).await?;
    let plan = Plan::of(spec, &experiment.hypothesis, Some(budget_part));
    let (days, basis) = days(tx, outcome, request).await?;
    let mut assumptions = vec![
        "units arrive as a Poisson process and are independent of each other".to_owned(),
        "recommendations are followed at once, and the split stays at the first rollout step".to_owned(),
    ];
    let guardrails = guardrail_policies(tx, outcome, &plan, request, &mut assumptions).await?;
    let sign = spec.target.direction.sign();
    let mde = sign * experiment.hypothesis.measurement.minimum_detectable_effect;
    let effects = request.effects.clone().unwrap_or_else(|| vec![0.0, 0.5 * mde, mde, 2.0 * mde, -mde]);
    let a_day = (1.0 / plan.signal.poll_interval.as_days()).round().clamp(1.0, MAX_POLLS_PER_DAY);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number from 1 to 24")]
    let polls_per_day = a_day as u32;
    let dry_run = DryRun {
        plan: stats_plan(&plan)?,
        treatment_share: f64::from(experiment.hypothesis.rollout.initial_pct) / 100.0,
        days,
        polls_per_day,
        guardrails,
        effects,
        replications: request.replications,
        seed: request.seed,
    };
    Ok(Prepared { dry_run, basis, assumptions })
}

/// The days to play, and where they come from: what was stated, else the history, else the baseline.
async fn days(tx: &mut Tx, outcome: &Outcome, request: &DryRunRequest) -> Result<(Vec<Day>, String)> {
    let spec = &outcome.spec;
    let unknown = |what: &str, flag: &str| {
        Error::new(Code::InvalidInput, format!("the {what} of `{}` is not known yet", spec.signal.name))
            .hint(format!("activate the outcome, or set it: `{flag}`"))
    };
    let baseline = outcome.state.baseline.as_ref();
    let daily_units = request.daily_units.or_else(|| baseline.and_then(|known| known.daily_units));
    if let Some(population) = request.population {
        let units = daily_units.ok_or_else(|| unknown("traffic", "--traffic 2000"))?;
        return Ok((
            vec![Day { population, units }],
            format!("as stated: {population:?}, {} units a day", whole(units)),
        ));
    }
    let mut levels = tx.measurement_levels(outcome.id, &spec.signal.name, MAX_HISTORY).await?;
    levels.reverse();
    let days = history(&levels, request.daily_units);
    if let (Some(first), Some(last)) = (levels.first(), levels.last())
        && days.len() >= 7
    {
        let basis = format!("{} days of its own history, {} to {}", days.len(), first.window.to, last.window.to);
        return Ok((days, basis));
    }
    let population = baseline
        .and_then(|known| population_of(known.value, known.variance))
        .ok_or_else(|| unknown("baseline", "--baseline 5%"))?;
    let units = daily_units.ok_or_else(|| unknown("traffic", "--traffic 2000"))?;
    let basis = format!("the baseline measured at activation, {} units a day", whole(units));
    Ok((vec![Day { population, units }], basis))
}

async fn guardrail_policies(
    tx: &mut Tx,
    outcome: &Outcome,
    plan: &Plan,
    request: &DryRunRequest,
    assumptions: &mut Vec<String>,
) -> Result<Vec<GuardrailPolicy>> {
    let mut policies = Vec::new();
    for guardrail in &plan.guardrails {
        let name = &guardrail.signal.name;
        let ConstraintBound::NotWorse { direction, margin, must_prove } = guardrail.bound else {
            assumptions
                .push(format!("`{name}` has an absolute limit, which synthetic units cannot cross, so it is left out"));
            continue;
        };
        let stated = request.guardrail_rates.get(name).map(|rate| Population::Rate { rate: *rate });
        let level = tx.measurement_latest_level(outcome.id, name).await?;
        let known = level.and_then(|level| population_of_sums(&level.sums));
        let Some(population) = stated.or(known) else {
            assumptions.push(format!(
                "the level of `{name}` is not known, so it is left out (set it: `--guardrail {name}=2%`)"
            ));
            continue;
        };
        policies.push(GuardrailPolicy {
            name: name.clone(),
            population,
            harm_direction: match direction {
                Direction::Increase => HarmDirection::Decrease,
                Direction::Decrease => HarmDirection::Increase,
            },
            margin: Margin::Absolute(margin),
            must_prove,
        });
    }
    Ok(policies)
}

/// One day for each reading with units, at most one a calendar day.
fn history(levels: &[Measurement], stated_units: Option<f64>) -> Vec<Day> {
    let mut by_date: BTreeMap<String, Day> = BTreeMap::new();
    for level in levels {
        let Window { from, to } = level.window;
        let length = to.duration_since(from).as_secs_f64() / 86_400.0;
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
        let units = stated_units.or_else(|| level.sums.n().map(|n| n as f64 / length));
        let (Some(population), Some(units)) = (population_of_sums(&level.sums), units) else { continue };
        if units > 0.0 && units.is_finite() {
            let date: String = to.to_string().chars().take(10).collect();
            by_date.insert(date, Day { population, units });
        }
    }
    by_date.into_values().collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn population_of_sums(sums: &ArmSums) -> Option<Population> {
    match *sums {
        ArmSums::Proportion { n, successes } if n > 0 => usable(Population::Rate { rate: successes as f64 / n as f64 }),
        ArmSums::Mean { n, sum, sum_squares } if n > 1 => {
            let (n, mean) = (n as f64, sum / n as f64);
            let variance = (sum_squares - sum * mean) / (n - 1.0);
            usable(Population::Mean { mean, standard_deviation: variance.max(0.0).sqrt() })
        }
        _ => None,
    }
}

fn population_of(level: f64, variance: Option<f64>) -> Option<Population> {
    let variance = variance?;
    let is_share = (variance - level * (1.0 - level)).abs() < 1e-9;
    usable(if is_share {
        Population::Rate { rate: level }
    } else {
        Population::Mean { mean: level, standard_deviation: variance.sqrt() }
    })
}

fn usable(population: Population) -> Option<Population> {
    let is_usable = match population {
        Population::Rate { rate } => rate > 0.0 && rate < 1.0,
        Population::Mean { mean, standard_deviation: sd } => mean.is_finite() && sd > 0.0 && sd.is_finite(),
    };
    is_usable.then_some(population)
}
