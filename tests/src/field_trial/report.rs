//! What came of a trial, and whether it is what is stated.

use serde::{Deserialize, Serialize};

use super::kind::Kind;
use super::measured::Measured;
use super::people::Counts;
use super::{MDE, Options};

/// How an experiment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The gate recommended it.
    Ship,
    /// Paused as harmful.
    Harm,
    /// Paused or ended by the constraint.
    Guardrail,
    /// Paused because the arms' units do not match.
    Mismatch,
    /// Paused because the source could not be read.
    Source,
    /// Paused for another reason.
    Other,
    /// The MDE was excluded.
    Futile,
    /// The plan ended without an answer.
    Inconclusive,
}

impl Ending {
    /// From what `status` says about an experiment that does not run any more.
    pub(super) fn of(state: &str, pause: Option<&str>, verdict: Option<&str>) -> Option<Self> {
        Some(match (state, pause, verdict) {
            ("paused", Some("kill_threshold"), _) => Self::Harm,
            ("paused", Some("constraint"), _) | ("killed", ..) => Self::Guardrail,
            ("paused", Some("sample_ratio" | "arm_without_exposure"), _) => Self::Mismatch,
            ("paused", Some("query_failing" | "stale_signal"), _) => Self::Source,
            ("paused", ..) => Self::Other,
            ("awaiting_analysis_gate", _, Some("ship")) | ("awaiting_ship_gate", ..) => Self::Ship,
            ("awaiting_analysis_gate", _, Some("kill_futility")) => Self::Futile,
            ("awaiting_analysis_gate", ..) => Self::Inconclusive,
            _ => return None,
        })
    }

    /// Whether the runtime paused it.
    #[must_use]
    pub fn is_pause(self) -> bool {
        matches!(self, Self::Harm | Self::Guardrail | Self::Mismatch | Self::Source | Self::Other)
    }
}

/// One experiment that was played through the programs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Played {
    /// Its outcome and its flag.
    pub name: String,
    /// What was true of it.
    pub kind: Kind,
    /// How it was measured.
    pub measured: Measured,
    /// How it ended.
    pub ending: Ending,
    /// On which day.
    pub day: u32,
    /// When its flag was first seen off.
    pub off: Option<u32>,
    /// When more people got the treatment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramp: Option<u32>,
    /// Of a metric: polls with units that count, after which its numbers were those of its people.
    pub n_compared: u32,
    /// Of a metric: its units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<Units>,
}

/// The units of an experiment with a metric at its end, without the deleted ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Units {
    /// First exposed in some phase.
    pub all: u64,
    /// Saw both arms within that phase.
    pub both: u64,
    /// First exposed on the first rollout step.
    pub first_step: u64,
    /// Of these, those whose window was over when the share changed, or is not cut at all.
    pub first_step_whole: u64,
}

impl From<Counts> for Units {
    fn from(counts: Counts) -> Self {
        let Counts { n_units, n_both, n_first, n_first_whole } = counts;
        Self { all: n_units, both: n_both, first_step: n_first, first_step_whole: n_first_whole }
    }
}

/// The mishap of values that come late.
pub(super) const LATE: &str = "values within 7 days of the exposure";

/// Many experiments of one kind through the engine. Shares are of all runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What goes wrong; empty for nothing.
    pub mishap: String,
    /// The true effect in MDE.
    pub effect: f64,
    /// How many.
    pub runs: u32,
    /// Shipped.
    pub ship: f64,
    /// Paused as harmful.
    pub harm: f64,
    /// Paused by the constraint.
    pub guardrail: f64,
    /// Paused for the data.
    pub data: f64,
    /// The MDE was excluded.
    pub futile: f64,
    /// No answer.
    pub inconclusive: f64,
    /// Days until the end, on average.
    pub days: f64,
    /// Day by which half of the flags were off.
    pub median_days_off: Option<f64>,
    /// Day by which nine in ten were.
    pub p90_days_off: Option<f64>,
}

impl Row {
    /// Whether a pause or a `ship` of it is a false one.
    #[must_use]
    pub fn is_without_effect(&self) -> bool {
        self.effect == 0.0 && !self.mishap.contains("away") && !self.mishap.contains("loses")
    }

    /// Whether what is stated of false ships holds for it: a known end takes the values so far for those that there will be, and a query
    /// cannot say which of them are still to come.
    #[must_use]
    pub fn is_ship_promised(&self) -> bool {
        self.mishap != LATE
    }

    /// Paused for whatever reason.
    #[must_use]
    pub fn paused(&self) -> f64 {
        self.harm + self.guardrail + self.data
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of experiments")]
    fn count(&self, share: f64, stated: f64) -> Count {
        Count::new((share * f64::from(self.runs)).round() as usize, self.runs as usize, stated)
    }
}

/// What the launch gate states: at most so many in a hundred.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stated {
    /// False `ship`.
    pub ship: f64,
    /// False pauses as harmful.
    pub harm: f64,
    /// False pauses by a constraint.
    pub guardrail: f64,
    /// False pauses for the data.
    pub data: f64,
}

impl Stated {
    /// False pauses of all kinds.
    #[must_use]
    pub fn pauses(&self) -> f64 {
        self.harm + self.guardrail + self.data
    }
}

/// The same, of one way of measuring.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StatedOf {
    /// Which.
    pub measured: Measured,
    /// What.
    pub stated: Stated,
}

/// What came of a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Repeats it.
    pub seed: u64,
    /// Experiments without an effect that were asked for.
    pub n_aa: usize,
    /// Experiments with one.
    pub n_ab: usize,
    /// Experiments through the engine.
    pub n_engine: u32,
    /// Days of each plan.
    pub days: u32,
    /// Units of both arms a day, on average.
    pub daily_units: f64,
    /// The smallest effect worth finding.
    pub mde: f64,
    /// How long it took.
    pub seconds: u64,
    /// What the launch gates stated, by way of measuring.
    pub stated: Vec<StatedOf>,
    /// Each experiment through the programs.
    pub played: Vec<Played>,
    /// The engine's rows.
    pub engine: Vec<Row>,
    /// What was wrong with the runtime whatever the figures are: a flag that is on after a pause, a log that is not intact.
    pub problems: Vec<String>,
}

/// Ways of measuring that are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// By hand.
    Query,
    /// Metrics of the contract.
    Contract,
}

impl Group {
    /// In the order of the page.
    pub const ALL: [Self; 2] = [Self::Query, Self::Contract];

    fn has(self, measured: Measured) -> bool {
        measured.is_contract() == (self == Self::Contract)
    }

    /// By what its experiments are measured.
    #[must_use]
    pub fn by(self) -> &'static str {
        match self {
            Self::Query => "by a query",
            Self::Contract => "by a metric",
        }
    }

    /// In a few words.
    #[must_use]
    pub fn says(self) -> &'static str {
        match self {
            Self::Query => "queries by hand",
            Self::Contract => "metrics",
        }
    }
}

/// Some of many, and the most that what is stated explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub n: usize,
    /// Of these.
    pub of: usize,
    /// What is stated and two Monte Carlo standard errors.
    pub most: usize,
}

impl Count {
    fn new(n: usize, of: usize, stated: f64) -> Self {
        Self { n, of, most: most(stated, of) }
    }

    /// Whether it is more than what is stated and chance explain.
    #[must_use]
    pub fn is_above(&self) -> bool {
        self.n > self.most
    }
}

/// Below this many, two standard errors are no probability of 1 in 44, and the binomial distribution itself is asked.
const FEW: usize = 30;
/// Probability beyond two standard errors.
const BEYOND: f64 = 0.022_75;

/// Of `n` experiments: the stated share and two standard errors.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of experiments")]
fn most(stated: f64, n: usize) -> usize {
    let of = n as f64;
    if n >= FEW {
        return (of * stated + 2.0 * (of * stated * (1.0 - stated)).sqrt()).floor() as usize;
    }
    let (mut probability, mut so_far) = ((1.0 - stated).powf(of), 0.0);
    for k in 0..n {
        so_far += probability;
        if 1.0 - so_far <= BEYOND {
            return k;
        }
        probability *= (of - k as f64) / (k as f64 + 1.0) * stated / (1.0 - stated);
    }
    n
}

impl Report {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            seed: options.seed,
            n_aa: options.n_aa,
            n_ab: options.n_ab,
            n_engine: options.n_engine,
            days: options.days,
            daily_units: options.daily_units(),
            mde: MDE,
            seconds: 0,
            stated: Vec::new(),
            played: Vec::new(),
            engine: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Experiments of one kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Played> {
        self.played.iter().filter(move |played| played.kind == kind)
    }

    /// What the launch gates stated, each way of measuring once.
    pub(super) fn add_stated(&mut self, stated: &[StatedOf]) {
        for of in stated {
            if self.stated.iter().all(|known| known.measured != of.measured) {
                self.stated.push(*of);
            }
        }
    }

    /// The largest that was stated to the experiments of this group.
    #[must_use]
    pub fn stated_to(&self, group: Group) -> Option<Stated> {
        let of = self.stated.iter().filter(|of| group.has(of.measured)).map(|of| of.stated);
        of.reduce(|one, other| if other.pauses() > one.pauses() { other } else { one })
    }

    /// Everything that was played of a group.
    pub fn of_group(&self, group: Group) -> impl Iterator<Item = &Played> {
        self.played.iter().filter(move |played| group.has(played.measured))
    }

    /// False pauses through the programs: experiments without an effect that were paused.
    #[must_use]
    pub fn false_pauses(&self, group: Group) -> Count {
        let aa = || self.of_group(group).filter(|played| played.kind.is_without_effect());
        let n = aa().filter(|played| played.ending.is_pause()).count();
        Count::new(n, aa().count(), self.stated_to(group).map_or(0.0, |stated| stated.pauses()))
    }

    /// False recommendations to ship: of everything that is not better than the plan asks for.
    #[must_use]
    pub fn false_ships(&self, group: Group) -> Count {
        let not_better = || self.of_group(group).filter(|played| played.kind.effect() <= played.kind.threshold());
        let n = not_better().filter(|played| played.ending == Ending::Ship).count();
        Count::new(n, not_better().count(), self.stated_to(group).map_or(0.0, |stated| stated.ship))
    }

    /// Everything that is not as stated, in sentences.
    #[must_use]
    pub fn all_problems(&self) -> Vec<String> {
        let mut all = self.problems.clone();
        if self.stated.is_empty() {
            all.push("no launch gate stated anything".to_owned());
        }
        for group in Group::ALL {
            for (what, count) in [("paused", self.false_pauses(group)), ("shipped", self.false_ships(group))] {
                if count.is_above() {
                    let Count { n, of, most } = count;
                    let by = group.says();
                    all.push(format!("{by}: {n} of {of} were {what} without a reason; at most {most} are explained"));
                }
            }
        }
        for played in &self.played {
            let is_noticed = match played.kind {
                Kind::Crash | Kind::LargeHarm => played.ending.is_pause(),
                Kind::LongOutage => played.ending == Ending::Source,
                Kind::HarmRamp => played.ramp.is_none() || played.ending != Ending::Ship,
                Kind::BothArms => !matches!(played.ending, Ending::Ship | Ending::Futile),
                _ => true,
            };
            if !is_noticed {
                all.push(format!("{}: {} ended with {:?}", played.name, played.kind.says(), played.ending));
            }
        }
        let engine = self.stated_to(Group::Query);
        for (row, stated) in self.engine.iter().filter_map(|row| Some((row, engine?))) {
            let is_paused = row.is_without_effect() && row.count(row.paused(), stated.pauses()).is_above();
            let is_shipped = row.effect <= 0.0 && row.is_ship_promised() && row.count(row.ship, stated.ship).is_above();
            if is_paused || is_shipped {
                all.push(format!(
                    "engine, effect {} MDE, {}: {:.4} paused, {:.4} shipped",
                    row.effect,
                    row.mishap,
                    row.paused(),
                    row.ship
                ));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(n_paused: usize) -> Report {
        let played = (0..40).map(|n| Played {
            name: format!("trial-{n}"),
            kind: Kind::Quiet,
            measured: Measured::Query,
            ending: if n < n_paused { Ending::Harm } else { Ending::Futile },
            day: 9,
            off: Some(9),
            ramp: None,
            n_compared: 0,
            units: None,
        });
        let stated = Stated { ship: 0.045, harm: 0.025, guardrail: 0.05, data: 0.001 };
        Report {
            stated: vec![StatedOf { measured: Measured::Query, stated }],
            played: played.collect(),
            ..Report::new(&Options::default())
        }
    }

    #[test]
    fn more_false_pauses_than_stated_are_a_problem() {
        // .076 and two standard errors are 16 % of forty.
        assert_eq!(report(6).all_problems(), Vec::<String>::new());
        assert_eq!(report(7).all_problems().len(), 1);
    }

    #[test]
    fn few_experiments_are_judged_by_their_own_distribution() {
        // P(X > 1) = 0.07 and P(X > 2) = 0.008 of six at 7.6 %.
        assert_eq!((most(0.076, 6), most(0.076, 40), most(0.076, 7500)), (2, 6, 615));
        assert_eq!(most(0.0, 6), 0);
    }

    #[test]
    fn a_crash_that_nobody_noticed_is_a_problem() {
        let mut report = report(0);
        report.played[0].kind = Kind::Crash;
        assert_eq!(report.all_problems().len(), 1);
    }

    #[test]
    fn an_engine_above_its_stated_share_is_a_problem() {
        let mut report = report(0);
        let row = Row {
            mishap: String::new(),
            effect: 0.0,
            runs: 7500,
            ship: 0.01,
            harm: 0.02,
            guardrail: 0.04,
            data: 0.0,
            futile: 0.9,
            inconclusive: 0.03,
            days: 12.0,
            median_days_off: None,
            p90_days_off: None,
        };
        report.engine = vec![row.clone()];
        assert_eq!(report.all_problems(), Vec::<String>::new());
        report.engine = vec![Row { ship: 0.06, ..row }];
        assert_eq!(report.all_problems().len(), 1);
    }
}
