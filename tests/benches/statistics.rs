//! The speed of the statistics: `cargo bench -p outcome-tests --bench statistics`, `-- recompute` for that part alone.
//!
//! Evaluations on one core, without and with words; 10,000 experiments of five polls each, read from SQLite, evaluated and
//! written back; and beside them gbstats in the same run, where its Python is there (`OUTCOME_PEERS_PYTHON`, or `python3`).

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers of a bench are small and not negative"
)]

use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use jiff::SignedDuration;
use outcome_core::audit::{EventKind, NewEvent};
use outcome_core::domain::{
    ArmSums, Experiment, ExperimentStatus, Measurement, PhaseStart, Plan, Stored, Variant, Window,
};
use outcome_core::ids::{ExperimentId, MeasurementId};
use outcome_core::principal::Principal;
use outcome_core::stats::{
    self, Comparison, DataHealth, Evaluation, Guardrail, GuardrailReading, HarmDirection, Margin, Phase, RunningState,
    Scope, assess, evaluate,
};
use outcome_core::usecases::RecomputeRequest;
use outcome_tests::lab::{FILE, Lab, agent, hypothesis};
use serde_json::{Value, json};

const N_EXPERIMENTS: usize = 10_000;
const N_POLLS: usize = 5;
const ROUNDS: usize = 7;

fn main() -> Result<()> {
    let only_recompute = std::env::args().any(|arg| arg == "recompute");
    let bare = if only_recompute { None } else { Some(evaluations()) };
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(recompute())?;
    bare.map_or(Ok(()), peers)
}

/// Evaluations per second on one core; of the fastest round, so that a busy machine does not make anybody look slow.
fn rate(n: usize, mut round: impl FnMut()) -> f64 {
    let best = (0..ROUNDS).map(|_| {
        let began = Instant::now();
        round();
        began.elapsed().as_secs_f64()
    });
    n as f64 / best.fold(f64::INFINITY, f64::min)
}

/// Prints what one core evaluates, and returns the rate without words and constraints.
fn evaluations() -> f64 {
    let plan = stats::TestPlan { mde_abs: Some(0.005), max_days: Some(28), ..stats::TestPlan::default() };
    let share = |n: u64, rate: f64| stats::ArmSums::Proportion { n, successes: (n as f64 * rate) as u64 };
    let of = |n: u64, more: u64, control: f64, treatment: f64| {
        [Phase {
            number: 0,
            control_weight: 1.0,
            treatment_weight: 1.0,
            control: share(n, control),
            treatment: share(n + more, treatment),
        }]
    };
    let polls: Vec<_> = (0..1000u64)
        .map(|i| (of(1000 + i * 97, i % 7, 0.05, 0.0505), of(1000 + i * 97, i % 7, 0.02, 0.0202)))
        .collect();
    let guard = |phases| Guardrail {
        name: "errors",
        must_prove: false,
        reading: GuardrailReading::RelativeToControl(Comparison::new(
            phases,
            HarmDirection::Increase,
            Margin::Absolute(0.005),
        )),
    };
    let mut states = vec![RunningState::default(); polls.len()];
    let mut as_of = 0;
    let mut all = |n_guards: usize, is_in_words: bool| {
        let n_rounds = if is_in_words { 20 } else { 100 };
        rate(n_rounds * polls.len(), || {
            for _ in 0..n_rounds {
                as_of += 1;
                for ((phases, constraint), state) in polls.iter().zip(&mut states) {
                    let guardrails = [guard(&constraint[..])];
                    let input = Evaluation {
                        cohorts: None,
                        plan: &plan,
                        phases,
                        elapsed_days: 8.0,
                        as_of,
                        guardrails: &guardrails[..n_guards],
                        health: DataHealth::default(),
                        scope: Scope::default(),
                    };
                    if is_in_words {
                        *state = black_box(evaluate(&input, Some(state))).running;
                    } else {
                        black_box(assess(&input, state));
                    }
                }
            }
        })
    };
    let bare = all(0, false);
    println!("assess, two arms: {bare:.0} evaluations per second and core");
    println!("assess, with one guardrail: {:.0}", all(1, false));
    println!("evaluate (with words), with one guardrail: {:.0}", all(1, true));
    bare
}

/// Prints how long recomputing takes: everything written back, and everything the same.
async fn recompute() -> Result<()> {
    let (begin, rest) = FILE.split_once("    constraints:").context("the laboratory's file has no constraints")?;
    let (_, end) = rest.split_once("    horizon:").context("the laboratory's file has no horizon")?;
    let lab = Lab::declaring(None, &format!("{begin}    horizon:{end}")).await?;
    let began = Instant::now();
    fill(&lab).await?;
    let size = std::fs::metadata(lab.root().join(".outcome/outcome.db"))?.len() / 1_000_000;
    println!("filled {N_EXPERIMENTS} experiments with {N_POLLS} polls each in {:.0?}, {size} MB", began.elapsed());
    let by = outcome_tests::lab::local();
    for (what, is_emptied) in [("read, evaluated and written back", true), ("read, evaluated, the same", false)] {
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            if is_emptied {
                lab.raw("UPDATE experiment SET running = NULL, current_result = NULL").await?;
            }
            lab.raw("PRAGMA wal_checkpoint(TRUNCATE)").await?;
            let cpu = cpu_time()?;
            let began = Instant::now();
            let done = lab.runtime.audit_log().recompute(&RecomputeRequest::default(), &by).await?;
            times.push((began.elapsed(), cpu_time()? - cpu));
            let n_changed = if is_emptied { N_EXPERIMENTS } else { 0 };
            ensure!(done.failures.is_empty() && done.changes.len() == n_changed, "{:?}", done.failures.first());
        }
        times.sort();
        let (median, best) = (times[times.len() / 2].0, times[0]);
        println!(
            "recompute of {N_EXPERIMENTS} x {N_POLLS}, {what}: best {:.0?} ({} ms of processor time), median {median:.0?}",
            best.0,
            best.1.as_millis()
        );
    }
    Ok(())
}

/// Processor time of this process so far, with its threads; zero where nobody tells.
fn cpu_time() -> Result<Duration> {
    let Ok(text) = std::fs::read_to_string("/proc/self/stat") else { return Ok(Duration::ZERO) };
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // utime and stime in ticks of 10 ms; see proc_pid_stat(5).
    let ticks = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(Duration::from_millis(ticks * 10))
}

/// Fills the workspace with experiments that run, as polling leaves them: plan, phase, readings, and lines of the log.
async fn fill(lab: &Lab) -> Result<()> {
    let runtime = &lab.runtime;
    let first = lab.submit(hypothesis("First", "first")).await?;
    let outcome = runtime.experiments().show(&first).await?.experiment.outcome;
    let mut tx = runtime.db().write(runtime.workspace().id).await?;
    let spec = tx.outcome_get(outcome).await?.context("no outcome")?.spec;
    let start = runtime.now();
    for n in 0..N_EXPERIMENTS {
        let hypothesis = hypothesis(&format!("Idea {n}"), &format!("idea-{n}"));
        let plan = Plan::of(&spec, &hypothesis, Some(n as u32 % 10));
        let id = runtime.ids().next::<ExperimentId>();
        let mut experiment = Experiment::draft(id, format!("idea-{n}").parse()?, outcome, hypothesis, agent(), start);
        experiment.state.status = ExperimentStatus::Running;
        experiment.state.plan_hash = Some(plan.hash()?);
        experiment.plan = Some(Stored::new(plan.clone())?);
        experiment.launched_at = Some(start);
        tx.experiment_insert(&experiment, "").await?;
        tx.experiment_update(&experiment).await?;
        tx.phase_begin(experiment.id, 50, PhaseStart::Launch, start).await?;
        for poll in 1..=N_POLLS {
            let at = start + SignedDuration::from_hours(12 * i64::try_from(poll)?);
            for (variant, rate) in [(Variant::Control, 300), (Variant::Treatment, 300 + n % 30)] {
                let units = i64::try_from(poll * 1000 + n % 97)?;
                let measurement = Measurement {
                    cohort: None,
                    units: None,
                    id: runtime.ids().next::<MeasurementId>(),
                    outcome,
                    experiment: Some(experiment.id),
                    signal: spec.signal.name.clone(),
                    variant: Some(variant),
                    phase: Some(0),
                    measured_at: at,
                    window: Window { from: start, to: at },
                    sums: ArmSums::Proportion { n: units, successes: units * i64::try_from(rate)? / 1000 },
                    source: "game".to_owned(),
                    query_hash: "0".repeat(64),
                    raw_hash: "0".repeat(64),
                };
                let key = format!("poll/{}/{}/0/{variant}/{at}", experiment.id, spec.signal.name);
                tx.measurement_insert(&measurement, &key).await?;
            }
            let payload = json!({ "key": format!("{}@{at}", experiment.id), "digest": "0".repeat(64), "n": 2 });
            let event = NewEvent {
                kind: EventKind::ExperimentMeasured,
                subject: experiment.id.into(),
                principal: Principal::system("poll"),
                payload,
            };
            tx.event_append(event, at).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}

/// Prints what gbstats does on one core of the same machine, and how often we do it in that time.
fn peers(ours: f64) -> Result<()> {
    let python = std::env::var("OUTCOME_PEERS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/speed.py");
    let done = match Command::new(&python).args([script, "--n", "1000"]).output() {
        Ok(done) if done.status.success() => done,
        Ok(done) => {
            let said = String::from_utf8_lossy(&done.stderr);
            eprintln!("SKIPPED: {python} does not run gbstats: {}", said.lines().last().unwrap_or_default());
            return Ok(());
        }
        Err(error) => {
            eprintln!("SKIPPED: {python} cannot be run: {error}");
            return Ok(());
        }
    };
    let theirs: Value = serde_json::from_slice(&done.stdout)?;
    for (what, name) in [("pipeline", "pipeline_per_second"), ("test object", "test_object_per_second")] {
        let rate = theirs[name].as_f64().context("gbstats gave no rate")?;
        println!(
            "gbstats {}, {what}: {rate:.0} comparisons per second; assess: {:.0} times as many",
            theirs["version"],
            ours / rate
        );
    }
    Ok(())
}
