//! The statistics by hand: worked cases through the program, and what people type.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use outcome_core::stats::{Alpha, Baseline, FeasibilityInput, PlannedTest, feasibility};
use outcome_stats::testing;
use serde_json::{Value, json};

use crate::home::{BIN, Home, Ran, clean};

/// A folder that is no workspace, and what the program answers there to these bytes.
fn eval(home: &Home, input: &[u8]) -> Ran {
    let mut command = home.command(&["stats", "eval"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let ran = Ran::new(child.wait_with_output().unwrap());
    let _ = writer.join().unwrap();
    ran
}

#[test]
fn every_worked_case_is_answered_within_its_tolerance() {
    let Some(cases) = testing::worked_cases().unwrap() else { return };
    let questions: String = cases.iter().map(|case| format!("{}\n", case.request)).collect();
    let ran = eval(&Home::new(), questions.as_bytes()).exits(0);
    assert_eq!(ran.stderr, "");
    let answers: Vec<String> = ran.stdout.lines().map(ToOwned::to_owned).collect();
    testing::check(&cases, &answers).unwrap();
}

#[test]
fn a_bad_line_is_answered_with_an_error_and_the_rest_goes_on() {
    let good = br#"{"id": "good", "fn": "r_star", "input": {"alpha": 0.05}}"#;
    let mut input = b"\n   \n\xff\xfe\n{\n{\"id\": 2, \"fn\": \"nope\"}\r\n".to_vec();
    input.extend(std::iter::repeat_n(b' ', 17 * 1024 * 1024));
    input.extend(b"\n");
    input.extend(good);
    let ran = eval(&Home::new(), &input).exits(0);
    let answers: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let error = |i: usize| answers[i]["error"].as_str().unwrap_or_default().to_owned();
    assert_eq!(answers.len(), 5, "{ran:#?}");
    assert!(error(0).contains("not UTF-8") && error(1).contains("not a JSON line"), "{answers:?}");
    assert_eq!((answers[2]["id"].clone(), error(2)), (json!(2), "unknown function `nope`".to_owned()));
    assert!(error(3).contains("longer than 16 MiB"));
    assert_eq!(answers[4]["id"], "good");
    assert_eq!(eval(&Home::new(), b"").exits(0).stdout, "");
}

#[test]
fn an_id_cannot_speak_to_the_terminal() {
    let ran = eval(&Home::new(), "{\"id\": \"a\\u001b[31m\u{9b}2J\u{202e}\", \"fn\": \"nope\"}".as_bytes()).exits(0);
    assert!(!ran.stdout.trim_end().chars().any(|c| c.is_control() || c == '\u{202e}'), "{ran:#?}");
    assert_eq!(ran.json()["id"], "a\u{1b}[31m\u{9b}2J\u{202e}");
}

#[test]
fn an_answer_comes_before_the_next_question() {
    let home = Home::new();
    let mut child = home.command(&["stats", "eval"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    for id in 0..3 {
        // The beginning of the next question stands in the pipe already: it must not keep the answer back.
        write!(stdin, "\"fn\": \"r_star\", \"input\": {{\"alpha\": 0.05}}, \"id\": {id}}}\n{{").unwrap_or_default();
        if id == 0 {
            // The first question has no beginning of its own.
            let first: Value = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
            assert!(first["error"].is_string(), "{first}");
            continue;
        }
        let answer: Value = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
        assert_eq!(answer["id"], id);
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let home = Home::new();
    let script = r#"yes '{"id": 1, "fn": "r_star", "input": {"alpha": 0.05}}' | { "$0" stats eval; echo "exit $?" >&2; } | head -1"#;
    let done = clean(Command::new("sh"), &home.path("")).args(["-c", script, BIN]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&done.stderr), "exit 0\n");
    assert_eq!(String::from_utf8_lossy(&done.stdout).lines().count(), 1);
}

fn ab(args: &[&str]) -> Ran {
    Home::new().run(&[&["stats", "ab"], args].concat())
}

#[test]
fn two_arms_are_tested_as_the_engine_does() {
    let args = ["--control", "500/10000", "--treatment", "550/10000", "--mde", "10%", "--json"];
    let found = ab(&args).exits(0).json();
    let one = &found["comparisons"][0];
    let question = json!({ "id": 1, "fn": "ab", "input": { "kind": "proportion", "control": { "n": 10_000, "x": 500 },
        "treatment": { "n": 10_000, "x": 550 }, "alpha": 0.05, "tau": 0.005 } });
    let engine = eval(&Home::new(), question.to_string().as_bytes()).exits(0).json();
    let near = |a: &Value, b: &Value| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-12;
    for (ours, theirs) in [
        (&one["effect"], &engine["delta"]),
        (&one["ln_e"], &engine["log_e"]),
        (&one["p"], &engine["p"]),
        (&one["ci"]["lower"], &engine["ci"][0]),
        (&one["ci"]["upper"], &engine["ci"][1]),
        (&one["lift"], &engine["lift"]),
        (&one["lift_ci"]["lower"], &engine["lift_ci"][0]),
        (&one["lift_ci"]["upper"], &engine["lift_ci"][1]),
    ] {
        assert!(near(ours, theirs), "{ours} {theirs}");
    }
    assert_eq!(one["decision"], "continue");
    // What is promised holds: with so many more units at the same rates it is settled, with fewer it is not.
    let more = one["outlook"]["more_units"].as_u64().unwrap();
    let decision = |units: u64| {
        let (control, treatment) = (format!("{}/{units}", units / 20), format!("{}/{units}", units * 55 / 1000));
        let tau = ["--control", &control, "--treatment", &treatment, "--mde", "0.005", "--json"];
        ab(&tau).exits(0).json()["comparisons"][0]["decision"].clone()
    };
    // Whole thousands an arm keep the rates exactly.
    let thousands = u64::midpoint(20_000, more).div_ceil(1000);
    assert_eq!(decision(thousands * 1000), "ship");
    assert_eq!(decision((thousands - 1) * 1000), "continue");
}

#[test]
fn means_are_taken_in_both_forms_and_several_treatments_share_alpha() {
    let short = ab(&["--control", "1000,12.3,4.5", "--treatment", "1010,13.9,4.6", "--mde", "0.5", "--json"]).exits(0);
    let long = [
        "--control",
        "n=1000,mean=12.3,sd=4.5",
        "--treatment",
        "sd=4.6,n=1010,mean=13.9",
        "--tau",
        "0.5",
        "--mde",
        "0.5",
        "--json",
    ];
    assert_eq!(short.stdout, ab(&long).exits(0).stdout);
    assert_eq!(short.json()["comparisons"][0]["decision"], "ship");
    let several = ["--control", "1000,12.3,4.5", "--treatment", "1010,13.9,4.6", "--treatment", "990,12.4,4.4"];
    let found = ab(&[&several[..], &["--mde", "0.5", "--split", "34/33/33", "--json"]].concat()).exits(0).json();
    assert_eq!(found["alpha_per_comparison"], 0.025);
    assert_eq!(found["srm"]["level"], "clean");
    let p = |i: usize, name: &str| found["comparisons"][i][name].as_f64().unwrap();
    assert!((p(0, "p_adjusted") - 2.0 * p(0, "p")).abs() < 1e-15 && p(1, "p_adjusted") >= p(1, "p"));
    let down =
        ["--control", "1000,12.3,4.5", "--treatment", "1010,13.9,4.6", "--mde", "0.5", "--direction", "decrease"];
    let text = ab(&down).exits(0).stdout;
    assert!(text.contains("The treatment is worse"), "{text}");
}

#[test]
fn what_it_means_is_said_in_words() {
    let say = |args: &[&str]| ab(args).exits(0).stdout;
    let text = say(&["--control", "500/10000", "--treatment", "550/10000", "--mde", "10%", "--split", "50/50"]);
    for part in [
        "+0.5 points",
        "95 % confidence sequence",
        "e = 1.31",
        "always-valid p = 0.76",
        "Not settled",
        "more units",
        "as declared (50/50)",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    let text = say(&["--control", "5/100", "--treatment", "6/120", "--mde", "10%"]);
    assert!(text.contains("Too early: 5 of 25 effective units"), "{text}");
    let text = say(&["--control", "5000/100000", "--treatment", "5900/120000", "--mde", "10%", "--split", "50/50"]);
    assert!(text.contains("Decide nothing") && text.contains("not as declared"), "{text}");
    let text = say(&["--control", "50000/1000000", "--treatment", "50010/1000000", "--mde", "10%"]);
    assert!(text.contains("An improvement of 0.5 points or more is excluded"), "{text}");
    let text = say(&["--control", "0/1000", "--treatment", "0/1000", "--mde", "0.01"]);
    assert!(text.contains("all units have the same value"), "{text}");
    // A broken checkout is found although one arm has no variance; the lift has no interval then.
    let text = say(&["--control", "51/100000", "--treatment", "0/100000", "--mde", "0.0005"]);
    assert!(text.contains("The treatment is worse") && text.contains("no interval"), "{text}");
}

#[test]
fn what_cannot_be_is_refused_with_what_can() {
    let good = ["--control", "500/10000", "--treatment", "550/10000"];
    let with = |control: &str, more: &[&str]| {
        ab(&[&["--control", control, "--treatment", "550/10000"], more, &["--json"]].concat())
    };
    for ran in [
        with("11/10", &["--mde", "10%"]),
        with("1,2", &["--mde", "10%"]),
        with("1000,12,3", &["--mde", "10%"]),
        with("0/1000", &["--mde", "10%"]),
        with("500/10000", &["--mde", "-10%"]),
        with("500/10000", &["--mde", "much"]),
        with("500/10000", &["--mde", "10%", "--tau", "0"]),
        with("500/10000", &["--mde", "10%", "--alpha", "1.5"]),
        with("500/10000", &["--mde", "10%", "--split", "50/30/20"]),
        with("500/10000", &["--mde", "10%", "--split", "100/0"]),
    ] {
        let error = ran.exits(2).json()["error"].clone();
        assert_eq!(error["code"], "invalid_input");
        assert!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{error}");
    }
    assert_eq!(ab(&[&good[..], &["--json"]].concat()).exits(2).error_code(), "invalid_input");
}

#[test]
fn ten_as_the_effect_on_a_share_is_asked_back_with_what_may_be_meant() {
    let home = Home::new();
    let plan = ["stats", "plan", "--baseline", "5%", "--mde", "10", "--traffic", "2000/day", "--json"];
    for ran in [ab(&["--control", "500/10000", "--treatment", "550/10000", "--mde", "10", "--json"]), home.run(&plan)] {
        let error = ran.exits(2).json()["error"].clone();
        assert_eq!(error["message"], "--mde is 10, and a share is between 0 and 1", "{error}");
        let hint = error["hint"].as_str().unwrap();
        assert!(hint.starts_with("`10%` is 10 % of the level, 0.1 is 10 points"), "{hint}");
    }
    ab(&["--control", "1000,12.3,4.5", "--treatment", "1010,13.9,4.6", "--mde", "10", "--json"]).exits(0);
}

#[test]
fn an_empty_intersection_is_no_interval_and_says_so() {
    let poll = |effect: f64| json!({ "delta": effect, "var": 1e-6 });
    let request =
        json!({ "id": 1, "fn": "running", "input": { "polls": [poll(0.01), poll(0.05)], "alpha": 0.05, "tau": 0.01 } });
    let answer: Value =
        serde_json::from_str(&eval(&Home::new(), request.to_string().as_bytes()).exits(0).stdout).unwrap();
    let polls = answer["polls"].as_array().unwrap();
    assert_eq!((&polls[0]["ci_running"], &polls[0]["ci_running_status"]), (&polls[0]["ci"], &json!("ok")), "{answer}");
    assert_eq!((&polls[1]["ci_running"], &polls[1]["ci_running_status"]), (&Value::Null, &json!("empty")), "{answer}");
    assert_eq!(answer["drift"], true);
}

#[test]
fn a_plan_gives_the_figures_of_the_engine_and_says_them_honestly() {
    let home = Home::new();
    let args = ["stats", "plan", "--baseline", "5%", "--mde", "10%,60", "--traffic", "14000/week"];
    assert_eq!(home.run(&[&args[..], &["--json"]].concat()).exits(2).error_code(), "invalid_input");
    let args = ["stats", "plan", "--baseline", "5%", "--mde", "10%,20%", "--traffic", "14000/week"];
    let found = home.run(&[&args[..], &["--json"]].concat()).exits(0).json();
    for (row, mde_relative) in found["rows"].as_array().unwrap().iter().zip([0.1, 0.2]) {
        let engine = feasibility(&FeasibilityInput {
            baseline: Baseline::Rate { rate: 0.05 },
            daily_units: 2000.0,
            mde_relative,
            alpha: Alpha::DEFAULT.budget_share(3, 0),
            test: PlannedTest::KnownEnd,
            power: 0.8,
            treatment_share: 0.5,
        })
        .unwrap();
        assert_eq!(row["n_max"], engine.n_max);
        assert_eq!((&row["n_fixed"], &row["days"]), (&json!(engine.n_fixed), &json!(engine.days)));
        assert_eq!(row["days_whole_weeks"], engine.days_whole_weeks);
    }
    let text = found["note"].as_str().unwrap();
    for part in [
        "takes on average 0.78 times as long as",
        "at most 1.13 times",
        "a third",
        "Nothing is claimed in the first week",
    ] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
}

#[test]
fn a_plan_for_a_mean_stands_in_a_table() {
    let args =
        ["stats", "plan", "--baseline", "12.3", "--sd", "4.5", "--mde", "0.5", "--traffic", "300/day", "--looks", "5"];
    let text = Home::new().run(&args).exits(0).stdout;
    assert!(text.contains("4.065 % (0.5)") && text.contains('<') && text.contains("weeks"), "{text}");
    // Half, three quarters, the effect, and more.
    assert_eq!(text.lines().filter(|line| line.contains(" %") && line.contains("weeks)")).count(), 5, "{text}");
    let home = Home::new();
    for bad in [
        ["--baseline", "12.3", "--mde", "0.5", "--traffic", "300/day"],
        ["--baseline", "5%", "--mde", "10%", "--traffic", "300/year"],
        ["--baseline", "95%", "--mde", "10%", "--traffic", "300/day"],
        ["--baseline", "5%", "--mde", "0", "--traffic", "300/day"],
    ] {
        let ran = home.run(&[&["stats", "plan", "--json"], &bad[..]].concat());
        assert_eq!(ran.exits(2).error_code(), "invalid_input", "{bad:?}");
    }
}

#[test]
fn a_proof_needs_a_measured_experiment() {
    let home = Home::proposed();
    assert_eq!(home.run(&["stats", "proof", "nope", "--json"]).exits(3).error_code(), "not_found");
    assert_eq!(home.run(&["stats", "proof", "fewer-fields", "--json"]).exits(4).error_code(), "conflict");
    assert_eq!(Home::new().run(&["stats", "proof", "x", "--json"]).exits(3).error_code(), "workspace_not_found");
}

#[test]
fn rare_events_are_counted_before_there_are_enough_for_an_estimate() {
    let args = ["--control", "0/2000", "--treatment", "12/2000", "--mde", "0.005", "--direction", "decrease"];
    let found = ab(&[args.as_slice(), &["--json"]].concat()).exits(0).json();
    let one = &found["comparisons"][0];
    let p = one["p"].as_f64().unwrap();
    assert!((p - 0.006).abs() < 0.001 && one["counts"]["rate_ratio_ci"]["lower"].as_f64().unwrap() > 1.0, "{one}");
    let page = ab(&args).exits(0).stdout;
    assert!(page.contains("more of these events, which is worse") && page.contains("rate ratio above"), "{page}");
    let alike = ab(&["--control", "6/2000", "--treatment", "6/2000", "--mde", "0.005"]).exits(0).stdout;
    assert!(alike.contains("do not tell the arms apart"), "{alike}");
}
