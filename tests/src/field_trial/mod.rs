//! A field trial: experiments with and without an effect, from `init` to their end, through the built programs; and many more
//! through the engine of `simulate`.
//!
//! Several experiments share a workspace, each with an outcome, a flag and a table of its own, so that one poll reads all of them.
//! The driver is the human, the agent and the source. What happened is read from outside: `status`, and the file of flags.
//! `cargo xtask field-trial` runs it and writes `docs/statistics/field-trial.md`.

mod check;
mod engine;
mod kind;
mod measured;
mod page;
mod people;
mod report;
mod shop;
mod source;
mod texts;

use std::time::{Duration, Instant};

use anyhow::Result;

pub use kind::Kind;
pub use measured::{Case, Measured};
pub use page::page;
pub use report::{Ending, Group, Played, Report, Row, Stated, Units};

/// Share of control units that convert.
const BASE_RATE: f64 = 0.2;
/// The smallest effect that the plan does not want to miss.
const MDE: f64 = 0.02;
/// Share of the units for which the constraint counts.
const BAD_RATE: f64 = 0.05;
/// Units of both arms over the whole plan, whatever its days: 1.6 times what a test with one look needs.
const PLANNED_UNITS: f64 = 25_200.0;

/// What is played.
#[derive(Debug, Clone)]
pub struct Options {
    /// Experiments without an effect.
    pub n_aa: usize,
    /// Experiments with an effect, or with data that must be noticed.
    pub n_ab: usize,
    /// Experiments through the engine alone; 0 for none.
    pub n_engine: u32,
    /// Days of each plan, at least 7.
    pub days: u32,
    /// Repeats the data.
    pub seed: u64,
    /// Experiments that share a workspace.
    pub per_workspace: usize,
    /// After this no further workspace is begun.
    pub limit: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self { n_aa: 40, n_ab: 40, n_engine: 0, days: 28, seed: 1, per_workspace: 20, limit: None }
    }
}

impl Options {
    /// The experiments in the order of play: A/A and A/B mixed, so that a trial that is cut short has both.
    #[must_use]
    pub fn cases(&self) -> Vec<Case> {
        let aa = measured::WITHOUT_EFFECT.iter().cycle().take(self.n_aa).enumerate();
        let ab = measured::WITH_EFFECT.iter().cycle().take(self.n_ab).enumerate();
        let mut all: Vec<_> =
            aa.map(|(n, case)| (2 * n, *case)).chain(ab.map(|(n, case)| (2 * n + 1, *case))).collect();
        all.sort_by_key(|(place, _)| *place);
        all.into_iter().map(|(_, case)| case).collect()
    }

    fn daily_units(&self) -> f64 {
        PLANNED_UNITS / f64::from(self.days)
    }
}

/// Plays it. `say` hears of the progress.
pub async fn run(options: &Options, say: &mut dyn FnMut(&str)) -> Result<Report> {
    let began = Instant::now();
    let cases = options.cases();
    let is_over = || options.limit.is_some_and(|limit| began.elapsed() >= limit);
    let mut report = Report::new(options);
    let n_workspaces = cases.chunks(options.per_workspace.max(1)).len();
    for (number, cases) in cases.chunks(options.per_workspace.max(1)).enumerate() {
        if is_over() {
            say("the time is over: what was played is reported");
            break;
        }
        let prefix = format!("workspace {} of {n_workspaces}: ", number + 1);
        let mut say = |text: &str| say(&format!("{prefix}{text}"));
        let first = number * options.per_workspace;
        let shop = shop::Shop::open(options, cases, first, &mut say).await?;
        report.add_stated(shop.stated());
        if number == 0 && options.n_engine > 0 {
            report.engine = engine::play(&shop, options, &mut say)?;
        }
        let (played, problems) = shop.play(&mut say).await?;
        report.played.extend(played);
        report.problems.extend(problems);
    }
    report.seconds = began.elapsed().as_secs();
    Ok(report)
}
