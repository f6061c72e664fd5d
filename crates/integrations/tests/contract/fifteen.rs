//! The metrics that METRICS.md 2.1 lists, written in the words of an outcome file, and each held against the raw rows, counted here by hand,
//! on each engine: by user, by account through a map, and by anonymous visitor through the people whom they turned out to be.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use outcome_core::config::parse;
use outcome_core::domain::{ArmSums, SignalSpec, Variant, Window};
use outcome_core::ports::{LookRequest, SignalSource, VariantRequest};
use outcome_integrations::VENDORS;

use crate::contract::SqlConfig;

const LAUNCH: &str = "2026-03-20T09:30:00Z";
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;
const NOW: i64 = 25 * DAY;
const LAG: i64 = 6 * HOUR;
/// A step, a pause of two days, the rest.
const PHASES: [(i64, i64); 3] = [(0, 5 * DAY), (5 * DAY, 12 * DAY), (14 * DAY, NOW)];

const FILE: &str = "
version: 1
signal_connectors:
  - name: app
    type: sql
    config: { url: \"${URL}\" }
    exposures: { table: seen, unit: user_id, is: user, experiment: flag, variant: variant, at: seen_at }
    population: { fact: events }
  - name: accounts
    type: sql
    config: { url: \"${URL}\" }
    units: { account: { from: user, table: users, key: id, to: account_id } }
    exposures: { table: seen, unit: user_id, is: user, map: account, experiment: flag, variant: variant, at: seen_at }
    population: { fact: of_accounts }
  - name: dated
    type: sql
    config: { url: \"${URL}\" }
    units: { account: { from: user, sql: \"SELECT id, account_id, joined_at FROM users\", key: id, to: account_id, since: joined_at } }
    exposures: { table: seen, unit: user_id, is: user, map: account, experiment: flag, variant: variant, at: seen_at }
    population: { fact: of_dated }
  - name: visitors
    type: sql
    config: { url: \"${URL}\" }
    units: { user: { from: anon, table: identity_of, key: anon_id, to: user_id, since: linked_at } }
    exposures: { table: seen_anon, unit: anon_id, is: anon, experiment: flag, variant: variant, at: seen_at, trigger: { fact: pages, where: \"what = 'open'\" } }
    population: { fact: pages }
  - name: berlin
    type: sql
    config: { url: \"${URL}\" }
    timezone: Europe/Berlin
    exposures: { table: seen, unit: user_id, is: user, experiment: flag, variant: variant, at: seen_at }
    population: { fact: of_berlin }
  - name: kolkata
    type: sql
    config: { url: \"${URL}\" }
    timezone: Asia/Kolkata
    exposures: { table: seen, unit: user_id, is: user, experiment: flag, variant: variant, at: seen_at }
    population: { fact: of_kolkata }
facts:
  events: { source: app, table: events, at: happened_at, units: { user: user_id } }
  of_berlin: { source: berlin, table: events, at: happened_at, units: { user: user_id } }
  of_kolkata: { source: kolkata, table: events, at: happened_at, units: { user: user_id } }
  of_accounts: { source: accounts, table: events, at: happened_at, units: { user: user_id } }
  of_dated: { source: dated, table: events, at: happened_at, units: { user: user_id } }
  of_people: { source: visitors, table: events, at: happened_at, units: { user: user_id } }
  pages: { source: visitors, table: pages, at: opened_at, units: { anon: anon_id } }
metrics:
  - { name: bought, kind: conversion, of: events, where: \"name = 'buy'\", window: 7d, better: up }
  - { name: revenue, kind: mean, of: events, where: \"name = 'buy'\", value: amount, window: 7d, cap: 40, covariate: none, better: up }
  - { name: orders, kind: count, of: events, where: \"name = 'buy'\", window: 7d, covariate: none, better: up }
  - { name: basket, kind: ratio, window: 7d, better: up, numerator: { of: events, where: \"name = 'buy'\", value: amount }, denominator: { of: events, where: \"name = 'buy'\" } }
  - { name: back, kind: retention, of: events, window: { from: 2d, to: 4d }, better: up }
  - { name: hours_to_buy, kind: time_to, of: events, where: \"name = 'buy'\", window: 7d, better: down }
  - { name: sessions, kind: count, of: events, distinct: session_id, window: 7d, covariate: none, better: up }
  - { name: error_rate, kind: ratio, window: 7d, better: down, numerator: { of: events, where: \"name = 'request' AND amount >= 40\", count: true }, denominator: { of: events, where: \"name = 'request'\", count: true } }
  - { name: slow_rate, kind: ratio, window: 7d, better: down, numerator: { of: events, where: \"name = 'request' AND amount >= 25\" }, denominator: { of: events, where: \"name = 'request'\" } }
  - { name: churned, kind: conversion, of: events, where: \"name = 'cancel'\", among: { fact: events, where: \"name = 'subscribe'\", within: 4d }, window: 7d, better: down }
  - { name: nps, kind: ratio, window: 7d, better: up, numerator: { of: events, where: \"name = 'answer'\", value: amount - 20 }, denominator: { of: events, where: \"name = 'answer'\" } }
  - { name: refunds, kind: mean, of: events, where: \"name = 'refund'\", value: amount, window: 36h, settle: 2d, covariate: none, better: down }
  - { name: tickets, kind: count, of: of_accounts, where: \"name = 'ticket'\", window: 7d, covariate: none, better: down }
  - { name: activated, kind: funnel, steps: [{ of: events, where: \"name = 'buy'\" }, { of: events, where: \"name = 'request'\" }, { of: events, where: \"name = 'ticket'\" }], window: 7d, better: up }
  - { name: active_days, kind: count, of: events, distinct: day, window: 7d, covariate: none, better: up }
  - { name: active_hours, kind: count, of: events, distinct: hour, window: 7d, covariate: none, better: up }
  - { name: days_in_berlin, kind: count, of: of_berlin, distinct: day, window: 7d, covariate: none, better: up }
  - { name: hours_in_kolkata, kind: count, of: of_kolkata, distinct: hour, window: 7d, covariate: none, better: up }
  - { name: account_errors, kind: ratio, window: 7d, better: down, numerator: { of: of_accounts, where: \"name = 'request' AND amount >= 40\" }, denominator: { of: of_accounts, where: \"name = 'request'\" } }
  - { name: dated_tickets, kind: count, of: of_dated, where: \"name = 'ticket'\", window: 7d, covariate: none, better: down }
  - { name: visitors_activated, kind: funnel, steps: [{ of: of_people, where: \"name = 'buy'\" }, { of: of_people, where: \"name = 'request'\" }], window: 7d, better: up }
  - { name: visitors_back, kind: retention, of: of_people, window: { from: 2d, to: 4d }, better: up }
  - { name: visitors_hours, kind: time_to, of: of_people, where: \"name = 'buy'\", window: 7d, better: down }
outcomes:
";

fn at(seconds: i64) -> Timestamp {
    LAUNCH.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((self.0 >> 33) % n).unwrap()
    }
}

#[derive(Debug)]
struct Event {
    user: i64,
    name: &'static str,
    session: i64,
    cents: i64,
    at: i64,
}

/// Everything that the tables hold.
struct World {
    /// Unit, arm, instant.
    seen: Vec<(i64, Option<&'static str>, i64)>,
    seen_anon: Vec<(i64, Option<&'static str>, i64)>,
    events: Vec<Event>,
    /// User, account, since.
    users: Vec<(i64, Option<i64>, i64)>,
    /// Visitor, user, since.
    identity: Vec<(i64, i64, i64)>,
    /// Visitor, what, instant.
    pages: Vec<(i64, &'static str, i64)>,
}

fn world() -> World {
    const NAMES: [&str; 8] = ["buy", "request", "request", "cancel", "subscribe", "answer", "refund", "ticket"];
    let mut dice = Dice(5);
    let (mut seen, mut seen_anon, mut events, mut users) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut identity, mut pages) = (Vec::new(), Vec::new());
    for user in 0..420_i64 {
        let first = dice.below(25 * 24) * HOUR + dice.below(3600);
        // Accounts of three users; the arm is the account's, as it was randomised.
        let account = user / 3;
        let own = if account % 2 == 0 { "control" } else { "treatment" };
        for again in 0..=dice.below(3) {
            let other = if own == "control" { "treatment" } else { "control" };
            let arm = match dice.below(25) {
                0 => None,
                1 => Some("beta"),
                2 => Some(other),
                _ => Some(own),
            };
            seen.push((user, arm, first + again * dice.below(9 * 24) * HOUR));
        }
        for _ in 0..2 + dice.below(14) {
            let name = NAMES[usize::try_from(dice.below(8)).unwrap()];
            let at = first - 4 * DAY + dice.below(13 * 24) * HOUR + dice.below(3600);
            events.push(Event { user, name, session: dice.below(5), cents: dice.below(5000), at });
        }
        let joined = first - DAY;
        match dice.below(20) {
            0 => {}
            1 => users.push((user, None, joined)),
            // In two accounts; the first is the one of before.
            2 => users.extend([(user, Some(account), joined), (user, Some(account + 1000), joined + HOUR)]),
            // The same twice.
            3 => users.extend([(user, Some(account), joined), (user, Some(account), joined)]),
            _ => users.push((user, Some(account), joined)),
        }
        // A visitor or two, who become this user or nobody.
        for copy in 0..=dice.below(2) {
            let anon = 10_000 + 10 * user + copy;
            let began = first + copy * dice.below(48) * HOUR;
            let arm = if dice.below(2) == 0 { "control" } else { "treatment" };
            seen_anon.push((anon, Some(arm), began));
            seen_anon.push((anon, Some(arm), began + HOUR));
            for _ in 0..dice.below(3) {
                let what = if dice.below(3) == 0 { "close" } else { "open" };
                pages.push((anon, what, began - 2 * HOUR + dice.below(30) * HOUR));
            }
            if dice.below(4) > 0 {
                identity.push((anon, user, began + 5 * HOUR));
            }
        }
    }
    World { seen, seen_anon, events, users, identity, pages }
}

/// Statements that make the tables; `instant` and `money` are the engine's types, `shown` writes an instant.
pub(crate) fn tables(instant: &str, money: &str, shown: impl Fn(Timestamp) -> String) -> Vec<String> {
    let world = world();
    let mut made: Vec<String> = [
        "seen (user_id INTEGER, flag VARCHAR(20), variant VARCHAR(20), seen_at INSTANT)",
        "seen_anon (anon_id INTEGER, flag VARCHAR(20), variant VARCHAR(20), seen_at INSTANT)",
        "events (user_id INTEGER, name VARCHAR(20), session_id INTEGER, amount MONEY, happened_at INSTANT)",
        "users (id INTEGER, account_id INTEGER, joined_at INSTANT)",
        "identity_of (anon_id INTEGER, user_id INTEGER, linked_at INSTANT)",
        "pages (anon_id INTEGER, what VARCHAR(20), opened_at INSTANT)",
    ]
    .iter()
    .map(|columns| format!("CREATE TABLE {}", columns.replace("INSTANT", instant).replace("MONEY", money)))
    .collect();
    let time = |seconds: i64| shown(at(seconds));
    let arm = |name: Option<&str>| name.map_or_else(|| "NULL".to_owned(), |name| format!("'{name}'"));
    let mut insert = |table: &str, rows: Vec<String>| {
        made.extend(rows.chunks(400).map(|rows| format!("INSERT INTO {table} VALUES {}", rows.join(", "))));
    };
    for (table, rows) in [("seen", &world.seen), ("seen_anon", &world.seen_anon)] {
        let rows = rows.iter().map(|(unit, name, at)| format!("({unit}, 'fast', {}, {})", arm(*name), time(*at)));
        insert(table, rows.collect());
    }
    insert("seen", vec![format!("(NULL, 'fast', 'control', {}), (1, 'other', 'control', {})", time(0), time(5))]);
    let events = world.events.iter().map(|e| {
        format!("({}, '{}', {}, {}.{:02}, {})", e.user, e.name, e.session, e.cents / 100, e.cents % 100, time(e.at))
    });
    insert("events", events.collect());
    let users = world.users.iter().map(|(user, account, at)| {
        format!("({user}, {}, {})", account.map_or_else(|| "NULL".to_owned(), |account| account.to_string()), time(*at))
    });
    insert("users", users.collect());
    insert("identity_of", world.identity.iter().map(|(a, u, at)| format!("({a}, {u}, {})", time(*at))).collect());
    insert("pages", world.pages.iter().map(|(a, what, at)| format!("({a}, '{what}', {})", time(*at))).collect());
    made
}

fn signal(metric: &str) -> SignalSpec {
    let text = format!(
        "{FILE}  - {{ id: o, title: O, horizon: 6w, target: {{ direction: increase, from: 0.1, to: 0.2 }}, signal: {{ metric: {metric} }} }}\n"
    );
    let parsed = parse(&text, "outcome.yaml", &VENDORS, None);
    parsed.config.unwrap_or_else(|| panic!("{:#?}", parsed.diagnostics)).outcomes.remove(0).signal
}

struct Unit {
    id: i64,
    first: i64,
    is_treatment: bool,
    /// First time that it saw each arm.
    saw: [Option<i64>; 2],
}

/// Each unit's first exposure to one of the arms.
fn units(rows: &[(i64, Option<&'static str>, i64)]) -> Vec<Unit> {
    let mut found: BTreeMap<i64, [Option<i64>; 2]> = BTreeMap::new();
    for (id, arm, at) in rows.iter().filter(|(.., at)| *at >= 0 && *at < NOW) {
        let side = match arm {
            Some("control") => 0,
            Some("treatment") => 1,
            _ => continue,
        };
        let saw = &mut found.entry(*id).or_default()[side];
        *saw = Some(saw.map_or(*at, |known| known.min(*at)));
    }
    let unit = |(id, saw): (i64, [Option<i64>; 2])| {
        let [control, treatment] = saw.map(|at| at.unwrap_or(i64::MAX));
        Unit { id, first: control.min(treatment), is_treatment: treatment < control, saw }
    };
    found.into_iter().map(unit).collect()
}

/// Each user's account: the only one, or the first of several where dates tell.
fn accounts(world: &World, is_dated: bool) -> BTreeMap<i64, i64> {
    let mut all: BTreeMap<i64, Vec<(i64, i64)>> = BTreeMap::new();
    for (user, account, since) in &world.users {
        if let Some(account) = account {
            all.entry(*user).or_default().push((*since, *account));
        }
    }
    let one = |(user, mut accounts): (i64, Vec<(i64, i64)>)| {
        accounts.sort_unstable();
        let first = accounts[0];
        let rivals: BTreeSet<i64> =
            accounts.iter().filter(|(since, _)| !is_dated || *since == first.0).map(|(_, account)| *account).collect();
        (rivals.len() == 1).then_some((user, first.1))
    };
    all.into_iter().filter_map(one).collect()
}

/// The value of a unit, or numerator and denominator; `None` for a unit whom the metric is not about.
fn value(metric: &str, first: i64, events: &[&Event]) -> Option<(f64, f64)> {
    let of = |names: &[&str], from: i64, to: i64| -> Vec<&Event> {
        let within = |e: &&&Event| e.at >= first + from && e.at < first + to && e.at < NOW;
        events.iter().filter(within).filter(|e| names.is_empty() || names.contains(&e.name)).copied().collect()
    };
    let week = |name: &'static str| of(&[name], 0, WEEK);
    let money = |events: &[&Event]| events.iter().map(|e| e.cents).sum::<i64>() as f64 / 100.0;
    let yes = |is: bool| f64::from(u8::from(is));
    let over = |limit: i64| week("request").iter().filter(|e| e.cents >= 100 * limit).count() as f64;
    let different = |of: &dyn Fn(&Event) -> i64| {
        let all = events.iter().filter(|e| e.at >= first && e.at < first + WEEK && e.at < NOW);
        all.map(|e| of(e)).collect::<BTreeSet<_>>().len() as f64
    };
    // Midnights and full hours in UTC.
    let since_midnight = 9 * HOUR + 30 * 60;
    let steps = |names: &[&'static str]| {
        let mut from = first;
        names.iter().all(|name| {
            let next = week(name).iter().map(|e| e.at).filter(|at| *at >= from).min();
            from = next.unwrap_or(from);
            next.is_some()
        })
    };
    let hours = || week("buy").iter().map(|e| e.at - first).min().unwrap_or(WEEK) as f64 / 3600.0;
    let alone = |value: f64| Some((value, 0.0));
    match metric {
        "bought" => alone(yes(!week("buy").is_empty())),
        "revenue" => alone(money(&week("buy")).min(40.0)),
        "orders" => alone(week("buy").len() as f64),
        "basket" => Some((money(&week("buy")), week("buy").len() as f64)),
        "back" | "visitors_back" => alone(yes(!of(&[], 2 * DAY, 4 * DAY).is_empty())),
        "hours_to_buy" | "visitors_hours" => alone(hours()),
        "sessions" => alone(different(&|e| e.session)),
        "error_rate" | "account_errors" => Some((over(40), week("request").len() as f64)),
        "slow_rate" => Some((over(25), week("request").len() as f64)),
        "churned" => {
            let is_subscriber = !of(&["subscribe"], -4 * DAY, 0).is_empty();
            is_subscriber.then(|| (yes(!week("cancel").is_empty()), 0.0))
        }
        "nps" => {
            let answers = week("answer");
            Some((money(&answers) - 20.0 * answers.len() as f64, answers.len() as f64))
        }
        "refunds" => alone(money(&of(&["refund"], 0, 36 * HOUR))),
        "tickets" | "dated_tickets" => alone(week("ticket").len() as f64),
        "activated" => alone(yes(steps(&["buy", "request", "ticket"]))),
        "visitors_activated" => alone(yes(steps(&["buy", "request"]))),
        "active_days" => alone(different(&|e| (e.at + since_midnight).div_euclid(DAY))),
        "active_hours" => alone(different(&|e| (e.at + since_midnight).div_euclid(HOUR))),
        // The clocks go forward on 29 March at 01:00 UTC.
        "days_in_berlin" => alone(different(&|e| {
            let offset = if at(e.at) < "2026-03-29T01:00:00Z".parse().unwrap() { HOUR } else { 2 * HOUR };
            (e.at + since_midnight + offset).div_euclid(DAY)
        })),
        "hours_in_kolkata" => alone(different(&|e| (e.at + since_midnight + 11 * HOUR / 2).div_euclid(HOUR))),
        other => panic!("{other}"),
    }
}

/// Window and time to settle.
fn spans(metric: &str) -> (i64, i64) {
    match metric {
        "refunds" => (36 * HOUR, 2 * DAY),
        "back" | "visitors_back" => (4 * DAY, 0),
        _ => (WEEK, 0),
    }
}

fn summed(like: &ArmSums, values: &[(f64, f64)]) -> Vec<f64> {
    let sum = |of: fn(&(f64, f64)) -> f64| values.iter().map(of).sum::<f64>();
    let n = values.len() as f64;
    match like {
        ArmSums::Proportion { .. } => vec![n, sum(|(v, _)| *v)],
        ArmSums::Ratio { .. } => {
            vec![n, sum(|(v, _)| *v), sum(|(v, _)| v * v), sum(|(_, w)| *w), sum(|(_, w)| w * w), sum(|(v, w)| v * w)]
        }
        _ => vec![n, sum(|(v, _)| *v), sum(|(v, _)| v * v)],
    }
}

fn numbers(sums: &ArmSums) -> Vec<f64> {
    match *sums {
        ArmSums::Proportion { n, successes } => vec![n as f64, successes as f64],
        ArmSums::Mean { n, sum, sum_squares } => vec![n as f64, sum, sum_squares],
        ArmSums::Ratio { n, num, num_squares, den, den_squares, num_den } => {
            vec![n as f64, num, num_squares, den, den_squares, num_den]
        }
        ArmSums::Cuped { .. } | ArmSums::Value { .. } => panic!("{sums:?}"),
    }
}

#[track_caller]
fn is_near(found: &ArmSums, values: &[(f64, f64)], what: &str) {
    let (got, wanted) = (numbers(found), summed(found, values));
    for (a, b) in got.iter().zip(&wanted) {
        assert!((a - b).abs() <= 1e-6 * (1.0 + b.abs()), "{what}: {got:?} where the rows say {wanted:?}");
    }
}

/// What the metric's units are, and whose events each of them has.
fn analysed<'w>(world: &'w World, metric: &str) -> (Vec<Unit>, BTreeMap<i64, Vec<&'w Event>>) {
    let (units, home): (Vec<Unit>, BTreeMap<i64, i64>) = match metric {
        "tickets" | "account_errors" | "dated_tickets" => {
            let accounts = accounts(world, metric == "dated_tickets");
            let rows: Vec<_> =
                world.seen.iter().filter_map(|(user, arm, at)| Some((*accounts.get(user)?, *arm, *at))).collect();
            (units(&rows), accounts)
        }
        "visitors_activated" | "visitors_back" | "visitors_hours" => {
            let mut found = units(&world.seen_anon);
            for unit in &mut found {
                let opened = world
                    .pages
                    .iter()
                    .filter(|(anon, what, at)| *anon == unit.id && *what == "open" && *at >= unit.first && *at < NOW);
                unit.first = opened.map(|(.., at)| *at).min().unwrap_or(i64::MAX);
            }
            found.retain(|unit| unit.first < i64::MAX);
            // Each user belongs to the visitor who was there first.
            let mut owner: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
            for (anon, user, _) in &world.identity {
                if let Some(unit) = found.iter().find(|unit| unit.id == *anon) {
                    let mine = (unit.first, unit.id);
                    let known = owner.entry(*user).or_insert(mine);
                    *known = (*known).min(mine);
                }
            }
            (found, owner.into_iter().map(|(user, (_, anon))| (user, anon)).collect())
        }
        _ => (units(&world.seen), (0..420).map(|user| (user, user)).collect()),
    };
    let mut events: BTreeMap<i64, Vec<&Event>> = BTreeMap::new();
    for event in &world.events {
        if let Some(unit) = home.get(&event.user) {
            events.entry(*unit).or_default().push(event);
        }
    }
    (units, events)
}

const METRICS: [&str; 23] = [
    "bought",
    "revenue",
    "orders",
    "basket",
    "back",
    "hours_to_buy",
    "sessions",
    "error_rate",
    "slow_rate",
    "churned",
    "nps",
    "refunds",
    "tickets",
    "activated",
    "active_days",
    "active_hours",
    "days_in_berlin",
    "hours_in_kolkata",
    "account_errors",
    "dated_tickets",
    "visitors_activated",
    "visitors_back",
    "visitors_hours",
];

/// Holds the source's answers against the rows.
pub(crate) async fn all(config: SqlConfig) {
    looking_at(config, &METRICS).await;
}

/// The same, with a look at the rows behind these metrics alone: a slow emulator needs minutes for all of them.
pub(crate) async fn looking_at(config: SqlConfig, looked_at: &[&str]) {
    let source: Box<dyn SignalSource> = config.open(std::path::Path::new("/")).unwrap();
    let world = world();
    for metric in METRICS {
        let signal = signal(metric);
        let (window, settle) = spans(metric);
        let (units, events) = analysed(&world, metric);
        let (mut n_claimed, mut n_all, mut n_positive) = (0, 0, 0);
        for (number, (from, to)) in PHASES.into_iter().enumerate() {
            let on_until = (to < NOW).then_some(to);
            let request = VariantRequest {
                experiment: outcome_core::domain::Slug::from_title("one"),
                flag_key: "fast".to_owned(),
                window: Window { from: at(from), to: at(to) },
                launched_at: at(0),
                as_of: at(NOW),
                on_until: on_until.map(at),
            };
            let found = source.by_variant(&signal, &request).await.unwrap_or_else(|e| panic!("{metric}: {e}")).data;
            for variant in [Variant::Control, Variant::Treatment] {
                let what = format!("{metric}, phase {number}, {variant}");
                let found = found.iter().find(|reading| reading.variant == variant).unwrap();
                let is_here = |unit: &&Unit| {
                    unit.is_treatment == (variant == Variant::Treatment) && unit.first >= from && unit.first < to
                };
                let here: Vec<(&Unit, (f64, f64))> = units
                    .iter()
                    .filter(is_here)
                    .filter_map(|unit| {
                        let mine = events.get(&unit.id).map(Vec::as_slice).unwrap_or_default();
                        Some((unit, value(metric, unit.first, mine)?))
                    })
                    .collect();
                let values: Vec<(f64, f64)> = here.iter().map(|(_, value)| *value).collect();
                is_near(&found.sums, &values, &what);
                let cohort = found.cohort.unwrap();
                let is_claimed = |unit: &Unit| {
                    unit.first + window + settle + LAG <= NOW
                        && on_until.is_none_or(|until| unit.first + window <= until)
                };
                let claimed: Vec<_> =
                    here.iter().filter(|(unit, _)| is_claimed(unit)).map(|(_, value)| *value).collect();
                is_near(&cohort.claimed, &claimed, &format!("{what}, claimed"));
                let n_both = here.iter().filter(|(unit, _)| unit.saw.iter().all(|at| at.is_some_and(|at| at < to)));
                assert_eq!(cohort.n_both, i64::try_from(n_both.count()).unwrap(), "{what}: both arms");
                if matches!(metric, "tickets" | "dated_tickets") {
                    let accounts = accounts(&world, metric == "dated_tickets");
                    let here = world
                        .seen
                        .iter()
                        .filter(|(user, _, at)| *at >= from && *at < to && !accounts.contains_key(user));
                    let users: BTreeSet<i64> = here.map(|(user, ..)| *user).collect();
                    assert_eq!(cohort.n_unmapped, i64::try_from(users.len()).unwrap(), "{what}: in no account");
                    assert!(cohort.n_unmapped > 0, "{what}");
                }
                n_claimed += claimed.len();
                n_all += here.len();
                n_positive += values.iter().filter(|(v, _)| *v != 0.0).count();
            }
        }
        assert!(n_claimed > 5 && n_claimed < n_all && n_positive > 5, "{metric}: {n_claimed} of {n_all}, {n_positive}");
        // The other statements of the metric run, too.
        source
            .level(&signal, Window { from: at(10 * DAY), to: at(NOW) })
            .await
            .unwrap_or_else(|e| panic!("{metric}: {e}"));
        if !looked_at.contains(&metric) {
            continue;
        }
        let look = LookRequest { flag_key: None, window: Window { from: at(0), to: at(NOW) } };
        let look = source.look(&signal, &look).await.unwrap_or_else(|e| panic!("{metric}: {e}")).unwrap();
        assert!(look.exposures.n_units > 100 && look.unit.n_keys > 20, "{metric}: {look:?}");
    }
}
