//! Is the outcome reached? The level of single days against the target, held for the stated dwell time. The window that is shown is not
//! asked: its values overlap.
//!
//! Source: METRICS.md 6.3.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::{ArmSums, Measurement, Outcome, OutcomeSpec};
use crate::error::Result;
use crate::present::{number, percent};
use crate::stats::{self, Alpha, AttainmentInput, AttainmentTest, Attempt, SeriesVerdict};
use crate::store::Tx;
use crate::usecases::kernel::days::{DAY, days_between, stored_days};

/// Days of a week.
const WEEK: usize = 7;
/// Lengths between which a pushed window is a day, in hours.
const LIKE_A_DAY: std::ops::RangeInclusive<i64> = 20..=28;
/// The least length of a window that stands for a week.
const WEEK_LONG: SignedDuration = SignedDuration::from_hours(6 * 24);

/// How an outcome stands against its target. Observational: it does not say why.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Attainment {
    /// `target_met` where it is proven that the level is beyond the target, `target_missed` where the latest week is short of it.
    pub verdict: SeriesVerdict,
    /// Since when no week has been short of the target.
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
    /// True when it is proven and held for the dwell time, so that a human may confirm.
    pub is_met: bool,
    /// The same as a sentence.
    pub says: String,
}

impl Attainment {
    /// What cannot be judged.
    fn unknown(says: String) -> Self {
        Self { verdict: SeriesVerdict::NotDistinguishable, since: None, is_met: false, says }
    }
}

/// Holds the stored days of an outcome against its target; of a source that pushes, the pushed windows.
pub(in crate::usecases) async fn attainment(tx: &mut Tx, outcome: &Outcome, now: Timestamp) -> Result<Attainment> {
    let spec = &outcome.spec;
    let Some(baseline) = &outcome.state.baseline else {
        return Ok(Attainment::unknown("the outcome is not active yet, so that nothing is compared".to_owned()));
    };
    let days = stored_days(tx, outcome).await?;
    if days.is_empty() {
        let pushed = tx.measurement_pushed_levels(outcome.id, &spec.signal.name).await?;
        let pushed: Vec<Measurement> =
            pushed.into_iter().filter(|reading| reading.source == spec.signal.source).collect();
        if !pushed.is_empty() {
            return Ok(of_pushed(&pushed, spec, baseline.captured_at));
        }
    }
    let days: Vec<(Timestamp, ArmSums)> = days.into_iter().collect();
    // The newest level whose whole days are all there.
    let covered = match days.last().and_then(|(newest, _)| newest.checked_add(DAY).ok()) {
        Some(before) => tx.measurement_level_before(outcome.id, &spec.signal.name, before).await?,
        None => None,
    };
    if let Some((of_days, of_window)) = covered.and_then(|level| other_scale(&days, &level, spec)) {
        let mut levels = tx.measurement_levels(outcome.id, &spec.signal.name, MAX_LEVELS).await?;
        levels.reverse();
        return Ok(of_windows(&levels, spec, baseline.captured_at, of_days, of_window));
    }
    Ok(of_days(&days, spec, baseline.captured_at, now))
}

/// Most readings of the level that are looked at, the newest ones.
const MAX_LEVELS: i64 = 20_000;
/// Days in a window without which its level is not compared with theirs.
const MIN_DAYS_IN_WINDOW: usize = 4;

/// The mean of the days of a level's window and the level, where they are not the same quantity: a number of people who did something
/// in a week is not the mean of seven days. The target was declared for the window, and checked against it at the activation.
fn other_scale(days: &[(Timestamp, ArmSums)], level: &Measurement, spec: &OutcomeSpec) -> Option<(f64, f64)> {
    let window = level.window;
    let is_inside = |to: &Timestamp| *to <= window.to && to.checked_sub(DAY).is_ok_and(|from| from >= window.from);
    let inside: Vec<f64> = days.iter().filter(|(to, _)| is_inside(to)).filter_map(|(_, sums)| sums.value()).collect();
    let of_window = level.sums.value()?;
    if inside.len() < MIN_DAYS_IN_WINDOW {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "a window has few days")]
    let of_days = inside.iter().sum::<f64>() / inside.len() as f64;
    let is_same = (of_days - of_window).abs() <= spec.target.baseline_tolerance * of_window.abs().max(of_days.abs());
    (!is_same).then_some((of_days, of_window))
}

/// `levels`: by the end of the window. The windows that do not overlap count.
fn of_windows(
    levels: &[Measurement],
    spec: &OutcomeSpec,
    activated_at: Timestamp,
    of_days: f64,
    of_window: f64,
) -> Attainment {
    let mut blocks = Blocks { ends: Vec::new(), sums: Vec::new(), activated_at, per_week: 1, name: "window" };
    for reading in apart(levels) {
        blocks.push(reading.window.to, Some(reading.sums));
    }
    let found = blocks.judge(spec, 0);
    let says = format!(
        "single days are at {} and a window is at {}, which is another quantity, so that the {} windows that do not overlap count: {}",
        number(of_days),
        number(of_window),
        blocks.ends.len(),
        found.says
    );
    Attainment { says, ..found }
}

/// `days`: the end of each and its sums, in their order.
fn of_days(days: &[(Timestamp, ArmSums)], spec: &OutcomeSpec, activated_at: Timestamp, now: Timestamp) -> Attainment {
    let (Some((first, _)), Some((newest, _))) = (days.first(), days.last()) else {
        return Attainment::unknown(
            "no day has been read yet: the next poll after the first whole day reads it".to_owned(),
        );
    };
    if *newest <= activated_at {
        let n = days.len();
        return Attainment::unknown(format!(
            "no whole day since the activation has been read yet, and {n} before it have: the next poll goes on"
        ));
    }
    let mut blocks = Blocks { ends: Vec::new(), sums: Vec::new(), activated_at, per_week: WEEK, name: "day" };
    for (to, sums) in days {
        while blocks.ends.last().is_some_and(|last| days_between(*last, *to) > 1) {
            blocks.push(blocks.ends.last().and_then(|last| last.checked_add(DAY).ok()).unwrap_or(*first), None);
        }
        blocks.push(*to, Some(*sums));
    }
    // A source that is read once a week is a week behind, and the day of a query waits for what comes late.
    let is_behind = now.duration_since(*newest) - spec.signal.poll_interval.get() > DAY * 4;
    let n_unread = if is_behind { days_between(*newest, now) } else { 0 };
    blocks.judge(spec, n_unread)
}

/// Of readings by the end of their window, those whose windows do not overlap: the first one that ended before another begins.
fn apart(readings: &[Measurement]) -> Vec<&Measurement> {
    let mut apart: Vec<&Measurement> = Vec::new();
    for reading in readings {
        if apart.last().is_none_or(|last| last.window.to <= reading.window.from) {
            apart.push(reading);
        }
    }
    apart
}

/// `pushed`: by the end of the window, of one window the newest first. The windows that do not overlap count, the first one that ended
/// before another begins.
fn of_pushed(pushed: &[Measurement], spec: &OutcomeSpec, activated_at: Timestamp) -> Attainment {
    let mut apart = apart(pushed);
    let is_day =
        |reading: &&Measurement| LIKE_A_DAY.contains(&reading.window.to.duration_since(reading.window.from).as_hours());
    // One that is pushed late or by hand is not like the others.
    let n_days = apart.iter().filter(|reading| is_day(reading)).count();
    let (per_week, name) = if n_days * 5 >= apart.len() * 4 { (WEEK, "day") } else { (1, "window") };
    if per_week == WEEK {
        apart.retain(|reading| is_day(reading));
    } else if let Some(short) =
        apart.iter().find(|reading| reading.window.to.duration_since(reading.window.from) < WEEK_LONG)
    {
        let hours = short.window.to.duration_since(short.window.from).as_hours();
        return Attainment::unknown(format!(
            "`{}` pushes windows of {hours} hours, which are neither days nor whole weeks, so that the pattern of a week cannot be told from a \
             change: push one value a day or a week",
            spec.signal.source
        ));
    }
    let mut blocks = Blocks { ends: Vec::new(), sums: Vec::new(), activated_at, per_week, name };
    for reading in &apart {
        let to = reading.window.to;
        while per_week == WEEK && blocks.ends.last().is_some_and(|last| to.duration_since(*last) > DAY + DAY / 2) {
            let Some(missing) = blocks.ends.last().and_then(|last| last.checked_add(DAY).ok()) else { break };
            blocks.push(missing, None);
        }
        blocks.push(to, Some(reading.sums));
    }
    let found = blocks.judge(spec, 0);
    let n = apart.len();
    let says = format!(
        "`{}` pushes its values, so that days cannot be read, and the {n} pushed windows that do not overlap count: {}",
        spec.signal.source, found.says
    );
    Attainment { says, ..found }
}

/// Levels in time order, none of which overlaps another.
struct Blocks {
    ends: Vec<Timestamp>,
    sums: Vec<Option<ArmSums>>,
    /// What ended before is history.
    activated_at: Timestamp,
    per_week: usize,
    /// Of one.
    name: &'static str,
}

impl Blocks {
    fn push(&mut self, end: Timestamp, sums: Option<ArmSums>) {
        self.ends.push(end);
        self.sums.push(sums);
    }

    /// `n_unread`: days that are over and were not read yet.
    fn judge(&self, spec: &OutcomeSpec, n_unread: i64) -> Attainment {
        let target = &spec.target;
        let values: Vec<Option<f64>> = self.sums.iter().map(|sums| sums.and_then(|sums| sums.value())).collect();
        let AttainmentTest { attempt, n_ended, week } = stats::attainment(&AttainmentInput {
            blocks: &values,
            n_before: self.ends.iter().filter(|end| **end <= self.activated_at).count(),
            per_week: self.per_week,
            target: target.to,
            direction: target.direction.into(),
            alpha: Alpha::try_new(spec.alpha()).unwrap_or_default(),
            least_variance: self.least_variance(target.to),
        });
        let mut says = match (&attempt, week) {
            (Some(attempt), _) => self.in_words(attempt, spec),
            (None, Some(_)) if self.per_week == WEEK => "the mean of the last 7 days is short of the target".to_owned(),
            (None, Some(_)) => "the last window is short of the target".to_owned(),
            (None, None) => format!("there are too few {}s with a value to say anything", self.name),
        };
        if n_ended > 0 {
            let times = if n_ended == 1 { "once".to_owned() } else { format!("{n_ended} times") };
            says.push_str(&format!("; it reached the target {times} before and fell back, so that a proof needs more"));
        }
        if n_unread > 0 {
            says.push_str(&format!("; the {n_unread} days since then are not read yet"));
        }
        let is_proven = attempt.is_some_and(|attempt| attempt.is_proven);
        // Of a week without values nobody knows whether it held.
        let is_met = is_proven
            && week.is_some()
            && n_unread == 0
            && attempt.is_some_and(|attempt| self.held(&attempt) >= target.dwell.get());
        let verdict = match (attempt, week) {
            (Some(_), Some(_)) if is_proven => SeriesVerdict::TargetMet,
            (None, Some(_)) => SeriesVerdict::TargetMissed,
            _ => SeriesVerdict::NotDistinguishable,
        };
        let since = attempt.and_then(|attempt| self.ends.get(attempt.began).copied());
        Attainment { verdict, since, is_met, says }
    }

    /// How long an attempt has lasted.
    fn held(&self, attempt: &Attempt) -> SignedDuration {
        match (self.ends.last(), self.ends.get(attempt.began)) {
            (Some(last), Some(first)) => last.duration_since(*first),
            _ => SignedDuration::ZERO,
        }
    }

    fn in_words(&self, attempt: &Attempt, spec: &OutcomeSpec) -> String {
        let held = self.held(attempt);
        let n = held.as_hours() / 24;
        let days = if n == 1 { "1 day".to_owned() } else { format!("{n} days") };
        let confidence = percent(spec.target.confidence);
        let dwell = spec.target.dwell;
        if attempt.is_proven && held >= dwell.get() {
            return format!("the level has been beyond the target for {days} and is proven at {confidence}");
        }
        if attempt.is_proven {
            return format!(
                "the level has been beyond the target for {days} and is proven at {confidence}; it must stay there for {dwell}"
            );
        }
        let more = |n: u32| if n == 1 { format!("1 more {}", self.name) } else { format!("{n} more {}s", self.name) };
        let outlook = match (attempt.n_more, attempt.ln_e) {
            (Some(n), _) => format!("about {} at this level", more(n)),
            (None, Some(_)) => "at this level it would take more than a year".to_owned(),
            (None, None) if attempt.n >= WEEK => format!("the {}s do not vary, from which nothing follows", self.name),
            (None, None) => format!("too few {}s have passed to say how many more", self.name),
        };
        format!("the level reached the target {days} ago, which is not proven yet at {confidence}: {outlook}")
    }

    /// What counting alone makes of the variance of a share at the target.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    fn least_variance(&self, target: f64) -> f64 {
        let of_one: Vec<f64> = self
            .sums
            .iter()
            .filter_map(|sums| match (*sums)? {
                ArmSums::Proportion { n, .. } if n > 0 => Some(1.0 / n as f64),
                _ => None,
            })
            .collect();
        let spread = (target * (1.0 - target)).max(0.0);
        if of_one.is_empty() { 0.0 } else { spread * of_one.iter().sum::<f64>() / of_one.len() as f64 }
    }
}
