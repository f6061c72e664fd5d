//! The text of the proposed file.

use std::fmt::Write as _;

use crate::domain::Slug;

use super::layout::Layout;
use super::names::yaml;
use super::proposal::{Exposures, Kind, Metric, Proposal};

/// What the outcome aims at.
#[derive(Debug, Clone, PartialEq)]
pub struct Aim {
    /// Id of the outcome.
    pub outcome: Slug,
    /// Which of the proposal's metrics.
    pub metric: usize,
    /// Where it is now, as measured; `None` where nobody could.
    pub from: Option<f64>,
    /// Where it should be; `None` for the proposal: a tenth more.
    pub to: Option<f64>,
    /// How much worse the guard may become, as measured.
    pub margin: Option<f64>,
}

/// The file, and what stands in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// Its text.
    pub text: String,
    /// `target.from`.
    pub from: f64,
    /// `target.to`.
    pub to: f64,
}

/// What a share is taken to be where nobody could measure it.
const SHARE: f64 = 0.10;
/// How much better the metric should become, of where it is.
const MORE: f64 = 0.10;

/// The file of a proposal. `url`: the address of the database, or a reference to it.
#[must_use]
pub fn write(proposal: &Proposal, layout: &Layout, aim: &Aim, url: &str) -> Option<Written> {
    let metric = proposal.metrics.get(aim.metric)?;
    let from = aim.from.map_or(SHARE, |from| rounded(from, 3));
    let to = aim.to.unwrap_or_else(|| better(metric, from));
    let mut text = String::from(HEAD);
    outcome(&mut text, (proposal, metric), layout, aim, (from, to));
    metrics(&mut text, proposal);
    facts(&mut text, proposal);
    source(&mut text, proposal, url);
    flags(&mut text, layout);
    Some(Written { text, from, to })
}

/// A tenth better, and of a share never all of it.
fn better(metric: &Metric, from: f64) -> f64 {
    let more = from * (1.0 + MORE);
    let to = if metric.kind == Kind::Conversion && more > 0.95 { from + (1.0 - from) * MORE } else { more };
    if to <= 0.0 { 0.01 } else { rounded(to, 3) }
}

/// The number with so many digits that count.
fn rounded(value: f64, digits: i32) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the logarithm of a finite number is small")]
    let scale = 10_f64.powi(digits - 1 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}

const HEAD: &str = "\
# What should move, how it is measured, what must not break, and who decides.
# `outcome-runtime init` looked at your database and your repository and wrote it. What it guessed is marked: check it.
# After a change: `outcome-runtime validate`, then `outcome-runtime apply`. `outcome-runtime schema` prints every key.
version: 1

";

fn outcome(
    text: &mut String,
    (proposal, metric): (&Proposal, &Metric),
    layout: &Layout,
    aim: &Aim,
    (from, to): (f64, f64),
) {
    let title = title(proposal, metric);
    let measured = if aim.from.is_some() {
        "as it was measured when this was written"
    } else {
        "not measured yet: correct it before you activate the outcome"
    };
    let wanted = if aim.to.is_some() { "where it should be" } else { "a guess: a tenth more; where should it be?" };
    let _ = write!(
        text,
        "\
outcomes:
  - id: {id}   # keep it: it is the outcome's identity
    title: {title}
    signal: {{ metric: {name} }}   # what decides: one of `metrics` below
    target:
      direction: increase
      from: {from}   # {measured}
      to: {to}   # {wanted}
    horizon: 6w   # until then
",
        id = aim.outcome,
        title = yaml(&title),
        name = yaml(&metric.name),
    );
    if let Some(guard) = &proposal.guard {
        let margin = aim.margin.map_or(0.005, |level| rounded((level * 0.1).max(0.001), 2));
        let _ = write!(
            text,
            "
    constraints:   # what must not break. A guess: not more of these than without the change, within the margin
      - {{ signal: {}, not_worse: {{ direction: decrease, margin: {margin} }} }}
",
            yaml(&guard.name)
        );
    }
    if layout.forbidden.is_empty() {
        text.push_str(
            "\n    # scope: { forbidden_paths: [migrations/] }   # what agents must not change, as in .gitignore\n",
        );
    } else {
        text.push_str(
            "\n    scope:   # what agents must not change, as in .gitignore. A guess from what is there; to forbid more needs no signature\n      forbidden_paths:\n",
        );
        for path in &layout.forbidden {
            let _ = writeln!(text, "        - {}", yaml(path));
        }
    }
}

/// `More users order`.
fn title(proposal: &Proposal, metric: &Metric) -> String {
    match metric.kind {
        Kind::Conversion => format!("More {} {}", proposal.units(), metric.verb),
        Kind::Count => format!("More {} per {}", metric.noun, proposal.unit),
        Kind::Sum => format!("More revenue per {}", proposal.unit),
    }
}

fn metrics(text: &mut String, proposal: &Proposal) {
    let _ = write!(
        text,
        "
# What is taken of each {}, in the days after they first saw the change (of everybody: after they came). The outcome names one.
metrics:
",
        proposal.unit
    );
    for metric in &proposal.metrics {
        line(text, metric, "up");
    }
    if let Some(guard) = &proposal.guard {
        line(text, guard, "down");
    }
}

fn line(text: &mut String, metric: &Metric, better: &str) {
    let kind = match metric.kind {
        Kind::Conversion => "conversion",
        Kind::Count => "count",
        Kind::Sum => "mean",
    };
    let value = metric.value.as_ref().map(|value| format!(" value: {},", yaml(value))).unwrap_or_default();
    let condition = metric.condition.as_ref().map(|text| format!(" where: {},", yaml(text))).unwrap_or_default();
    let _ = writeln!(
        text,
        "  - {{ name: {}, kind: {kind}, of: {},{value}{condition} window: {}d, better: {better} }}",
        yaml(&metric.name),
        yaml(&metric.of),
        metric.window_days
    );
}

fn facts(text: &mut String, proposal: &Proposal) {
    text.push_str(
        "\n# Tables with one row for each event: when it happened, and whose it is. All of them are guesses.\nfacts:\n",
    );
    for fact in &proposal.facts {
        let condition = fact.condition.as_ref().map(|text| format!(", where: {}", yaml(text))).unwrap_or_default();
        let _ = writeln!(
            text,
            "  # {}\n  {}: {{ source: app, table: {}, at: {}, units: {{ {}: {} }}{condition} }}",
            fact.because,
            yaml(&fact.name),
            yaml(&fact.table),
            yaml(&fact.at),
            yaml(&proposal.unit),
            yaml(&fact.unit)
        );
    }
}

fn source(text: &mut String, proposal: &Proposal, url: &str) {
    let format = proposal.time_format.in_file().map(|format| format!(", time_format: {format}")).unwrap_or_default();
    let unit = yaml(&proposal.unit);
    let _ = write!(
        text,
        "
signal_connectors:
  - name: app
    type: sql   # it is only ever read
    config: {{ url: {}{format} }}
",
        serde_json::Value::from(url)
    );
    match &proposal.exposures {
        Exposures::Table { table, unit: column, experiment, variant, at, arms } => {
            let arms = arms.as_ref().map(|(control, treatment)| {
                let [control, treatment] = [control, treatment].map(|arm| serde_json::Value::from(arm.as_str()));
                format!(", variants: {{ control: [{control}], treatment: [{treatment}] }}")
            });
            let _ = write!(
                text,
                "    # Who saw which variant of which experiment: a guess by the name. A row each time is fine: the first one counts.
    exposures: {{ table: {}, unit: {}, is: {unit}, experiment: {}, variant: {}, at: {}{} }}
",
                yaml(table),
                yaml(column),
                yaml(experiment),
                yaml(variant),
                yaml(at),
                arms.unwrap_or_default()
            );
        }
        Exposures::Missing { stand_in, create, unit: column } => {
            let _ = write!(
                text,
                "    # No table says yet who saw which variant of which experiment. Before the first experiment, make one,
    #   {create}
    # and put this in the place of the query below, which is empty and measures nobody:
    #   exposures: {{ table: exposures, unit: {column}, is: {unit}, experiment: flag, variant: variant, at: exposed_at }}
    exposures:
      sql: {}
      unit: {column}
      is: {unit}
      experiment: flag
      variant: variant
      at: exposed_at
",
                serde_json::Value::from(stand_in.as_str())
            );
        }
    }
    let _ = writeln!(
        text,
        "    population: {{ fact: {} }}   # everybody, for the level of today",
        yaml(&proposal.population)
    );
}

fn flags(text: &mut String, layout: &Layout) {
    text.push_str("\nfeature_flags:\n");
    if let Some(service) = layout.service {
        let _ = writeln!(
            text,
            "  # Your application has an SDK of {service}: docs/flags says which services are a `provider`; `custom_http` connects any other."
        );
    }
    let _ = write!(
        text,
        "  provider: flagd_file   # a JSON file that flagd reads; {}\n  config: {{ path: {} }}\n",
        if layout.flags.is_there { "found in your repository" } else { "made when the first experiment starts" },
        yaml(&layout.flags.path)
    );
}
