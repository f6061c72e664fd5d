//! One workspace with several experiments, driven through the command line as its human and its agent would.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use tempfile::TempDir;

use super::check::{Compared, compare};
use super::kind::Kind;
use super::measured::{Case, Measured};
use super::people::{DAY, People};
use super::report::{Ending, Played, Stated, StatedOf, Units};
use super::source::{Side, Source};
use super::texts::{Plan, hypothesis, outcome_file, table};
use super::{BASE_RATE, Options};
use crate::lab::{commit, git, write};
use crate::programs::Cli;

/// When flags go on; long past, so that no source's own clock is behind it.
const START: &str = "2025-03-10T00:00:00Z";
/// Outages begin on one of these days: before a futile experiment can end.
const OUTAGE_FROM: std::ops::Range<u32> = 2..5;
/// Days before the launch whose visitors make the level: a week whose windows are over, and a day more.
const DAYS_BEFORE: i64 = 12;
/// Numbers of users and accounts that belong to one experiment.
const IDS: i64 = 1_000_000;

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
    stated: Vec<StatedOf>,
}

struct Running {
    plan: Plan,
    slug: String,
    /// Who comes, where the shop itself is measured.
    people: Option<People>,
    rng: ChaCha8Rng,
    /// First and last day on whose poll the source is away.
    away: Option<(u32, u32)>,
    /// Day on which the flag was first seen off.
    off: Option<u32>,
    /// Day on which the share of the treatment changed.
    ramp: Option<u32>,
    end: Option<(Ending, u32)>,
    /// Polls after which its numbers were those of its people.
    n_compared: u32,
    /// Whether its numbers were found to be other than those of its people.
    is_different: bool,
}

impl Shop {
    /// From an empty folder to running experiments. `first`: number of the first one in the whole trial, which seeds it.
    pub(super) async fn open(
        options: &Options,
        cases: &[Case],
        first: usize,
        say: &mut dyn FnMut(&str),
    ) -> Result<Self> {
        let dirs = [tempfile::tempdir()?, tempfile::tempdir()?];
        let root = dirs[0].path().canonicalize()?;
        let clock = dirs[1].path().join("clock");
        let start: Timestamp = START.parse()?;
        std::fs::write(&clock, (start - SignedDuration::from_hours(2)).to_string())?;
        let plans = plans(cases, first)?;
        let daily_units = options.daily_units();
        write(&root, "src/page.txt", "five fields\n")?;
        write(&root, ".gitignore", "app.db*\nflags.json*\n.flags.json*\n.outcome/\n*.hypothesis.yaml\n")?;
        write(&root, "outcome.yaml", &outcome_file(&plans, daily_units))?;
        git(&root, &["init", "-q", "-b", "main"])?;
        commit(&root, "The shop and what it wants")?;
        let mut source = Source::create(&root.join("app.db")).await?;
        source.open_shop().await?;
        for plan in plans.iter().filter(|plan| plan.case.measured == Measured::Query) {
            source.declare(&table(&plan.name)).await?;
        }
        say("the two weeks before");
        for (measured, side) in [(Measured::Conversion, Side::Users), (Measured::Accounts, Side::Accounts)] {
            let case = Case { kind: Kind::Quiet, measured };
            let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
            rng.set_stream(u64::MAX - first as u64);
            let mut people = People::new(case, 0, rng);
            for day in -DAYS_BEFORE..=0 {
                let rows = people.live(day * DAY, daily_units * measured.unit_share())?;
                source.write(side, "", start, &rows).await?;
            }
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
            stated: Vec::new(),
        };
        let mut gates = Vec::new();
        let n_plans = plans.len();
        for (n, plan) in plans.into_iter().enumerate() {
            say(&format!("proposing and building {} of {n_plans}", n + 1));
            let (slug, gate) = shop.built(&plan)?;
            gates.push(gate);
            let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
            rng.set_stream((first + n) as u64);
            let away = (plan.case.kind.n_polls_away() > 0).then(|| {
                let from = rng.random_range(OUTAGE_FROM);
                (from, from + plan.case.kind.n_polls_away() - 1)
            });
            let first_id = (n as i64 + 1) * IDS;
            let people = plan.case.measured.is_contract().then(|| People::new(plan.case, first_id, rng.clone()));
            let (off, ramp, end) = (None, None, None);
            shop.experiments.push(Running {
                plan,
                slug,
                people,
                rng,
                away,
                off,
                ramp,
                end,
                n_compared: 0,
                is_different: false,
            });
        }
        shop.launch(&gates)?;
        Ok(shop)
    }

    pub(super) fn cli(&self) -> &Cli {
        &self.cli
    }

    /// The first experiment that has a query and one step, as the engine plays it.
    pub(super) fn slug_by_hand(&self) -> Result<&str> {
        let found = self.experiments.iter().find(|experiment| experiment.plan.case.measured == Measured::Query);
        Ok(&found.context("no experiment of the workspace has a query")?.slug)
    }

    /// What the launch gates state, of the first experiment of each way of measuring.
    pub(super) fn stated(&self) -> &[StatedOf] {
        &self.stated
    }

    /// From a proposal to a reported build: the experiment and its launch gate.
    fn built(&self, plan: &Plan) -> Result<(String, String)> {
        let name = &plan.name;
        // A week of few accounts can be far from what is true of them.
        self.cli.signed(&["activate", name, "--accept-baseline"])?;
        let file = format!("{name}.hypothesis.yaml");
        write(&self.root, &file, &hypothesis(plan, self.days))?;
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
        for (experiment, gate) in self.experiments.iter().zip(gates) {
            let measured = experiment.plan.case.measured;
            if self.stated.iter().all(|stated| stated.measured != measured) {
                let shown = self.cli.json(&["gate", "show", gate])?;
                self.stated.push(StatedOf { measured, stated: stated_at(&shown)? });
            }
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
            let flags = self.flags()?;
            self.fill(day, &flags).await?;
            self.set_clock(day)?;
            // A source that is away makes the round fail; what is known is judged all the same.
            self.cli.try_run(&["poll", "--all"])?;
            let status = self.cli.json(&["status"])?;
            let flags = self.flags()?;
            for index in 0..self.experiments.len() {
                let found = [self.compare(index, day)?, self.follow(index, day, &status, &flags)?];
                for problem in found.into_iter().flatten() {
                    say(&problem);
                    problems.push(problem);
                }
            }
        }
        let check = self.cli.json(&["audit", "verify"])?;
        if check["is_intact"] != true {
            problems.push(format!("the log is not intact: {check}"));
        }
        let played = self.experiments.iter().filter_map(|experiment| {
            let Plan { name, case: Case { kind, measured }, .. } = &experiment.plan;
            let Some((ending, day)) = experiment.end else {
                problems.push(format!("{name} ({}, {}) did not end", kind.says(), measured.says()));
                return None;
            };
            let units = experiment.people.as_ref().map(|people| Units::from(people.counts()));
            let (kind, measured) = (*kind, *measured);
            let (name, off, ramp) = (name.clone(), experiment.off, experiment.ramp);
            let n_compared = experiment.n_compared;
            Some(Played { name, kind, measured, ending, day, off, ramp, n_compared, units })
        });
        let played = played.collect();
        Ok((played, problems))
    }

    fn flags(&self) -> Result<Value> {
        Ok(serde_json::from_str(&std::fs::read_to_string(self.root.join("flags.json"))?)?)
    }

    /// What happens at the source before the poll that ends `day`.
    async fn fill(&mut self, day: u32, flags: &Value) -> Result<()> {
        let (until, users) = (i64::from(day) * DAY, self.daily_units);
        for experiment in self.experiments.iter_mut().filter(|experiment| experiment.end.is_none()) {
            let Plan { name, case, .. } = &experiment.plan;
            let Some(people) = experiment.people.as_mut() else {
                fill_table(&mut self.source, experiment, self.start, day, users).await?;
                continue;
            };
            let side = if case.measured == Measured::Accounts { Side::Accounts } else { Side::Users };
            people.split(until - DAY, share_of(flags, name));
            let rows = people.live(until, users * case.measured.unit_share())?;
            self.source.write(side, name, self.start, &rows).await?;
            self.source.forget(side, &people.delete_some()).await?;
        }
        Ok(())
    }

    /// Whether the numbers of a metric are those of the people who came; the difference in a sentence, once.
    fn compare(&mut self, index: usize, day: u32) -> Result<Option<String>> {
        let Some(experiment) = self.experiments.get_mut(index) else { return Ok(None) };
        let Some(people) = experiment.people.as_ref().filter(|_| experiment.end.is_none() && !experiment.is_different)
        else {
            return Ok(None);
        };
        let shown = self.cli.json(&["experiment", "show", &experiment.slug])?;
        match compare(&shown, people, experiment.plan.case, i64::from(day) * DAY)? {
            Compared::Nothing => return Ok(None),
            Compared::Same => {}
            Compared::Different(how) => {
                experiment.is_different = true;
                return Ok(Some(format!("{} on day {day}: {how}", experiment.plan.name)));
            }
        }
        experiment.n_compared += 1;
        Ok(None)
    }

    /// Looks at one experiment after a poll, and answers its gate as it recommends. What was wrong, in a sentence.
    fn follow(&mut self, index: usize, day: u32, status: &Value, flags: &Value) -> Result<Option<String>> {
        let Some(experiment) = self.experiments.get_mut(index).filter(|experiment| experiment.end.is_none()) else {
            return Ok(None);
        };
        let name = experiment.plan.name.clone();
        let line = line_of(status, &name)?;
        let is_on = flags["flags"][&name]["state"] == "ENABLED";
        if !is_on {
            experiment.off.get_or_insert(day);
        }
        let state = line["status"].as_str().unwrap_or_default();
        if matches!(state, "running" | "measuring" | "scaling") {
            return Ok((!is_on).then(|| format!("the flag of {name} is off while it is {state}")));
        }
        let ending = Ending::of(state, line["pause_cause"].as_str(), line["verdict"].as_str())
            .with_context(|| format!("an unexpected end: {line}"))?;
        // A success on the first of two steps is given to more people, and goes on.
        let is_ramp = ending == Ending::Ship && experiment.plan.case.kind.has_ramp() && experiment.ramp.is_none();
        if is_ramp {
            experiment.ramp = Some(day);
        } else {
            experiment.end = Some((ending, day));
        }
        let slug = experiment.slug.clone();
        let problem = (is_on != (ending == Ending::Ship))
            .then(|| format!("{name} ended with {ending:?}, and its flag is on: {is_on}"));
        if is_ramp {
            self.give_to_more(&slug)?;
        } else if state != "killed" {
            self.answer(&slug, ending)?;
        }
        Ok(problem)
    }

    /// The human gives a success to more people before everybody gets it.
    fn give_to_more(&self, slug: &str) -> Result<()> {
        let shown = self.cli.json(&["experiment", "show", slug])?;
        let gate = shown["gates"][0].as_str().with_context(|| format!("no gate asks about a success: {shown}"))?;
        self.decide(gate, "scale")
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

fn plans(cases: &[Case], first: usize) -> Result<Vec<Plan>> {
    let mut bases: BTreeMap<Measured, f64> = BTreeMap::from([(Measured::Query, BASE_RATE)]);
    let mut plans = Vec::new();
    for (n, case) in cases.iter().enumerate() {
        let base = match bases.get(&case.measured) {
            Some(base) => *base,
            None => People::base_of(case.measured)?,
        };
        bases.insert(case.measured, base);
        plans.push(Plan { name: format!("trial-{:03}", first + n + 1), case: *case, base });
    }
    Ok(plans)
}

/// What a launch gate states.
fn stated_at(gate: &Value) -> Result<Stated> {
    let dry_run = &gate["context"]["facts"]["dry_run"];
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

/// A day of an experiment with a query, with what goes wrong on it.
async fn fill_table(
    source: &mut Source,
    experiment: &mut Running,
    start: Timestamp,
    day: u32,
    units: f64,
) -> Result<()> {
    let came_at = start + SignedDuration::from_hours(24 * i64::from(day) - 23);
    let (table, kind, away) = (table(&experiment.plan.name), experiment.plan.case.kind, experiment.away);
    if away.is_some_and(|(_, last)| day == last + 1) {
        source.come_back(&table).await?;
    }
    let is_away = away.is_some_and(|(from, last)| (from..=last).contains(&day));
    let hidden = format!("away_{table}");
    let name = if is_away && away.is_some_and(|(from, _)| day > from) { &hidden } else { &table };
    source.fill(name, kind, came_at, units, &mut experiment.rng).await?;
    if kind == Kind::Deletions {
        source.delete_some(name, &mut experiment.rng).await?;
    }
    if away.is_some_and(|(from, _)| day == from) {
        source.go_away(&table).await?;
    }
    Ok(())
}

fn line_of<'a>(status: &'a Value, outcome: &str) -> Result<&'a Value> {
    let outcomes = status["outcomes"].as_array().context("`status` has no outcomes")?;
    let found = outcomes.iter().find(|line| line["outcome"] == outcome).map(|line| &line["experiments"][0]);
    found.with_context(|| format!("`status` does not show {outcome}"))
}

/// The share of the treatment, as the flag service splits units; `None` while the flag is off.
fn share_of(flags: &Value, flag: &str) -> Option<f64> {
    let flag = &flags["flags"][flag];
    let percent = flag["targeting"]["fractional"][1][1].as_f64()?;
    (flag["state"] == "ENABLED").then_some(percent / 100.0)
}
