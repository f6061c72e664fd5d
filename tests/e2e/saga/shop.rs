//! A workspace whose events are in PostgreSQL, whose limit is in Prometheus and whose flags are in Unleash.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use outcome_core::domain::{ExperimentStatus, GateType};
use outcome_tests::lab::{self, Lab};
use outcome_tests::postgres::PostgresServer;
use outcome_tests::unleash::{ADMIN_TOKEN, Unleash};
use reqwest::Method;
use serde_json::Value;
use sqlx::postgres::PgPool;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

/// A secret of the webhook.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr";
/// How long the whole saga may take, whoever is killed.
const PATIENCE: Duration = Duration::from_secs(90);

const FILE: &str = r#"version: 1
outcomes:
  - id: retention
    title: "More players come back"
    signal:
      source: game
      metric: came_back
      method: custom
      query:
        level: "SELECT CAST(14000 AS BIGINT) AS n, CAST(4200 AS BIGINT) AS successes WHERE :from < :to"
        by_variant: "SELECT variant, n, n AS n_units, successes FROM arms WHERE flag = :flag AND :from < :to"
    target: { direction: increase, from: 0.30, to: 0.35, confidence: 0.95 }
    mde: 0.02
    constraints:
      - signal: crashes
        source: game
        metric: crashed
        method: custom
        query:
          by_variant: "SELECT variant, n, n AS n_units, crashes AS successes FROM arms WHERE flag = :flag AND :from < :to"
        not_worse: { direction: decrease, margin: 0.005 }
      - { signal: error_rate, source: metrics, metric: "max(error_rate)", poll_interval: 10m, max: 0.01, also_pause_on_level: true }
    horizon: 8w
    ship_test: known_end
    portfolio: { max_concurrent: 3 }
    scope:
      allowed_paths: ["game/"]
signal_connectors:
  - { name: game, type: sql, config: { url: "${file:game.secret}" } }
  - { name: metrics, type: prometheus, config: { url: "METRICS" } }
feature_flags:
  provider: unleash
  config: { url: "UNLEASH", token: "${file:unleash.secret}", environment: development }
notifications: { webhook: { url: "HOOK/hook", secret: "${file:hook.secret}", allow_private: true } }
"#;

/// The workspace and who it is told to.
pub(super) struct Shop<'s> {
    pub(super) lab: Lab,
    unleash: &'s Unleash,
    events: PgPool,
    hook: MockServer,
}

impl<'s> Shop<'s> {
    /// `flags`: the address by which the workspace knows Unleash.
    pub(super) async fn open(
        server: &PostgresServer,
        unleash: &'s Unleash,
        flags: &str,
        metrics: &str,
    ) -> Result<Self> {
        let hook = MockServer::start().await;
        Mock::given(any()).respond_with(ResponseTemplate::new(204)).mount(&hook).await;
        let game = server.database().await;
        let events = PgPool::connect(&game).await?;
        sqlx::raw_sql(
            "CREATE TABLE arms (flag TEXT, variant TEXT, n BIGINT, successes BIGINT, crashes BIGINT, PRIMARY KEY (flag, variant))",
        )
        .execute(&events)
        .await?;
        let file = FILE.replace("METRICS", metrics).replace("UNLEASH", flags).replace("HOOK", &hook.uri());
        let files = [("game.secret", game.as_str()), ("unleash.secret", ADMIN_TOKEN), ("hook.secret", SECRET)];
        let lab = Lab::declaring_beside(Some(server.database().await), &file, &files).await?;
        Ok(Self { lab, unleash, events, hook })
    }

    /// An experiment whose flag is on, and whose arms do the same.
    pub(super) async fn launch(&self, flag: &str) -> Result<String> {
        self.arms(flag, (400, 120, 1), (400, 121, 1)).await?;
        let experiment = self.lab.launched(lab::hypothesis(&format!("The level {flag}"), flag)).await?;
        ensure!(self.is_on(flag).await?, "`{flag}` is not on");
        Ok(experiment)
    }

    /// What the events say from now on: `(n, successes, crashes)`.
    async fn arms(&self, flag: &str, control: (i64, i64, i64), treatment: (i64, i64, i64)) -> Result<()> {
        for (variant, (n, successes, crashes)) in [("control", control), ("treatment", treatment)] {
            sqlx::query(
                "INSERT INTO arms VALUES ($1, $2, $3, $4, $5) ON CONFLICT (flag, variant) DO UPDATE SET n = $3, successes = $4, crashes = $5",
            )
            .bind(flag)
            .bind(variant)
            .bind(n)
            .bind(successes)
            .bind(crashes)
            .execute(&self.events)
            .await?;
        }
        Ok(())
    }

    /// The treatment crashes.
    pub(super) async fn harm(&self, flag: &str) -> Result<()> {
        self.arms(flag, (4000, 1200, 8), (4000, 1210, 900)).await
    }

    /// What the daemons have said.
    pub(super) fn said(&self) -> String {
        std::fs::read_to_string(self.lab.root().join(".outcome/daemons.log")).unwrap_or_default()
    }

    /// Whether Unleash has the flag on.
    pub(super) async fn is_on(&self, flag: &str) -> Result<bool> {
        let path = format!("projects/default/features/{flag}");
        let (status, found) = self.unleash.admin(Method::GET, &path, None).await?;
        ensure!(status == 200, "{status}: {found}");
        let all = found["environments"].as_array().context("no environments")?;
        let ours = all.iter().find(|one| one["name"] == "development").context("no `development`")?;
        ours["enabled"].as_bool().context("no `enabled`")
    }

    /// Waits until the flag is off; how long it took. `meanwhile` is done each time that it is not.
    pub(super) async fn off_after(&self, flag: &str, meanwhile: impl AsyncFn() -> Result<()>) -> Result<Duration> {
        let began = Instant::now();
        while self.is_on(flag).await? {
            if began.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(self.lab.root().join(".outcome/daemons.log")).unwrap_or_default();
                anyhow::bail!("`{flag}` is still on\n{log}");
            }
            meanwhile().await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(began.elapsed())
    }

    /// Waits until the daemons have read an experiment at the present instant and put its flag where it follows.
    pub(super) async fn is_polled(&self, flag: &str) -> Result<()> {
        self.is_read(flag).await?;
        // What the poll decided is written with the reading, and its flag within two seconds.
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok(())
    }

    /// Waits until a daemon has looked at an experiment that was just launched; there is nothing to read yet.
    pub(super) async fn is_looked_at(&self, flag: &str) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        let line = format!("Polled `the-level-{flag}`");
        while !self.said().contains(&line) {
            ensure!(Instant::now() < until, "nobody looks at `{flag}`\n{}", self.said());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Waits until the daemons have read an experiment at the present instant.
    pub(super) async fn is_read(&self, flag: &str) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        let slug = format!("the-level-{flag}");
        while Instant::now() < until {
            let series = self.lab.runtime.experiments().series(&slug, 10_000).await?;
            if series.iter().any(|reading| reading.measured_at == self.lab.runtime.now()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        anyhow::bail!("`{slug}` is not read\n{}", self.said())
    }

    /// The experiment is paused by one step, its gate is open, people are told, and the flag was written once.
    pub(super) async fn is_stopped_once(&self, experiment: &str, flag: &str, cause: &str) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.stopped(experiment, flag, cause).await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > until => {
                    let log = std::fs::read_to_string(self.lab.root().join(".outcome/daemons.log")).unwrap_or_default();
                    return Err(error.context(log));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    async fn stopped(&self, experiment: &str, flag: &str, cause: &str) -> Result<()> {
        let found = self.lab.runtime.experiments().show(experiment).await?.experiment;
        ensure!(found.state.status == ExperimentStatus::Paused, "{}", found.state.status);
        let log = self.lab.log().await?;
        let pauses: Vec<_> = log
            .iter()
            .filter(|line| line.subject.id == found.id.0 && line.kind.as_str() == "experiment.auto_paused")
            .collect();
        ensure!(pauses.len() == 1 && pauses[0].payload.to_string().contains(cause), "{pauses:?}");
        let of_flag = |line: &&outcome_core::audit::LogEntry| {
            line.kind.as_str() == "flag.set" && line.payload.to_string().contains(&format!("\"{flag}\""))
        };
        let off: Vec<_> = log
            .iter()
            .filter(of_flag)
            .filter(|line| line.payload.to_string().contains("\"treatment_pct\":0"))
            .collect();
        ensure!(off.len() == 1, "{} lines say that the flag is off", off.len());
        let mut tx = self.lab.runtime.db().read(self.lab.runtime.workspace().id).await?;
        let gates = tx.gate_list_open().await?;
        let open: Vec<_> = gates.iter().filter(|(gate, _)| gate.experiment == Some(found.id)).collect();
        ensure!(open.len() == 1 && open[0].0.gate_type == GateType::AnalysisReview, "{open:?}");
        let told = self.told(experiment).await?;
        ensure!(!told.is_empty(), "nobody was told");
        Ok(())
    }

    /// What the channel was sent about an experiment: message ids are counted once, since one may come again after a `kill -9`.
    pub(super) async fn told(&self, experiment: &str) -> Result<Vec<Value>> {
        let requests = self.hook.received_requests().await.context("requests are recorded")?;
        let mut found = std::collections::BTreeMap::new();
        for request in &requests {
            let id = request.headers["webhook-id"].to_str().unwrap_or_default().to_owned();
            let body: Value = request.body_json()?;
            if body.to_string().contains(experiment) {
                found.insert(id, body);
            }
        }
        Ok(found.into_values().collect())
    }
}
