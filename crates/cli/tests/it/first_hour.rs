//! A founder's first hour: from an application with a database, an empty home and built programs to a first number, with scripted typing on a
//! terminal and no editor; and the verdict of an experiment that is over. docs/first-hour.md says what is measured here.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::home::{Home, PASSPHRASE, on_postgresql};
use crate::terminal::on_terminal_with;

/// Users of five weeks, one each ten minutes; one of four orders within a day, one of ten of these cancels. `@N@`: a column with the numbers
/// from 1; `@AGO@(x)`: x minutes ago; `@AT@`: the type of an instant.
const SEED: [&str; 4] = [
    "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT NOT NULL, created_at @AT@ NOT NULL, updated_at @AT@)",
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL, status TEXT NOT NULL, total INTEGER NOT NULL, created_at @AT@ NOT NULL)",
    "INSERT INTO users (id, email, created_at) SELECT n, 'someone@example.com', @AGO@ FROM (@N@) numbers",
    "INSERT INTO orders (id, user_id, status, total, created_at)
     SELECT n, n, CASE WHEN n % 40 = 0 THEN 'cancelled' ELSE 'paid' END, 10 + n % 7, @LATER@ FROM (@N@) numbers WHERE n % 4 = 0",
];

fn seed(is_postgres: bool) -> Vec<String> {
    written(&SEED, is_postgres)
}

fn written(statements: &[&str], is_postgres: bool) -> Vec<String> {
    let (at, ago, later, n) = if is_postgres {
        (
            "timestamptz",
            "now() - n * interval '10 minutes'",
            "now() - (n * 10 - 5) * interval '1 minute'",
            "SELECT generate_series(1, 5000) AS n",
        )
    } else {
        (
            "DATETIME",
            "datetime('now', '-' || (n * 10) || ' minutes')",
            "datetime('now', '-' || (n * 10 - 5) || ' minutes')",
            "WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 5000) SELECT n FROM i",
        )
    };
    let written =
        |sql: &&str| sql.replace("@AT@", at).replace("@AGO@", ago).replace("@LATER@", later).replace("@N@", n);
    statements.iter().map(written).collect()
}

/// An application in its repository.
fn application() -> Home {
    let home = Home::new();
    for file in ["src/checkout.ts", "prisma/migrations/1.sql", "src/payments/card.ts", "package-lock.json"] {
        home.write(file, "x\n");
    }
    home
}

pub(crate) fn with_sqlite() -> Home {
    with_sqlite_of(&seed(false))
}

fn with_sqlite_of(statements: &[String]) -> Home {
    let home = application();
    tell_sqlite(&home, statements);
    home
}

fn tell_sqlite(home: &Home, statements: &[String]) {
    use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let url = format!("sqlite:{}?mode=rwc", home.path("app.db").display());
        let mut db = sqlx::SqliteConnection::connect(&url).await.unwrap();
        for sql in statements {
            db.execute(AssertSqlSafe(sql.clone())).await.unwrap();
        }
        db.close().await.unwrap();
    });
}

const ANSWERS: [(&str, &str); 6] = [
    ("Your e-mail", ""),
    ("Your name", ""),
    ("What should move?", ""),
    ("Target in 6 weeks", "30 %"),
    ("Passphrase for your signing key", PASSPHRASE),
    ("Repeat the passphrase", PASSPHRASE),
];

/// A line without the colours of the terminal.
fn plain(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    let rest = parts.map(|part| part.split_once('m').map_or("", |(_, rest)| rest));
    (first + &rest.collect::<String>()).trim_end().to_owned()
}

#[track_caller]
fn is_measured(home: &Home, envs: &[(&str, &str)]) {
    let begun = Instant::now();
    let Some((code, seen)) = on_terminal_with(home, &["init"], &ANSWERS, envs) else { return };
    let took = begun.elapsed();
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("Today: 22.5") && seen.contains("of users order within 7 days"), "{seen}");
    assert!(seen.contains("Target: 30 % until "), "{seen}");
    assert!(!seen.contains(PASSPHRASE), "{seen}");
    for (_, value) in envs {
        assert!(!seen.contains(value), "a value of a variable is shown: {seen}");
    }
    // What was found is read at a glance.
    let found = seen.split("Found").nth(1).and_then(|rest| rest.split("? Your e-mail").next()).unwrap_or_default();
    let lines: Vec<String> = found.lines().map(plain).filter(|line| !line.is_empty()).collect();
    assert!((5..=12).contains(&lines.len()) && lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
    eprintln!("to the first number: {took:.2?}, {} questions, 2 typings of the passphrase", ANSWERS.len());
    assert!(took < Duration::from_mins(3), "{took:?}");
    let file = std::fs::read_to_string(home.path("outcome.yaml")).unwrap();
    for part in ["to: 0.3 ", "prisma/migrations/", "src/payments/", "package-lock.json", "NOT IN ('cancelled')"] {
        assert!(file.contains(part), "{part}: {file}");
    }
    let mut status = home.command(&["status", "--json"]);
    let status = crate::home::Ran::new(status.envs(envs.iter().copied()).output().unwrap()).exits(0).json();
    assert_eq!(status["outcomes"][0]["outcome"], "order-rate", "{status:#}");
    assert_eq!(status["outcomes"][0]["status"], "active", "{status:#}");
    let baseline = status["outcomes"][0]["baseline"].as_f64().unwrap();
    assert!((baseline - 0.225).abs() < 0.001, "{status:#}");
    let mut valid = home.command(&["validate", "--json"]);
    let valid = crate::home::Ran::new(valid.envs(envs.iter().copied()).output().unwrap()).exits(0).json();
    assert_eq!(valid["is_valid"], true, "{valid:#}");
    assert_eq!(codes(&valid), ["config.exposures_missing"], "{valid:#}");
}

/// What `validate` says of the file, by code.
fn codes(valid: &serde_json::Value) -> Vec<&str> {
    valid["diagnostics"].as_array().into_iter().flatten().filter_map(|found| found["code"].as_str()).collect()
}

#[test]
fn from_an_application_on_sqlite_to_a_first_number_without_an_editor() {
    is_measured(&with_sqlite(), &[]);
}

#[test]
fn from_an_application_on_postgresql_to_a_first_number_without_an_editor() {
    let Some(url) = on_postgresql(seed(true)) else { return };
    let home = application();
    home.write(".env.example", "DATABASE_URL=\n");
    is_measured(&home, &[("DATABASE_URL", &url)]);
    let file = std::fs::read_to_string(home.path("outcome.yaml")).unwrap();
    assert!(file.contains("url: \"${DATABASE_URL}\""), "{file}");
}

/// Who saw which arm of an experiment, as they came; in the treatment one of twelve more orders.
const EXPOSED: [&str; 3] = [
    "CREATE TABLE exposures (user_id INTEGER NOT NULL, experiment TEXT NOT NULL, variant TEXT NOT NULL, created_at @AT@ NOT NULL)",
    "INSERT INTO exposures
     SELECT n, 'big-button', CASE WHEN n % 8 < 4 THEN 'treatment' ELSE 'control' END, @AGO@ FROM (@N@) numbers",
    "INSERT INTO orders (id, user_id, status, total, created_at)
     SELECT 10000 + n, n, 'paid', 12, @LATER@ FROM (@N@) numbers WHERE n % 24 = 1 OR n % 24 = 9",
];

/// Sets the workspace up without a question, and asks once about the experiment.
#[track_caller]
fn is_judged(home: &Home, envs: &[(&str, &str)]) {
    let of = |mut command: Command| crate::home::Ran::new(command.envs(envs.iter().copied()).output().unwrap());
    of(home.signing("passphrase", &["init", "--target", "40 %"])).exits(0);
    #[expect(clippy::disallowed_methods, reason = "the program runs by the machine's clock")]
    let day = |ago: i64| {
        let at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * ago);
        at.strftime("%Y-%m-%d").to_string()
    };
    let (from, to) = (day(30), day(2));
    let ask =
        ["metrics", "compare", "order_rate", "--flag", "big-button", "--mde", "10%", "--from", &from, "--to", &to];
    let said = of(home.command(&ask)).exits(0);
    assert!(said.stdout.contains("It works: `order_rate` is ") && said.stdout.contains("1,512 control"), "{said:#?}");
    assert!(said.stdout.lines().all(|line| line.chars().count() <= 80), "{said:#?}");
    let json = of(home.command(&[ask.as_slice(), &["--json"]].concat())).exits(0).json();
    assert_eq!(
        (&json["answer"]["state"], &json["n_exposed"]),
        (&"worked".into(), &serde_json::json!([2016, 2016])),
        "{json:#}"
    );
}

#[test]
fn the_verdict_of_an_experiment_that_is_over_is_one_command_from_its_rows() {
    is_judged(&with_sqlite_of(&[seed(false), written(&EXPOSED, false)].concat()), &[]);
    let Some(url) = on_postgresql([seed(true), written(&EXPOSED, true), vec!["ANALYZE".to_owned()]].concat()) else {
        return;
    };
    let home = application();
    home.write(".env.example", "DATABASE_URL=\n");
    is_judged(&home, &[("DATABASE_URL", &url)]);
}

#[test]
fn the_verdict_of_an_experiment_that_is_over_is_one_command_from_its_counts() {
    let home = Home::new();
    // 10 % and 16 % of 2,800 people each.
    let said = home.run(&["stats", "ab", "--control", "280/2800", "--treatment", "448/2800", "--mde", "20%"]).exits(0);
    assert!(said.stdout.contains("The treatment is better"), "{said:#?}");
}

#[test]
fn nothing_is_proposed_that_cannot_be_measured_and_the_cure_that_is_said_works() {
    let home = with_sqlite();
    let said = home.sign(&["init", "--target", "30 %"]).exits(0).stdout;
    let text = home.run(&["experiment", "propose", "--template"]).exits(0).stdout;
    let text = text.replace("src/signup/", "src/checkout/").replace("duration_days: 28", "duration_days: 35");
    let text = text.replace("minimum_detectable_effect: 0.02", "minimum_detectable_effect: 0.08");
    home.write("hypothesis.yaml", &text);
    let propose = ["experiment", "propose", "--outcome", "order-rate", "--file", "hypothesis.yaml"];

    let refused = home.run(&propose).exits(4);
    let error = &refused.stderr;
    for part in ["no experiment can be measured yet", "`outcome-runtime apply`"] {
        assert!(error.contains(part), "{refused:#?}");
    }
    let status = home.run(&["status", "--json"]).exits(0).json();
    let unmeasured = status["outcomes"][0]["unchecked"][0].as_str().unwrap_or_default();
    assert!(unmeasured.contains("no experiment can be measured yet"), "{status:#}");
    assert!(home.run(&["status"]).stdout.contains("next: make the table of exposures"));
    assert!(home.run(&["doctor"]).stdout.contains("1 warning: config.exposures_missing"));

    let create = said.lines().find(|line| line.contains("CREATE TABLE exposures")).unwrap().trim().to_owned();
    tell_sqlite(&home, &[create]);
    let file = std::fs::read_to_string(home.path("outcome.yaml")).unwrap();
    let named = file.lines().find_map(|line| line.split_once("#   exposures: ")).unwrap().1.to_owned();
    let (before, rest) = file.split_once("    exposures:\n").unwrap();
    let (_, after) = rest.split_once("    population:").unwrap();
    home.write("outcome.yaml", &format!("{before}    exposures: {named}\n    population:{after}"));
    assert_eq!(codes(&home.run(&["validate", "--json"]).exits(0).json()), Vec::<&str>::new());
    home.sign(&["apply"]).exits(0);
    home.run(&propose).exits(0);
    let status = home.run(&["status", "--json"]).exits(0).json();
    assert_eq!(status["outcomes"][0]["unchecked"], serde_json::json!([]), "{status:#}");
}
