//! The story: two experiments, four weeks, two verdicts.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use outcome_core::config::Vendors;
use outcome_core::domain::{ExperimentStatus, GateType, Recommendation, Surface, Verdict};
use outcome_core::present::{Answer, AnswerState, Scale, count, plain, short};
use outcome_core::scope::OwnRepo;
use outcome_core::settings::{Overrides, Settings};
use outcome_core::usecases::{DecideRequest, Decided, GateView, InitRequest, PollRequest, Runtime, Unlock, Workspaces};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Value, json};

use super::agent::Agent;
use super::chart::line_chart;
use super::printer::Printer;
use super::serve::Pages;
use super::shop::{OUTCOME_FILE, Shop, Truth, write};
use crate::args::Demo;

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

/// What the demonstration ended with.
#[derive(Debug, Serialize)]
pub struct Told {
    experiments: Vec<Ended>,
    /// Lines of the audit log, which was verified.
    n_log_lines: i64,
    seconds: f64,
    /// The folder, where it was kept.
    folder: Option<PathBuf>,
}

/// How an experiment of it ended.
#[derive(Debug, Serialize)]
struct Ended {
    experiment: String,
    status: ExperimentStatus,
    answer: Option<Answer>,
}

/// Runs the demonstration.
///
/// # Errors
/// If a step does not go as planned: the product is broken, or the machine has no git.
pub async fn run(args: &Demo, print: Printer, vendors: &'static Vendors) -> Result<Told> {
    let keep = args.keep.as_deref();
    let began = Instant::now();
    let temporary = tempfile::tempdir()?;
    let root = match keep {
        Some(path) => {
            std::fs::create_dir_all(path)?;
            path.canonicalize()?
        }
        None => temporary.path().canonicalize()?,
    };
    let mut stage = Stage::set(&root, print, vendors).await?;
    let agent = Agent::start(&stage.root, &stage.clock).await?;
    stage.propose(&agent).await?;
    stage.build(&agent).await?;
    stage.launch().await?;
    stage.four_weeks().await?;
    let (experiments, n_log_lines) = stage.end(&agent).await?;
    agent.stop().await?;
    let seconds = began.elapsed().as_secs_f64();
    stage.print.did(&format!("Done in {seconds:.1} s. Nothing left this machine; no account or key was needed."));
    if args.serve {
        stage.serve().await?;
    }
    stage.next(keep.is_some());
    Ok(Told { experiments, n_log_lines, seconds, folder: keep.map(|_| root) })
}

impl Stage {
    /// The repository, the shop's history, the workspace, an active outcome.
    async fn set(root: &Path, mut print: Printer, vendors: &'static Vendors) -> Result<Self> {
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
        self.print.played("agent", &format!("submit_hypotheses: {} wait for a human", list(at(&done, "proposed"))));
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
                    "report_experiment_built {experiment}: the diff is within its scope, now {}",
                    plain(text(at(&done, "status")))
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
        let mut progress = self.progress(n_polls, 0);
        for poll in 0..n_polls {
            self.shop.visitors(self.now, step).await?;
            self.now += step;
            std::fs::write(&self.clock, self.now.to_string())?;
            let request = PollRequest { is_forced: true, ..PollRequest::default() };
            let polled = self.runtime.signals().poll(&request).await?;
            ensure!(polled.failures.is_empty(), "a poll failed: {}", polled.failures.join("; "));
            progress.set_message(format!("{}", (poll + 1) * u64::try_from(POLL_HOURS)? / 24));
            progress.inc(1);
            let gates = self.runtime.gates().list().await?;
            if gates.is_empty() {
                continue;
            }
            // A line that is written beside a bar would stand twice.
            progress.finish_and_clear();
            for gate in gates {
                self.answer(&gate).await?;
            }
            progress = self.progress(n_polls, poll + 1);
        }
        progress.finish_and_clear();
        Ok(())
    }

    /// The bar of the four weeks, from this poll on; only on a terminal.
    fn progress(&self, n_polls: u64, from: u64) -> ProgressBar {
        if self.print.is_silent() {
            return ProgressBar::hidden();
        }
        let progress = ProgressBar::new(n_polls).with_position(from);
        if let Ok(style) = ProgressStyle::with_template("  {bar:40} day {msg}") {
            progress.set_style(style);
        }
        progress
    }

    /// What the played human does at a gate of the running phase: what the runtime recommends.
    async fn answer(&mut self, gate: &GateView) -> Result<()> {
        let day = self.now.strftime("%-d %b");
        let answer = gate.answer.as_ref().map(|answer| answer.says.as_str()).unwrap_or_default();
        self.print.did(&format!("{day}: {} asks: {} {answer}", gate.gate, gate.context.question));
        let recommendation = gate.context.recommendation.clone().unwrap_or_default();
        self.print.did(&format!("recommended: {recommendation}"));
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
                decided.experiment_status.map(|status| format!("now {}", plain(status.as_str()))).unwrap_or_default()
            ),
        );
        Ok(decided)
    }

    /// The two verdicts, the chart, what was learnt, the log.
    async fn end(&mut self, agent: &Agent) -> Result<(Vec<Ended>, i64)> {
        self.print.chapter("6. What was found");
        let series = self.runtime.outcomes().series("checkout", 1000).await?;
        let points: Vec<(String, f64)> = series
            .iter()
            .filter_map(|m| Some((m.measured_at.strftime("%b %d").to_string(), m.sums.value()?)))
            .collect();
        self.print.block(&line_chart("orders per visitor, 7-day rolling", &points, Some(0.33), 60, 10));
        let mut ended = Vec::new();
        for experiment in self.runtime.experiments().list(Some("checkout"), 10).await? {
            let view = self.runtime.experiments().show(experiment.slug.as_str()).await?;
            let answer = view.answer.context("a launched experiment has an answer")?;
            let label = format!("{}:", experiment.slug);
            self.print.answer(&label, answer.state == AnswerState::Worked, &answer.says);
            if let Some(sure) = &answer.sure {
                self.print.did(sure);
            }
            let status = experiment.state.status;
            ended.push(Ended { experiment: experiment.slug.to_string(), status, answer: Some(answer) });
        }
        let found = agent.call("query_learnings", json!({ "query": "form upsell", "limit": 5 })).await?;
        self.print.did(&format!(
            "query_learnings returns {} learnings for the next portfolio",
            length(at(&found, "learnings"))
        ));
        let check = self.runtime.audit_log().verify(&[]).await?;
        ensure!(check.is_intact, "the audit log is not intact: {}", check.problems.join("; "));
        self.print.did(&format!("audit log verified: {} lines, head {}", check.n_lines, short(&check.head)));
        let has = |status| ended.iter().any(|one: &Ended| one.status == status);
        ensure!(
            has(ExperimentStatus::Shipped) && has(ExperimentStatus::Killed),
            "the story should end with one experiment shipped and one stopped, but ended with {ended:?}"
        );
        Ok((ended, check.n_lines))
    }

    /// The pages, until somebody presses Ctrl-C.
    async fn serve(&mut self) -> Result<()> {
        let pages = Pages::start(&self.root, &self.clock).await?;
        self.print.chapter("7. The pages");
        self.print.did(&format!("{} is open until you press Ctrl-C. Sign in with these:", pages.url));
        self.print.command("e-mail      dana@example.com");
        self.print.command(&format!("passphrase  {PASSPHRASE}"));
        pages.until_stopped().await
    }

    /// What to do now.
    fn next(&mut self, is_kept: bool) {
        self.print.chapter("Next");
        if is_kept {
            self.print.did("Look around in the demonstration's folder; its clock is a file:");
            self.print.command(&format!("cd {0} && export OUTCOME_RUNTIME_CLOCK_FILE={0}/.clock", self.root.display()));
            self.print.command(&format!("outcome-runtime experiment show {FORM}"));
            self.print.command("outcome-runtime status --full");
            self.print.did("Leave with `unset OUTCOME_RUNTIME_CLOCK_FILE`, or close the terminal.");
        } else {
            self.print.did("Look at the same on pages, or keep the folder and look around:");
            self.print.command("outcome-runtime demo --serve");
            self.print.command("outcome-runtime demo --keep shop");
        }
        self.print.did("Or begin with your own numbers, in your own repository:");
        self.print.command("outcome-runtime init");
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
