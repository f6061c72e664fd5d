//! Makes a workspace to be committed, with the programs that `OUTCOME_TEST_PROGRAMS` names: about thirty experiments that
//! went every way there is, four weeks on a virtual clock.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use jiff::SignedDuration;
use outcome_core::ports::push::sign;
use outcome_tests::lab::{commit, git, write};
use outcome_tests::postgres;
use outcome_tests::programs::Agent;
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};

use super::golden;
use super::opened::{DUMP, GOLDEN, MEMBER, Opened, REPOSITORY, WORKSPACE};
use super::source::{Arm, INGEST_SECRET, Source, outcome_file};

/// File of the agent's token, in the repository.
pub const TOKEN: &str = "agent.token";

const BEGIN: &str = "2026-10-01T08:00:00Z";
/// Units of control and treatment that come in half a day.
const PEOPLE: (f64, f64) = (750.0, 753.0);
/// So few that four weeks conclude nothing.
const FEW_PEOPLE: (f64, f64) = (60.0, 61.0);
/// Share of units that crash where nothing is wrong.
const FEW: f64 = 0.004;

/// Who answers which gate how. Each answer is given at most once, in this order; a gate without one stays open.
const ANSWERS: &[(&str, &str, &str)] = &[
    ("short-form", "analysis_review", "ship"),
    ("short-form", "ship_approval", "reject"),
    ("short-form", "analysis_review", "ship"),
    ("short-form", "ship_approval", "approve"),
    ("shortest-form", "analysis_review", "ship"),
    ("crashing-form", "analysis_review", "kill"),
    ("extended-form", "analysis_review", "extend"),
    ("extended-form", "analysis_review", "extend"),
    ("extended-form", "analysis_review", "extend"),
    ("iterated-form", "analysis_review", "iterate"),
    ("kind-refunds", "analysis_review", "scale"),
    ("kinder-refunds", "analysis_review", "scale"),
    ("kinder-refunds", "scale_approval", "approve"),
    ("kinder-refunds", "scale_approval", "approve"),
    ("kindest-refunds", "analysis_review", "scale"),
    ("kindest-refunds", "ship_approval", "approve"),
    ("better-upsell", "analysis_review", "ship"),
    ("better-upsell", "ship_approval", "approve"),
    ("softer-returns", "analysis_review", "kill"),
];

/// Where each experiment must stand at the end, so that a fixture that lacks something is not committed.
const ENDS: &[(&str, &str)] = &[
    ("short-form", "shipped"),
    ("shortest-form", "awaiting_ship_gate"),
    ("long-form", "paused kill_threshold"),
    ("crashing-form", "killed"),
    ("slow-form", "paused manual"),
    ("drifting-form", "paused flag_drift"),
    ("quiet-form", "paused manual"),
    ("fresh-form", "running"),
    ("undecided-form", "awaiting_analysis_gate"),
    ("extended-form", "measuring"),
    ("iterated-form", "killed"),
    ("iterated-form-2", "hypothesis"),
    ("planned-form", "building"),
    ("failing-form", "failed_build"),
    ("retried-form", "awaiting_launch_gate"),
    ("restated-form", "measuring"),
    ("lopsided-form", "killed"),
    ("rejected-form", "killed"),
    ("unwanted-form", "killed"),
    ("dropped-form", "killed"),
    ("same-flag-form", "hypothesis"),
    ("waiting-form", "awaiting_portfolio_gate"),
    ("loud-upsell", "killed"),
    ("slow-upsell", "paused constraint"),
    ("soft-upsell", "awaiting_analysis_gate"),
    ("better-upsell", "shipped"),
    ("kind-refunds", "awaiting_scale_gate"),
    ("kinder-refunds", "scaling"),
    ("kindest-refunds", "shipped"),
    ("softer-returns", "killed"),
    ("faster-search", "paused stale_signal"),
    ("voided-search", "building"),
    ("calmer-support", "measuring"),
];

struct Maker {
    opened: Opened,
    source: Source,
    agent: Agent,
    answers: Vec<(&'static str, &'static str, &'static str)>,
}

/// Makes the fixture of an engine in `folder`. A workspace that is there already is kept, and only looked at. False, said
/// loudly, without the engine.
pub async fn make(folder: &Path, is_postgres: bool) -> Result<bool> {
    if !folder.join(WORKSPACE).exists() && !make_workspace(folder, is_postgres).await? {
        return Ok(false);
    }
    // What is committed is looked at, not what it was made from.
    let gold = tempfile::tempdir()?;
    let Some(opened) = Opened::open(folder).await? else { return Ok(false) };
    golden::write(&opened, gold.path()).await?;
    tar(gold.path(), &["."], &folder.join(GOLDEN))?;
    Ok(true)
}

async fn make_workspace(folder: &Path, is_postgres: bool) -> Result<bool> {
    let database = if is_postgres {
        match postgres::server() {
            Ok(server) => Some(server.database().await),
            Err(skip) => {
                eprintln!("{}: {skip}", folder.display());
                return Ok(false);
            }
        }
    } else {
        None
    };
    let dir = tempfile::Builder::new().prefix("outcome-fixture-").tempdir()?;
    let place = dir.path().canonicalize()?;
    let opened = play(dir, database).await?;
    std::fs::create_dir_all(folder)?;
    pack(&place, opened.database.as_deref(), &folder.join(WORKSPACE)).await?;
    Ok(true)
}

async fn play(dir: tempfile::TempDir, database: Option<String>) -> Result<Opened> {
    let root = dir.path().canonicalize()?.join(REPOSITORY);
    write(&root, "game/level.txt", "one\n")?;
    write(&root, "push.secret", INGEST_SECRET)?;
    write(&root, ".clock", BEGIN)?;
    write(
        &root,
        ".gitignore",
        "shop.db*\nflags.json*\n.flags.json*\n.outcome/\n.clock\npush.secret\nagent.token\nanswer.json\nanchors-elsewhere.jsonl\n",
    )?;
    write(&root, "outcome.yaml", &outcome_file("0.02"))?;
    git(&root, &["init", "-q", "--template=", "-b", "main"])?;
    git(&root, &["config", "user.name", "Dana"])?;
    git(&root, &["config", "user.email", MEMBER])?;
    commit(&root, "Declare the outcomes")?;
    let source = Source::make(&root, BEGIN.parse()?).await?;
    let opened = Opened::at(dir, database, "OUTCOME_RUNTIME_DATABASE_URL")?;
    opened.cli.signed(&["init", "--email", MEMBER, "--name", "Dana", "--no-outcome-file"])?;
    let agent = opened.cli.agent().await?;
    let mut maker = Maker { opened, source, agent, answers: ANSWERS.to_vec() };
    if let Err(error) = maker.story().await {
        bail!("{error:#}\nso far:\n{}", maker.wrong()?);
    }
    maker.end().await
}

impl Maker {
    async fn story(&mut self) -> Result<()> {
        self.begin().await?;
        self.first_day().await?;
        self.first_week().await?;
        self.later_weeks().await?;
        self.last_day().await
    }

    async fn begin(&mut self) -> Result<()> {
        let cli = &self.opened.cli;
        cli.signed(&["apply"])?;
        for outcome in ["signup", "revenue", "refunds", "returns", "search", "support", "speed", "loyalty", "short"] {
            cli.signed(&["activate", outcome])?;
        }
        cli.signed(&["abandon", "loyalty"])?;
        let token = cli.json(&["agent", "token", "ci-bot"])?;
        std::fs::write(self.opened.root.join(TOKEN), token["token"].as_str().context("no token")?)?;
        self.agent.call("get_active_outcomes", json!({})).await?;
        self.agent.call("get_work_order", json!({ "outcome": "signup" })).await?;
        let forbidden = json!({ "touched_paths": ["game/payments/"] });
        let refused = self.submit("signup", "Forbidden form", "forbidden", forbidden).await;
        ensure!(refused.is_err(), "a forbidden path was taken: {refused:?}");
        Ok(())
    }

    /// Every experiment is handed in, and most are launched.
    async fn first_day(&mut self) -> Result<()> {
        for (title, flag, rate) in [
            ("Short form", "short", 0.37),
            ("Shortest form", "shortest", 0.38),
            ("Long form", "long", 0.23),
            ("Slow form", "slow", 0.31),
            ("Drifting form", "drift", 0.31),
            ("Quiet form", "quiet", 0.33),
            ("Undecided form", "undecided", 0.306),
            ("Extended form", "extended", 0.306),
            ("Iterated form", "iterated", 0.305),
            ("Restated form", "restated", 0.33),
        ] {
            let days = if matches!(flag, "undecided" | "extended" | "iterated") { 14 } else { 56 };
            let more = json!({ "measurement": { "duration_days": days } });
            self.launch("signup", title, flag, more).await?;
            let units = if matches!(flag, "quiet" | "restated") { FEW_PEOPLE } else { PEOPLE };
            self.come(flag, units, (0.30, rate), FEW).await?;
        }
        self.launch("signup", "Crashing form", "crash", json!({})).await?;
        self.come("crash", PEOPLE, (0.30, 0.31), 0.06).await?;
        self.launch("signup", "Lopsided form", "lopsided", json!({ "risk": "high" })).await?;
        self.come("lopsided", (700.0, 950.0), (0.30, 0.31), FEW).await?;
        for (title, flag, steps) in [
            ("Kind refunds", "kind", vec![40, 60]),
            ("Kinder refunds", "kinder", vec![40, 60, 80]),
            ("Kindest refunds", "kindest", vec![40]),
        ] {
            let more = json!({ "rollout": { "initial_pct": 20, "steps": steps }, "is_reversible": false });
            self.launch("refunds", title, flag, more).await?;
            self.refunds(flag, 20.0).await?;
        }
        for (title, flag, mean, errors, delay) in [
            ("Loud upsell", "loud", 12.1, 0.14, 300.0),
            ("Slow upsell", "slowup", 12.05, 0.02, 1300.0),
            ("Soft upsell", "soft", 12.9, 0.02, 320.0),
            ("Better upsell", "better", 13.1, 0.021, 310.0),
        ] {
            let measurement =
                json!({ "minimum_detectable_effect": 0.6, "success_threshold": 0.05, "kill_threshold": -0.05 });
            let more =
                json!({ "intervention": "config_change", "expected_improvement": 0.5, "measurement": measurement });
            self.launch("revenue", title, flag, more).await?;
            let arms = [
                ("main", Arm::Mean(750.0, 12.0), Arm::Mean(750.0, mean)),
                ("errors", Arm::Share(750.0, 0.02), Arm::Share(750.0, errors)),
                ("delay", Arm::Value(300.0), Arm::Value(delay)),
                ("minutes", Arm::Mean(750.0, 3.0), Arm::Mean(750.0, 3.05)),
            ];
            self.source.comes("facts", flag, self.opened.now()?, &arms).await?;
        }
        self.launch("returns", "Softer returns", "softer", json!({ "intervention": "copy_change" })).await?;
        self.launch("search", "Faster search", "fast", json!({})).await?;
        self.come("fast", PEOPLE, (0.30, 0.32), FEW).await?;
        self.launch("support", "Calmer support", "calm", json!({ "measurement": { "duration_days": 56 } })).await?;
        self.come("calm", FEW_PEOPLE, (0.30, 0.33), FEW).await?;

        // What does not get that far.
        for (title, flag) in [
            ("Planned form", "planned"),
            ("Failing form", "failing"),
            ("Retried form", "retried"),
            ("Unwanted form", "unwanted"),
            ("Rejected form", "rejected"),
            ("Dropped form", "dropped"),
        ] {
            self.submit("signup", title, flag, json!({})).await?;
        }
        self.submit("signup", "Same flag form", "quiet", json!({})).await?;
        self.decide("rejected-form", "reject", &["--note", "We tried that last year"])?;
        for experiment in ["failing-form", "retried-form", "unwanted-form", "dropped-form"] {
            self.decide(experiment, "approve", &[])?;
        }
        self.decide(
            "planned-form",
            "approve",
            &["--condition", "Only on weekdays", "--condition", "Tell support first"],
        )?;
        self.agent.call("get_experiment_brief", json!({ "experiment_id": "planned-form" })).await?;
        let failed = json!({ "experiment_id": "failing-form", "outcome": "failed",
            "implementation_summary": "The form library cannot do it" });
        self.agent.call("report_experiment_built", failed).await?;
        self.opened.cli.run(&["report", "retried-form", "--failed", "It does not compile"])?;
        self.opened.cli.run(&["experiment", "retry", "retried-form"])?;
        self.build("retried-form", "game/retried/level.txt").await?;
        self.build("unwanted-form", "game/unwanted/level.txt").await?;
        self.decide("unwanted-form", "reject", &["--note", "Not before the holidays"])?;
        self.opened.cli.signed(&["experiment", "kill", "dropped-form", "--note", "No longer wanted"])?;
        let question = json!({ "experiment_id": "planned-form", "gate_type": "escalation",
            "question": "May the form drop the <b>telephone number</b>?", "details": "It is required by \"billing\"." });
        self.agent.call("request_human_gate", question).await?;
        Ok(())
    }

    async fn first_week(&mut self) -> Result<()> {
        self.poll_after(12, &[]).await?;
        self.push("msg_1", 0.05).await?;
        self.poll_after(11, &[]).await?;
        // A source corrects its past: half of what came was made by bots.
        let now = self.opened.now()?.strftime("%Y-%m-%d %H:%M:%S").to_string();
        self.source
            .tell(&format!(
                "UPDATE facts SET n = n - 40, a = a - 14 WHERE flag = 'restated' AND signal = 'main' AND variant = 'treatment' \
                 AND at < '{now}'; UPDATE facts SET n = n - 40, a = a - 12 WHERE flag = 'restated' AND signal = 'main' AND \
                 variant = 'control' AND at < '{now}'"
            ))
            .await?;
        self.poll_after(1, &[]).await?;
        let flags = self.opened.root.join("flags.json");
        let mut text: Value = serde_json::from_str(&std::fs::read_to_string(&flags)?)?;
        text["flags"]["drift"]["state"] = json!("DISABLED");
        std::fs::write(&flags, serde_json::to_string_pretty(&text)?)?;
        self.poll_after(12, &[]).await?;
        let cli = &self.opened.cli;
        cli.signed(&["experiment", "pause", "slow-form", "--note", "Support is overwhelmed"])?;
        cli.signed(&["audit", "anchor"])?;
        self.poll_after(12, &[]).await?;
        self.opened.cli.signed(&["experiment", "resume", "slow-form"])?;
        self.come("slow", PEOPLE, (0.32, 0.33), FEW).await?;
        self.poll_after(12, &[]).await?;
        self.opened.cli.signed(&["experiment", "pause", "slow-form"])?;
        self.push("msg_2", 0.052).await?;

        // A source is away for longer than the outcome allows.
        self.source.tell("ALTER TABLE search_facts RENAME TO away").await?;
        self.poll_after(12, &["away", "search"]).await?;
        self.poll_after(16, &["away", "search"]).await?;
        self.source.tell("ALTER TABLE away RENAME TO search_facts").await?;
        self.submit("search", "Voided search", "voided", json!({})).await?;
        self.approve("voided-search")?;
        self.build("voided-search", "game/voided/level.txt").await?;
        write(&self.opened.root, "outcome.yaml", &outcome_file("0.03"))?;
        commit(&self.opened.root, "Search may time out a little more")?;
        self.opened.cli.json(&["plan"])?;
        self.opened.cli.signed(&["apply"])?;
        self.poll_after(9, &[]).await?;
        Ok(())
    }

    async fn later_weeks(&mut self) -> Result<()> {
        self.poll_after(81, &[]).await?;
        self.opened.cli.signed(&["audit", "anchor", "--git-note"])?;
        self.opened.cli.signed(&[
            "experiment",
            "kill",
            "lopsided-form",
            "--note",
            "Somebody splits the traffic wrongly",
        ])?;
        for hours in [12, 48, 108, 24, 24, 150] {
            self.poll_after(hours, &[]).await?;
        }
        self.push("msg_3", 0.049).await?;
        self.poll_after(140, &[]).await?;
        Ok(())
    }

    /// Things that are left as they are: a young experiment, a flag that could not be turned off, notices that wait.
    async fn last_day(&mut self) -> Result<()> {
        self.opened.cli.signed(&["confirm", "speed"])?;
        self.launch("signup", "Fresh form", "fresh", json!({ "author": "human" })).await?;
        self.come("fresh", (130.0, 132.0), (0.30, 0.31), FEW).await?;
        self.poll_after(13, &[]).await?;
        self.opened.cli.signed(&["audit", "anchor", "--to", "anchors-elsewhere.jsonl"])?;
        self.opened.cli.json(&["stats", "recompute"])?;
        let flags = self.opened.root.join("flags.json");
        let text = std::fs::read_to_string(&flags)?;
        std::fs::write(&flags, "half of a fi")?;
        self.opened.cli.signed(&["experiment", "pause", "soft-upsell"]).err().context("a decided one was paused")?;
        self.opened
            .cli
            .signed(&["experiment", "kill", "crashing-form"])
            .err()
            .context("one that is over was killed")?;
        self.opened.cli.signed(&["experiment", "pause", "quiet-form", "--note", "For a moment"])?;
        std::fs::write(&flags, text)?;
        std::fs::write(
            self.opened.root.join("answer.json"),
            serde_json::to_string(&idea("Waiting form", "waiting", &json!({})))?,
        )?;
        self.opened.cli.json(&["experiment", "propose", "--outcome", "signup", "--file", "answer.json"])?;
        self.opened.cli.json(&["gate", "open", "retried-form", "--question", "Is the second try good enough?"])?;
        Ok(())
    }

    /// Which experiments do not stand where they should.
    fn wrong(&self) -> Result<String> {
        let mut wrong = String::new();
        for (slug, want) in ENDS {
            let Ok(shown) = self.opened.cli.json(&["experiment", "show", slug]) else {
                wrong += &format!("{slug} is not there\n");
                continue;
            };
            let cause = shown["state"]["pause"]["cause"].as_str().map(|cause| format!(" {cause}")).unwrap_or_default();
            let got = shown["state"]["status"].as_str().context("no status")?.to_owned() + &cause;
            if got != *want {
                wrong += &format!("{slug} is {got} and not {want}: {}\n", shown["current_result"]["verdict"]);
            }
        }
        Ok(wrong)
    }

    /// Everything must stand where it should; then nothing runs any more.
    async fn end(self) -> Result<Opened> {
        let wrong = self.wrong()?;
        let Self { opened, source, agent, .. } = self;
        agent.stop().await?;
        source.close().await?;
        ensure!(wrong.is_empty(), "{wrong}");
        let check = opened.cli.json(&["audit", "verify", "--anchor", "anchors-elsewhere.jsonl"])?;
        ensure!(check["is_intact"] == true && check["n_anchors"].as_u64() >= Some(3), "{check}");
        let queued = opened.column("SELECT kind FROM outbox WHERE delivered_at IS NULL ORDER BY kind").await?;
        ensure!(
            ["flag", "notify"].iter().all(|kind| queued.iter().any(|known| known == kind)),
            "what waits: {queued:?}"
        );
        Ok(opened)
    }

    // -----------------------------------------------------------------------------------------------------------------

    async fn submit(&self, outcome: &str, title: &str, flag: &str, more: Value) -> Result<()> {
        self.opened.advance(SignedDuration::from_secs(60))?;
        let answer = json!({ "outcome": outcome, "hypotheses": [idea(title, flag, &more)] });
        self.agent.call("submit_hypotheses", answer).await.with_context(|| title.to_owned())?;
        Ok(())
    }

    /// From nothing to running. Half of them are handed in by the human.
    async fn launch(&self, outcome: &str, title: &str, flag: &str, more: Value) -> Result<()> {
        let experiment = title.to_lowercase().replace(' ', "-");
        if more["author"] == "human" {
            let file = serde_json::to_string(&idea(title, flag, &json!({})))?;
            std::fs::write(self.opened.root.join("answer.json"), file)?;
            self.opened.cli.json(&["experiment", "propose", "--outcome", outcome, "--file", "answer.json"])?;
            std::fs::remove_file(self.opened.root.join("answer.json"))?;
        } else {
            self.submit(outcome, title, flag, more).await?;
        }
        self.decide(&experiment, "approve", &["--note", "Worth a try"])?;
        self.build(&experiment, &format!("game/{flag}/level.txt")).await?;
        if experiment == "restated-form" {
            self.decide(&experiment, "rework", &["--note", "The second field is still there"])?;
            self.build(&experiment, &format!("game/{flag}/again.txt")).await?;
            self.decide(&experiment, "approve", &["--condition", "Stop on Friday"])?;
        } else {
            self.decide(&experiment, "approve", &[])?;
        }
        Ok(())
    }

    async fn build(&self, experiment: &str, path: &str) -> Result<()> {
        self.opened.advance(SignedDuration::from_secs(60))?;
        let root = &self.opened.root;
        git(root, &["checkout", "-q", "-B", experiment, "main"])?;
        write(root, path, &format!("{experiment}, behind the flag of {path}\n"))?;
        let head = commit(root, experiment)?;
        git(root, &["checkout", "-q", "main"])?;
        let report = json!({ "experiment_id": experiment, "implementation_summary": "Built behind its flag", "head": head,
            "files_changed": [path, "game/another.txt"], "agent_notes": "One file was not needed in the end" });
        self.agent.call("report_experiment_built", report).await.with_context(|| experiment.to_owned())?;
        Ok(())
    }

    /// Decides the gate that the lifecycle opened for an experiment.
    fn decide(&self, experiment: &str, verdict: &str, more: &[&str]) -> Result<()> {
        self.opened.advance(SignedDuration::from_secs(60))?;
        let gate = self.gate_of(experiment)?;
        self.opened.decide(&gate, verdict, more).with_context(|| format!("{verdict} {experiment}"))?;
        Ok(())
    }

    fn gate_of(&self, experiment: &str) -> Result<String> {
        let open = self.opened.cli.json(&["gate", "list"])?;
        let gate = open
            .as_array()
            .into_iter()
            .flatten()
            .find(|gate| gate["context"]["experiment"] == experiment && gate["gate_type"] != "escalation");
        Ok(gate.and_then(|gate| gate["gate"].as_str()).with_context(|| format!("no gate of {experiment}"))?.to_owned())
    }

    /// Approves a portfolio gate. The workspaces that are kept hold a decision of before at this place, made without the passphrase.
    fn approve(&self, experiment: &str) -> Result<()> {
        let gate = self.gate_of(experiment)?;
        self.opened.cli.signed(&["gate", "decide", &gate, "--verdict", "approve"])?;
        Ok(())
    }

    /// So many units come to control and treatment in half a day, with these shares; so many of treatment crash.
    async fn come(&self, flag: &str, units: (f64, f64), rates: (f64, f64), crashes: f64) -> Result<()> {
        let ((n, m), (control, treatment)) = (units, rates);
        let arms = [
            ("main", Arm::Share(n, control), Arm::Share(m, treatment)),
            ("crashes", Arm::Share(n, 0.004), Arm::Share(m, crashes)),
            ("errors", Arm::Share(n, 0.02), Arm::Share(m, 0.021)),
        ];
        let table = if flag == "fast" { "search_facts" } else { "facts" };
        self.source.comes(table, flag, self.opened.now()?, &arms).await
    }

    /// Three thousand orders in half a day, of which the treatment sees so many percent.
    async fn refunds(&self, flag: &str, pct: f64) -> Result<()> {
        let (n, m) = (30.0 * (100.0 - pct), 30.0 * pct);
        let arms = [
            ("main", Arm::Ratio(n, 0.50), Arm::Ratio(m, 0.38)),
            ("crashes", Arm::Share(n, 0.004), Arm::Share(m, 0.004)),
        ];
        self.source.comes("facts", flag, self.opened.now()?, &arms).await
    }

    /// Moves the clock, polls, and answers the gates that have an answer. `failing`: words of failures that are expected.
    async fn poll_after(&mut self, hours: i64, failing: &[&str]) -> Result<()> {
        self.opened.advance(SignedDuration::from_hours(hours))?;
        let polled = self.opened.poll()?;
        let failures: Vec<&str> =
            polled["failures"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let is_expected = |text: &&str| failing.iter().any(|word| text.contains(word));
        ensure!(failures.iter().all(is_expected), "{failures:?}");
        ensure!(failing.is_empty() == failures.is_empty(), "nothing failed");
        loop {
            let open = self.opened.cli.json(&["gate", "list"])?;
            let mut found = None;
            for gate in open.as_array().into_iter().flatten() {
                let is_it = |(slug, kind, _): &(&str, &str, &str)| {
                    gate["context"]["experiment"] == **slug && gate["gate_type"] == **kind
                };
                // Only the next answer of an experiment counts.
                let next = self.answers.iter().position(|(slug, ..)| gate["context"]["experiment"] == **slug);
                if let Some(at) = next.filter(|at| self.answers.get(*at).is_some_and(is_it)) {
                    found = Some((at, gate["gate"].as_str().context("no name")?.to_owned()));
                    break;
                }
            }
            let Some((at, gate)) = found else { return Ok(()) };
            let (experiment, _, verdict) = self.answers.remove(at);
            self.opened.advance(SignedDuration::from_secs(60))?;
            let note = format!("{verdict} it, as far as one can see");
            self.opened.decide(&gate, verdict, &["--note", &note]).with_context(|| experiment.to_owned())?;
            if let Some((flag, _)) = experiment.split_once("-refunds") {
                // As the flag is now, so are the arms.
                let shown = self.opened.cli.json(&["experiment", "show", experiment])?;
                let step = u32::try_from(shown["state"]["step"].as_u64().context("no step")?)?;
                self.refunds(flag, 20.0 + 20.0 * f64::from(step)).await?;
            }
        }
    }

    /// Another program pushes complaints about the one experiment and orders of everybody, to the daemon.
    async fn push(&self, id: &str, rate: f64) -> Result<()> {
        self.opened.advance(SignedDuration::from_hours(1))?;
        let now = self.opened.now()?;
        let daemon = self.opened.cli.daemon().await?;
        let window = json!({ "from": now - SignedDuration::from_hours(10), "to": now });
        let arm =
            |name: &str, n: f64, rate: f64| json!({ "variant": name, "n": n as i64, "successes": (n * rate) as i64 });
        let complaints = json!({ "schema_version": 1, "source": "push", "signal": "complaints", "outcome": "support",
            "experiment": "calmer-support", "phase": 0, "window": window,
            "readings": [arm("control", 900.0, 0.05), arm("treatment", 905.0, rate)] });
        let orders = json!({ "schema_version": 1, "source": "push", "signal": "orders", "outcome": "support", "window": window,
            "readings": [{ "n": 5000, "successes": 410 }] });
        for (name, body) in [("complaints", complaints), ("orders", orders)] {
            let (id, at, body) = (format!("{id}_{name}"), now.as_second(), body.to_string());
            let signature = sign(&id, at, body.as_bytes(), &SecretString::from(INGEST_SECRET))?;
            let answer = reqwest::Client::builder()
                .no_proxy()
                .build()?
                .post(format!("http://{}/api/v1/signals/ingest", daemon.address))
                .header("content-type", "application/json")
                .header("webhook-id", &id)
                .header("webhook-timestamp", at.to_string())
                .header("webhook-signature", signature)
                .body(body)
                .send()
                .await?;
            ensure!(answer.status().is_success(), "{name}: {} {}", answer.status(), answer.text().await?);
        }
        drop(daemon);
        Ok(())
    }
}

fn idea(title: &str, flag: &str, more: &Value) -> Value {
    let mut idea = json!({
        "title": title,
        "statement": format!("With the {} more people get where they want", title.to_lowercase()),
        "mechanism": "Fewer reasons to leave; \"people\" do not like <b>forms</b>",
        "expected_improvement": 0.02,
        "confidence": 0.6,
        "intervention": "code_change",
        "intervention_description": format!("{title}, behind the flag {flag}"),
        "touched_paths": [format!("game/{flag}/")],
        "flag_key": flag,
        "measurement": { "duration_days": 28, "min_sample_size": 2000, "success_threshold": 0.0, "kill_threshold": 0.0,
            "minimum_detectable_effect": 0.04 },
        "rollout": { "initial_pct": 50, "steps": [] },
        "effort_hours": 4.5,
        "risk": "low",
        "is_reversible": true,
        "tags": ["forms", flag],
    });
    for (name, value) in more.as_object().into_iter().flatten().filter(|(name, _)| *name != "author") {
        match (idea.get_mut(name).and_then(Value::as_object_mut), value.as_object()) {
            (Some(inner), Some(new)) => inner.extend(new.clone()),
            _ => idea[name] = value.clone(),
        }
    }
    idea
}

/// Puts the repository and the data in an archive.
async fn pack(place: &Path, database: Option<&str>, archive: &Path) -> Result<()> {
    let root = place.join(REPOSITORY);
    match database {
        None => {
            let options = SqliteConnectOptions::new().filename(root.join(".outcome/outcome.db"));
            let mut connection = SqliteConnection::connect_with(&options).await?;
            sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await?;
            connection.close().await?;
            tar(place, &[REPOSITORY], archive)
        }
        Some(url) => {
            std::fs::write(place.join(DUMP), dump(url)?)?;
            tar(place, &[REPOSITORY, DUMP], archive)
        }
    }
}

fn dump(url: &str) -> Result<String> {
    let program = postgres::client_program("pg_dump").context("there is no pg_dump beside the server")?;
    let done = Command::new(program)
        .args(["--inserts", "--rows-per-insert=100", "--no-owner", "--no-privileges", "--encoding=UTF8"])
        .arg(url)
        .output()?;
    ensure!(done.status.success(), "pg_dump: {}", String::from_utf8_lossy(&done.stderr));
    // Newer ones write commands for psql around it, which is not what reads it here.
    let text = String::from_utf8(done.stdout)?;
    let lines = text.lines().filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
    Ok(lines.map(|line| format!("{line}\n")).collect())
}

fn tar(folder: &Path, names: &[&str], archive: &Path) -> Result<()> {
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=2026-10-01", "-I", "gzip -9n"]);
    tar.arg("-cf").arg(archive).arg("-C").arg(folder).args(names);
    let done = tar.output().context("tar cannot be run")?;
    if !done.status.success() {
        bail!("tar: {}", String::from_utf8_lossy(&done.stderr));
    }
    Ok(())
}
