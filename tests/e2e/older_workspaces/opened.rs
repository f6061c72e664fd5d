//! A committed workspace, unpacked into a temporary folder, with the built programs in it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use jiff::{SignedDuration, Timestamp};
use outcome_tests::postgres;
use outcome_tests::programs::Cli;
use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use tempfile::TempDir;

/// The passphrase of the member in every committed workspace.
pub const PASSPHRASE: &str = "correct horse battery staple";
/// The member's e-mail.
pub const MEMBER: &str = "dana@example.com";
/// Name of the repository's folder in an archive.
pub const REPOSITORY: &str = "shop";
/// Name of the data's file in an archive, where they are not in the repository's folder.
pub const DUMP: &str = "database.sql";
/// Name of the archive of a workspace.
pub const WORKSPACE: &str = "workspace.tar.gz";
/// Name of the archive of what the programs said that made it.
pub const GOLDEN: &str = "golden.tar.gz";

/// A workspace and the programs.
pub struct Opened {
    /// The repository.
    pub root: PathBuf,
    /// The command line in it.
    pub cli: Cli,
    /// `DATABASE_URL`, where the data are on a server.
    pub database: Option<String>,
    #[expect(dead_code, reason = "removed when it is dropped")]
    dir: TempDir,
}

impl Opened {
    /// Unpacks the workspace of `folder`; `None`, said loudly, where it needs a server and there is none.
    pub async fn open(folder: &Path) -> Result<Option<Self>> {
        let dir = unpack(&folder.join(WORKSPACE))?;
        let dump = dir.path().join(DUMP);
        let database = if dump.is_file() {
            let server = match postgres::server() {
                Ok(server) => server,
                Err(skip) => {
                    eprintln!("{}: {skip}", folder.display());
                    return Ok(None);
                }
            };
            let url = server.database().await;
            load(&url, &std::fs::read_to_string(&dump)?).await?;
            Some(url)
        } else {
            None
        };
        // The variable of the application, which programs before this one took for theirs.
        let opened = Self::at(dir, database, "DATABASE_URL")?;
        let refused = opened.cli.refused(&["status"])?;
        ensure!(refused.code == "database_older", "{refused:?}");
        opened.cli.json(&["migrate"])?;
        Ok(Some(opened))
    }

    /// The repository is already in `dir`. `variable`: what names a database on a server.
    pub fn at(dir: TempDir, database: Option<String>, variable: &str) -> Result<Self> {
        let place = dir.path().canonicalize()?;
        let (root, home) = (place.join(REPOSITORY), place.join("home"));
        std::fs::create_dir_all(&home)?;
        let clock = root.join(".clock").display().to_string();
        let mut envs = vec![("OUTCOME_RUNTIME_CLOCK_FILE", clock.as_str())];
        envs.extend(database.as_deref().map(|url| (variable, url)));
        let cli = Cli::new(&root, &home, PASSPHRASE, &envs)?;
        Ok(Self { root, cli, database, dir })
    }

    /// The instant that the workspace's clock shows.
    pub fn now(&self) -> Result<Timestamp> {
        Ok(std::fs::read_to_string(self.root.join(".clock"))?.trim().parse()?)
    }

    /// Moves the workspace's clock.
    pub fn advance(&self, by: SignedDuration) -> Result<()> {
        Ok(std::fs::write(self.root.join(".clock"), self.now()?.checked_add(by)?.to_string())?)
    }

    /// Reads every signal and returns the result, failures included.
    pub fn poll(&self) -> Result<Value> {
        let done = self.cli.try_run(&["--json", "poll", "--all"])?;
        let text = String::from_utf8_lossy(&done.stdout);
        let polled: Value = serde_json::from_str(&text)
            .with_context(|| format!("poll: {text}{}", String::from_utf8_lossy(&done.stderr)))?;
        ensure!(polled["experiments"].is_array(), "poll: {polled}");
        Ok(polled)
    }

    /// Decides a gate with the passphrase, as somebody who has looked at it; `more` are further flags.
    pub fn decide(&self, gate: &str, verdict: &str, more: &[&str]) -> Result<Value> {
        let hash = self.cli.json(&["gate", "show", gate])?["context_hash"].as_str().context("no hash")?.to_owned();
        let args = ["--json", "gate", "decide", gate, "--verdict", verdict, "--confirm-checklist", "--context-hash"];
        let text = self.cli.signed(&[&args[..], &[&hash], more].concat())?;
        serde_json::from_str(&text).with_context(|| format!("gate decide printed no JSON: {text}"))
    }

    /// Everything in a column of text, as another program would read it.
    pub async fn column(&self, sql: &str) -> Result<Vec<String>> {
        let sql = AssertSqlSafe(sql.to_owned());
        Ok(match &self.database {
            Some(url) => sqlx::query_scalar(sql).fetch_all(&mut postgres::ours(url).await?).await?,
            None => sqlx::query_scalar(sql).fetch_all(&mut self.sqlite().await?).await?,
        })
    }

    /// Writes into the database behind the programs' back. Returns the number of rows.
    pub async fn raw(&self, sql: &str) -> Result<u64> {
        let sql = AssertSqlSafe(sql.to_owned());
        Ok(match &self.database {
            Some(url) => sqlx::query(sql).execute(&mut postgres::ours(url).await?).await?.rows_affected(),
            None => sqlx::query(sql).execute(&mut self.sqlite().await?).await?.rows_affected(),
        })
    }

    async fn sqlite(&self) -> Result<SqliteConnection> {
        let options = SqliteConnectOptions::new().filename(self.root.join(".outcome/outcome.db"));
        Ok(SqliteConnection::connect_with(&options).await?)
    }
}

/// The archive's content in a temporary folder.
pub fn unpack(archive: &Path) -> Result<TempDir> {
    let dir = tempfile::tempdir()?;
    let mut tar = Command::new("tar");
    tar.arg("--no-same-owner").arg("-C").arg(dir.path()).arg("-xzf").arg(archive);
    let done = tar.output().context("tar cannot be run")?;
    if !done.status.success() {
        bail!("{} cannot be unpacked: {}", archive.display(), String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(dir)
}

/// Runs a dump in an empty database.
async fn load(url: &str, dump: &str) -> Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql(AssertSqlSafe(dump.to_owned())).execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}
