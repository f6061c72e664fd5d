//! `stats plan`: how many units and days a test needs, for effects of several sizes.

use outcome_core::Result;
use outcome_core::domain::MinimumDetectableEffect;
use outcome_core::present::{Scale, count, number, percent, significant, whole};
use outcome_core::stats::{Alpha, Alternative, PlannedTest, SampleSize, SampleSizeInput, boundary, sample_size};
use serde::Serialize;

use super::parse::{self, invalid};
use crate::args::{PlanTest, StatsPlan};
use crate::cx::{Cx, Exit};
use crate::output::{Page, Table};

/// Rows around a single effect, as multiples of it.
const MULTIPLES: [f64; 5] = [0.5, 0.75, 1.0, 1.5, 2.0];

/// The table and what it rests on.
#[derive(Debug, Serialize)]
struct Answer {
    baseline: f64,
    standard_deviation: Option<f64>,
    daily_units: f64,
    /// Of this experiment.
    alpha: f64,
    /// Of all planned experiments together.
    alpha_of_all: f64,
    planned_experiments: u32,
    #[serde(flatten)]
    test: PlannedTest,
    power: f64,
    rows: Vec<Row>,
    /// `n_max / n_fixed`.
    longest: f64,
    /// `n_expected_at_mde / n_fixed`.
    average: f64,
    /// About the same at twice the effect.
    average_at_double: f64,
    note: String,
}

/// One size of effect.
#[derive(Debug, Serialize)]
struct Row {
    mde_relative: Option<f64>,
    mde_abs: f64,
    /// A test with a single look at a fixed end.
    n_fixed: u64,
    /// Average of the sequential test when the effect is exactly this.
    n_expected_at_mde: f64,
    /// The end of the plan.
    n_max: u64,
    days_expected_at_mde: f64,
    days: u64,
    days_whole_weeks: u64,
    /// True for what was asked; the others stand beside it.
    is_asked: bool,
}

/// Runs it.
pub fn run(cx: &Cx, args: &StatsPlan) -> Result<Exit> {
    let question = Question::of(args)?;
    let mut rows = Vec::new();
    for (effect, is_asked) in &question.effects {
        match question.row(*effect, *is_asked) {
            Ok(row) => rows.push(row),
            Err(error) if *is_asked => return Err(error),
            // A neighbour that cannot be (a share above 100 %) is left out.
            Err(_) => {}
        }
    }
    let Some(asked) = rows.iter().find(|row| row.is_asked) else {
        return Err(invalid("--mde is missing", "give one such as 10%"));
    };
    let ratio = |n: f64| n / asked.n_fixed as f64;
    let (longest, average) = (ratio(asked.n_max as f64), ratio(asked.n_expected_at_mde));
    let average_at_double = match question.size(asked.mde_abs)?.n_expected_at_double {
        Some(n) => ratio(n),
        None => at_double(question.alpha) / (asked.n_fixed as f64 / question.units(asked.mde_abs)?),
    };
    let answer = Answer {
        baseline: question.baseline,
        standard_deviation: question.sd,
        daily_units: question.daily,
        alpha: question.alpha.get(),
        alpha_of_all: question.alpha_of_all.get(),
        planned_experiments: args.planned,
        test: question.test,
        power: question.power,
        longest,
        average,
        average_at_double,
        note: note(longest, average, average_at_double),
        rows,
    };
    cx.out.result(&answer, |page| show(page, &answer))?;
    Ok(Exit::OK)
}

/// What was asked, checked.
struct Question {
    baseline: f64,
    sd: Option<f64>,
    effects: Vec<(MinimumDetectableEffect, bool)>,
    daily: f64,
    alpha_of_all: Alpha,
    /// This experiment's part of it.
    alpha: Alpha,
    test: PlannedTest,
    power: f64,
    weights: Vec<f64>,
}

impl Question {
    fn of(args: &StatsPlan) -> Result<Self> {
        let baseline = parse::level(&args.baseline, "--baseline")?;
        let sd = args.sd.as_deref().map(|text| parse::positive(text, "--sd")).transpose()?;
        if sd.is_none() && !(baseline > 0.0 && baseline < 1.0) {
            return Err(invalid(
                format!("--baseline is {}, expected a share between 0 and 1, exclusive", args.baseline),
                "write a share as 5% or 0.05; a mean needs --sd, the standard deviation of one unit",
            ));
        }
        let size = |text: &String| {
            let effect = parse::effect(text, "--mde")?;
            if sd.is_none() { parse::within_share(effect, text, "--mde") } else { Ok(effect) }
        };
        let sizes: Vec<MinimumDetectableEffect> = args.mde.iter().map(size).collect::<Result<_>>()?;
        let effects = match sizes.as_slice() {
            [only] => MULTIPLES.map(|m| (times(*only, m), m.total_cmp(&1.0).is_eq())).to_vec(),
            several => several.iter().map(|effect| (*effect, true)).collect(),
        };
        if baseline.abs() <= 0.0 && sizes.iter().any(|effect| matches!(effect, MinimumDetectableEffect::Relative(_))) {
            return Err(invalid("--mde is relative and the baseline is 0", "give an absolute effect"));
        }
        let (alpha_of_all, power) = (parse::alpha(&args.alpha)?, parse::probability(&args.power, "--power")?);
        let alpha = if args.planned == 0 { alpha_of_all } else { alpha_of_all.budget_share(args.planned, 0) };
        if power <= alpha.get() {
            return Err(invalid(format!("--power is {}, expected more than --alpha", args.power), "0.8 is usual"));
        }
        Ok(Self {
            baseline,
            sd,
            effects,
            daily: parse::traffic(&args.traffic)?,
            alpha_of_all,
            alpha,
            test: match args.test {
                PlanTest::KnownEnd => PlannedTest::KnownEnd,
                PlanTest::OpenEnd => PlannedTest::CutNormal,
                PlanTest::TwoSided => PlannedTest::TwoSided { n_looks: args.looks },
            },
            power,
            weights: parse::split(&args.split, 2)?,
        })
    }

    /// Variance of one unit of control and of treatment.
    fn variances(&self, mde_abs: f64) -> Result<(f64, f64)> {
        if let Some(sd) = self.sd {
            return Ok((sd * sd, sd * sd));
        }
        let moved = self.baseline + mde_abs;
        if moved >= 1.0 {
            return Err(invalid(
                format!("the effect would move the share to {}, beyond 100 %", percent(moved)),
                "use a smaller --mde; `10%` is relative to the baseline, 0.1 means ten points",
            ));
        }
        Ok((self.baseline * (1.0 - self.baseline), moved * (1.0 - moved)))
    }

    fn weight(&self, arm: usize) -> f64 {
        self.weights.get(arm).copied().unwrap_or(1.0)
    }

    /// Units, both arms together, that bring an information of `1 / MDE^2`.
    fn units(&self, mde_abs: f64) -> Result<f64> {
        let (control, treatment) = self.variances(mde_abs)?;
        let total = self.weight(0) + self.weight(1);
        Ok((control * total / self.weight(0) + treatment * total / self.weight(1)) / mde_abs / mde_abs)
    }

    fn size(&self, mde_abs: f64) -> Result<SampleSize> {
        let (unit_variance_control, unit_variance_treatment) = self.variances(mde_abs)?;
        let input = SampleSizeInput {
            unit_variance_control,
            unit_variance_treatment,
            weight_control: self.weight(0),
            weight_treatment: self.weight(1),
            mde_abs,
            alpha: self.alpha,
            power: self.power,
            test: self.test,
        };
        sample_size(&input).map_err(|e| invalid(e.to_string(), "`--help` lists the valid values"))
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what a count holds")]
    fn row(&self, effect: MinimumDetectableEffect, is_asked: bool) -> Result<Row> {
        let mde_abs = effect.absolute(self.baseline);
        let size = self.size(mde_abs)?;
        let days = (size.n_max as f64 / self.daily).ceil().clamp(1.0, 9.0e15) as u64;
        Ok(Row {
            mde_relative: Some(mde_abs / self.baseline.abs()).filter(|share| share.is_finite()),
            mde_abs,
            n_fixed: size.n_fixed,
            n_expected_at_mde: size.n_expected_at_mde,
            n_max: size.n_max,
            // Nothing is claimed before a week is over.
            days_expected_at_mde: (size.n_expected_at_mde / self.daily).max(7.0),
            days,
            days_whole_weeks: days.div_ceil(7).saturating_mul(7),
            is_asked,
        })
    }
}

fn times(effect: MinimumDetectableEffect, multiple: f64) -> MinimumDetectableEffect {
    match effect {
        MinimumDetectableEffect::Relative(share) => MinimumDetectableEffect::Relative(share * multiple),
        MinimumDetectableEffect::Absolute(size) => MinimumDetectableEffect::Absolute(size * multiple),
    }
}

fn show(page: &mut Page, answer: &Answer) {
    let is_share = answer.standard_deviation.is_none();
    let scale = if is_share { Scale::share() } else { Scale::default() };
    page.head(&format!(
        "Baseline {}, {} units a day, alpha {}{}, power {}",
        scale.level(answer.baseline),
        whole(answer.daily_units),
        number(answer.alpha),
        match answer.planned_experiments {
            0 => String::new(),
            planned => format!(" (its part of {} for {planned} planned)", number(answer.alpha_of_all)),
        },
        number(answer.power)
    ));
    let mut table =
        Table::new(&["effect", "", "on average", "at most", "days on average", "days at most", "fixed test"]);
    for row in &answer.rows {
        let relative = row.mde_relative.map_or_else(String::new, percent);
        let mark = if row.is_asked && answer.rows.iter().any(|row| !row.is_asked) { "<" } else { "" };
        table.row(&[
            &if relative.is_empty() {
                scale.size(row.mde_abs)
            } else {
                format!("{relative} ({})", scale.size(row.mde_abs))
            },
            mark,
            &whole(row.n_expected_at_mde),
            &count(row.n_max),
            &whole(row.days_expected_at_mde),
            &format!("{} ({} weeks)", count(row.days), count(row.days_whole_weeks / 7)),
            &count(row.n_fixed),
        ]);
    }
    page.table(table);
    page.blank();
    page.prose(0, &answer.note);
    page.hint("units are people who enter the experiment, all arms together; run the test for whole weeks");
}

/// What STATS.md 2.10 asks to be said, with the figures for this alpha and power.
fn note(longest: f64, average: f64, at_double: f64) -> String {
    let average = if (0.95..1.1).contains(&average) {
        "as long as".to_owned()
    } else {
        format!("{} times as long as", significant(average, 2))
    };
    format!(
        "At exactly this effect, the sequential test takes on average {average} a fixed test with one look at its end, and at \
         most {} times as long. At twice the effect it takes about {} of the fixed test. Nothing is claimed in the first week; \
         harm is caught at any time, and you may look whenever you like.",
        significant(longest, 3),
        in_words(at_double)
    )
}

fn in_words(share: f64) -> &'static str {
    let words = [(0.2, "a fifth"), (0.25, "a quarter"), (1.0 / 3.0, "a third"), (0.5, "half")];
    let nearest = words.iter().min_by(|a, b| (a.0 - share).abs().total_cmp(&(b.0 - share).abs()));
    nearest.map_or("a part", |(_, word)| word)
}

/// Information, in units of 1 / MDE^2, at which an effect of twice the MDE = tau is expected to cross the boundary:
/// `2 sqrt(r) = b(r)`.
fn at_double(alpha: Alpha) -> f64 {
    let (mut low, mut high) = (1e-6, 1e6);
    for _ in 0..200 {
        let r = f64::midpoint(low, high);
        if 2.0 * f64::sqrt(r) < boundary(r, alpha, Alternative::TwoSided) {
            low = r;
        } else {
            high = r;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_twice_the_effect_a_third_of_a_fixed_test_is_enough() {
        // STATS.md section 4 measures 0.35 at alpha 0.05 and power 0.8, where the fixed test needs 7.849.
        let share = at_double(Alpha::DEFAULT) / 7.849;
        assert!((0.30..0.36).contains(&share), "{share}");
        assert_eq!(in_words(share), "a third");
    }

    #[test]
    fn the_note_names_the_figures_of_the_page() {
        let text = note(1.671, 1.016, 0.32);
        assert!(
            text.contains("on average as long as") && text.contains("1.67 times") && text.contains("a third"),
            "{text}"
        );
        assert!(note(1.593, 0.82, 0.24).contains("0.82 times as long as"));
    }
}
