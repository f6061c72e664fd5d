//! What must hold all the time, and at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use outcome_core::audit::LogEntry;
use outcome_core::domain::{ArmSums, Experiment, ExperimentStatus};
use outcome_core::store::SignalHealth;
use outcome_core::usecases::Polled;
use outcome_tests::lab::Lab;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::faults::Fault;
use super::net::lock;
use super::sources::{SECRETS, Sources};
use super::world::{FLAGS, World};
use super::{INTERVAL, outcome};

/// The longest that a source is left alone after it got well, and some minutes.
const LEFT_ALONE: SignedDuration = SignedDuration::from_mins(65);
/// The least time with failures before a pause.
const LEAST_FAILING: SignedDuration = SignedDuration::from_hours(2);
/// From here on a crashing treatment is plain to see.
const HARM_SHOWS: SignedDuration = SignedDuration::from_hours(4);

/// Everything that the process logs.
#[derive(Clone, Default)]
pub(super) struct Said(Arc<Mutex<Vec<u8>>>);

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        lock(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Said {
    /// Listens until what is returned is dropped.
    pub(super) fn listen(&self) -> impl Sized + use<> {
        let writer = self.clone();
        let level = tracing_subscriber::filter::LevelFilter::INFO;
        let subscriber = tracing_subscriber::fmt().with_max_level(level).with_ansi(false);
        subscriber.with_writer(move || writer.clone()).finish().set_default()
    }

    fn take(&self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut *lock(&self.0))).into_owned()
    }
}

/// Who watches.
pub(super) struct Watch<'w> {
    lab: &'w Lab,
    sources: &'w Sources,
    world: World,
    seen: i64,
    flags: BTreeMap<String, i64>,
    /// When the flag of the harmful one was moved last.
    harmful_since: Option<Timestamp>,
    harm_stopped: bool,
}

impl<'w> Watch<'w> {
    pub(super) fn new(lab: &'w Lab, sources: &'w Sources, world: World) -> Self {
        Self { lab, sources, world, seen: 0, flags: BTreeMap::new(), harmful_since: None, harm_stopped: false }
    }

    /// After a round.
    pub(super) async fn after(&mut self, polled: &Polled, said: &Said, standing: &[Experiment]) -> Result<()> {
        let now = self.lab.runtime.now();
        for line in self.lab.runtime.audit_log().page(self.seen, 1000).await? {
            self.seen = line.seq;
            hides_secrets(&line.payload.to_string())?;
            match line.kind.as_str() {
                "experiment.auto_paused" => self.may_pause(&line, standing)?,
                "experiment.killed_by_rule" | "experiment.concluded" => {
                    anyhow::bail!("decided: {} {}", line.kind, line.payload)
                }
                "flag.set" => self.is_set_once(&line)?,
                _ => {}
            }
        }
        hides_secrets(&format!("{polled:?}"))?;
        hides_secrets(&said.take())?;
        for (name, api) in self.sources.apis() {
            ensure!(api.too_soon().is_empty(), "`{name}` was not left alone: {:?}", api.too_soon());
            let n = api.n_elsewhere.load(std::sync::atomic::Ordering::SeqCst);
            ensure!(n == 0, "`{name}`: a redirect was followed");
        }
        self.signals_are_read_and_faults_seen(now, standing).await?;
        self.flags_are_right(now, standing)
    }

    /// Only a lasting fault of a source on which experiments rest pauses one, and harm.
    fn may_pause(&mut self, line: &LogEntry, standing: &[Experiment]) -> Result<()> {
        let index = standing.iter().position(|experiment| experiment.id.0 == line.subject.id);
        let flag = FLAGS[index.context("whose line is it?")?];
        let said = line.payload.to_string();
        let now = line.at;
        let is_harmed = flag == FLAGS[2] && now >= self.world.harm_at;
        match line.payload["data"]["cause"].as_str().or(line.payload["cause"].as_str()) {
            Some("query_failing" | "stale_signal") => {
                let is_known = |(name, episode): &(&str, super::faults::Episode)| {
                    let lasted = now.min(episode.to + LEFT_ALONE).duration_since(episode.from);
                    said.contains(&format!("`{name}`")) && lasted >= LEAST_FAILING && episode.fault.is_failure()
                };
                let latest = self.sources.troubles_of_experiments(now, LEFT_ALONE + INTERVAL);
                let is_of_fault = latest.iter().any(is_known) || said.contains("has had no good reading");
                let lasted = latest.iter().any(|(_, episode)| episode.lasts() >= LEAST_FAILING);
                ensure!(is_of_fault && lasted, "`{flag}` is paused at {now} by {said}, and there was {latest:?}");
            }
            Some("constraint") if is_harmed => {
                ensure!(!self.harm_stopped, "harm stopped `{flag}` twice: {said}");
                self.harm_stopped = true;
            }
            _ => anyhow::bail!("`{flag}` is paused at {now}: {said}"),
        }
        Ok(())
    }

    /// No flag is put where it is.
    fn is_set_once(&mut self, line: &LogEntry) -> Result<()> {
        let payload = line.payload.get("data").unwrap_or(&line.payload);
        let key = payload["key"].as_str().with_context(|| format!("no key: {payload}"))?;
        let pct = payload["treatment_pct"].as_i64().with_context(|| format!("no share: {payload}"))?;
        let before = self.flags.insert(key.to_owned(), pct);
        if key == FLAGS[2] {
            self.harmful_since = Some(line.at);
        }
        ensure!(before != Some(pct), "`{key}` was set to {pct} % twice");
        Ok(())
    }

    /// Every signal of a source that is well is read within its interval, and every other one says what is wrong and what to do.
    async fn signals_are_read_and_faults_seen(&self, now: Timestamp, standing: &[Experiment]) -> Result<()> {
        let outcome = outcome(self.lab).await?;
        let mut tx = self.lab.runtime.db().read(self.lab.runtime.workspace().id).await?;
        let mut healths = tx.signal_health_list(outcome.id.0).await?;
        for experiment in standing.iter().filter(|experiment| experiment.state.status.is_live()) {
            healths.extend(tx.signal_health_list(experiment.id.0).await?);
        }
        for health in healths {
            let Some(name) = source_of(&health.signal) else { continue };
            self.is_told(name, &health, now)?;
            let latest = self.sources.schedule(name).and_then(|schedule| schedule.latest(now));
            let is_well = latest.is_none_or(|episode| now > episode.to + LEFT_ALONE + INTERVAL);
            let age = health.last_ok_at.map(|at| now.duration_since(at.0));
            ensure!(
                !is_well || age.is_some_and(|age| age <= INTERVAL + SignedDuration::from_mins(21)),
                "`{}` of `{name}`, which is well since {latest:?}, was last read {age:?} ago at {now}: {health:?}",
                health.signal
            );
        }
        Ok(())
    }

    /// What is said of a signal that fails.
    fn is_told(&self, name: &str, health: &SignalHealth, now: Timestamp) -> Result<()> {
        let Some(error) = health.last_error.as_deref().filter(|_| health.failures > 0) else { return Ok(()) };
        hides_secrets(error)?;
        ensure!(error.contains(&format!("`{name}`")), "which source is it? {error}");
        let begun = self.sources.schedule(name).map(|schedule| schedule.episodes()).unwrap_or_default();
        let begun = begun.iter().rev().filter(|episode| episode.from <= now).take(2);
        let codes: BTreeSet<&str> =
            begun.flat_map(|episode| episode.fault.codes()).copied().chain(["signal_throttled"]).collect();
        ensure!(codes.iter().any(|code| error.contains(code)), "{error} is none of {codes:?}");
        ensure!(error.contains("; to do: "), "what is to be done? {error}");
        Ok(())
    }

    /// A flag is on exactly where its experiment is under way, and where it was put.
    fn flags_are_right(&self, now: Timestamp, standing: &[Experiment]) -> Result<()> {
        for (experiment, flag) in standing.iter().zip(FLAGS) {
            let (slug, status) = (&experiment.slug, experiment.state.status);
            let is_on = matches!(status, ExperimentStatus::Running | ExperimentStatus::Measuring);
            ensure!(is_on || status == ExperimentStatus::Paused, "`{slug}` is {status}");
            ensure!(self.lab.is_on(flag)? == is_on, "the flag of `{slug}`, which is {status}, is not right");
        }
        // Harm is seen as soon as it is plain and its sources were well for a while.
        let rests_on = self.sources.latest_of_experiments(now);
        let begun = rests_on.iter().map(|(_, episode)| episode.to).max().unwrap_or(self.world.harm_at);
        // Nobody is harmed while a fault of a source keeps its flag off.
        let harms_since = self.harmful_since.map_or(self.world.harm_at, |since| since.max(self.world.harm_at));
        let shows = (harms_since + HARM_SHOWS).max(begun + LEFT_ALONE) + INTERVAL + INTERVAL;
        let is_off = standing.get(2).is_some_and(|harmful| harmful.state.status == ExperimentStatus::Paused);
        ensure!(self.harm_stopped || is_off || now < shows, "the harm is not stopped at {now}");
        Ok(())
    }

    /// When the faults are over.
    pub(super) async fn at_the_end(&self, n_pushes: usize, standing: &[Experiment]) -> Result<()> {
        let now = self.lab.runtime.now();
        let status = self.lab.runtime.workspaces().status(false).await?;
        hides_secrets(&serde_json::to_string(&status)?)?;
        ensure!(status.resting_sources.is_empty(), "{:?}", status.resting_sources);
        ensure!(status.undelivered.is_empty(), "{:?}", status.undelivered);
        ensure!(self.harm_stopped);
        for experiment in standing.iter().take(2) {
            let slug = experiment.slug.as_str();
            ensure!(experiment.state.status.is_live(), "`{slug}` is {}", experiment.state.status);
            let series = self.lab.runtime.experiments().series(slug, 1_000_000).await?;
            let newest = series.iter().map(|reading| reading.measured_at).max().context("never judged")?;
            ensure!(now.duration_since(newest) <= INTERVAL + INTERVAL, "`{slug}` was last judged at {newest}");
        }
        for (experiment, flag) in standing.iter().zip(FLAGS) {
            for reading in self.lab.runtime.experiments().series(experiment.slug.as_str(), 1_000_000).await? {
                let arm = self.world.arm(flag, reading.variant.context("no variant")?, reading.window);
                let expected = ArmSums::Proportion { n: arm.n, successes: arm.successes };
                ensure!(reading.sums == expected, "{reading:?} should be {expected:?}");
            }
        }
        self.levels_are_true(n_pushes).await?;
        let met: BTreeSet<Fault> = self.sources.apis().iter().flat_map(|(_, api)| lock(&api.met).clone()).collect();
        let met = met.union(&lock(&self.sources.shop.met)).copied().collect::<BTreeSet<_>>();
        let expected = super::faults::OF_HTTP.into_iter().chain(super::faults::OF_TCP);
        let unmet: Vec<Fault> = expected.filter(|fault| !met.contains(fault)).collect();
        ensure!(unmet.is_empty(), "nobody met {unmet:?}");
        Ok(())
    }

    /// Nothing was stored that is not true, and nothing that was pushed is lost.
    async fn levels_are_true(&self, n_pushes: usize) -> Result<()> {
        let outcome = outcome(self.lab).await?;
        let mut tx = self.lab.runtime.db().read(self.lab.runtime.workspace().id).await?;
        for signal in ["came_back", "visits", "falls", "paid", "latency", "load"] {
            for reading in tx.measurement_levels(outcome.id, signal, 100_000).await? {
                let expected = self.world.level(signal, reading.window).context("no such level")?;
                ensure!(reading.sums == expected, "{reading:?} should be {expected:?}");
            }
        }
        // What was pushed is kept once more as the level that it is.
        let pushed = tx.measurement_levels(outcome.id, "orders", 100_000).await?;
        let pushed = pushed.iter().map(|level| level.window.to).collect::<BTreeSet<_>>().len();
        ensure!(pushed == n_pushes, "{pushed} of {n_pushes} pushes are there");
        Ok(())
    }
}

/// The source of a signal; `None` for one that is pushed.
fn source_of(signal: &str) -> Option<&'static str> {
    match signal {
        "came_back" | "visits" => Some("shop"),
        "crashes" | "falls" => Some("warehouse"),
        "latency" | "paid" => Some("stats"),
        "load" => Some("metrics"),
        _ => None,
    }
}

fn hides_secrets(text: &str) -> Result<()> {
    for secret in SECRETS {
        ensure!(!text.contains(secret), "`{secret}` is in {text}");
    }
    Ok(())
}
