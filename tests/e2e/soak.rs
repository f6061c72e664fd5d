//! Days of faults at every source of a workspace: nothing is lost, nothing is decided by them, and everybody can see what to do.
//!
//! Stand-ins for HTTP APIs and a proxy before a real PostgreSQL server spoil their answers by a schedule that comes from
//! `OUTCOME_TEST_SEED`. The workspace's clock is set by hand: two days, or eight weeks with `OUTCOME_TEST_LONG=1`. Timers pass as fast as
//! nothing else happens ([`net`]).

mod faults;
mod http;
mod net;
mod people;
mod sources;
mod tcp;
mod watch;
mod world;

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use outcome_core::clock::ManualClock;
use outcome_core::domain::{Experiment, Hypothesis, MeasurementPlan};
use outcome_core::ids::ExperimentId;
use outcome_core::usecases::PollRequest;
use outcome_tests::lab::{self, Lab, OUTCOME, pushed_level};
use outcome_tests::{postgres, sample};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use net::Net;
use people::People;
use sources::Sources;
use watch::Watch;
use world::{FLAGS, World};

/// When a laboratory begins.
const BEGAN: &str = "2026-10-01T08:00:00Z";
/// How often another program pushes.
const PUSHED_EVERY: SignedDuration = SignedDuration::from_hours(6);
/// The end is free of faults, so that everything gets well.
const QUIET_END: SignedDuration = SignedDuration::from_hours(8);
/// How often signals are read.
const INTERVAL: SignedDuration = SignedDuration::from_mins(30);

#[tokio::test]
async fn days_of_faults_lose_nothing_decide_nothing_and_are_seen() -> Result<()> {
    let server = match postgres::server() {
        Ok(server) => server,
        Err(skip) => {
            eprintln!("{skip}");
            return Ok(());
        }
    };
    let seed = sample::seed(0);
    let days = sample::count(2, 56);
    soaked(&server.database().await, seed, days).await.with_context(|| format!("OUTCOME_TEST_SEED={seed}"))
}

/// A clock of the stand-ins, which goes with the workspace's.
struct Hands {
    ours: ManualClock,
    lab: ManualClock,
}

impl Hands {
    fn advance(&self, by: SignedDuration) {
        self.ours.advance(by);
        self.lab.advance(by);
    }
}

async fn soaked(database: &str, seed: u64, days: i64) -> Result<()> {
    let began: Timestamp = BEGAN.parse()?;
    let ends = began + SignedDuration::from_hours(24 * days);
    let world =
        World { began: began - SignedDuration::from_hours(48), harm_at: began + SignedDuration::from_hours(12 * days) };
    let ours = ManualClock::at(began);
    let net = Arc::new(Net::default());
    let mut rng = StdRng::seed_from_u64(seed);
    let faulty = (began + SignedDuration::from_hours(3), ends - QUIET_END);
    let sources = Sources::start(&ours, &net, &mut rng, faulty, world, database).await?;
    let said = watch::Said::default();
    let guard = said.listen();
    let lab = Lab::declaring_beside(None, &sources.file(), &sources.files()).await?;
    let hands = Hands { ours, lab: lab.clock.clone() };
    let mut experiments = Vec::new();
    for flag in FLAGS {
        let slug = lab.launched(plan(flag)).await?;
        experiments.push(lab.runtime.experiments().show(&slug).await?.experiment.id);
    }
    let mut watch = Watch::new(&lab, &sources, world);
    let mut people = People::default();
    let hurry = tokio::spawn({
        let (net, runtime) = (Arc::clone(&net), lab.runtime.clone());
        async move { net.hurry(&runtime).await }
    });
    let mut pushes = 0;
    let mut n_rounds = 0;
    while lab.runtime.now() < ends {
        ensure!(!hurry.is_finished(), "timers stand still");
        let now = lab.runtime.now();
        sources.comes_true(now).await?;
        if now >= began + PUSHED_EVERY * pushes {
            lab.push(&format!("push-{pushes}"), &pushed_level(now, "orders", 100, i64::from(pushes) % 100)).await?;
            pushes += 1;
        }
        let polled = lab.runtime.signals().poll(&PollRequest::default()).await?;
        ensure!(!polled.is_skipped && polled.clock_problem.is_none(), "{polled:?}");
        let standing = standing(&lab, &experiments).await?;
        watch.after(&polled, &said, &standing).await?;
        n_rounds += 1;
        people.resume(&lab, &sources, &standing).await?;
        hands.advance(next_look(&lab).await?);
    }
    hurry.abort();
    drop(guard);
    watch.at_the_end(usize::try_from(pushes)?, &standing(&lab, &experiments).await?).await?;
    ensure!(n_rounds > 100 && people.n_resumed > 0, "{n_rounds} rounds, of which nothing lasted: {people:?}");
    ensure!(lab.runtime.audit_log().verify(&[]).await?.problems.is_empty());
    Ok(())
}

/// Until something is due, as the collector waits.
async fn next_look(lab: &Lab) -> Result<SignedDuration> {
    let mut tx = lab.runtime.db().read(lab.runtime.workspace().id).await?;
    let (shortest, longest) = (SignedDuration::from_mins(8), SignedDuration::from_mins(20));
    let wait = tx.job_next().await?.map_or(longest, |at| at.duration_since(lab.runtime.now()));
    Ok(wait.clamp(shortest, longest))
}

/// An experiment that does not end by itself in eight weeks: the true effect lies in the middle between none and the one it asks for.
fn plan(flag: &str) -> Hypothesis {
    let known = lab::hypothesis(&format!("The {flag} level"), flag);
    let measurement = MeasurementPlan { duration_days: 56, minimum_detectable_effect: 0.009, ..known.measurement };
    Hypothesis { expected_improvement: 0.009, measurement, ..known }
}

/// The experiments as they stand.
async fn standing(lab: &Lab, experiments: &[ExperimentId]) -> Result<Vec<Experiment>> {
    let mut tx = lab.runtime.db().read(lab.runtime.workspace().id).await?;
    let mut found = Vec::new();
    for id in experiments {
        found.push(tx.experiment_get(*id).await?.context("no experiment")?);
    }
    Ok(found)
}

/// The outcome of the laboratory.
async fn outcome(lab: &Lab) -> Result<outcome_core::domain::Outcome> {
    let mut tx = lab.runtime.db().read(lab.runtime.workspace().id).await?;
    tx.outcome_by_slug(OUTCOME).await?.context("no outcome")
}
