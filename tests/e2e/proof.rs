//! What was measured explains every verdict: the statistics are replayed from the stored readings, and an independent
//! program recomputes them from a proof pack.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use outcome_core::digest::{canonical_json, sha256_hex};
use outcome_core::domain::{ExperimentStatus, RolloutPlan, Verdict};
use outcome_core::usecases::RecomputeRequest;
use outcome_tests::lab::{self, Lab, OUTCOME, hypothesis};
use serde_json::{Value, json};

use crate::journey::each_lab;

/// Every measured experiment's latest evaluation must follow from its stored readings alone. Returns how many there were.
pub async fn check_paths(lab: &Lab) -> Result<usize> {
    // Recomputing in bulk reads the same rows in another way.
    let check = RecomputeRequest { experiment: None, is_check: true };
    let recomputed = lab.runtime.audit_log().recompute(&check, &outcome_tests::lab::local()).await?;
    ensure!(recomputed.changes.is_empty() && recomputed.failures.is_empty(), "{recomputed:?}");
    let mut n_measured = 0;
    for experiment in lab.runtime.experiments().list(None, 1000).await? {
        let (Some(recorded), Some(running)) = (experiment.current_result, experiment.running) else { continue };
        let mut recorded = recorded.json().clone();
        let path = lab.runtime.experiments().history(experiment.slug.as_str()).await?;
        let Some(last) = path.last() else { anyhow::bail!("`{}` was evaluated and has no path", experiment.slug) };
        let mut replayed = json!(last.evaluated);
        let remembered = replayed.as_object_mut().and_then(|fields| fields.remove("running"));
        for extra in ["polled_at", "n_readings", "alpha", "error_budget", "e_value", "grade", "ship_test", "capped"] {
            recorded.as_object_mut().map(|fields| fields.remove(extra));
        }
        ensure!(replayed == recorded, "`{}`: {}", experiment.slug, first_difference("", &recorded, &replayed));
        ensure!(remembered.as_ref() == Some(running.json()), "`{}` remembers something else", experiment.slug);
        n_measured += 1;
    }
    Ok(n_measured)
}

fn first_difference(path: &str, want: &Value, got: &Value) -> String {
    if let (Value::Object(want), Value::Object(got)) = (want, got)
        && let Some((name, value)) = want.iter().find(|(name, value)| got.get(*name) != Some(value))
    {
        return first_difference(&format!("{path}.{name}"), value, got.get(name).unwrap_or(&Value::Null));
    }
    format!("{path} is {want} in the record and {got} in the replay")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stored_readings_explain_the_latest_evaluation_after_every_poll() -> Result<()> {
    each_lab(async |lab| {
        let experiment = lab.running("Softer level", "soft").await?;
        let steps = [
            ((40, 12, 1), (41, 15, 1), 6),
            ((500, 150, 2), (500, 170, 2), 18),
            ((3000, 900, 12), (3000, 1080, 12), 24),
            // The source restates its past, and goes on.
            ((2500, 750, 12), (2500, 900, 12), 24),
            ((6000, 1800, 20), (6000, 2160, 21), 48),
            ((9000, 2700, 36), (9000, 3240, 36), 24 * 7),
        ];
        for (i, (control, treatment, hours)) in steps.into_iter().enumerate() {
            lab.arms("soft", control, treatment).await?;
            lab.poll_after(hours).await?;
            assert_eq!(check_paths(&lab).await?, 1);
            let path = lab.runtime.experiments().history(&experiment).await?;
            assert_eq!(path.len(), i + 1);
        }
        let epochs: Vec<u32> =
            lab.runtime.experiments().history(&experiment).await?.iter().map(|poll| poll.evaluated.epoch).collect();
        assert_eq!(epochs, [1, 1, 1, 2, 2, 2]);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phase_that_ends_as_it_begins_does_not_move_the_instant_of_the_polls_after_it() -> Result<()> {
    each_lab(async |lab| {
        let experiment = lab.running("Softer level", "soft").await?;
        lab.arms("soft", (3000, 900, 12), (3000, 1080, 12)).await?;
        lab.poll_after(24).await?;
        lab.act(&experiment, Verdict::Pause).await?;
        lab.clock.advance(jiff::SignedDuration::from_hours(5));
        lab.act(&experiment, Verdict::Resume).await?;
        lab.act(&experiment, Verdict::Pause).await?;
        lab.poll_after(3).await?;
        assert_eq!(check_paths(&lab).await?, 1);
        check_packs(&lab).await?;
        Ok(())
    })
    .await
}

/// An independent program must recompute every measured experiment. Returns how many there were, 0 without Python.
pub async fn check_packs(lab: &Lab) -> Result<usize> {
    let mut n_measured = 0;
    for experiment in lab.runtime.experiments().list(None, 1000).await? {
        if experiment.current_result.is_some() {
            let pack = serde_json::to_value(lab.runtime.audit_log().proof(experiment.slug.as_str()).await?)?;
            n_measured += usize::from(agrees(lab, &pack).await?);
        }
    }
    Ok(n_measured)
}

/// The independent program must agree, alone and with the log. False where there is no Python.
pub async fn agrees(lab: &Lab, pack: &Value) -> Result<bool> {
    let log = log_of(lab).await?;
    for (log, agrees) in [(None, NOT_CHECKED), (Some(log.as_path()), 0)] {
        let Some((code, said)) = verify(lab, pack, log)? else { return Ok(false) };
        ensure!(code == Some(agrees), "{said}");
        ensure!(said.starts_with("NOT CHECKED AGAINST THE LOG") == log.is_none(), "{said}");
    }
    Ok(true)
}

/// The audit log, as `audit export` writes it.
async fn log_of(lab: &Lab) -> Result<PathBuf> {
    let path = lab.root().join(".outcome/log.jsonl");
    let mut text = String::new();
    for entry in &lab.log().await? {
        text += &(serde_json::to_string(entry)? + "\n");
    }
    std::fs::write(&path, text)?;
    Ok(path)
}

/// What the independent program says about a pack; `None`, said loudly, where there is no Python.
pub fn verify(lab: &Lab, pack: &Value, log: Option<&Path>) -> Result<Option<(Option<i32>, String)>> {
    let path = lab.root().join(".outcome/proof.json");
    std::fs::write(&path, serde_json::to_string_pretty(pack)?)?;
    let mut command = Command::new("python3");
    command.arg(SCRIPT).arg(&path).args(log.iter().flat_map(|log| [Path::new("--log"), log]));
    match command.output() {
        Ok(done) => {
            let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
            Ok(Some((done.status.code(), said)))
        }
        Err(error) if std::env::var_os("CI").is_some() => bail!("in CI nothing may be skipped: python3: {error}"),
        Err(error) => {
            eprintln!("SKIPPED: python3 cannot be run: {error}");
            Ok(None)
        }
    }
}

/// How the program ends for a pack that agrees with itself and was not compared with the log.
pub const NOT_CHECKED: i32 = 10;
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/verify_proof.py");

/// The laboratory's outcome on a source that knows phases: a table of facts by flag, phase, signal and arm.
fn outcome_file(direction: &str, main: &str) -> String {
    let query = |name: &str, columns: &str| {
        format!(
            "SELECT variant, {columns} FROM facts WHERE flag = :flag AND began = :from AND :from < :to AND signal = '{name}'"
        )
    };
    // A value is asked for by the day, so that its window does not begin with the phase.
    let of_day = "SELECT variant, a AS value FROM facts WHERE flag = :flag AND signal = 'delay' AND :from < :to AND began = \
                  (SELECT max(began) FROM facts WHERE flag = :flag AND signal = 'delay')";
    let asked = |name: &str, query: &str, bound: &str| {
        format!(
            "      - signal: {name}\n        source: game\n        metric: {name}\n        method: custom\n        \
             query: {{ by_variant: \"{query}\" }}\n        {bound}\n"
        )
    };
    let guard = |name: &str, columns: &str, bound: &str| asked(name, &query(name, columns), bound);
    let guards = [
        guard(
            "crashes",
            "a AS n, b AS successes",
            "not_worse: { direction: decrease, margin: 0.005, must_prove: true }",
        ),
        guard("minutes", "a AS n, b AS sum, c AS sum_squares", "not_worse: { direction: increase, margin: 0 }"),
        guard("errors", "a AS n, b AS successes", "max: 0.05"),
        asked("delay", of_day, "max: 900\n        min: 10\n        consecutive: 2"),
    ];
    let (begin, rest) = lab::FILE.split_once("      - signal: crashes").unwrap();
    let (_, end) = rest.split_once("      - rule:").unwrap();
    let (before, after) = begin.split_once("        by_variant: ").unwrap();
    let (_, after) = after.split_once('\n').unwrap();
    let begin = format!("{before}        by_variant: \"{}\"\n{after}", query("main", main));
    let target = if direction == "increase" { "to: 0.35" } else { "to: 0.25" };
    let begin = begin
        .replace("direction: increase, from: 0.30, to: 0.35", &format!("direction: {direction}, from: 0.30, {target}"));
    format!("{begin}{}      - rule:{end}", guards.concat())
}

/// A laboratory whose source tells facts.
struct Facts {
    lab: Lab,
    flag: &'static str,
    /// Beginning of the present phase, as the source is asked for it.
    began: String,
}

impl Facts {
    async fn new(direction: &str, main: &str, flag: &'static str) -> Result<Self> {
        let tables = "CREATE TABLE facts (flag TEXT, began TEXT, signal TEXT, variant TEXT, a, b, c, d, e, f,
            PRIMARY KEY (flag, began, signal, variant))";
        let lab = Lab::declaring_on(None, &outcome_file(direction, main), tables).await?;
        Ok(Self { lab, flag, began: String::new() })
    }

    /// From now on the source tells about another phase.
    fn next_phase(&mut self) {
        self.began = self.lab.runtime.now().strftime("%Y-%m-%d %H:%M:%S").to_string();
    }

    async fn tell(&self, signal: &str, control: &[f64], treatment: &[f64]) -> Result<()> {
        for (variant, values) in [("control", control), ("treatment", treatment)] {
            let all: Vec<String> =
                (0..6).map(|i| values.get(i).map_or("NULL".to_owned(), ToString::to_string)).collect();
            self.lab
                .tell_source(&format!(
                    "INSERT OR REPLACE INTO facts VALUES ('{}', '{}', '{signal}', '{variant}', {})",
                    self.flag,
                    self.began,
                    all.join(", ")
                ))
                .await?;
        }
        Ok(())
    }

    /// The four constraints, all well, for so many units an arm.
    async fn tell_constraints(&self, n_control: f64, n_treatment: f64, delay: f64) -> Result<()> {
        let share = |n: f64, rate: f64| [n, (n * rate).floor()];
        let mean = |n: f64, mean: f64| [n, n * mean, n * (mean * mean + 6.25)];
        self.tell("crashes", &share(n_control, 0.004), &share(n_treatment, 0.0041)).await?;
        self.tell("minutes", &mean(n_control, 12.3), &mean(n_treatment, 12.37)).await?;
        self.tell("errors", &share(n_control, 0.02), &share(n_treatment, 0.021)).await?;
        self.tell("delay", &[310.5], &[delay]).await
    }

    async fn status(&self, experiment: &str) -> Result<ExperimentStatus> {
        Ok(self.lab.runtime.experiments().show(experiment).await?.experiment.state.status)
    }

    async fn pack(&self, experiment: &str) -> Result<Value> {
        Ok(serde_json::to_value(self.lab.runtime.audit_log().proof(experiment).await?)?)
    }

    fn verify(&self, pack: &Value, log: Option<&Path>) -> Result<Option<(Option<i32>, String)>> {
        verify(&self.lab, pack, log)
    }
}

/// The pack with a seal that fits again, as a forger would hand it over.
pub fn sealed(mut pack: Value) -> Result<Value> {
    let fields = pack.as_object_mut().context("no object")?;
    fields.remove("hash");
    let hash = sha256_hex(canonical_json(&*fields)?);
    fields.insert("hash".to_owned(), json!(hash));
    Ok(pack)
}

/// Polls a share through gate, a pause (hence two phases), a false alarm of the delay, and success. Ends shipped.
async fn shipped() -> Result<(Facts, String)> {
    let mut facts = Facts::new("increase", "a AS n, b AS successes", "soft").await?;
    let experiment = facts.lab.running("Softer level", "soft").await?;
    facts.next_phase();
    for (i, n) in [40.0, 400.0, 1500.0, 3000.0].into_iter().enumerate() {
        let m = n + 7.0;
        facts.tell("main", &[n, (n * 0.30).floor()], &[m, (m * 0.34).floor()]).await?;
        facts.tell_constraints(n, m, if i == 2 { 1000.0 } else { 330.0 }).await?;
        facts.lab.poll_after(12).await?;
    }
    facts.lab.act(&experiment, Verdict::Pause).await?;
    facts.lab.poll_after(6).await?;
    facts.lab.act(&experiment, Verdict::Resume).await?;
    facts.next_phase();
    for n in [90.0, 2000.0, 6000.0, 9000.0] {
        let m = n - 11.0;
        facts.tell("main", &[n, (n * 0.40).floor()], &[m, (m * 0.45).floor()]).await?;
        facts.tell_constraints(n, m, 340.0).await?;
        facts.lab.poll_after(48).await?;
    }
    assert_eq!(facts.status(&experiment).await?, ExperimentStatus::AwaitingAnalysisGate);
    facts.lab.decide(&experiment, Verdict::Ship).await?;
    facts.lab.decide(&experiment, Verdict::Approve).await?;
    Ok((facts, experiment))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_independent_program_recomputes_a_shipped_experiment() -> Result<()> {
    let (facts, experiment) = shipped().await?;
    let pack = facts.pack(&experiment).await?;
    assert_eq!(pack["verdict"]["decision"], "ship", "{}", pack["verdict"]);
    assert_eq!(pack["allocation"].as_array().unwrap().len(), 2);
    assert_eq!(pack["limits"], json!([]));
    let path = pack["path"].as_array().unwrap();
    assert_eq!(path.len(), 9);
    let crossed: Vec<_> = path.iter().map(|poll| poll["result"]["guardrails"][4]["n_consecutive"].clone()).collect();
    assert_eq!(crossed[2], 1, "the delay was beyond its limit once: {crossed:?}");
    assert!(pack["recorded"]["at_end"].is_object() && !pack["steps"].as_array().unwrap().is_empty());
    check_paths(&facts.lab).await?;
    agrees(&facts.lab, &pack).await?;
    Ok(())
}

/// A change of a pack: its name, and what it does.
type Change = (&'static str, fn(&mut Value));

/// Adds one to the last digit of a number's shortest form, or swaps a digit of a text.
fn nudge(value: &mut Value) {
    *value = match &*value {
        Value::Number(n) => {
            n.as_i64().map_or_else(|| json!(n.as_f64().unwrap() * (1.0 + 1e-7) + 1e-7), |n| json!(n + 1))
        }
        Value::Bool(is) => json!(!is),
        Value::String(text) => {
            let at = text.rfind(|c: char| c.is_ascii_digit()).unwrap();
            let digit = if &text[at..=at] == "7" { "3" } else { "7" };
            json!(format!("{}{digit}{}", &text[..at], &text[at + 1..]))
        }
        other => panic!("{other} cannot be nudged"),
    };
}

/// Places of a pack of [`shipped`] in which one digit is changed.
const PLACES: &[&str] = &[
    "/plan/alpha",
    "/plan/tau",
    "/plan/hypothesis/measurement/success_threshold",
    "/plan/guardrails/0/bound/not_worse/margin",
    "/plan_hash",
    "/method/alpha",
    "/method/tau",
    "/method/guardrail_alpha",
    "/method/futility_alpha",
    "/method/min_runtime_days",
    "/experiment/launched_at",
    "/allocation/0/treatment_pct",
    "/allocation/0/ended_at",
    "/allocation/1/started_at",
    "/snapshots/3/measured_at",
    "/snapshots/3/logged/digest",
    "/snapshots/3/readings/0/sums/n",
    "/snapshots/3/readings/0/sums/successes",
    "/snapshots/3/readings/0/window/to",
    "/snapshots/3/readings/0/raw_hash",
    "/path/3/polled_at",
    "/path/3/as_of",
    "/path/3/is_sampled",
    "/path/3/has_flag_drift",
    "/path/3/result/effect",
    "/path/3/result/effect_shrunken",
    "/path/3/result/standard_error",
    "/path/3/result/ci/lower",
    "/path/3/result/ci_running/upper",
    "/path/3/result/lift",
    "/path/3/result/lift_ci/upper",
    "/path/3/result/control_level",
    "/path/3/result/ln_e",
    "/path/3/result/ln_p_running",
    "/path/3/result/p_running",
    "/path/3/result/futility_upper",
    "/path/3/result/is_significant",
    "/path/3/result/is_min_runtime_met",
    "/path/3/result/n_treatment",
    "/path/3/result/srm/ln_e",
    "/path/3/result/epoch",
    "/path/3/result/tuning/tau",
    "/path/8/result/guardrails/0/value",
    "/path/8/result/guardrails/0/upper",
    "/path/8/result/guardrails/0/ln_e_breached",
    "/path/8/result/guardrails/0/non_inferior",
    "/path/3/result/guardrails/1/lower",
    "/path/3/result/guardrails/2/lower",
    "/path/3/result/guardrails/2/ln_e_breached",
    "/path/2/result/guardrails/4/n_consecutive",
    "/path/0/result/status/have",
    "/recorded/latest/effect",
    "/recorded/at_end/result/lift_ci/lower",
    "/verdict/reason",
];

/// Places about which only the log knows better.
const PLACES_OF_THE_LOG: &[&str] =
    &["/snapshots/3/logged/seq", "/snapshots/3/logged/hash", "/steps/0/at", "/steps/0/seq", "/steps/0/payload/reason"];

/// Changes that no single digit makes.
const CHANGES: &[Change] = &[
    ("a better verdict", |pack| pack["verdict"]["decision"] = json!("kill_harm")),
    ("another verdict on the way", |pack| pack["path"][5]["result"]["verdict"]["decision"] = json!("ship")),
    ("a poll less in the path", |pack| drop(pack["path"].as_array_mut().unwrap().remove(4))),
    ("a snapshot less", |pack| drop(pack["snapshots"].as_array_mut().unwrap().remove(4))),
    ("two snapshots in another order", |pack| pack["snapshots"].as_array_mut().unwrap().swap(3, 4)),
    ("arms changed sides", |pack| {
        let readings = pack["snapshots"][3]["readings"].as_array_mut().unwrap();
        let sums: Vec<Value> = readings.iter().map(|reading| reading["sums"].clone()).collect();
        (readings[0]["sums"], readings[1]["sums"]) = (sums[1].clone(), sums[0].clone());
    }),
    ("fewer crashes, with a digest that fits", |pack| {
        let snapshot = pack["snapshots"].as_array_mut().unwrap().last_mut().unwrap();
        let readings = snapshot["readings"].as_array_mut().unwrap();
        for reading in readings.iter_mut().filter(|r| r["signal"] == "crashes" && r["variant"] == "treatment") {
            reading["sums"]["successes"] = json!(1);
        }
        let names = ["signal", "phase", "variant", "window", "sums", "query_hash", "raw_hash"];
        let lines: Vec<Value> = readings.iter().map(|r| names.map(|name| r[name].clone()).into()).collect();
        snapshot["logged"]["digest"] = json!(sha256_hex(canonical_json(&lines).unwrap()));
    }),
    ("a larger alpha, with a budget and a plan hash that fit", |pack| {
        pack["plan"]["alpha"] = json!(0.045);
        pack["plan"]["error_budget"]["planned"] = json!(1);
        pack["method"]["alpha"] = json!(0.045);
        pack["plan_hash"] = json!(sha256_hex(canonical_json(&pack["plan"]).unwrap()));
    }),
    ("a guardrail is left out", |pack| drop(pack["path"][6]["result"]["guardrails"].as_array_mut().unwrap().pop())),
    ("a finding is left out", |pack| {
        pack["path"][0]["result"]["health"] = json!([{ "code": "stale", "severity": "block", "message": "" }]);
    }),
    ("a field that nobody recomputes", |pack| pack["path"][6]["result"]["bonus"] = json!(1)),
    ("nothing stored about readings", |pack| pack["snapshots"][2]["logged"] = Value::Null),
    ("a later version", |pack| pack["version"] = json!(3)),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_a_pack_is_found() -> Result<()> {
    let (facts, experiment) = shipped().await?;
    let pack = facts.pack(&experiment).await?;
    if !agrees(&facts.lab, &pack).await? {
        return Ok(());
    }
    let log = log_of(&facts.lab).await?;
    let mut missed = Vec::new();
    let mut expect_found = |what: &str, changed: &Value, log: Option<&Path>| -> Result<()> {
        ensure!(*changed != pack, "`{what}` changed nothing");
        let (code, said) = facts.verify(changed, log)?.context("python3 is gone")?;
        if code != Some(1) {
            missed.push(format!("{what}: {code:?} {said}"));
        }
        Ok(())
    };
    let with_log = PLACES_OF_THE_LOG.iter().map(|place| (place, Some(log.as_path())));
    for (place, log) in PLACES.iter().map(|place| (place, None)).chain(with_log) {
        let mut changed = pack.clone();
        let found = changed.pointer_mut(place).filter(|value| !value.is_null());
        nudge(found.with_context(|| format!("the pack has no {place}"))?);
        // The seal finds a slip of the pen, the calculation a forger.
        if *place == "/path/3/result/ln_e" {
            expect_found(&format!("{place}, not sealed again"), &changed, None)?;
        }
        expect_found(place, &sealed(changed)?, log)?;
    }
    for (what, change) in CHANGES {
        let mut changed = pack.clone();
        change(&mut changed);
        expect_found(what, &sealed(changed)?, None)?;
    }
    assert!(missed.is_empty(), "{} changes were missed:\n{}", missed.len(), missed.join("\n"));

    // A pack that ends early agrees with itself; the log knows better.
    let mut short = pack.clone();
    let removed = short["snapshots"].as_array_mut().unwrap().pop().unwrap();
    short["path"].as_array_mut().unwrap().pop();
    short["steps"].as_array_mut().unwrap().retain(|step| step["at"].as_str() < removed["measured_at"].as_str());
    let last = short["path"].as_array().unwrap().last().unwrap().clone();
    short["verdict"] = last["result"]["verdict"].clone();
    short["recorded"] = json!({ "latest": null, "at_end": null });
    let short = sealed(short)?;
    assert_eq!(facts.verify(&short, None)?.context("python3 is gone")?.0, Some(NOT_CHECKED));
    let (code, said) = facts.verify(&short, Some(&log))?.context("python3 is gone")?;
    assert!(code == Some(1) && said.contains("are missing in the pack"), "{said}");
    Ok(())
}

/// Sums of a ratio whose denominators are all 2 and whose numerators are 0 or 1.
fn ratio(n: f64, share: f64) -> [f64; 6] {
    let x = (n * share).floor();
    [n, x, x, 2.0 * n, 4.0 * n, 2.0 * x]
}

const RATIO: &str = "a AS n, b AS num_sum, c AS num_sum_squares, d AS den_sum, e AS den_sum_squares, f AS num_den_sum";

#[tokio::test(flavor = "multi_thread")]
async fn a_ramp_a_restatement_and_a_drifting_flag_are_recomputed_too() -> Result<()> {
    let mut facts = Facts::new("decrease", RATIO, "ramp").await?;
    let mut idea = hypothesis("Fewer refunds", "ramp");
    idea.rollout = RolloutPlan { initial_pct: 10, steps: vec![50] };
    idea.measurement.duration_days = 49;
    let experiment = facts.lab.launched(idea).await?;
    facts.next_phase();
    for (n, share) in [(500.0, 0.5), (6000.0, 0.48), (5000.0, 0.48), (9000.0, 0.44), (40_000.0, 0.44), (90_000.0, 0.44)]
    {
        let m = (n / 9.0_f64).floor();
        facts.tell("main", &ratio(n, 0.5), &ratio(m, share)).await?;
        facts.tell_constraints(n, m, 300.0).await?;
        facts.lab.poll_after(36).await?;
    }
    assert_eq!(facts.status(&experiment).await?, ExperimentStatus::AwaitingAnalysisGate);
    facts.lab.decide(&experiment, Verdict::Scale).await?;
    facts.next_phase();
    for n in [3000.0, 20_000.0] {
        facts.tell("main", &ratio(n, 0.55), &ratio(n + 31.0, 0.5)).await?;
        facts.tell_constraints(n, n + 31.0, 300.0).await?;
        facts.lab.poll_after(24).await?;
    }
    let path = facts.lab.root().join("flags.json");
    let flags = std::fs::read_to_string(&path)?;
    assert!(flags.contains("ENABLED"), "{flags}");
    std::fs::write(&path, flags.replace("ENABLED", "DISABLED"))?;
    facts.lab.poll_after(24).await?;
    assert_eq!(facts.status(&experiment).await?, ExperimentStatus::Paused);
    let pack = facts.pack(&experiment).await?;
    let path = pack["path"].as_array().unwrap();
    assert_eq!(path.last().unwrap()["has_flag_drift"], true);
    assert!(path.iter().any(|poll| poll["result"]["epoch"] == 2), "the restatement starts a new epoch");
    assert!(path.iter().any(|poll| poll["result"]["verdict"]["decision"] == "ship"));
    assert_eq!(pack["allocation"].as_array().unwrap().len(), 2);
    check_paths(&facts.lab).await?;
    agrees(&facts.lab, &pack).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn harm_wrong_traffic_and_crossed_constraints_are_recomputed_too() -> Result<()> {
    let mean = |n: f64, mean: f64| [n, n * mean, n * (mean * mean + 0.21)];
    for (name, flag, control, treatment, delay, crashes, want) in [
        ("Harmful", "harm", 8000.0, 8000.0, 300.0, 0.004, "kill_harm"),
        ("Lopsided", "srm", 8000.0, 9000.0, 300.0, 0.004, "hold_srm"),
        ("Slow", "slow", 4000.0, 4000.0, 901.0, 0.004, "hold_alert"),
        ("Crashing", "crash", 4000.0, 4000.0, 300.0, 0.09, "kill_guardrail"),
    ] {
        let mut facts = Facts::new("increase", "a AS n, b AS sum, c AS sum_squares", flag).await?;
        let experiment = facts.lab.running(name, flag).await?;
        facts.next_phase();
        let effect = if want == "kill_harm" { -0.06 } else { 0.001 };
        for share in [0.02, 0.5, 1.0] {
            let (n, m) = (control * share, treatment * share);
            facts.tell_constraints(n, m, delay).await?;
            facts.tell("crashes", &[n, (n * 0.004).floor()], &[m, (m * crashes).floor()]).await?;
            facts.tell("main", &mean(n, 0.3), &mean(m, 0.3 + effect)).await?;
            facts.lab.poll_after(24).await?;
        }
        let pack = facts.pack(&experiment).await?;
        assert_eq!(pack["verdict"]["decision"], want, "{}", pack["verdict"]);
        agrees(&facts.lab, &pack).await?;
        check_paths(&facts.lab).await?;
        facts.lab.act(&experiment, Verdict::Kill).await?;
        agrees(&facts.lab, &facts.pack(&experiment).await?).await?;
    }
    Ok(())
}

/// A reading as another program pushes it; without an experiment of everybody.
fn pushed(lab: &Lab, signal: &str, experiment: Option<&str>, arms: &[(f64, f64)]) -> Value {
    let now = lab.runtime.now();
    let from = now.checked_sub(jiff::SignedDuration::from_hours(48)).unwrap();
    let names = ["control", "treatment"];
    let readings: Vec<Value> = arms
        .iter()
        .zip(names)
        .map(|((n, rate), name)| {
            let variant = experiment.map(|_| name);
            let mut reading = json!({ "variant": variant, "n": *n as i64, "successes": (n * rate).floor() as i64 });
            reading.as_object_mut().unwrap().retain(|_, value| !value.is_null());
            reading
        })
        .collect();
    let mut body = json!({ "schema_version": 1, "source": "push", "signal": signal, "outcome": lab::OUTCOME,
        "window": { "from": from, "to": now }, "readings": readings });
    if let Some(experiment) = experiment {
        body["experiment"] = json!(experiment);
        body["phase"] = json!(0);
    }
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn pushed_constraints_count_as_they_had_come_by_each_poll() -> Result<()> {
    let guard = "      - signal: complaints\n        source: push\n        metric: complaints\n        method: event\n        \
                 not_worse: { direction: decrease, margin: 0.01 }\n      - rule:";
    let lab = Lab::declaring(None, &lab::FILE.replace("      - rule:", guard)).await?;
    let experiment = lab.running("Softer level", "soft").await?;
    for (i, n) in [500, 2000, 4000, 6000].into_iter().enumerate() {
        lab.clock.advance(jiff::SignedDuration::from_hours(1));
        lab.arms("soft", (n, n * 3 / 10, 8), (n, n * 31 / 100, 8)).await?;
        // The second poll finds no newer push.
        if i != 1 {
            let units = n as f64;
            let body =
                pushed(&lab, "complaints", Some(&experiment), &[(units, 0.10), (units, 0.101 + 0.03 * i as f64)]);
            lab.push(&format!("msg_{i}"), &body).await?;
        }
        lab.poll_after(6).await?;
        assert_eq!(check_paths(&lab).await?, 1);
    }
    let pack = serde_json::to_value(lab.runtime.audit_log().proof(&experiment).await?)?;
    assert_eq!(pack["path"].as_array().unwrap().len(), 4);
    assert_eq!(pack["verdict"]["decision"], "kill_guardrail", "{}", pack["verdict"]);
    agrees(&lab, &pack).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_everything_is_pushed_each_push_is_a_poll() -> Result<()> {
    let (begin, rest) = lab::FILE.split_once("      source: game\n      metric: came_back").unwrap();
    let (_, rest) = rest.split_once("    secondary_signals:").unwrap();
    let (middle, rest) = rest.split_once("    constraints:").unwrap();
    let (_, end) = rest.split_once("    horizon:").unwrap();
    let signal = "      source: push\n      metric: came_back\n      method: event\n    secondary_signals:";
    let lab = Lab::applied(None, &format!("{begin}{signal}{middle}    horizon:{end}")).await?;
    let early = lab.runtime.outcomes().activate(OUTCOME, &outcome_tests::lab::unlock(), false).await.unwrap_err();
    assert!(early.to_string().contains("has been pushed yet"), "{early}");
    let level = json!({
        "schema_version": 1, "source": "push", "outcome": OUTCOME, "signal": "came_back",
        "window": { "from": lab.runtime.now() - jiff::SignedDuration::from_hours(168), "to": lab.runtime.now() },
        "readings": [{ "n": 14_000, "successes": 4_200 }],
    });
    lab.push("msg_baseline", &level).await?;
    lab.runtime.outcomes().activate(OUTCOME, &outcome_tests::lab::unlock(), false).await?;
    let experiment = lab.running("Softer level", "soft").await?;
    for (i, n) in [60.0, 3000.0, 6000.0, 7000.0].into_iter().enumerate() {
        lab.clock.advance(jiff::SignedDuration::from_hours(30));
        let body = pushed(&lab, "came_back", Some(&experiment), &[(n, 0.3), (n + 3.0, 0.33)]);
        lab.push(&format!("msg_{i}"), &body).await?;
        // Nobody has looked at the last one yet.
        if i < 3 {
            lab.poll_after(1).await?;
            assert_eq!(check_paths(&lab).await?, 1);
        }
    }
    let pack = serde_json::to_value(lab.runtime.audit_log().proof(&experiment).await?)?;
    assert_eq!(pack["path"].as_array().unwrap().len(), 3);
    assert_eq!(pack["snapshots"].as_array().unwrap().len(), 4);
    assert!(pack["limits"][0].as_str().unwrap().contains("only push"), "{}", pack["limits"]);
    agrees(&lab, &pack).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_pack_does_not_hold_is_named_as_its_limit() -> Result<()> {
    let guard = "      - signal: delay\n        source: game\n        metric: delay\n        method: custom\n        \
                 query: { level: \"SELECT 950 AS value WHERE :from < :to\" }\n        max: 900\n        consecutive: 2\n        \
                 also_pause_on_level: true\n      - rule:";
    let lab = Lab::declaring(None, &lab::FILE.replace("      - rule:", guard)).await?;
    let experiment = lab.running("Softer level", "soft").await?;
    for n in [2000, 4000] {
        lab.arms("soft", (n, n * 3 / 10, 8), (n, n * 31 / 100, 8)).await?;
        lab.poll_after(24).await?;
    }
    let pack = serde_json::to_value(lab.runtime.audit_log().proof(&experiment).await?)?;
    assert_eq!(pack["recorded"]["latest"]["verdict"]["decision"], "hold_alert", "{}", pack["recorded"]);
    // Values of the whole population count where they are stored with the experiment.
    let is_stored = pack["snapshots"][0]["readings"].as_array().unwrap().iter().any(|r| r["signal"] == "delay");
    assert_eq!(pack["limits"].as_array().unwrap().is_empty(), is_stored, "{}", pack["limits"]);
    agrees(&lab, &pack).await?;
    if is_stored {
        check_paths(&lab).await?;
        assert_eq!(pack["verdict"]["decision"], "hold_alert");
    }
    Ok(())
}
