//! Random principals do random things: no illegal state, no agent decides, and the log explains everything.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use outcome_core::Code;
use outcome_core::domain::{Author, ExperimentStatus, GateStatus, GateType, Surface, Verdict};
use outcome_core::ids::ExperimentId;
use outcome_core::principal::Principal;
use outcome_core::usecases::{
    ActRequest, BuildReport, DecideRequest, GateOpenRequest, PollRequest, Runtime, Submission, Unlock,
};
use outcome_tests::lab::{self, Lab, OUTCOME, commit, git, hypothesis, write};
use outcome_tests::sample;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use secrecy::SecretString;

use crate::journey::each_lab;
use crate::proof::{check_packs, check_paths};

const FLAGS: [&str; 5] = ["ant", "bee", "cat", "dog", "eel"];

/// How many steps; `OUTCOME_TEST_STEPS` chooses another number.
fn n_steps() -> u64 {
    let chosen = std::env::var("OUTCOME_TEST_STEPS").ok().and_then(|text| text.parse().ok());
    chosen.unwrap_or_else(|| sample::count(400, 2_000))
}

#[tokio::test(flavor = "multi_thread")]
async fn random_steps_reach_no_illegal_state_and_replay_exactly() -> Result<()> {
    let (steps, seed) = (n_steps(), sample::seed(20_261_120));
    each_lab(async |lab| {
        let mut player = Player {
            lab,
            rng: StdRng::seed_from_u64(seed),
            counts: BTreeMap::new(),
            n_built: 0,
            over: BTreeSet::new(),
        };
        for step in 0..steps {
            player.step().await.map_err(|e| e.context(format!("step {step} of seed {seed}")))?;
            if step % 100 == 99 {
                player.check_log().await.map_err(|e| e.context(format!("after step {step} of seed {seed}")))?;
            }
        }
        player.check_log().await?;
        let n_measured = check_paths(&player.lab).await?;
        assert!(n_measured > 3 || steps < 1000, "only {n_measured} experiments were measured");
        let n_recomputed = check_packs(&player.lab).await?;
        assert!(n_recomputed == n_measured || n_recomputed == 0, "{n_recomputed} of {n_measured} were recomputed");
        player.check_reach();
        Ok(())
    })
    .await
}

struct Player {
    lab: Lab,
    rng: StdRng,
    /// What happened, by operation and outcome of it.
    counts: BTreeMap<String, u32>,
    n_built: u32,
    /// Experiments that were seen to be over.
    over: BTreeSet<ExperimentId>,
}

/// Errors that a random step may meet. Anything else is a defect.
const EXPECTED: &[Code] = &[
    Code::Conflict,
    Code::GateNotPending,
    Code::Forbidden,
    Code::InvalidInput,
    Code::NotFound,
    Code::SlotsFull,
    Code::AssuranceTooLow,
    Code::PassphraseWrong,
    Code::HypothesisIncomplete,
    Code::ScopeViolation,
    Code::RevisionNotFound,
    Code::ContextChanged,
    Code::BaseNotAncestor,
];

impl Player {
    fn runtime(&self) -> &Runtime {
        &self.lab.runtime
    }

    async fn step(&mut self) -> Result<()> {
        let before = self.decided().await?;
        let by_agent = self.rng.random_bool(0.5);
        let operation = if by_agent { self.agent_step().await? } else { self.human_step().await? };
        if by_agent {
            assert_eq!(before, self.decided().await?, "an agent's `{operation}` decided a gate");
        }
        self.check_states().await
    }

    /// One thing that an agent can do, chosen at random.
    async fn agent_step(&mut self) -> Result<&'static str> {
        let agent = lab::agent();
        match self.rng.random_range(0..16) {
            0..=2 => {
                let flag = *FLAGS.choose(&mut self.rng).unwrap();
                let mut candidate = hypothesis(&format!("Idea {}", self.rng.random_range(0..1000)), flag);
                if self.rng.random_bool(0.2) {
                    candidate.touched_paths = vec!["game/payments/".to_owned()];
                }
                let author = Author::Ai;
                let submission = Submission { outcome: OUTCOME.to_owned(), hypotheses: vec![candidate], author };
                let done = self.runtime().hypotheses().submit(submission, &agent).await.map(|_| ());
                self.note("submit", done)
            }
            3 | 4 => {
                let Some(experiment) = self.any_experiment().await? else { return Ok("nothing") };
                let done = self.runtime().experiments().propose(&experiment, &agent).await.map(|_| ());
                self.note("propose", done)
            }
            5..=13 => {
                let building = |status| status == ExperimentStatus::Building;
                let Some(experiment) = self.experiment_that(building).await? else { return Ok("nothing") };
                let done = self.report(&experiment, &agent).await?;
                self.note("report", done)
            }
            14 => {
                let Some(experiment) = self.any_experiment().await? else { return Ok("nothing") };
                let done = self.runtime().builds().failed(&experiment, "it does not compile", &agent).await.map(|_| ());
                self.note("fail", done)
            }
            _ => {
                let Some(experiment) = self.any_experiment().await? else { return Ok("nothing") };
                let request =
                    GateOpenRequest { experiment, question: "Approve this yourself?".to_owned(), details: None };
                let done = self.runtime().gates().open(request, &agent).await.map(|_| ());
                let retry = self.any_experiment().await?.unwrap_or_default();
                let forbidden = self.runtime().builds().retry(&retry, &agent).await.map(|_| ());
                assert!(forbidden.is_err(), "an agent retried a failed build");
                self.note("ask", done)
            }
        }
    }

    /// One thing that a human, the clock or the source can do.
    async fn human_step(&mut self) -> Result<&'static str> {
        match self.rng.random_range(0..10) {
            0..=3 => self.decide().await,
            4 => self.act().await,
            5 => {
                let Some(experiment) = self.any_experiment().await? else { return Ok("nothing") };
                let human = outcome_tests::lab::local();
                let done = self.runtime().builds().retry(&experiment, &human).await.map(|_| ());
                self.note("retry", done)
            }
            6 => {
                let flag = *FLAGS.choose(&mut self.rng).unwrap();
                let n = self.rng.random_range(0..40_000);
                let arm = |rng: &mut StdRng, rate: f64| {
                    #[expect(clippy::cast_possible_truncation, reason = "a share of a small count")]
                    let successes = (f64::from(n) * rate * rng.random_range(0.9..1.1)) as i64;
                    (i64::from(n), successes.min(i64::from(n)), i64::from(n) / rng.random_range(20..400))
                };
                let (control, treatment) = (arm(&mut self.rng, 0.3), arm(&mut self.rng, 0.31));
                self.lab.arms(flag, control, treatment).await?;
                Ok("arms")
            }
            7 if self.rng.random_bool(0.1) => {
                // Somebody turns a flag by hand.
                let path = self.lab.root().join("flags.json");
                if let Ok(text) = std::fs::read_to_string(&path) {
                    std::fs::write(&path, text.replacen("ENABLED", "DISABLED", 1))?;
                }
                Ok("drift")
            }
            _ => {
                let hours = self.rng.random_range(1..12);
                self.lab.clock.advance(jiff::SignedDuration::from_hours(hours));
                let is_forced = self.rng.random_bool(0.7);
                let polled =
                    self.runtime().signals().poll(&PollRequest { is_forced, ..PollRequest::default() }).await?;
                // That nobody is exposed yet is said, and is no fault here.
                let faults = polled.failures.iter().filter(|failure| !failure.contains("nobody has been exposed"));
                assert_eq!(faults.collect::<Vec<_>>(), Vec::<&String>::new());
                Ok("poll")
            }
        }
    }

    async fn decide(&mut self) -> Result<&'static str> {
        let gates = self.runtime().gates().list().await?;
        let Some(gate) = gates.choose(&mut self.rng) else { return Ok("nothing") };
        let verdicts = match self.rng.random_range(0..10) {
            0 => Verdict::ALL.to_vec(),
            // Mostly forward, so that the walk sees all of the lifecycle.
            1..=4 => gate.context.verdicts.iter().copied().take(1).collect(),
            _ => gate.context.verdicts.clone(),
        };
        let verdict = *verdicts.choose(&mut self.rng).unwrap();
        let unlock = match self.rng.random_range(0..20) {
            0 => Unlock::Passphrase(SecretString::from("not the passphrase")),
            1..=3 => {
                let asked = self.runtime().gates().ask(&gate.gate, verdict, None, &outcome_tests::lab::local()).await;
                return self.note("ask", asked.map(|_| ()));
            }
            _ => outcome_tests::lab::unlock(),
        };
        let request = DecideRequest {
            gate: gate.gate.clone(),
            verdict,
            conditions: vec!["watch it".to_owned()],
            note: Some("because".to_owned()),
            context_hash: Some(gate.context_hash.clone()),
            member: None,
            unlock,
            surface: Surface::Page,
        };
        let done = self.runtime().gates().decide(request).await.map(|_| ());
        self.note("decide", done)
    }

    async fn act(&mut self) -> Result<&'static str> {
        let Some(experiment) = self.experiment_that(ExperimentStatus::is_polled).await? else { return Ok("nothing") };
        let verdict = *[Verdict::Pause, Verdict::Resume, Verdict::Resume, Verdict::Kill].choose(&mut self.rng).unwrap();
        if self.rng.random_bool(0.5) {
            let by = outcome_tests::lab::local();
            let done = self.runtime().experiments().act_unsigned(&experiment, verdict, None, &by).await;
            assert!(
                done.as_ref().is_ok_and(|done| done.is_done) <= (verdict == Verdict::Pause),
                "{verdict} was done unsigned"
            );
            return self.note("act", done.map(|_| ()));
        }
        let unlock = outcome_tests::lab::unlock();
        if verdict == Verdict::Kill && self.rng.random_bool(0.8) {
            return Ok("nothing");
        }
        let surface = Surface::Terminal;
        let request = ActRequest { experiment, verdict, note: None, member: None, unlock, surface };
        let done = self.runtime().experiments().act(request).await.map(|_| ());
        self.note("act", done)
    }

    /// Reports a build: usually a good commit, sometimes one that strays, or none at all.
    async fn report(&mut self, experiment: &str, by: &Principal) -> Result<Result<(), outcome_core::Error>> {
        let status = self.runtime().experiments().show(experiment).await?.experiment.state.status;
        let head = match self.rng.random_range(0..5) {
            _ if !matches!(status, ExperimentStatus::Building | ExperimentStatus::AwaitingLaunchGate) => {
                "HEAD".to_owned()
            }
            0 => "no-such-branch".to_owned(),
            choice => {
                let root = self.lab.root();
                self.n_built += 1;
                git(&root, &["checkout", "-q", "-B", experiment, "main"])?;
                let path = if choice == 1 { "game/payments/charge.txt" } else { "game/level.txt" };
                let brief = self.runtime().builds().brief(experiment).await;
                let key = brief.map(|brief| brief.flag_key).unwrap_or_default();
                write(&root, path, &format!("{experiment} {} {key}\n", self.n_built))?;
                let head = commit(&root, experiment)?;
                git(&root, &["checkout", "-q", "main"])?;
                head
            }
        };
        let report = BuildReport {
            experiment: experiment.to_owned(),
            summary: "<b>built</b> as asked".to_owned(),
            head: Some(head),
            ..BuildReport::default()
        };
        Ok(self.runtime().builds().report(report, by).await.map(|_| ()))
    }

    fn note(&mut self, operation: &'static str, done: Result<(), outcome_core::Error>) -> Result<&'static str> {
        let result = match &done {
            Ok(()) => "ok".to_owned(),
            Err(error) => {
                assert!(EXPECTED.contains(&error.code()), "`{operation}` met {}: {error}", error.code());
                error.code().to_string()
            }
        };
        *self.counts.entry(format!("{operation} {result}")).or_default() += 1;
        Ok(operation)
    }

    /// Mostly one that `fits`, so that the walk gets on; sometimes any.
    async fn experiment_that(&mut self, fits: impl Fn(ExperimentStatus) -> bool) -> Result<Option<String>> {
        let mut all = self.runtime().experiments().list(None, 100).await?;
        all.retain(|experiment| fits(experiment.state.status));
        match all.choose(&mut self.rng) {
            Some(experiment) if self.rng.random_bool(0.8) => Ok(Some(experiment.slug.to_string())),
            _ => self.any_experiment().await,
        }
    }

    async fn any_experiment(&mut self) -> Result<Option<String>> {
        let mut all = self.runtime().experiments().list(None, 30).await?;
        if self.rng.random_bool(0.8) {
            all.retain(|experiment| !experiment.state.status.is_terminal());
        }
        Ok(all.choose(&mut self.rng).map(|experiment| experiment.slug.to_string()))
    }

    /// The gates that a human has decided.
    async fn decided(&self) -> Result<Vec<String>> {
        let mut tx = self.runtime().db().read(self.runtime().workspace().id).await?;
        let gates = tx.gate_list(None, 10_000).await?;
        Ok(gates.into_iter().filter(|gate| gate.state.status.is_decided()).map(|gate| gate.slug.to_string()).collect())
    }

    /// What must hold after every step, whoever took it. What is over and was looked at once is not looked at again.
    async fn check_states(&mut self) -> Result<()> {
        let all = self.runtime().experiments().list(None, 10_000).await?;
        let n_occupied = all.iter().filter(|experiment| experiment.state.status.occupies_slot()).count();
        assert!(n_occupied <= 3, "{n_occupied} experiments are under way, 3 are allowed");
        let mut tx = self.lab.runtime.db().read(self.lab.runtime.workspace().id).await?;
        let gates = tx.gate_list(None, 10_000).await?;
        for experiment in all {
            let status = experiment.state.status;
            if self.over.contains(&experiment.id) {
                assert!(status.is_terminal(), "{} came back from the end", experiment.slug);
                continue;
            }
            let what = format!("{} is {status}", experiment.slug);
            assert_eq!(experiment.state.pause.is_some(), status == ExperimentStatus::Paused, "{what}");
            assert!(experiment.launched_at.is_some() || !status.is_polled(), "{what} and was never launched");
            if status.is_terminal() {
                assert!(experiment.concluded_at.is_some() && experiment.final_result.is_some(), "{what}");
                let learnings = tx.learning_list(Some(experiment.outcome), 10_000, 0).await?;
                let has_taught = learnings.iter().any(|found| found.learning.experiment == experiment.id);
                assert!(has_taught, "{what} without a learning");
                self.over.insert(experiment.id);
            }
            let open: Vec<_> = gates
                .iter()
                .filter(|gate| gate.experiment == Some(experiment.id) && gate.gate_type != GateType::Escalation)
                .filter(|gate| matches!(gate.state.status, GateStatus::Pending | GateStatus::TimedOut))
                .map(|gate| gate.gate_type)
                .collect();
            assert!(open.len() <= 1, "{what} with the gates {open:?}");
            let waits = status.as_str().starts_with("awaiting_");
            assert!(!waits || open.len() == 1, "{what} without a gate");
        }
        Ok(())
    }

    async fn check_log(&self) -> Result<()> {
        let check = self.runtime().audit_log().verify(&[]).await?;
        assert_eq!(check.problems, Vec::<String>::new(), "the log does not explain the state");
        Ok(())
    }

    /// A walk that never gets anywhere would prove nothing.
    fn check_reach(&self) {
        println!("{:#?}", self.counts);
        let always = ["submit ok", "report ok", "decide ok", "ask ok"];
        // A short walk from a seed that nobody chose does not meet everything.
        let when_long = ["act ok", "report scope_violation"].into_iter().filter(|_| sample::is_long());
        for needed in always.into_iter().chain(when_long) {
            assert!(self.counts.contains_key(needed), "the walk never met `{needed}`: {:?}", self.counts);
        }
    }
}
