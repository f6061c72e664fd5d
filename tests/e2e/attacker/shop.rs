//! A shop with a workspace in every state, made once and put back before each sequence: a repository with a remote, a home, and a
//! member whose passphrase and anchors lie where the attacker does not look.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use outcome_core::domain::Verdict;
use outcome_tests::lab::{FILE, Lab, MEMBER, PASSPHRASE, git, hypothesis};
use outcome_tests::postgres;
use outcome_tests::programs::{Agent, Cli, Daemon};
use serde_json::Value;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use tempfile::TempDir;

/// Runs with a treatment at 50 %.
pub(super) const RUNNING: &str = "softer-level";
/// Was launched; the member paused it.
pub(super) const PAUSED: &str = "calmer-level";
/// Was launched; the member killed it.
pub(super) const KILLED: &str = "louder-level";
/// Is being built.
pub(super) const BUILDING: &str = "darker-level";
/// Was built, and its launch gate waits.
pub(super) const BUILT: &str = "wider-level";
/// Its portfolio gate waits.
pub(super) const WAITING: &str = "shorter-level";
/// Its portfolio gate waits for the last unsealing of a sequence.
pub(super) const RESERVE: &str = "later-level";

/// The flags of these, by experiment.
pub(super) const FLAGS: [(&str, &str); 7] = [
    (RUNNING, "soft"),
    (PAUSED, "calm"),
    (KILLED, "loud"),
    (BUILDING, "dark"),
    (BUILT, "wide"),
    (WAITING, "short"),
    (RESERVE, "late"),
];

/// The attacker's own passphrase.
pub(super) const OWN: &str = "marble engine under nine bright rivers";

/// What was prepared on one engine.
pub(super) struct Prepared {
    root: TempDir,
    beside: TempDir,
    /// The name of the database that is copied, on PostgreSQL.
    template: Option<String>,
    clock: jiff::Timestamp,
}

/// One copy of it, in which a sequence is played.
pub(super) struct Shop {
    pub(super) root: PathBuf,
    /// Beside the repository: `origin.git`, `home`, `member`, `clock`.
    pub(super) beside: PathBuf,
    pub(super) database: Option<String>,
    pub(super) clock: jiff::Timestamp,
    /// The programs of the member.
    pub(super) member: Cli,
    /// The MCP client and the daemon of the attacker, once they were started.
    pub(super) agent: Option<Agent>,
    pub(super) daemon: Option<(Daemon, String)>,
}

pub(super) fn file() -> String {
    FILE.replace("max_concurrent: 3", "max_concurrent: 9")
}

impl Prepared {
    pub(super) async fn on(database: Option<String>) -> Result<Self> {
        let lab = Lab::declaring(database.clone(), &file()).await?;
        let (root, beside) = (lab.root(), tempfile::tempdir()?);
        for folder in ["home", "member", "prepared"] {
            std::fs::create_dir(beside.path().join(folder))?;
        }
        let origin = beside.path().join("origin.git").display().to_string();
        git(&root, &["init", "-q", "--bare", "-b", "main", &origin])?;
        git(&root, &["remote", "add", "origin", &origin])?;
        git(&root, &["push", "-q", "origin", "main"])?;
        let killed = lab.running("Louder level", "loud").await?;
        lab.arms("loud", (1200, 360, 6), (1200, 380, 7)).await?;
        lab.poll_after(6).await?;
        lab.act(&killed, Verdict::Kill).await?;
        let paused = lab.running("Calmer level", "calm").await?;
        let running = lab.running("Softer level", "soft").await?;
        for flag in ["soft", "calm"] {
            lab.arms(flag, (1000, 300, 5), (1000, 310, 5)).await?;
        }
        lab.poll_after(6).await?;
        lab.keep_cohort(&running).await?;
        lab.act(&paused, Verdict::Pause).await?;
        let building = lab.submit(hypothesis("Darker level", "dark")).await?;
        lab.decide(&building, Verdict::Approve).await?;
        let built = lab.submit(hypothesis("Wider level", "wide")).await?;
        lab.decide(&built, Verdict::Approve).await?;
        lab.build(&built).await?;
        let waiting = lab.submit(hypothesis("Shorter level", "short")).await?;
        let reserve = lab.submit(hypothesis("Later level", "late")).await?;
        ensure!(
            [killed.as_str(), &paused, &running, &building, &built, &waiting, &reserve]
                == [KILLED, PAUSED, RUNNING, BUILDING, BUILT, WAITING, RESERVE]
        );
        let clock = lab.runtime.now();
        let Lab { dir, runtime, .. } = lab;
        drop(runtime);
        let template = match &database {
            Some(url) => Some(name_of(url)?),
            None => None,
        };
        let prepared = Self { root: dir, beside, template, clock };
        // The member's first anchor, kept elsewhere.
        let shop = prepared.shop_on(database)?;
        shop.anchor()?;
        drop(shop);
        let beside = prepared.beside.path();
        for folder in ["origin.git", "home", "member"] {
            copied(&beside.join(folder), &beside.join("prepared").join(folder))?;
        }
        copied(&root, &beside.join("prepared/repo"))?;
        Ok(prepared)
    }

    /// A fresh copy, at the same place as the one before: only one can be used at a time.
    pub(super) async fn shop(&self) -> Result<Shop> {
        let (root, beside) = (self.root.path().canonicalize()?, self.beside.path().canonicalize()?);
        emptied(&root)?;
        for entry in std::fs::read_dir(&beside)? {
            let path = entry?.path();
            if path.ends_with("prepared") {
                continue;
            }
            if path.is_dir() { std::fs::remove_dir_all(&path)? } else { std::fs::remove_file(&path)? }
        }
        copied(&beside.join("prepared/repo"), &root)?;
        for folder in ["origin.git", "home", "member"] {
            copied(&beside.join("prepared").join(folder), &beside.join(folder))?;
        }
        let database = match &self.template {
            None => None,
            Some(template) => {
                let server = postgres::server().map_err(|skip| anyhow::anyhow!("{skip}"))?;
                let mut all =
                    sqlx::PgConnection::connect(&format!("{}/postgres", server.address().trim_end_matches('/')))
                        .await?;
                sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1")
                    .bind(template)
                    .execute(&mut all)
                    .await?;
                Some(server.database_from_template(template).await)
            }
        };
        self.shop_on(database)
    }

    fn shop_on(&self, database: Option<String>) -> Result<Shop> {
        let (root, beside) = (self.root.path().canonicalize()?, self.beside.path().canonicalize()?);
        std::fs::write(beside.join("clock"), self.clock.to_string())?;
        let envs = environment(&beside, database.as_deref());
        let envs: Vec<(&str, &str)> = envs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let member = Cli::new(&root, &beside.join("member"), PASSPHRASE, &envs)?;
        Ok(Shop { root, beside, database, clock: self.clock, member, agent: None, daemon: None })
    }
}

fn environment(beside: &Path, database: Option<&str>) -> Vec<(String, String)> {
    let path = |name: &str| beside.join(name).display().to_string();
    let mut envs = vec![
        ("HOME".to_owned(), path("home")),
        ("OUTCOME_RUNTIME_CLOCK_FILE".to_owned(), path("clock")),
        ("GIT_CONFIG_NOSYSTEM".to_owned(), "1".to_owned()),
    ];
    envs.extend(database.map(|url| ("OUTCOME_RUNTIME_DATABASE_URL".to_owned(), url.to_owned())));
    envs
}

fn name_of(url: &str) -> Result<String> {
    Ok(url.rsplit('/').next().context("no database")?.split('?').next().unwrap_or_default().to_owned())
}

/// Copies a folder with everything in it; the target is made.
pub(super) fn copied(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    let done = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).output()?;
    ensure!(done.status.success(), "cp {}: {}", from.display(), String::from_utf8_lossy(&done.stderr));
    Ok(())
}

fn emptied(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() { std::fs::remove_dir_all(&path)? } else { std::fs::remove_file(&path)? }
    }
    Ok(())
}

/// How a program of the member's ended: what it printed, or the code of its refusal and all of it.
pub(super) type Said = Result<Value, (String, String)>;

impl Shop {
    /// Runs a command of the member with the passphrase.
    pub(super) fn signed(&self, args: &[&str]) -> Said {
        said(self.member.signed(&[&["--json", "--no-input"], args].concat()))
    }

    /// Runs a command in the member's clean environment, without the passphrase.
    pub(super) fn plain(&self, args: &[&str]) -> Said {
        said(self.member.run(&[&["--json", "--no-input"], args].concat()))
    }

    /// The programs as the attacker starts them, with more variables.
    pub(super) fn attacker(&self, more: &[(&str, String)]) -> Result<Cli> {
        let own = self.beside.join("scratch");
        std::fs::create_dir_all(&own)?;
        let mut envs = environment(&self.beside, self.database.as_deref());
        envs.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let envs: Vec<(&str, &str)> = envs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Cli::new(&self.root, &own, OWN, &envs)
    }

    /// The file in which the member keeps anchors, on a machine of their own.
    pub(super) fn anchors(&self) -> PathBuf {
        self.beside.join("member/anchors.jsonl")
    }

    /// The member anchors the log.
    pub(super) fn anchor(&self) -> Result<()> {
        let file = self.anchors().display().to_string();
        self.signed(&["audit", "anchor", "--to", &file]).map_err(|(_, text)| anyhow::anyhow!("{text}"))?;
        Ok(())
    }

    /// Number of the line up to which the member's anchors reach.
    pub(super) fn anchored(&self) -> Result<i64> {
        let text = std::fs::read_to_string(self.anchors())?;
        let last: Value = serde_json::from_str(text.lines().last().context("no anchor")?)?;
        last["anchor"]["seq"].as_i64().context("no number")
    }

    /// Moves the clock of everybody.
    pub(super) fn later(&mut self, hours: i64) -> Result<()> {
        self.clock = self.clock.checked_add(jiff::SignedDuration::from_hours(hours))?;
        Ok(std::fs::write(self.beside.join("clock"), self.clock.to_string())?)
    }

    /// The database file, where it is one.
    pub(super) fn database_file(&self) -> PathBuf {
        self.root.join(".outcome/outcome.db")
    }

    /// The file with the key of the account, with which it signs lines.
    pub(super) fn writer_file(&self) -> PathBuf {
        self.beside.join("home/.local/state/outcome-runtime/writer.json")
    }

    /// Another machine: a clone of the repository, a home of its own, and the database as it is.
    pub(super) fn elsewhere(&self) -> Result<Cli> {
        let place = self.beside.join("elsewhere");
        let _ = std::fs::remove_dir_all(&place);
        for folder in ["home", "keys"] {
            std::fs::create_dir_all(place.join(folder))?;
        }
        let clone = place.join("clone");
        let origin = self.beside.join("origin.git").display().to_string();
        git(&place, &["clone", "-q", &origin, &clone.display().to_string()])?;
        if self.root.join(".outcome").is_dir() {
            copied(&self.root.join(".outcome"), &clone.join(".outcome"))?;
        }
        let mut envs = environment(&self.beside, self.database.as_deref());
        envs.push(("HOME".to_owned(), place.join("home").display().to_string()));
        let envs: Vec<(&str, &str)> = envs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Cli::new(&clone, &place.join("keys"), PASSPHRASE, &envs)
    }

    /// Ends the attacker's programs.
    pub(super) async fn quiet(&mut self) {
        if let Some(agent) = self.agent.take() {
            let _ = agent.stop().await;
        }
        self.daemon = None;
    }

    /// Makes a new workspace over the old one, as the attacker does. True when it came to be.
    pub(super) async fn made_anew(&mut self) -> Result<bool> {
        self.quiet().await;
        let _ = std::fs::remove_dir_all(self.root.join(".outcome"));
        let _ = std::fs::remove_dir_all(self.beside.join("home/.local"));
        if let Some(url) = &self.database {
            let mut all = sqlx::PgConnection::connect(url).await?;
            sqlx::raw_sql("DROP SCHEMA outcome_runtime CASCADE").execute(&mut all).await?;
        }
        let own = self.attacker(&[])?;
        let init = own.signed(&["--json", "--no-input", "init", "--email", MEMBER, "--name", "Dana"]);
        Ok(init.is_ok())
    }

    /// Writes into a source.
    pub(super) async fn tell(&self, source: &str, sql: &str) -> Result<()> {
        let options = SqliteConnectOptions::new().filename(self.root.join(source));
        let source = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&source).await?;
        source.close().await;
        Ok(())
    }
}

fn said(done: Result<String>) -> Said {
    match done {
        Ok(text) => Ok(serde_json::from_str(&text).unwrap_or(Value::Null)),
        Err(error) => {
            let text = format!("{error:#}");
            let code =
                text.split("\"code\":").nth(1).and_then(|rest| rest.split('"').nth(1)).unwrap_or("none").to_owned();
            Err((code, text))
        }
    }
}
