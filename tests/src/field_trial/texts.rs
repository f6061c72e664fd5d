//! What the shop's people write: `outcome.yaml` and a hypothesis for each experiment.

use super::BASE_RATE;
use super::kind::STEPS;
use super::measured::{CAP, Case, LAG_HOURS, Measured, WINDOW_HOURS};

/// An experiment as its texts need it.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Of the outcome and the flag.
    pub name: String,
    pub case: Case,
    /// The value of the control.
    pub base: f64,
}

impl Plan {
    /// The smallest effect, in units of the metric.
    pub fn mde(&self) -> f64 {
        significant(self.base * self.case.measured.relative_mde())
    }
}

/// With three significant figures, as a human would write it.
pub(super) fn significant(number: f64) -> f64 {
    let scale = 10_f64.powf(2.0 - number.abs().log10().floor());
    (number * scale).round() / scale
}

/// Of an experiment with a query.
pub(super) fn table(name: &str) -> String {
    name.replace('-', "_")
}

/// `outcome.yaml` of a workspace. `daily_units`: users a day.
pub(super) fn outcome_file(plans: &[Plan], daily_units: f64) -> String {
    let outcomes: String = plans.iter().map(|plan| outcome(plan, daily_units)).collect();
    let (source, facts) = ("type: sql, config: { url: \"sqlite:app.db\" }", facts());
    format!(
        "version: 1
outcomes:
{outcomes}signal_connectors:
  - name: app
    {app}
    lag: {LAG_HOURS}h
    exposures: {{ table: seen, unit: user_id, is: user, experiment: flag, variant: variant, at: seen_at }}
    population: {{ fact: visits }}
  - name: teams
    {app}
    lag: {LAG_HOURS}h
    units: {{ account: {{ from: user, table: members, key: user_id, to: account_id }} }}
    exposures: {{ table: team_seen, unit: user_id, is: user, map: account, experiment: flag, variant: variant, at: seen_at }}
    population: {{ fact: team_visits }}
{facts}feature_flags:
  provider: flagd_file
  config: {{ path: flags.json }}
limits: {{ max_active_outcomes: {n} }}
",
        app = source.replace(", config", "\n    config"),
        n = plans.len()
    )
}

fn facts() -> String {
    let mut facts = "facts:\n".to_owned();
    for (prefix, source) in [("", "app"), ("team_", "teams")] {
        for table in ["visits", "orders", "refunds"] {
            facts.push_str(&format!(
                "  {prefix}{table}: {{ source: {source}, table: {prefix}{table}, at: at, units: {{ user: user_id }} }}\n"
            ));
        }
    }
    let window = format!("window: {WINDOW_HOURS}h");
    facts
        + &format!(
            "metrics:
  - {{ name: bought, kind: conversion, of: orders, {window}, better: up }}
  - {{ name: revenue, kind: mean, of: orders, value: total, cap: {CAP}, {window}, better: up, unit: EUR }}
  - {{ name: orders_per_visit, kind: ratio, numerator: {{ of: orders }}, denominator: {{ of: visits }}, {window}, better: up }}
  - {{ name: orders_per_account, kind: count, of: team_orders, {window}, better: up }}
  - {{ name: refunded, kind: conversion, of: refunds, {window}, better: down }}
  - {{ name: team_refunded, kind: conversion, of: team_refunds, {window}, better: down }}
"
        )
}

fn outcome(plan: &Plan, daily_units: f64) -> String {
    let Plan { name, case, base } = plan;
    let not_worse = "not_worse: { direction: decrease, margin: 0.0 }";
    let (signal, constraint) = match case.measured {
        Measured::Query => by_hand(name, daily_units, not_worse),
        measured => {
            let prefix = if measured == Measured::Accounts { "team_" } else { "" };
            let constraint = format!("{{ signal: {prefix}refunded, poll_interval: 24h, {not_worse} }}");
            (format!("{{ metric: {}, poll_interval: 24h }}", measured.metric()), constraint)
        }
    };
    format!(
        "  - id: {name}
    title: More buyers ({name})
    signal: {signal}
    target: {{ direction: increase, from: {from}, to: {to} }}
    mde: {mde}
    horizon: 20w
    ship_test: known_end
    staleness: 7d
    randomisation_unit: {unit}
    portfolio: {{ max_concurrent: 1, planned_experiments: 1 }}
    constraints:
      - {constraint}
    scope: {{ allowed_paths: [src/], forbidden_paths: [src/payments/] }}
",
        unit = if case.measured == Measured::Accounts { "account" } else { "user" },
        from = significant(*base),
        to = significant(base * 2.0),
        mde = plan.mde(),
    )
}

/// The signal and the constraint of an experiment with queries.
fn by_hand(name: &str, daily_units: f64, not_worse: &str) -> (String, String) {
    // The level is that of a week.
    let n = (7.0 * daily_units).round();
    let level = format!("SELECT {n} AS n, {} AS successes WHERE :from < :to", (n * BASE_RATE).round());
    let table = table(name);
    let by_variant = |column: &str| {
        format!(
            "SELECT variant, sum(n) AS n, sum(n) AS n_units, sum({column}) AS successes FROM {table} WHERE :flag <> '' AND \
             at >= :from AND at < :to GROUP BY variant"
        )
    };
    let signal = format!(
        "\n      source: app\n      metric: bought_{table}\n      poll_interval: 24h\n      query:\n        level: \"{level}\"\n        \
         by_variant: \"{}\"",
        by_variant("bought")
    );
    let constraint = format!(
        "signal: refunds\n        source: app\n        poll_interval: 24h\n        {not_worse}\n        query:\n          \
         by_variant: \"{}\"",
        by_variant("refunded")
    );
    (signal, constraint)
}

/// The hypothesis of an experiment.
pub(super) fn hypothesis(plan: &Plan, days: u32) -> String {
    let Plan { name, case, .. } = plan;
    let (mde, threshold) = (plan.mde(), significant_or_zero(case.kind.threshold() * plan.mde()));
    let rollout = if case.kind.has_ramp() {
        format!("{{ initial_pct: {}, steps: [{}] }}", STEPS[0], STEPS[1])
    } else {
        "{ initial_pct: 50, steps: [] }".to_owned()
    };
    let min_units = (2000.0 * case.measured.unit_share()).round();
    format!(
        "title: Two fields ({name})\nstatement: If the form asks for two fields instead of five, more visitors finish it.\n\
         mechanism: Most visitors leave at the phone number.\nexpected_improvement: {mde}\nconfidence: 0.5\nintervention: code_change\n\
         intervention_description: Remove phone and company from the form.\ntouched_paths: [src/{name}/]\nflag_key: {name}\n\
         measurement: {{ duration_days: {days}, min_sample_size: {min_units}, success_threshold: {threshold}, kill_threshold: \
         {threshold}, minimum_detectable_effect: {mde} }}\nrollout: {rollout}\neffort_hours: 4\nrisk: low\nis_reversible: true\n\
         tags: [form]\n"
    )
}

fn significant_or_zero(number: f64) -> f64 {
    if number == 0.0 { 0.0 } else { significant(number) }
}
