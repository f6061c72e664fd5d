//! A workspace in a temporary folder whose source says exactly what the test wants: for journeys inside of one process.
//!
//! Real parts: git repository, SQLite source, storage engine, signatures. Only the clock is set by hand.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use outcome_core::audit::LogEntry;
use outcome_core::clock::ManualClock;
use outcome_core::config::Vendors;
use outcome_core::domain::{
    ArmSums, Author, Hypothesis, InterventionKind, MeasurementPlan, Risk, RolloutPlan, SealReason, SealedCohort,
    Surface, Variant, VariantReading, Verdict, Window,
};
use outcome_core::identity::RecoveryCode;
use outcome_core::ports::push::{Headers, sign};
use outcome_core::principal::Principal;
use outcome_core::settings::{Overrides, Settings};
use outcome_core::usecases::{
    ActRequest, BuildReport, DecideRequest, Decided, InitRequest, PollRequest, Polled, Runtime, Submission, Unlock,
    Workspaces,
};
use secrecy::SecretString;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Connection as _, SqlitePool};
use tempfile::TempDir;

/// The passphrase of every laboratory's member.
pub const PASSPHRASE: &str = "correct horse battery staple";
/// The member's e-mail.
pub const MEMBER: &str = "dana@example.com";
/// What signs pushed readings.
pub const INGEST_SECRET: &str = "a secret of at least sixteen bytes";
/// Slug of the outcome.
pub const OUTCOME: &str = "retention";

/// The outcome file of a laboratory.
pub const FILE: &str = r#"version: 1
outcomes:
  - id: retention
    title: "More players come back"
    signal:
      source: game
      metric: came_back
      method: custom
      query:
        level: "SELECT 14000 AS n, 4200 AS successes WHERE :from < :to"
        by_variant: "SELECT variant, n, n AS n_units, successes FROM arms WHERE flag = :flag AND :from < :to"
    secondary_signals:
      - { source: push, metric: orders, method: event }
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
      - rule: "The save format does not change"
    horizon: 8w
    ship_test: known_end
    portfolio: { max_concurrent: 3 }
    scope:
      allowed_paths: ["game/"]
      forbidden_paths: ["game/payments/"]
signal_connectors:
  - { name: game, type: sql, config: { url: "sqlite:game.db" } }
  - { name: push, type: webhook, config: { secret: "${file:push.secret}" } }
feature_flags:
  provider: flagd_file
  config: { path: flags.json }
"#;

/// The outcome file of a laboratory with this many signals in all. The ones beside the first are called `level_1`, `level_2`
/// and so on, and each is its own number.
#[must_use]
pub fn file_with_levels(n_signals: usize) -> String {
    let one = "      - { source: push, metric: orders, method: event }\n";
    let many: String = (1..n_signals)
        .map(|n| {
            format!(
                "      - {{ source: game, metric: level_{n}, method: custom, query: {{ level: \"SELECT {n} AS value WHERE :from < \
                 :to\" }} }}\n"
            )
        })
        .collect();
    FILE.replace(one, &many)
}

/// The outcome file of a laboratory to which this many signals are pushed: `pushed_0`, `pushed_1` and so on.
#[must_use]
pub fn file_with_pushed(n_signals: usize) -> String {
    let one = "      - { source: push, metric: orders, method: event }\n";
    let many: String = (0..n_signals).map(|n| one.replace("orders", &format!("pushed_{n}"))).collect();
    FILE.replace(one, &many)
}

/// The body of a level that is pushed, of the day before now.
#[must_use]
pub fn pushed_level(now: jiff::Timestamp, signal: &str, n: i64, successes: i64) -> serde_json::Value {
    let from = now - jiff::SignedDuration::from_hours(24);
    serde_json::json!({ "schema_version": 1, "source": "push", "signal": signal, "outcome": OUTCOME,
        "window": { "from": from, "to": now }, "readings": [{ "n": n, "successes": successes }] })
}

/// The table of [`file_of_visits`].
pub const VISITS: &str =
    "CREATE TABLE visits (flag TEXT, variant TEXT, came_at TEXT, n INTEGER, successes INTEGER, crashes INTEGER)";

/// The outcome file of a laboratory whose source remembers when each unit came, in the table [`VISITS`].
#[must_use]
pub fn file_of_visits() -> String {
    let of = |columns: &str| {
        format!("SELECT variant, n, n AS n_units, {columns} FROM arms WHERE flag = :flag AND :from < :to")
    };
    let since = |columns: &str| {
        format!(
            "SELECT variant, sum(n) AS n, sum(n) AS n_units, sum({columns}) AS successes FROM visits WHERE flag = :flag AND came_at >= :from \
             AND came_at < :to GROUP BY variant"
        )
    };
    FILE.replace(&of("successes"), &since("successes")).replace(&of("crashes AS successes"), &since("crashes"))
}

/// The outcome file of a laboratory with `n` sources that answer only when a test lets them (`hangs-1` and so on, see
/// [`held`](crate::held)): each is asked by a constraint of the experiments or by a level of the outcome, in turn.
#[must_use]
pub fn file_beside_held(n: usize) -> String {
    let query = "query: { level: \"SELECT 1 AS value WHERE :from < :to\", by_variant: \"SELECT 'control' AS variant, 1 AS n, 0 AS successes WHERE :from < :to AND :flag <> ''\" }";
    let signal = |n: usize| format!("source: hangs-{n}, metric: hangs_{n}, method: custom, {query}");
    let (constraints, levels): (Vec<usize>, Vec<usize>) = (1..=n).partition(|n| n % 2 == 0);
    let bound = "not_worse: { direction: decrease, margin: 0.1 }";
    let constraint = |n: usize| format!("      - {{ signal: hangs_{n}, {}, {bound} }}\n", signal(n));
    let constraints: String = constraints.into_iter().map(constraint).collect();
    let levels: String = levels.into_iter().map(|n| format!("      - {{ {} }}\n", signal(n))).collect();
    let connectors: String =
        (1..=n).map(|n| format!("  - {{ name: hangs-{n}, type: held, config: {{}} }}\n")).collect();
    FILE.replace("      - { source: push, metric: orders, method: event }\n", &levels)
        .replace("      - rule:", &format!("{constraints}      - rule:"))
        .replace("signal_connectors:\n", &format!("signal_connectors:\n{connectors}"))
}

/// Somebody in the account, without a signature.
#[must_use]
pub fn local() -> Principal {
    Principal::local("tests")
}

/// What unlocks the member's key.
#[must_use]
pub fn unlock() -> Unlock {
    Unlock::Passphrase(SecretString::from(PASSPHRASE))
}

/// The member of a laboratory, as a line with their signature names them.
pub async fn member(runtime: &Runtime) -> Result<Principal> {
    let mut tx = runtime.db().read(runtime.workspace().id).await?;
    let member = tx.member_list().await?.into_iter().next().context("no member")?;
    Ok(Principal::member(member.id))
}

/// A workspace for tests.
pub struct Lab {
    /// Removed when the laboratory is dropped.
    pub dir: TempDir,
    /// The workspace.
    pub runtime: Runtime,
    /// Its clock.
    pub clock: ManualClock,
    /// What its member wrote down.
    pub recovery_code: RecoveryCode,
    source: SqlitePool,
    database: Option<String>,
}

impl Lab {
    /// On SQLite.
    pub async fn sqlite() -> Result<Self> {
        Self::on(None).await
    }

    /// On the database at this address, or on SQLite.
    pub async fn on(database: Option<String>) -> Result<Self> {
        Self::declaring(database, FILE).await
    }

    /// With an outcome file of the test's own, whose outcome is [`OUTCOME`].
    pub async fn declaring(database: Option<String>, file: &str) -> Result<Self> {
        Self::with_vendors(database, file, &outcome_integrations::VENDORS).await
    }

    /// The same, whose queries need more tables of the source. `tables`: statements that make them.
    pub async fn declaring_on(database: Option<String>, file: &str, tables: &str) -> Result<Self> {
        Self::active(Self::plugged_on(database, file, &outcome_integrations::VENDORS, tables).await?).await
    }

    /// With an outcome file that names vendors of the test's own.
    pub async fn with_vendors(database: Option<String>, file: &str, vendors: &'static Vendors) -> Result<Self> {
        Self::active(Self::plugged(database, file, vendors).await?).await
    }

    /// The same beside these files, which git does not see if their names end in `.secret`.
    pub async fn declaring_beside(database: Option<String>, file: &str, files: &[(&str, &str)]) -> Result<Self> {
        let vendors = &outcome_integrations::VENDORS;
        Self::active(Self::plugged_beside(database, file, vendors, "", files).await?).await
    }

    /// With tables of the source and with files of its own.
    pub async fn declaring_with(
        database: Option<String>,
        file: &str,
        tables: &str,
        files: &[(&str, &str)],
    ) -> Result<Self> {
        let vendors = &outcome_integrations::VENDORS;
        Self::active(Self::plugged_beside(database, file, vendors, tables, files).await?).await
    }

    async fn active(lab: Self) -> Result<Self> {
        lab.runtime.outcomes().activate(OUTCOME, &unlock(), false).await?;
        Ok(lab)
    }

    /// With this many active outcomes; [`OUTCOME`] is the oldest.
    pub async fn with_outcomes(n_outcomes: usize) -> Result<Self> {
        let lab = Self::sqlite().await?;
        lab.clock.advance(jiff::SignedDuration::from_mins(1));
        let path = lab.root().join("outcome.yaml");
        let text = std::fs::read_to_string(&path)?;
        let (head, rest) = text.split_once("  - id: retention").context("no outcome")?;
        let (outcome, tail) = rest.split_once("signal_connectors:").context("no connectors")?;
        let all: String = (0..n_outcomes)
            .map(|n| if n == 0 { OUTCOME.to_owned() } else { format!("retention-of-the-longest-cohort-{n}") })
            .map(|slug| format!("  - id: {slug}{outcome}"))
            .collect();
        let limits = "limits: { max_active_outcomes: 20 }";
        std::fs::write(&path, format!("{head}{all}signal_connectors:{tail}\n{limits}\n"))?;
        let human = local();
        lab.runtime.outcomes().apply(&human, Some(&unlock())).await?;
        for line in lab.runtime.workspaces().status(false).await?.outcomes.iter().filter(|line| line.outcome != OUTCOME)
        {
            lab.runtime.outcomes().activate(&line.outcome, &unlock(), false).await?;
        }
        Ok(lab)
    }

    /// The same, not activated yet.
    pub async fn applied(database: Option<String>, file: &str) -> Result<Self> {
        Self::plugged(database, file, &outcome_integrations::VENDORS).await
    }

    /// The same with a vendors' table of the test's own.
    pub async fn plugged(database: Option<String>, file: &str, vendors: &'static Vendors) -> Result<Self> {
        Self::plugged_on(database, file, vendors, "").await
    }

    async fn plugged_on(database: Option<String>, file: &str, vendors: &'static Vendors, tables: &str) -> Result<Self> {
        Self::plugged_beside(database, file, vendors, tables, &[]).await
    }

    async fn plugged_beside(
        database: Option<String>,
        file: &str,
        vendors: &'static Vendors,
        tables: &str,
        files: &[(&str, &str)],
    ) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let root = dir.path().canonicalize()?;
        write(&root, "game/level.txt", "one\n")?;
        write(&root, "push.secret", INGEST_SECRET)?;
        files.iter().try_for_each(|(path, text)| write(&root, path, text))?;
        write(&root, ".gitignore", "game.db*\nflags.json*\n.flags.json*\n.outcome/\n.clock\n*.secret\n")?;
        git(&root, &["init", "-q", "-b", "main"])?;
        commit(&root, "Begin")?;
        let options = SqliteConnectOptions::new().filename(root.join("game.db")).create_if_missing(true);
        let source = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        sqlx::query(
            "CREATE TABLE arms (flag TEXT, variant TEXT, n INTEGER, successes INTEGER, crashes INTEGER, PRIMARY KEY (flag, variant))",
        )
        .execute(&source)
        .await?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(tables.to_owned())).execute(&source).await?;
        let clock = ManualClock::at("2026-10-01T08:00:00Z".parse()?);
        let overrides = Overrides { database: database.clone(), ..Overrides::new(vendors) };
        let settings = Settings::for_root(&root, &overrides, &|_| None)?;
        let request = InitRequest {
            email: MEMBER.to_owned(),
            name: "Dana".to_owned(),
            passphrase: SecretString::from(PASSPHRASE),
            outcome_file: Some(file.to_owned()),
            may_replace: false,
        };
        let (runtime, done) = Workspaces::init_with_clock(settings, request, Arc::new(clock.clone())).await?;
        commit(&root, "Declare the outcome")?;
        let recovery_code = done.recovery_code;
        let lab = Self { dir, runtime, clock, recovery_code, source, database };
        let human = local();
        lab.runtime.outcomes().apply(&human, Some(&unlock())).await?;
        Ok(lab)
    }

    /// The repository's root.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap_or_else(|_| self.dir.path().to_path_buf())
    }

    /// The same workspace, opened anew as another process does.
    pub async fn reopened(&self) -> Result<Runtime> {
        let settings = self.runtime.settings().clone();
        Ok(Runtime::open_with_clock(settings, Arc::new(self.clock.clone())).await?)
    }

    /// Writes into the database behind the runtime's back, as another program could. Returns the number of rows.
    pub async fn raw(&self, sql: &str) -> Result<u64> {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        Ok(match &self.database {
            Some(url) => {
                let mut other = crate::postgres::ours(url).await?;
                sqlx::query(sql).execute(&mut other).await?.rows_affected()
            }
            None => {
                let options = SqliteConnectOptions::new().filename(self.root().join(".outcome/outcome.db"));
                let mut other = sqlx::SqliteConnection::connect_with(&options).await?;
                sqlx::query(sql).execute(&mut other).await?.rows_affected()
            }
        })
    }

    /// The address for `OUTCOME_RUNTIME_DATABASE_URL`, where the data is not in the workspace's folder.
    #[must_use]
    pub fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// True on PostgreSQL.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        self.database.is_some()
    }

    /// What the source says about a flag's arms from now on: `(n, successes, crashes)`.
    pub async fn arms(&self, flag: &str, control: (i64, i64, i64), treatment: (i64, i64, i64)) -> Result<()> {
        for (variant, (n, successes, crashes)) in [("control", control), ("treatment", treatment)] {
            sqlx::query("INSERT OR REPLACE INTO arms (flag, variant, n, successes, crashes) VALUES (?, ?, ?, ?, ?)")
                .bind(flag)
                .bind(variant)
                .bind(n)
                .bind(successes)
                .bind(crashes)
                .execute(&self.source)
                .await?;
        }
        Ok(())
    }

    /// Whether the flag service turns the flag `key` on.
    pub fn is_on(&self, key: &str) -> Result<bool> {
        let flags: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(self.root().join("flags.json"))?)?;
        Ok(flags["flags"][key]["state"] == "ENABLED")
    }

    /// Another program pushes this body, signed.
    pub async fn push(&self, id: &str, body: &serde_json::Value) -> Result<()> {
        let (at, body) = (self.runtime.now().as_second(), body.to_string());
        let signature = sign(id, at, body.as_bytes(), &SecretString::from(INGEST_SECRET))?;
        let headers = Headers { id, timestamp: &at.to_string(), signature: &signature };
        self.runtime.signals().ingest(headers, body.as_bytes()).await?;
        Ok(())
    }

    /// Writes into the source.
    pub async fn tell_source(&self, sql: &str) -> Result<()> {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&self.source).await?;
        Ok(())
    }

    /// Moves the clock and polls everything.
    pub async fn poll_after(&self, hours: i64) -> Result<Polled> {
        self.clock.advance(jiff::SignedDuration::from_hours(hours));
        Ok(self.runtime.signals().poll(&PollRequest { is_forced: true, ..PollRequest::default() }).await?)
    }

    /// All lines of the log.
    pub async fn log(&self) -> Result<Vec<LogEntry>> {
        let mut all: Vec<LogEntry> = Vec::new();
        loop {
            let after = all.last().map_or(0, |line| line.seq);
            let page = self.runtime.audit_log().page(after, 1000).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    /// An agent hands in one hypothesis; its slug.
    pub async fn submit(&self, hypothesis: Hypothesis) -> Result<String> {
        let submission = Submission { outcome: OUTCOME.to_owned(), hypotheses: vec![hypothesis], author: Author::Ai };
        let done = self.runtime.hypotheses().submit(submission, &agent()).await?;
        done.proposed.first().cloned().with_context(|| format!("nothing was proposed: {done:?}"))
    }

    /// The member decides the gate that waits for `experiment`, with the passphrase.
    pub async fn decide(&self, experiment: &str, verdict: Verdict) -> Result<Decided> {
        let view = self.runtime.experiments().show(experiment).await?;
        let gate = view.gates.first().cloned().with_context(|| format!("`{experiment}` has no open gate"))?;
        // Also against what is recommended.
        Ok(self.runtime.gates().decide(with_reason(decision(&gate, verdict))).await?)
    }

    /// The member pauses, resumes or kills `experiment` by hand, with the passphrase.
    pub async fn act(&self, experiment: &str, verdict: Verdict) -> outcome_core::Result<()> {
        self.runtime.experiments().act(act(experiment, verdict)).await.map(drop)
    }

    /// An agent commits a change of `game/level.txt` on a branch and reports it.
    pub async fn build(&self, experiment: &str) -> Result<()> {
        let root = self.root();
        git(&root, &["checkout", "-q", "-B", experiment, "main"])?;
        let key = self.runtime.builds().brief(experiment).await.map(|brief| brief.flag_key).unwrap_or_default();
        write(&root, "game/level.txt", &format!("{experiment}, behind {key}\n"))?;
        let head = commit(&root, experiment)?;
        git(&root, &["checkout", "-q", "main"])?;
        let report = BuildReport {
            experiment: experiment.to_owned(),
            summary: "built".to_owned(),
            head: Some(head),
            ..BuildReport::default()
        };
        self.runtime.builds().report(report, &agent()).await?;
        Ok(())
    }

    /// Keeps a cohort of an experiment, as a poll of a large metric does.
    pub async fn keep_cohort(&self, experiment: &str) -> Result<()> {
        let experiment = self.runtime.experiments().show(experiment).await?.experiment;
        let (now, arms) = (self.runtime.now(), [Variant::Control, Variant::Treatment]);
        let cohort = SealedCohort {
            id: self.runtime.ids().next(),
            experiment: experiment.id,
            signal: "came_back".to_owned(),
            series: "of a test".to_owned(),
            phase: 0,
            window: Window { from: now, to: now },
            revision: 0,
            reason: SealReason::Final,
            arms: arms.map(|arm| VariantReading::new(arm, ArmSums::Proportion { n: 500, successes: 150 })).to_vec(),
            as_of: now,
            read_at: now,
            query_hash: "asked".to_owned(),
            raw_hash: "answered".to_owned(),
            checked_at: now,
        };
        let mut tx = self.runtime.db().write(self.runtime.workspace().id).await?;
        anyhow::ensure!(tx.cohort_insert(&cohort).await?, "it is there already");
        tx.commit().await?;
        Ok(())
    }

    /// From nothing to running; the experiment's slug.
    pub async fn running(&self, title: &str, flag: &str) -> Result<String> {
        self.launched(hypothesis(title, flag)).await
    }

    /// From a hypothesis to running; the experiment's slug.
    pub async fn launched(&self, hypothesis: Hypothesis) -> Result<String> {
        let experiment = self.submit(hypothesis).await?;
        self.decide(&experiment, Verdict::Approve).await?;
        self.build(&experiment).await?;
        self.decide(&experiment, Verdict::Approve).await?;
        Ok(experiment)
    }
}

/// An agent.
#[must_use]
pub fn agent() -> Principal {
    Principal::agent("test-agent")
}

/// An act outside of a gate with the member's passphrase.
#[must_use]
pub fn act(experiment: &str, verdict: Verdict) -> ActRequest {
    ActRequest {
        experiment: experiment.to_owned(),
        verdict,
        note: None,
        member: None,
        unlock: Unlock::Passphrase(SecretString::from(PASSPHRASE)),
        surface: Surface::Terminal,
    }
}

/// A decision with the member's passphrase.
#[must_use]
pub fn decision(gate: &str, verdict: Verdict) -> DecideRequest {
    DecideRequest {
        gate: gate.to_owned(),
        verdict,
        conditions: if verdict == Verdict::ApproveWithConditions { vec!["be careful".to_owned()] } else { vec![] },
        note: None,
        context_hash: None,
        member: None,
        unlock: Unlock::Passphrase(SecretString::from(PASSPHRASE)),
        surface: Surface::Terminal,
    }
}

/// The same with a note, which a decision against the recommendation needs.
#[must_use]
pub fn with_reason(request: DecideRequest) -> DecideRequest {
    DecideRequest { note: Some("because the test wants it".to_owned()), ..request }
}

/// A hypothesis that passes every check of the laboratory's outcome.
#[must_use]
pub fn hypothesis(title: &str, flag: &str) -> Hypothesis {
    Hypothesis {
        title: title.to_owned(),
        statement: "Players come back more often".to_owned(),
        mechanism: "The second level is friendlier".to_owned(),
        expected_improvement: 0.02,
        confidence: 0.5,
        intervention: InterventionKind::CodeChange,
        intervention_description: "Soften level two".to_owned(),
        touched_paths: vec![format!("game/{flag}/")],
        flag_key: flag.to_owned(),
        measurement: MeasurementPlan {
            duration_days: 28,
            min_sample_size: 2000,
            success_threshold: 0.0,
            kill_threshold: 0.0,
            minimum_detectable_effect: 0.02,
        },
        rollout: RolloutPlan { initial_pct: 50, steps: vec![] },
        effort_hours: 3.0,
        risk: Risk::Low,
        is_reversible: true,
        tags: vec!["levels".to_owned()],
    }
}

/// Writes a file below `root`.
pub fn write(root: &std::path::Path, path: &str, text: &str) -> Result<()> {
    let path = root.join(path);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    Ok(std::fs::write(path, text)?)
}

/// Runs git in `root`, without the user's own configuration.
pub fn git(root: &std::path::Path, args: &[&str]) -> Result<String> {
    let done = std::process::Command::new("git")
        .current_dir(root)
        .args(["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()?;
    anyhow::ensure!(done.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

/// Commits everything and returns the commit.
pub fn commit(root: &std::path::Path, message: &str) -> Result<String> {
    git(root, &["add", "-A"])?;
    git(root, &["commit", "-q", "--allow-empty", "-m", message])?;
    git(root, &["rev-parse", "HEAD"])
}
