//! The sources of the workspace: what the file says about them, what they truly say, and what is wrong with them.

use std::sync::Arc;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use outcome_core::clock::ManualClock;
use outcome_core::domain::{Variant, Window};
use outcome_tests::lab::{INGEST_SECRET, PASSPHRASE};
use rand::rngs::StdRng;
use reqwest::Url;
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use super::faults::{Episode, Fault, OF_HTTP, OF_TCP, Schedule, shuffled};
use super::http::{Api, Good, Request, Spoil};
use super::net::Net;
use super::tcp::Proxy;
use super::world::World;

/// Secrets that nobody may see.
pub(super) const SECRETS: [&str; 6] =
    ["s3cret-stats-key", "s3cret-metrics-key", "s3cret-warehouse-key", "s3cret-shop-word", INGEST_SECRET, PASSPHRASE];

/// All sources that are asked.
pub(super) struct Sources {
    pub(super) shop: Arc<Proxy>,
    pub(super) stats: Arc<Api>,
    pub(super) metrics: Arc<Api>,
    pub(super) warehouse: Arc<Api>,
    database: PgPool,
    shop_address: String,
    world: World,
    told: std::sync::Mutex<Timestamp>,
}

impl Sources {
    pub(super) async fn start(
        clock: &ManualClock,
        net: &Arc<Net>,
        rng: &mut StdRng,
        faulty: (Timestamp, Timestamp),
        world: World,
        database: &str,
    ) -> Result<Self> {
        let order = shuffled(rng, &OF_HTTP);
        // A third of the faults further on, behind its own.
        let http = |rng: &mut StdRng, nth: usize, more: &[Fault]| {
            let mut faults = order.clone();
            faults.rotate_left(nth * OF_HTTP.len() / 3);
            Schedule::deal(rng, &[more, &faults].concat(), faulty)
        };
        let api = async |schedule: Schedule, good: Good, spoil: Spoil, megabytes: usize| {
            Api::start(clock.clone(), Arc::clone(net), schedule, (good, spoil, megabytes << 20)).await
        };
        let of_tcp = shuffled(rng, &OF_TCP);
        let tcp = Schedule::deal(rng, &of_tcp, faulty);
        let [stats, metrics] = [http(rng, 0, &[Fault::Empty]), http(rng, 1, &[Fault::Empty])];
        let warehouse = http(rng, 2, &[Fault::Empty, Fault::MissingVariant]);
        let pool = PgPoolOptions::new().max_connections(1).connect(database).await?;
        sqlx::raw_sql("CREATE TABLE visits (flag TEXT, variant TEXT, came_at TIMESTAMPTZ, n BIGINT, successes BIGINT)")
            .execute(&pool)
            .await?;
        let shop = Proxy::start(clock.clone(), Arc::clone(net), tcp, database).await?;
        Ok(Self {
            stats: api(stats, Box::new(move |request| of_stats(&world, request)), spoiled_stats, 2).await?,
            metrics: api(metrics, Box::new(move |request| of_metrics(&world, request)), spoiled_metrics, 2).await?,
            warehouse: api(warehouse, Box::new(move |request| of_warehouse(&world, request)), spoiled_warehouse, 17)
                .await?,
            shop_address: address(database, &shop)?,
            shop,
            database: pool,
            world,
            told: std::sync::Mutex::new(world.began),
        })
    }

    /// The schedule of the source with this name.
    pub(super) fn schedule(&self, name: &str) -> Option<&Schedule> {
        Some(match name {
            "shop" => &self.shop.schedule,
            "stats" => &self.stats.schedule,
            "metrics" => &self.metrics.schedule,
            "warehouse" => &self.warehouse.schedule,
            _ => return None,
        })
    }

    /// The APIs.
    pub(super) fn apis(&self) -> [(&'static str, &Api); 3] {
        [("stats", &self.stats), ("metrics", &self.metrics), ("warehouse", &self.warehouse)]
    }

    /// The latest episode of each source on which experiments rest.
    pub(super) fn latest_of_experiments(&self, now: Timestamp) -> Vec<(&'static str, Episode)> {
        ["shop", "stats", "warehouse"]
            .into_iter()
            .filter_map(|name| Some((name, self.schedule(name)?.latest(now)?)))
            .collect()
    }

    /// The same, where episodes so close that nobody asked in between are one.
    pub(super) fn troubles_of_experiments(
        &self,
        now: Timestamp,
        close: SignedDuration,
    ) -> Vec<(&'static str, Episode)> {
        let of = |name| {
            let all = self.schedule(name)?.episodes();
            let mut begun = all.iter().rev().filter(|episode| episode.from <= now);
            let mut trouble = *begun.next()?;
            for before in begun {
                if trouble.from.duration_since(before.to) > close {
                    break;
                }
                let fault = if trouble.fault.is_failure() { trouble.fault } else { before.fault };
                trouble = Episode { fault, from: before.from, ..trouble };
            }
            Some((name, trouble))
        };
        ["shop", "stats", "warehouse"].into_iter().filter_map(of).collect()
    }

    /// Writes down who came until now.
    pub(super) async fn comes_true(&self, now: Timestamp) -> Result<()> {
        let from = std::mem::replace(&mut *super::net::lock(&self.told), now);
        for row in self.world.rows(Window { from, to: now }) {
            sqlx::query("INSERT INTO visits VALUES ($1, $2, $3::timestamptz, $4, $5)")
                .bind(row.flag)
                .bind(row.variant.as_str())
                .bind(row.came_at.to_string())
                .bind(row.sums.n)
                .bind(row.sums.successes)
                .execute(&self.database)
                .await?;
        }
        Ok(())
    }

    /// Files with the secrets.
    pub(super) fn files(&self) -> Vec<(&'static str, &str)> {
        vec![
            ("stats.secret", SECRETS[0]),
            ("metrics.secret", SECRETS[1]),
            ("warehouse.secret", SECRETS[2]),
            ("shop.secret", &self.shop_address),
        ]
    }

    /// The outcome file.
    pub(super) fn file(&self) -> String {
        FILE.replace("STATS", &self.stats.url)
            .replace("METRICS", &self.metrics.url)
            .replace("WAREHOUSE", &self.warehouse.url)
    }
}

const FILE: &str = r#"version: 1
outcomes:
  - id: retention
    title: "More players come back"
    staleness: 3h
    signal:
      source: shop
      metric: came_back
      method: custom
      poll_interval: 30m
      query:
        level: "SELECT CAST(14000 AS BIGINT) AS n, CAST(4200 AS BIGINT) AS successes WHERE :from < :to"
        by_variant: "SELECT variant, CAST(sum(n) AS BIGINT) AS n, CAST(sum(n) AS BIGINT) AS n_units, CAST(sum(successes) AS BIGINT) AS successes FROM visits WHERE flag = :flag AND came_at >= :from AND came_at < :to GROUP BY variant"
    secondary_signals:
      - { source: shop, metric: visits, method: custom, poll_interval: 30m, query: { level: "SELECT CAST(coalesce(sum(n), 0) AS DOUBLE PRECISION) AS value FROM visits WHERE came_at >= :from AND came_at < :to" } }
      - { source: warehouse, metric: falls, method: custom, poll_interval: 30m, query: { level: "SELECT count() AS n, countIf(fell) AS successes FROM units WHERE at >= :from AND at < :to" } }
      - { source: stats, metric: paid, poll_interval: 30m }
      - { source: metrics, name: load, metric: "sum(load)", poll_interval: 30m }
      - { source: push, metric: orders, method: event }
    target: { direction: increase, from: 0.30, to: 0.35, confidence: 0.95 }
    mde: 0.02
    constraints:
      - signal: crashes
        source: warehouse
        metric: crashed
        method: custom
        poll_interval: 30m
        query:
          by_variant: "SELECT variant, count() AS n, count() AS n_units, countIf(fell) AS successes FROM units WHERE at >= :from AND at < :to AND flag = :flag GROUP BY variant"
        not_worse: { direction: decrease, margin: 0.005 }
      - { signal: latency, source: stats, metric: latency, poll_interval: 30m, max: 500 }
    horizon: 8w
    ship_test: known_end
    portfolio: { max_concurrent: 3 }
    scope:
      allowed_paths: ["game/"]
      forbidden_paths: ["game/payments/"]
signal_connectors:
  - { name: shop, type: sql, config: { url: "${file:shop.secret}", statement_timeout: 5s } }
  - { name: warehouse, type: clickhouse, config: { url: "WAREHOUSE", password: "${file:warehouse.secret}", time_format: unix_millis, statement_timeout: 5s } }
  - name: stats
    type: http_json
    config:
      url: "STATS"
      token: "${file:stats.secret}"
      metrics:
        - { name: latency, path: "/latency?from={from}&to={to}", value: $.p95 }
        - { name: paid, path: "/paid?from={from}&to={to}", n: $.paid.n, successes: $.paid.k }
  - { name: metrics, type: prometheus, config: { url: "METRICS", token: "${file:metrics.secret}" } }
  - { name: push, type: webhook, config: { secret: "${file:push.secret}" } }
feature_flags:
  provider: flagd_file
  config: { path: flags.json }
"#;

/// The address of the proxy, with a password that the server does not ask for.
fn address(database: &str, proxy: &Proxy) -> Result<String> {
    let name = Url::parse(database)?.path().to_owned();
    Ok(format!("postgres://postgres:{}@127.0.0.1:{}{name}", SECRETS[3], proxy.port))
}

fn at(request: &Request, key: &str) -> Timestamp {
    request.values.get(key).and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn of_stats(world: &World, request: &Request) -> Value {
    let window = Window { from: at(request, "from"), to: at(request, "to") };
    let all = world.all(window);
    json!({ "p95": world.latency(window.to), "paid": { "n": all.n, "k": all.successes } })
}

fn spoiled_stats(fault: Fault, good: Value) -> Value {
    let [p95, n] = [&good["p95"], &good["paid"]["n"]];
    let with = |p95: Value, n: Value| json!({ "p95": p95, "paid": { "n": n, "k": good["paid"]["k"] } });
    match fault {
        Fault::NotANumber => with(json!("NaN"), json!("NaN")),
        Fault::Null => with(Value::Null, Value::Null),
        Fault::Empty => json!({}),
        Fault::Quoted => with(p95.to_string().into(), n.to_string().into()),
        Fault::NewFields => json!({ "new": [1], "p95": p95, "paid": { "new": {}, "n": n, "k": good["paid"]["k"] } }),
        _ => good,
    }
}

fn of_metrics(world: &World, request: &Request) -> Value {
    let seconds: f64 = request.values.get("time").and_then(|text| text.parse().ok()).unwrap_or_default();
    let to = Timestamp::from_second(seconds as i64).unwrap_or_default();
    let load = world.latency(to).to_string();
    json!({ "status": "success", "data": { "resultType": "vector", "result": [{ "metric": {}, "value": [seconds, load] }] } })
}

fn spoiled_metrics(fault: Fault, good: Value) -> Value {
    let mut spoiled = good.clone();
    let value = &mut spoiled["data"]["result"][0]["value"][1];
    match fault {
        Fault::NotANumber => *value = json!("NaN"),
        Fault::Null => *value = Value::Null,
        Fault::Empty => spoiled["data"]["result"] = json!([]),
        // Its numbers are in quotes anyhow.
        Fault::Quoted => *value = value.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default(),
        Fault::NewFields => spoiled["data"]["stats"] = json!({ "samples": 1 }),
        _ => {}
    }
    spoiled
}

fn of_warehouse(world: &World, request: &Request) -> Value {
    if request.body.contains("version()") {
        let meta = [json!({ "name": "r", "type": "Int64" }), json!({ "name": "v", "type": "String" })];
        return json!({ "meta": meta, "data": [["0", "24.8.1"]], "rows": 1 });
    }
    let millis = |key: &str| request.values.get(key).and_then(|text| text.parse().ok());
    let instant = |key: &str| millis(key).and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or_default();
    let window = Window { from: instant("param_p1"), to: instant("param_p2") };
    let column = |name: &str, kind: &str| json!({ "name": name, "type": kind });
    let Some(flag) = request.values.get("param_p3") else {
        let all = world.all(window);
        let meta = [column("n", "UInt64"), column("successes", "UInt64")];
        return json!({ "meta": meta, "data": [[all.n, all.crashes]], "rows": 1 });
    };
    let row = |variant: Variant| {
        let arm = world.arm(flag, variant, window);
        (arm.n > 0).then(|| json!([variant.as_str(), arm.n, arm.n, arm.crashes]))
    };
    let rows: Vec<Value> = [Variant::Control, Variant::Treatment].into_iter().filter_map(row).collect();
    let kinds = [("variant", "String"), ("n", "UInt64"), ("n_units", "UInt64"), ("successes", "UInt64")];
    let meta: Vec<Value> = kinds.into_iter().map(|(name, kind)| column(name, kind)).collect();
    json!({ "meta": meta, "rows": rows.len(), "data": rows })
}

fn spoiled_warehouse(fault: Fault, good: Value) -> Value {
    let mut spoiled = good;
    let change = |spoiled: &mut Value, to: &dyn Fn(&Value) -> Value| {
        let rows = spoiled["data"].as_array_mut().into_iter().flatten();
        for cell in rows.filter_map(|row| row.as_array_mut()?.last_mut()) {
            *cell = to(cell);
        }
    };
    match fault {
        Fault::NotANumber => change(&mut spoiled, &|_| json!("nan")),
        Fault::Null => change(&mut spoiled, &|_| Value::Null),
        Fault::Quoted => change(&mut spoiled, &|cell| {
            let text = cell.as_str().map_or_else(|| cell.to_string(), str::to_owned);
            text.into()
        }),
        Fault::NewFields => spoiled["statistics"] = json!({ "elapsed": 0.1 }),
        Fault::Empty | Fault::MissingVariant => {
            // Who asks for the version is no question about units.
            let is_by_variant = spoiled["meta"].as_array().is_some_and(|columns| columns.len() == 4);
            let rows = spoiled["data"].as_array_mut();
            if let Some(rows) = rows.filter(|_| is_by_variant) {
                rows.truncate(usize::from(fault == Fault::MissingVariant));
                spoiled["rows"] = json!(usize::from(fault == Fault::MissingVariant));
            }
        }
        _ => {}
    }
    spoiled
}
