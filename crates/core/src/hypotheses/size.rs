//! Are the amounts of a candidate in the signal's units? An effect of 5 on a share of 0.32 means 5 points, and is 0.05.

use super::Problem;
use crate::domain::{Baseline, Hypothesis, OutcomeSpec};
use crate::present::number;

/// An effect of more than so many gaps of the outcome, that also moves the level by half, is asked back.
const MOST_GAPS: f64 = 5.0;
/// So is one below this share of the level.
const LEAST_OF_LEVEL: f64 = 1e-4;

/// The amounts that cannot be meant, each with what probably is. `baseline`: where it was measured.
#[must_use]
pub fn check_sizes(hypothesis: &Hypothesis, outcome: &OutcomeSpec, baseline: Option<&Baseline>) -> Vec<Problem> {
    let level = baseline.map_or(outcome.target.from, |baseline| baseline.value);
    let measurement = &hypothesis.measurement;
    let amounts = [
        ("expected_improvement", hypothesis.expected_improvement),
        ("measurement.minimum_detectable_effect", measurement.minimum_detectable_effect),
        ("measurement.success_threshold", measurement.success_threshold),
    ];
    let sizes = Sizes { outcome, baseline, level };
    let problem = |(field, size): (&str, f64)| {
        let message = sizes.problem(size)?;
        Some(Problem { field: field.to_owned(), message })
    };
    amounts.into_iter().filter(|(_, size)| *size > 0.0).filter_map(problem).collect()
}

/// What sizes are possible at the level where the signal stands.
struct Sizes<'a> {
    outcome: &'a OutcomeSpec,
    baseline: Option<&'a Baseline>,
    level: f64,
}

impl Sizes<'_> {
    fn problem(&self, size: f64) -> Option<String> {
        let (level, unit) = (self.level, "all amounts are absolute, in the signal's units");
        let target = &self.outcome.target;
        if self.is_share() {
            let room = if target.direction.sign() > 0.0 { 1.0 - level } else { level };
            let points = number(size / 100.0);
            return (size > room).then(|| {
                format!(
                    "is {}, but the signal is a share that stands at {} and can move by at most {}: {unit}, so {} points are {points}",
                    number(size),
                    number(level),
                    number(room),
                    number(size)
                )
            });
        }
        let gap = (target.to - target.from).abs();
        if size > MOST_GAPS * gap && size > 0.5 * level.abs() {
            return Some(format!(
                "is {}, but the signal stands at {} and the whole outcome asks for a change of {}: {unit}; {} % of the level are {}",
                number(size),
                number(level),
                number(gap),
                number(size),
                number(size / 100.0 * level.abs())
            ));
        }
        (size < LEAST_OF_LEVEL * level.abs()).then(|| {
            format!(
                "is {}, less than a ten-thousandth of the level of {}: {unit}; {} % of the level are {}",
                number(size),
                number(level),
                number(100.0 * size),
                number(size * level.abs())
            )
        })
    }

    /// Whether the signal is a share of units: by its definition, or by what the source counted.
    fn is_share(&self) -> bool {
        self.outcome.signal.is_share() || self.baseline.is_some_and(Baseline::is_share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypotheses::check::tests::{hypothesis, outcome};

    fn standing(level: f64, to: f64, variance: Option<f64>) -> (OutcomeSpec, Baseline) {
        let mut spec = outcome();
        (spec.target.from, spec.target.to) = (level, to);
        let captured_at = jiff::Timestamp::UNIX_EPOCH;
        (spec, Baseline { value: level, n: Some(4200), variance, daily_units: Some(600.0), captured_at })
    }

    fn found((outcome, baseline): &(OutcomeSpec, Baseline), size: f64) -> Vec<String> {
        let mut hypothesis = hypothesis();
        hypothesis.expected_improvement = size;
        hypothesis.measurement.minimum_detectable_effect = size;
        hypothesis.measurement.success_threshold = 0.0;
        check_sizes(&hypothesis, outcome, Some(baseline)).into_iter().map(|problem| problem.message).collect()
    }

    #[test]
    fn points_of_a_share_are_asked_back_with_the_amount_that_is_meant() {
        let share = standing(0.32, 0.38, Some(0.32 * 0.68));
        let said = found(&share, 5.0);
        assert_eq!(said.len(), 2);
        assert!(said[0].contains("5 points are 0.05") && said[0].contains("at most 0.68"), "{said:?}");
        assert_eq!(found(&share, 0.05), Vec::<String>::new());
    }

    #[test]
    fn percent_of_an_amount_is_asked_back_and_a_large_effect_that_the_outcome_asks_for_is_not() {
        let revenue = standing(3749.0, 3900.0, Some(90_000.0));
        let said = found(&revenue, 0.02);
        assert!(said[0].contains("2 % of the level are 74.98"), "{said:?}");
        assert_eq!(found(&revenue, 75.0), Vec::<String>::new());
        // A tenth of a second on half a second, where the outcome asks for a whole one.
        assert_eq!(found(&standing(0.5, 1.5, Some(4.0)), 0.9), Vec::<String>::new());
        assert!(!found(&standing(0.5, 0.55, Some(4.0)), 5.0).is_empty());
    }
}
