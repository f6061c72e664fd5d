//! Harm is proven: the flag goes off in a real Unleash, the experiment is paused, its gate opens and people are told, whatever crashes
//! in between. Events are in PostgreSQL, a limit is in a real Prometheus, and daemons are real.

mod proxy;
mod shop;

use std::time::Duration;

use anyhow::{Result, ensure};
use jiff::{SignedDuration, Timestamp};
use outcome_core::domain::Verdict;
use outcome_tests::prometheus::{Past, Prometheus};
use outcome_tests::unleash::Unleash;
use outcome_tests::{postgres, sample};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::process::Child;

use crate::daemons::{daemon, write_clock};
use proxy::{Proxy, Trouble};
use shop::Shop;

/// When a laboratory begins.
const BEGAN: &str = "2026-10-01T08:00:00Z";

/// The real servers; `None`, said loudly, where one is missing.
async fn servers(values: &[(SignedDuration, f64)]) -> Result<Option<(Unleash, Prometheus)>> {
    let began: Timestamp = BEGAN.parse()?;
    let values: Vec<_> = values.iter().map(|(after, value)| (began + *after, *value)).collect();
    let past = Past { metric: "error_rate", values: &values, until: began + SignedDuration::from_hours(24 * 14) };
    let Some(unleash) = Unleash::start().await else { return Ok(None) };
    let Some(metrics) = Prometheus::remembering(&past).await? else { return Ok(None) };
    Ok(Some((unleash, metrics)))
}

const HEALTHY: (SignedDuration, f64) = (SignedDuration::from_hours(-2), 0.002);

#[tokio::test]
async fn a_limit_that_is_crossed_in_prometheus_turns_the_flag_off_in_unleash() -> Result<()> {
    let Ok(server) = postgres::server() else { return Ok(()) };
    let Some((unleash, metrics)) = servers(&[HEALTHY, (SignedDuration::from_hours(5), 0.2)]).await? else {
        return Ok(());
    };
    let shop = Shop::open(server, &unleash, unleash.url(), metrics.url()).await?;
    let experiment = shop.launch("limit-crossed").await?;
    write_clock(&shop.lab)?;
    let _daemons = [daemon(&shop.lab)?, daemon(&shop.lab)?];
    shop.lab.clock.advance(SignedDuration::from_hours(4));
    write_clock(&shop.lab)?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    ensure!(shop.is_on("limit-crossed").await?, "it is healthy");
    // From here on the limit is crossed. A value without units must be so on three days.
    let mut n_days = 0;
    while shop.is_on("limit-crossed").await? {
        ensure!(n_days < 5, "it is still on after {n_days} days");
        n_days += 1;
        shop.lab.clock.advance(SignedDuration::from_hours(25));
        write_clock(&shop.lab)?;
        shop.is_polled("limit-crossed").await?;
    }
    ensure!(n_days >= 3, "it is off after {n_days} days");
    shop.is_stopped_once(&experiment, "limit-crossed", "error_rate").await?;
    let experiment = shop.launch("harmed").await?;
    shop.is_looked_at("harmed").await?;
    shop.harm("harmed").await?;
    shop.lab.clock.advance(SignedDuration::from_hours(7));
    write_clock(&shop.lab)?;
    shop.is_read("harmed").await?;
    let took = shop.off_after("harmed", async || Ok(())).await?;
    ensure!(took <= Duration::from_secs(2), "the flag went off {took:?} after the poll");
    shop.is_stopped_once(&experiment, "harmed", "crashes").await?;
    ensure!(shop.lab.runtime.audit_log().verify(&[]).await?.problems.is_empty());
    Ok(())
}

/// The saga under `kill -9` at random points.
async fn killed(n_daemons: usize) -> Result<()> {
    let Ok(server) = postgres::server() else { return Ok(()) };
    let Some((unleash, metrics)) = servers(&[HEALTHY]).await? else { return Ok(()) };
    let shop = Shop::open(server, &unleash, unleash.url(), metrics.url()).await?;
    write_clock(&shop.lab)?;
    let mut rng = StdRng::seed_from_u64(sample::seed(0).wrapping_add(u64::try_from(n_daemons)?));
    let mut daemons = Vec::new();
    for _ in 0..n_daemons {
        daemons.push(daemon(&shop.lab)?);
    }
    for point in 0..sample::count(6, 30) {
        let flag = format!("killed-{n_daemons}-{point}");
        let experiment = shop.launch(&flag).await?;
        shop.harm(&flag).await?;
        shop.lab.clock.advance(SignedDuration::from_hours(7));
        write_clock(&shop.lab)?;
        // From before anything was asked to after everything was done.
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..3000))).await;
        kill_one(&shop, &mut daemons, &mut rng).await?;
        // A daemon that had asked before the harm began asks again when it is due.
        let patience = std::cell::Cell::new(150);
        let meanwhile = async || {
            patience.set(patience.get() - 1);
            if patience.get() == 0 {
                shop.lab.clock.advance(SignedDuration::from_hours(7));
                write_clock(&shop.lab)?;
            }
            Ok(())
        };
        shop.off_after(&flag, meanwhile).await?;
        shop.is_stopped_once(&experiment, &flag, "crashes").await?;
        shop.lab.act(&experiment, Verdict::Kill).await?;
    }
    ensure!(shop.lab.runtime.audit_log().verify(&[]).await?.problems.is_empty());
    Ok(())
}

async fn kill_one(shop: &Shop<'_>, daemons: &mut [Child], rng: &mut StdRng) -> Result<()> {
    let victim = rng.random_range(0..daemons.len());
    daemons[victim].kill().await?;
    // What a program held that died is taken by another one soon.
    shop.lab.clock.advance(SignedDuration::from_secs(30));
    write_clock(&shop.lab)?;
    daemons[victim] = daemon(&shop.lab)?;
    Ok(())
}

#[tokio::test]
async fn killed_at_any_point_one_daemon_finishes_what_it_began() -> Result<()> {
    killed(1).await
}

#[tokio::test]
async fn killed_at_any_point_three_daemons_finish_it_once() -> Result<()> {
    killed(3).await
}

#[tokio::test]
async fn an_unleash_that_is_down_slow_or_busy_delays_and_changes_nothing_else() -> Result<()> {
    let Ok(server) = postgres::server() else { return Ok(()) };
    let Some((unleash, metrics)) = servers(&[HEALTHY]).await? else { return Ok(()) };
    let proxy = Proxy::before(unleash.url()).await?;
    let shop = Shop::open(server, &unleash, &proxy.url, metrics.url()).await?;
    write_clock(&shop.lab)?;
    let _daemons = [daemon(&shop.lab)?, daemon(&shop.lab)?];
    for (trouble, flag) in
        [(Trouble::Down, "unleash-down"), (Trouble::Slow, "unleash-slow"), (Trouble::Conflict, "unleash-busy")]
    {
        let experiment = shop.launch(flag).await?;
        // A poll that had asked before the harm began would ask again only when it is due.
        shop.is_looked_at(flag).await?;
        let before = proxy.n_refused();
        proxy.set(trouble);
        shop.harm(flag).await?;
        shop.lab.clock.advance(SignedDuration::from_hours(7));
        write_clock(&shop.lab)?;
        let minutes = async |n: i64| {
            for _ in 0..n {
                tokio::time::sleep(Duration::from_secs(1)).await;
                shop.lab.clock.advance(SignedDuration::from_mins(1));
                write_clock(&shop.lab)?;
            }
            anyhow::Ok(())
        };
        let mut n_waited = 0;
        while proxy.n_refused() == before {
            ensure!(n_waited < 20, "{trouble:?} was not met\n{}", shop.said());
            n_waited += 1;
            minutes(1).await?;
        }
        minutes(6).await?;
        if trouble != Trouble::Slow {
            // People are told minutes after the stop, and the stop is as late as the poll.
            let mut told = Vec::new();
            for _ in 0..12 {
                told = shop.told(&experiment).await?;
                if told.iter().any(|body| body["type"] == "flag_not_off") {
                    break;
                }
                minutes(1).await?;
            }
            ensure!(told.iter().any(|body| body["type"] == "flag_not_off"), "{trouble:?}: nobody is told: {told:?}");
            ensure!(shop.is_on(flag).await?, "{trouble:?}: nobody could turn it off");
        }
        proxy.set(Trouble::None);
        shop.off_after(flag, async || minutes(1).await).await?;
        shop.is_stopped_once(&experiment, flag, "crashes").await?;
        shop.lab.act(&experiment, Verdict::Kill).await?;
    }
    Ok(())
}
