//! A human sets the data of a running experiment right: a query that broke, a reading that was wrong. Nothing that was stored
//! is changed, what was wrong counts nowhere any more, and claims get harder.

use anyhow::{Context as _, Result};
use outcome_core::Code;
use outcome_core::domain::{Correction, Evaluation, Experiment, ExperimentStatus, Plan, Surface, Verdict};
use outcome_core::usecases::{CorrectRequest, Corrected, Unlock, Wrong};
use outcome_tests::lab::{Lab, PASSPHRASE, write};
use pretty_assertions::assert_eq;
use secrecy::SecretString;

use crate::proof::{check_packs, check_paths};

struct Game {
    lab: Lab,
    experiment: String,
}

/// On SQLite and on PostgreSQL.
async fn each_store(test: impl AsyncFn(Game) -> Result<()>) -> Result<()> {
    test(Game::on(None).await?).await?;
    match outcome_tests::postgres::server() {
        Ok(server) => test(Game::on(Some(server.database().await)).await?).await,
        Err(skip) => {
            eprintln!("SKIPPED on PostgreSQL: {skip}");
            Ok(())
        }
    }
}

impl Game {
    /// A running experiment.
    async fn on(database: Option<String>) -> Result<Self> {
        let lab = Lab::on(database).await?;
        let experiment = lab.running("Softer level", "soft").await?;
        Ok(Self { lab, experiment })
    }

    async fn experiment(&self) -> Result<Experiment> {
        Ok(self.lab.runtime.experiments().show(&self.experiment).await?.experiment)
    }

    async fn plan(&self) -> Result<Plan> {
        Ok(self.experiment().await?.plan.context("not launched")?.read()?.clone())
    }

    async fn result(&self) -> Result<Evaluation> {
        Ok(self.experiment().await?.current_result.context("nothing was evaluated")?.read()?.clone())
    }

    /// What the sources say in all from now on, half a day later, and a poll.
    async fn half_a_day(&self, control: (i64, i64, i64), treatment: (i64, i64, i64)) -> Result<Vec<String>> {
        self.lab.arms("soft", control, treatment).await?;
        Ok(self.lab.poll_after(12).await?.failures)
    }

    /// The member corrects something as it is shown, with this passphrase.
    async fn correct(&self, wrong: &Wrong, passphrase: &str) -> outcome_core::Result<Corrected> {
        let preview = self.lab.runtime.experiments().correction(&self.experiment, wrong).await?;
        self.lab.runtime.experiments().correct(self.request(preview.correction, passphrase)).await
    }

    fn request(&self, correction: Correction, passphrase: &str) -> CorrectRequest {
        CorrectRequest {
            experiment: self.experiment.clone(),
            correction,
            note: "the import was half done".to_owned(),
            member: None,
            unlock: Unlock::Passphrase(SecretString::from(passphrase)),
            surface: Surface::Terminal,
        }
    }

    /// Changes the outcome file and applies it.
    async fn declare(&self, from: &str, to: &str) -> Result<()> {
        let path = self.lab.root().join("outcome.yaml");
        let text = std::fs::read_to_string(&path)?;
        anyhow::ensure!(text.contains(from), "the file has no {from}");
        write(&self.lab.root(), "outcome.yaml", &text.replace(from, to))?;
        let human = outcome_tests::lab::local();
        self.lab.runtime.outcomes().apply(&human, Some(&outcome_tests::lab::unlock())).await?;
        Ok(())
    }

    /// The log holds, the readings explain the evaluation, and the independent program agrees.
    async fn check(&self, n_measured: usize) -> Result<()> {
        assert_eq!(self.lab.runtime.audit_log().verify(&[]).await?.problems, Vec::<String>::new());
        assert_eq!(check_paths(&self.lab).await?, n_measured);
        check_packs(&self.lab).await?;
        Ok(())
    }
}

fn query_of(signal: &str) -> Wrong {
    Wrong::Query { signal: signal.to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_broke_is_corrected_and_the_experiment_begins_anew() -> Result<()> {
    each_store(async |game| {
        game.half_a_day((900, 270, 2), (910, 290, 2)).await?;
        game.half_a_day((1800, 540, 4), (1820, 585, 4)).await?;
        let before = game.plan().await?;

        // The table is renamed: three failed polls over more than two hours pause.
        game.lab.tell_source("ALTER TABLE arms RENAME TO players").await?;
        for _ in 0..3 {
            assert!(!game.lab.poll_after(2).await?.failures.is_empty());
        }
        assert_eq!(game.experiment().await?.state.status, ExperimentStatus::Paused);
        let gate = game.lab.runtime.experiments().show(&game.experiment).await?.gates;

        // The outcome still has the broken query.
        let refused = game.correct(&query_of("came_back"), PASSPHRASE).await.unwrap_err();
        assert_eq!(refused.code(), Code::Conflict, "{refused}");
        let refused = game.correct(&query_of("orders"), PASSPHRASE).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound, "{refused}");
        // A table of the source by its new name, for the other constraint too.
        game.declare("FROM arms", "FROM players").await?;
        assert_eq!(game.plan().await?, before, "only a signature changes a plan");
        let refused = game.correct(&query_of("came_back"), "wrong").await.unwrap_err();
        assert!(matches!(refused.code(), Code::PassphraseWrong), "{refused}");

        for (i, signal) in ["came_back", "crashes"].into_iter().enumerate() {
            let corrected = game.correct(&query_of(signal), PASSPHRASE).await?;
            assert_eq!(corrected.corrected.n_left_out, 4, "two polls, two arms");
            assert!((corrected.corrected.alpha_after - before.alpha / f64::from(2 << i)).abs() < 1e-12);
            assert_eq!(corrected.corrected.unchecked, None);
        }
        let plan = game.plan().await?;
        assert!(plan.signal.query.by_variant.as_deref().is_some_and(|query| query.contains("players")));
        assert_eq!((plan.tau, plan.direction), (before.tau, before.direction));
        let now = game.experiment().await?;
        assert_eq!((now.current_result.is_none(), now.running.is_none()), (true, true), "nothing is left that counts");
        assert_eq!(now.state.status, ExperimentStatus::Paused);
        let shown = game.lab.runtime.experiments().show(&game.experiment).await?;
        assert_ne!(shown.gates, gate, "the gate that waited spoke of readings that do not count");
        let context = game.lab.runtime.gates().show(&shown.gates[0]).await?.context;
        let facts = context.facts.read()?.plan.as_ref().context("no plan")?;
        assert_eq!(Some(&facts.hash), now.state.plan_hash.as_ref(), "the gate shows the plan that counts");
        assert_eq!(facts.error_budget.map(|budget| budget.corrections), Some(2));

        let refused = game.lab.act(&game.experiment, Verdict::Resume).await.unwrap_err();
        assert_eq!(refused.code(), Code::Conflict, "nobody has seen what the corrected query says: {refused}");
        game.lab.poll_after(1).await?;
        game.lab.act(&game.experiment, Verdict::Resume).await?;
        game.lab.tell_source("UPDATE players SET n = n + 900, successes = successes + 280").await?;
        assert_eq!(game.lab.poll_after(12).await?.failures, Vec::<String>::new());
        let result = game.result().await?;
        // The table tells the same of both phases: the one before the pause and the one since.
        assert_eq!(result.numbers.n_control + result.numbers.n_treatment, 2 * (2 * 2700 + 20));
        assert_eq!(result.alpha, Some(plan.alpha));
        game.check(1).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_that_was_wrong_is_left_out_and_claims_get_harder() -> Result<()> {
    each_store(async |game| {
        game.half_a_day((900, 270, 2), (910, 290, 2)).await?;
        // Half of the control's successes were not imported yet.
        game.half_a_day((1800, 400, 4), (1820, 585, 4)).await?;
        let wrong_at = game.lab.runtime.now();
        let wrong = game.result().await?;
        game.half_a_day((2700, 810, 6), (2730, 860, 6)).await?;
        let proven = game.result().await?.numbers.p_running;
        assert!((proven - wrong.numbers.p_running).abs() < 1e-12, "what was proven once stays proven");

        let at = |measured_at| Wrong::Reading { signal: "came_back".to_owned(), measured_at };
        let never = game.correct(&at("2026-10-01T00:00:00Z".parse()?), PASSPHRASE).await.unwrap_err();
        assert_eq!(never.code(), Code::NotFound);
        assert!(never.hint_text().is_some_and(|hint| hint.contains(&wrong_at.to_string())), "{never:?}");
        let corrected = game.correct(&at(wrong_at), PASSPHRASE).await?;
        assert_eq!((corrected.corrected.n_left_out, corrected.experiment_status), (2, ExperimentStatus::Measuring));
        assert!(game.result().await?.numbers.p_running > 100.0 * proven);
        game.check(1).await?;

        let again = game.correct(&at(wrong_at), PASSPHRASE).await.unwrap_err();
        assert_eq!(again.code(), Code::NotFound, "it does not count already");
        assert_eq!(game.half_a_day((3600, 1080, 8), (3640, 1150, 8)).await?, Vec::<String>::new());
        assert_eq!(game.result().await?.error_budget.map(|budget| budget.corrections), Some(1));
        game.check(1).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_is_what_was_shown() -> Result<()> {
    let game = Game::on(None).await?;
    game.half_a_day((900, 270, 2), (910, 290, 2)).await?;
    game.declare("n_units, successes FROM arms", "n_units, successes + 0 AS successes FROM arms").await?;
    let shown = game.lab.runtime.experiments().correction(&game.experiment, &query_of("came_back")).await?;
    // Somebody changes the query between the look and the signature.
    game.declare("successes + 0 AS", "n AS").await?;
    let refused = game.lab.runtime.experiments().correct(game.request(shown.correction, PASSPHRASE)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Conflict, "{refused}");
    // Another metric is another experiment.
    game.declare("metric: came_back", "metric: returned").await?;
    let refused = game.correct(&query_of("came_back"), PASSPHRASE).await.unwrap_err();
    assert_eq!(refused.code(), Code::Conflict, "{refused}");
    // A query that cannot run is found before anybody signs it; `apply` refuses it too.
    let broken = game.declare("n AS successes FROM arms", "n AS successes FROM nowhere").await.unwrap_err();
    assert!(format!("{broken:#}").contains("nowhere"), "{broken:#}");
    assert_eq!(game.lab.runtime.audit_log().verify(&[]).await?.problems, Vec::<String>::new());

    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_ships_or_resumes_what_a_correction_left_without_figures() -> Result<()> {
    each_store(async |game| {
        // A success waits for its gate.
        for day in 1..=9 {
            let n = 1500 * day;
            game.half_a_day((n, n * 30 / 100, n / 250), (n, n * 38 / 100, n / 250)).await?;
            game.lab.clock.advance(jiff::SignedDuration::from_hours(12));
        }
        assert_eq!(game.experiment().await?.state.status, ExperimentStatus::AwaitingAnalysisGate);
        game.declare("n_units, successes FROM arms", "n_units, successes / 2 AS successes FROM arms").await?;
        game.correct(&query_of("came_back"), PASSPHRASE).await?;
        let refused = game.lab.decide(&game.experiment, Verdict::Ship).await.unwrap_err();
        assert!(format!("{refused:#}").contains("does not accept `ship`"), "{refused:#}");
        // The next poll judges, and the gate says what it found.
        game.lab.poll_after(1).await?;
        let gates = game.lab.runtime.experiments().show(&game.experiment).await?.gates;
        let shown = game.lab.runtime.gates().show(&gates[0]).await?.context;
        assert!(shown.recommendation.is_some(), "{shown:?}");
        game.check(1).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finding_that_a_correction_took_away_is_back_at_once() -> Result<()> {
    each_store(async |game| {
        game.half_a_day((4000, 1200, 8), (4000, 1200, 200)).await?;
        assert_eq!(game.experiment().await?.state.status, ExperimentStatus::Paused);
        let crashed = Wrong::Reading { signal: "crashes".to_owned(), measured_at: game.lab.runtime.now() };
        game.correct(&crashed, PASSPHRASE).await?;
        let refused = game.lab.act(&game.experiment, Verdict::Resume).await.unwrap_err();
        assert_eq!(refused.code(), Code::Conflict, "{refused}");
        game.lab.poll_after(1).await?;
        let gates = game.lab.runtime.experiments().show(&game.experiment).await?.gates;
        let shown = game.lab.runtime.gates().show(&gates[0]).await?.context;
        assert!(shown.recommendation.as_deref().is_some_and(|said| said.starts_with("kill")), "{shown:?}");
        game.check(1).await
    })
    .await
}
