//! The story: two experiments, four weeks, two verdicts.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use outcome_core::config::Vendors;
use outcome_core::domain::{Direction, ExperimentStatus, GateType, Recommendation, Surface, Verdict};
use outcome_core::present::{Scale, count, instant};
use outcome_core::scope::OwnRepo;
use outcome_core::settings::{Overrides, Settings};
use outcome_core::usecases::{DecideRequest, Decided, GateView, InitRequest, PollRequest, Runtime, Unlock, Workspaces};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::agent::Agent;
use super::chart::line_chart;
use super::printer::Printer;
use super::shop::{OUTCOME_FILE, Shop, Truth, write};

const PASSPHRASE: &str = "played passphrase of the demo";
const POLL_HOURS: i64 = 6;
const N_DAYS: i64 = 28;
const HISTORY_DAYS: i64 = 8;
const FORM: &str = "short-form";
const UPSELL: &str = "loud-upsell";

struct Stage {
    root: PathBuf,
    clock: PathBuf,
    now: Timestamp,
    shop: Shop,
    runtime: Runtime,
    print: Printer,
}

/// Runs the demonstration; `keep` is where its folder stays, if it should.
///
/// # Errors
/// If a step does not go as planned: the product is broken, or the machine has no git.
pub async fn run(keep: Option<&Path>, vendors: &'static Vendors) -> Result<()> {
    let began = Instant::now();
    let temporary = tempfile::tempdir()?;
    let root = match keep {
        Some(path) => {
            std::fs::create_dir_all(path)?;
            path.canonicalize()?
        }
        None => temporary.path().canonicalize()?,
    };
    let mut stage = Stage::set(&root, vendors).await?;
    let agent = Agent::start(&stage.root, &stage.clock).await?;
    stage.propose(&agent).await?;
    stage.build(&agent).await?;
    stage.launch().await?;
    stage.four_weeks().await?;
    stage.end(&agent).await?;
    agent.stop().await?;
    stage.print.did(&format!(
        "Done in {:.1} s. Nothing left this machine; no account or key was needed.{}",
        began.elapsed().as_secs_f64(),
        keep.map(|path| format!(" The folder is kept: {}", path.display())).unwrap_or_default()
    ));
    Ok(())
}

impl Stage {
    /// The repository, the shop's history, the workspace, an active outcome.
    async fn set(root: &Path, vendors: &'static Vendors) -> Result<Self> {
        let mut print = Printer::new();
        print.chapter("Outcome Runtime: the whole loop, offline, on a virtual clock");
        print.did("Real: git repository, databases, MCP server and client, signatures, statistics, audit log.");
        print.did("Played: the agent's texts, the visitors, the human's choices. They are marked [played: ...].");

        print.chapter("1. A shop declares an outcome");
        let truths = vec![
            Truth { flag: FORM, order_rate: 0.030, failure_rate: 0.0 },
            Truth { flag: UPSELL, order_rate: 0.010, failure_rate: 0.040 },
        ];
        let start: Timestamp = "2026-10-01T08:00:00Z".parse()?;
        let clock = root.join(".clock");
        std::fs::write(&clock, start.to_string())?;
        let mut shop = Shop::open(root, 20_261_120, truths).await?;
        let day = SignedDuration::from_hours(24);
        for days in (1..=HISTORY_DAYS).rev() {
            shop.visitors(start - day * i32::try_from(days)?, day).await?;
        }
        let clock_text = clock.display().to_string();
        let env = move |name: &str| (name == "OUTCOME_RUNTIME_CLOCK_FILE").then(|| clock_text.clone());
        let settings = Settings::for_root(root, &Overrides::new(vendors), &env)?;
        let request = InitRequest {
            email: "dana@example.com".to_owned(),
            name: "Dana (played)".to_owned(),
            passphrase: SecretString::from(PASSPHRASE),
            outcome_file: Some(OUTCOME_FILE.to_owned()),
            may_replace: false,
        };
        let (runtime, done) = Workspaces::init(settings, request).await?;
        OwnRepo::at(root.to_owned()).commit_all("Declare the outcome").await?;
        print.did(&format!("init: member {}, signing key {}", done.member, short(&done.key_fingerprint)));
        let human = outcome_core::principal::Principal::local("demo");
        let unlock = Unlock::Passphrase(SecretString::from(PASSPHRASE));
        runtime.outcomes().apply(&human, Some(&unlock)).await?;
        let active = runtime.outcomes().activate("checkout", &unlock, false).await?;
        print.did(&format!(
            "activate: measured baseline {} of {} visitors, target 33 %, until {}",
            Scale::share().level(active.baseline.value),
            count(active.baseline.n.unwrap_or_default().unsigned_abs()),
            active.deadline.strftime("%Y-%m-%d")
        ));
        Ok(Self { root: root.to_path_buf(), clock, now: start, shop, runtime, print })
    }

    /// The agent reads its work order and hands in two hypotheses; the human approves them.
    async fn propose(&mut self, agent: &Agent) -> Result<()> {
        self.print.chapter("2. An agent proposes, over MCP");
        let outcomes = agent.call("get_active_outcomes", json!({})).await?;
        ensure!(outcomes.to_string().contains("checkout"), "the agent does not see the outcome");
        let order = agent.call("get_work_order", json!({ "outcome": "checkout" })).await?;
        self.print.did(&format!("get_work_order: {}", at(&order, "answer_with").as_str().unwrap_or_default()));
        let bad = hypothesis("Charge twice as fast", "fast-charge", &["services/payments/"]);
        let refused = agent.call("submit_hypotheses", json!({ "outcome": "checkout", "hypotheses": [bad] })).await;
        let refusal = refused.err().context("a forbidden path was accepted")?;
        self.print.refused(&refusal.to_string());
        let answer = json!({ "outcome": "checkout", "hypotheses": [
            hypothesis("Short form", FORM, &["frontend/checkout/form.html"]),
            hypothesis("Loud upsell", UPSELL, &["frontend/checkout/upsell.html"]),
        ] });
        let done = agent.call("submit_hypotheses", answer).await?;
        self.print
            .played("agent", &format!("submit_hypotheses: {} are waiting for a human", list(at(&done, "proposed"))));
        for gate in self.runtime.gates().list().await? {
            self.decide(&gate, Verdict::Approve, "worth a try").await?;
        }
        Ok(())
    }

    /// The agent builds both on branches. Its first report strays outside of the scope.
    async fn build(&mut self, agent: &Agent) -> Result<()> {
        self.print.chapter("3. The agent builds, and the runtime checks the diff");
        let repo = OwnRepo::at(self.root.clone());
        for (experiment, flag, path) in [
            ("short-form", FORM, "frontend/checkout/form.html"),
            ("loud-upsell", UPSELL, "frontend/checkout/upsell.html"),
        ] {
            let brief = agent.call("get_experiment_brief", json!({ "experiment_id": experiment })).await?;
            let base = at(&brief, "base_commit").as_str().context("the brief has no base commit")?.to_owned();
            repo.run(&["checkout", "-q", "-b", experiment, &base]).await?;
            write(&self.root, path, &format!("<!-- behind the flag {flag} -->\n<form></form>\n"))?;
            if experiment == "loud-upsell" {
                write(&self.root, "services/payments/charge.py", "def charge(order):\n    return 0\n")?;
                let commit = repo.commit_all("Upsell, and a small change of payments").await?;
                let strayed = agent.call("report_experiment_built", report(experiment, flag, path, &commit)).await;
                self.print.refused(&strayed.err().context("a change of payments was accepted")?.to_string());
                repo.run(&["checkout", "-q", &base, "--", "services/payments/charge.py"]).await?;
            }
            let commit = repo.commit_all(&format!("Build {experiment}")).await?;
            let done = agent.call("report_experiment_built", report(experiment, flag, path, &commit)).await?;
            self.print.played(
                "agent",
                &format!(
                    "report_experiment_built {experiment}: {} changes, now {}",
                    at(&done, "n_changes"),
                    text(at(&done, "status"))
                ),
            );
            repo.run(&["checkout", "-q", "main"]).await?;
        }
        Ok(())
    }

    /// The human approves both launches, for exactly these commits and plans.
    async fn launch(&mut self) -> Result<()> {
        self.print.chapter("4. A human approves the launch of exactly these commits");
        for gate in self.runtime.gates().list().await? {
            let decided = self.decide(&gate, Verdict::Approve, "looks right").await?;
            for delivery in &decided.deliveries {
                self.print.did(delivery);
            }
        }
        Ok(())
    }

    /// Four weeks of visitors, four polls a day; gates that open on the way are decided.
    async fn four_weeks(&mut self) -> Result<()> {
        self.print.chapter("5. Four weeks of measurement, with a look every six hours");
        let step = SignedDuration::from_hours(POLL_HOURS);
        let n_polls = u64::try_from(N_DAYS * 24 / POLL_HOURS)?;
        let progress = ProgressBar::new(n_polls);
        if let Ok(style) = ProgressStyle::with_template("  {bar:40} day {msg}") {
            progress.set_style(style);
        }
        for poll in 0..n_polls {
            self.shop.visitors(self.now, step).await?;
            self.now += step;
            std::fs::write(&self.clock, self.now.to_string())?;
            let request = PollRequest { is_forced: true, ..PollRequest::default() };
            let polled = self.runtime.signals().poll(&request).await?;
            ensure!(polled.failures.is_empty(), "a poll failed: {}", polled.failures.join("; "));
            progress.set_message(format!("{}", (poll + 1) * u64::try_from(POLL_HOURS)? / 24));
            progress.inc(1);
            for gate in self.runtime.gates().list().await? {
                progress.suspend(|| ());
                self.answer(&gate).await?;
            }
        }
        progress.finish_and_clear();
        Ok(())
    }

    /// What the played human does at a gate of the running phase: what the runtime recommends.
    async fn answer(&mut self, gate: &GateView) -> Result<()> {
        let day = instant(self.now);
        let recommendation = gate.context.recommendation.clone().unwrap_or_default();
        self.print.did(&format!("{day}  {} opened: {recommendation}", gate.gate));
        let facts = gate.context.facts.shown().map_err(|problem| anyhow!(problem))?;
        let evaluation = facts.evaluation().transpose().map_err(|problem| anyhow!(problem))?;
        let verdict = match (gate.gate_type, evaluation.map(|evaluation| evaluation.advice.recommendation)) {
            (GateType::ShipApproval, _) => Verdict::Approve,
            (_, Some(Recommendation::Ship)) => Verdict::Ship,
            (_, Some(Recommendation::KillHarm | Recommendation::KillGuardrail | Recommendation::KillFutility)) => {
                Verdict::Kill
            }
            _ => Verdict::Extend,
        };
        let decided = self.decide(gate, verdict, "as recommended").await?;
        for delivery in &decided.deliveries {
            self.print.did(delivery);
        }
        Ok(())
    }

    async fn decide(&mut self, gate: &GateView, verdict: Verdict, note: &str) -> Result<Decided> {
        let decided = self
            .runtime
            .gates()
            .decide(DecideRequest {
                gate: gate.gate.clone(),
                verdict,
                conditions: Vec::new(),
                note: Some(note.to_owned()),
                context_hash: Some(gate.context_hash.clone()),
                member: None,
                unlock: Unlock::Passphrase(SecretString::from(PASSPHRASE)),
                surface: Surface::Terminal,
            })
            .await?;
        self.print.played(
            "human",
            &format!(
                "{} {verdict}: signed, {} ({}), {}",
                gate.gate,
                decided.assurance,
                decided.assurance.label(),
                decided.experiment_status.map(|status| format!("now {status}")).unwrap_or_default()
            ),
        );
        Ok(decided)
    }

    /// The two verdicts, the chart, what was learnt, the log.
    async fn end(&mut self, agent: &Agent) -> Result<()> {
        self.print.chapter("6. What was found");
        let series = self.runtime.outcomes().series("checkout", 1000).await?;
        let points: Vec<(String, f64)> = series
            .iter()
            .filter_map(|m| Some((m.measured_at.strftime("%b %d").to_string(), m.sums.value()?)))
            .collect();
        self.print.block(&line_chart("orders per visitor, 7-day rolling", &points, Some(0.33), 60, 10));
        let mut verdicts = Vec::new();
        for experiment in self.runtime.experiments().list(Some("checkout"), 10).await? {
            let result = experiment.last_result().transpose().map_err(|problem| anyhow!(problem))?;
            let scale = Scale::share();
            let interval = result.and_then(|result| result.shown_interval(Direction::Increase));
            let is_shipped = experiment.state.status == ExperimentStatus::Shipped;
            let line = format!(
                "{:<12} {:<8} {}, {}: {}",
                experiment.slug,
                experiment.state.status,
                result
                    .and_then(|result| result.effect)
                    .map_or_else(|| "no effect".to_owned(), |effect| scale.change(effect)),
                interval.map_or_else(|| "no interval".to_owned(), |shown| shown.in_words(&scale)),
                result.map_or("no recommendation", |result| result.advice.reason.as_str()),
            );
            self.print.verdict(is_shipped, &line);
            verdicts.push(experiment.state.status);
        }
        let found = agent.call("query_learnings", json!({ "query": "form upsell", "limit": 5 })).await?;
        self.print.did(&format!(
            "query_learnings returns {} learnings for the next portfolio",
            length(at(&found, "learnings"))
        ));
        let check = self.runtime.audit_log().verify(&[]).await?;
        ensure!(check.is_intact, "the audit log is not intact: {}", check.problems.join("; "));
        self.print.did(&format!("audit log verified: {} lines, head {}", check.n_lines, short(&check.head)));
        ensure!(
            verdicts.contains(&ExperimentStatus::Shipped) && verdicts.contains(&ExperimentStatus::Killed),
            "the story should end with one experiment shipped and one stopped, but ended with {verdicts:?}"
        );
        Ok(())
    }
}

fn hypothesis(title: &str, flag: &str, paths: &[&str]) -> Value {
    json!({
        "title": title,
        "statement": format!("[played] {title} lets more visitors finish the checkout"),
        "mechanism": "[played] fewer reasons to leave",
        "expected_improvement": 0.02,
        "confidence": 0.6,
        "intervention": "code_change",
        "intervention_description": format!("[played] {title}, behind the flag {flag}"),
        "touched_paths": paths,
        "flag_key": flag,
        "measurement": { "duration_days": 28, "min_sample_size": 4000, "success_threshold": 0.0, "kill_threshold": 0.0,
            "minimum_detectable_effect": 0.02 },
        "rollout": { "initial_pct": 50, "steps": [] },
        "effort_hours": 4,
        "risk": "low",
        "is_reversible": true,
        "tags": ["checkout"],
    })
}

fn report(experiment: &str, flag: &str, path: &str, commit: &str) -> Value {
    json!({
        "experiment_id": experiment,
        "implementation_summary": format!("[played] {experiment} behind its flag"),
        "files_changed": [path],
        "feature_flag_key": flag,
        "head": commit,
    })
}

/// A field of an answer; null where it is missing.
fn at<'a>(value: &'a Value, field: &str) -> &'a Value {
    value.get(field).unwrap_or(&Value::Null)
}

fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

fn list(value: &Value) -> String {
    let items: Vec<_> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    items.join(", ")
}

fn length(value: &Value) -> usize {
    value.as_array().map_or(0, Vec::len)
}
