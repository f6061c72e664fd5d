//! What people are shown is what decides: the interval, its levels, a p-value for each side, and a run whose effect changed.

use outcome_stats::{
    Alpha, ArmSums, DataHealth, Direction, Evaluated, Evaluation, HealthCode, Phase, Recommendation, RunningState,
    Scale, Scope, ShownInterval, SidedP, TestPlan, evaluate,
};

const DAY: i64 = 86_400;

fn rate(n: u64, successes: u64) -> ArmSums {
    ArmSums::Proportion { n, successes }
}

fn phase(number: u32, control: ArmSums, treatment: ArmSums) -> Phase {
    Phase { number, control_weight: 1.0, treatment_weight: 1.0, control, treatment }
}

fn plan() -> TestPlan {
    TestPlan { mde_abs: Some(0.01), ..TestPlan::default() }
}

fn at(as_of: i64, plan: &TestPlan, phases: &[Phase], scope: Scope, previous: Option<&RunningState>) -> Evaluated {
    let (elapsed_days, health) = (as_of as f64 / DAY as f64, DataHealth::default());
    evaluate(&Evaluation { cohorts: None, plan, phases, elapsed_days, as_of, guardrails: &[], health, scope }, previous)
}

fn first(plan: &TestPlan, phases: &[Phase]) -> Evaluated {
    at(3 * DAY, plan, phases, Scope::default(), None)
}

fn shown(plan: &TestPlan, result: &Evaluated) -> ShownInterval {
    ShownInterval::of(result, plan.direction, Some(plan.alpha.get())).unwrap()
}

#[test]
fn the_ends_are_those_that_decide_and_each_has_its_level() {
    let arms = [phase(0, rate(20_000, 1000), rate(20_000, 1030))];
    let alpha = Alpha::try_new(0.015).unwrap();
    for direction in [Direction::Increase, Direction::Decrease] {
        let plan = TestPlan { direction, alpha, ..plan() };
        let got = first(&plan, &arms);
        let found = shown(&plan, &got);
        let ShownInterval::Decision { lower, upper, lower_level, upper_level, together } = found else {
            panic!("{found:?}")
        };
        let (ci, harm) = (got.ci.unwrap(), got.harm.unwrap().bound.unwrap());
        match direction {
            Direction::Increase => assert_eq!((lower, upper), (ci.lower, Some(harm))),
            Direction::Decrease => assert_eq!((lower, upper), (Some(-harm), ci.upper)),
        }
        let (ship, harm) = (1.0 - 0.015, 1.0 - 0.025);
        let want = if direction == Direction::Increase { (ship, harm) } else { (harm, ship) };
        assert_eq!((lower_level, upper_level), want);
        assert!((together - 0.96).abs() < 1e-12);
        let levels = match direction {
            Direction::Increase => "98.5 % at the lower end, 97.5 % at the upper end, 96 % together",
            Direction::Decrease => "97.5 % at the lower end, 98.5 % at the upper end, 96 % together",
        };
        assert_eq!(found.levels(), levels);
        assert!(got.advice.reason.contains(&found.in_words(&Scale::share())), "{}", got.advice.reason);
    }
    let same = TestPlan { alpha: Alpha::try_new(0.025).unwrap(), ..plan() };
    assert_eq!(shown(&same, &first(&same, &arms)).levels(), "97.5 % each side, 95 % together");
}

#[test]
fn ends_that_rest_on_different_units_are_no_interval() {
    let phases = [phase(0, rate(40_000, 2000), rate(40_000, 2600)), phase(1, rate(4000, 200), rate(4000, 60))];
    let scope = Scope { safety_from: 1, ..Scope::default() };
    let got = at(20 * DAY, &plan(), &phases, scope, None);
    let found = shown(&plan(), &got);
    let ShownInterval::Apart { at_least, at_most, n_at_least, n_at_most, .. } = found else { panic!("{found:?}") };
    assert!(at_least > Some(0.0) && at_most < Some(0.0));
    assert_eq!((n_at_least, n_at_most), (88_000, 8_000));
    assert_eq!(
        found.levels(),
        "95 % of 88,000 units and 97.5 % of 8,000 units; they rest on different units, so there is no interval"
    );
    assert!(found.ends(&Scale::share()).starts_with("at least +"), "{}", found.ends(&Scale::share()));
}

#[test]
fn ends_that_contradict_each_other_are_said_and_never_shown_turned_around() {
    // The safety test looks once an hour, so its bound can be older than the interval of a poll in between.
    let before = [phase(0, rate(20_000, 1000), rate(20_000, 500))];
    let corrected = [phase(0, rate(20_000, 1000), rate(20_000, 1500))];
    let early = at(14 * DAY, &plan(), &before, Scope::default(), None);
    let got = at(14 * DAY + 60, &plan(), &corrected, Scope::default(), Some(&early.running));
    assert_eq!(got.decision_ci, None);
    let found = shown(&plan(), &got);
    let ShownInterval::Apart { at_least, at_most, .. } = found else { panic!("{found:?}") };
    assert!(at_least > at_most, "{found:?}");
    assert!(found.levels().ends_with("they contradict each other, so there is no interval"), "{}", found.levels());
}

#[test]
fn a_result_without_a_safety_test_shows_what_it_has_by_its_name() {
    let mut old = first(&plan(), &[phase(0, rate(20_000, 1000), rate(20_000, 1030))]).numbers;
    (old.harm, old.decision_ci) = (None, None);
    let of = |alpha| ShownInterval::of(&old, Direction::Increase, alpha).unwrap();
    assert_eq!(
        (of(Some(0.05)).label(), of(Some(0.05)).levels().as_str()),
        ("Confidence sequence", "95 % confidence sequence")
    );
    assert_eq!(of(None).levels(), "confidence sequence");
    assert_eq!(of(None).ends(&Scale::share()), Scale::share().interval(old.ci.unwrap().lower, old.ci.unwrap().upper));
    old.ci = None;
    assert_eq!(ShownInterval::of(&old, Direction::Increase, Some(0.05)), None);
}

#[test]
fn p_of_a_side_is_its_alpha_exactly_where_the_bound_is_its_threshold() {
    let arms = [phase(0, rate(20_000, 1000), rate(20_000, 1300))];
    let got = first(&plan(), &arms);
    let lower = got.ci.unwrap().lower.unwrap();
    let better = |threshold| SidedP::of(&got, Direction::Increase, threshold, None).unwrap().better;
    assert!(better(lower - 1e-6) < 0.05 && better(lower + 1e-6) > 0.05);
    assert_eq!(better(1.0), 1.0, "an effect below the threshold says nothing for it");
    let bound = got.harm.unwrap().bound.unwrap();
    let worse = |kill_threshold| {
        let plan = TestPlan { kill_threshold, ..plan() };
        SidedP::of(&first(&plan, &arms), Direction::Increase, 0.0, None).unwrap().worse
    };
    assert!(worse(bound + 1e-6) < 0.025 && worse(bound - 1e-6) > 0.025);
}

/// A strong gain that turns into none, until the intervals contradict each other.
fn drifted(plan: &TestPlan) -> Evaluated {
    let up = at(8 * DAY, plan, &[phase(0, rate(20_000, 1000), rate(20_000, 1400))], Scope::default(), None);
    let flat = [phase(0, rate(400_000, 20_000), rate(400_000, 20_000))];
    let got = at(60 * DAY, plan, &flat, Scope::default(), Some(&up.running));
    assert!(got.health.iter().any(|finding| finding.code == HealthCode::EffectDrift), "{:?}", got.health);
    got
}

#[test]
fn a_run_whose_effect_changed_says_that_only_a_new_experiment_can_ship() {
    let got = drifted(&plan());
    assert_eq!(got.advice.recommendation, Recommendation::HoldDataQuality);
    assert_eq!(
        got.advice.reason,
        "No claim: the confidence sequences of this run contradict each other: the effect is changing. To ship, start a new \
         experiment: here, units first exposed after the change cannot be told from others."
    );
    assert_eq!(
        got.advice.next.as_deref(),
        Some("A new experiment. This one is still watched for harm, and ends with its plan.")
    );
    let at_end = drifted(&TestPlan { max_days: Some(60), ..plan() });
    assert_eq!(at_end.advice.recommendation, Recommendation::IterateInconclusive);
    assert_eq!(
        at_end.advice.reason,
        "The plan reached its maximum number of days, and the effect changed over time, so no one number describes it. To ship, \
         start a new experiment: here, units first exposed after the change cannot be told from others."
    );
}

#[test]
fn an_effect_that_changed_ships_at_no_later_poll_however_good_it_becomes() {
    let mut state = drifted(&plan()).running;
    for day in 61..90 {
        let n = 400_000 + 20_000 * (day as u64 - 60);
        let arms = [phase(0, rate(n, n / 20), rate(n, n / 10))];
        let got = at(day * DAY, &plan(), &arms, Scope::default(), Some(&state));
        assert_eq!(got.advice.recommendation, Recommendation::HoldDataQuality, "day {day}");
        state = got.running;
    }
}
