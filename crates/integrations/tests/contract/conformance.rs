//! The checks that anyone can run against a source of their own: the sample of the documentation passes them all, and a copy that is
//! broken in one way fails the checks that look at it.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use outcome_core::domain::Slug;
use outcome_core::ports::SignalSource;
use outcome_core::usecases::{Check, CheckState, Trial, about};
use outcome_tests::peers::{run, runs, skip};
use pretty_assertions::assert_eq;
use serde_json::json;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::exec::{hash, home, open, put};
use super::kit::named;

const NOW: &str = "2026-11-30T01:00:00Z";
/// Every check that the sample passes.
const ALL: [&str; 17] = [
    "answers",
    "list",
    "level",
    "level_same_answer_twice",
    "level_empty_window",
    "level_window_in_the_past",
    "level_adjacent_windows",
    "level_fraction_of_a_second",
    "level_clock_change",
    "by_variant_unknown_flag",
    "by_variant",
    "by_variant_same_answer_twice",
    "by_variant_empty_window",
    "by_variant_before_anybody",
    "by_variant_adjacent_windows",
    "by_variant_clock_change",
    "unknown_field",
];

/// Somebody new every half hour, also at each cut of a window, in the week that is asked for and when the clocks change.
fn database(dir: &Path) -> PathBuf {
    let path = dir.join("events.db");
    let times = [("2026-11-21T00:00:00Z", 8 * 48), ("2026-10-24T20:00:00Z", 20), ("2026-11-01T01:00:00Z", 20)];
    let mut sql =
        "CREATE TABLE exposures (user_id, flag, variant, at); CREATE TABLE events (user_id, name, at);".to_owned();
    let mut user = 0;
    for (begin, n) in times {
        let begin: Timestamp = begin.parse().unwrap();
        for half_hour in 0..n {
            user += 1;
            let at = begin + SignedDuration::from_mins(30 * half_hour);
            let variant = if user % 2 == 0 { "control" } else { "treatment" };
            sql += &format!("INSERT INTO exposures VALUES ({user}, 'soft', '{variant}', '{at}');");
            sql += &format!("INSERT INTO events VALUES ({user}, 'seen', '{at}');");
            if user % 3 == 0 {
                sql += &format!(
                    "INSERT INTO events VALUES ({user}, 'order paid', '{}');",
                    at + SignedDuration::from_mins(5)
                );
            }
        }
    }
    let made = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.executescript(sys.argv[2]); db.commit()";
    run(std::process::Command::new("python3").args(["-c", made]).arg(&path).arg(sql)).unwrap();
    path
}

/// The sample, changed.
fn program(dir: &Path, database: &Path, changes: &[(&str, &str)]) -> Box<dyn SignalSource> {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/connectors/samples/exec_sqlite.py");
    let mut text = std::fs::read_to_string(sample).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "the sample has no {from:?} any more");
        text = text.replace(from, to);
    }
    let program = put(dir, &text);
    open(&program, &hash(&program), &format!(", arguments: [\"{}\"]", database.display()), Path::new("/nowhere"))
}

async fn checked(source: &dyn SignalSource, has_variants: bool, flag: Option<&str>) -> Vec<Check> {
    let experiment: Slug = "conformance".parse().unwrap();
    let signal = named("order paid");
    let now = NOW.parse().unwrap();
    let trial = Trial { source, signal: &signal, has_variants, flag, experiment: &experiment, now };
    let mut checks = about(source).await;
    if checks.iter().all(|check| check.state == CheckState::Passed) {
        checks.extend(trial.checks().await);
    }
    checks
}

fn of_state(checks: &[Check], state: CheckState) -> Vec<&'static str> {
    checks.iter().filter(|check| check.state == state).map(|check| check.check).collect()
}

#[tokio::test]
async fn the_sample_passes_every_check_and_a_broken_copy_fails_those_that_look_at_it() {
    if !runs("python3") {
        return skip("there is no python3");
    }
    let dir = home();
    let database = database(dir.path());
    let good = checked(&*program(dir.path(), &database, &[]), true, Some("soft")).await;
    assert_eq!(of_state(&good, CheckState::Failed), Vec::<&str>::new(), "{good:#?}");
    assert_eq!(of_state(&good, CheckState::Skipped), Vec::<&str>::new(), "{good:#?}");
    let expected: Vec<&str> = ALL.into_iter().chain(["unknown_question"]).collect();
    assert_eq!(of_state(&good, CheckState::Passed), expected);
    let mut seen = Vec::new();
    for (changes, expected) in [
        (&[("return {\"server\":", "sys.exit(1)\n        return {\"server\":")][..], &["answers"][..]),
        (&[("return {\"metrics\": [", "return {\"metrics\": 5, \"_\": [")], &["list"]),
        (&[("return {\"n\": n, \"successes\": successes}", "return {\"n\": n}")], &["level"]),
        (
            &[("return {\"n\": n, ", "import time\n        return {\"n\": n + time.time_ns() // 100 % 1000003, ")],
            &["level_same_answer_twice"],
        ),
        (
            &[("FROM events WHERE at >= :from AND at < :to", "FROM events WHERE :from <> :to OR 1")],
            &["level_empty_window", "level_window_in_the_past"],
        ),
        (
            &[("FROM events WHERE at >= :from AND", "FROM events WHERE at > :from AND")],
            &["level_adjacent_windows", "level_clock_change"],
        ),
        (
            &[(
                "    values = {\"metric\"",
                "    import datetime\n    datetime.datetime.strptime(asked[\"window\"][\"from\"], \"%Y-%m-%dT%H:%M:%SZ\")\n    values = {\"metric\"",
            )],
            &["level_fraction_of_a_second"],
        ),
        (&[("WHERE flag = :flag AND", "WHERE :flag <> '' AND")], &["by_variant_unknown_flag"]),
        (&[("{\"variant\": v,", "{\"variant\": v + \" arm\",")], &["by_variant"]),
        (
            &[(
                "    return {\"arms\": [{\"variant\": v, \"n\": n,",
                "    import time\n    return {\"arms\": [{\"variant\": v, \"n\": n + time.time_ns() // 100 % 1000003,",
            )],
            &["by_variant_same_answer_twice"],
        ),
        (
            &[("first_at >= :from AND first_at < :to", "first_at >= :from AND first_at <= :to")],
            &["by_variant_empty_window", "by_variant_adjacent_windows", "by_variant_clock_change"],
        ),
        (
            &[(
                "    rows = db.execute(BY_VARIANT, values).fetchall()",
                "    rows = db.execute(BY_VARIANT, values).fetchall() or [(\"control\", 0, 0)]",
            )],
            &["by_variant_before_anybody"],
        ),
        (
            &[(
                "asked = json.loads(sys.stdin.readline())",
                "asked = json.loads(sys.stdin.readline())\n    assert \"from_a_later_version\" not in asked",
            )],
            &["unknown_field"],
        ),
        (
            &[(
                "    if asked[\"ask\"] == \"list\"",
                "    if asked[\"ask\"] == \"from_a_later_version\":\n        return {\"n\": 1, \"successes\": 1}\n    if asked[\"ask\"] == \"list\"",
            )],
            &["unknown_question"],
        ),
    ] {
        let checks = checked(&*program(dir.path(), &database, changes), true, Some("soft")).await;
        let failed = of_state(&checks, CheckState::Failed);
        for check in expected {
            assert!(failed.contains(check), "{changes:?} should fail {check}: {checks:#?}");
        }
        let wrong: Vec<&Check> = checks.iter().filter(|check| check.state == CheckState::Failed).collect();
        assert!(wrong.iter().all(|check| check.hint.as_ref().is_some_and(|hint| !hint.is_empty())), "{wrong:#?}");
        seen.extend(failed);
    }
    let never: Vec<&&str> = good.iter().map(|check| &check.check).filter(|check| !seen.contains(check)).collect();
    assert_eq!(never, Vec::<&&str>::new(), "no broken copy fails these");
    let without_flag = checked(&*program(dir.path(), &database, &[]), true, None).await;
    assert_eq!(of_state(&without_flag, CheckState::Skipped), ["by_variant"]);
}

#[tokio::test]
async fn an_api_that_ignores_the_window_is_found() {
    let config =
        "url: ${URL}, metrics: [{ name: order paid, path: \"/paid?from={from}&to={to}\", n: $.n, successes: $.k }]";
    let failed = async |is_deaf: bool| {
        let server = MockServer::start().await;
        let answer = move |request: &Request| {
            let instant = |key: &str| -> Timestamp {
                request.url.query_pairs().find(|(name, _)| name == key).unwrap().1.parse().unwrap()
            };
            let hours = instant("to").duration_since(instant("from")).as_hours();
            let n = if is_deaf { 7 } else { hours };
            ResponseTemplate::new(200).set_body_json(json!({ "n": n, "k": n / 2 }))
        };
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let source = super::kit::open("http_json", config, &[("${URL}", &server.uri())]);
        let checks = checked(&*source, false, None).await;
        of_state(&checks, CheckState::Failed)
    };
    assert_eq!(failed(true).await, ["level_empty_window", "level_window_in_the_past"]);
    assert_eq!(failed(false).await, Vec::<&str>::new(), "it may have as many in every week");
}
