//! The MCP server under load: `cargo build --release && cargo bench -p outcome-tests --bench mcp_load`.
//!
//! One real server over one pair of pipes, on SQLite with 10,000 experiments and as many learnings: the calls a second with
//! eight under way at once, the time of each tool alone, and the tokens of `get_active_outcomes` for ten outcomes. Two
//! numbers after `--` choose how many experiments and calls, for a quick look: `cargo bench ... -- 500 100`.

mod filled;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::StreamExt as _;
use outcome_core::domain::Verdict;
use outcome_tests::lab::{Lab, OUTCOME, commit, git, hypothesis, write};
use outcome_tests::programs::{Agent, Cli};
use serde_json::{Value, json};

const N_EXPERIMENTS: usize = 10_000;
const N_MEASUREMENTS: usize = 100_000;
/// Calls of the run with several under way.
const N_LOAD: usize = 5_000;
/// How many are under way at once, as inspector's `--load` has them.
const AT_ONCE: usize = 8;
/// Calls of each tool alone.
const N_CALLS: usize = 300;

const MIN_CALLS_A_SECOND: f64 = 1_000.0;
const MAX_P99: Duration = Duration::from_millis(20);
const MAX_TOKENS: usize = 2_000;

fn main() -> Result<()> {
    // Cargo adds flags of its own.
    let mut chosen = std::env::args().skip(1).filter_map(|word| word.parse().ok());
    let n_experiments = chosen.next().unwrap_or(N_EXPERIMENTS);
    let n_calls = chosen.next().unwrap_or(N_LOAD);
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let are_met = [tokens().await?, load(n_experiments, n_calls).await?];
        std::process::exit(i32::from(are_met != [true, true]))
    })
}

fn bar(is_met: bool) -> &'static str {
    if is_met { "met" } else { "MISSED" }
}

/// The tokens of the first answer of a session in a workspace with ten outcomes.
async fn tokens() -> Result<bool> {
    let lab = Lab::with_outcomes(10).await?;
    for n in 0..3 {
        lab.submit(hypothesis(&format!("A level whose name is rather long, number {n}"), &format!("flag-{n}"))).await?;
    }
    let home = tempfile::tempdir()?;
    let client = server(&lab, home.path()).await?;
    let answer = client.call("get_active_outcomes", json!({})).await?;
    let n_outcomes = answer["outcomes"].as_array().map_or(0, Vec::len);
    ensure!(n_outcomes == 10, "{n_outcomes} outcomes");
    let text = answer.to_string();
    let n_tokens = tiktoken_rs::o200k_base_singleton().encode_ordinary(&text).len();
    let is_met = n_tokens <= MAX_TOKENS;
    println!(
        "get_active_outcomes, 10 outcomes: {n_tokens} tokens (o200k_base), {} bytes; at most {MAX_TOKENS}: {}",
        text.len(),
        bar(is_met)
    );
    client.stop().await?;
    Ok(is_met)
}

async fn server(lab: &Lab, home: &std::path::Path) -> Result<Agent> {
    let clock = lab.root().join(".clock");
    std::fs::write(&clock, lab.runtime.now().to_string())?;
    let clock = clock.display().to_string();
    Cli::new(&lab.root(), home, "unused", &[("OUTCOME_RUNTIME_CLOCK_FILE", &clock)])?.agent().await
}

async fn load(n_experiments: usize, n_calls: usize) -> Result<bool> {
    let lab = Lab::sqlite().await?;
    let (reported, building, gate) = stations(&lab).await?;
    let began = Instant::now();
    filled::fill(&lab, &building, n_experiments, N_MEASUREMENTS, true).await?;
    println!("filled {n_experiments} experiments, {N_MEASUREMENTS} measurements in {:.0?}", began.elapsed());
    let home = tempfile::tempdir()?;
    let client = server(&lab, home.path()).await?;

    let reads = [
        ("get_active_outcomes", json!({})),
        ("get_active_outcomes", json!({ "detail": "full" })),
        ("get_work_order", json!({ "outcome_id": OUTCOME })),
        ("get_experiment_brief", json!({ "experiment_id": building })),
        ("get_gate", json!({ "gate_id": gate })),
        ("query_learnings", json!({ "query": "softer second level" })),
        ("query_learnings", json!({})),
    ];
    let report = json!({ "experiment_id": reported, "implementation_summary": "Built", "head": reported });
    let question =
        json!({ "experiment_id": building, "gate_type": "escalation", "question": "May level three change?" });
    let writes = [
        ("submit_hypotheses", json!({ "outcome_id": OUTCOME, "hypotheses": [candidate()] })),
        ("report_experiment_built", report),
        ("request_human_gate", question),
    ];
    let mut are_met = vec![throughput(&client, "every reading tool in turn", &reads, n_calls).await?];
    for call in &reads {
        // For the reader; the bar is for all of them.
        throughput(&client, &format!("{} {}", call.0, call.1), std::slice::from_ref(call), n_calls / 10).await?;
    }
    for (tool, arguments) in reads.iter().chain(&writes) {
        are_met.push(alone(&client, tool, arguments, n_calls.min(N_CALLS)).await?);
    }
    client.stop().await?;
    Ok(are_met.into_iter().all(|is_met| is_met))
}

/// An experiment whose build was reported, one that is being built, and a gate that waits.
async fn stations(lab: &Lab) -> Result<(String, String, String)> {
    let root = lab.root();
    let reported = lab.submit(hypothesis("Reported", "reported")).await?;
    lab.decide(&reported, Verdict::Approve).await?;
    git(&root, &["checkout", "-q", "-b", &reported, "main"])?;
    write(&root, "game/level.txt", "reported\n")?;
    commit(&root, "Build")?;
    let building = lab.submit(hypothesis("Being built", "being-built")).await?;
    lab.decide(&building, Verdict::Approve).await?;
    let waiting = lab.submit(hypothesis("Waiting", "waiting")).await?;
    let gate = lab.runtime.experiments().show(&waiting).await?.gates.first().cloned().context("no gate")?;
    Ok((reported, building, gate))
}

/// The same candidate again and again: it is checked against everything that is known, and stored once.
fn candidate() -> Value {
    json!({
        "title": "New level", "statement": "It is friendlier", "mechanism": "Fewer give up", "expected_improvement": 0.02,
        "confidence": 0.5, "intervention_description": "Soften it", "touched_paths": ["game/new/"], "flag_key": "new",
        "duration_days": 28, "min_sample_size": 2000, "success_threshold": 0.0, "kill_threshold": 0.0,
        "minimum_detectable_effect": 0.02, "initial_pct": 50, "effort_hours": 3, "risk": "low",
    })
}

/// These calls in turn, several under way at once.
async fn throughput(client: &Agent, what: &str, calls: &[(&str, Value)], n_calls: usize) -> Result<bool> {
    let began = Instant::now();
    let work = calls.iter().cycle().take(n_calls).map(|(tool, arguments)| async move {
        let began = Instant::now();
        client.call(tool, arguments.clone()).await.with_context(|| (*tool).to_owned())?;
        anyhow::Ok(began.elapsed())
    });
    let done: Vec<Result<Duration>> = futures::stream::iter(work).buffer_unordered(AT_ONCE).collect().await;
    let took = began.elapsed();
    let mut times = done.into_iter().collect::<Result<Vec<_>>>()?;
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    let rate = n_calls as f64 / took.as_secs_f64();
    let is_met = rate >= MIN_CALLS_A_SECOND;
    println!(
        "{n_calls} calls, {AT_ONCE} at once, {what}: {rate:.0} a second; at least {MIN_CALLS_A_SECOND}: {}",
        bar(is_met)
    );
    println!("  each: {}", figures(&mut times).0);
    Ok(is_met)
}

/// One tool, one call after the other.
async fn alone(client: &Agent, tool: &str, arguments: &Value, n_calls: usize) -> Result<bool> {
    let mut times = Vec::new();
    for _ in 0..n_calls {
        let began = Instant::now();
        client.call(tool, arguments.clone()).await.with_context(|| tool.to_owned())?;
        times.push(began.elapsed());
    }
    let (shown, p99) = figures(&mut times);
    let is_met = p99 < MAX_P99;
    let asked = if arguments.to_string().len() > 60 { "..." } else { &arguments.to_string() };
    println!("{tool} {asked}: {shown}; p99 under {MAX_P99:?}: {}", bar(is_met));
    Ok(is_met)
}

/// Median, 99th percentile and maximum in words, and the percentile.
fn figures(times: &mut [Duration]) -> (String, Duration) {
    times.sort();
    let at = |percent: usize| times.get((times.len() - 1) * percent / 100).copied().unwrap_or_default();
    (format!("median {:.2?}, p99 {:.2?}, max {:.2?}", at(50), at(99), at(100)), at(99))
}
