//! Databases of earlier versions are known again, and nobody else's schema is touched.

use futures::future::try_join_all;
use outcome_core::Code;
use outcome_core::address::Address;
use outcome_core::domain::Closing;
use outcome_core::store::{Db, Engine, Origin};
use outcome_tests::lab::Lab;
use outcome_tests::postgres;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};

use crate::{TestDb, each_db, each_lab, each_url};

/// What sqlx's own migrator stored for the steps that were made with it: number, name, SHA-384 of the file.
const OF_SQLITE: [(i64, &str, &str); 4] = [
    (1, "initial", "7587ddb08e9b56ec5c396d083540111bed570992ff30a33ef1a9cf5b9c38f79ae84b800479e930e77be131e790be899d"),
    (
        2,
        "event pauses",
        "39d5702fd58175aa912235b36242b26e4a402ecacd4da9eb4e916ad3a5c3d2c9c26cba9881499ba680dcad5d017c4b1f",
    ),
    (3, "lists", "7c9faa88351ca839b3be976e0e082e9e93ac5167504d6b689cc3b4676f967c206420300e7716004f53d4e3ea37c1f590"),
    (4, "search", "8d68550664b6b83ff9626fdf121e9c16c0b0eee180804c5f37341c2543db3a0a6434d4f5e32ad0f9aa4be0f2eb8531b4"),
];
const OF_POSTGRES: [(i64, &str, &str); 4] = [
    (1, "initial", "53834683c8bb307420524194839bb33aa2d5e4361d1f908ad63ba4ac0e272108dc217d8d2e1c07a247ca1c4db3b872b0"),
    (
        2,
        "event pauses",
        "39d5702fd58175aa912235b36242b26e4a402ecacd4da9eb4e916ad3a5c3d2c9c26cba9881499ba680dcad5d017c4b1f",
    ),
    (3, "lists", "7c9faa88351ca839b3be976e0e082e9e93ac5167504d6b689cc3b4676f967c206420300e7716004f53d4e3ea37c1f590"),
    (4, "search", "6c28d3e67b401a0e00bbb330f19ba28c566082044a129424e8fc6c189c7eeda465249b73d5adce3c606e5c8d13cca84c"),
];

/// The number of the newest step.
const NEWEST: i64 = 19;

const BEFORE_NEWEST: &str = "
    DROP INDEX event_by_kind;
    DELETE FROM runtime_migration WHERE version = 11";

/// A schema as it was before keys were read into columns, from one as it was before the newest step.
const BEFORE_KEYS: &str = "
    DROP INDEX experiment_by_flag;
    DELETE FROM runtime_migration WHERE version = 19;
    DROP TABLE retention;
    DROP TABLE raw_answer;
    DELETE FROM runtime_migration WHERE version = 18;
    DROP TABLE secret;
    DELETE FROM runtime_migration WHERE version = 17;
    DROP TABLE cohort;
    DELETE FROM runtime_migration WHERE version = 16;
    DROP TABLE account_turn;
    DROP TABLE account;
    DROP TABLE source_state;
    DROP TABLE worker;
    DROP TABLE job;
    DELETE FROM runtime_migration WHERE version = 15;
    DROP INDEX nonce_over;
    DELETE FROM runtime_migration WHERE version = 14;
    DROP TABLE member_opening;
    DELETE FROM runtime_migration WHERE version = 13;
    DROP TABLE configuration;
    DELETE FROM runtime_migration WHERE version = 10;
    DROP TABLE delivery;
    DELETE FROM runtime_migration WHERE version = 9;
    DROP TABLE machine_clock;
    DELETE FROM runtime_migration WHERE version = 8;
    ALTER TABLE allocation_phase DROP COLUMN begins;
    ALTER TABLE signal_health DROP COLUMN failing_since;
    DELETE FROM runtime_migration WHERE version = 7;
    DROP INDEX outbox_by_subject;
    DROP INDEX outbox_closed;
    ALTER TABLE outbox DROP COLUMN subject_id;
    ALTER TABLE outbox DROP COLUMN closed_as;
    ALTER TABLE measurement DROP COLUMN is_pushed;
    ALTER TABLE measurement DROP COLUMN reread_of;
    DELETE FROM runtime_migration WHERE version = 6";

async fn run(url: &str, sql: &str) {
    let sql = AssertSqlSafe(sql.to_owned());
    if url.starts_with("sqlite:") {
        sqlx::raw_sql(sql).execute(&mut SqliteConnection::connect(url).await.unwrap()).await.unwrap();
    } else {
        sqlx::raw_sql(sql).execute(&mut postgres::ours(url).await.unwrap()).await.unwrap();
    }
}

/// Opens it and brings it up to date.
async fn migrated(url: &str) -> outcome_core::Result<Db> {
    Db::open_migrated(&Address::parse(url).unwrap()).await
}

async fn steps(url: &str) -> Vec<(i64, String, bool, Vec<u8>)> {
    let sql = "SELECT version, description, success, checksum FROM runtime_migration ORDER BY version";
    if url.starts_with("sqlite:") {
        sqlx::query_as(sql).fetch_all(&mut SqliteConnection::connect(url).await.unwrap()).await.unwrap()
    } else {
        sqlx::query_as(sql).fetch_all(&mut postgres::ours(url).await.unwrap()).await.unwrap()
    }
}

#[tokio::test]
async fn the_steps_are_stored_as_they_were_before_the_program_ran_them_itself() {
    each_db(async |TestDb { db, url }| {
        let known = match db.engine() {
            Engine::Sqlite => OF_SQLITE,
            Engine::Postgres => OF_POSTGRES,
        };
        let found = steps(&url).await;
        assert_eq!(found.last().unwrap().0, NEWEST);
        for ((version, name, checksum), found) in known.into_iter().zip(found) {
            assert_eq!(found, (version, name.to_owned(), true, hex::decode(checksum).unwrap()));
        }
    })
    .await;
}

#[tokio::test]
async fn an_earlier_schema_gets_what_it_lacks_and_nothing_twice() {
    each_db(async |TestDb { db, url }| {
        db.close().await;
        let new = steps(&url).await;
        run(&url, BEFORE_NEWEST).await;
        migrated(&url).await.unwrap().close().await;
        assert_eq!(steps(&url).await, new);
        // The step was run: what it made can be dropped again.
        run(&url, BEFORE_NEWEST).await;
        migrated(&url).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_earlier_programs_read_out_of_keys_stands_in_columns() {
    each_lab(async |lab: Lab| {
        let slug = lab.running("Softer level", "soft").await.unwrap();
        lab.arms("soft", (700, 210, 3), (700, 210, 3)).await.unwrap();
        lab.poll_after(24).await.unwrap();
        let experiment = lab.runtime.experiments().show(&slug).await.unwrap().experiment.id;
        let key = |like: &str, key: &str| {
            format!("UPDATE measurement SET natural_key = '{key}' WHERE natural_key LIKE 'poll/%/{like}/%'")
        };
        let reread = "reread/2026-10-01T08:00:00.250000Z/soft/again";
        assert_eq!(lab.raw(&key("came_back/0/control", reread)).await.unwrap(), 1);
        assert_eq!(lab.raw(&key("came_back/0/treatment", "push/shop/1/treatment")).await.unwrap(), 1);
        let url = match lab.database() {
            Some(url) => url.to_owned(),
            None => format!("sqlite:{}", lab.root().join(".outcome/outcome.db").display()),
        };
        run(&url, BEFORE_NEWEST).await;
        run(&url, BEFORE_KEYS).await;

        let db = migrated(&url).await.unwrap();
        let mut tx = db.read(lab.runtime.workspace().id).await.unwrap();
        let readings = tx.measurement_of_experiment(experiment).await.unwrap();
        let origins: Vec<Origin> = readings
            .iter()
            .filter(|reading| reading.measurement.signal == "came_back")
            .map(|reading| reading.origin)
            .collect();
        assert_eq!(origins, [Origin::Reread("2026-10-01T08:00:00.25Z".parse().unwrap()), Origin::Pushed]);
        let others = readings.iter().filter(|reading| reading.measurement.signal != "came_back");
        assert!(others.clone().count() > 0 && others.clone().all(|reading| reading.origin == Origin::Polled));
        assert_eq!(tx.outbox_closed_as(Closing::Delivered).await.unwrap().0, 1, "the flag");
        let (n_notices, newest) = tx.outbox_closed_as(Closing::NoChannel).await.unwrap();
        assert!(n_notices > 0 && newest.unwrap().message.is_ok());
    })
    .await;
}

#[tokio::test]
async fn tables_of_an_application_are_left_alone_and_what_is_missing_is_said() {
    each_url(async |url| {
        let of_the_shop = "CREATE TABLE gate (note TEXT); INSERT INTO gate VALUES ('of the shop')";
        if url.starts_with("sqlite:") {
            let file = url.trim_start_matches("sqlite:").to_owned();
            std::fs::write(&file, "").unwrap();
            run(&url, of_the_shop).await;
            let error = migrated(&url).await.unwrap_err();
            assert!(error.message().contains("of another application"), "{error}");
            assert_eq!(Db::open(&Address::parse(&url).unwrap()).await.unwrap_err().code(), Code::DatabaseEmpty);
            return;
        }
        let of_us = async |sql: &'static str| {
            let mut conn = PgConnection::connect(&url).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
        };
        let address = Address::parse(&url).unwrap();
        assert_eq!(Db::open(&address).await.unwrap_err().code(), Code::DatabaseEmpty);
        of_us(of_the_shop).await;
        of_us(
            "CREATE TABLE _sqlx_migrations (version BIGINT, checksum BYTEA, success BOOLEAN); \
               INSERT INTO _sqlx_migrations VALUES (1, '\\x00', TRUE)",
        )
        .await;
        assert_eq!(Db::open(&address).await.unwrap_err().code(), Code::DatabaseEmpty, "they are the application's");
        migrated(&url).await.unwrap().close().await;
        Db::open(&address).await.unwrap().close().await;
        let mut conn = PgConnection::connect(&url).await.unwrap();
        let beside: (String, i64) = sqlx::query_as(
            "SELECT (SELECT note FROM public.gate), (SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public')",
        )
        .fetch_one(&mut conn)
        .await
        .unwrap();
        assert_eq!(beside, ("of the shop".to_owned(), 2));

        // Whoever may not make a schema is told so, and nothing is made.
        of_us("CREATE SCHEMA elsewhere; CREATE ROLE small_role LOGIN; GRANT USAGE ON SCHEMA elsewhere TO small_role")
            .await;
        let mut small = url::Url::parse(&url).unwrap();
        small.set_username("small_role").unwrap();
        for schema in ["elsewhere", "nowhere"] {
            let mut address = small.clone();
            address.query_pairs_mut().append_pair("schema", schema);
            let error = migrated(address.as_str()).await.unwrap_err();
            assert_eq!(error.code(), Code::DatabaseFailed, "{error:?}");
            assert!(error.message().contains("lacks a right"), "{error}");
            assert!(error.hint_text().is_some_and(|hint| hint.contains("AUTHORIZATION")), "{error:?}");
        }
        of_us("DROP OWNED BY small_role; DROP ROLE small_role").await;
    })
    .await;
}

/// The schema as programs before had it: on PostgreSQL among the tables of the application.
const AS_BEFORE: &str = "ALTER TABLE runtime_migration RENAME TO _sqlx_migrations";

#[tokio::test]
async fn tables_of_earlier_programs_are_moved_by_migrating_and_by_nothing_else() {
    each_db(async |TestDb { db, url }| {
        let engine = db.engine();
        db.close().await;
        run(&url, BEFORE_NEWEST).await;
        run(&url, BEFORE_KEYS).await;
        run(&url, AS_BEFORE).await;
        if engine == Engine::Postgres {
            run(&url, "DO $$ DECLARE t TEXT; BEGIN FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'outcome_runtime' LOOP \
                       EXECUTE format('ALTER TABLE outcome_runtime.%I SET SCHEMA public', t); END LOOP; END $$; \
                       DROP SCHEMA outcome_runtime").await;
        }
        let address = Address::parse(&url).unwrap();
        for _ in 0..2 {
            assert_eq!(Db::open(&address).await.unwrap_err().code(), Code::DatabaseOlder);
        }
        migrated(&url).await.unwrap().close().await;
        assert_eq!(Db::open(&address).await.unwrap().workspace_list().await.unwrap(), []);
        assert_eq!(steps(&url).await.last().unwrap().0, NEWEST);
        if engine == Engine::Postgres {
            let mut conn = PgConnection::connect(&url).await.unwrap();
            let left: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'")
                .fetch_one(&mut conn).await.unwrap();
            assert_eq!(left, 0, "every table of ours was moved");
        }
    })
    .await;
}

#[tokio::test]
async fn a_schema_that_is_newer_altered_or_unfinished_is_refused() {
    each_db(async |TestDb { db, url }| {
        let newer = match db.engine() {
            Engine::Sqlite => "VALUES (9999, 'of tomorrow', CURRENT_TIMESTAMP, TRUE, x'00', 0)",
            Engine::Postgres => "VALUES (9999, 'of tomorrow', CURRENT_TIMESTAMP, TRUE, '\\x00', 0)",
        };
        db.close().await;
        let insert =
            "INSERT INTO runtime_migration (version, description, installed_on, success, checksum, execution_time)";
        let refused = async || migrated(&url).await.unwrap_err();
        run(&url, &format!("{insert} {newer}")).await;
        let error = refused().await;
        assert_eq!((error.code(), error.message().contains("schema 9999")), (Code::DatabaseNewer, true), "{error}");
        run(&url, "DELETE FROM runtime_migration WHERE version = 9999").await;

        run(&url, "UPDATE runtime_migration SET success = FALSE WHERE version = 3").await;
        assert_eq!(refused().await.code(), Code::DatabaseFailed);
        run(&url, "UPDATE runtime_migration SET success = TRUE WHERE version = 3").await;

        run(
            &url,
            "UPDATE runtime_migration SET checksum = (SELECT checksum FROM runtime_migration WHERE version = 1)
             WHERE version = 2",
        )
        .await;
        let error = refused().await;
        assert_eq!((error.code(), error.message().contains("step 2")), (Code::DatabaseCorrupt, true), "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_start_together_on_an_empty_database_all_work() {
    each_url(async |url| {
        let opened = try_join_all((0..6).map(|_| migrated(&url))).await.unwrap();
        for db in opened {
            assert_eq!(db.workspace_list().await.unwrap(), []);
        }
        assert_eq!(steps(&url).await.last().unwrap().0, NEWEST);
    })
    .await;
}
