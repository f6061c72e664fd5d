//! What was measured explains every verdict: the statistics are replayed from the stored readings, and an independent
//! program recomputes them from a proof pack.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use outcome_core::domain::{ExperimentStatus, RolloutPlan, Surface, Verdict};
use outcome_core::signing::{canonical_json, sha256_hex};
use outcome_core::usecases::{ActRequest, Unlock};
use outcome_tests::lab::{self, Lab, PASSPHRASE, hypothesis};
use serde_json::{Value, json};

use crate::journey::each_lab;

/// Every measured experiment's latest evaluation must follow from its stored readings alone. Returns how many there were.
pub async fn check_paths(lab: &Lab) -> Result<usize> {
    let mut n_measured = 0;
    for experiment in lab.runtime.experiment_list(None, 1000).await? {
        let (Some(mut recorded), Some(running)) = (experiment.current_result, experiment.running) else { continue };
        let path = lab.runtime.experiment_path(experiment.slug.as_str()).await?;
        let Some(last) = path.last() else { anyhow::bail!("`{}` was evaluated and has no path", experiment.slug) };
        let mut replayed = json!(last.evaluated);
        let remembered = replayed.as_object_mut().and_then(|fields| fields.remove("running"));
        for extra in ["polled_at", "n_readings"] {
            recorded.as_object_mut().map(|fields| fields.remove(extra));
        }
        ensure!(replayed == recorded, "`{}`: {}", experiment.slug, first_difference("", &recorded, &replayed));
        ensure!(remembered == Some(running), "`{}` remembers something else", experiment.slug);
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
            let path = lab.runtime.experiment_path(&experiment).await?;
            assert_eq!(path.len(), i + 1);
        }
        let epochs: Vec<u32> =
            lab.runtime.experiment_path(&experiment).await?.iter().map(|poll| poll.evaluated.epoch).collect();
        assert_eq!(epochs, [1, 1, 1, 2, 2, 2]);
        Ok(())
    })
    .await
}

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/verify_proof.py");

/// The laboratory's outcome on a source that knows phases: a table of facts by flag, phase, signal and arm.
fn outcome_file(direction: &str, main: &str) -> String {
    let query = |name: &str, columns: &str| {
        format!(
            "SELECT variant, {columns} FROM facts WHERE flag = :flag AND began = :from AND :from < :to AND signal = '{name}'"
        )
    };
    let guard = |name: &str, columns: &str, bound: &str| {
        format!(
            "      - signal: {name}\n        source: game\n        metric: {name}\n        method: custom\n        \
             query: {{ by_variant: \"{}\" }}\n        {bound}\n",
            query(name, columns)
        )
    };
    let guards = [
        guard(
            "crashes",
            "a AS n, b AS successes",
            "not_worse: { direction: decrease, margin: 0.005, must_prove: true }",
        ),
        guard("minutes", "a AS n, b AS sum, c AS sum_squares", "not_worse: { direction: increase, margin: 0 }"),
        guard("errors", "a AS n, b AS successes", "max: 0.05"),
        guard("delay", "a AS value", "max: 900\n        min: 10\n        consecutive: 2"),
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
        let lab = Lab::declaring(None, &outcome_file(direction, main)).await?;
        lab.tell_source(
            "CREATE TABLE facts (flag TEXT, began TEXT, signal TEXT, variant TEXT, a, b, c, d, e, f,
             PRIMARY KEY (flag, began, signal, variant))",
        )
        .await?;
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
        Ok(self.lab.runtime.experiment_show(experiment).await?.experiment.state.status)
    }

    async fn act(&self, experiment: &str, verdict: Verdict) -> Result<()> {
        let request = ActRequest {
            experiment: experiment.to_owned(),
            verdict,
            note: None,
            member: None,
            unlock: Unlock::Passphrase(PASSPHRASE.to_owned().into()),
            surface: Surface::Terminal,
        };
        self.lab.runtime.experiment_act(request).await?;
        Ok(())
    }

    async fn pack(&self, experiment: &str) -> Result<Value> {
        Ok(serde_json::to_value(self.lab.runtime.proof(experiment).await?)?)
    }

    /// The audit log, as `audit export` writes it.
    async fn log(&self) -> Result<PathBuf> {
        let path = self.lab.root().join("log.jsonl");
        let lines: Vec<String> = self
            .lab
            .runtime
            .audit_page(0, 10_000)
            .await?
            .iter()
            .map(serde_json::to_string)
            .collect::<Result<_, _>>()?;
        std::fs::write(&path, lines.join("\n"))?;
        Ok(path)
    }

    /// What the independent program says about a pack; `None`, said loudly, where there is no Python.
    fn verify(&self, pack: &Value, log: Option<&Path>) -> Result<Option<(Option<i32>, String)>> {
        let path = self.lab.root().join("proof.json");
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

    /// The independent program must agree, alone and with the log. False where there is no Python.
    async fn agrees(&self, pack: &Value) -> Result<bool> {
        let log = self.log().await?;
        for log in [None, Some(log.as_path())] {
            let Some((code, said)) = self.verify(pack, log)? else { return Ok(false) };
            ensure!(code == Some(0), "{said}");
        }
        Ok(true)
    }
}

/// The pack with a seal that fits again, as a forger would hand it over.
fn sealed(mut pack: Value) -> Result<Value> {
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
    facts.act(&experiment, Verdict::Pause).await?;
    facts.lab.poll_after(6).await?;
    facts.act(&experiment, Verdict::Resume).await?;
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
    facts.agrees(&pack).await?;
    Ok(())
}
