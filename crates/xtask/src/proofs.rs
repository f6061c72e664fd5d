//! Runs the tools that prove things: on the statistics' package, and the fuzzer on the agent's server too.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::root;

/// Lines of the statistics that the tests must reach, in percent.
const MIN_COVERAGE: &str = "95";
/// Cases per property while lines are counted and mutants hunted; most of what ten thousand find, a hundred find.
const FEW_CASES: &str = "100";
/// Where the targets of the statistics are, and those of the agent's server.
const STATS: &str = "crates/stats";
const STATS_FUZZ: &str = "crates/stats/fuzz";
const MCP_FUZZ: &str = "crates/mcp/fuzz";
const FUZZ_TARGETS: [(&str, &str); 3] =
    [("stats_eval", STATS_FUZZ), ("stats_request", STATS_FUZZ), ("mcp_lines", MCP_FUZZ)];

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
    run(tool
        .current_dir(root().join(STATS))
        .args(["--engine", "llvm", "--skip-clean", "--implicit-test-threads", "--timeout", "600"])
        .args(["--include-files", "src/*", "--exclude-files", "src/testing.rs", "--fail-under", MIN_COVERAGE])
        .args(["--out", "Lcov", "--output-dir"])
        .arg(root().join("target"))
        .env("PROPTEST_CASES", cases())
        // Lines are counted before they are optimised.
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1"))
}

/// Changes the statistics in small ways, one at a time, and tells which changes no test noticed. `arguments` go to
/// cargo-mutants, for example `--file src/start_gate.rs`; without any, everything is changed.
pub fn mutants(arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        return mutate("chosen", arguments);
    }
    // The tests of plans take longer than all others together, so they are run for the changes of plans alone.
    let plan = "src/sample_size.rs";
    let skip =
        ["sample_size::", "worked_plan", "field_of_a_plan", "a_plan_scales", "plans::"].map(|name| ["--skip", name]);
    let others = ["--exclude", plan, "--", "--lib", "--test", "it", "--"].into_iter().chain(skip.into_iter().flatten());
    let results = [
        mutate("others", &others.map(str::to_owned).collect::<Vec<_>>()),
        mutate("plan", &["--file", plan].map(str::to_owned)),
    ];
    results.into_iter().collect()
}

/// One run; its result stays in `target/stats-mutants/<name>`.
fn mutate(name: &str, arguments: &[String]) -> Result<()> {
    let mut tool = tool("mutants")?;
    let scratch = root().join("target");
    let results = scratch.join("stats-mutants");
    std::fs::create_dir_all(&results).with_context(|| results.display().to_string())?;
    run(tool
        .current_dir(root().join(STATS))
        .args(["--jobs", "2", "--no-shuffle", "--gitignore", "false", "--minimum-test-timeout", "20", "--output"])
        .arg(results.join(name))
        .args(arguments)
        // Copies inside of the repository find `shared/` above them.
        .env("TMPDIR", &scratch)
        .env("PROPTEST_CASES", cases())
        // The same cases for every mutant.
        .env("PROPTEST_RNG_SEED", "1")
        .env("PROPTEST_MAX_SHRINK_ITERS", "0")
        .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1")
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_DEV_DEBUG", "false"))
}

/// Fuzzes the JSON interface of the statistics and the lines that an agent writes; the seconds (60 unless told) are shared by
/// the targets, or all for the one that is named after them. What it learned stays in `target/fuzz` for the next run.
pub fn fuzz(arguments: &[String]) -> Result<()> {
    let seconds: u64 = arguments.first().map_or(Ok(60), |text| text.parse()).context("seconds")?;
    let wanted = arguments.get(1);
    let targets: Vec<_> =
        FUZZ_TARGETS.into_iter().filter(|(target, _)| wanted.is_none_or(|wanted| wanted == target)).collect();
    if targets.is_empty() {
        bail!("there is no such target; the targets are {}", FUZZ_TARGETS.map(|(target, _)| target).join(", "));
    }
    let scratch = root().join("target/fuzz");
    for (target, package) in &targets {
        let package = root().join(package);
        let (corpus, artifacts) = (scratch.join("corpus").join(target), scratch.join("artifacts").join(target));
        for folder in [&corpus, &artifacts] {
            std::fs::create_dir_all(folder)?;
        }
        seed(&package, &corpus)?;
        let mut tool = tool("fuzz")?;
        // Without a sanitizer, since there is no unsafe code to watch; the instrumentation alone needs no nightly.
        tool.args(["run", "--sanitizer", "none", "--fuzz-dir"]).arg(&package);
        tool.arg("--target-dir").arg(scratch.join("build")).args([*target]).arg(&corpus);
        tool.arg("--").arg(format!("-max_total_time={}", seconds.div_ceil(targets.len() as u64)));
        tool.args(["-timeout=10", "-max_len=4096", "-print_final_stats=1"]);
        tool.arg(format!("-artifact_prefix={}/", artifacts.display()));
        tool.arg(format!("-dict={}", package.join("words.dict").display()));
        run(tool.env("RUSTC_BOOTSTRAP", "1"))?;
    }
    Ok(())
}

/// Writes what a target starts from: the files beside it, or the worked requests of the statistics. The target that builds
/// its own requests reads them as bytes like any others.
fn seed(package: &Path, corpus: &Path) -> Result<()> {
    let seeds = package.join("seeds");
    if seeds.exists() {
        for entry in std::fs::read_dir(seeds)? {
            let entry = entry?;
            std::fs::copy(entry.path(), corpus.join(entry.file_name()))?;
        }
        return Ok(());
    }
    let requests = std::fs::read_to_string(root().join(STATS).join("tests/it/requests.jsonl"))?;
    for (number, request) in requests.lines().enumerate() {
        std::fs::write(corpus.join(format!("request-{number}")), request)?;
    }
    Ok(())
}
