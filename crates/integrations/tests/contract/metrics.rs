//! Metrics of the contract: what a source answers is what the raw rows say, counted here by hand, on each engine.

use jiff::{SignedDuration, Timestamp};
use outcome_core::config::parse;
use outcome_core::domain::{ArmSums, SignalSpec, Variant, VariantReading, Window};
use outcome_core::ports::{SignalSource, VariantRequest};
use outcome_integrations::VENDORS;
use pretty_assertions::assert_eq;

use crate::contract::SqlConfig;
use crate::parts;

const LAUNCH: &str = "2026-03-20T09:30:00Z";
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// Beginning and end of the phases, in seconds since the launch: a step, then two days without anybody, then the rest.
const PHASES: [(i64, i64); 3] = [(0, 5 * DAY), (5 * DAY, 12 * DAY), (14 * DAY, NOW)];
const NOW: i64 = 25 * DAY;
const LAG: i64 = 6 * HOUR;
/// What is counted below, in the words of METRICS.md 2.2.
const FILE: &str = "
version: 1
signal_connectors:
  - name: shop
    type: sql
    config: { url: \"${URL}\" }
    lag: 6h
    exposures:
      table: exposures
      unit: user_id
      is: user
      experiment: flag
      variant: variant
      at: seen_at
      where: \"is_bot = 0 OR is_bot = 2\"
      variants: { control: [control, \"off\"], treatment: [\"o'n\"] }
    population: { fact: orders, where: \"status <> 'draft'\" }
facts:
  orders: { source: shop, table: orders, at: created_at, units: { user: user_id, order: id }, where: \"status <> 'void' -- ours\" }
  paid: { source: shop, sql: \"SELECT user_id, created_at, total FROM orders WHERE status = 'paid'\", at: created_at, units: { user: user_id } }
metrics:
  - { name: revenue, kind: mean, of: paid, value: total, window: 7d, better: up, cap: 30, unit: EUR }
  - { name: buyers, kind: conversion, of: orders, where: \"status = 'paid'\", window: 7d, at_least: 2, better: up }
  - { name: orders, kind: count, of: orders, window: 36h, better: up, settle: 2d }
  - { name: kinds, kind: count, of: orders, distinct: status, window: 7d, better: up }
  - { name: bounded, kind: mean, of: paid, value: total, window: 7d, better: up, cap: p95, covariate: none }
  - { name: bounded_share, kind: ratio, window: 7d, better: up, cap: p90, numerator: { of: paid, value: total }, denominator: { of: orders } }
  - { name: bounded_before, kind: mean, of: paid, value: total, window: 7d, better: up, cap: p999, covariate: 3d }
  - { name: buys_again, kind: conversion, of: orders, window: 7d, better: up, covariate: 2d }
  - { name: back, kind: retention, of: orders, window: { from: 2d, to: 4d }, better: up }
  - { name: share, kind: ratio, window: 7d, better: up, numerator: { of: paid, value: total }, denominator: { of: orders, count: true } }
outcomes:
";

fn at(seconds: i64) -> Timestamp {
    LAUNCH.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((self.0 >> 33) % n).unwrap()
    }
}

struct Exposure {
    user: Option<i64>,
    flag: &'static str,
    variant: Option<&'static str>,
    at: i64,
    is_bot: i64,
}

struct Order {
    user: i64,
    at: i64,
    cents: i64,
    status: &'static str,
}

/// Users who come once or often, change their arm, see something else, are bots or nobody; orders before and after, also late ones.
fn rows() -> (Vec<Exposure>, Vec<Order>) {
    let mut dice = Dice(7);
    let (mut exposures, mut orders) = (Vec::new(), Vec::new());
    for user in 0..400 {
        let first = dice.below(25 * 24) * HOUR + dice.below(3600);
        let own = ["control", "off", "o'n", "o'n"][usize::try_from(dice.below(4)).unwrap()];
        for again in 0..=dice.below(3) {
            let is_crossing = again > 0 && dice.below(12) == 0;
            let variant = if is_crossing { if own == "o'n" { "control" } else { "o'n" } } else { own };
            let variant = match dice.below(40) {
                0 => Some("beta"),
                1 => None,
                _ => Some(variant),
            };
            let is_bot = i64::from(dice.below(30) == 0);
            let later = first + again * dice.below(9 * 24) * HOUR;
            exposures.push(Exposure { user: Some(user), flag: "fast", variant, at: later, is_bot });
        }
        for _ in 0..dice.below(6) {
            let status = ["paid", "paid", "open", "void", "draft"][usize::try_from(dice.below(5)).unwrap()];
            let at = first - 3 * DAY + dice.below(12 * 24) * HOUR + dice.below(3600);
            orders.push(Order { user, at, cents: dice.below(5000), status });
        }
    }
    for i in 0..20 {
        exposures.push(Exposure { user: None, flag: "fast", variant: Some("control"), at: i * DAY, is_bot: 0 });
        exposures.push(Exposure { user: Some(1000 + i), flag: "other", variant: Some("control"), at: i, is_bot: 0 });
        exposures.push(Exposure {
            user: Some(i),
            flag: "fast",
            variant: Some("control"),
            at: -i * HOUR - 1,
            is_bot: 0,
        });
    }
    (exposures, orders)
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Arm {
    Control,
    Treatment,
    Other,
}

struct Unit {
    user: i64,
    first: i64,
    arm: Arm,
    /// First time that it saw each arm.
    saw: [Option<i64>; 2],
}

/// Each user's first exposure, found by looking at one row after the other.
fn units(exposures: &[Exposure]) -> Vec<Unit> {
    let mut rows: Vec<&Exposure> = exposures
        .iter()
        .filter(|row| row.flag == "fast" && row.is_bot != 1 && row.at >= 0 && row.at < NOW && row.user.is_some())
        .collect();
    rows.sort_by_key(|row| row.at);
    let mut found: Vec<Unit> = Vec::new();
    for row in rows {
        let user = row.user.unwrap();
        let arm = match row.variant {
            Some("control" | "off") => Arm::Control,
            Some("o'n") => Arm::Treatment,
            _ => Arm::Other,
        };
        let unit = match found.iter_mut().find(|unit| unit.user == user) {
            Some(unit) => unit,
            None => {
                found.push(Unit { user, first: row.at, arm: Arm::Other, saw: [None, None] });
                found.last_mut().unwrap()
            }
        };
        let side = match arm {
            Arm::Control => 0,
            Arm::Treatment => 1,
            Arm::Other => continue,
        };
        if unit.saw[side].is_none_or(|seen| row.at < seen) {
            unit.saw[side] = Some(row.at);
        }
        if unit.arm == Arm::Other {
            (unit.arm, unit.first) = (arm, row.at);
        }
    }
    found
}

/// Value of a unit and its covariate, or numerator and denominator.
fn value(metric: &str, first: i64, orders: &[&Order]) -> (f64, f64) {
    let within = |from: i64, to: i64| {
        let until = NOW;
        orders.iter().filter(move |o| o.at >= first + from && o.at < first + to && o.at < until && o.status != "void")
    };
    let money = |orders: &mut dyn Iterator<Item = &&Order>| orders.map(|o| o.cents).sum::<i64>() as f64 / 100.0;
    let paid = || within(0, 7 * DAY).filter(|o| o.status == "paid");
    match metric {
        "revenue" => {
            let before = within(-28 * DAY, 0).filter(|o| o.status == "paid");
            (money(&mut paid()).min(30.0), money(&mut before.into_iter()).min(30.0))
        }
        "buyers" => (f64::from(u8::from(paid().count() >= 2)), 0.0),
        "orders" => (within(0, 36 * HOUR).count() as f64, within(-28 * DAY, 0).count() as f64),
        "kinds" => {
            let kinds = |from: i64, to: i64| {
                let mut all: Vec<&str> = within(from, to).map(|o| o.status).collect();
                all.sort_unstable();
                all.dedup();
                all.len() as f64
            };
            (kinds(0, 7 * DAY), kinds(-28 * DAY, 0))
        }
        "buys_again" => {
            let any = |from: i64, to: i64| f64::from(u8::from(within(from, to).next().is_some()));
            (any(0, 7 * DAY), any(-2 * DAY, 0))
        }
        "back" => (f64::from(u8::from(within(2 * DAY, 4 * DAY).next().is_some())), 0.0),
        "share" => (money(&mut paid()), within(0, 7 * DAY).count() as f64),
        other => panic!("{other}"),
    }
}

/// `(window, settle)` of the metrics.
fn spans(metric: &str) -> (i64, i64) {
    match metric {
        "orders" => (36 * HOUR, 2 * DAY),
        "back" => (4 * DAY, 0),
        _ => (7 * DAY, 0),
    }
}

fn summed(metric: &str, values: &[(f64, f64)]) -> ArmSums {
    let n = i64::try_from(values.len()).unwrap();
    let sum = |of: fn(&(f64, f64)) -> f64| values.iter().map(of).sum::<f64>();
    match metric {
        "buyers" | "back" => ArmSums::Proportion { n, successes: count(values.iter().filter(|(v, _)| *v == 1.0)) },
        "share" => ArmSums::Ratio {
            n,
            num: sum(|(v, _)| *v),
            num_squares: sum(|(v, _)| v * v),
            den: sum(|(_, w)| *w),
            den_squares: sum(|(_, w)| w * w),
            num_den: sum(|(v, w)| v * w),
        },
        _ => ArmSums::Cuped {
            n,
            sum: sum(|(v, _)| *v),
            sum_squares: sum(|(v, _)| v * v),
            cov_sum: sum(|(_, x)| *x),
            cov_sum_squares: sum(|(_, x)| x * x),
            cross_sum: sum(|(v, x)| v * x),
        },
    }
}

/// Everybody at once: there is no exposure before which anything could lie.
fn without_covariate(sums: ArmSums) -> ArmSums {
    match sums {
        ArmSums::Cuped { n, sum, .. } if sum == 0.0 => ArmSums::Mean { n, sum, sum_squares: 0.0 },
        ArmSums::Cuped { n, sum, sum_squares, .. } => ArmSums::Mean { n, sum, sum_squares },
        sums => sums,
    }
}

fn count<T>(all: impl Iterator<Item = T>) -> i64 {
    i64::try_from(all.count()).unwrap()
}

/// Numbers of sums, to compare them without their last digits.
fn numbers(sums: &ArmSums) -> Vec<f64> {
    match *sums {
        ArmSums::Proportion { n, successes } => vec![n as f64, successes as f64],
        ArmSums::Mean { n, sum, sum_squares } => vec![n as f64, sum, sum_squares],
        ArmSums::Ratio { n, num, num_squares, den, den_squares, num_den } => {
            vec![n as f64, num, num_squares, den, den_squares, num_den]
        }
        ArmSums::Cuped { n, sum, sum_squares, cov_sum, cov_sum_squares, cross_sum } => {
            vec![n as f64, sum, sum_squares, cov_sum, cov_sum_squares, cross_sum]
        }
        ArmSums::Value { value } => vec![value],
    }
}

#[track_caller]
fn is_near(found: &ArmSums, wanted: &ArmSums, what: &str) {
    assert_eq!(std::mem::discriminant(found), std::mem::discriminant(wanted), "{what}: {found:?} {wanted:?}");
    for (a, b) in numbers(found).into_iter().zip(numbers(wanted)) {
        assert!((a - b).abs() <= 1e-9 * (1.0 + b.abs()), "{what}: {found:?} where the rows say {wanted:?}");
    }
}

/// A window whose level is about everybody.
pub(crate) fn everybody() -> Window {
    Window { from: at(0), to: at(90 * DAY) }
}

/// The signal of an outcome that names the metric.
pub(crate) fn signal(metric: &str) -> SignalSpec {
    let text = format!(
        "{FILE}  - {{ id: o, title: O, horizon: 6w, target: {{ direction: increase, from: 0.1, to: 0.2 }}, signal: {{ metric: {metric} }} }}\n"
    );
    let parsed = parse(&text, "outcome.yaml", &VENDORS, None);
    parsed.config.unwrap_or_else(|| panic!("{:#?}", parsed.diagnostics)).outcomes.remove(0).signal
}

/// Statements that make the tables; `instant` and `money` are the engine's types, `shown` writes an instant.
pub(crate) fn tables(instant: &str, money: &str, shown: impl Fn(Timestamp) -> String) -> Vec<String> {
    let (exposures, orders) = rows();
    let mut made = vec![
        format!(
            "CREATE TABLE exposures (user_id INTEGER, flag VARCHAR(20), variant VARCHAR(20), seen_at {instant}, is_bot INTEGER)"
        ),
        format!(
            "CREATE TABLE orders (id INTEGER, user_id INTEGER, created_at {instant}, total {money}, status VARCHAR(20))"
        ),
    ];
    let text = |text: Option<&str>| text.map_or("NULL".to_owned(), |text| format!("'{}'", text.replace('\'', "''")));
    for e in &exposures {
        let user = e.user.map_or("NULL".to_owned(), |user| user.to_string());
        made.push(format!(
            "INSERT INTO exposures VALUES ({user}, '{}', {}, {}, {})",
            e.flag,
            text(e.variant),
            shown(at(e.at)),
            e.is_bot
        ));
    }
    for (id, o) in orders.iter().enumerate() {
        let total = format!("{}.{:02}", o.cents / 100, o.cents % 100);
        made.push(format!(
            "INSERT INTO orders VALUES ({id}, {}, {}, {total}, '{}')",
            o.user,
            shown(at(o.at)),
            o.status
        ));
    }
    made
}

/// Holds the source's answers against the rows: each metric, phase and arm, and the level of everybody.
pub(crate) async fn all(config: SqlConfig) {
    let source: Box<dyn SignalSource> = config.open(std::path::Path::new("/")).unwrap();
    let (exposures, orders) = rows();
    let units = units(&exposures);
    let of = |user: i64| orders.iter().filter(|o| o.user == user).collect::<Vec<_>>();
    for metric in ["revenue", "buyers", "orders", "kinds", "back", "share", "buys_again"] {
        let signal = signal(metric);
        let (window, settle) = spans(metric);
        let (mut n_claimed, mut n_all) = (0, 0);
        let requests = PHASES.map(|(from, to)| VariantRequest {
            experiment: outcome_core::domain::Slug::from_title("one"),
            flag_key: "fast".to_owned(),
            window: Window { from: at(from), to: at(to) },
            launched_at: at(0),
            as_of: at(NOW),
            on_until: (to < NOW).then_some(at(to)),
        });
        let phases = source.by_phase(&signal, &requests).await.unwrap_or_else(|e| panic!("{metric}: {e}"));
        assert_eq!(phases.len(), PHASES.len());
        parts::add_up(&*source, &signal, &requests, &phases).await;
        for (number, ((from, to), found)) in PHASES.into_iter().zip(phases).enumerate() {
            let on_until = (to < NOW).then_some(to);
            let alone = source.by_variant(&signal, &requests[number]).await.unwrap();
            assert_eq!((&alone.data, &alone.raw_hash), (&found.data, &found.raw_hash), "{metric}, phase {number}");
            let found = found.data;
            for (variant, arm, other) in [(Variant::Control, Arm::Control, 1), (Variant::Treatment, Arm::Treatment, 0)]
            {
                let what = format!("{metric}, phase {number}, {variant}");
                let found: &VariantReading = found.iter().find(|reading| reading.variant == variant).unwrap();
                let here: Vec<&Unit> =
                    units.iter().filter(|unit| unit.arm == arm && unit.first >= from && unit.first < to).collect();
                let is_claimed = |unit: &Unit| {
                    unit.first + window + settle + LAG <= NOW
                        && on_until.is_none_or(|changed| unit.first + window <= changed)
                };
                let values = |units: &mut dyn Iterator<Item = &&Unit>| {
                    units.map(|unit| value(metric, unit.first, &of(unit.user))).collect::<Vec<_>>()
                };
                is_near(&found.sums, &summed(metric, &values(&mut here.iter())), &what);
                // A query of ours says which units may be claimed on.
                let cohort = found.cohort.unwrap();
                let claimed = values(&mut here.iter().filter(|unit| is_claimed(unit)));
                is_near(&cohort.claimed, &summed(metric, &claimed), &format!("{what}, claimed"));
                let n_both = here.iter().filter(|unit| unit.saw[other].is_some_and(|seen| seen < to));
                assert_eq!(cohort.n_both, count(n_both), "{what}: both arms");
                let n_other = units.iter().filter(|u| u.arm == Arm::Other && u.first >= from && u.first < to);
                assert_eq!(cohort.n_other, count(n_other), "{what}: neither arm");
                if metric == "revenue" {
                    let paid = |unit: &&&Unit| value("share", unit.first, &of(unit.user)).0 > 30.0;
                    assert_eq!(cohort.n_capped, count(here.iter().filter(paid)), "{what}: capped");
                    let whole = here.iter().filter(|unit| is_claimed(unit));
                    let whole: f64 = whole.map(|unit| value("share", unit.first, &of(unit.user)).0).sum();
                    assert!((cohort.uncapped.unwrap().sum - whole).abs() < 1e-6, "{what}: without the cap");
                }
                n_claimed += claimed.len();
                n_all += here.len();
            }
        }
        assert!(
            n_claimed > 20 && n_claimed < n_all,
            "{metric}: some units are mature and whole, {n_claimed} of {n_all}"
        );
        // Everybody whose first order of a week long enough ago is known by now.
        let (from, to) = (NOW - 7 * DAY, NOW);
        let back = window + settle + LAG;
        let mut users: Vec<i64> = orders.iter().map(|o| o.user).collect();
        users.sort_unstable();
        users.dedup();
        let anchored = users.iter().filter_map(|user| {
            let counts = |o: &&Order| o.user == *user && o.status != "void" && o.status != "draft";
            let within = |o: &&Order| o.at >= from - back && o.at < to - back;
            orders.iter().filter(counts).filter(within).map(|o| o.at).min().map(|first| (*user, first))
        });
        let until = to - settle - LAG;
        let values: Vec<(f64, f64)> = anchored
            .map(|(user, first)| {
                let known: Vec<&Order> = of(user).into_iter().filter(|o| o.at < until).collect();
                value(metric, first, &known)
            })
            .collect();
        assert!(values.len() > 10, "{metric}: {} units", values.len());
        let level = source.level(&signal, Window { from: at(from), to: at(to) }).await.unwrap();
        let wanted = match (metric, summed(metric, &values)) {
            ("buys_again", ArmSums::Cuped { n, .. }) => {
                ArmSums::Proportion { n, successes: count(values.iter().filter(|(v, _)| *v == 1.0)) }
            }
            (_, sums) => without_covariate(sums),
        };
        is_near(&level.data, &wanted, &format!("{metric}, everybody"));
    }
    quantiles(&*source, &orders).await;
}

/// The quantile of the values that are not zero, over one window that ended before the lag: what lies at `(n - 1) * q`, counted from 0.
async fn quantiles(source: &dyn SignalSource, orders: &[Order]) {
    let before = 9 * DAY;
    let found_by_hand = |length: i64, permille: usize, value: &dyn Fn(&[&Order]) -> f64| {
        let (from, to) = (before - LAG - length, before - LAG);
        let mut users: Vec<i64> = orders.iter().map(|o| o.user).collect();
        users.sort_unstable();
        users.dedup();
        let of = |user: i64| -> Vec<&Order> {
            orders.iter().filter(|o| o.user == user && o.at >= from && o.at < to && o.status != "void").collect()
        };
        let mut values: Vec<f64> =
            users.into_iter().map(|user| value(&of(user))).filter(|value| *value != 0.0).collect();
        values.sort_by(f64::total_cmp);
        let at = (values.len() - 1) * permille;
        let (low, rest) = (at / 1000, (at % 1000) as f64 / 1000.0);
        let value = values[low] + rest * (values[(low + 1).min(values.len() - 1)] - values[low]);
        (i64::try_from(values.len()).unwrap(), value)
    };
    let money =
        |orders: &[&Order]| orders.iter().filter(|o| o.status == "paid").map(|o| o.cents).sum::<i64>() as f64 / 100.0;
    let number = |orders: &[&Order]| orders.len() as f64;
    let week = 7 * DAY;
    for (metric, wanted) in [
        ("bounded", vec![found_by_hand(week, 950, &money)]),
        ("bounded_share", vec![found_by_hand(week, 900, &money), found_by_hand(week, 900, &number)]),
        ("bounded_before", vec![found_by_hand(week, 999, &money), found_by_hand(3 * DAY, 999, &money)]),
        ("revenue", Vec::new()),
    ] {
        let found = source.quantiles(&signal(metric), at(before)).await.unwrap();
        assert_eq!(found.len(), wanted.len(), "{metric}");
        for (found, (n, value)) in found.iter().zip(wanted) {
            assert!(n > 30 && found.n == n, "{metric}: {found:?}, {n}");
            assert!((found.value.unwrap() - value).abs() < 1e-9, "{metric}: {found:?}, {value}");
        }
    }
    // Nobody has a value there.
    let found = source.quantiles(&signal("bounded"), at(-100 * DAY)).await.unwrap();
    assert_eq!((found[0].n, found[0].value), (0, None));
}
