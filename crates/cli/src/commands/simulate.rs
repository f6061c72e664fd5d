//! `simulate`: an experiment's decision policy on synthetic units, before any user is exposed.

use std::collections::BTreeMap;

use indicatif::{ProgressBar, ProgressStyle};
use outcome_core::Result;
use outcome_core::dry_run::{EffectReport, Population};
use outcome_core::present::percent;
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
        (None, _) => None,
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
    page.blank();
    let mut table = Table::new(&["true effect", "ship", "harm", "futile", "guardrail", "no answer", "held", "days"]);
    for of in &report.effects {
        let cells = [
            scale.change(of.effect),
            percent(of.ship),
            percent(of.kill_harm),
            percent(of.kill_futility),
            percent(of.false_guardrail_stop),
            percent(of.inconclusive),
            percent(of.held),
            format!("{:.1}", of.expected_days),
        ];
        table.row(&cells.each_ref().map(String::as_str));
    }
    page.table(table);
    page.blank();
    page.line("How the runs end, and the share that has ended by each day:");
    let width = report.effects.iter().map(|of| scale.change(of.effect).chars().count()).max().unwrap_or(0);
    for of in &report.effects {
        page.line(&format!("  {:>width$}  {}  {}", scale.change(of.effect), ends(page, of), curve(&of.ended_by_day)));
    }
    let key = format!(
        "  {} ship  {} harm  {} futile  {} guardrail  · no answer or held",
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
