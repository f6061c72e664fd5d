//! The test behind `ship`: its claim looks, its reserve, and plans of before.

use outcome_stats::{
    Alpha, ArmSums, ClaimLook, Cohorts, DataHealth, Evaluated, Evaluation, Information, Phase, Recommendation,
    RunningState, Scope, ShipBasis, ShipRecord, ShipTest, SidedP, TestPlan, evaluate, known_end_constant,
};

const HOUR: i64 = 3600;
const MDE: f64 = 0.01;

fn known_end(alpha: f64, days: u32) -> TestPlan {
    let alpha = Alpha::try_new(alpha).unwrap();
    let constant = known_end_constant(alpha, 0.8).unwrap();
    let ship = ShipTest::KnownEnd { max_information: Information::try_new(constant.c / (MDE * MDE)).unwrap(), days };
    TestPlan { alpha, mde_abs: Some(MDE), max_days: Some(days), ship, ..TestPlan::default() }
}

/// `n` units an arm, 5 % of the control's convert and `lift` more of the treatment's.
fn arms(n: u64, lift: f64) -> [Phase; 1] {
    let successes = |rate: f64| (n as f64 * rate).round() as u64;
    let arm = |rate| ArmSums::Proportion { n, successes: successes(rate) };
    [Phase { number: 0, control_weight: 0.5, treatment_weight: 0.5, control: arm(0.05), treatment: arm(0.05 + lift) }]
}

/// What is read `hours` after the launch.
fn input<'a>(plan: &'a TestPlan, hours: i64, phases: &'a [Phase]) -> Evaluation<'a> {
    Evaluation {
        cohorts: None::<Cohorts<'_>>,
        plan,
        phases,
        elapsed_days: hours as f64 / 24.0,
        as_of: hours * HOUR,
        guardrails: &[],
        health: DataHealth::default(),
        scope: Scope::default(),
    }
}

/// A poll `hours` after the launch.
fn poll(plan: &TestPlan, hours: i64, phases: &[Phase], previous: Option<&RunningState>) -> Evaluated {
    evaluate(&input(plan, hours, phases), previous)
}

#[test]
fn only_the_first_poll_of_a_day_claims_and_only_after_the_first_week() {
    let plan = known_end(0.015, 28);
    let mut state: Option<RunningState> = None;
    let mut looks = Vec::new();
    for hours in (6..=10 * 24).step_by(6) {
        let found = poll(&plan, hours, &arms(20 * hours as u64, 0.004), state.as_ref());
        let (running, before) = (found.running.clone(), state.map_or(0, |state| state.looks.len()));
        if running.looks.len() > before {
            looks.push(hours);
        }
        // The same poll again changes nothing.
        let again = poll(&plan, hours, &arms(20 * hours as u64, 0.004), Some(&running));
        assert_eq!((&again.running, again.ship), (&running, found.ship), "{hours}");
        state = Some(running);
    }
    assert_eq!(looks, [7 * 24, 8 * 24, 9 * 24, 10 * 24]);
    let looks = state.unwrap().looks;
    assert!(looks.windows(2).all(|pair| pair[0].spent < pair[1].spent && pair[0].fraction < pair[1].fraction));
}

#[test]
fn a_clear_winner_ships_at_a_claim_look_and_keeps_its_recommendation_until_the_next() {
    let plan = known_end(0.015, 28);
    let at = |hours, n, state: Option<&RunningState>| poll(&plan, hours, &arms(n, 0.012), state);
    let early = at(6 * 24, 12_000, None);
    assert_eq!(early.advice.recommendation, Recommendation::Continue);
    let look = at(7 * 24, 14_000, Some(&early.running));
    assert_eq!(look.advice.recommendation, Recommendation::Ship, "{:?}", look.ship);
    let bound = look.ship.unwrap();
    assert_eq!((bound.basis, bound.as_of), (ShipBasis::Look, 7 * 24 * HOUR));
    assert_eq!(look.decision_ci.unwrap().lower, bound.lower);
    // Six hours later nothing is looked at: the bound is that of the look.
    let later = at(7 * 24 + 6, 14_500, Some(&look.running));
    assert_eq!((later.ship.unwrap().lower, later.running.looks.len()), (bound.lower, 1));
    assert_eq!(later.advice.recommendation, Recommendation::Ship);
}

/// Days of the looks that were made; days without one are put in between.
fn looked_on(state: &RunningState) -> Vec<u32> {
    state.looks.iter().filter(|look| look.bound.is_some()).map(|look| look.day).collect()
}

#[test]
fn data_that_cannot_be_trusted_make_no_look() {
    let plan = known_end(0.015, 28);
    let phases = arms(14_000, 0.012);
    let health = DataHealth { is_sampled: true, ..DataHealth::default() };
    let input = Evaluation { health, ..input(&plan, 8 * 24, &phases) };
    let found = evaluate(&input, None);
    assert!(found.running.looks.is_empty());
    assert_eq!(found.ship.unwrap().basis, ShipBasis::Reserve);
    assert_eq!(looked_on(&poll(&plan, 9 * 24, &arms(9_000, 0.012), Some(&found.running)).running), [9]);
}

#[test]
fn the_last_look_spends_the_rest_and_then_only_the_reserve_ships() {
    let plan = known_end(0.015, 14);
    let mut state: Option<RunningState> = None;
    for day in 7..=14 {
        state = Some(poll(&plan, 24 * day, &arms(500 * day as u64, 0.003), state.as_ref()).running);
    }
    let state = state.unwrap();
    let last = state.looks.last().unwrap();
    assert!(last.is_last && last.fraction < 1.0 && (last.spent - 0.9 * 0.015).abs() < 1e-12, "{last:?}");
    // The plan is at its end, and a human extends it: no look follows, whatever comes.
    let found = poll(&plan, 24 * 21, &arms(10_000, 0.005), Some(&state));
    assert_eq!(found.running.looks, state.looks);
    assert_eq!(found.advice.recommendation, Recommendation::IterateInconclusive);
    let found = poll(&plan, 24 * 28, &arms(60_000, 0.008), Some(&found.running));
    assert_eq!((found.ship.unwrap().basis, found.advice.recommendation), (ShipBasis::Reserve, Recommendation::Ship));
}

#[test]
fn the_planned_information_ends_the_plan_before_its_days() {
    let plan = known_end(0.015, 90);
    let mut state: Option<RunningState> = None;
    let found = (7..=20).map(|day| {
        let found = poll(&plan, 24 * day, &arms(700 * day as u64, 0.005), state.as_ref());
        state = Some(found.running.clone());
        found
    });
    let ended = found.into_iter().find(|found| found.running.looks.last().is_some_and(|look| look.is_last)).unwrap();
    assert!(ended.running.looks.last().unwrap().fraction >= 1.0);
    let advice = &ended.advice;
    assert!(
        matches!(advice.recommendation, Recommendation::IterateInconclusive | Recommendation::KillFutility),
        "{advice:?}"
    );
}

#[test]
fn a_plan_of_before_keeps_its_test() {
    let before = TestPlan { mde_abs: Some(MDE), ..TestPlan::default() };
    let stored: TestPlan = serde_json::from_str(r#"{ "mde_abs": 0.01 }"#).unwrap();
    assert_eq!(stored, before);
    let found = poll(&before, 8 * 24, &arms(20_000, 0.01), None);
    assert_eq!(found.ship.unwrap().lower, found.ci.unwrap().lower);
    assert!(found.running.looks.is_empty());
}

#[test]
fn one_sided_tests_need_fewer_units_than_the_two_sided_one() {
    let bound = |ship| {
        let plan = TestPlan { ship, ..known_end(0.015, 28) };
        poll(&plan, 14 * 24, &arms(20_000, 0.01), None).ship.unwrap().lower.unwrap()
    };
    let known = bound(known_end(0.015, 28).ship);
    let (cut, two_sided) = (bound(ShipTest::CutNormal), bound(ShipTest::TwoSided));
    assert!(known > cut && cut > two_sided, "{known} {cut} {two_sided}");
}

#[test]
fn a_p_value_agrees_with_the_bound_it_stands_beside() {
    let known = known_end(0.015, 28);
    for ship in [known.ship, ShipTest::CutNormal, ShipTest::TwoSided] {
        let plan = TestPlan { ship, ..known };
        let mut state: Option<RunningState> = None;
        for day in 7..=16 {
            let found = poll(&plan, 24 * day, &arms(1200 * day as u64, 0.006), state.as_ref());
            let lower = found.ship.unwrap().lower.unwrap();
            let record = ShipRecord::of(ship, &found.running);
            let p = |threshold| SidedP::of(&found, plan.direction, threshold, Some(&record)).unwrap().better;
            let width = 1e-5;
            assert!(p(lower - width) <= 0.015 && p(lower + width) > 0.015, "{ship:?} {day}: {}", p(lower));
            state = Some(found.running);
        }
    }
}

#[test]
fn a_restatement_forgets_the_looks_and_a_lower_metric_is_better_where_it_should_fall() {
    let plan = TestPlan { direction: outcome_stats::Direction::Decrease, ..known_end(0.015, 28) };
    let found = poll(&plan, 8 * 24, &arms(20_000, -0.012), None);
    assert_eq!(found.advice.recommendation, Recommendation::Ship, "{:?}", found.ship);
    let ci = found.decision_ci.unwrap();
    assert!(ci.upper.unwrap() < 0.0, "{ci:?}");
    // The source restates its past: the looks begin anew.
    let fewer = poll(&plan, 9 * 24, &arms(15_000, -0.012), Some(&found.running));
    // What was spent stays spent, and nothing is claimed on the data of before.
    assert_eq!((looked_on(&fewer.running), fewer.running.epoch), (vec![], 2));
    assert_eq!((fewer.running.looks.len(), fewer.ship.unwrap().basis), (found.running.looks.len(), ShipBasis::Reserve));
}

#[test]
fn a_day_without_a_look_counts_as_one_that_found_nothing() {
    let plan = known_end(0.015, 28);
    let at =
        |day: i64, state: Option<&RunningState>| poll(&plan, 24 * day, &arms(400 * day as u64, 0.004), state).running;
    let daily = (7..=20).fold(None, |state: Option<RunningState>, day| Some(at(day, state.as_ref()))).unwrap();
    // Nobody polls but on two days that suit.
    let chosen = at(20, Some(&at(12, None)));
    assert_eq!((looked_on(&chosen), looked_on(&daily).len()), (vec![12, 20], 14));
    let (chosen, daily) = (chosen.looks.last().unwrap(), daily.looks.last().unwrap());
    assert!((chosen.spent - daily.spent).abs() < 1e-12);
    // The boundary is that of daily looks, not of two.
    assert!((chosen.boundary - daily.boundary).abs() < 0.01, "{} {}", chosen.boundary, daily.boundary);
}

#[test]
fn information_that_stops_before_the_end_is_judged_with_all_of_the_error_there() {
    let plan = known_end(0.015, 21);
    let mut state: Option<RunningState> = None;
    for day in 7..=21 {
        // Nobody is enrolled after two weeks.
        state = Some(poll(&plan, 24 * day, &arms(400 * day.min(14) as u64, 0.006), state.as_ref()).running);
        let last = *state.as_ref().unwrap().looks.last().unwrap();
        assert_eq!((last.day, last.is_last), (day.min(14) as u32, day == 21), "{last:?}");
    }
    let looks = state.unwrap().looks;
    let last = looks.last().unwrap();
    assert!((last.spent - 0.9 * 0.015).abs() < 1e-12 && last.boundary < looks[looks.len() - 2].boundary, "{last:?}");
    // It is as if that look had been known to be the last.
    let ShipTest::KnownEnd { max_information, .. } = plan.ship else { unreachable!() };
    let ended = TestPlan { ship: ShipTest::KnownEnd { max_information, days: 14 }, ..plan };
    let mut state: Option<RunningState> = None;
    for day in 7..=14 {
        state = Some(poll(&ended, 24 * day, &arms(400 * day as u64, 0.006), state.as_ref()).running);
    }
    let known = *state.unwrap().looks.last().unwrap();
    assert!((known.bound.unwrap() - last.bound.unwrap()).abs() < 1e-12, "{known:?} {last:?}");
    assert_eq!(ClaimLook { bound: last.bound, ..known }, *last);
}

#[test]
fn a_poll_of_the_same_instant_is_no_second_look_whatever_day_it_is_called() {
    let plan = known_end(0.015, 28);
    let first = poll(&plan, 24 * 8, &arms(4000, 0.004), None).running;
    let phases = arms(6000, 0.004);
    let same = Evaluation { elapsed_days: 9.0, ..input(&plan, 24 * 8, &phases) };
    assert_eq!(evaluate(&same, Some(&first)).running.looks, first.looks);
}

#[test]
fn a_bound_does_not_stand_against_what_the_units_say_today() {
    let plan = TestPlan { max_days: Some(90), ..known_end(0.015, 14) };
    let mut state: Option<RunningState> = None;
    for day in 7..=14 {
        state = Some(poll(&plan, 24 * day, &arms(700 * day as u64, 0.010), state.as_ref()).running);
    }
    let state = state.unwrap();
    let later = |lift| poll(&plan, 24 * 40, &arms(60_000, lift), Some(&state)).advice.recommendation;
    assert_eq!(later(0.004), Recommendation::Ship);
    assert_ne!(later(-0.0005), Recommendation::Ship);
    assert_ne!(later(0.0), Recommendation::Ship);
}

#[test]
fn a_success_at_the_planned_information_waits_for_its_proofs() {
    let plan = TestPlan { min_sample_size: 0, ..known_end(0.015, 60) };
    let won = poll(&plan, 24 * 15, &arms(12_000, 0.012), None);
    assert!(won.running.looks.last().unwrap().is_last);
    assert_eq!(won.advice.recommendation, Recommendation::Ship);
    let phases = arms(12_400, 0.012);
    let health = DataHealth { is_sampled: true, ..DataHealth::default() };
    let unhealthy = Evaluation { health, ..input(&plan, 16 * 24, &phases) };
    // One reading that is doubted ends nothing.
    assert_eq!(evaluate(&unhealthy, Some(&won.running)).advice.recommendation, Recommendation::HoldDataQuality);
}
