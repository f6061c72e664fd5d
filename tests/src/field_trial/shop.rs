//! One workspace with several experiments, driven through the command line as its human and its agent would.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use tempfile::TempDir;

use super::kind::Kind;
use super::report::{Ending, Played, Stated};
use super::source::Source;
use super::{BASE_RATE, MDE, Options};
use crate::lab::{commit, git, write};
use crate::programs::Cli;

/// When flags go on; long past, so that no source's own clock is behind it.
const START: &str = "2025-03-10T00:00:00Z";
/// Outages begin on one of these days: before a futile experiment can end.
const OUTAGE_FROM: std::ops::Range<u32> = 2..5;

/// A workspace whose experiments run.
pub(super) struct Shop {
    _dirs: [TempDir; 2],
    root: PathBuf,
    clock: PathBuf,
    cli: Cli,
    source: Source,
    start: Timestamp,
    days: u32,
    daily_units: f64,
    experiments: Vec<Running>,
    launch_gate: Value,
}

struct Running {
    name: String,
    kind: Kind,
    slug: String,
    rng: ChaCha8Rng,
    /// First and last day on whose poll the source is away.
    away: Option<(u32, u32)>,
    /// Day on which the flag was first seen off.
    off: Option<u32>,
    end: Option<(Ending, u32)>,
}

impl Shop {
    /// From an empty folder to running experiments. `first`: number of the first one in the whole trial, which seeds it.
    pub(super) async fn open(
        options: &Options,
        kinds: &[Kind],
        first: usize,
        say: &mut dyn FnMut(&str),
    ) -> Result<Self> {
        let dirs = [tempfile::tempdir()?, tempfile::tempdir()?];
        let root = dirs[0].path().canonicalize()?;
        let clock = dirs[1].path().join("clock");
        let start: Timestamp = START.parse()?;
        std::fs::write(&clock, (start - SignedDuration::from_hours(2)).to_string())?;
        let names: Vec<String> = (0..kinds.len()).map(|n| format!("trial-{:03}", first + n + 1)).collect();
        let daily_units = options.daily_units();
        write(&root, "src/page.txt", "five fields\n")?;
        write(&root, ".gitignore", "app.db*\nflags.json*\n.flags.json*\n.outcome/\n*.hypothesis.yaml\n")?;
        write(&root, "outcome.yaml", &outcome_file(&names, daily_units))?;
        git(&root, &["init", "-q", "-b", "main"])?;
        commit(&root, "The shop and what it wants")?;
        let mut source = Source::create(&root.join("app.db")).await?;
        for name in &names {
            source.declare(&table(name)).await?;
        }
        let clock_text = clock.display().to_string();
        let envs = [("OUTCOME_RUNTIME_CLOCK_FILE", clock_text.as_str())];
        let cli = Cli::new(&root, dirs[1].path(), "violet tractor crosses seven quiet lakes", &envs)?;
        cli.signed(&["init", "--email", "sam@example.com", "--name", "Sam", "--no-apply"])?;
        cli.signed(&["apply"])?;
        let mut shop = Self {
            _dirs: dirs,
            root,
            clock,
            cli,
            source,
            start,
            days: options.days,
            daily_units,
            experiments: Vec::new(),
            launch_gate: Value::Null,
        };
        let mut gates = Vec::new();
        for (n, (name, kind)) in names.iter().zip(kinds).enumerate() {
            say(&format!("proposing and building {} of {}", n + 1, names.len()));
            let (slug, gate) = shop.built(name)?;
            gates.push(gate);
            let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
            rng.set_stream((first + n) as u64);
            let away = (kind.n_polls_away() > 0).then(|| {
                let from = rng.random_range(OUTAGE_FROM);
                (from, from + kind.n_polls_away() - 1)
            });
            shop.experiments.push(Running { name: name.clone(), kind: *kind, slug, rng, away, off: None, end: None });
        }
        shop.launch(&gates)?;
        Ok(shop)
    }

    pub(super) fn cli(&self) -> &Cli {
        &self.cli
    }

    pub(super) fn first_slug(&self) -> Result<&str> {
        Ok(&self.experiments.first().context("the workspace is empty")?.slug)
    }

    /// What the launch gate of the first experiment states.
    pub(super) fn stated(&self) -> Result<Stated> {
        let dry_run = &self.launch_gate["context"]["facts"]["dry_run"];
        let number = |value: &Value, field: &str| {
            value[field].as_f64().with_context(|| format!("the launch gate does not state `{field}`: {dry_run}"))
        };
        let stops = &dry_run["false_stops"];
        Ok(Stated {
            ship: number(dry_run, "alpha")?,
            harm: number(stops, "stated_harm")?,
            guardrail: number(stops, "stated_guardrail")?,
            data: number(stops, "stated_data")?,
        })
    }

    /// From a proposal to a reported build: the experiment and its launch gate.
    fn built(&self, name: &str) -> Result<(String, String)> {
        self.cli.signed(&["activate", name])?;
        let file = format!("{name}.hypothesis.yaml");
        write(&self.root, &file, &hypothesis(name, self.days))?;
        let proposed = self.cli.json(&["experiment", "propose", "--outcome", name, "--file", &file])?;
        let text =
            |value: &Value| value.as_str().map(str::to_owned).with_context(|| format!("not proposed: {proposed}"));
        let (slug, gate) = (text(&proposed["proposed"][0])?, text(&proposed["gates"][0])?);
        self.decide(&gate, "approve")?;
        git(&self.root, &["checkout", "-q", "-B", &format!("build-{name}"), "main"])?;
        write(&self.root, &format!("src/{name}/form.txt"), &format!("two fields behind the flag {name}\n"))?;
        commit(&self.root, name)?;
        let reported = self.cli.json(&["report", &slug, "--summary", "two fields behind the flag"])?;
        git(&self.root, &["checkout", "-q", "main"])?;
        let gate = reported["gate"].as_str().with_context(|| format!("no launch gate: {reported}"))?;
        Ok((slug, gate.to_owned()))
    }

    fn launch(&mut self, gates: &[String]) -> Result<()> {
        if let Some(gate) = gates.first() {
            self.launch_gate = self.cli.json(&["gate", "show", gate])?;
        }
        self.set_clock(0)?;
        gates.iter().try_for_each(|gate| self.decide(gate, "approve"))
    }

    fn decide(&self, gate: &str, verdict: &str) -> Result<()> {
        let args = ["gate", "decide", gate, "--verdict", verdict, "--confirm-checklist", "--note", "as recommended"];
        self.cli.signed(&args).map(drop)
    }

    fn set_clock(&self, day: u32) -> Result<()> {
        Ok(std::fs::write(&self.clock, (self.start + SignedDuration::from_hours(24 * i64::from(day))).to_string())?)
    }

    /// Plays all experiments to their ends; what came of each, and what was wrong with the runtime.
    pub(super) async fn play(mut self, say: &mut dyn FnMut(&str)) -> Result<(Vec<Played>, Vec<String>)> {
        let mut problems = Vec::new();
        for day in 1..=self.days + 1 {
            let n_running = self.experiments.iter().filter(|experiment| experiment.end.is_none()).count();
            if n_running == 0 {
                break;
            }
            say(&format!("day {day} of {}: {n_running} of {} run", self.days, self.experiments.len()));
            self.fill(day).await?;
            self.set_clock(day)?;
            // A source that is away makes the round fail; what is known is judged all the same.
            self.cli.try_run(&["poll", "--all"])?;
            let status = self.cli.json(&["status"])?;
            let flags: Value = serde_json::from_str(&std::fs::read_to_string(self.root.join("flags.json"))?)?;
            for index in 0..self.experiments.len() {
                if let Some(problem) = self.follow(index, day, &status, &flags)? {
                    problems.push(problem);
                }
            }
        }
        let check = self.cli.json(&["audit", "verify"])?;
        if check["is_intact"] != true {
            problems.push(format!("the log is not intact: {check}"));
        }
        let played = self.experiments.iter().filter_map(|experiment| {
            let Some((ending, day)) = experiment.end else {
                problems.push(format!("{} ({}) did not end", experiment.name, experiment.kind.says()));
                return None;
            };
            Some(Played { name: experiment.name.clone(), kind: experiment.kind, ending, day, off: experiment.off })
        });
        let played = played.collect();
        Ok((played, problems))
    }

    /// What happens at the source before the poll that ends `day`.
    async fn fill(&mut self, day: u32) -> Result<()> {
        let came_at = self.start + SignedDuration::from_hours(24 * i64::from(day) - 23);
        for experiment in self.experiments.iter_mut().filter(|experiment| experiment.end.is_none()) {
            let table = table(&experiment.name);
            let away = experiment.away;
            if away.is_some_and(|(_, last)| day == last + 1) {
                self.source.come_back(&table).await?;
            }
            let is_away = away.is_some_and(|(from, last)| (from..=last).contains(&day));
            let hidden = format!("away_{table}");
            let name = if is_away && away.is_some_and(|(from, _)| day > from) { &hidden } else { &table };
            self.source.fill(name, experiment.kind, came_at, self.daily_units, &mut experiment.rng).await?;
            if experiment.kind == Kind::Deletions {
                self.source.delete_some(name, &mut experiment.rng).await?;
            }
            if away.is_some_and(|(from, _)| day == from) {
                self.source.go_away(&table).await?;
            }
        }
        Ok(())
    }

    /// Looks at one experiment after a poll, and answers its gate as it recommends. What was wrong, in a sentence.
    fn follow(&mut self, index: usize, day: u32, status: &Value, flags: &Value) -> Result<Option<String>> {
        let Some(experiment) = self.experiments.get_mut(index).filter(|experiment| experiment.end.is_none()) else {
            return Ok(None);
        };
        let line = line_of(status, &experiment.name)?;
        let is_on = flags["flags"][&experiment.name]["state"] == "ENABLED";
        if !is_on {
            experiment.off.get_or_insert(day);
        }
        let state = line["status"].as_str().unwrap_or_default();
        if matches!(state, "running" | "measuring") {
            return Ok((!is_on).then(|| format!("the flag of {} is off while it is {state}", experiment.name)));
        }
        let ending = Ending::of(state, line["pause_cause"].as_str(), line["verdict"].as_str())
            .with_context(|| format!("an unexpected end: {line}"))?;
        experiment.end = Some((ending, day));
        let slug = experiment.slug.clone();
        let problem = (is_on != (ending == Ending::Ship))
            .then(|| format!("{} ended with {ending:?}, and its flag is on: {is_on}", experiment.name));
        if state != "killed" {
            self.answer(&slug, ending)?;
        }
        Ok(problem)
    }

    /// The human does what the gate recommends; a pause ends the experiment.
    fn answer(&self, slug: &str, ending: Ending) -> Result<()> {
        let mut shown = self.cli.json(&["experiment", "show", slug])?;
        // A success has a second gate where a rollout step is left.
        for _ in 0..2 {
            let Some(gate) = shown["gates"][0].as_str().map(str::to_owned) else { return Ok(()) };
            let context = self.cli.json(&["gate", "show", &gate])?;
            let recommended = context["context"]["recommendation"].as_str().unwrap_or_default();
            let verdict = match ending {
                Ending::Ship if context["gate_type"] == "ship_approval" => "approve",
                Ending::Ship => recommended.split(':').next().unwrap_or_default(),
                _ => "kill",
            };
            ensure!(ending != Ending::Ship || verdict != "kill", "{slug} is not recommended any more: {recommended}");
            self.decide(&gate, verdict)?;
            shown = self.cli.json(&["experiment", "show", slug])?;
        }
        Ok(())
    }
}

fn line_of<'a>(status: &'a Value, outcome: &str) -> Result<&'a Value> {
    let outcomes = status["outcomes"].as_array().context("`status` has no outcomes")?;
    let found = outcomes.iter().find(|line| line["outcome"] == outcome).map(|line| &line["experiments"][0]);
    found.with_context(|| format!("`status` does not show {outcome}"))
}

fn table(name: &str) -> String {
    name.replace('-', "_")
}

fn outcome_file(names: &[String], daily_units: f64) -> String {
    let outcomes: String = names.iter().map(|name| outcome(name, daily_units)).collect();
    format!(
        "version: 1\noutcomes:\n{outcomes}signal_connectors:\n  - {{ name: app, type: sql, config: {{ url: \"sqlite:app.db\" }} }}\n\
         feature_flags:\n  provider: flagd_file\n  config: {{ path: flags.json }}\nlimits: {{ max_active_outcomes: {} }}\n",
        names.len()
    )
}

fn outcome(name: &str, daily_units: f64) -> String {
    // The level is that of a week.
    let n = (7.0 * daily_units).round();
    let level = |rate: f64| format!("SELECT {n} AS n, {} AS successes WHERE :from < :to", (n * rate).round());
    let by_variant = |column: &str| {
        format!(
            "SELECT variant, sum(n) AS n, sum(n) AS n_units, sum({column}) AS successes FROM {} WHERE :flag <> '' AND at >= :from AND at < :to \
             GROUP BY variant",
            table(name)
        )
    };
    format!(
        "  - id: {name}\n    title: More buyers ({name})\n    signal:\n      source: app\n      metric: bought_{table}\n      \
         poll_interval: 24h\n      query:\n        level: \"{}\"\n        by_variant: \"{}\"\n    target: {{ direction: increase, \
         from: {BASE_RATE}, to: {} }}\n    mde: {MDE}\n    horizon: 20w\n    staleness: 7d\n    portfolio: {{ max_concurrent: 1, \
         planned_experiments: 1 }}\n    constraints:\n      - signal: refunds\n        source: app\n        poll_interval: 24h\n        \
         not_worse: {{ direction: decrease, margin: 0.0 }}\n        query:\n          by_variant: \"{}\"\n    scope: {{ allowed_paths: \
         [src/], forbidden_paths: [src/payments/] }}\n",
        level(BASE_RATE),
        by_variant("bought"),
        BASE_RATE + 2.0 * MDE,
        by_variant("refunded"),
        table = table(name),
    )
}

fn hypothesis(name: &str, days: u32) -> String {
    format!(
        "title: Two fields ({name})\nstatement: If the form asks for two fields instead of five, more visitors finish it.\n\
         mechanism: Most visitors leave at the phone number.\nexpected_improvement: {MDE}\nconfidence: 0.5\nintervention: code_change\n\
         intervention_description: Remove phone and company from the form.\ntouched_paths: [src/{name}/]\nflag_key: {name}\n\
         measurement: {{ duration_days: {days}, min_sample_size: 2000, success_threshold: 0.0, kill_threshold: 0.0, \
         minimum_detectable_effect: {MDE} }}\nrollout: {{ initial_pct: 50, steps: [] }}\neffort_hours: 4\nrisk: low\n\
         is_reversible: true\ntags: [form]\n"
    )
}
