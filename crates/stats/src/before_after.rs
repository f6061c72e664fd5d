//! Before against after with what goes on anyway taken out, and the same at dates on which nothing happened.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::interval::finite;
use super::series::{MIN_BLOCKS, MIN_POST_BLOCKS, Spread, mean};
use super::{
    Alpha, Blocks, Interval, LevelTest, MIN_PLACEBOS, PrePostTest, SeriesRules, SeriesVerdict, Status, level_vs_target,
    pre_post,
};

/// Blocks of a year, where a block is a week.
const YEAR: usize = 52;

/// What the level after is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ComparedWith {
    /// The mean before.
    Mean,
    /// The straight line through the blocks before, carried on.
    Trend,
    /// The same weeks a year before, times the ratio at which the weeks before stood to theirs.
    Season,
}

/// How often a before/after comparison finds a change at a date on which nothing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Placebo {
    /// Dates that were tried.
    pub n_tried: u32,
    /// Dates at which the level "moved".
    pub n_moved: u32,
}

impl Placebo {
    /// Whether enough dates were tried to tell a series that moves anyway from one that does not.
    #[must_use]
    pub fn has_power(self) -> bool {
        self.n_tried >= MIN_PLACEBOS
    }
}

/// A before/after comparison with its placebos.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BeforeAfter {
    /// The comparison. Its difference is `level_after` minus `level_expected`.
    pub test: PrePostTest,
    /// The same at dates on which nothing happened.
    pub placebo: Placebo,
    /// The level after the intervention against a target.
    pub level: LevelTest,
    /// [`SeriesVerdict::Moved`] only where no placebo moved. Always observational.
    pub verdict: SeriesVerdict,
    /// What was taken out; absent in results of earlier versions, which compared with the mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared_with: Option<ComparedWith>,
    /// Blocks before that are compared; 0 in results of earlier versions.
    #[serde(default)]
    pub n_before: u32,
    /// Blocks after.
    #[serde(default)]
    pub n_after: u32,
    /// Mean of the blocks before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level_before: Option<f64>,
    /// The level after that the blocks before let expect; absent where it is `level_before` or unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level_expected: Option<f64>,
    /// Mean of the blocks after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level_after: Option<f64>,
}

/// Blocks after an intervention against the straight line through the blocks before.
///
/// `pre`: at least 4, `post`: at least 2 block means, in time order. The difference is the mean distance of the blocks after from
/// the line; its variance holds that of the line's height and of its slope, so that a short history or a long way ahead makes it
/// wide.
///
/// Source: STATS.md 2.9.
#[must_use]
pub fn against_trend(pre: &[f64], post: &[f64], alpha: Alpha) -> PrePostTest {
    if let Some(problem) = PrePostTest::problem(pre, post) {
        return problem;
    }
    let (m1, m2) = (pre.len() as f64, post.len() as f64);
    let middle = (m1 - 1.0) / 2.0;
    let at = |i: usize| i as f64 - middle;
    let height = mean(pre);
    let width: f64 = (0..pre.len()).map(|i| at(i) * at(i)).sum();
    let slope = pre.iter().enumerate().map(|(i, y)| at(i) * (y - height)).sum::<f64>() / width;
    let rest = |(i, y): (usize, &f64)| y - height - slope * at(i);
    let before: Vec<f64> = pre.iter().enumerate().map(rest).collect();
    let after: Vec<f64> = (pre.len()..).zip(post).map(rest).collect();
    let spread = Spread::of(&[&before, &after]).on_the_scale_of(&[pre, post]);
    let ahead = m1 + (m2 - 1.0) / 2.0 - middle;
    PrePostTest::of(mean(&after), &spread, m1 + m2 - 3.0, 1.0 / m1 + 1.0 / m2 + ahead * ahead / width, alpha)
}

/// Logarithms of the blocks over those a year before: as many before as the history allows, and of the first year after. `None`
/// where they are too few, or a level is not above zero.
fn over_the_year_before(pre: &[f64], post: &[f64]) -> Option<(Vec<f64>, Vec<f64>)> {
    let all: Vec<f64> = pre.iter().chain(post.iter().take(YEAR)).copied().collect();
    if pre.len() < YEAR + MIN_BLOCKS || !all.iter().all(|y| *y > 0.0) {
        return None;
    }
    let mut before: Vec<f64> = all.iter().skip(YEAR).zip(&all).map(|(y, a_year_ago)| (y / a_year_ago).ln()).collect();
    let after = before.split_off(pre.len() - YEAR);
    Some((before, after))
}

/// A difference of logarithms as one of levels: `after` minus what was to be expected.
fn in_levels(test: PrePostTest, after: f64) -> PrePostTest {
    let gained = |ln: f64| finite(-after * (-ln).exp_m1());
    PrePostTest {
        difference: test.difference.and_then(gained),
        se: test.difference.zip(test.se).and_then(|(ln, se)| finite(after * (-ln).exp() * se)),
        ci: test.ci.map(|ci| Interval { lower: ci.lower.and_then(gained), upper: ci.upper.and_then(gained) }),
        ..test
    }
}

/// Placebo in time: a comparison at every date within the blocks before the intervention.
///
/// `pre`: block means in time order; nothing can be tried with fewer than 6. A series that moves at such a date has a
/// trend, a season or a memory, and a change at the real date is then no evidence.
///
/// Source: STATS.md 2.9.
#[must_use]
pub fn placebo_in_time(pre: &[f64], compare: fn(&[f64], &[f64], Alpha) -> PrePostTest, alpha: Alpha) -> Placebo {
    let mut placebo = Placebo::default();
    for date in MIN_BLOCKS..=pre.len().saturating_sub(MIN_POST_BLOCKS) {
        let (before, after) = pre.split_at(date);
        placebo.n_tried += 1;
        placebo.n_moved += u32::from(compare(before, after, alpha).verdict() == SeriesVerdict::Moved);
    }
    placebo
}

/// Compares blocks before and after an intervention, tries placebos, and holds the level against the target.
///
/// With [`SeriesRules::Adjusted`]: against the same weeks a year before, where the history is 56 weeks long or longer and all levels
/// are above zero, else against the trend.
///
/// Source: STATS.md 2.9, METRICS.md 6.2.
#[must_use]
pub fn before_after(blocks: &Blocks<'_>, alpha: Alpha) -> BeforeAfter {
    let Blocks { pre, post, target, rules, scale: _ } = *blocks;
    let level_of = |run: &[f64]| (!run.is_empty()).then(|| mean(run)).and_then(finite);
    let (level_before, level_after) = (level_of(pre), level_of(post));
    let (test, placebo, compared_with) = match rules {
        SeriesRules::Means => (pre_post(pre, post, alpha), placebo_in_time(pre, pre_post, alpha), ComparedWith::Mean),
        SeriesRules::Adjusted => match over_the_year_before(pre, post) {
            Some((before, after)) => {
                let test = in_levels(pre_post(&before, &after, alpha), level_after.unwrap_or(0.0));
                (test, placebo_in_time(&before, pre_post, alpha), ComparedWith::Season)
            }
            None => {
                let placebo = placebo_in_time(pre, against_trend, alpha);
                (against_trend(pre, post, alpha), placebo, ComparedWith::Trend)
            }
        },
    };
    let may_claim = placebo.n_moved == 0 && (rules == SeriesRules::Means || placebo.has_power());
    let expected = level_after.zip(test.difference).map(|(after, difference)| after - difference);
    BeforeAfter {
        test,
        placebo,
        level: level_vs_target(post, target, alpha),
        verdict: if may_claim { test.verdict() } else { SeriesVerdict::NotDistinguishable },
        compared_with: Some(compared_with),
        n_before: u32::try_from(pre.len()).unwrap_or(u32::MAX),
        n_after: u32::try_from(post.len()).unwrap_or(u32::MAX),
        level_before,
        level_expected: expected.filter(|_| compared_with != ComparedWith::Mean),
        level_after,
    }
}

impl BeforeAfter {
    /// Whether nothing can be claimed because too few dates without a change could be tried.
    #[must_use]
    pub fn lacks_placebos(&self, rules: SeriesRules) -> bool {
        rules == SeriesRules::Adjusted && self.test.status == Status::Ok && !self.placebo.has_power()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Direction, Scale};

    const NOISE: [f64; 6] = [0.3, -0.2, 0.1, -0.3, 0.2, -0.1];

    fn weeks(n: usize, level: impl Fn(usize) -> f64) -> Vec<f64> {
        (0..n).map(|i| level(i) + NOISE[i % 6]).collect()
    }

    fn found(rules: SeriesRules, pre: &[f64], post: &[f64], target: f64) -> BeforeAfter {
        before_after(&Blocks { pre, post, target, rules, scale: &Scale::default() }, Alpha::DEFAULT)
    }

    #[test]
    fn a_jump_of_a_flat_series_moves_and_no_placebo_does() {
        let (pre, post) = (weeks(26, |_| 10.0), weeks(6, |_| 15.0));
        let found = found(SeriesRules::Adjusted, &pre, &post, 14.0);
        assert_eq!(found.placebo, Placebo { n_tried: 21, n_moved: 0 });
        assert_eq!((found.verdict, found.compared_with), (SeriesVerdict::Moved, Some(ComparedWith::Trend)));
        assert_eq!(found.level.verdict(14.0, Direction::Increase), SeriesVerdict::TargetMet);
        assert_eq!((found.n_before, found.n_after), (26, 6));
    }

    #[test]
    fn a_trend_that_was_there_before_is_no_change() {
        let trend = weeks(32, |i| 10.0 + 0.5 * i as f64);
        let (pre, post) = trend.split_at(26);
        let means = found(SeriesRules::Means, pre, post, 0.0);
        assert!(means.test.difference.unwrap() > 7.0, "by the means it looks like one: {means:?}");
        let adjusted = found(SeriesRules::Adjusted, pre, post, 0.0);
        assert_eq!(adjusted.verdict, SeriesVerdict::NotDistinguishable);
        assert!(adjusted.test.difference.unwrap().abs() < 0.5, "{adjusted:?}");
        assert!((adjusted.level_expected.unwrap() - 24.25).abs() < 0.5, "the line goes on: {adjusted:?}");
        let jump: Vec<f64> = post.iter().map(|y| y + 5.0).collect();
        let jumped = found(SeriesRules::Adjusted, pre, &jump, 0.0);
        assert_eq!((jumped.verdict, jumped.placebo.n_moved), (SeriesVerdict::Moved, 0));
    }

    #[test]
    fn the_way_ahead_widens_the_comparison_with_a_trend() {
        let pre = weeks(12, |_| 10.0);
        let width = |n: usize| against_trend(&pre, &weeks(n, |_| 10.0), Alpha::DEFAULT).se.unwrap();
        assert!(width(40) > 2.0 * width(6), "{} {}", width(40), width(6));
    }

    #[test]
    fn a_season_of_the_year_before_is_no_change_and_a_jump_beside_it_is() {
        let season = |i: usize| 100.0 + 30.0 * (std::f64::consts::TAU * i as f64 / 52.0).sin();
        let year = weeks(90, season);
        let (pre, post) = year.split_at(78);
        let seasonal = found(SeriesRules::Adjusted, pre, post, 0.0);
        assert_eq!(seasonal.compared_with, Some(ComparedWith::Season));
        assert_eq!(
            (seasonal.placebo, seasonal.verdict),
            (Placebo { n_tried: 21, n_moved: 0 }, SeriesVerdict::NotDistinguishable)
        );
        assert!(seasonal.test.difference.unwrap().abs() < 1.0, "{seasonal:?}");
        let jump: Vec<f64> = post.iter().map(|y| y * 1.2).collect();
        let jumped = found(SeriesRules::Adjusted, pre, &jump, 0.0);
        assert_eq!(jumped.verdict, SeriesVerdict::Moved);
        let (difference, after) = (jumped.test.difference.unwrap(), jumped.level_after.unwrap());
        assert!((difference - after * (1.0 - 1.0 / 1.2)).abs() < 1.0, "in units of the level: {jumped:?}");
        let ci = jumped.test.ci.unwrap();
        assert!(ci.lower.unwrap() > 0.0 && ci.lower.unwrap() < difference && difference < ci.upper.unwrap(), "{ci:?}");
    }

    #[test]
    fn a_year_of_data_without_four_weeks_more_is_compared_with_its_trend() {
        let compared =
            |n: usize| found(SeriesRules::Adjusted, &weeks(n, |_| 10.0), &weeks(3, |_| 10.0), 0.0).compared_with;
        assert_eq!((compared(55), compared(56)), (Some(ComparedWith::Trend), Some(ComparedWith::Season)));
        let mut pre = weeks(60, |_| 10.0);
        pre[3] = 0.0;
        let zero = found(SeriesRules::Adjusted, &pre, &weeks(3, |_| 10.0), 0.0);
        assert_eq!(zero.compared_with, Some(ComparedWith::Trend), "a ratio to zero is none");
    }

    #[test]
    fn a_level_that_already_jumped_before_is_no_evidence() {
        let (pre, post) = (weeks(14, |i| if i < 7 { 10.0 } else { 15.0 }), weeks(6, |_| 20.0));
        let found = found(SeriesRules::Means, &pre, &post, 10.0);
        assert!(found.placebo.n_moved > 0, "{found:?}");
        assert_eq!(found.verdict, SeriesVerdict::NotDistinguishable);
    }

    #[test]
    fn few_placebos_forbid_a_claim_except_in_plans_of_earlier_versions() {
        let (pre, post) = (weeks(24, |_| 10.0), weeks(6, |_| 15.0));
        let short = found(SeriesRules::Adjusted, &pre, &post, 0.0);
        assert_eq!((short.placebo.n_tried, short.test.verdict()), (19, SeriesVerdict::Moved));
        assert_eq!(short.verdict, SeriesVerdict::NotDistinguishable);
        assert!(short.lacks_placebos(SeriesRules::Adjusted));
        let earlier = found(SeriesRules::Means, &pre, &post, 0.0);
        assert_eq!((earlier.verdict, earlier.lacks_placebos(SeriesRules::Means)), (SeriesVerdict::Moved, false));
    }

    #[test]
    fn few_blocks_leave_no_placebo() {
        let tried = |n: usize| placebo_in_time(&weeks(n, |_| 10.0), pre_post, Alpha::DEFAULT).n_tried;
        assert_eq!([tried(0), tried(5), tried(6)], [0, 0, 1]);
    }

    /// By the normal equations of a straight line and sums by hand, in Python.
    #[test]
    fn the_distance_from_the_line_and_its_error_are_those_of_another_computation() {
        let (pre, post) = ([10.0, 11.5, 10.8, 12.6, 11.9, 13.4], [15.1, 14.2, 16.3, 15.0]);
        let found = against_trend(&pre, &post, Alpha::DEFAULT);
        assert!((found.difference.unwrap() - 0.592_857_142_857_142_2).abs() < 1e-9, "{found:?}");
        assert!((found.se.unwrap() - 1.103_541_275_090_391_5).abs() < 1e-9, "{found:?}");
        assert_eq!(found.degrees_of_freedom, Some(7.0));
    }

    #[test]
    fn the_error_of_a_level_follows_that_of_its_logarithm() {
        let logarithm = pre_post(&weeks(8, |_| 0.1), &weeks(4, |_| 0.3), Alpha::DEFAULT);
        let of = |difference: f64| {
            let shifted = PrePostTest { difference: Some(difference), se: Some(0.01), ..logarithm };
            in_levels(shifted, 50.0)
        };
        let gained = |difference: f64| of(difference).difference.unwrap();
        assert!((gained(0.2) - (50.0 - 50.0 / 0.2_f64.exp())).abs() < 1e-9);
        // How much more of the level a little more of the logarithm is.
        let slope = (gained(0.2 + 1e-6) - gained(0.2 - 1e-6)) / 2e-6;
        assert!((of(0.2).se.unwrap() - 0.01 * slope).abs() < 1e-9, "{slope}");
    }

    #[test]
    fn what_differs_from_its_line_by_less_than_a_millionth_of_its_height_does_not_vary() {
        let status = |level: f64| {
            let all = weeks(20, |i| level + 0.5 * i as f64);
            against_trend(&all[..14], &all[14..], Alpha::DEFAULT).status
        };
        assert_eq!((status(1e6), status(1e3)), (Status::ZeroVariance, Status::Ok));
    }
}
