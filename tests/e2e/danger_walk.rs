//! Wherever an experiment stands with its flag on, and whatever is wrong with its data: a provable danger turns the flag off at the
//! next look, a human is asked, and somebody is told.
//!
//! Every state x hold x danger with `OUTCOME_TEST_LONG=1`, a seeded sample of them otherwise, on each engine.

use anyhow::{Context as _, Result, ensure};
use jiff::SignedDuration;
use outcome_core::domain::{ExperimentStatus, GateType, Hypothesis, RolloutPlan, Verdict};
use outcome_tests::lab::{Lab, VISITS, file_of_visits, hypothesis};
use outcome_tests::{postgres, sample};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

const FLAG: &str = "soft";
/// Share of the treatment before and after the first rollout step, in percent.
const SHARES: [u32; 2] = [50, 70];

#[derive(Debug, Clone, Copy)]
enum Danger {
    /// Half of the effect is gone.
    Effect,
    /// The constraint is crossed many times over.
    Constraint,
}

/// What is wrong with the data when danger comes.
#[derive(Debug, Clone, Copy)]
enum Hold {
    Nothing,
    /// The source deletes a day of the past.
    Restated,
    /// The source deletes a user of each arm.
    UserDeleted,
    /// The signal that shows no danger cannot be read.
    OtherSignalUnreadable,
    /// The treatment loses a tenth of its units.
    Mismatch,
}

/// Where the experiment stands, with its flag on.
const STATES: [ExperimentStatus; 6] = [
    ExperimentStatus::Running,
    ExperimentStatus::Measuring,
    ExperimentStatus::AwaitingAnalysisGate,
    ExperimentStatus::Scaling,
    ExperimentStatus::AwaitingScaleGate,
    ExperimentStatus::AwaitingShipGate,
];
const HOLDS: [Hold; 5] =
    [Hold::Nothing, Hold::Restated, Hold::UserDeleted, Hold::OtherSignalUnreadable, Hold::Mismatch];

struct Walk {
    lab: Lab,
    experiment: String,
    /// Share of the treatment, in percent.
    share: u32,
}

impl Walk {
    async fn begin(database: Option<String>) -> Result<Self> {
        let lab = Lab::declaring_on(database, &file_of_visits(), VISITS).await?;
        let [before, step] = SHARES.map(|share| u8::try_from(share).unwrap_or(50));
        let rollout = RolloutPlan { initial_pct: before, steps: vec![step, 90] };
        let experiment = lab.launched(Hypothesis { rollout, ..hypothesis("Softer level", FLAG) }).await?;
        Ok(Self { lab, experiment, share: SHARES[0] })
    }

    async fn status(&self) -> Result<ExperimentStatus> {
        Ok(self.lab.runtime.experiments().show(&self.experiment).await?.experiment.state.status)
    }

    /// So many units come now, and these shares of control and treatment come back and crash.
    async fn come(&self, n: u32, came_back: [f64; 2], crashed: [f64; 2]) -> Result<()> {
        let at = self.lab.runtime.now().strftime("%Y-%m-%d %H:%M:%S").to_string();
        let treated = n * self.share / 100;
        let units = [n - treated, treated].map(f64::from);
        for (i, variant) in ["control", "treatment"].into_iter().enumerate() {
            let (successes, crashes) = ((units[i] * came_back[i]).round(), (units[i] * crashed[i]).round());
            let values = format!("'{FLAG}', '{variant}', '{at}', {}, {successes}, {crashes}", units[i]);
            self.lab.tell_source(&format!("INSERT INTO visits VALUES ({values})")).await?;
        }
        Ok(())
    }

    /// A day on which the treatment is better, and the poll at its end.
    async fn good_day(&self) -> Result<()> {
        self.lab.clock.advance(SignedDuration::from_hours(1));
        self.come(3000, [0.30, 0.38], [0.004, 0.004]).await?;
        let failures = self.lab.poll_after(23).await?.failures;
        ensure!(failures.is_empty(), "{failures:?}");
        Ok(())
    }

    async fn good_days_until(&self, wanted: ExperimentStatus) -> Result<()> {
        for _ in 0..12 {
            self.good_day().await?;
            if self.status().await? == wanted {
                return Ok(());
            }
        }
        anyhow::bail!("it is {} and not {wanted}", self.status().await?)
    }

    async fn reach(&mut self, wanted: ExperimentStatus) -> Result<()> {
        use ExperimentStatus as S;
        match wanted {
            S::Measuring => self.good_day().await?,
            S::AwaitingAnalysisGate => self.good_days_until(wanted).await?,
            S::Scaling => {
                self.good_days_until(S::AwaitingAnalysisGate).await?;
                self.lab.decide(&self.experiment, Verdict::Scale).await?;
                self.share = SHARES[1];
            }
            S::AwaitingScaleGate => {
                Box::pin(self.reach(S::Scaling)).await?;
                self.good_days_until(wanted).await?;
            }
            S::AwaitingShipGate => {
                self.good_days_until(S::AwaitingAnalysisGate).await?;
                self.lab.decide(&self.experiment, Verdict::Ship).await?;
            }
            _ => {}
        }
        ensure!(self.status().await? == wanted, "it is {} and not {wanted}", self.status().await?);
        ensure!(self.is_on()?, "the flag is off");
        Ok(())
    }

    fn is_on(&self) -> Result<bool> {
        self.lab.is_on(FLAG)
    }

    /// Danger comes with an hour in which the source also does this, and the poll at its end.
    async fn danger(&self, danger: Danger, hold: Hold) -> Result<()> {
        self.lab.clock.advance(SignedDuration::from_hours(1));
        let (came_back, crashed) = match danger {
            Danger::Effect => ([0.30, 0.15], [0.004, 0.004]),
            Danger::Constraint => ([0.30, 0.30], [0.004, 0.06]),
        };
        self.come(120_000, came_back, crashed).await?;
        let said = match (hold, danger) {
            (Hold::Nothing, _) => return self.poll().await,
            (Hold::Restated, _) => {
                "DELETE FROM visits WHERE came_at = (SELECT min(came_at) FROM visits) AND came_at < (SELECT max(came_at) FROM visits)"
            }
            (Hold::UserDeleted, _) => {
                "UPDATE visits SET n = n - 1 WHERE rowid IN (SELECT rowid FROM visits ORDER BY came_at LIMIT 2)"
            }
            (Hold::OtherSignalUnreadable, Danger::Effect) => "ALTER TABLE visits RENAME COLUMN crashes TO crashed",
            (Hold::OtherSignalUnreadable, Danger::Constraint) => "ALTER TABLE visits RENAME COLUMN successes TO won",
            (Hold::Mismatch, _) => {
                "UPDATE visits SET n = n * 9 / 10, successes = successes * 9 / 10, crashes = crashes * 9 / 10 WHERE rowid = \
                 (SELECT max(rowid) FROM visits)"
            }
        };
        self.lab.tell_source(said).await?;
        self.poll().await
    }

    async fn poll(&self) -> Result<()> {
        self.lab.poll_after(1).await.map(drop)
    }

    async fn n_told(&self) -> Result<i64> {
        Ok(self.lab.runtime.workspaces().status(false).await?.without_channel.n)
    }
}

async fn walk(database: Option<String>, state: ExperimentStatus, hold: Hold, danger: Danger) -> Result<()> {
    let mut walk = Walk::begin(database).await?;
    walk.reach(state).await?;
    let n_told = walk.n_told().await?;
    walk.danger(danger, hold).await?;
    ensure!(!walk.is_on()?, "the flag is still on, and it is {}", walk.status().await?);
    let view = walk.lab.runtime.experiments().show(&walk.experiment).await?;
    ensure!(view.experiment.state.status == ExperimentStatus::Paused, "it is {}", view.experiment.state.status);
    let [gate] = view.gates.as_slice() else { anyhow::bail!("one gate is expected: {:?}", view.gates) };
    let shown = walk.lab.runtime.gates().show(gate).await?.context;
    ensure!(shown.gate_type == GateType::AnalysisReview, "{}", shown.gate_type);
    let offered = |verdict| shown.verdicts.contains(&verdict);
    ensure!(!offered(Verdict::Ship) && !offered(Verdict::Scale), "{:?} is offered", shown.verdicts);
    ensure!(walk.n_told().await? > n_told, "nobody was told");
    let problems = walk.lab.runtime.audit_log().verify(&[]).await?.problems;
    ensure!(problems.is_empty(), "{problems:?}");
    Ok(())
}

/// The places of the walk: all of them, or a sample in which each state and hold comes.
fn places() -> Vec<(ExperimentStatus, Hold, Danger)> {
    let dangers = [Danger::Effect, Danger::Constraint];
    if sample::is_long() {
        let with_danger = |(state, hold)| dangers.map(|danger| (state, hold, danger));
        let pairs = STATES.into_iter().flat_map(|state| HOLDS.map(|hold| (state, hold)));
        return pairs.flat_map(with_danger).collect();
    }
    let seed = sample::seed(0);
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut holds = HOLDS;
    holds.shuffle(&mut rng);
    let mut dangers = dangers;
    dangers.shuffle(&mut rng);
    let cycle = holds.into_iter().cycle().zip(dangers.into_iter().cycle());
    STATES.into_iter().zip(cycle).map(|(state, (hold, danger))| (state, hold, danger)).collect()
}

async fn walk_all(database: impl AsyncFn() -> Option<String>) -> Result<()> {
    for (state, hold, danger) in places() {
        let place = || format!("{danger:?} in {state} under {hold:?}");
        walk(database().await, state, hold, danger).await.with_context(place)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn danger_turns_the_flag_off_in_every_state_under_every_hold() -> Result<()> {
    walk_all(async || None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn and_on_postgresql() -> Result<()> {
    match postgres::server() {
        Ok(server) => walk_all(async || Some(server.database().await)).await,
        Err(skip) => {
            eprintln!("SKIPPED on PostgreSQL: {skip}");
            Ok(())
        }
    }
}
