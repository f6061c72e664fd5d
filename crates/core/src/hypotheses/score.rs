//! The score of a candidate: impact, risk, speed and learning, each in 0..1, with weights from the file.

use crate::domain::{Hypothesis, OutcomeSpec, ScoreBreakdown};

/// Scores a candidate. Impact is the expected improvement as a share of the outcome's gap, capped at 1, times the author's
/// confidence, so that it has no unit and no sign problem for `decrease` targets.
#[must_use]
pub fn score(hypothesis: &Hypothesis, outcome: &OutcomeSpec) -> ScoreBreakdown {
    let gap = (outcome.target.to - outcome.target.from).abs();
    let share = if gap > 0.0 { hypothesis.expected_improvement / gap } else { 0.0 };
    let impact = share.clamp(0.0, 1.0) * hypothesis.confidence.clamp(0.0, 1.0);
    let risk = hypothesis.risk.multiplier();
    // 1 / ln(hours + 2) exceeds 1 below e - 2 hours; the cap keeps the term in 0..1.
    let speed = (1.0 / (hypothesis.effort_hours.max(0.0) + 2.0).ln()).min(1.0);
    let learning = if hypothesis.is_reversible { 1.0 } else { 0.7 };
    let weights = outcome.portfolio.weights;
    let total = impact * weights.impact + risk * weights.risk + speed * weights.speed + learning * weights.learning;
    ScoreBreakdown { impact, risk, speed, learning, total, dropped_because: None }
}

#[cfg(test)]
mod tests {
    use crate::hypotheses::check::tests::{hypothesis, outcome};

    use super::score;

    #[test]
    fn a_term_never_leaves_zero_to_one_at_the_boundaries_of_effort() {
        for hours in [0.0, 0.7, 8.0, 1e12] {
            let mut candidate = hypothesis();
            candidate.effort_hours = hours;
            let got = score(&candidate, &outcome());
            assert!((0.0..=1.0).contains(&got.speed), "{hours} h gives {}", got.speed);
        }
    }

    #[test]
    fn the_unit_of_the_metric_does_not_change_the_score() {
        let (mut small, mut big) = (outcome(), outcome());
        (small.target.from, small.target.to) = (0.30, 0.40);
        (big.target.from, big.target.to) = (300.0, 400.0);
        let (mut a, mut b) = (hypothesis(), hypothesis());
        (a.expected_improvement, b.expected_improvement) = (0.02, 20.0);
        assert!((score(&a, &small).total - score(&b, &big).total).abs() < 1e-9);
    }
}
