//! `field_trial [--aa N] [--ab N] [--engine N] [--days N] [--seed N] [--minutes N] [--json] [--write]`: plays experiments
//! through the built programs beside it, and compares what comes of them with what is stated. `cargo xtask field-trial` builds
//! everything and calls it. Without a seed the commit gives one.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use outcome_tests::field_trial::{Options, Report, page, run};
use outcome_tests::lab::git;
use outcome_tests::sample;

/// Where the report and the page of `--write` lie, from this package.
const REPORT: &str = "fixtures/field_trial.json";
const PAGE: &str = "../docs/statistics/field-trial.md";

struct Asked {
    options: Options,
    is_json: bool,
    writes: bool,
}

fn main() -> Result<ExitCode> {
    let asked = asked(std::env::args().skip(1))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut errors = std::io::stderr().lock();
    let mut say = |text: &str| drop(writeln!(errors, "{text}"));
    say(&format!("seed {}", asked.options.seed));
    let report = runtime.block_on(run(&asked.options, &mut say))?;
    let problems = report.all_problems();
    if asked.writes {
        write(&report)?;
    }
    let mut out = std::io::stdout().lock();
    if asked.is_json {
        let said = serde_json::json!({ "report": report, "not_as_stated": problems });
        writeln!(out, "{said:#}")?;
    } else {
        writeln!(out, "{}", page(&report))?;
        problems.iter().try_for_each(|problem| writeln!(out, "NOT AS STATED: {problem}"))?;
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn asked(mut words: impl Iterator<Item = String>) -> Result<Asked> {
    let options = Options { seed: sample::seed(seed_of_commit().unwrap_or(1)), ..Options::default() };
    let mut asked = Asked { options, is_json: false, writes: false };
    while let Some(word) = words.next() {
        let mut number = || -> Result<u32> {
            let text = words.next().with_context(|| format!("{word} needs a number"))?;
            text.parse().with_context(|| format!("{word}: `{text}` is no number"))
        };
        let options = &mut asked.options;
        match word.as_str() {
            "--aa" => options.n_aa = number()? as usize,
            "--ab" => options.n_ab = number()? as usize,
            "--engine" => options.n_engine = number()?,
            "--days" => options.days = number()?.clamp(7, 365),
            "--seed" => options.seed = number()?.into(),
            "--minutes" => options.limit = Some(Duration::from_mins(number()?.into())),
            "--json" => asked.is_json = true,
            "--write" => asked.writes = true,
            _ => bail!("`{word}` is not known: see the first line of tests/src/bin/field_trial.rs"),
        }
    }
    Ok(asked)
}

/// The first eight digits of the commit, as `tests/run` takes them; none outside of a repository.
fn seed_of_commit() -> Option<u64> {
    let commit = git(Path::new(env!("CARGO_MANIFEST_DIR")), &["rev-parse", "HEAD"]).ok()?;
    u64::from_str_radix(commit.get(..8)?, 16).ok()
}

fn write(report: &Report) -> Result<()> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::write(package.join(REPORT), format!("{}\n", serde_json::to_string_pretty(report)?))?;
    Ok(std::fs::write(package.join(PAGE), page(report))?)
}
