//! What a dry run of a plan is made from: the outcome's own history, or a stated baseline; and the short run of a launch
//! gate.

use std::collections::BTreeMap;

use super::budget::budget_part;
use super::planned::planned;
use crate::domain::{
    ArmSums, ConstraintBound, Design, Direction, DryRunEffect, DryRunFacts, DryRunSummary, Experiment, Measurement,
    OnConclusion, Outcome, Plan, Window,
};
use crate::dry_run::{Day, DryRun, DryRunReport, GuardrailPolicy, Mishaps, Population};
use crate::error::{Code, Error, Result};
use crate::evaluation::stats_plan;
use crate::present::{number, percent, whole};
use crate::stats::{HarmDirection, Margin};
use crate::store::Tx;

/// Readings of the past that are looked at.
const MAX_HISTORY: i64 = 400;
/// Looks at the data that the run beside a launch gate takes altogether: a fraction of a second.
const GATE_LOOKS: u32 = 20_000;
/// Looks of one run beside a launch gate.
const MOST_LOOKS: u32 = 1000;
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
    /// What goes wrong in every run.
    pub mishaps: Mishaps,
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
            mishaps: Mishaps::default(),
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
    let effects = match experiment.state.is_attached() {
        true => vec![0.0, -sign * mde, -3.0 * sign * mde],
        false => vec![0.0, sign * mde, -sign * mde],
    };
    let request = DryRunRequest { effects: Some(effects), ..DryRunRequest::default() };
    let found = match prepare(tx, outcome, experiment, &request).await {
        Ok(Prepared { mut dry_run, basis, assumptions }) => {
            // Within a transaction: so many looks that twenty runs would take long are played less often.
            if dry_run.is_guarded && dry_run.plan.max_days.unwrap_or(28) * dry_run.polls_per_day > MOST_LOOKS {
                dry_run.polls_per_day = dry_run.polls_per_day.min(2);
            }
            let n_looks = dry_run.plan.max_days.unwrap_or(28) * dry_run.polls_per_day * 3;
            dry_run.replications = (GATE_LOOKS / n_looks.max(1)).clamp(20, 1000);
            let more = format!("outcome-runtime simulate {}", experiment.slug);
            dry_run.run(|_, _| {}).map(|report| DryRunFacts::Run(summary(report, basis, assumptions, more)))
        }
        Err(error) => Err(error),
    };
    Ok(found.unwrap_or_else(|error| DryRunFacts::NotRun { not_run: error.to_string() }))
}

fn summary(report: DryRunReport, basis: String, assumptions: Vec<String>, more: String) -> DryRunSummary {
    let effects = report.effects.iter().map(|of| DryRunEffect {
        effect: of.effect,
        ship: of.ship,
        kill_harm: of.kill_harm,
        kill_futility: of.kill_futility,
        false_guardrail_stop: of.false_guardrail_stop,
        inconclusive: of.inconclusive,
        expected_days: of.expected_days,
        held: Some(of.held),
        harm_off_days: of.harm_off.and_then(|off| off.median_days),
    });
    DryRunSummary {
        basis,
        assumptions,
        replications: report.replications,
        seed: report.seed,
        alpha: report.alpha,
        false_alarm_rate: report.false_alarm_rate,
        false_stops: report.false_stops,
        effects: effects.collect(),
        more,
    }
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
    let is_guarded = experiment.state.is_attached();
    let plan = match is_guarded {
        true => planned(spec, experiment),
        false => Plan::of(spec, &experiment.hypothesis, Some(budget_part(tx, experiment).await?)),
    };
    let (days, basis) = days(tx, outcome, request).await?;
    let mut assumptions = vec![
        "units arrive as a Poisson process and are independent of each other".to_owned(),
        "gates are answered as they recommend, and the split stays at the first rollout step".to_owned(),
        "a pause ends a run: what a human does after it is not played".to_owned(),
    ];
    assumptions.extend(played(&request.mishaps));
    let (guardrails, n_unplayed_guardrails) = guardrail_policies(tx, outcome, &plan, request, &mut assumptions).await?;
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
        n_unplayed_guardrails,
        keeps_flag: plan.on_conclusion == OnConclusion::Hold,
        is_guarded,
        mishaps: request.mishaps,
        effects,
        replications: request.replications,
        seed: request.seed,
    };
    Ok(Prepared { dry_run, basis, assumptions })
}

/// What goes wrong in every run, as sentences.
fn played(mishaps: &Mishaps) -> Vec<String> {
    let days = |n: f64| if n == 1.0 { "1 day".to_owned() } else { format!("{} days", number(n)) };
    let Mishaps { answer_after_days, delay_days, daily_deletions, outage_days, lost_treatment } = *mishaps;
    let late = days(answer_after_days);
    let of = |is: bool, text: String| is.then_some(text);
    [
        of(
            answer_after_days > 0.0,
            format!("a human answers a gate after {late}; until then a proven success stays on"),
        ),
        of(delay_days > 0.0, format!("a unit's value arrives within {} after its exposure", days(delay_days))),
        of(daily_deletions > 0.0, format!("{} of the units so far are deleted each day", percent(daily_deletions))),
        of(outage_days > 0.0, format!("at a random time the source cannot be read for {}", days(outage_days))),
        of(lost_treatment > 0.0, format!("the treatment loses {} of its units uncounted", percent(lost_treatment))),
    ]
    .into_iter()
    .flatten()
    .collect()
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
    let units = || daily_units.ok_or_else(|| unknown("traffic", "--traffic 2000"));
    if let Some(population) = request.population {
        let units = units()?;
        let basis = format!("as stated: {}, {} units a day", in_words(&population), whole(units));
        return Ok((vec![Day { population, units }], basis));
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
    let activated = baseline.and_then(|known| population_of(known.value, known.variance));
    // The variance of one unit says too little about a ratio: the sums of its latest reading do.
    let latest = || levels.iter().rev().find_map(|level| population_of_sums(&level.sums));
    let (population, basis) = match activated {
        Some(population) => (population, "the baseline measured at activation"),
        None => (latest().ok_or_else(|| unknown("baseline", "--baseline 5%"))?, "the latest reading of its level"),
    };
    let units = units()?;
    Ok((vec![Day { population, units }], format!("{basis}, {} units a day", whole(units))))
}

fn in_words(population: &Population) -> String {
    match *population {
        Population::Rate { rate } => format!("{} of the units convert", percent(rate)),
        Population::Mean { mean, standard_deviation: sd } => {
            format!("a mean of {} with standard deviation {}", number(mean), number(sd))
        }
        Population::Ratio {
            numerator_mean,
            numerator_standard_deviation: sd_num,
            denominator_mean,
            denominator_standard_deviation: sd_den,
            correlation,
        } => format!(
            "a numerator of {} (standard deviation {}) over a denominator of {} ({}), correlation {}",
            number(numerator_mean),
            number(sd_num),
            number(denominator_mean),
            number(sd_den),
            number(correlation)
        ),
    }
}

async fn guardrail_policies(
    tx: &mut Tx,
    outcome: &Outcome,
    plan: &Plan,
    request: &DryRunRequest,
    assumptions: &mut Vec<String>,
) -> Result<(Vec<GuardrailPolicy>, usize)> {
    let (mut policies, mut n_unplayed) = (Vec::new(), 0);
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
            n_unplayed += 1;
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
    Ok((policies, n_unplayed))
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
        ArmSums::Mean { n, sum, sum_squares } | ArmSums::Cuped { n, sum, sum_squares, .. } if n > 1 => {
            let (n, mean) = (n as f64, sum / n as f64);
            let variance = (sum_squares - sum * mean) / (n - 1.0);
            usable(Population::Mean { mean, standard_deviation: variance.max(0.0).sqrt() })
        }
        ArmSums::Ratio { n, num, num_squares, den, den_squares, num_den } if n > 1 => {
            let n = n as f64;
            let centred = |squares: f64, sum: f64| ((squares - sum * sum / n) / (n - 1.0)).max(0.0).sqrt();
            let (sd_num, sd_den) = (centred(num_squares, num), centred(den_squares, den));
            let covariance = (num_den - num * den / n) / (n - 1.0);
            let is_spread = sd_num > 0.0 && sd_den > 0.0;
            usable(Population::Ratio {
                numerator_mean: num / n,
                numerator_standard_deviation: sd_num,
                denominator_mean: den / n,
                denominator_standard_deviation: sd_den,
                correlation: if is_spread { (covariance / sd_num / sd_den).clamp(-1.0, 1.0) } else { 0.0 },
            })
        }
        ArmSums::Proportion { .. }
        | ArmSums::Mean { .. }
        | ArmSums::Ratio { .. }
        | ArmSums::Cuped { .. }
        | ArmSums::Value { .. } => None,
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
    population.is_possible().then_some(population)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_of_a_ratio_say_what_its_units_look_like() {
        // Two units: 10 of 1, 30 of 3.
        let sums = ArmSums::Ratio { n: 2, num: 40.0, num_squares: 1000.0, den: 4.0, den_squares: 10.0, num_den: 100.0 };
        assert_eq!(population_of_sums(&sums), None, "the ratio is the same for all: nothing to test");
        // The same, and 30 of 1.
        let sums = ArmSums::Ratio { n: 3, num: 70.0, num_squares: 1900.0, den: 5.0, den_squares: 11.0, num_den: 130.0 };
        let Some(Population::Ratio { numerator_mean, denominator_mean, correlation, .. }) = population_of_sums(&sums)
        else {
            panic!("no ratio")
        };
        assert!((numerator_mean - 70.0 / 3.0).abs() < 1e-9 && (denominator_mean - 5.0 / 3.0).abs() < 1e-9);
        assert!((correlation - 0.5).abs() < 1e-9, "{correlation}");
    }
}
