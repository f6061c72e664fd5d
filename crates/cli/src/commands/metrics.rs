//! `metrics`: what a metric means, and whether its units and its test hold.

use outcome_core::Result;
use outcome_core::present::{Value, count, health, instant, metric, number, percent};
use outcome_core::usecases::{
    KeyLook, MetricCheckRequest, MetricChecked, MetricCompareRequest, MetricCompared, MetricDoubt, MetricShown,
};

use super::stats::parse;
use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::{Page, safe};

/// Runs it.
pub async fn run(cx: &Cx, args: &args::Metrics) -> Result<Exit> {
    let runtime = cx.open().await?;
    match args {
        args::Metrics::Show { name, sql } => {
            let shown = runtime.signals().metric_show(name, *sql).await?;
            cx.out.result(&shown, |page| show(page, &shown, *sql))?;
        }
        args::Metrics::Check { name, flag, days } => {
            let request = MetricCheckRequest { metric: name.clone(), flag: flag.clone(), days: *days };
            let checked = runtime.signals().metric_check(&request).await?;
            cx.out.result(&checked, |page| check(page, &checked))?;
        }
        args::Metrics::Compare(args) => {
            let compared = runtime.signals().metric_compare(&asked(args)?).await?;
            cx.out.result(&compared, |page| compare(page, &compared))?;
        }
    }
    Ok(Exit::OK)
}

fn asked(args: &args::MetricsCompare) -> Result<MetricCompareRequest> {
    let split = args.split.as_ref().map_or_else(|| Ok(vec![1.0; 2]), |text| parse::split(text, 2))?;
    Ok(MetricCompareRequest {
        metric: args.name.clone(),
        flag: args.flag.clone(),
        from: args.from,
        to: args.to,
        treatment_pct: 100.0 * split.iter().skip(1).sum::<f64>() / split.iter().sum::<f64>(),
        mde: parse::effect(&args.mde, "--mde")?,
        alpha: parse::alpha(&args.alpha)?.get(),
    })
}

fn compare(page: &mut Page, compared: &MetricCompared) {
    let MetricCompared { answer, result, window, .. } = compared;
    page.head(&format!("`{}` by metric `{}`", safe(&compared.flag), safe(&compared.metric)));
    page.strong("  ", &answer.says);
    if let Some(sure) = &answer.sure {
        page.text("  ", sure);
    }
    for warning in health(&result.health) {
        page.warning(&warning);
    }
    for finding in compared.findings.iter().filter(|found| found.doubt == MetricDoubt::Warning) {
        page.warning(&finding.message);
    }
    let [control, treatment] = compared.n_exposed.map(|n| count(u64::try_from(n).unwrap_or(0)));
    page.head("What it rests on");
    page.long_field(
        "exposed",
        &format!("{control} control, {treatment} treatment, {} to {}", instant(window.from), instant(window.to)),
    );
    let counted = match (result.n_control, result.n_treatment) {
        (0, 0) => "nobody: no value is final".to_owned(),
        (control, treatment) => format!(
            "{} control, {} treatment: their values are final, and the flag was on for all of their time",
            count(control),
            count(treatment),
        ),
    };
    page.long_field("counted", &counted);
    page.long_field("caveat", &compared.caveat);
}

fn show(page: &mut Page, shown: &MetricShown, has_sql: bool) {
    page.head(&format!("Metric `{}` of source `{}`", safe(&shown.metric), safe(&shown.source)));
    for row in metric(&shown.signal).rows {
        if let Value::Text(text) = row.value {
            page.long_field(&row.label.to_lowercase(), &text);
        }
    }
    for statement in &shown.statements {
        page.head(&format!("SQL, {}", statement.query));
        for line in statement.sql.lines() {
            page.line(&safe(line));
        }
    }
    if !has_sql {
        page.hint("`--sql` prints the statements; `outcome-runtime metrics check` looks at the rows");
    }
}

fn check(page: &mut Page, checked: &MetricChecked) {
    page.head(&format!("Metric `{}`, the last {} days", safe(&checked.metric), checked.days));
    for finding in &checked.findings {
        let mark = match finding.doubt {
            MetricDoubt::Problem => page.red("problem:"),
            MetricDoubt::Warning => page.yellow("warning:"),
        };
        page.line(&format!("{mark} {}", safe(&finding.message)));
    }
    if checked.findings.is_empty() {
        page.line(&format!("{} nothing odd was found", page.green("ok:")));
    }
    let counted = |n: i64| count(u64::try_from(n).unwrap_or(0));
    let seen = &checked.exposures;
    page.head("Rows");
    page.long_field(
        "exposures",
        &format!(
            "{} rows ({} repeated, {} without a unit, {} without an arm, {} of another arm)",
            counted(seen.n_rows),
            counted(seen.n_repeated),
            counted(seen.n_without_unit),
            counted(seen.n_without_variant),
            counted(seen.n_unknown_variant)
        ),
    );
    page.long_field(
        "units",
        &format!(
            "{}, of which {} are mature; {} saw both arms of a flag",
            counted(seen.n_units),
            counted(seen.n_mature),
            counted(seen.n_both)
        ),
    );
    for fact in &checked.facts {
        let said = format!(
            "{} rows ({} repeated, {} without a unit)",
            counted(fact.n_rows),
            counted(fact.n_repeated),
            counted(fact.n_without_unit)
        );
        page.long_field(&safe(&fact.rows), &said);
    }
    if checked.is_population {
        page.line("  nobody was exposed long enough ago, so the units below are those of `population`");
    }
    page.head("Units by hash of each key, and two thousand random splits");
    key(page, &checked.unit, "the unit");
    for coarser in &checked.coarser {
        key(page, coarser, "shared");
    }
    let splits = &checked.unit.splits;
    page.head("What a fixed test would find with these units, in four of five cases");
    let say = |found: Option<f64>| found.map_or_else(|| "unknown".to_owned(), number);
    page.field("effect", &say(splits.mde));
    if splits.mde_without_covariate.is_some() {
        page.field("without covariate", &say(splits.mde_without_covariate));
        page.field("correlation", &say(splits.correlation));
    }
    if checked.mde_without_cap.is_some() {
        page.field("without cap", &say(checked.mde_without_cap));
    }
    if let Some(caps) = &checked.caps {
        page.field("cap now", &number(caps.value.get()));
    }
    page.field("source", &format!("{:.1} s; {}", checked.seconds, safe(checked.index.as_deref().unwrap_or("no plan"))));
}

fn key(page: &mut Page, key: &KeyLook, role: &str) {
    let splits = &key.splits;
    let inflation = splits.inflation.map_or_else(|| "unknown".to_owned(), number);
    let beyond = splits.beyond.map_or_else(
        || "too few units to split".to_owned(),
        |beyond| format!("{} of splits beyond 1.96 standard errors", percent(beyond)),
    );
    page.long_field(
        &safe(&key.key),
        &format!(
            "{role}, {} of them: means vary {inflation} times as much as they should (1 is right); {beyond} (5 % is right)",
            count(u64::try_from(key.n_keys).unwrap_or(0))
        ),
    );
}
