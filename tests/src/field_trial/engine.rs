//! Many experiments through the engine: `simulate` plays the plan of one of the trial's own experiments.

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::report::{LATE, Row};
use super::shop::Shop;
use super::{BAD_RATE, MDE, Options};

/// Share of all runs that have neither an effect nor a mishap.
const QUIET: (u32, u32) = (3, 8);
/// One run in this many for each other effect, and for each effect beside a mishap.
const WITH_EFFECT: u32 = 20;
const WITH_MISHAP: u32 = 40;
/// One run in this many beside them for values that come late and no effect, of which more has to be known.
const WITHOUT_EFFECT_LATE: u32 = 4;
/// What goes wrong, in words and as flags of `simulate`.
const MISHAPS: [(&str, &[&str]); 5] = [
    ("gates answered after 3 days", &["--answer-after", "3d"]),
    (LATE, &["--delay", "7d"]),
    ("0.2 % of the units deleted a day", &["--deletions", "0.2%"]),
    ("the source away for 2 days", &["--outage", "2d"]),
    ("the treatment loses 5 % of its units", &["--lost-treatment", "5%"]),
];

/// Plays them; a row for each effect and mishap.
pub(super) fn play(shop: &Shop, options: &Options, say: &mut dyn FnMut(&str)) -> Result<Vec<Row>> {
    let n = options.n_engine;
    let mut rows = Vec::new();
    let mut add = |mishap: &str, flags: &[&str], effects: &[f64], runs: u32| -> Result<()> {
        let what = if mishap.is_empty() { "nothing goes wrong" } else { mishap };
        say(&format!("engine: {} experiments, {what}", effects.len() * runs as usize));
        rows.extend(simulate(shop, options.seed, mishap, flags, effects, runs.max(1))?);
        Ok(())
    };
    add("", &[], &[0.0], n * QUIET.0 / QUIET.1)?;
    add("", &[], &[1.0, 2.0, -1.0, -2.0, -5.0], n / WITH_EFFECT)?;
    for (mishap, flags) in MISHAPS {
        let n_quiet = if mishap == LATE { n / WITHOUT_EFFECT_LATE } else { n / WITH_MISHAP };
        add(mishap, flags, &[0.0], n_quiet)?;
        add(mishap, flags, &[1.0, -2.0], n / WITH_MISHAP)?;
    }
    Ok(rows)
}

fn simulate(shop: &Shop, seed: u64, mishap: &str, flags: &[&str], effects: &[f64], runs: u32) -> Result<Vec<Row>> {
    let in_units: Vec<String> = effects.iter().map(|effect| (effect * MDE).to_string()).collect();
    let (effects_flag, guardrail) = (format!("--effects={}", in_units.join(",")), format!("refunds={BAD_RATE}"));
    let (runs_text, seed) = (runs.to_string(), seed.to_string());
    let slug = shop.slug_by_hand()?;
    let fixed =
        ["simulate", slug, &effects_flag, "--guardrail", &guardrail, "--replications", &runs_text, "--seed", &seed];
    let found = shop.cli().json(&[&fixed, flags].concat())?;
    let reports = found["effects"].as_array().context("`simulate` has no effects")?;
    anyhow::ensure!(reports.len() == effects.len(), "`simulate` played other effects");
    effects.iter().zip(reports).map(|(effect, report)| row(mishap, *effect, runs, report)).collect()
}

fn row(mishap: &str, effect: f64, runs: u32, of: &Value) -> Result<Row> {
    let number = |field: &str| of[field].as_f64().with_context(|| format!("`{field}` is no number in {of}"));
    Ok(Row {
        mishap: mishap.to_owned(),
        effect,
        runs,
        ship: number("ship")?,
        harm: number("kill_harm")?,
        guardrail: number("false_guardrail_stop")?,
        data: number("held")?,
        futile: number("kill_futility")?,
        inconclusive: number("inconclusive")?,
        days: number("expected_days")?,
        median_days_off: of["harm_off"]["median_days"].as_f64(),
        p90_days_off: of["harm_off"]["p90_days"].as_f64(),
    })
}
