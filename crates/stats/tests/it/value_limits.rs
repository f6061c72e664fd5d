//! Bare values against absolute limits: how often a healthy one stops an experiment, and how soon a broken one does.

use outcome_stats::{
    DataHealth, Evaluated, Evaluation, Guardrail, GuardrailReading, HealthCode, Limit, Recommendation, RunningState,
    Scope, TestPlan, ValueLimit, ValueRule, evaluate,
};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Normal};

use super::given::is_long;

const LIMIT: f64 = 300.0;
const DAYS: i64 = 60;

fn n_replications() -> u32 {
    if is_long() { 4_000 } else { 800 }
}

fn rng() -> ChaCha8Rng {
    let seed = std::env::var("OUTCOME_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_260_101);
    eprintln!("seed {seed}");
    ChaCha8Rng::seed_from_u64(seed)
}

/// One reading of a day's value, judged after those before.
fn judge(value: Option<f64>, rule: ValueRule<'_>, hour: i64, state: Option<&RunningState>) -> Evaluated {
    let limit = Limit::Max(LIMIT);
    let reading = GuardrailReading::ValueLimit(ValueLimit { value, n: None, limit, consecutive: 3, rule });
    let guardrails = [Guardrail { name: "delay", must_prove: false, reading }];
    let input = Evaluation {
        plan: &TestPlan::default(),
        phases: &[],
        elapsed_days: hour as f64 / 24.0,
        as_of: hour * 3600,
        guardrails: &guardrails,
        health: DataHealth::default(),
        scope: Scope::default(),
    };
    evaluate(&input, state)
}

/// The first day on which the treatment's values stop the experiment.
fn stopped_on(values: impl Iterator<Item = f64>, before: &[f64], share: f64) -> Option<i64> {
    let mut state: Option<RunningState> = None;
    for (day, value) in (1..).zip(values) {
        let rule = ValueRule::OfTreatment { before, share, is_full_day: true };
        let got = judge(Some(value), rule, day * 24, state.as_ref());
        if matches!(got.advice.recommendation, Recommendation::KillGuardrail | Recommendation::HoldAlert) {
            return Some(day);
        }
        state = Some(got.running);
    }
    None
}

/// Daily values with this mean: a part that all units of a day share, and a part that gets larger the fewer they are. A day depends
/// on the one before by `phi`.
fn values(rng: &mut ChaCha8Rng, mean: f64, share: f64, phi: f64, n: i64) -> Vec<f64> {
    let noise = Normal::new(0.0, 1.0).unwrap();
    let mut common = noise.sample(rng) * 7.0;
    let mut day = || {
        common = phi * common + (1.0 - phi * phi).sqrt() * 7.0 * noise.sample(rng);
        mean + common + 7.0 / share.sqrt() * noise.sample(rng)
    };
    (0..n).map(|_| day()).collect()
}

#[test]
fn a_value_at_its_limit_stops_at_most_as_often_as_stated() {
    let mut rng = rng();
    for (share, phi) in [(1.0, 0.0), (0.5, 0.0), (0.1, 0.0), (0.5, 0.5)] {
        let mut n_stopped = 0;
        for _ in 0..n_replications() {
            let before = values(&mut rng, LIMIT, 1.0, phi, 28);
            let days = values(&mut rng, LIMIT, share, phi, DAYS);
            n_stopped += u32::from(stopped_on(days.into_iter(), &before, share).is_some());
        }
        let (n, stated) = (f64::from(n_replications()), 0.05);
        let found = f64::from(n_stopped) / n;
        let tolerance = 3.0 * (stated * (1.0 - stated) / n).sqrt();
        eprintln!("share {share}, autocorrelation {phi}: {found:.4} stopped within {DAYS} days");
        assert!(found <= stated + tolerance, "share {share}, autocorrelation {phi}: {found}");
    }
}

#[test]
fn a_value_far_beyond_its_limit_stops_by_the_second_day_and_a_little_beyond_within_weeks() {
    let mut rng = rng();
    let before = values(&mut rng, LIMIT - 30.0, 1.0, 0.0, 28);
    let far = values(&mut rng, LIMIT + 120.0, 0.5, 0.0, DAYS);
    let day = stopped_on(far.into_iter(), &before, 0.5);
    assert!(day.is_some_and(|day| day <= 2), "{day:?}");
    let mut latest = 0;
    for _ in 0..100 {
        let near = values(&mut rng, LIMIT + 12.0, 0.5, 0.0, DAYS);
        latest = latest.max(stopped_on(near.into_iter(), &before, 0.5).unwrap_or(DAYS));
    }
    assert!(latest <= 40, "{latest} days");
}

#[test]
fn without_a_history_three_days_in_a_row_stop_and_a_part_of_a_day_does_not_count() {
    let short = [250.0; 13];
    let constant = [250.0; 28];
    for before in [&[][..], &short, &constant] {
        assert_eq!(stopped_on([301.0, 299.0, 301.0, 302.0, 303.0].into_iter(), before, 0.5), Some(5));
    }
    let part = ValueRule::OfTreatment { before: &[], share: 0.5, is_full_day: false };
    let mut state: Option<RunningState> = None;
    for hour in [24, 48, 72, 96] {
        let got = judge(Some(900.0), part, hour, state.as_ref());
        assert_eq!((got.guardrails[0].n_consecutive, got.advice.recommendation), (0, Recommendation::Continue));
        state = Some(got.running);
    }
}

#[test]
fn looks_within_a_day_and_repeated_polls_add_no_evidence() {
    let before: Vec<f64> = (0..28).map(|day| 250.0 + f64::from(day % 7)).collect();
    let rule = ValueRule::OfTreatment { before: &before, share: 0.5, is_full_day: true };
    let once = judge(Some(305.0), rule, 24, None);
    let mut state = once.running.clone();
    for hour in [24, 25, 30, 47] {
        let again = judge(Some(900.0), rule, hour, Some(&state));
        assert_eq!(again.guardrails[0].ln_e_breached, once.guardrails[0].ln_e_breached, "hour {hour}");
        assert!(!again.guardrails[0].is_alerting);
        state = again.running;
    }
    let missing = judge(None, rule, 48, Some(&state));
    assert_eq!(missing.running.guardrails[0].days, state.guardrails[0].days, "absence is no value");
    let next = judge(Some(305.0), rule, 49, Some(&state));
    assert!(next.guardrails[0].ln_e_breached > once.guardrails[0].ln_e_breached);
}

#[test]
fn a_value_of_everybody_is_an_incident_and_pauses_only_where_the_plan_says_so() {
    for (pauses, want) in [(false, Recommendation::HoldDataQuality), (true, Recommendation::HoldAlert)] {
        let rule = ValueRule::OfEverybody { before: &[], pauses, is_full_day: true };
        let mut state: Option<RunningState> = None;
        let mut last = None;
        for day in 1..=3 {
            let got = judge(Some(900.0), rule, day * 24, state.as_ref());
            state = Some(got.running.clone());
            last = Some(got);
        }
        let got = last.unwrap();
        assert_eq!(got.advice.recommendation, want);
        assert_eq!((got.guardrails[0].is_alerting, got.guardrails[0].is_incident), (pauses, !pauses));
        let is_told = got.health.iter().any(|finding| finding.code == HealthCode::Incident);
        assert_eq!(is_told, !pauses);
        assert!(!got.guardrails[0].breached, "it proves nothing about the treatment");
    }
}
