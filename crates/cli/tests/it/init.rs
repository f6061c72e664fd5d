//! What `init` finds, asks and leaves.

use crate::first_hour::with_sqlite;
use crate::home::{Home, PASSPHRASE, on_postgresql};
use crate::terminal::on_terminal_with;

/// Nothing of a workspace is there.
#[track_caller]
fn is_untouched(home: &Home) {
    for name in [".outcome", "outcome.yaml", ".local"] {
        assert!(!home.path(name).exists(), "{name} was made");
    }
}

#[test]
fn every_question_has_a_flag_and_the_answer_says_everything_that_was_found() {
    let home = with_sqlite();
    let args = ["init", "--metric", "revenue_per_user", "--target", "9", "--outcome", "more-revenue", "--json"];
    let done = home.sign(&args).exits(0).json();
    assert_eq!(done["found"]["source"]["url"], "sqlite:app.db", "{done:#}");
    assert_eq!(done["found"]["metrics"][0]["name"], "order_rate", "{done:#}");
    assert_eq!(done["proposed"]["outcome"], "more-revenue");
    assert_eq!(done["file"]["activated"][0], "more-revenue", "{done:#}");
    assert_eq!(done["file"]["numbers"][0]["target"], 9.0, "{done:#}");
    let status = home.run(&["status", "--json"]).exits(0).json();
    assert_eq!(status["outcomes"][0]["status"], "active", "{status:#}");
}

#[test]
fn a_wrong_flag_is_said_before_anything_is_made() {
    let home = with_sqlite();
    for (args, part) in [
        (["--metric", "nonsense"], "order_rate"),
        (["--target", "soon"], "give a number such as"),
        (["--target", "1 %"], "not better than today's"),
        (["--outcome", "No Slug"], "lower-case"),
        (["--email", "nobody"], "you@company.com"),
    ] {
        let ran = home.sign(&[&["init", "--json"][..], &args].concat()).exits(2);
        assert_eq!(ran.error_code(), "invalid_input");
        assert!(ran.stdout.contains(part), "{args:?}: {ran:#?}");
        is_untouched(&home);
    }
}

#[test]
fn a_dry_run_prints_the_file_and_writes_nothing() {
    let home = with_sqlite();
    let text = home.run(&["init", "--dry-run"]).exits(0).stdout;
    assert!(text.contains("\n  - id: order-rate ") && text.contains("sqlite:app.db"), "{text}");
    let json = home.run(&["init", "--dry-run", "--json"]).exits(0).json();
    assert_eq!(json["file"]["text"], text);
    is_untouched(&home);
    // It is what is written.
    home.sign(&["init"]).exits(0);
    let written = std::fs::read_to_string(home.path("outcome.yaml")).unwrap();
    assert!(written.starts_with(&text), "{written}");
}

#[test]
fn where_nothing_fits_the_template_is_written_and_said() {
    let home = Home::new();
    let said = home.sign(&["init"]).exits(0).stdout;
    assert!(said.contains("No metric is proposed") && said.contains("edit outcome.yaml"), "{said}");
    assert!(said.contains("export APP_DATABASE_URL="), "{said}");
    let status = home.run(&["status", "--json"]).exits(0).json();
    assert_eq!(status["outcomes"].as_array().map(Vec::len), Some(0), "nothing is applied: {status:#}");
    // A file that is none.
    let home = Home::new();
    home.write("app.db", "this is no database, and long enough to be looked at as one\n".repeat(20).as_str());
    let said = home.sign(&["init"]).exits(0).stdout;
    assert!(said.contains("No metric is proposed: ") && said.contains("found app.db"), "{said}");
}

#[test]
fn a_value_of_a_variable_is_never_shown_or_written() {
    let home = Home::new();
    // Nobody listens there.
    let url = "postgres://shop:hunter2@127.0.0.1:1/shop";
    home.write(".env", &format!("DATABASE_URL={url}\n"));
    for envs in [&[][..], &[("DATABASE_URL", url)]] {
        let mut dry = home.command(&["init", "--dry-run", "--json"]);
        let dry = crate::home::Ran::new(dry.envs(envs.iter().copied()).output().unwrap()).exits(0);
        assert_eq!(dry.json()["found"]["source"]["url"], "${DATABASE_URL}", "{dry:#?}");
        assert!(dry.json()["found"]["trouble"].is_string(), "{dry:#?}");
        assert!(!format!("{dry:?}").contains("hunter2"), "{dry:#?}");
    }
    let said = home.sign(&["init"]).exits(0);
    let file = std::fs::read_to_string(home.path("outcome.yaml")).unwrap();
    assert!(!format!("{said:?}{file}").contains("hunter2") && file.contains("${DATABASE_URL}"), "{said:#?}{file}");
    assert!(said.stdout.contains("read from .env for this one look"), "{said:#?}");
}

#[test]
fn what_cannot_be_activated_is_named_and_is_no_failure() {
    let home = with_sqlite();
    // A level that everybody is far from: the file is right, and the database empty of what is asked.
    let sql = ["DELETE FROM orders".to_owned(), "DELETE FROM users".to_owned()];
    run_sql(&home, &sql);
    let said = home.sign(&["init"]).exits(0).stdout;
    assert!(said.contains("Not done yet: activate ") && said.contains("outcome-runtime activate order-rate"), "{said}");
}

fn run_sql(home: &Home, all: &[String]) {
    use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut db =
            sqlx::SqliteConnection::connect(&format!("sqlite:{}", home.path("app.db").display())).await.unwrap();
        for sql in all {
            db.execute(AssertSqlSafe(sql.clone())).await.unwrap();
        }
        db.close().await.unwrap();
    });
}

#[test]
fn a_bad_e_mail_is_asked_again_and_ctrl_u_clears_every_line() {
    let home = with_sqlite();
    let answers = [
        ("Your e-mail", "\u{15}nobody"),
        ("is not an e-mail address", "wrong@example\u{15}dana@example.com"),
        ("Your name", "Nobody\u{15}Dana"),
        ("What should move?", ""),
        ("Target in 6 weeks", "1 %"),
        ("not better than today", "99\u{15}30 %"),
        ("Passphrase for your signing key", "not that one\u{15}correct horse battery"),
        ("Repeat the passphrase", "nor that\u{15}correct horse battery"),
    ];
    let Some((code, seen)) = on_terminal_with(&home, &["init"], &answers, &[]) else { return };
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("dana@example.com") && seen.contains("Target: 30 % until"), "{seen}");
    // The passphrase is the one behind Ctrl-U.
    assert_eq!(PASSPHRASE, "correct horse battery");
    home.sign(&["abandon", "order-rate"]).exits(0);
}

#[test]
fn three_bad_answers_end_it() {
    let home = with_sqlite();
    let answers = [("Your e-mail", "\u{15}a"), ("is not an e-mail address", "b"), ("`b` is not an e-mail", "c")];
    let Some((code, seen)) = on_terminal_with(&home, &["init"], &answers, &[]) else { return };
    assert_eq!(code, Some(2), "{seen}");
    is_untouched(&home);
}

#[test]
fn whoever_gives_up_at_a_question_leaves_nothing() {
    let home = with_sqlite();
    let all = [
        ("Your e-mail", ""),
        ("Your name", ""),
        ("What should move?", ""),
        ("Target in 6 weeks", ""),
        ("Passphrase for your signing key", PASSPHRASE),
        ("Repeat the passphrase", PASSPHRASE),
    ];
    for n in 0..all.len() {
        let mut answers = all[..=n].to_vec();
        answers[n].1 = "\u{3}";
        let Some((code, seen)) = on_terminal_with(&home, &["init"], &answers, &[]) else { return };
        assert_eq!(code, Some(2), "{}: {seen}", all[n].0);
        assert!(seen.contains("cancelled; nothing was changed"), "{seen}");
        is_untouched(&home);
    }
}

/// Names in capitals, as Prisma makes them, a table of exposures with arms of its own names, and something that should not happen.
const PRISMA: [&str; 6] = [
    r#"CREATE TABLE "User" (id text PRIMARY KEY, email text, "createdAt" timestamp(3) NOT NULL, "updatedAt" timestamp(3))"#,
    r#"CREATE TABLE "Purchase" (id text PRIMARY KEY, "userId" text NOT NULL, amount numeric NOT NULL, "createdAt" timestamp(3) NOT NULL)"#,
    r#"CREATE TABLE "Refund" (id text PRIMARY KEY, "userId" text NOT NULL, "createdAt" timestamp(3) NOT NULL)"#,
    r#"CREATE TABLE "ExperimentExposure" ("userId" text NOT NULL, "experimentKey" text NOT NULL, variant text NOT NULL, "createdAt" timestamp(3) NOT NULL)"#,
    r#"INSERT INTO "User" (id, "createdAt") SELECT 'u' || n, now() - n * interval '10 minutes' FROM generate_series(1, 4000) AS n"#,
    r#"WITH bought AS (INSERT INTO "Purchase" SELECT 'p' || n, 'u' || n, 9.5, now() - (n * 10 - 5) * interval '1 minute' FROM generate_series(4, 4000, 4) AS n),
        back AS (INSERT INTO "Refund" SELECT 'r' || n, 'u' || n, now() - (n * 10 - 8) * interval '1 minute' FROM generate_series(40, 4000, 40) AS n)
       INSERT INTO "ExperimentExposure" SELECT 'u' || n, 'new-checkout', CASE WHEN n % 2 = 0 THEN 'off' ELSE 'on' END, now() - n * interval '10 minutes' FROM generate_series(1, 400) AS n"#,
];

#[test]
fn names_in_capitals_and_arms_of_other_names_are_measured_on_postgresql() {
    let Some(url) = on_postgresql(PRISMA.map(ToOwned::to_owned)) else { return };
    let home = Home::new();
    home.write("prisma/schema.prisma", "datasource db {\n  url = env(\"MAIN_DATABASE_URL\")\n}\n");
    let mut init = home.signing("passphrase", &["init", "--json"]);
    let done = crate::home::Ran::new(init.env("MAIN_DATABASE_URL", &url).output().unwrap()).exits(0).json();
    assert_eq!(done["file"]["activated"][0], "purchase-rate", "{done:#}");
    assert_eq!(done["file"]["left"].as_array().map(Vec::len), Some(0), "{done:#}");
    let file = std::fs::read_to_string(home.path("outcome.yaml")).unwrap();
    for part in
        [r#"\"ExperimentExposure\""#, r#"control: ["off"], treatment: ["on"]"#, "refund_rate", "${MAIN_DATABASE_URL}"]
    {
        assert!(file.contains(part), "{part}: {file}");
    }
    let baseline = done["file"]["numbers"][0]["value"].as_f64().unwrap();
    assert!((baseline - 0.25).abs() < 0.001, "{done:#}");
}
