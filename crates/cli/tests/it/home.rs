//! A temporary repository with a shop's database, in which the program is run.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use outcome_core::agent_shell::VARIABLES as AGENT_SHELLS;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const PASSPHRASE: &str = "correct horse battery";

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn new(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The run, which must have ended with this code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// The stdout as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:#?}"))
    }

    /// The error's code, as `--json` gives it.
    #[track_caller]
    pub(crate) fn error_code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap().to_owned()
    }
}

/// A repository of its own, without the machine's settings.
pub(crate) struct Home {
    dir: TempDir,
}

impl Home {
    /// A git repository with one commit.
    pub(crate) fn new() -> Self {
        let home = Self { dir: tempfile::tempdir().unwrap() };
        home.git(&["init", "-q", "-b", "main"]);
        home.git(&["config", "user.email", "sam@example.com"]);
        home.git(&["config", "user.name", "Sam"]);
        home.write("README.md", "shop\n");
        home.write("passphrase", PASSPHRASE);
        home.write(".gitignore", "passphrase\nwrong\n*.db\n.local/\n");
        home.git(&["add", "."]);
        home.git(&["commit", "-q", "-m", "first"]);
        home
    }

    /// A workspace with an active outcome on a SQLite source.
    pub(crate) fn active() -> Self {
        let home = Self::new();
        home.shop(&[]);
        home.sign(&["init", "--template"]).exits(0);
        home.sign(&["apply"]).exits(0);
        home.sign(&["activate", "signup-rate", "--accept-baseline"]).exits(0);
        home
    }

    /// A workspace with one proposed experiment; its slug is `fewer-fields`, its gate `portfolio-fewer-fields`.
    pub(crate) fn proposed() -> Self {
        let home = Self::active();
        home.propose("Fewer fields", "flag-a", "src/a/").exits(0);
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The workspace's database, in the store of the account.
    pub(crate) fn database(&self) -> PathBuf {
        let stores = std::fs::read_dir(self.path(".local/share/outcome-runtime")).unwrap();
        let mut found = stores.map(|store| store.unwrap().path().join("outcome.db"));
        found.next().filter(|_| found.next().is_none()).expect("one store")
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn git(&self, args: &[&str]) {
        let done = clean(Command::new("git"), self.dir.path()).args(args).output().unwrap();
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Puts the shop's database there: a week of visitors, one of ten signs up; and runs more statements.
    pub(crate) fn shop(&self, more: &[String]) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
            let url = format!("sqlite:{}?mode=rwc", self.path("app.db").display());
            let mut db = sqlx::SqliteConnection::connect(&url).await.unwrap();
            db.execute(SHOP).await.unwrap();
            for sql in more {
                db.execute(AssertSqlSafe(sql.clone())).await.unwrap();
            }
            db.close().await.unwrap();
        });
    }

    /// Hands in a hypothesis of one's own.
    pub(crate) fn propose(&self, title: &str, flag: &str, path: &str) -> Ran {
        let text = self.run(&["experiment", "propose", "--template"]).exits(0).stdout;
        let text = text
            .replace("Ask for fewer fields at sign-up", title)
            .replace("short-signup-form", flag)
            .replace("src/signup/", path)
            .replace("minimum_detectable_effect: 0.02", "minimum_detectable_effect: 0.05");
        self.write("hypothesis.yaml", &text);
        self.run(&["experiment", "propose", "--outcome", "signup-rate", "--file", "hypothesis.yaml"])
    }

    /// Runs the program without anybody at a terminal.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::new(self.command(args).output().unwrap())
    }

    /// As [`Self::run`], in another folder of the same account.
    pub(crate) fn run_in(&self, folder: &Path, args: &[&str]) -> Ran {
        Ran::new(self.command(args).current_dir(folder).output().unwrap())
    }

    /// As [`Self::run`], with the member's passphrase on file descriptor 3.
    pub(crate) fn sign(&self, args: &[&str]) -> Ran {
        self.sign_with("passphrase", args)
    }

    /// As [`Self::sign`], with the passphrase of this file.
    pub(crate) fn sign_with(&self, file: &str, args: &[&str]) -> Ran {
        Ran::new(self.signing(file, args).output().unwrap())
    }

    /// The command that signs with the passphrase of this file, to be changed before it runs.
    pub(crate) fn signing(&self, file: &str, args: &[&str]) -> Command {
        let mut shell = clean(Command::new("sh"), self.dir.path());
        shell
            .args(["-c", "file=$1; shift; exec \"$0\" \"$@\" --passphrase-fd 3 3<\"$file\"", BIN])
            .arg(self.path(file));
        shell.arg("--no-input").args(args).stdin(Stdio::null());
        shell
    }

    /// The command, to be changed before it runs.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = clean(Command::new(BIN), self.dir.path());
        command.arg("--no-input").args(args).stdin(Stdio::null());
        command
    }
}

pub(crate) const BIN: &str = env!("CARGO_BIN_EXE_outcome-runtime");

/// The command in this folder, without settings of the machine.
pub(crate) fn clean(mut command: Command, folder: &Path) -> Command {
    for name in outcome_tests::programs::SETTINGS.into_iter().chain(AGENT_SHELLS).chain([
        "SSH_AUTH_SOCK",
        "NO_COLOR",
        "CLICOLOR_FORCE",
        "GIT_DIR",
        "GIT_WORK_TREE",
    ]) {
        command.env_remove(name);
    }
    command
        .env("HOME", folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .current_dir(folder);
    command.env("GIT_CEILING_DIRECTORIES", folder.parent().unwrap());
    command
}

const SHOP: &str = "
    CREATE TABLE visitors (id INTEGER PRIMARY KEY, first_seen_at TEXT NOT NULL, signed_up_at TEXT);
    CREATE TABLE exposures (visitor_id INTEGER NOT NULL, flag TEXT NOT NULL, variant TEXT NOT NULL, exposed_at TEXT NOT NULL);
    WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 7000)
    INSERT INTO visitors (first_seen_at, signed_up_at)
    SELECT datetime('now', '-' || n || ' minutes'), CASE WHEN n % 10 = 0 THEN datetime('now', '-' || (n - 5) || ' minutes') END FROM i;";

/// The address of a new PostgreSQL database after these statements; `None` where there is no server, which is said.
pub(crate) fn on_postgresql(statements: impl IntoIterator<Item = String>) -> Option<String> {
    use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
    let server = outcome_tests::postgres::server().map_err(|skip| eprintln!("{skip}")).ok()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    Some(runtime.block_on(async {
        let url = server.database().await;
        let mut db = sqlx::PgConnection::connect(&url).await.unwrap();
        for sql in statements {
            db.execute(AssertSqlSafe(sql)).await.unwrap();
        }
        db.close().await.unwrap();
        url
    }))
}
