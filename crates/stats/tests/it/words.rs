//! What a reader is told: what would settle a test, and what a comparison without a control says.

use outcome_stats::{
    Alpha, Alternative, ArmSums, Blocks, Comparison, DataHealth, Direction, Evaluated, Evaluation, Finding, Guardrail,
    GuardrailReading, HarmDirection, HealthCode, Limit, Margin, OutlookInput, Phase, Recommendation, Scale, Scope,
    SeriesRules, SeriesVerdict, Severity, ShipTest, StartGate, Status, TestPlan, against_trend, boundary, evaluate,
    evaluate_before_after, futility_upper, outlook, pre_post, until_testable,
};

fn arms(control: (u64, u64), treatment: (u64, u64)) -> [Phase; 1] {
    let rate = |(n, successes)| ArmSums::Proportion { n, successes };
    let (control, treatment) = (rate(control), rate(treatment));
    [Phase { number: 1, control_weight: 1.0, treatment_weight: 1.0, control, treatment }]
}

fn plan() -> TestPlan {
    TestPlan { mde_abs: Some(0.01), ..TestPlan::default() }
}

fn gain() -> [Phase; 1] {
    arms((20_000, 1000), (20_000, 1300))
}

fn on_day(day: i64, plan: &TestPlan, phases: &[Phase], guardrails: &[Guardrail<'_>]) -> Evaluated {
    let (elapsed_days, as_of, health) = (day as f64, day * 86_400, DataHealth::default());
    evaluate(
        &Evaluation { cohorts: None, plan, phases, elapsed_days, as_of, guardrails, health, scope: Scope::default() },
        None,
    )
}

fn next(day: i64, plan: &TestPlan, phases: &[Phase]) -> Option<String> {
    on_day(day, plan, phases, &[]).advice.next
}

#[test]
fn a_success_that_waits_says_for_what() {
    let slow = TestPlan { min_runtime_days: 10, ..plan() };
    assert_eq!(next(3, &slow, &gain()).unwrap(), "11 more days, so that the data cover whole weeks.");
    let large = TestPlan { min_sample_size: 50_000, ..plan() };
    assert_eq!(next(14, &large, &gain()).unwrap(), "10,000 more units, to reach the plan's minimum sample.");
    assert_eq!(next(3, &large, &gain()).unwrap(), "4 more days, so that the data cover whole weeks.");
    let phases = arms((2000, 40), (2000, 41));
    let (harm_direction, margin) = (HarmDirection::Increase, Margin::Absolute(0.001));
    let reading = GuardrailReading::RelativeToControl(Comparison::new(&phases, harm_direction, margin));
    let unproven = [Guardrail { name: "errors", must_prove: true, reading }];
    let got = on_day(14, &plan(), &gain(), &unproven).advice.next.unwrap();
    assert_eq!(got, "Proof that every required guardrail is met.");
}

#[test]
fn an_open_test_says_what_would_settle_it() {
    // Worked out by a program of its own: 13.48 times the units for a gain, 22.64 for futility.
    let vague = arms((2000, 100), (2000, 112));
    let got = next(4, &plan(), &vague).unwrap();
    let want = "If nothing changes, about 50,000 more units (about 50 days at the current rate) would show that the treatment \
                is better.";
    assert_eq!(got, want);
    let ends = TestPlan { success_threshold: 0.5, max_days: Some(28), ..plan() };
    let want = "If nothing changes, about 87,000 more units (about 87 days at the current rate) would exclude an improvement \
                of 1 point. The plan ends after 28 days.";
    assert_eq!(next(4, &ends, &vague).unwrap(), want);
    let want = "If nothing changes, about 50,000 more units would show that the treatment is better.";
    assert_eq!(next(0, &plan(), &vague).unwrap(), want, "no rate on the first day");
    let backwards = TestPlan { direction: Direction::Decrease, mde_abs: None, tau: plan().tau, ..plan() };
    assert!(next(4, &backwards, &vague).unwrap().ends_with("would show that the treatment is worse."));
    let none = arms((2000, 100), (2000, 100));
    let unforeseen = TestPlan { mde_abs: None, ..plan() };
    let want = "More units; at the current effect, the number cannot be estimated.";
    assert_eq!(next(4, &unforeseen, &none).unwrap(), want);
    let few = arms((200, 5), (200, 5));
    let want =
        "If nothing changes, about 1,600 more units (about 16 days at the current rate) would let the test begin.";
    assert_eq!(next(4, &plan(), &few).unwrap(), want);
}

#[test]
fn what_is_settled_needs_nothing_more_and_what_is_held_somebody() {
    assert_eq!(next(14, &plan(), &gain()), None);
    assert_eq!(next(1, &plan(), &arms((20_000, 1300), (20_000, 1000))), None);
    let wrong = arms((20, 21), (20, 1));
    assert!(next(1, &plan(), &wrong).unwrap().starts_with("A poll with data that can be trusted"));
    let skewed = arms((50_000, 2500), (52_500, 2600));
    assert!(next(1, &plan(), &skewed).unwrap().starts_with("Find out why units do not arrive"));
}

#[test]
fn the_outlook_agrees_with_the_poll_it_foretells() {
    let input = OutlookInput {
        n_units: 10_000,
        effect: 0.001,
        standard_error: 0.005,
        r: 2.5,
        alpha: Alpha::DEFAULT,
        ship: ShipTest::TwoSided,
        direction: Direction::Increase,
        success_threshold: 0.0,
        kill_threshold: -0.5,
        mde: Some(0.01),
    };
    let upper = |f: f64| 0.001 + 0.005 / f.sqrt() * boundary(2.5 * f, Alpha::FUTILITY, Alternative::Greater);
    assert!((futility_upper(&input) - upper(1.0)).abs() < 1e-15);
    let found = outlook(&input).unwrap();
    assert_eq!(found.finding, Finding::SmallerThanMde);
    let then = (10_000 + found.more_units) as f64 / 10_000.0;
    assert!(upper(then) < 0.01 && upper(then - 0.001) > 0.01);
    let decrease = OutlookInput { direction: Direction::Decrease, effect: -0.001, ..input };
    assert_eq!(outlook(&decrease), outlook(&input));
}

#[test]
fn a_hundred_times_the_units_is_the_end_of_the_outlook() {
    let of =
        |have| until_testable(Status::InsufficientSample { gate: StartGate::EffectiveUnits, have, need: 25.0 }, 100);
    assert_eq!(of(0.25).unwrap().more_units, 9900);
    assert_eq!(of(0.2), None);
    assert_eq!(of(0.0), None);
}

fn without_control(pre: &[f64], post: &[f64], guardrails: &[Guardrail<'_>]) -> Evaluated {
    by_rules(SeriesRules::Adjusted, pre, post, guardrails)
}

fn by_rules(rules: SeriesRules, pre: &[f64], post: &[f64], guardrails: &[Guardrail<'_>]) -> Evaluated {
    let (plan, health) = (plan(), DataHealth::default());
    let input = Evaluation {
        cohorts: None,
        plan: &plan,
        phases: &[],
        elapsed_days: 42.0,
        as_of: 0,
        guardrails,
        health,
        scope: Scope::default(),
    };
    evaluate_before_after(&input, &Blocks { pre, post, target: 11.0, rules, scale: &Scale::default() }, None)
}

const FLAT: [f64; 8] = [10.3, 9.8, 10.1, 9.7, 10.2, 9.9, 10.0, 10.1];

/// Half a year without a trend.
fn half_a_year() -> Vec<f64> {
    FLAT.iter().cycle().take(26).copied().collect()
}

#[test]
fn a_series_that_moved_is_told_as_an_observation() {
    let (pre, post) = (half_a_year(), [20.0, 20.3, 19.9, 20.1]);
    let got = without_control(&pre, &post, &[]);
    assert!(got.is_significant && got.advice.next.is_none() && got.health.is_empty());
    let test = against_trend(&pre, &post, Alpha::DEFAULT);
    assert_eq!((got.status, got.effect, got.standard_error), (Status::Ok, test.difference, test.se));
    assert_eq!((got.ci, got.ln_e), (test.ci, test.ln_e));
    assert_eq!((got.ln_p_running, got.p_running), (-test.ln_e.unwrap(), (-test.ln_e.unwrap()).exp()));
    let level = |run: &[f64]| run.iter().sum::<f64>() / run.len() as f64;
    let series = got.series.unwrap();
    assert!((series.level_before.unwrap() - level(&pre)).abs() < 1e-12);
    assert!((series.level_after.unwrap() - 20.075).abs() < 1e-12);
    assert!((series.level_expected.unwrap() - (20.075 - got.effect.unwrap())).abs() < 1e-12);
    assert_eq!((got.control_level, got.treatment_level), (None, None), "weeks are no arms");
    let reason = &got.advice.reason;
    assert!(
        reason.starts_with(
            "Observational: by week, before 10.02 (26 weeks), after 20.07 (4 weeks); the level moved by +10."
        ),
        "{reason}"
    );
    assert!(reason.contains(" against the trend before ["), "{reason}");
    assert!(reason.contains("], and did not move at any of 21 earlier dates."), "{reason}");
    assert!(reason.ends_with("would look the same; only a holdout group can tell."), "{reason}");
    assert_ne!(got.advice.recommendation, Recommendation::Ship);
}

#[test]
fn a_series_that_moves_without_a_reason_proves_nothing() {
    let level = |n: usize, level: f64| (0..n).map(move |i| level + [0.0, 0.1, -0.1][i % 3]);
    let steps: Vec<f64> = level(30, 10.0).chain(level(30, 20.0)).collect();
    let post: Vec<f64> = level(60, 300.0).collect();
    assert_eq!(pre_post(&steps, &post, Alpha::DEFAULT).verdict(), SeriesVerdict::Moved, "by itself it would");
    let got = by_rules(SeriesRules::Means, &steps, &post, &[]);
    assert!(!got.is_significant);
    let reason = &got.advice.reason;
    assert!(reason.contains("; the level also moved at ") && reason.contains("proves nothing"), "{reason}");
}

#[test]
fn a_short_history_gives_a_placebo_without_power_and_no_claim() {
    let got = without_control(&FLAT, &[20.0, 20.3, 19.9, 20.1], &[]);
    assert!(!got.is_significant && got.effect.is_some());
    let codes: Vec<_> = got.health.iter().map(|finding| (finding.code, finding.severity)).collect();
    assert_eq!(codes, [(HealthCode::PlaceboWithoutPower, Severity::Warn)]);
    let reason = &got.advice.reason;
    assert!(
        reason
            .contains("; the placebo has no power: 3 earlier dates could be tried and 20 are needed, so the change of"),
        "{reason}"
    );
    // A plan of an earlier version keeps its rules.
    let earlier = by_rules(SeriesRules::Means, &FLAT, &[20.0, 20.3, 19.9, 20.1], &[]);
    assert!(earlier.is_significant && earlier.health.is_empty());
    assert!(earlier.advice.reason.contains("the level moved by +10.06 ["), "{}", earlier.advice.reason);
}

#[test]
fn weeks_that_do_not_vary_are_told_apart_from_too_little_data() {
    let got = without_control(&[6.0; 6], &[4.0; 4], &[]);
    assert_eq!((got.status, got.effect, got.ci), (Status::ZeroVariance, Some(-2.0), None));
    let reason = &got.advice.reason;
    let want = "Observational: by week, before 6 (6 weeks), after 4 (4 weeks); the weeks do not vary, so a change cannot be \
                compared with chance.";
    assert!(reason.starts_with(want), "{reason}");
}

#[test]
fn a_series_that_is_quiet_or_short_says_so() {
    let quiet = without_control(&half_a_year(), &[10.0, 10.2, 9.9, 10.1], &[]);
    assert!(!quiet.is_significant && quiet.health.is_empty());
    assert!(quiet.advice.reason.contains("cannot be distinguished from chance yet"), "{}", quiet.advice.reason);
    assert!(!quiet.advice.reason.contains("unbounded"), "{}", quiet.advice.reason);
    let short = without_control(&FLAT[..3], &[], &[]);
    assert!(short.advice.reason.starts_with(
        "Observational: too little data to compare: 3 weeks before (4 are needed) and 0 after (2 are needed)."
    ));
    let levels = short.series.map(|series| (series.level_before.is_some(), series.level_after));
    assert_eq!(levels, Some((true, None)));
    // A guardrail counts as always.
    let limit = Limit::Max(0.01);
    let reading = GuardrailReading::RateLimit { successes: 500, n: 10_000, of_step: None, limit };
    let beyond = [Guardrail { name: "errors", must_prove: false, reading }];
    let got = without_control(&FLAT, &[20.0, 20.3, 19.9, 20.1], &beyond);
    assert_eq!(got.advice.recommendation, Recommendation::KillGuardrail);
    assert!(got.advice.reason.starts_with("Guardrail `errors`"), "{}", got.advice.reason);
}
