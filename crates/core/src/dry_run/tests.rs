use super::*;
use crate::error::Code;
use crate::stats::{Alpha, HarmDirection, Margin, TestPlan};

fn run(effects: &[f64], change: impl FnOnce(&mut DryRun)) -> DryRunReport {
    let plan = TestPlan { mde_abs: Some(0.01), max_days: Some(28), min_runtime_days: 7, ..TestPlan::default() };
    let day = Day { population: Population::Rate { rate: 0.1 }, units: 1500.0 };
    let mut dry_run = DryRun {
        plan,
        treatment_share: 0.5,
        days: vec![day],
        polls_per_day: 1,
        guardrails: Vec::new(),
        n_unplayed_guardrails: 0,
        keeps_flag: false,
        is_guarded: false,
        mishaps: Mishaps::default(),
        effects: effects.to_vec(),
        replications: 300,
        seed: 7,
    };
    change(&mut dry_run);
    dry_run.run(|_, _| {}).unwrap()
}

#[test]
fn without_an_effect_alarms_are_rare_and_with_a_large_one_it_ships() {
    let report = run(&[0.0, 0.03, -0.03], |_| {});
    let [none, gain, harm] = &report.effects[..] else { panic!("{report:?}") };
    assert!(report.false_alarm_rate.unwrap() <= 0.05 + 4.0 * report.standard_error, "{none:?}");
    assert!(gain.ship > 0.95 && harm.kill_harm > 0.95, "{report:?}");
    assert!(harm.expected_days < gain.expected_days, "harm waits for no minimum runtime");
    assert!((gain.ended_by_day[27] - 1.0).abs() < 1e-12 && gain.ended_by_day[5] <= 0.05);
}

#[test]
fn the_same_seed_repeats_the_report_and_another_does_not() {
    let report = run(&[0.005], |_| {});
    assert_eq!(report, run(&[0.005], |_| {}));
    assert_ne!(report, run(&[0.005], |dry_run| dry_run.seed = 8));
}

#[test]
fn amounts_and_guardrails_are_played_too() {
    let report = run(&[0.0, 5.0], |dry_run| {
        dry_run.days[0].population = Population::Mean { mean: 20.0, standard_deviation: 30.0 };
        dry_run.plan.mde_abs = Some(1.0);
        dry_run.guardrails.push(GuardrailPolicy {
            name: "errors".to_owned(),
            population: Population::Rate { rate: 0.02 },
            harm_direction: HarmDirection::Increase,
            margin: Margin::Absolute(0.002),
            must_prove: false,
        });
    });
    assert!(report.effects[1].ship > 0.9, "{report:?}");
    assert!(report.effects.iter().all(|effect| effect.false_guardrail_stop <= 0.07), "{report:?}");
}

#[test]
fn a_looser_alpha_alarms_more_often() {
    let loose = run(&[0.0], |dry_run| dry_run.plan.alpha = Alpha::try_new(0.9).unwrap());
    assert!(loose.false_alarm_rate > run(&[0.0], |_| {}).false_alarm_rate);
}

#[test]
fn impossible_input_is_refused_with_a_reason() {
    let day = Day { population: Population::Rate { rate: 1.5 }, units: 100.0 };
    let mut dry_run = DryRun {
        plan: TestPlan::default(),
        treatment_share: 0.5,
        days: vec![day],
        polls_per_day: 1,
        guardrails: Vec::new(),
        n_unplayed_guardrails: 0,
        keeps_flag: false,
        is_guarded: false,
        mishaps: Mishaps::default(),
        effects: vec![0.0],
        replications: 1,
        seed: 1,
    };
    assert_eq!(dry_run.run(|_, _| {}).unwrap_err().code(), Code::InvalidInput);
    dry_run.days.clear();
    assert_eq!(dry_run.run(|_, _| {}).unwrap_err().code(), Code::InvalidInput);
}

#[test]
fn a_ratio_is_played_and_false_stops_stay_below_what_is_stated() {
    let report = run(&[0.0, 6.0, -6.0], |dry_run| {
        dry_run.days[0].population = Population::Ratio {
            numerator_mean: 100.0,
            numerator_standard_deviation: 60.0,
            denominator_mean: 2.0,
            denominator_standard_deviation: 1.0,
            correlation: 0.8,
        };
        dry_run.plan.mde_abs = Some(2.0);
    });
    let [none, gain, harm] = &report.effects[..] else { panic!("{report:?}") };
    assert!(gain.ship > 0.95 && harm.kill_harm > 0.95, "{report:?}");
    let stops = report.false_stops.unwrap();
    assert!(stops.share <= stops.stated_harm + stops.stated_data + 4.0 * stops.standard_error, "{none:?}");
    assert!((stops.stated_harm, stops.stated_guardrail, stops.stated_data) == (0.025, 0.0, 0.001), "{stops:?}");
}

#[test]
fn a_constraint_that_is_not_played_has_its_budget_all_the_same() {
    let stops = run(&[0.0], |dry_run| dry_run.n_unplayed_guardrails = 1).false_stops.unwrap();
    assert!((stops.stated_guardrail, stops.guardrail, stops.n_unplayed_guardrails) == (0.05, 0.0, 1), "{stops:?}");
}

#[test]
fn lost_units_of_the_treatment_pause_for_the_data() {
    let report = run(&[0.0], |dry_run| dry_run.mishaps.lost_treatment = 0.2);
    let [none] = &report.effects[..] else { panic!("{report:?}") };
    assert!(
        none.data_pauses.sample_ratio > 0.9 && (none.held - none.data_pauses.sample_ratio).abs() < 1e-9,
        "{none:?}"
    );
    assert!(report.false_stops.unwrap().data > 0.9);
}

#[test]
fn an_outage_pauses_and_a_short_one_between_two_polls_does_not() {
    let away = |days| run(&[0.0], |dry_run| dry_run.mishaps.outage_days = days).effects.remove(0);
    let (whole, long, short) = (away(0.0), away(2.0), away(0.01));
    // Runs that ended before it are not paused; all others are, within the first hours.
    assert!(long.data_pauses.source > 0.3 && long.expected_days < whole.expected_days, "{long:?}");
    assert!(short.data_pauses.source < 0.03, "{short:?}");
}

#[test]
fn a_human_who_answers_late_changes_when_it_ends_and_harm_is_off_all_the_same() {
    let late = |days| run(&[0.03, -0.03], |dry_run| dry_run.mishaps.answer_after_days = days);
    let (at_once, after) = (late(0.0), late(5.0));
    let [gain, harm] = &after.effects[..] else { panic!("{after:?}") };
    assert!(gain.expected_days > at_once.effects[0].expected_days + 4.0, "{after:?}");
    assert!(gain.ship > 0.95, "what was recommended still holds: {gain:?}");
    let (off, off_at_once) = (harm.harm_off.unwrap(), at_once.effects[1].harm_off.unwrap());
    assert!(off == off_at_once && off.share > 0.99 && off.median_days.unwrap() < 5.0, "{off:?}");
    assert!(gain.harm_off.is_none());
}

#[test]
fn values_that_come_late_take_longer_to_find() {
    let slow = |days| run(&[-0.03], |dry_run| dry_run.mishaps.delay_days = days).effects.remove(0).harm_off.unwrap();
    assert!(slow(7.0).median_days > slow(0.0).median_days);
}

#[test]
fn deletions_alike_in_both_arms_stop_nothing() {
    let report = run(&[0.0], |dry_run| dry_run.mishaps.daily_deletions = 0.002);
    assert!(report.false_stops.unwrap().share <= 0.05, "{report:?}");
}

#[test]
fn mishaps_out_of_range_are_refused() {
    let refused = |mishaps: Mishaps| mishaps.problem(28).is_some();
    assert!(!refused(Mishaps::default()));
    assert!(refused(Mishaps { outage_days: 28.0, ..Mishaps::default() }));
    assert!(refused(Mishaps { lost_treatment: 1.0, ..Mishaps::default() }));
    assert!(refused(Mishaps { delay_days: -1.0, ..Mishaps::default() }));
}

#[test]
fn a_thousand_guarded_experiments_with_hourly_looks_are_stopped_no_more_often_than_stated() {
    let report = run(&[0.0, -0.03], |dry_run| {
        dry_run.is_guarded = true;
        dry_run.keeps_flag = true;
        dry_run.polls_per_day = 24;
        dry_run.replications = 1000;
        dry_run.days[0].units = 480.0;
        // As `--metric` states it: not worse at all.
        dry_run.guardrails.push(GuardrailPolicy {
            name: "paid".to_owned(),
            population: Population::Rate { rate: 0.05 },
            harm_direction: HarmDirection::Decrease,
            margin: Margin::Absolute(0.0),
            must_prove: false,
        });
    });
    let [none, harm] = &report.effects[..] else { panic!("{report:?}") };
    let stops = report.false_stops.unwrap();
    assert!((stops.stated_harm, stops.stated_guardrail) == (0.025, 0.05), "{stops:?}");
    assert!(stops.harm <= stops.stated_harm && stops.guardrail <= stops.stated_guardrail, "{stops:?}");
    assert!(stops.share <= stops.stated_harm + stops.stated_guardrail + stops.stated_data, "{stops:?}");
    assert!((none.ship, none.kill_futility) == (0.0, 0.0), "something was claimed: {none:?}");
    assert!(harm.kill_harm > 0.95 && harm.ship == 0.0, "{harm:?}");
}
