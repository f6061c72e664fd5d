//! Runs the tools that prove the statistics, each on the package of [`stats_lab`].

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{root, stats_lab};

/// Lines of the statistics that the tests must reach, in percent.
const MIN_COVERAGE: &str = "95";
/// Cases per property while lines are counted and mutants hunted; most of what ten thousand find, a hundred find.
const FEW_CASES: &str = "100";
const FUZZ_TARGETS: [&str; 2] = ["stats_eval", "stats_request"];

/// A cargo subcommand from a package of its own.
fn tool(name: &str) -> Result<Command> {
    let is_there = Command::new("cargo").args([name, "--help"]).output().is_ok_and(|output| output.status.success());
    if !is_there {
        bail!("cargo-{name} is missing: run `cargo install cargo-{name} --locked`");
    }
    let mut command = Command::new("cargo");
    command.arg(name);
    Ok(command)
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    if status.success() { Ok(()) } else { bail!("{command:?} ended with {status}") }
}

fn cases() -> String {
    std::env::var("PROPTEST_CASES").unwrap_or_else(|_| FEW_CASES.to_owned())
}

/// Prints the share of lines that the tests reach in each file, and fails below [`MIN_COVERAGE`] over all of them.
pub fn coverage() -> Result<()> {
    let mut tool = tool("tarpaulin")?;
    let lab = stats_lab::write()?;
    run(tool
        .current_dir(&lab)
        .args(["--engine", "llvm", "--skip-clean", "--implicit-test-threads", "--lib", "--timeout", "600"])
        .args(["--include-files", "src/stats/*", "--fail-under", MIN_COVERAGE])
        .args(["--out", "Lcov", "--output-dir"])
        .arg(&lab)
        .env("PROPTEST_CASES", cases())
        // Lines are counted before they are optimised.
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1"))
}

/// Changes the statistics in small ways, one at a time, and tells which changes no test noticed. `arguments` go to
/// cargo-mutants, for example `--file src/stats/gate.rs`; without any, everything is changed.
pub fn mutants(arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        return mutate("chosen", arguments);
    }
    // The tests of plans take longer than all others together, so they are run for the changes of plans alone.
    let plan = "src/stats/plan.rs";
    let skip = ["stats::plan::", "worked_plan", "field_of_a_plan", "a_plan_scales", "stats_plans"]
        .map(|name| ["--skip", name]);
    let others = ["--exclude", plan, "--", "--lib", "--"].into_iter().chain(skip.into_iter().flatten());
    let results = [
        mutate("others", &others.map(str::to_owned).collect::<Vec<_>>()),
        mutate("plan", &["--file", plan].map(str::to_owned)),
    ];
    results.into_iter().collect()
}

/// One run; its result stays in `target/stats-mutants/<name>`.
fn mutate(name: &str, arguments: &[String]) -> Result<()> {
    let mut tool = tool("mutants")?;
    let lab = stats_lab::write()?;
    let scratch = lab.parent().unwrap_or(&lab);
    run(tool
        .current_dir(&lab)
        .args(["--jobs", "2", "--no-shuffle", "--gitignore", "false", "--minimum-test-timeout", "20", "--output"])
        .arg(scratch.join("stats-mutants").join(name))
        .args(arguments)
        // The copies stand as deep as the package itself, so that they find `../shared`.
        .env("TMPDIR", scratch)
        .env("PROPTEST_CASES", cases())
        // The same cases for every mutant.
        .env("PROPTEST_RNG_SEED", "1")
        .env("PROPTEST_MAX_SHRINK_ITERS", "0")
        .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1")
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_DEV_DEBUG", "false"))
}

/// Fuzzes the JSON interface; the seconds (60 unless told) are shared by the targets. What it learned stays in
/// `target/stats-fuzz` for the next run.
pub fn fuzz(arguments: &[String]) -> Result<()> {
    let seconds: u64 = arguments.first().map_or(Ok(60), |text| text.parse()).context("seconds")?;
    let lab = stats_lab::write()?;
    let requests = std::fs::read_to_string(lab.join("tests/it/stats_requests.jsonl"))?;
    let package = root().join("crates/core/fuzz");
    let scratch = root().join("target/stats-fuzz");
    for target in FUZZ_TARGETS {
        let (corpus, artifacts) = (scratch.join("corpus").join(target), scratch.join("artifacts").join(target));
        for folder in [&corpus, &artifacts] {
            std::fs::create_dir_all(folder)?;
        }
        // To start from; the target that builds its own requests reads them as bytes like any others.
        for (number, request) in requests.lines().enumerate() {
            std::fs::write(corpus.join(format!("request-{number}")), request)?;
        }
        let mut tool = tool("fuzz")?;
        // Without a sanitizer, since there is no unsafe code to watch; the instrumentation alone needs no nightly.
        tool.args(["run", "--sanitizer", "none", "--fuzz-dir"]).arg(&package);
        tool.arg("--target-dir").arg(scratch.join("build")).args([target]).arg(&corpus);
        tool.arg("--").arg(format!("-max_total_time={}", seconds.div_ceil(FUZZ_TARGETS.len() as u64)));
        tool.args(["-timeout=10", "-max_len=4096", "-print_final_stats=1"]);
        tool.arg(format!("-artifact_prefix={}/", artifacts.display()));
        tool.arg(format!("-dict={}", package.join("words.dict").display()));
        run(tool.env("RUSTC_BOOTSTRAP", "1"))?;
    }
    Ok(())
}
