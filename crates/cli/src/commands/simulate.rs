//! `simulate`: an experiment's decision policy on synthetic units, before any user is exposed.

use std::collections::BTreeMap;

use indicatif::{ProgressBar, ProgressStyle};
use outcome_core::Result;
use outcome_core::domain::Period;
use outcome_core::dry_run::{DataPauses, DryRunReport, EffectReport, Mishaps, Population};
use outcome_core::present::{Scale, false_stops, number, percent};
use outcome_core::usecases::{DryRunRequest, DryRunView};

use super::stats::parse;
use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::{Page, Table, on_terminal, safe};

/// Width of a bar, in characters.
const BAR: usize = 40;

/// Runs it.
pub async fn run(cx: &Cx, args: &args::Simulate) -> Result<Exit> {
    let request = request(args)?;
    let runtime = cx.open().await?;
    // Drawn on a terminal only, and on stderr.
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} runs, {eta} left") {
        bar.set_style(style);
    }
    let shown = bar.clone();
    let view = runtime
        .experiments()
        .dry_run(&args.experiment, &request, move |done, total| {
            shown.set_length(total);
            shown.set_position(done);
        })
        .await;
    bar.finish_and_clear();
    let view = view?;
    cx.out.result(&view, |page| show(page, &view))?;
    Ok(Exit::OK)
}

fn request(args: &args::Simulate) -> Result<DryRunRequest> {
    let numbers = |list: &str| list.split(',').map(|text| parse::number(text, "--effects")).collect::<Result<Vec<_>>>();
    let population = match (&args.baseline, &args.sd) {
        (None, _) => ratio(args)?,
        (Some(level), None) => Some(Population::Rate { rate: parse::probability(level, "--baseline")? }),
        (Some(level), Some(sd)) => Some(Population::Mean {
            mean: parse::level(level, "--baseline")?,
            standard_deviation: parse::positive(sd, "--sd")?,
        }),
    };
    let mut guardrail_rates = BTreeMap::new();
    for text in &args.guardrails {
        let (name, rate) = text
            .split_once('=')
            .ok_or_else(|| parse::invalid(format!("--guardrail: `{text}` has no rate"), "write it like refunds=2%"))?;
        guardrail_rates.insert(name.trim().to_owned(), parse::probability(rate, "--guardrail")?);
    }
    Ok(DryRunRequest {
        replications: args.replications,
        seed: args.seed,
        effects: args.effects.as_deref().map(numbers).transpose()?,
        population,
        daily_units: args.traffic.as_deref().map(parse::traffic).transpose()?,
        guardrail_rates,
        mishaps: mishaps(&args.mishaps)?,
    })
}

/// A ratio as its flags state it.
fn ratio(args: &args::Simulate) -> Result<Option<Population>> {
    let (Some(numerator), Some(denominator)) = (&args.numerator, &args.denominator) else { return Ok(None) };
    let pair = |text: &str, flag: &str| -> Result<(f64, f64)> {
        let (mean, sd) = text.split_once(',').ok_or_else(|| {
            parse::invalid(format!("{flag}: `{text}` is no mean and standard deviation"), "write it like 100,60")
        })?;
        Ok((parse::number(mean, flag)?, parse::number(sd, flag)?))
    };
    let (numerator_mean, numerator_standard_deviation) = pair(numerator, "--numerator")?;
    let (denominator_mean, denominator_standard_deviation) = pair(denominator, "--denominator")?;
    let correlation = args.correlation.as_deref().map_or(Ok(0.0), |text| parse::number(text, "--correlation"))?;
    Ok(Some(Population::Ratio {
        numerator_mean,
        numerator_standard_deviation,
        denominator_mean,
        denominator_standard_deviation,
        correlation,
    }))
}

fn mishaps(args: &args::SimulateMishaps) -> Result<Mishaps> {
    let days = |text: &Option<String>, flag: &str| -> Result<f64> {
        let Some(text) = text else { return Ok(0.0) };
        let period: Period = text.parse().map_err(|e| parse::invalid(format!("{flag}: {e}"), "write it like 3d"))?;
        Ok(period.as_days())
    };
    let share = |text: &Option<String>, flag: &str| -> Result<f64> {
        text.as_deref().map_or(Ok(0.0), |text| parse::level(text, flag))
    };
    Ok(Mishaps {
        answer_after_days: days(&args.answer_after, "--answer-after")?,
        delay_days: days(&args.delay, "--delay")?,
        daily_deletions: share(&args.deletions, "--deletions")?,
        outage_days: days(&args.outage, "--outage")?,
        lost_treatment: share(&args.lost_treatment, "--lost-treatment")?,
    })
}

fn show(page: &mut Page, view: &DryRunView) {
    let report = &view.report;
    let scale = on_terminal(&view.scale);
    page.head(&format!("Dry run of {}", safe(&view.experiment)));
    page.field("drawn from", &view.basis);
    page.field(
        "looks",
        &format!("{} in each run, {} runs for each effect, seed {}", report.n_polls, report.replications, report.seed),
    );
    page.field("alpha", &percent(report.alpha));
    if let Some(rate) = report.false_alarm_rate {
        let text = format!("{} of the runs without an effect (allowed: {})", percent(rate), percent(report.alpha));
        let is_high = rate > report.alpha + 4.0 * report.standard_error;
        let text = if is_high { page.red(&text) } else { page.green(&text) };
        page.field("false alarms", &text);
    }
    if let Some(stops) = &report.false_stops {
        page.field("false stops", &false_stops(stops));
    }
    page.blank();
    page.table(table(report, &scale));
    page.blank();
    for of in &report.effects {
        if let Some(text) = harm_off(of) {
            page.line(&format!("True effect {}: {text}", scale.change(of.effect)));
        }
        if let Some(text) = data_pauses(of.data_pauses) {
            page.line(&format!("True effect {}: {text}", scale.change(of.effect)));
        }
    }
    page.line("How the runs end, and the share that has ended by each day:");
    let width = report.effects.iter().map(|of| scale.change(of.effect).chars().count()).max().unwrap_or(0);
    for of in &report.effects {
        page.line(&format!("  {:>width$}  {}  {}", scale.change(of.effect), ends(page, of), curve(&of.ended_by_day)));
    }
    let key = format!(
        "  {} ship  {} harm  {} futile  {} guardrail  · no answer or paused for the data",
        page.green("█"),
        page.red("█"),
        page.yellow("▓"),
        page.red("▒")
    );
    page.line(&key);
    for assumption in &view.assumptions {
        page.hint(assumption);
    }
}

fn table(report: &DryRunReport, scale: &Scale) -> Table {
    let mut table = Table::new(&["true effect", "ship", "harm", "futile", "guardrail", "data", "no answer", "days"]);
    for of in &report.effects {
        let cells = [
            scale.change(of.effect),
            percent(of.ship),
            percent(of.kill_harm),
            percent(of.kill_futility),
            percent(of.false_guardrail_stop),
            percent(of.held),
            percent(of.inconclusive),
            format!("{:.1}", of.expected_days),
        ];
        table.row(&cells.each_ref().map(String::as_str));
    }
    table
}

/// How long a harmful treatment stays on, in a sentence.
fn harm_off(of: &EffectReport) -> Option<String> {
    let off = of.harm_off?;
    let by =
        |days: Option<f64>| days.map_or_else(|| "not by the end".to_owned(), |days| format!("day {}", number(days)));
    Some(format!(
        "the flag goes off in {} of the runs; half of them by {}, nine in ten by {}.",
        percent(off.share),
        by(off.median_days),
        by(off.p90_days)
    ))
}

/// Why the data paused runs, where they did.
fn data_pauses(of: DataPauses) -> Option<String> {
    let parts = [
        (of.sample_ratio, "unequal arms"),
        (of.arm_without_exposure, "an arm without exposure"),
        (of.source, "a source that cannot be read"),
        (of.other, "other findings"),
    ];
    let said: Vec<String> = parts
        .iter()
        .filter(|(share, _)| *share > 0.0)
        .map(|(share, what)| format!("{} because of {what}", percent(*share)))
        .collect();
    (!said.is_empty()).then(|| format!("paused for the data: {}.", said.join(", ")))
}

/// The ends of all runs as one bar.
fn ends(page: &Page, of: &EffectReport) -> String {
    let mut bar = String::new();
    let (mut sum, mut drawn) = (0.0, 0);
    let parts =
        [(of.ship, '█', 0), (of.kill_harm, '█', 1), (of.kill_futility, '▓', 2), (of.false_guardrail_stop, '▒', 1)];
    for (share, sign, colour) in parts {
        sum += share;
        let end = cells(sum);
        let text: String = std::iter::repeat_n(sign, end - drawn).collect();
        drawn = end;
        bar.push_str(&match colour {
            0 => page.green(&text),
            1 => page.red(&text),
            _ => page.yellow(&text),
        });
    }
    bar.extend(std::iter::repeat_n('·', BAR - drawn));
    bar
}

fn cells(share: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number from 0 to the width of a bar"
    )]
    let n = (share.clamp(0.0, 1.0) * BAR as f64).round() as usize;
    n.min(BAR)
}

/// A line of blocks, one for each day.
fn curve(shares: &[f64]) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let block = |share: &f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index from 0 to 7")]
        let index = (share.clamp(0.0, 1.0) * 7.0).round() as usize;
        BLOCKS.get(index).copied().unwrap_or('█')
    };
    // A plan of a year would not fit into a line.
    let step = shares.len().div_ceil(BAR).max(1);
    shares.iter().skip(step - 1).step_by(step).map(block).collect()
}
