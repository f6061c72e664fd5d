//! Plans by hand. A hundred looks take seconds without optimisation, so these tests stand apart.

use outcome_stats::{
    Alpha, Baseline, FeasibilityInput, PlannedTest, SampleSizeInput, eval_line, feasibility, plan_constant, sample_size,
};
use serde_json::{Value, json};

fn close(got: f64, want: f64, rel: f64) -> bool {
    (got - want).abs() <= rel * want.abs()
}

/// 20 % of 1000 units a day get a treatment that should move a mean of -20 by 1.
fn amounts() -> FeasibilityInput {
    FeasibilityInput {
        baseline: Baseline::Mean { mean: -20.0, standard_deviation: 50.0 },
        daily_units: 1000.0,
        mde_relative: 0.05,
        alpha: Alpha::DEFAULT,
        test: PlannedTest::TwoSided { n_looks: 100 },
        power: 0.8,
        treatment_share: 0.2,
    }
}

#[test]
fn a_plan_of_amounts_by_hand() {
    let got = feasibility(&amounts()).unwrap();
    let unit = 2500.0 / 0.8 + 2500.0 / 0.2;
    assert!(close(got.mde_abs, 1.0, 1e-12) && close(got.tau, 1.0, 1e-12));
    // C of STATS.md 2.10 for a hundred looks, and its share in use at the declared effect.
    assert!(close(got.n_max as f64, 13.12 * unit, 1e-3), "{got:?}");
    assert!(close(got.n_expected_at_mde / got.n_fixed as f64, 1.02, 1e-2), "{got:?}");
    assert!(close(got.n_fixed as f64, (1.959_964_f64 + 0.841_621).powi(2) * unit, 1e-5));
    assert_eq!(got.days, got.n_max.div_ceil(1000));
    assert_eq!(got.days_whole_weeks, got.days.div_ceil(7) * 7);
    assert!(close(got.days_expected_at_mde, got.n_expected_at_mde / 1000.0, 1e-12));
}

#[test]
fn a_plan_names_what_is_impossible_about_it() {
    let error = |input: FeasibilityInput| feasibility(&input).unwrap_err().to_string();
    for daily_units in [0.0, -1.0, f64::INFINITY, f64::NAN] {
        assert!(error(FeasibilityInput { daily_units, ..amounts() }).starts_with("daily units"));
    }
    assert!(error(FeasibilityInput { treatment_share: 0.0, ..amounts() }).starts_with("weight of treatment"));
    assert!(error(FeasibilityInput { treatment_share: 1.0, ..amounts() }).starts_with("weight of control"));
    assert!(error(FeasibilityInput { mde_relative: 0.0, ..amounts() }).starts_with("minimum detectable effect"));
    let constant = Baseline::Mean { mean: 1.0, standard_deviation: 0.0 };
    assert!(error(FeasibilityInput { baseline: constant, ..amounts() }).starts_with("variance of control"));
    for rate in [0.0, 1.0, -0.1, f64::NAN] {
        assert!(
            error(FeasibilityInput { baseline: Baseline::Rate { rate }, ..amounts() }).starts_with("baseline rate")
        );
    }
    let one = |n_looks| plan_constant(Alpha::DEFAULT, 0.8, n_looks);
    assert!(one(0).is_err() && one(1).is_ok() && one(1001).unwrap_err().to_string().starts_with("looks"));
}

#[test]
fn one_look_by_hand() {
    // (sqrt(1 + r*) + z_power)^2 with r* = 8.212, and its last look alone.
    let size = sample_size(&SampleSizeInput {
        unit_variance_control: 2.0,
        unit_variance_treatment: 3.0,
        weight_control: 1.0,
        weight_treatment: 3.0,
        mde_abs: -0.5,
        alpha: Alpha::DEFAULT,
        power: 0.8,
        test: PlannedTest::TwoSided { n_looks: 1 },
    })
    .unwrap();
    let unit = (2.0 * 4.0 + 3.0 * 4.0 / 3.0) / 0.25;
    assert!(close(size.n_last_look as f64, (3.035_2_f64 + 0.841_621).powi(2) * unit, 2e-3), "{size:?}");
    assert!(close(size.n_fixed as f64, 7.849 * unit, 2e-3) && close(size.tau, 0.5, 1e-15));
    assert_eq!(size.n_expected_at_mde, size.n_max as f64);
}

#[test]
fn a_plan_asked_in_json_by_hand() {
    let ask = |input: Value| -> Value {
        let line = json!({ "id": 1, "fn": "sample_size", "input": input }).to_string();
        serde_json::from_str(&eval_line(&line)).unwrap()
    };
    let mean = ask(json!({ "kind": "mean", "sd": 5.0, "mde_abs": 0.5, "K": 1, "weights": [1, 3], "daily": 100 }));
    let unit = (25.0 * 4.0 + 25.0 * 4.0 / 3.0) / 0.25;
    assert!(close(mean["n_fixed"].as_f64().unwrap(), 7.849 * unit, 1e-3), "{mean}");
    let n_max = mean["n_max"].as_u64().unwrap();
    assert_eq!(
        (mean["days"].as_u64(), mean["days_full_weeks"].as_u64()),
        (Some(n_max.div_ceil(100)), Some(n_max.div_ceil(100).div_ceil(7) * 7))
    );
    let rate = ask(json!({ "kind": "proportion", "base": 0.2, "mde_abs": 0.1, "K": 1 }));
    let unit = (0.16 * 2.0 + 0.21 * 2.0) / 0.01;
    assert!(close(rate["n_fixed"].as_f64().unwrap(), 7.849 * unit, 5e-3), "{rate}");
    let looks = |k: u32| ask(json!({ "kind": "mean", "sd": 5.0, "mde_abs": 0.5, "K": k }))["n_max"].as_u64().unwrap();
    assert_ne!(looks(1), looks(4));
    assert!(ask(json!({ "kind": "mean", "sd": 5.0, "mde_abs": 0.5, "K": 2, "weights": [1] }))["error"].is_string());
}
