//! What `init` proposes for the databases of usual applications. Each proposal is a committed file, passes the checks of an outcome file
//! without a remark, and names nothing that is not there, whatever the tables are called.

use outcome_core::config::{Parsed, render_all};
use outcome_core::first_file::{Aim, Layout, Proposal, Samples, plain, propose, wanted, write};
use outcome_core::ports::{ColumnInfo, ColumnKind, CommonValue, SqlEngine, TableInfo, Tables};
use pretty_assertions::assert_eq;
use proptest::prelude::*;

use crate::{golden, parse, repo};

/// One table a line: `users: id whole, created_at instant`.
fn tables(engine: SqlEngine, text: &str) -> Tables {
    let column = |text: &str| {
        let (name, kind) = text.trim().rsplit_once(' ').unwrap();
        let kind = match kind {
            "whole" => ColumnKind::Whole,
            "number" => ColumnKind::Number,
            "text" => ColumnKind::Text,
            "uuid" => ColumnKind::Uuid,
            "instant" => ColumnKind::Instant,
            "day" => ColumnKind::Day,
            "flag" => ColumnKind::Boolean,
            other => panic!("{other}"),
        };
        ColumnInfo { name: name.to_owned(), kind }
    };
    let table = |line: &str| {
        let (name, columns) = line.trim().split_once(": ").unwrap();
        TableInfo { schema: None, name: name.to_owned(), columns: columns.split(',').map(column).collect() }
    };
    Tables { engine, tables: text.trim().lines().map(table).collect() }
}

/// Every table has rows, and columns the values that are given as `table.column=a|b`.
fn samples(tables: &Tables, values: &[&str]) -> Samples {
    let mut samples = Samples::default();
    for table in &tables.tables {
        samples.keep_count(table, 100);
    }
    for (table, column) in wanted(tables).values {
        let name = format!("{}.{}=", table.name, column.name);
        let given = values.iter().find_map(|value| value.strip_prefix(&name));
        let given = given.unwrap_or(if column.kind == ColumnKind::Instant { "2026-11-20 10:00:00" } else { "" });
        let all = given.split('|').filter(|text| !text.is_empty());
        let values = all.map(|text| CommonValue { text: text.to_owned(), n: 10 }).collect();
        samples.keep_values(table, column, values);
    }
    samples
}

fn proposal(all: Tables, values: &[&str]) -> Option<Proposal> {
    let (all, left_out) = plain(all);
    propose(&all, &samples(&all, values), left_out)
}

fn text_of(proposal: &Proposal, metric: usize, layout: &Layout) -> String {
    let aim = Aim {
        outcome: outcome_core::domain::Slug::from_title(&proposal.metrics[metric].name),
        metric,
        from: Some(0.262_33),
        to: None,
        margin: Some(0.02),
    };
    write(proposal, layout, &aim, "${DATABASE_URL}").unwrap().text
}

/// What is said of a file, besides that there is no table of exposures yet.
fn said(parsed: &Parsed) -> String {
    let found = parsed.diagnostics.iter().filter(|found| found.code != "config.exposures_missing");
    render_all(&found.cloned().collect::<Vec<_>>(), false)
}

/// No error and no warning.
#[track_caller]
fn must_be_valid(text: &str) {
    let parsed = parse(text, "outcome.yaml", None);
    assert_eq!(said(&parsed), "", "{text}");
    assert!(parsed.config.is_some());
}

const RAILS: &str = "
schema_migrations: version text
ar_internal_metadata: key text, value text, created_at instant, updated_at instant
users: id whole, email text, encrypted_password text, confirmed_at instant, last_sign_in_at instant, created_at instant, updated_at instant
orders: id whole, user_id whole, status text, total_cents whole, created_at instant, updated_at instant
order_items: id whole, order_id whole, product_id whole, created_at instant
products: id whole, name text, created_at instant
refunds: id whole, order_id whole, user_id whole, created_at instant
active_storage_blobs: id whole, key text, created_at instant";

const DJANGO: &str = "
django_session: session_key text, expire_date instant
django_migrations: id whole, app text, applied instant
auth_user: id whole, username text, last_login instant, is_active flag, date_joined instant
auth_group: id whole, name text
auth_user_groups: id whole, user_id whole, group_id whole
billing_subscription: id whole, user_id whole, state text, started_at instant
blog_post: id whole, author_id whole, created instant";

const PRISMA: &str = "
_prisma_migrations: id text, finished_at instant
User: id text, email text, emailVerified instant, createdAt instant, updatedAt instant
Account: id text, userId text, provider text, access_token text, expires_at whole
Session: id text, sessionToken text, userId text, expires instant
Purchase: id text, userId text, priceInCents whole, amount number, createdAt instant
VerificationToken: identifier text, token text, expires instant";

const EVENTS: &str = "
events: id whole, user_id text, event_name text, properties text, timestamp instant
experiment_assignments: id whole, user_id text, experiment_key text, variation text, assigned_at instant";

const SHOP: &str = "
visitors: id whole, first_seen_at text, signed_up_at text
exposures: visitor_id whole, flag text, variant text, exposed_at text";

#[test]
fn usual_applications_get_a_file_that_is_valid() {
    let named = "events.event_name=page_view|add_to_cart|checkout_started|purchase|signup_completed";
    let at = ["visitors.first_seen_at=2026-11-20 10:00:00", "visitors.signed_up_at=2026-11-20 10:00:00"];
    let shop = [at[0], at[1], "exposures.variant=control|treatment", "exposures.exposed_at=2026-11-20 10:00:00"];
    let states = ["orders.status=paid|pending|cancelled|shipped", "billing_subscription.state=active"];
    for (name, engine, text, values) in [
        ("rails", SqlEngine::Postgres, RAILS, &states[..]),
        ("django", SqlEngine::MySql, DJANGO, &states[..]),
        ("prisma", SqlEngine::Postgres, PRISMA, &[]),
        ("events", SqlEngine::Postgres, EVENTS, &[named, "experiment_assignments.variation=off|on"]),
        ("shop", SqlEngine::Sqlite, SHOP, &shop),
    ] {
        let proposal = proposal(tables(engine, text), values).unwrap_or_else(|| panic!("{name}: nothing fits"));
        assert!(proposal.metrics.len() <= 3, "{name}: {:#?}", proposal.metrics);
        let folders: Vec<String> = ["db/migrate", "app/billing"].map(ToOwned::to_owned).into();
        let layout = Layout::of(&folders, &["Gemfile.lock".to_owned()], &[]);
        let text = text_of(&proposal, 0, &layout);
        must_be_valid(&text);
        golden(&repo().join(format!("tests/golden/first_file/{name}.yaml")), &text);
        for metric in 1..proposal.metrics.len() {
            must_be_valid(&text_of(&proposal, metric, &Layout::default()));
        }
    }
}

#[test]
fn where_nothing_fits_nothing_is_proposed() {
    for text in [
        "products: id whole, name text, created_at instant\nschema_migrations: version text",
        // People without anything that they do.
        "users: id whole, email text",
        "users: id whole, email text, created_at instant",
        // Things without anybody who does them.
        "orders: id whole, total number, created_at instant",
        // Whose keys cannot be joined.
        "users: id uuid, created_at instant\norders: id whole, user_id whole, created_at instant",
    ] {
        assert_eq!(proposal(tables(SqlEngine::Postgres, text), &[]), None, "{text}");
    }
}

#[test]
fn instants_in_a_way_of_their_own_are_said_to_the_source_or_not_used() {
    let text = "users: id whole, created_at whole\norders: id whole, user_id whole, created_at whole\npayments: id whole, user_id whole, created_at text";
    let millis = [
        "users.created_at=1763632800000",
        "orders.created_at=1763632800000",
        "payments.created_at=2026-11-20 10:00:00",
    ];
    let found = proposal(tables(SqlEngine::Sqlite, text), &millis).unwrap();
    let text = text_of(&found, 0, &Layout::default());
    must_be_valid(&text);
    assert!(text.contains("time_format: unix_millis") && text.contains("table: orders"), "{text}");
    assert!(!text.contains("payments"), "{text}");
}

#[test]
fn a_table_without_rows_is_taken_last() {
    let all = tables(SqlEngine::Postgres, RAILS);
    let mut seen = samples(&all, &[]);
    for table in all.tables.iter().filter(|table| table.name == "orders") {
        seen.keep_count(table, 0);
    }
    let found = propose(&all, &seen, Vec::new()).unwrap();
    assert_eq!(found.metrics[0].name, "confirmation_rate", "{:#?}", found.metrics);
}

#[test]
fn without_a_table_of_exposures_an_empty_query_stands_in_for_it() {
    let found = proposal(tables(SqlEngine::Postgres, RAILS), &[]).unwrap();
    let text = text_of(&found, 0, &Layout::default());
    assert!(text.contains("CREATE TABLE exposures (user_id BIGINT NOT NULL"), "{text}");
    assert!(text.contains("FROM users WHERE 1 = 0"), "{text}");
    let parsed = parse(&text, "outcome.yaml", None);
    let codes: Vec<_> = parsed.diagnostics.iter().map(|found| found.code).collect();
    assert_eq!(codes, ["config.exposures_missing"]);
}

/// What somebody who can make tables may call them.
fn hostile() -> impl Strategy<Value = String> {
    let parts = prop_oneof![
        Just("users".to_owned()),
        Just("orders".to_owned()),
        Just("\n  evil: true".to_owned()),
        Just("\"".to_owned()),
        Just("'".to_owned()),
        Just("`".to_owned()),
        Just(": ".to_owned()),
        Just("# ".to_owned()),
        Just("}".to_owned()),
        Just("\u{202e}".to_owned()),
        Just("\u{200b}".to_owned()),
        Just("; DROP TABLE users; --".to_owned()),
        Just("${SECRET}".to_owned()),
        Just("*a".to_owned()),
        Just("\u{43e}".to_owned()),
        Just("\\".to_owned()),
        Just("\0".to_owned()),
        Just("\u{2028}".to_owned()),
        any::<String>(),
    ];
    proptest::collection::vec(parts, 1..4).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Beside tables that fit, with names put in each place: the file stays valid and says the same; what cannot be written is left out and named.
    #[test]
    fn no_name_of_a_database_says_anything_in_the_file(name in hostile(), value in hostile(), place in 0..6_usize) {
        let mut all = tables(SqlEngine::Postgres, RAILS);
        all.tables.push(TableInfo { schema: None, name: "events".to_owned(), columns: Vec::new() });
        let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.is_empty() && name.len() < 60;
        match place {
            0 => all.tables[2].name = name.clone(),
            1 => all.tables[3].name = format!("{name}_orders"),
            2 => all.tables[3].columns[3].name = name.clone(),
            3 => all.tables[3].schema = Some(name.clone()),
            4 => all.tables[2].columns[6].name = name.clone(),
            _ => all.tables.insert(0, TableInfo { schema: Some(name.clone()), name: "users".to_owned(), columns: all.tables[2].columns.clone() }),
        }
        let (all, left_out) = plain(all);
        let values = format!("orders.status={}|pending", value.replace('|', ""));
        let Some(found) = propose(&all, &samples(&all, &[&values]), left_out.clone()) else { return Ok(()) };
        let text = text_of(&found, 0, &Layout::default());
        let parsed = parse(&text, "outcome.yaml", None);
        prop_assert_eq!(said(&parsed), "", "{}", text);
        let evil = ["evil: true", "DROP", "${SECRET}", "\u{202e}", "\u{200b}", "\u{2028}"];
        prop_assert!(!evil.iter().any(|evil| text.contains(evil)), "{}", text);
        let config = parsed.config.unwrap();
        prop_assert_eq!(config.outcomes.len(), 1);
        prop_assert_eq!(config.connectors[0].settings.references(), ["${DATABASE_URL}"]);
        if place == 0 && !is_plain && name.contains(['\n', '"', '`', '\0']) {
            prop_assert!(left_out.contains(&name));
        }
    }
}
