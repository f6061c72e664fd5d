//! The files that we hand out, run as they are: the right one of two experiments wins, whatever the exposures look like.
//!
//! Each person is seen three times, the winner and a change that does nothing run at the same time, and some people see both arms. A file is
//! changed only where it must be: the address of its source, the name of the outcome and of the member, and the paths of the laboratory.

use anyhow::{Context as _, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use outcome_core::config::{TemplateOptions, template};
use outcome_tests::lab::{Lab, MEMBER, OUTCOME, hypothesis};
use outcome_tests::postgres;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use crate::units::{launch_planned, result};

/// What the files read.
const TABLES: &str = "
    CREATE TABLE visitors (id INTEGER PRIMARY KEY, first_seen_at @AT@, signed_up_at @AT@);
    CREATE TABLE exposures (visitor_id INTEGER, user_id INTEGER, flag TEXT, variant TEXT, exposed_at @AT@, seen_at @AT@, is_bot BOOLEAN);
    CREATE TABLE visits (user_id INTEGER, seen_at @AT@, at @AT@);
    CREATE TABLE orders (user_id INTEGER, created_at @AT@, total INTEGER, kind TEXT, status TEXT, is_test BOOLEAN);
    CREATE TABLE refunds (user_id INTEGER, created_at @AT@);
    CREATE TABLE requests (user_id INTEGER, at @AT@, status INTEGER);
    CREATE TABLE carts (user_id INTEGER, platform TEXT, viewed_at @AT@, total INTEGER);
    CREATE TABLE payments (status TEXT, created_at @AT@);
    CREATE TABLE first_responses (minutes INTEGER, created_at @AT@);
    CREATE INDEX exposures_by ON exposures (flag, exposed_at); CREATE INDEX orders_by ON orders (user_id, created_at)";

/// A file that we hand out.
struct File {
    name: &'static str,
    text: String,
    /// Share of people who do it.
    base: f64,
    /// What one of them is worth; 1 where only the share counts.
    worth: f64,
    /// Smallest effect that the experiments are to find.
    mde: f64,
}

fn files() -> Result<Vec<File>> {
    let docs = include_str!("../../docs/outcome-yaml.md");
    let block =
        |n: usize| docs.split("```yaml\n").nth(n).and_then(|rest| rest.split("```").next()).map(ToOwned::to_owned);
    let contract = docs.split("## facts and metrics").nth(1).and_then(|rest| rest.split("```yaml\n").nth(1));
    let contract = contract.and_then(|rest| rest.split("```").next()).context("no example of the contract")?;
    let flags = "feature_flags: { provider: flagd_file, config: { path: flags.json } }\n";
    let example = include_str!("../../outcome.yaml.example");
    // Nobody pushes in this test, and the member is alone.
    let (before, rest) =
        example.split_once("      - signal: checkout_p95_latency_ms").context("no pushed constraint")?;
    let (_, after) = rest.split_once("        max: 800\n").context("its end")?;
    let (after, rest) = after.split_once("notifications:").context("no channels")?;
    let (_, end) = rest.split_once("\nllm:").context("their end")?;
    let alone = format!("{before}{after}llm:{end}").replace("assurance: A4", "assurance: A3");
    Ok(vec![
        File {
            name: "what init writes",
            text: template(&TemplateOptions::default()),
            base: 0.10,
            worth: 1.0,
            mde: 0.03,
        },
        File {
            name: "the shortest file",
            text: block(1).context("no shortest file")? + flags,
            base: 0.10,
            worth: 1.0,
            mde: 0.03,
        },
        File { name: "outcome.yaml.example", text: alone, base: 0.32, worth: 1.0, mde: 0.08 },
        File {
            name: "the example of the contract",
            text: format!("{contract}{flags}"),
            base: 0.5,
            worth: 43.0,
            mde: 2.4,
        },
    ])
}

/// The text with what the laboratory needs.
fn fitted(text: &str, source: &str) -> Result<String> {
    let (before, rest) = text.split_once("  - id: ").context("no outcome")?;
    let (_, after) = rest.split_once('\n').context("one line")?;
    let url = |variable: &str| format!("${{{variable}}}");
    Ok(format!("{before}  - id: {OUTCOME}\n{after}")
        .replace(&url("DATABASE_URL"), source)
        .replace(&url("APP_DATABASE_URL"), source)
        .replace(&url("SHOP_DATABASE_URL"), source)
        .replace("${MONITORING_SECRET}", "${file:push.secret}")
        .replace("sam@example.com", MEMBER)
        .replace("checkout-lead@example.com", MEMBER)
        .replace("      - frontend/checkout/", "      - game/")
        .replace("channel: desktop", "channel: none")
        .replace("channel: webhook", "channel: none"))
}

/// Where the people are.
enum Source {
    /// The laboratory's own file.
    Sqlite,
    Postgres(String),
}

impl Source {
    async fn tell(&self, lab: &Lab, sql: &str) -> Result<()> {
        match self {
            Self::Sqlite => lab.tell_source(sql).await,
            Self::Postgres(url) => in_postgres(url, sql).await,
        }
    }
}

async fn in_postgres(url: &str, sql: &str) -> Result<()> {
    let mut db = sqlx::PgConnection::connect(url).await?;
    db.execute("SET TIME ZONE 'UTC'").await?;
    db.execute(AssertSqlSafe(sql.to_owned())).await?;
    Ok(())
}

/// A small generator: the same people in each run.
struct Dice(u64);

impl Dice {
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// `n` people who come in the day before `until`. With `flags` they see both experiments, three times each; 2 % see both arms of the
/// second one.
fn people(dice: &mut Dice, first: usize, n: usize, until: Timestamp, file: &File, flags: bool) -> String {
    let shown = |at: Timestamp| at.strftime("'%Y-%m-%d %H:%M:%S'").to_string();
    let mut rows: [Vec<String>; 6] = Default::default();
    for number in 0..n {
        let id = first + number;
        let at = until - SignedDuration::from_mins((number * 1380 / n + 20) as i64);
        let (came, did) = (shown(at), shown(at + SignedDuration::from_mins(10)));
        let arms = [dice.share() < 0.5, dice.share() < 0.5];
        let is_winner = flags && arms[1];
        let does = dice.share() < file.base * if is_winner { 1.5 } else { 1.0 };
        rows[0].push(format!("({id}, {came}, {})", if does { did.as_str() } else { "NULL" }));
        rows[1].push(format!("({id}, {came}, {came})"));
        if does {
            rows[2].push(format!("({id}, {did}, {}, 'book', 'paid', FALSE)", file.worth));
        }
        rows[5].push(format!("('ok', {came})"));
        rows[3].push(format!("({id}, {did}, {})", if dice.share() < 0.01 { 500 } else { 200 }));
        if !flags {
            continue;
        }
        for (flag, is_treatment) in ["dud", "winner"].into_iter().zip(arms) {
            for again in 0..3 {
                // The last time, one of fifty is seen with the other arm.
                let sees_other = flag == "winner" && again == 2 && number % 50 == 0;
                let variant = if is_treatment != sees_other { "treatment" } else { "control" };
                let at = shown(at + SignedDuration::from_secs(again * 60));
                rows[4].push(format!("({id}, {id}, '{flag}', '{variant}', {at}, {at}, FALSE)"));
            }
        }
    }
    let tables = ["visitors", "visits", "orders", "requests", "exposures", "payments"];
    tables
        .iter()
        .zip(&rows)
        .filter(|(_, rows)| !rows.is_empty())
        .map(|(table, rows)| format!("INSERT INTO {table} VALUES {};", rows.join(",")))
        .collect()
}

async fn play(file: &File, source: &Source) -> Result<()> {
    let start: Timestamp = "2026-10-01T08:00:00Z".parse()?;
    let mut dice = Dice(7);
    let before: String = (0..30)
        .map(|ago: usize| {
            let until = start - SignedDuration::from_hours(24 * i64::try_from(ago).unwrap_or(0));
            people(&mut dice, 1_000_000 + ago * 1000, 600, until, file, false)
        })
        .collect();
    let (address, seeds) = match source {
        Source::Sqlite => ("sqlite:game.db".to_owned(), TABLES.replace("@AT@", "TEXT") + ";" + &before),
        Source::Postgres(url) => {
            in_postgres(url, &TABLES.replace("@AT@", "TIMESTAMPTZ")).await?;
            in_postgres(url, &before).await?;
            (url.clone(), String::new())
        }
    };
    let lab = Lab::declaring_on(None, &fitted(&file.text, &address)?, &seeds).await?;
    let planned = |title: &str, flag: &str| {
        let mut planned = hypothesis(title, flag);
        (planned.expected_improvement, planned.measurement.minimum_detectable_effect) = (file.mde, file.mde);
        planned
    };
    let dud = launch_planned(&lab, planned("Nothing changes", "dud")).await?;
    let winner = launch_planned(&lab, planned("More of them do it", "winner")).await?;
    let (mut found, mut last) = (false, Value::Null);
    for day in 1..=27_usize {
        let until = start + SignedDuration::from_hours(24 * i64::try_from(day)?);
        source.tell(&lab, &people(&mut dice, day * 1000, 600, until, file, true)).await?;
        let polled = lab.poll_after(24).await?;
        ensure!(polled.failures.is_empty(), "day {day}: {:?}", polled.failures);
        let nothing = result(&lab, &dud).await?;
        ensure!(
            nothing["verdict"]["decision"] != "ship",
            "day {day}: a change that does nothing is recommended: {nothing}"
        );
        last = result(&lab, &winner).await?;
        ensure!(last["verdict"]["decision"] != "kill_harm", "day {day}: {last}");
        if last["verdict"]["decision"] == "ship" {
            found = true;
            break;
        }
    }
    ensure!(found, "the better one was not found: {last}");
    // People, not rows: of those who came, each once.
    let n = last["n_control"].as_u64().unwrap_or(0) + last["n_treatment"].as_u64().unwrap_or(0);
    ensure!(n > 0 && n <= 27 * 600, "{last}");
    ensure!(last["grade"] == "B" && last["health"][0]["code"] == "both_arms", "{last}");
    Ok(())
}

async fn each_file(source: impl AsyncFn() -> Option<Source>) -> Result<()> {
    for file in files()? {
        let Some(source) = source().await else { return Ok(()) };
        play(&file, &source).await.with_context(|| file.name)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_one_of_two_experiments_wins_by_each_file_that_we_hand_out() -> Result<()> {
    each_file(async || Some(Source::Sqlite)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_files_give_the_same_winner_on_postgres() -> Result<()> {
    each_file(async || match postgres::server() {
        Ok(server) => Some(Source::Postgres(server.database().await)),
        Err(skip) => {
            eprintln!("{skip}");
            None
        }
    })
    .await
}
