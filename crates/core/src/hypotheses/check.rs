//! Is a candidate complete, possible and inside of its scope? Every problem names its field.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::{Design, Hypothesis, OutcomeSpec};
use crate::scope::{PathVerdict, ScopeRules};

/// What is wrong with a field of a candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Problem {
    /// The field.
    pub field: String,
    /// What is wrong, and what is valid.
    pub message: String,
}

/// Longest text of a candidate, in characters.
const MAX_TEXT: usize = 4000;

/// Every problem of a candidate; empty when it is complete.
#[must_use]
pub fn check_hypothesis(hypothesis: &Hypothesis, outcome: &OutcomeSpec, rules: &ScopeRules) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |field: &str, message: String| problems.push(Problem { field: field.to_owned(), message });
    for (field, text) in [
        ("title", &hypothesis.title),
        ("statement", &hypothesis.statement),
        ("mechanism", &hypothesis.mechanism),
        ("intervention_description", &hypothesis.intervention_description),
        ("flag_key", &hypothesis.flag_key),
    ] {
        if text.trim().is_empty() {
            add(field, "is empty: write one sentence".to_owned());
        }
        if text.chars().count() > MAX_TEXT {
            add(field, format!("is longer than {MAX_TEXT} characters"));
        }
        if text.contains('\0') {
            add(field, "contains a NUL character".to_owned());
        }
    }
    if hypothesis.title.chars().count() > 120 {
        add("title", "is longer than 120 characters".to_owned());
    }
    if !is_flag_key(&hypothesis.flag_key) {
        add(
            "flag_key",
            "accepts letters, digits, `.`, `_` and `-`, the first a letter or digit, at most 100 characters: for example `checkout-short-form`"
                .to_owned(),
        );
    }
    let positive = [
        ("expected_improvement", hypothesis.expected_improvement),
        ("measurement.minimum_detectable_effect", hypothesis.measurement.minimum_detectable_effect),
    ];
    for (field, value) in positive {
        if !(value.is_finite() && value > 0.0) {
            add(field, format!("is {value}: give a number above 0, in the signal's units; positive means better"));
        }
    }
    if !(0.0..=1.0).contains(&hypothesis.confidence) {
        add("confidence", format!("is {}: give a number from 0 to 1", hypothesis.confidence));
    }
    if !(hypothesis.effort_hours.is_finite() && (0.0..=10_000.0).contains(&hypothesis.effort_hours)) {
        add("effort_hours", "must be a number of hours from 0 to 10,000".to_owned());
    }
    let plan = &hypothesis.measurement;
    if !(1..=365).contains(&plan.duration_days) {
        add("measurement.duration_days", format!("is {}: give 1 to 365", plan.duration_days));
    } else if f64::from(plan.duration_days) > outcome.horizon.as_days() {
        add(
            "measurement.duration_days",
            format!("is {} days, longer than the outcome's horizon of {}", plan.duration_days, outcome.horizon),
        );
    }
    if plan.min_sample_size < 2 {
        add("measurement.min_sample_size", "must be at least 2 units".to_owned());
    }
    for (field, value) in
        [("measurement.success_threshold", plan.success_threshold), ("measurement.kill_threshold", plan.kill_threshold)]
    {
        if !value.is_finite() {
            add(field, "must be a number in the signal's units; positive means better".to_owned());
        }
    }
    if plan.success_threshold < plan.kill_threshold {
        add(
            "measurement.success_threshold",
            format!(
                "is {}, below kill_threshold {}: for both, positive means better",
                plan.success_threshold, plan.kill_threshold
            ),
        );
    }
    check_rollout(hypothesis, outcome, &mut add);
    if hypothesis.touched_paths.is_empty() {
        add("touched_paths", "is empty: list the paths or directories that will be changed".to_owned());
    }
    if hypothesis.touched_paths.len() > 200 || hypothesis.tags.len() > 20 {
        add("touched_paths", "accepts at most 200 paths, and `tags` at most 20".to_owned());
    }
    for path in hypothesis.touched_paths.iter().take(200) {
        if path.is_empty() || path.starts_with('/') || path.contains('\0') || path.split('/').any(|part| part == "..") {
            add("touched_paths", format!("`{}` is not a path inside the repository", shown(path)));
        } else if let Some(rule) = forbidden_rule(rules, path) {
            add("touched_paths", format!("`{}` is forbidden by the rule `{rule}` of the outcome's scope", shown(path)));
        }
    }
    problems
}

fn check_rollout(hypothesis: &Hypothesis, outcome: &OutcomeSpec, add: &mut impl FnMut(&str, String)) {
    let rollout = &hypothesis.rollout;
    let limit = if outcome.design == Design::Randomised { 99 } else { 100 };
    if !(1..=limit).contains(&rollout.initial_pct) {
        add("rollout.initial_pct", format!("is {}: give 1 to {limit} percent", rollout.initial_pct));
    }
    let mut last = rollout.initial_pct;
    for step in &rollout.steps {
        // A step of 100 % would leave no control to compare with: shipping does that, at its own gate.
        if *step <= last || *step > 99 {
            add("rollout.steps", "must increase from initial_pct and stay below 100 (shipping sets 100)".to_owned());
            break;
        }
        last = *step;
    }
    if rollout.steps.len() > 10 {
        add("rollout.steps", "accepts at most 10 steps".to_owned());
    }
}

fn forbidden_rule(rules: &ScopeRules, declared: &str) -> Option<String> {
    match rules.check_declared(declared) {
        PathVerdict::Forbidden { rule } => Some(rule),
        PathVerdict::Allowed | PathVerdict::Outside => None,
    }
}

/// Whether a flag service would take it as a key: 1 to 100 letters, digits, dots, underscores and dashes, the
/// first a letter or digit.
#[must_use]
pub fn is_flag_key(key: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric();
    (1..=100).contains(&key.len())
        && key.bytes().all(|byte| is_plain(byte) || matches!(byte, b'.' | b'_' | b'-'))
        && key.bytes().next().is_some_and(is_plain)
}

fn shown(path: &str) -> String {
    path.chars().filter(|c| !c.is_control()).take(120).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::*;

    pub(crate) fn outcome() -> OutcomeSpec {
        OutcomeSpec {
            slug: "retention".parse().unwrap(),
            title: "Retention".to_owned(),
            description: None,
            owner: None,
            team: vec![],
            signal: SignalSpec {
                name: "retention_7".to_owned(),
                source: "shop".to_owned(),
                metric: "retention_7".to_owned(),
                method: MetricMethod::Custom,
                funnel_steps: vec![],
                segment: BTreeMap::new(),
                aggregation: Aggregation::Rolling7d,
                unit: None,
                poll_interval: Period::from_hours(6),
                contract: None,
                query: SignalQuery::default(),
            },
            secondary_signals: vec![],
            target: Target {
                direction: Direction::Increase,
                from: 0.3,
                to: 0.4,
                confidence: 0.95,
                baseline_tolerance: 0.2,
                dwell: Period::from_days(7),
            },
            constraints: vec![],
            horizon: Period::from_days(42),
            minimum_detectable_effect: None,
            design: Design::Randomised,
            randomisation_unit: "user".to_owned(),
            exposure: None,
            on_conclusion: OnConclusion::TurnOff,
            ship_test: None,
            staleness: Period::from_hours(24),
            portfolio: Portfolio {
                max_concurrent: 3,
                candidates: 3,
                planned_experiments: None,
                weights: ScoreWeights::default(),
            },
            gates: BTreeMap::new(),
            scope: ScopeSpec::default(),
            llm_provider: None,
        }
    }

    pub(crate) fn hypothesis() -> Hypothesis {
        Hypothesis {
            title: "Shorter form".to_owned(),
            statement: "A shorter form lets more people finish".to_owned(),
            mechanism: "Fewer fields, fewer reasons to leave".to_owned(),
            expected_improvement: 0.02,
            confidence: 0.5,
            intervention: InterventionKind::CodeChange,
            intervention_description: "Drop two fields".to_owned(),
            touched_paths: vec!["frontend/checkout/".to_owned()],
            flag_key: "short-form".to_owned(),
            measurement: MeasurementPlan {
                duration_days: 28,
                min_sample_size: 1000,
                success_threshold: 0.0,
                kill_threshold: 0.0,
                minimum_detectable_effect: 0.02,
            },
            rollout: RolloutPlan { initial_pct: 50, steps: vec![] },
            effort_hours: 4.0,
            risk: Risk::Low,
            is_reversible: true,
            tags: vec!["form".to_owned()],
        }
    }

    #[test]
    fn a_complete_candidate_has_no_problem() {
        let rules = ScopeRules::parse(&[], &[]).unwrap();
        assert_eq!(check_hypothesis(&hypothesis(), &outcome(), &rules), vec![]);
    }

    #[test]
    fn a_forbidden_path_is_named_with_its_rule() {
        let rules = ScopeRules::parse(&[], &["services/payments/".to_owned()]).unwrap();
        let mut candidate = hypothesis();
        candidate.touched_paths = vec!["services/payments/api.rs".to_owned()];
        let problems = check_hypothesis(&candidate, &outcome(), &rules);
        assert!(problems.iter().any(|p| p.message.contains("services/payments/")), "{problems:?}");
    }
}
