//! A plan on synthetic units, before anybody sees the change.

use crate::home::Home;

const RUNS: [&str; 8] =
    ["simulate", "fewer-fields", "--traffic", "3000/day", "--replications", "60", "--effects", "0,0.05,-0.1"];

#[test]
fn what_goes_wrong_is_played_and_said() {
    let home = Home::proposed();
    let plain = [&RUNS[..], &["--baseline", "10%"]].concat();
    let quiet = home.run(&[&plain[..], &["--json"]].concat()).exits(0).json();
    let stops = &quiet["false_stops"];
    assert_eq!((stops["stated_harm"].as_f64(), stops["stated_data"].as_f64()), (Some(0.025), Some(0.001)), "{stops}");
    assert!(stops["share"].as_f64().unwrap() < 0.2, "{stops}");
    let harm = &quiet["effects"][2];
    assert!(harm["harm_off"]["share"].as_f64().unwrap() > 0.9 && harm["kill_harm"].as_f64().unwrap() > 0.9, "{harm}");
    assert!(quiet["effects"][1]["harm_off"].is_null(), "{quiet}");

    let mishaps = ["--answer-after", "3d", "--delay", "2d", "--deletions", "0.2%", "--lost-treatment", "20%"];
    let lossy = home.run(&[&plain[..], &mishaps, &["--json"]].concat()).exits(0).json();
    assert_eq!(lossy["mishaps"]["answer_after_days"], 3.0);
    let none = &lossy["effects"][0];
    assert!(none["data_pauses"]["sample_ratio"].as_f64().unwrap() > 0.9, "{none}");
    let away = home.run(&[&plain[..], &["--outage", "2d", "--json"]].concat()).exits(0).json();
    assert!(away["effects"][0]["data_pauses"]["source"].as_f64().unwrap() > 0.0, "{away}");

    let shown = home.run(&[&plain[..], &mishaps].concat()).exits(0).stdout;
    for said in ["false stops", "unequal arms", "a human answers a gate after 3 days", "half of them by day"] {
        assert!(
            shown.split_whitespace().collect::<Vec<_>>().join(" ").contains(said),
            "{said:?} is missing in\n{shown}"
        );
    }
}

#[test]
fn a_ratio_is_stated_by_its_two_numbers() {
    let home = Home::proposed();
    let ratio =
        ["--numerator", "100,60", "--denominator", "2,1", "--correlation", "0.8", "--effects", "0,-20", "--json"];
    let found = home.run(&[&RUNS[..6], &ratio].concat()).exits(0).json();
    assert!(found["basis"].as_str().unwrap().contains("a numerator of 100"), "{found}");
    assert!(found["effects"][1]["kill_harm"].as_f64().unwrap() > 0.9, "{found}");
}

#[test]
fn what_cannot_be_played_is_refused() {
    let home = Home::proposed();
    let plain = [&RUNS[..], &["--baseline", "10%", "--json"]].concat();
    for flags in [["--deletions", "150%"], ["--outage", "900d"], ["--answer-after", "soon"], ["--lost-treatment", "1"]]
    {
        let refused = home.run(&[&plain[..], &flags].concat()).exits(2);
        assert_eq!(refused.error_code(), "invalid_input", "{flags:?}");
    }
    let half = home.run(&[&RUNS[..], &["--numerator", "100,60"]].concat()).exits(2);
    assert!(half.stderr.contains("--denominator"), "{half:?}");
    let flat = ["--numerator", "100,0", "--denominator", "2,0", "--json"];
    assert_eq!(home.run(&[&RUNS[..], &flat].concat()).exits(2).error_code(), "invalid_input");
}
